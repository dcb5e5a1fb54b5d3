//! IOMMUs that somebody left on, the firmware or a kernel that crashed: what they translate is gone with whom they did it
//! for, and the cards reach nothing. They are turned off.
//!
//! The order, for whoever calls this: first no device may reach memory any more
//! ([`stop_bus_masters`](super::pci::stop_bus_masters)), for with the translation goes the protection; then every IOMMU
//! is turned off; then the cards are brought up. Each wait ends by the clock. Panic-safe.

mod amd;
#[cfg(test)]
mod tests;
#[cfg(feature = "virtio")]
mod virtio;
mod vtd;

#[cfg(feature = "virtio")]
pub use virtio::{bypass_mmio, bypass_pci, is_virtio_iommu};

use super::mmio::Window;
use super::{Addresses, Waits};
use core::fmt;

/// An IOMMU's registers, 32 bits at once.
pub trait Registers {
    /// Reads a register. An IOMMU that is not there reads as all ones.
    fn read(&self, register: usize) -> u32;
    /// Writes a register.
    fn write(&mut self, register: usize, value: u32);
}

/// The kinds whose registers lie at a physical address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Intel's VT-d.
    IntelVtd,
    /// AMD's.
    AmdVi,
}

impl Kind {
    /// How much of its registers is used, in bytes from their beginning.
    pub const fn length(self) -> u64 {
        match self {
            Self::IntelVtd => vtd::LENGTH,
            Self::AmdVi => amd::LENGTH,
        }
    }
}

/// What was found, and is so now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It lets everything through, as it did before.
    Off,
    /// It was on, and is off.
    TurnedOff,
}

/// Why an IOMMU may go on keeping the cards from memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stuck {
    /// Its registers can't be reached, or nothing answers there.
    Absent,
    /// It goes on translating.
    Translation,
    /// It goes on keeping devices from a range of memory.
    ProtectedMemory,
    /// It does not offer to let devices through.
    NoBypass,
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "nothing answers at its registers",
            Self::Translation => "its translation can't be turned off",
            Self::ProtectedMemory => "its protection of memory can't be turned off",
            Self::NoBypass => "it does not offer to let devices bypass it",
        })
    }
}

impl core::error::Error for Stuck {}

/// An IOMMU whose registers are mapped.
pub struct Unit {
    kind: Kind,
    registers: Mapped,
}

struct Mapped(Window);

impl Registers for Mapped {
    fn read(&self, register: usize) -> u32 {
        self.0.read(register).unwrap_or(u32::MAX)
    }

    fn write(&mut self, register: usize, value: u32) {
        let _ = self.0.write(register, value);
    }
}

impl Unit {
    /// The one whose registers are at the physical `address`.
    pub fn at(kind: Kind, address: u64, addresses: &Addresses) -> Result<Self, Stuck> {
        let window = Window::at_address(address, kind.length(), addresses).ok_or(Stuck::Absent)?;
        Ok(Self { kind, registers: Mapped(window) })
    }

    /// Whether it does anything to what devices do. Only reads.
    pub fn is_on(&self) -> bool {
        match self.kind {
            Kind::IntelVtd => vtd::is_on(&self.registers),
            Kind::AmdVi => amd::is_on(&self.registers),
        }
    }

    /// Turns it off, no device reaching memory meanwhile.
    pub fn turn_off(&mut self, waits: Waits) -> Result<Found, Stuck> {
        match self.kind {
            Kind::IntelVtd => vtd::turn_off(&mut self.registers, waits),
            Kind::AmdVi => amd::turn_off(&mut self.registers, waits),
        }
    }
}

/// How long an IOMMU may take for what it was told, in µs: it finishes what is under way, which takes far less.
const PATIENCE: u64 = 100_000;

/// Reads `register` until `is_done`, for [`PATIENCE`] at most; false where it does not come to that. All ones says that
/// nothing answers any more, as no register that is waited for has them: each such read may take 50 ms, so that it is
/// the last.
fn wait_for(
    registers: &impl Registers,
    register: usize,
    waits: Waits,
    is_done: impl Fn(u32) -> bool,
) -> bool {
    let look = || match registers.read(register) {
        u32::MAX => Some(false),
        word => is_done(word).then_some(true),
    };
    waits.until(PATIENCE, look).unwrap_or(false)
}

/// Whether something answers at a register that is never all zeros or ones.
fn is_present(word: u32) -> bool {
    word != 0 && word != u32::MAX
}
