//! The targets' own items (Linux's userdata): kept as the lines that extended messages end with, in one
//! pool for all targets, so that sending them copies and formats nothing.

use crate::guarded::mix;
use crate::settings::MAX_TARGETS;
use core::fmt;
use core::ops::Range;

/// The items of all targets.
///
/// Each target has two sections of the pool: its lines ` KEY=VALUE\n` that are sent, then the lines
/// ` KEY=\n` of items that have no value yet and are not (as on Linux). Invariant: the sections lie one
/// behind the other in the targets' order, and each line is whole.
pub struct UserData {
    lines: [u8; Self::CAPACITY],
    /// The sections' lengths in bytes: of target `n` those that are sent at `2 * n`, the others behind it.
    lengths: [usize; 2 * MAX_TARGETS],
    /// A checksum of each target's lines that are sent, for whoever reads them after a crash.
    checksums: [u64; MAX_TARGETS],
}

/// Why an item was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserDataError {
    /// The key is empty, too long, or has a character that a line can't tell from its own.
    Key,
    /// The value is too long, or has a control character.
    Value,
    /// There is an item of this key.
    Exists,
    /// There is none.
    Missing,
    /// The target has [`UserData::MAX_ITEMS`].
    TooMany,
    /// The pool is full.
    NoRoom,
}

impl fmt::Display for UserDataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key => write!(
                f,
                "expected a key of 1 to {} printable ASCII characters without blanks, '/' and '='",
                UserData::MAX_KEY
            ),
            Self::Value => {
                write!(
                    f,
                    "expected a value of at most {} bytes without control characters",
                    UserData::MAX_VALUE
                )
            }
            Self::Exists => f.write_str("File exists"),
            Self::Missing => f.write_str("No such file or directory"),
            Self::TooMany => write!(f, "No space left: a target has at most {} items", UserData::MAX_ITEMS),
            Self::NoRoom if UserData::CAPACITY == 0 => {
                f.write_str("No space left: this kernel was built without user data")
            }
            Self::NoRoom => write!(f, "No space left: all targets' items have {} bytes", UserData::CAPACITY),
        }
    }
}

impl core::error::Error for UserDataError {}

impl Default for UserData {
    fn default() -> Self {
        Self::new()
    }
}

impl UserData {
    /// The longest key in bytes, as on Linux.
    pub const MAX_KEY: usize = 53;
    /// The longest value in bytes, as on Linux.
    pub const MAX_VALUE: usize = 200;
    /// The most items of one target, as on Linux.
    pub const MAX_ITEMS: usize = 256;
    /// The pool's size in bytes: one target's items at their longest; 0 without the feature `user-data`.
    pub const CAPACITY: usize = if cfg!(feature = "user-data") {
        Self::MAX_ITEMS * (Self::MAX_KEY + Self::MAX_VALUE + " =\n".len())
    } else {
        0
    };

    /// No items. All zero, so that a static pool takes no place in an image.
    pub const fn new() -> Self {
        Self { lines: [0; Self::CAPACITY], lengths: [0; 2 * MAX_TARGETS], checksums: [0; MAX_TARGETS] }
    }

    /// What the messages of the target `number` end with: whole lines, ` KEY=VALUE\n`.
    pub fn lines(&self, number: usize) -> &[u8] {
        self.lines.get(self.section(sent(number))).unwrap_or_default()
    }

    /// As [`lines`](Self::lines), but none where they are damaged, or were being changed when the machine crashed.
    /// Panic-safe: any content of the pool will do.
    pub fn whole_lines(&self, number: usize) -> &[u8] {
        let lines = self.lines(number);
        if self.checksums.get(number) == Some(&checksum(lines)) { lines } else { &[] }
    }

    /// The keys and values of the target `number`.
    pub fn items(&self, number: usize) -> impl Iterator<Item = (&str, &str)> {
        let range = self.section(sent(number)).start..self.section(unsent(number)).end;
        let lines = self.lines.get(range).unwrap_or_default();
        let text = core::str::from_utf8(lines).unwrap_or("");
        text.lines().filter_map(|line| line.strip_prefix(' ')?.split_once('='))
    }

    /// The value of an item, empty before it was set.
    pub fn value(&self, number: usize, key: &str) -> Option<&str> {
        self.items(number).find(|(found, _)| *found == key).map(|(_, value)| value)
    }

    /// Makes an item without a value.
    pub fn create(&mut self, number: usize, key: &str) -> Result<(), UserDataError> {
        let is_foreign = |byte: u8| !byte.is_ascii_graphic() || matches!(byte, b'/' | b'=');
        if key.is_empty() || key.len() > Self::MAX_KEY || key.bytes().any(is_foreign) {
            return Err(UserDataError::Key);
        }
        if self.value(number, key).is_some() {
            return Err(UserDataError::Exists);
        }
        if self.items(number).count() >= Self::MAX_ITEMS {
            return Err(UserDataError::TooMany);
        }
        self.append(unsent(number), key, "")
    }

