//! Bytes to text: the extended format's `\xff` escapes undone, and terminal control sequences made harmless.

use std::borrow::Cow;
use std::fmt::Write;
use std::io::Write as _;

use memchr::memchr;

/// Bytes that are looked at together.
const CHUNK: usize = 16;

/// Undoes the extended format's escapes: `\x5c` becomes a backslash. What is no escape stays as it is.
pub fn unescape(escaped: &[u8]) -> Cow<'_, [u8]> {
    if memchr(b'\\', escaped).is_none() {
        return Cow::Borrowed(escaped);
    }
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some((plain, at)) = memchr(b'\\', rest).and_then(|at| rest.split_at_checked(at)) {
        bytes.extend_from_slice(plain);
        let escape = match at {
            [_, b'x', high, low, tail @ ..] => {
                nibble(*high).zip(nibble(*low)).map(|(high, low)| (high << 4 | low, tail))
            }
            _ => None,
        };
        let (byte, tail) = escape.unwrap_or((b'\\', at.get(1..).unwrap_or_default()));
        bytes.push(byte);
        rest = tail;
    }
    bytes.extend_from_slice(rest);
    Cow::Owned(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// The bytes as text; bytes that are not UTF-8 are shown as `\xff`.
pub fn text(bytes: &[u8]) -> String {
    // The copy is aligned: to judge that takes half as long.
    match String::from_utf8(bytes.to_vec()) {
        Ok(text) => text,
        Err(_) => with_escapes(bytes),
    }
}

/// The same, the extended format's escapes undone before.
pub fn unescaped_text(escaped: &[u8]) -> String {
    text(&unescape(escaped))
}

fn with_escapes(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a String does not fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// Whether a terminal might act on this character, or a reader be deceived by it: controls (C0, DEL, C1) and
/// the marks that turn the direction of writing.
pub fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a text is one line that [`harmless`] shows as it is: printable ASCII and tabs. `false`: it may be, or not.
pub fn is_plain(text: &str) -> bool {
    run(text.as_bytes(), is_plain_byte) == text.len()
}

fn is_plain_byte(byte: u8) -> bool {
    byte == b'\t' || is_printable(byte)
}

/// One line of text fit for a terminal or a file: tabs stay, other harmful characters are shown as `\x1b` or
/// `\u{202e}`.
pub fn harmless(to: &mut Vec<u8>, line: &str) {
    each_run(line, is_plain_byte, to, |to, character| match character {
        // Writing to memory does not fail.
        '\0'..='\x7f' => write!(to, "\\x{:02x}", u32::from(character)).unwrap_or_default(),
        _ if is_harmful(character) => write!(to, "\\u{{{:x}}}", u32::from(character)).unwrap_or_default(),
        _ => to.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
    });
}

/// Printable ASCII, the space included.
pub fn is_printable(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

/// Takes runs of plain ASCII as they are, and shows each other character by itself.
pub fn each_run(
    text: &str,
    is_plain: impl Fn(u8) -> bool,
    to: &mut Vec<u8>,
    mut show: impl FnMut(&mut Vec<u8>, char),
) {
    let mut rest = text;
    loop {
        let length = run(rest.as_bytes(), &is_plain);
        let Some((plain, tail)) = rest.split_at_checked(length) else { return };
        to.extend_from_slice(plain.as_bytes());
        if tail.is_empty() {
            return;
        }
        let mut characters = tail.chars();
        let Some(character) = characters.next() else { return };
        show(to, character);
        rest = characters.as_str();
    }
}

/// How many bytes at the start are plain. Whole chunks are judged without a branch for each byte.
fn run(bytes: &[u8], is_plain: impl Fn(u8) -> bool) -> usize {
    let is_whole = |chunk: &[u8; CHUNK]| chunk.iter().fold(true, |all, &byte| all & is_plain(byte));
    let (chunks, _) = bytes.as_chunks();
    let whole = chunks.iter().take_while(|chunk| is_whole(chunk)).count();
    // What is left of the last one is judged together with what comes before it.
    if whole == chunks.len() && bytes.last_chunk().is_some_and(is_whole) {
        return bytes.len();
    }
    let start = whole * CHUNK;
    let rest = bytes.get(start..).unwrap_or_default();
    start + rest.iter().position(|&byte| !is_plain(byte)).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use regex::bytes::{Captures, Regex};

    #[test]
    fn escapes_are_undone_once() {
        let unescape = |escaped| super::unescape(escaped).into_owned();
        assert_eq!(unescape(br"a\x5cx41\x09b\xC3\xbc"), b"a\\x41\tb\xc3\xbc");
        assert_eq!(unescape(br"\x4"), br"\x4");
        assert_eq!(unescape(br"\q\xzz"), br"\q\xzz");
    }

    #[test]
    fn bytes_outside_utf8_are_shown() {
        assert_eq!(text(b"a\xffb\xc3\xbc"), "a\\xffbü");
    }

    /// Character by character, as the fast way should show it.
    fn slowly(line: &str) -> String {
        let show = |character: char| match character {
            '\t' => "\t".to_owned(),
            '\0'..='\x7f' if is_harmful(character) => format!("\\x{:02x}", u32::from(character)),
            _ if is_harmful(character) => format!("\\u{{{:x}}}", u32::from(character)),
            _ => character.to_string(),
        };
        line.chars().map(show).collect()
    }

    fn harmless(line: &str) -> String {
        let mut shown = Vec::new();
        super::harmless(&mut shown, line);
        String::from_utf8(shown).expect("text stays text")
    }

    proptest! {
        #[test]
        fn runs_of_any_length_are_shown_as_character_by_character(line in "([a-z ]{0,40}[\\PC\\x00-\u{2070}]{0,3}){0,4}") {
            prop_assert_eq!(harmless(&line), slowly(&line));
        }

        #[test]
        fn escapes_are_undone_wherever_they_are(text in "([a-z]{0,20}(\\\\x[0-9a-g]{2}|\\\\)?){0,5}") {
            let bytes = super::unescape(text.as_bytes());
            let pattern = Regex::new(r"\\x([0-9a-f]{2})").expect("a pattern");
            let expected = pattern.replace_all(text.as_bytes(), |captures: &Captures<'_>| {
                let digits = str::from_utf8(&captures[1]).expect("digits");
                vec![u8::from_str_radix(digits, 16).expect("digits")]
            });
            prop_assert_eq!(&*bytes, &*expected);
        }
    }

    #[test]
    fn terminal_controls_are_shown_not_obeyed() {
        assert_eq!(harmless("\x1b[31mred\x07\ttab"), "\\x1b[31mred\\x07\ttab");
        assert_eq!(harmless("\u{9b}2J \u{202e}evil"), "\\u{9b}2J \\u{202e}evil");
        assert_eq!(harmless("\r\x7f"), "\\x0d\\x7f");
    }
}
