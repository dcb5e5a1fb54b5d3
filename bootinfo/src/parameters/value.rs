//! Simple values: numbers, switches, words, sizes, keys, and what an error says that it expected.

use super::console::ConsoleError;
use super::crash::CrashError;
use super::fallback::FallbackError;
use core::fmt;
use netconsole::targets::attribute;

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
    /// The log ring's size in bytes.
    Size,
    /// What the kernel does after the boot log.
    After,
    /// What is broadcast where no target could be taken.
    Fallback,
    /// A serial port.
    Console,
    /// A virtio device over MMIO.
    VirtioMmio,
    /// A crash.
    Crash(CrashError),
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number { min, max } => write!(f, "a number from {min} to {max}"),
            Self::Switch => f.write_str("0 or 1"),
            Self::Size => f.write_str("a power of two from 64K to 16M"),
            Self::After => f.write_str("serve, poweroff, reboot, halt or exit"),
            Self::Fallback => f.write_str("errors, log or off"),
            Self::Console => f.write_str(
                "ttyS0 to ttyS3, then, if need be, ',' and the speed (115200 or what divides it), \
                 parity (n, o, e) and bits (5 to 8), or null",
            ),
            Self::VirtioMmio => f.write_str(
                "a size, '@', an address from 1 MiB to 4 GiB and ':' with an interrupt's number, for 8 \
                 devices at most",
            ),
            Self::Crash(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ValueError {}

impl From<ConsoleError> for ValueError {
    fn from(_: ConsoleError) -> Self {
        Self::Console
    }
}

impl From<FallbackError> for ValueError {
    fn from(_: FallbackError) -> Self {
        Self::Fallback
    }
}

impl From<CrashError> for ValueError {
    fn from(error: CrashError) -> Self {
        Self::Crash(error)
    }
}

/// A decimal number from `min` to `max`.
pub(super) fn number<T>(text: &str, min: T, max: T) -> Result<T, ValueError>
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
    if bare { Ok(true) } else { attribute::switch(text).ok_or(ValueError::Switch) }
}

/// A power of two with K, M or G behind it, from `min` to `max` bytes.
pub(super) fn size(text: &str, min: usize, max: usize) -> Result<usize, ValueError> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: usize = match text.get(digits.len()..) {
        Some("") => 1,
        Some("K" | "k") => 1 << 10,
        Some("M" | "m") => 1 << 20,
        Some("G" | "g") => 1 << 30,
        _ => return Err(ValueError::Size),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ValueError::Size);
    }
    digits
        .parse::<usize>()
        .ok()
        .and_then(|number| number.checked_mul(unit))
        .filter(|size| size.is_power_of_two() && (min..=max).contains(size))
        .ok_or(ValueError::Size)
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
