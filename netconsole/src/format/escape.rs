//! Bytes that don't go out as they are: each is written as `\x` and two hexadecimal digits.

/// Which bytes are escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escaping {
    /// Control characters, the backslash, and all but ASCII, as in Linux's extended messages.
    Extended,
    /// Control characters and the backslash; the rest is UTF-8.
    Syslog,
}

/// The length of an escaped byte.
pub(super) const ESCAPED_LEN: usize = 4;

impl Escaping {
    /// Whether a byte is escaped.
    pub(super) fn covers(self, byte: u8) -> bool {
        byte < b' ' || byte == 0x7f || byte == b'\\' || self == Self::Extended && byte > 0x7f
    }

    /// Whether there is nothing to escape.
    pub(super) fn leaves(self, bytes: &[u8]) -> bool {
        const ONES: u64 = u64::MAX / 0xff;
        const HIGHS: u64 = ONES * 0x80;
        // In each: the high bit of a byte is set, if not by a lower byte's borrow, where the byte is
        // less than `limit`, or equal to `byte`. A borrow comes only from a byte that counts itself,
        // so zero means that there is none.
        let less = |word: u64, limit: u64| word.wrapping_sub(ONES.wrapping_mul(limit)) & !word;
        let equal = |word: u64, byte: u64| less(word ^ ONES.wrapping_mul(byte), 1);
        let above = if self == Self::Extended { HIGHS } else { 0 };
        let found =
            |word: u64| (less(word, 0x20) | equal(word, 0x7f) | equal(word, 0x5c)) & HIGHS | word & above;
        let (words, tail) = bytes.as_chunks::<8>();
        let whole = words.iter().fold(0, |sum, word| sum | found(u64::from_le_bytes(*word)));
        whole == 0 && !tail.iter().any(|&byte| self.covers(byte))
    }
}

/// A byte in its escaped form.
pub(super) fn escape(byte: u8) -> [u8; ESCAPED_LEN] {
    let digit = |nibble: u8| nibble.wrapping_add(if nibble < 10 { b'0' } else { b'a' - 10 });
    [b'\\', b'x', digit(byte >> 4), digit(byte & 0xf)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What receivers do: `\x` and two hexadecimal digits become a byte.
    fn unescape(text: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut rest = text;
        while let Some((&first, tail)) = rest.split_first() {
            rest = tail;
            if first != b'\\' {
                bytes.push(first);
                continue;
            }
            assert_eq!(tail[0], b'x');
            let digits = std::str::from_utf8(&tail[1..3]).expect("hexadecimal digits");
            bytes.push(u8::from_str_radix(digits, 16).expect("hexadecimal digits"));
            rest = &tail[3..];
        }
        bytes
    }

    proptest! {
        #[test]
        fn what_is_escaped_can_be_restored(bytes: Vec<u8>) {
            for escaping in [Escaping::Extended, Escaping::Syslog] {
                let escaped: Vec<u8> = bytes
                    .iter()
                    .flat_map(|&byte| if escaping.covers(byte) { escape(byte).to_vec() } else { vec![byte] })
                    .collect();
                prop_assert_eq!(unescape(&escaped), bytes.clone());
                prop_assert_eq!(escaping.leaves(&bytes), escaped == bytes);
            }
        }
    }

    /// Alone in each place of a word, next to bytes that could borrow or hide it.
    #[test]
    fn no_byte_is_missed_among_others() {
        for escaping in [Escaping::Extended, Escaping::Syslog] {
            for (byte, neighbour, place) in (0..=0xff)
                .flat_map(|byte| [b' ', b'~', b'['].map(|n| (byte, n)))
                .flat_map(|(b, n)| (0..8).map(move |p| (b, n, p)))
            {
                let mut word = [neighbour; 8];
                word[place] = byte;
                assert_eq!(escaping.leaves(&word), !escaping.covers(byte), "{word:02x?} {escaping:?}");
            }
        }
    }
}
