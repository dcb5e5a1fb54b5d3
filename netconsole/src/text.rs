//! Texts of a limited length, in memory of their own: what takes a `String` where there is a heap.

#![forbid(unsafe_code)]

use core::fmt;

/// At most `N` bytes. What does not fit is left away, and [`is_cut`](Self::is_cut) says so.
#[derive(Clone, Copy)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
    is_cut: bool,
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Text<N> {
    /// No text.
    pub const fn new() -> Self {
        Self { bytes: [0; N], len: 0, is_cut: false }
    }

    /// What `text` is shown as.
    pub fn of(text: impl fmt::Display) -> Self {
        let mut new = Self::new();
        // It fails where it is cut, which the text knows itself.
        let _ = fmt::Write::write_fmt(&mut new, format_args!("{text}"));
        new
    }

    /// A constant text: all of it, or nothing where it does not fit.
    pub const fn literal(text: &str) -> Self {
        let mut new = Self::new();
        match new.bytes.split_at_mut_checked(text.len()) {
            Some((to, _)) => {
                to.copy_from_slice(text.as_bytes());
                new.len = text.len();
            }
            None => new.is_cut = true,
        }
        new
    }

    /// As many of these bytes as fit. Panic-safe.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let mut new = Self::new();
        new.extend(bytes);
        new
    }

    /// `len` bytes, at most `N`, which `fill` writes over zeros. Panic-safe.
    pub fn filled(len: usize, fill: impl FnOnce(&mut [u8])) -> Self {
        let mut new = Self { len: len.min(N), ..Self::new() };
        fill(new.as_bytes_mut());
        new
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// The bytes, to be changed in place.
    pub fn as_bytes_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.len).unwrap_or_default()
    }

    /// The text, up to the first byte that is not UTF-8.
    pub fn as_str(&self) -> &str {
        match core::str::from_utf8(self.as_bytes()) {
            Ok(text) => text,
            Err(error) => {
                let valid = self.bytes.get(..error.valid_up_to()).unwrap_or_default();
                core::str::from_utf8(valid).unwrap_or("")
            }
        }
    }

    /// The length in bytes.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is in it.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bytes still fit.
    pub const fn room(&self) -> usize {
        N.saturating_sub(self.len)
    }

    /// Whether something did not fit since it was last empty.
    pub const fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Makes it empty.
    pub fn clear(&mut self) {
        self.len = 0;
        self.is_cut = false;
    }

    /// Keeps the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Takes away the first `len` bytes.
    pub fn drop_front(&mut self, len: usize) {
        let len = len.min(self.len);
        self.bytes.copy_within(len..self.len, 0);
        self.len = self.len.saturating_sub(len);
    }

    /// Puts one byte at the end.
    pub fn push(&mut self, byte: u8) {
        self.insert(self.len, &[byte]);
    }

    /// Puts as many of `bytes` at the end as fit. Panic-safe.
    pub fn extend(&mut self, bytes: &[u8]) {
        // Not by `replace`, which moves what follows: the panic path calls this.
        let room = self.bytes.get_mut(self.len..).unwrap_or_default();
        let fits = bytes.len().min(room.len());
        room.iter_mut().zip(bytes).for_each(|(to, &from)| *to = from);
        self.is_cut |= fits < bytes.len();
        self.len = self.len.saturating_add(fits);
    }

    /// Puts `bytes` before byte `at`, all or none.
    pub fn insert(&mut self, at: usize, bytes: &[u8]) {
        self.replace(at, at, bytes);
    }

    /// Puts `new` in the place of the bytes from `start` to `end`, all or none.
    pub fn replace(&mut self, start: usize, end: usize, new: &[u8]) {
        let end = end.min(self.len);
        let start = start.min(end);
        let to = start.saturating_add(new.len());
        let len = to.saturating_add(self.len.saturating_sub(end));
        if len > N {
            self.is_cut = true;
            return;
        }
        // Both ranges lie within the array: `end` is at most `len` was, and the new length is at most N.
        self.bytes.copy_within(end..self.len, to);
        for (slot, &byte) in self.bytes.iter_mut().skip(start).zip(new) {
            *slot = byte;
        }
        self.len = len;
    }
}

impl<const N: usize> PartialEq for Text<N> {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<const N: usize> Eq for Text<N> {}

/// As it is, but for control characters and what is not UTF-8, which are escaped.
impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.as_bytes().utf8_chunks() {
            for character in chunk.valid().chars() {
                if character.is_control() {
                    character.escape_default().fmt(f)?;
                } else {
                    fmt::Write::write_char(f, character)?;
                }
            }
            chunk.invalid().escape_ascii().fmt(f)?;
        }
        Ok(())
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl<const N: usize> fmt::Write for Text<N> {
    /// Cuts at a character's border.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut fits = text.len().min(self.room());
        while !text.is_char_boundary(fits) {
            fits = fits.saturating_sub(1);
        }
        self.extend(text.as_bytes().get(..fits).unwrap_or_default());
        self.is_cut |= fits < text.len();
        if fits == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::fmt::Write;
    use proptest::prelude::*;

    #[test]
    fn what_does_not_fit_is_cut_at_a_character() {
        let mut text = Text::<4>::new();
        assert!(write!(text, "ab\u{20ac}").is_err());
        assert_eq!((text.as_str(), text.is_cut()), ("ab", true));
        text.clear();
        assert!(write!(text, "a\u{20ac}").is_ok());
        assert!(!text.is_cut());
    }

    #[test]
    fn a_text_is_made_of_what_fits() {
        const ETH0: Text<4> = Text::literal("eth0");
        assert_eq!((ETH0.as_str(), ETH0.is_cut()), ("eth0", false));
        let long = Text::<3>::literal("eth0");
        assert_eq!((long.as_str(), long.is_cut()), ("", true));
        assert_eq!(Text::<3>::of_bytes(b"eth0").as_str(), "eth");
        assert_eq!(Text::<3>::filled(9, |bytes| bytes.fill(b'x')).as_str(), "xxx");
        assert_eq!(Text::<3>::filled(2, |_| {}).as_bytes(), [0, 0]);
    }

    proptest! {
        #[test]
        fn it_does_as_a_string_does(start in "[a-z]{0,8}", at in 0usize..9, end in 0usize..9, new in "[a-z]{0,5}") {
            let mut text = Text::<12>::of(&start);
            let (end, before) = (end.min(start.len()), start.clone());
            let at = at.min(end);
            let mut model = start;
            model.replace_range(at..end, &new);
            text.replace(at, end, new.as_bytes());
            prop_assert_eq!(text.is_cut(), model.len() > 12);
            let expected = if model.len() > 12 { before.as_str() } else { model.as_str() };
            prop_assert_eq!(text.as_str(), expected);
        }
    }
}