    /// Sets an item's value; an item whose value is empty is not sent.
    pub fn set(&mut self, number: usize, key: &str, value: &str) -> Result<(), UserDataError> {
        if value.len() > Self::MAX_VALUE || value.contains(char::is_control) {
            return Err(UserDataError::Value);
        }
        let section = if value.is_empty() { unsent(number) } else { sent(number) };
        if let Some(line) = self.find(section, key) {
            // In its place, so that the items keep their order.
            return self.splice(section, line, &[" ", key, "=", value, "\n"]);
        }
        let other = if value.is_empty() { sent(number) } else { unsent(number) };
        let line = self.find(other, key).ok_or(UserDataError::Missing)?;
        let length = " =\n".len().saturating_add(key.len()).saturating_add(value.len());
        if self.used().saturating_sub(line.len()).saturating_add(length) > Self::CAPACITY {
            return Err(UserDataError::NoRoom);
        }
        self.splice(other, line, &[])?;
        self.append(section, key, value)
    }

    /// Removes an item.
    pub fn remove(&mut self, number: usize, key: &str) -> Result<(), UserDataError> {
        for section in [sent(number), unsent(number)] {
            if let Some(line) = self.find(section, key) {
                return self.splice(section, line, &[]);
            }
        }
        Err(UserDataError::Missing)
    }

    /// Removes all items of the target `number`.
    pub fn clear(&mut self, number: usize) {
        for section in [sent(number), unsent(number)] {
            // Taking away always has room.
            let _ = self.splice(section, self.section(section), &[]);
        }
    }

    fn append(&mut self, section: usize, key: &str, value: &str) -> Result<(), UserDataError> {
        let end = self.section(section).end;
        self.splice(section, end..end, &[" ", key, "=", value, "\n"])
    }

    fn used(&self) -> usize {
        self.lengths.iter().sum()
    }

    /// Where a section lies in the pool.
    fn section(&self, section: usize) -> Range<usize> {
        // Damaged lengths may have any sum; they lead out of the pool.
        let start = self.lengths.iter().take(section).fold(0, |sum: usize, &len| sum.saturating_add(len));
        start..start.saturating_add(self.lengths.get(section).copied().unwrap_or(0))
    }

    /// Where the line of `key` lies in the pool, if it is in this section.
    fn find(&self, section: usize, key: &str) -> Option<Range<usize>> {
        let range = self.section(section);
        let mut start = range.start;
        for line in self.lines.get(range)?.split_inclusive(|&byte| byte == b'\n') {
            let end = start.saturating_add(line.len());
            let found =
                line.get(1..)?.strip_prefix(key.as_bytes()).is_some_and(|rest| rest.starts_with(b"="));
            if found {
                return Some(start..end);
            }
            start = end;
        }
        None
    }

    /// Replaces a part of a section.
    fn splice(&mut self, section: usize, old: Range<usize>, new: &[&str]) -> Result<(), UserDataError> {
        let used = self.used();
        let length: usize = new.iter().map(|part| part.len()).sum();
        let to = old.start.saturating_add(length);
        let moved = used.saturating_sub(old.end);
        if to.saturating_add(moved) > Self::CAPACITY {
            return Err(UserDataError::NoRoom);
        }
        // Within the pool: `old` lies in what is used, and the moved part was found to fit.
        self.lines.copy_within(old.end..used, to);
        let bytes = new.iter().flat_map(|part| part.bytes());
        for (slot, byte) in self.lines.iter_mut().skip(old.start).zip(bytes) {
            *slot = byte;
        }
        if let Some(section) = self.lengths.get_mut(section) {
            *section = section.saturating_sub(old.len()).saturating_add(length);
        }
        // The other targets' lines have moved, but are the same.
        let target = section / 2;
        let sum = checksum(self.lines(target));
        if let Some(checksum) = self.checksums.get_mut(target) {
            *checksum = sum;
        }
        Ok(())
    }
}

/// That of no lines is 0, so that the pool's memory begins as zeros and takes no room in the image.
const fn checksum(lines: &[u8]) -> u64 {
    // With the length, lest zeros pass for nothing.
    let (mut sum, mut rest) = (mix(0, lines.len() as u64), lines);
    while let [byte, behind @ ..] = rest {
        sum = mix(sum, *byte as u64);
        rest = behind;
    }
    sum
}

fn sent(number: usize) -> usize {
    number.saturating_mul(2)
}

