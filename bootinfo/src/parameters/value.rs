//! Simple values that only the kernel's own parameters have, and what an error says that it expected.

use super::console::ConsoleError;
use super::crash::CrashError;
use core::fmt;
use netconsole::settings::ValueError as Simple;

/// What a parameter takes, where it got something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueError {
    /// A number.
    Simple(Simple),
    /// The log ring's size in bytes.
    Size,
    /// What the kernel does after the boot log.
    After,
    /// A serial port.
    Console,
    /// A virtio device over MMIO.
    VirtioMmio,
    /// An address.
    Address,
    /// Where a crashed Linux is to be looked for.
    Scan,
    /// A crash.
    Crash(CrashError),
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Simple(simple) => simple.fmt(f),
            Self::Size => f.write_str("a power of two from 64K to 16M"),
            Self::After => f.write_str("serve, poweroff, reboot, halt or exit"),
            Self::Console => f.write_str(
                "ttyS0 to ttyS3, then, if need be, ',' and the speed (115200 or what divides it), \
                 parity (n, o, e) and bits (5 to 8), or null",
            ),
            Self::VirtioMmio => f.write_str(
                "a size, '@', an address from 1 MiB to 4 GiB and ':' with an interrupt's number, for 8 \
                 devices at most",
            ),
            Self::Address => f.write_str("a physical address, with 0x or K, M or G"),
            Self::Scan => f.write_str("scan or again"),
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

impl From<Simple> for ValueError {
    fn from(simple: Simple) -> Self {
        Self::Simple(simple)
    }
}

impl From<CrashError> for ValueError {
    fn from(error: CrashError) -> Self {
        Self::Crash(error)
    }
}

/// A physical address as kexec's loaders write it: `0x1f000000`, `511348K`.
pub(super) fn address(text: &str) -> Result<u64, ValueError> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => {
            let digits = text.trim_end_matches(['K', 'k', 'M', 'm', 'G', 'g']);
            let unit: Option<u64> = match text.get(digits.len()..) {
                Some("") => Some(1),
                Some("K" | "k") => Some(1 << 10),
                Some("M" | "m") => Some(1 << 20),
                Some("G" | "g") => Some(1 << 30),
                _ => None,
            };
            digits.parse::<u64>().ok().zip(unit).and_then(|(number, unit)| number.checked_mul(unit))
        }
    };
    number.ok_or(ValueError::Address)
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
