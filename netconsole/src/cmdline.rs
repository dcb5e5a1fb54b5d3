//! The kernel's command line: parameters separated by spaces, `name` or `name=value`, with
//! "quotes" around a value or around the whole parameter where it contains spaces, as Linux reads it
//! (Documentation/admin-guide/kernel-parameters.rst). The bytes are the boot loader's and need not be
//! UTF-8; nothing here panics on any of them.

#![forbid(unsafe_code)]

use core::fmt;

/// One parameter of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// What is before the `=`, or the whole; empty only for a pair of quotes.
    pub name: &'a [u8],
    /// What is after the `=`, without its quotes; `None` without a `=`.
    pub value: Option<&'a [u8]>,
}

impl<'a> Parameter<'a> {
    /// The name with each `-` written as `_`, which mean the same, in `buffer`; empty where the name
    /// does not fit or is not ASCII (no parameter of ours is so).
    pub fn canonical_name<'b>(&self, buffer: &'b mut [u8; 32]) -> &'b str {
        let Some(name) = buffer.get_mut(..self.name.len()) else { return "" };
        for (to, from) in name.iter_mut().zip(self.name) {
            *to = if *from == b'-' { b'_' } else { *from };
        }
        core::str::from_utf8(name).unwrap_or("")
    }

    /// The value as text: empty without one, `None` where it is not UTF-8.
    pub fn text(&self) -> Option<&'a str> {
        core::str::from_utf8(self.value.unwrap_or_default()).ok()
    }
}

impl fmt::Display for Parameter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.escape_ascii().fmt(f)?;
        match self.value {
            None => Ok(()),
            Some(value) => write!(f, "={}", value.escape_ascii()),
        }
    }
}

/// The parameters of a command line, in order. What follows a lone `--` is not the kernel's.
pub fn parameters(line: &[u8]) -> impl Iterator<Item = Parameter<'_>> {
    let mut at = 0;
    core::iter::from_fn(move || {
        let (word, end) = next_word(line, at)?;
        at = end;
        Some(word)
    })
    .take_while(|word| word.name != b"--" || word.value.is_some())
}

/// The first word at or after offset `from`, and the offset of its end; `--` and what follows it too.
pub fn next_word(line: &[u8], from: usize) -> Option<(Parameter<'_>, usize)> {
    let rest = line.get(from..)?;
    let mut start = from.saturating_add(rest.iter().position(|byte| !byte.is_ascii_whitespace())?);

    let mut in_quotes = false;
    let is_end = |byte: &u8| {
        in_quotes ^= *byte == b'"';
        byte.is_ascii_whitespace() && !in_quotes
    };
    let word = line.get(start..)?;
    let len = word.iter().position(is_end).unwrap_or(word.len());
    let next = start.saturating_add(len);
    let mut end = next;

    let unquote = |start: &mut usize, end: &mut usize| {
        if line.get(*start..*end).is_some_and(|text| text.starts_with(b"\"")) {
            *start = start.saturating_add(1);
            if line.get(*start..*end).is_some_and(|text| text.ends_with(b"\"")) {
                *end = end.saturating_sub(1);
            }
        }
    };
    unquote(&mut start, &mut end);
    let word = line.get(start..end)?;
    // A `=` in the first place begins a name, as on Linux.
    let equals = word.iter().position(|&byte| byte == b'=').filter(|&equals| equals > 0);
    let parameter = match equals {
        None => Parameter { name: word, value: None },
        Some(equals) => {
            let mut value = start.saturating_add(equals).saturating_add(1);
            unquote(&mut value, &mut end);
            Parameter { name: word.get(..equals)?, value: Some(line.get(value..end)?) }
        }
    };
    Some((parameter, next))
}

/// A piece of a value's text that knows its place in it, for error messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    /// The piece.
    pub text: &'a str,
    /// How many bytes of the value come before it.
    pub before: usize,
}

impl<'a> Piece<'a> {
    /// The parts before and after the first `delimiter`.
    pub fn split_once(self, delimiter: char) -> Option<(Self, Self)> {
        let at = self.text.find(delimiter)?;
        Some((self.head(at), self.skip(at.saturating_add(delimiter.len_utf8()))))
    }

