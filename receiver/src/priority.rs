//! The priority that a message may begin with: `<N>`, which is facility × 8 + level (RFC 3164 section 4.1.1).

/// The highest: facility 23, level 7.
const MOST: u8 = 191;
/// `<`, three digits, `>`.
const BYTES: usize = 5;

/// A priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priority(u8);

impl Priority {
    /// 0 is the kernel.
    pub fn facility(self) -> u8 {
        self.0 >> 3
    }

    /// 0 emergency … 7 debug.
    pub fn level(self) -> u8 {
        self.0 & 7
    }
}

/// The priority that `message` begins with, and what follows it.
pub fn take(message: &[u8]) -> Option<(Priority, &[u8])> {
    let rest = message.strip_prefix(b"<")?;
    let end = rest.iter().take(BYTES - 1).position(|&byte| byte == b'>')?;
    let digits = rest.get(..end).filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    let number: u8 = str::from_utf8(digits).ok()?.parse().ok()?;
    (number <= MOST).then_some((Priority(number), rest.get(end.checked_add(1)?..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facility_and_level() {
        let (priority, rest) = take(b"<165>text").expect("a priority");
        assert_eq!((priority.facility(), priority.level(), rest), (20, 5, &b"text"[..]));
        assert_eq!(take(b"<0>").map(|(priority, _)| (priority.facility(), priority.level())), Some((0, 0)));
    }

    #[test]
    fn what_is_none() {
        for text in ["", "<", "<>", "<192>", "<+1>", "<1", "<0001>", "< 1>", "1>"] {
            assert_eq!(take(text.as_bytes()), None, "{text}");
        }
    }
}
