//! A short text out of a dead kernel's memory.

/// At most 79 bytes of printable ASCII: the library's text of a limited length.
pub type Text = netconsole::text::Text<79>;

/// What is taken of `bytes`: those before the first one that is not printable ASCII.
pub(crate) fn printable(bytes: &[u8]) -> Text {
    Text::of_bytes(bytes.split(|byte| !is_printable(byte)).next().unwrap_or_default())
}

/// Whether a byte may be part of a text.
pub(crate) fn is_printable(byte: &u8) -> bool {
    (b' '..=b'~').contains(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_ends_before_the_first_byte_that_is_not_printable() {
        assert_eq!(printable(b"6.12 ~\x7f1").as_str(), "6.12 ~");
        assert_eq!(printable(b"\xff6").as_str(), "");
        assert_eq!(printable(&[b'a'; 99]).as_str().len(), 79);
    }
}