    /// The first `bytes` bytes; all where a character does not end there.
    pub fn head(self, bytes: usize) -> Self {
        Self { text: self.text.get(..bytes).unwrap_or(self.text), ..self }
    }

    /// What is left after `bytes` bytes; empty where a character does not begin there.
    pub fn skip(self, bytes: usize) -> Self {
        let (head, tail) = self.text.split_at_checked(bytes).unwrap_or((self.text, ""));
        Self { text: tail, before: self.before.saturating_add(head.len()) }
    }

    /// What is left after `prefix`, where the piece begins with it.
    pub fn strip_prefix(self, prefix: char) -> Option<Self> {
        self.text.starts_with(prefix).then(|| self.skip(prefix.len_utf8()))
    }

    /// Without the white space at both ends.
    pub fn trim(self) -> Self {
        let tail = self.text.trim_start();
        let start = self.skip(self.text.len().saturating_sub(tail.len()));
        start.head(tail.trim_end().len())
    }

    /// The offset of its end in the value.
    pub fn after(self) -> usize {
        self.before.saturating_add(self.text.len())
    }

    /// The empty piece at this one's end.
    pub fn end(self) -> Self {
        self.skip(self.text.len())
    }

    /// Its first character alone; empty where there is none.
    pub fn first(self) -> Self {
        self.head(self.text.chars().next().map_or(0, char::len_utf8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The parameters as `(name, value)`.
    fn split(line: &str) -> Vec<(String, Option<String>)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        parameters(line.as_bytes()).map(|p| (text(p.name), p.value.map(text))).collect()
    }

    #[test]
    fn quotes_keep_spaces_together() {
        let some = |value: &str| Some(String::from(value));
        for (line, name, value) in [
            ("quiet", "quiet", None),
            ("a=", "a", some("")),
            ("a=b=c", "a", some("b=c")),
            ("  a=b \t", "a", some("b")),
            ("a=\"b c\"", "a", some("b c")),
            ("\"a=b c\"", "a", some("b c")),
            ("a=\"b c", "a", some("b c")),
            ("a=b\" \"c", "a", some("b\" \"c")),
            ("\"a b\"", "a b", None),
            ("=b", "=b", None),
        ] {
            assert_eq!(split(line), [(name.into(), value)], "{line}");
        }
        assert_eq!(split("a=\"b\"c=d e")[1].0, "e");
        assert_eq!(split(""), []);
    }

    #[test]
    fn what_follows_two_hyphens_is_not_ours() {
        assert_eq!(split("a -- b").len(), 1);
        assert_eq!(split("a --b c").len(), 3);
        assert_eq!(split("a --=b c").len(), 3);
    }

    #[test]
    fn hyphens_and_underscores_are_the_same() {
        let name = |line: &str| {
            parameters(line.as_bytes()).next().map(|p| String::from(p.canonical_name(&mut [0; 32])))
        };
        assert_eq!(name("log-buf_len=1M"), Some("log_buf_len".into()));
        assert_eq!(name("a-parameter-whose-name-is-longer-than-ours=1"), Some("".into()));
    }

    proptest! {
        #[test]
        fn any_line_is_split_at_white_space_alone(line in "[a=\" -]{0,40}") {
            let mut end = 0;
            while let Some((word, next)) = next_word(line.as_bytes(), end) {
                prop_assert!(next > end);
                let text = &line.as_bytes()[end..next];
                let kept = word.name.len() + word.value.map_or(0, |value| value.len() + 1);
                // No more than the quotes of a value and of a whole parameter are taken away.
                prop_assert!((0..=4).contains(&(text.trim_ascii_start().len() - kept)));
                end = next;
            }
            prop_assert!(line.as_bytes()[end..].trim_ascii().is_empty());
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(line: Vec<u8>) {
            for parameter in parameters(&line) {
                prop_assert!(!parameter.to_string().contains(|c: char| c.is_control()));
            }
        }

        #[test]
        fn quoted_values_come_back(values in prop::collection::vec("[a-z =-]{0,9}", 0..9)) {
            let line: String = values.iter().map(|value| format!(" x=\"{value}\"")).collect();
            let read: Vec<_> = split(&line).into_iter().filter_map(|(_, value)| value).collect();
            prop_assert_eq!(read, values);
        }
    }
}
