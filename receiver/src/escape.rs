//! Bytes to text: the extended format's `\xff` escapes undone, and terminal control sequences made harmless.

use std::fmt::Write;

/// Undoes the extended format's escapes: `\x5c` becomes a backslash. What is no escape stays as it is.
pub fn unescape(escaped: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some((&first, tail)) = rest.split_first() {
        let escape = match rest {
            [b'\\', b'x', high, low, tail @ ..] => {
                nibble(*high).zip(nibble(*low)).map(|(high, low)| (high << 4 | low, tail))
            }
            _ => None,
        };
        let (byte, tail) = escape.unwrap_or((first, tail));
        bytes.push(byte);
        rest = tail;
    }
    bytes
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// The bytes as text; bytes that are not UTF-8 are shown as `\xff`.
pub fn text(bytes: &[u8]) -> String {
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

/// One line of text fit for a terminal or a file: tabs stay, other harmful characters are shown as `\x1b` or
/// `\u{202e}`.
pub fn harmless(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    for character in line.chars() {
        let _ = match character {
            '\t' => write!(shown, "\t"),
            '\0'..='\x7f' if is_harmful(character) => write!(shown, "\\x{:02x}", u32::from(character)),
            _ if is_harmful(character) => write!(shown, "\\u{{{:x}}}", u32::from(character)),
            _ => write!(shown, "{character}"),
        };
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_once() {
        assert_eq!(unescape(br"a\x5cx41\x09b\xC3\xbc"), b"a\\x41\tb\xc3\xbc");
        assert_eq!(unescape(br"\x4"), br"\x4");
        assert_eq!(unescape(br"\q\xzz"), br"\q\xzz");
    }

    #[test]
    fn bytes_outside_utf8_are_shown() {
        assert_eq!(text(b"a\xffb\xc3\xbc"), "a\\xffbü");
    }

    #[test]
    fn terminal_controls_are_shown_not_obeyed() {
        assert_eq!(harmless("\x1b[31mred\x07\ttab"), "\\x1b[31mred\\x07\ttab");
        assert_eq!(harmless("\u{9b}2J \u{202e}evil"), "\\u{9b}2J \\u{202e}evil");
        assert_eq!(harmless("\r\x7f"), "\\x0d\\x7f");
    }
}
