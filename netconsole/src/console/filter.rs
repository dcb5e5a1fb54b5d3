//! What comes after a `|`: `head`, `tail` and `grep`, line by line.

use core::fmt;

/// How many lines `head` and `tail` show.
const LINES: usize = 10;

/// A filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filter<'w> {
    /// The first lines.
    Head(usize),
    /// The last lines.
    Tail(usize),
    /// The lines that the pattern matches.
    Grep(Grep<'w>),
}

/// How `grep` looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grep<'w> {
    /// `.` stands for any character, a `^` at the start for the line's, a `$` at the end for its end.
    pattern: &'w str,
    /// Only what matches is shown (`-o`).
    only_matching: bool,
    /// The lines that don't match are (`-v`).
    inverted: bool,
    /// Capitals don't count (`-i`).
    ignore_case: bool,
}

/// What a filter's arguments should have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FilterError<'w> {
    /// There is no such filter.
    Unknown(&'w str),
    Lines(&'w str),
    Grep,
    /// A second `tail`.
    Tails,
}

impl fmt::Display for FilterError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => {
                write!(f, "{}: expected head, tail or grep behind '|'", name.escape_default())
            }
            Self::Lines(name) => write!(f, "{name}: expected nothing or -n and a number of lines"),
            Self::Grep => {
                f.write_str("grep: expected [-o] [-v] [-i] and a pattern, in which '.' is any character")
            }
            Self::Tails => f.write_str("tail: expected only once in a line"),
        }
    }
}

impl<'w> Filter<'w> {
    /// Reads a filter's words.
    pub(super) fn read(mut words: impl Iterator<Item = &'w str>) -> Result<Self, FilterError<'w>> {
        let name = words.next().unwrap_or("");
        match name {
            "head" => Ok(Self::Head(lines(words).ok_or(FilterError::Lines(name))?)),
            "tail" => Ok(Self::Tail(lines(words).ok_or(FilterError::Lines(name))?)),
            "grep" => Ok(Self::Grep(Grep::read(words).ok_or(FilterError::Grep)?)),
            _ => Err(FilterError::Unknown(name)),
        }
    }
}

/// `-n 5`, `-n5`, `-5` or nothing.
fn lines<'w>(mut words: impl Iterator<Item = &'w str>) -> Option<usize> {
    let Some(word) = words.next() else { return Some(LINES) };
    let number = match word.strip_prefix("-n") {
        Some("") => words.next()?,
        Some(number) => number,
        None => word.strip_prefix('-')?,
    };
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse().ok().filter(|_| digits && words.next().is_none())
}

impl<'w> Grep<'w> {
    fn read(words: impl Iterator<Item = &'w str>) -> Option<Self> {
        let mut grep = Self { pattern: "", only_matching: false, inverted: false, ignore_case: false };
        for word in words {
            match word {
                _ if !grep.pattern.is_empty() => return None,
                "-o" => grep.only_matching = true,
                "-v" => grep.inverted = true,
                "-i" => grep.ignore_case = true,
                "" => return None,
                pattern => grep.pattern = pattern,
            }
        }
        (!grep.pattern.is_empty()).then_some(grep)
    }

    /// Hands on what the filter leaves of a line without its end.
    pub(super) fn pass<'l>(&self, line: &'l [u8], on: &mut dyn FnMut(&'l [u8])) {
        if self.inverted {
            if self.find(line, 0).is_none() {
                on(line);
            }
        } else if !self.only_matching {
            if self.find(line, 0).is_some() {
                on(line);
            }
        } else {
            let mut from = 0;
            while let Some((start, end)) = self.find(line, from).filter(|(start, end)| end > start) {
                on(line.get(start..end).unwrap_or_default());
                from = end;
            }
        }
    }

    /// Where the pattern first matches at byte `from` or after it. Every character of it is one byte of
    /// the line, so that a match has the pattern's length.
    fn find(&self, line: &[u8], from: usize) -> Option<(usize, usize)> {
        let (at_start, pattern) = match self.pattern.strip_prefix('^') {
            Some(rest) => (true, rest),
            None => (false, self.pattern),
        };
        let (at_end, pattern) = match pattern.strip_suffix('$') {
            Some(rest) => (true, rest),
            None => (false, pattern),
        };
        let last = line.len().checked_sub(pattern.len())?;
        let first = if at_end { last.max(from) } else { from };
        let last = if at_start { 0 } else { last };
        (first..=last).map(|start| (start, start.saturating_add(pattern.len()))).find(|&(start, end)| {
            let text = line.get(start..end).unwrap_or_default();
            text.iter().zip(pattern.bytes()).all(|(&byte, wanted)| {
                wanted == b'.' || byte == wanted || self.ignore_case && byte.eq_ignore_ascii_case(&wanted)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grep(arguments: &str, line: &str) -> Vec<String> {
        let words = ["grep"].into_iter().chain(arguments.split(' '));
        let Ok(Filter::Grep(grep)) = Filter::read(words) else { panic!("{arguments} is no grep") };
        let mut found = Vec::new();
        grep.pass(line.as_bytes(), &mut |part| found.push(String::from_utf8_lossy(part).into_owned()));
        found
    }

    #[test]
    fn grep_finds_what_its_pattern_says() {
        let answer = "Unicast reply from 192.168.0.17 [00:13:32:20:A9:A5]  1.2ms";
        assert_eq!(grep("-o ..:..:..:..:..:..", answer), ["00:13:32:20:A9:A5"]);
        assert_eq!(grep("-i unicast", answer), [answer]);
        assert_eq!(grep("unicast", answer), [""; 0]);
        assert_eq!(grep("-v unicast", answer), [answer]);
        assert_eq!(grep("^Unicast", answer), [answer]);
        assert_eq!(grep("^reply", answer), [""; 0]);
        assert_eq!(grep("ms$", answer), [answer]);
        assert_eq!(grep("reply$", answer), [""; 0]);
        assert_eq!(grep("-o a.", "abacad"), ["ab", "ac", "ad"]);
        assert_eq!(grep("abc", "ab"), [""; 0]);
    }

    #[test]
    fn arguments_are_read() {
        let read = |text: &'static str| Filter::read(text.split(' '));
        assert_eq!(read("tail"), Ok(Filter::Tail(10)));
        assert_eq!(read("head -n 3"), Ok(Filter::Head(3)));
        assert_eq!(read("tail -n3"), Ok(Filter::Tail(3)));
        assert_eq!(read("tail -20"), Ok(Filter::Tail(20)));
        assert_eq!(read("tail -n"), Err(FilterError::Lines("tail")));
        assert_eq!(read("tail -n +3"), Err(FilterError::Lines("tail")));
        assert_eq!(read("head 3"), Err(FilterError::Lines("head")));
        assert_eq!(read("grep -o"), Err(FilterError::Grep));
        assert_eq!(read("grep a b"), Err(FilterError::Grep));
        assert_eq!(read("sort"), Err(FilterError::Unknown("sort")));
    }

    proptest! {
        #[test]
        fn a_match_is_in_the_line(pattern in "[a.^$]{1,6}", line in "[ab]{0,20}") {
            for part in grep(&format!("-o {pattern}"), &line) {
                prop_assert!(line.contains(&part));
            }
        }
    }
}
