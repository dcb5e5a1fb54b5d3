//! Numbers of digits alone: no sign, no space.

/// So many digits always fit.
const SAFE: usize = 19;

/// The number that bytes begin with, and what follows it. `None`: there is none, or it is above `u64::MAX`.
pub fn take(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0u64;
    let mut length = 0;
    for &byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        number = if length < SAFE {
            number.wrapping_mul(10).wrapping_add(u64::from(digit))
        } else {
            number.checked_mul(10)?.checked_add(u64::from(digit))?
        };
        length += 1;
    }
    if length == 0 { None } else { Some((number, bytes.get(length..)?)) }
}

/// The number that a text is.
pub fn all(text: &str) -> Option<u64> {
    take(text.as_bytes()).filter(|(_, rest)| rest.is_empty()).map(|(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_are_as_the_library_reads_them(text in "[0-9]{0,24}[,.x]?") {
            let digits = text.trim_end_matches([',', '.', 'x']);
            let rest = text.get(digits.len()..).expect("a part").as_bytes();
            prop_assert_eq!(take(text.as_bytes()), digits.parse().ok().map(|number: u64| (number, rest)));
        }
    }

    #[test]
    fn what_is_none() {
        for text in ["", "+1", " 1", "1 ", "18446744073709551616"] {
            assert_eq!(all(text), None, "{text}");
        }
        assert_eq!(all("18446744073709551615"), Some(u64::MAX));
    }
}