fn unsent(number: usize) -> usize {
    sent(number).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn pool() -> Box<UserData> {
        Box::new(UserData::new())
    }

    #[test]
    fn an_item_is_sent_once_it_has_a_value() {
        let mut pool = pool();
        pool.create(3, "rack").expect("a good key");
        assert_eq!((pool.lines(3), pool.value(3, "rack")), (&b""[..], Some("")));
        pool.set(3, "rack", "b 7").expect("a good value");
        pool.create(3, "slot").expect("another");
        pool.set(3, "slot", "2").expect("a good value");
        pool.set(3, "rack", "12").expect("a new value");
        assert_eq!(pool.lines(3), b" rack=12\n slot=2\n");
        pool.remove(3, "rack").expect("it is there");
        pool.set(3, "slot", "").expect("no value");
        assert_eq!((pool.lines(3), pool.items(3).count()), (&b""[..], 1));
    }

    #[test]
    fn what_linux_refuses_is_refused() {
        let mut pool = pool();
        for key in ["", "a b", "a/b", "a=b", "a\n", "\u{e4}", &"k".repeat(54)] {
            assert_eq!(pool.create(0, key), Err(UserDataError::Key), "{key:?}");
        }
        pool.create(0, "k").expect("a good key");
        assert_eq!(pool.create(0, "k"), Err(UserDataError::Exists));
        assert_eq!(pool.set(0, "k", &"v".repeat(201)), Err(UserDataError::Value));
        assert_eq!(pool.set(0, "k", "a\nb"), Err(UserDataError::Value));
        assert_eq!(pool.set(0, "other", "v"), Err(UserDataError::Missing));
        assert_eq!(pool.set(1, "k", "v"), Err(UserDataError::Missing), "another target");
        assert_eq!(pool.remove(0, "other"), Err(UserDataError::Missing));
    }

    #[test]
    fn a_target_can_have_256_of_the_longest_items_and_no_more() {
        let mut pool = pool();
        let key = |number: usize| format!("{number:053}");
        for number in 0..256 {
            pool.create(7, &key(number)).expect("room for an item");
            pool.set(7, &key(number), &"v".repeat(200)).expect("room for its value");
        }
        assert_eq!(pool.lines(7).len(), UserData::CAPACITY);
        assert_eq!(pool.create(7, "one-more"), Err(UserDataError::TooMany));
        assert_eq!(pool.create(8, "k"), Err(UserDataError::NoRoom));
        pool.set(7, &key(0), "short").expect("less");
        assert_eq!(pool.create(8, "k"), Ok(()));
        assert_eq!(pool.set(8, "k", &"v".repeat(200)), Err(UserDataError::NoRoom));
        assert_eq!(pool.value(8, "k"), Some(""), "what was refused changed nothing");
    }

    #[test]
    fn damage_to_one_target_s_lines_costs_those_alone() {
        let mut pool = pool();
        for number in [0, 3] {
            pool.create(number, "rack").expect("a good key");
            pool.set(number, "rack", "b 7").expect("a good value");
        }
        pool.lines[3] ^= 1;
        assert_eq!((pool.whole_lines(0), pool.whole_lines(3)), (&b""[..], &b" rack=b 7\n"[..]));
        for length in [0, 1, usize::MAX] {
            pool.lengths = [length; 2 * MAX_TARGETS];
            assert!((0..MAX_TARGETS).all(|number| pool.whole_lines(number).is_empty()), "{length}");
        }
    }

    proptest! {
        #[test]
        fn it_holds_what_a_map_would(
            steps in proptest::collection::vec((0usize..MAX_TARGETS, "[ab]{1,2}", 0u8..3, "[xy ]{0,9}"), 0..60),
        ) {
            let mut pool = pool();
            let mut model: BTreeMap<(usize, String), String> = BTreeMap::new();
            for (target, key, step, value) in steps {
                let place = (target, key.clone());
                match step {
                    0 => {
                        prop_assert_eq!(pool.create(target, &key).is_ok(), !model.contains_key(&place));
                        model.entry(place).or_default();
                    }
                    1 => {
                        prop_assert_eq!(pool.set(target, &key, &value).is_ok(), model.contains_key(&place));
                        model.entry(place).and_modify(|old| *old = value);
                    }
                    _ => prop_assert_eq!(pool.remove(target, &key).is_ok(), model.remove(&place).is_some()),
                }
            }
            for target in 0..MAX_TARGETS {
                let mut found: Vec<_> = pool.items(target).map(|(k, v)| (k.into(), v.into())).collect();
                found.sort();
                let wanted: Vec<(String, String)> = model
                    .iter().filter(|((of, _), _)| *of == target).map(|((_, k), v)| (k.clone(), v.clone())).collect();
                prop_assert_eq!(&found, &wanted);
                let sent = wanted.iter().filter(|(_, value)| !value.is_empty()).count();
                prop_assert_eq!(pool.whole_lines(target), pool.lines(target));
                prop_assert_eq!(pool.lines(target).split_inclusive(|&byte| byte == b'\n').count(), sent);
            }
        }
    }
}
