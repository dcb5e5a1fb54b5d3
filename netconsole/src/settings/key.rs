//! `netconsole.key=`, and what may be meant for it: a key with a typing error in its name must not be taken for a
//! parameter of somebody else, nor be shown.

use super::value;
use crate::cmdline::{self, Parameter};

/// The parameter whose value is a secret.
pub(super) const NAME: &str = "netconsole.key";
/// What the name of a parameter that is meant for it begins with; the dot may be another separator.
const BEGIN: &[u8] = b"netconsole.k";
/// How many hexadecimal digits a key has.
const DIGITS: usize = 64;

/// What a parameter has to do with the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    /// Nothing.
    None,
    /// It is no parameter of ours, but a key may be in it: it has as many hexadecimal digits.
    Digits,
    /// It has another name that begins as the key's.
    Misspelt,
    /// A key, or what begins like it, is part of another parameter, by a quote that is not closed before it.
    Swallowed,
    /// It is the key.
    Key,
}

impl Likeness {
    /// What `parameter` has to do with the key.
    pub fn of(parameter: &Parameter<'_>) -> Self {
        if parameter.name == NAME.as_bytes() {
            return Self::Key;
        }
        match find(parameter.name) {
            Some(0) => return Self::Misspelt,
            Some(_) => return Self::Swallowed,
            None => {}
        }
        let value = parameter.value.unwrap_or_default();
        if find(value).is_some() {
            Self::Swallowed
        } else if digits(parameter.name).or(digits(value)).is_some() {
            Self::Digits
        } else {
            Self::None
        }
    }
}

/// Whether a key is in a part of a command line, or may be.
pub fn may_hold_key(text: &[u8]) -> bool {
    find(text).or(digits(text).map(|digits| digits.start)).is_some()
}

/// The offset of the first thing that begins as the key's name.
pub(crate) fn find(text: &[u8]) -> Option<usize> {
    let is_begin = |window: &[u8]| {
        let mut bytes = window.iter().zip(BEGIN);
        bytes.all(|(byte, begin)| match begin {
            b'.' => b"._-".contains(byte),
            letter => byte.eq_ignore_ascii_case(letter),
        })
    };
    text.windows(BEGIN.len()).position(is_begin)
}

/// The first run of as many hexadecimal digits as a key has, or more.
fn digits(text: &[u8]) -> Option<core::ops::Range<usize>> {
    let mut start = 0_usize;
    for run in text.split(|byte| !byte.is_ascii_hexdigit()) {
        let end = start.saturating_add(run.len());
        if run.len() >= DIGITS {
            return Some(start..end);
        }
        start = end.saturating_add(1);
    }
    None
}

/// Overwrites with `*` what may be a key, so that the line can be logged: the rest of its word after each name like
/// `netconsole.key`, also behind a `--`, or where open quotes make it a part of another parameter; and every run of as
/// many hexadecimal digits.
pub fn wipe_keys(command_line: &mut [u8]) {
    let mut start = 0;
    while let Some((_, end)) = cmdline::next_word(command_line, start) {
        if let Some(word) = command_line.get_mut(start..end) {
            wipe_word(word);
        }
        start = end;
    }
}

fn wipe_word(word: &mut [u8]) {
    let wipe =
        |bytes: &mut [u8]| bytes.iter_mut().filter(|byte| **byte != b'"').for_each(|byte| *byte = b'*');
    while let Some(range) = digits(word) {
        word.get_mut(range).into_iter().for_each(wipe);
    }
    let Some(name) = find(word) else { return };
    let behind_name =
        name.saturating_add(if word.get(name..).is_some_and(|word| word.starts_with(NAME.as_bytes())) {
            NAME.len()
        } else {
            BEGIN.len()
        });
    let rest = word.get_mut(behind_name..).unwrap_or_default();
    let value = rest.iter().position(|&byte| byte == b'=').map_or(0, |equals| equals.saturating_add(1));
    rest.get_mut(value..).into_iter().for_each(wipe);
}

/// The key that is a parameter's value; `None` for anything else.
pub(super) fn parse(parameter: &Parameter<'_>) -> Option<[u8; 32]> {
    value::key(parameter.value.unwrap_or_default())
}
