//! A text that somebody typed, with the place that is wrong in it marked: `6666@/eth0,@10.0.0.>>>256<<</`.

#![forbid(unsafe_code)]

use core::fmt;

/// A text and a place in it. It is shown in ASCII and on one line whatever its bytes are; of a long text only what is
/// near the place is shown, with `...` for the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marked<'a> {
    text: &'a [u8],
    start: usize,
    end: usize,
}

/// How many bytes before the place are shown.
const BEFORE: usize = 64;
/// How many bytes of the place itself are shown.
const PLACE: usize = 48;
/// How many bytes after it are shown.
const AFTER: usize = 40;

impl<'a> Marked<'a> {
    /// Marks the bytes of `text` from `start` to `end`; where these are the same, what is missing there.
    pub fn new(text: &'a [u8], start: usize, end: usize) -> Self {
        let end = end.min(text.len());
        Self { text, start: start.min(end), end }
    }

    /// What is marked.
    pub fn place(&self) -> &'a [u8] {
        self.text.get(self.start..self.end).unwrap_or_default()
    }

    /// The text from the byte `start` on.
    pub fn rest(&self, start: usize) -> &'a [u8] {
        self.text.get(start..).unwrap_or_default()
    }

    /// Whether the text ends where the place does.
    pub fn is_at_end(&self) -> bool {
        self.end == self.text.len()
    }
}

impl fmt::Display for Marked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = self.text.get(..self.start).unwrap_or_default();
        let shown = before.len().saturating_sub(BEFORE);
        if shown > 0 {
            f.write_str("...")?;
        }
        let before = before.get(shown..).unwrap_or_default();
        write!(f, "{}>>>{}<<<", before.escape_ascii(), Head::<PLACE>(self.place()))?;
        Head::<AFTER>(self.rest(self.end)).fmt(f)
    }
}

/// The first `N` bytes of a text, in ASCII, and `...` where it is longer.
pub struct Head<'a, const N: usize>(pub &'a [u8]);

impl<const N: usize> fmt::Display for Head<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.split_at_checked(N) {
            Some((head, [_, ..])) => write!(f, "{}...", head.escape_ascii()),
            _ => self.0.escape_ascii().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_marked() {
        let marked = |start, end| Marked::new(b"@/,@10.0.0.256/", start, end).to_string();
        assert_eq!(marked(11, 14), "@/,@10.0.0.>>>256<<</");
        assert_eq!(marked(0, 0), ">>><<<@/,@10.0.0.256/");
        assert_eq!(marked(15, 15), "@/,@10.0.0.256/>>><<<");
        assert_eq!(marked(99, 100), "@/,@10.0.0.256/>>><<<");
        assert_eq!(Marked::new(b"a\xffb\n", 1, 2).to_string(), "a>>>\\xff<<<b\\n");
    }

    #[test]
    fn a_long_text_is_shown_around_the_place() {
        let text = ["a".repeat(70), "b".repeat(50), "c".repeat(50)].concat();
        let shown = Marked::new(text.as_bytes(), 70, 120).to_string();
        assert_eq!(shown, format!("...{}>>>{}...<<<{}...", "a".repeat(64), "b".repeat(48), "c".repeat(40)));
    }
}
