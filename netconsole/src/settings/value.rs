//! Simple values: numbers, switches, keys, and what an error says that it expected.

use super::fallback::FallbackError;
use core::fmt;

/// What a parameter takes, where it got something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueError {
    /// A decimal number in these bounds.
    Number {
        /// The lowest.
        min: i64,
        /// The highest.
        max: i64,
    },
    /// `0`, `1`, `n`, `y`.
    Switch,
    /// What is broadcast where no target could be taken.
    Fallback,
    /// An item for the targets before it.
    UserData,
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number { min, max } => write!(f, "a number from {min} to {max}"),
            Self::Switch => f.write_str("0 or 1"),
            Self::Fallback => f.write_str("errors, log or off"),
            Self::UserData => f.write_str(
                "KEY=VALUE behind the netconsole= that it is for, 255 bytes at most and 1,000 for all",
            ),
        }
    }
}

impl core::error::Error for ValueError {}

impl From<FallbackError> for ValueError {
    fn from(_: FallbackError) -> Self {
        Self::Fallback
    }
}

/// A decimal number from `min` to `max`.
pub fn number<T>(text: &str, min: T, max: T) -> Result<T, ValueError>
where
    T: Copy + PartialOrd + TryFrom<i64> + Into<i64>,
{
    let error = ValueError::Number { min: min.into(), max: max.into() };
    // Rust's parser takes a sign that nobody means.
    if text.starts_with('+') {
        return Err(error);
    }
    let number: i64 = text.parse().map_err(|_| error)?;
    T::try_from(number).ok().filter(|number| (min..=max).contains(number)).ok_or(error)
}

/// A limit of levels. As on Linux a number above 8 is no error: it too lets all levels pass.
pub(super) fn log_level(text: &str) -> Result<u8, ValueError> {
    number(text, 0, 8).or_else(|error| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { Ok(8) } else { Err(error) }
    })
}

/// A switch; a parameter without a value (`bare`) is on, as on Linux.
pub(super) fn switch(bare: bool, text: &str) -> Result<bool, ValueError> {
    if bare { Ok(true) } else { truth(text).ok_or(ValueError::Switch) }
}

/// 32 bytes of 64 hexadecimal digits; `None` for anything else.
pub(super) fn key(text: &[u8]) -> Option<[u8; 32]> {
    let mut key = [0; 32];
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    if pairs.len() != key.len() {
        return None;
    }
    for (octet, &[high, low]) in key.iter_mut().zip(pairs) {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *octet = digit(high)? << 4 | digit(low)?;
    }
    Some(key)
}

/// The words that Linux's `kstrtobool` takes.
pub fn truth(value: &str) -> Option<bool> {
    let is = |words: [&str; 5]| words.iter().any(|word| value.eq_ignore_ascii_case(word));
    if is(["1", "y", "yes", "on", "true"]) {
        Some(true)
    } else if is(["0", "n", "no", "off", "false"]) {
        Some(false)
    } else {
        None
    }
}
