//! What the boot loader says about the machine, the same whatever the protocol. The loader's
//! structures are foreign bytes: their addresses, lengths and counts are believed only as far as they
//! can be checked, and every loop over them is bounded. Nothing is logged here, since the log is not
//! up yet; what is wrong is kept in [`Problems`].

#![cfg_attr(not(test), no_std)]
// What loaders and firmware left is foreign bytes: nothing here may panic.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::todo,
        clippy::unimplemented,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]
#![forbid(unsafe_code)]

mod command_line;
pub mod firmware;
pub mod kvm_clock;
mod linux;
mod memory_map;
mod multiboot1;
mod multiboot2;
pub mod parameters;
mod physical_memory;
mod problem;
mod pvh;
pub mod rtc;
mod text;
mod uefi;

pub use command_line::{CommandLine, MAX_COMMAND_LINE};
pub use memory_map::{MemoryMap, MemoryRegion};
pub(crate) use physical_memory::Fields;
pub use physical_memory::PhysicalMemory;
pub use problem::{Problem, Problems};
pub use uefi::UefiInfo;

use crate::firmware::acpi;
use core::fmt;
use memory_map::MapError;
use netconsole::text::Text;

/// The magic numbers that the entry code gives to [`BootInfo::read`] where the loader gives none.
pub mod magic {
    /// For PVH.
    pub const PVH: u32 = super::pvh::MAGIC;
    /// For Linux's protocol.
    pub const LINUX: u32 = super::linux::MAGIC;
    /// For UEFI.
    pub const UEFI: u32 = super::uefi::MAGIC;
}

/// How the kernel was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// By a loader that is not known.
    Unknown,
    /// Multiboot Specification 0.6.96.
    Multiboot1,
    /// Multiboot2 Specification 2.0.
    Multiboot2,
    /// Xen's PVH.
    Pvh,
    /// Linux/x86.
    Linux,
    /// UEFI firmware itself, or a loader by its means.
    Uefi,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Multiboot1 => "multiboot",
            Self::Multiboot2 => "multiboot2",
            Self::Pvh => "PVH",
            Self::Linux => "Linux",
            Self::Uefi => "UEFI",
        })
    }
}

/// What the boot loader says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootInfo {
    /// How it says it.
    pub protocol: Protocol,
    /// The command line; where its end could not be read or kept, up to its last whole parameter, and a key's.
    pub command_line: CommandLine,
    /// Usable memory. The image itself and the loader's structures may lie in it.
    pub memory: MemoryMap,
    /// The loader's own name, where it gives one.
    pub loader: Text<64>,
    /// ACPI's table of tables, where the loader gives a sound root pointer.
    pub acpi: Option<acpi::Root>,
    /// The physical address of UEFI's system table, where the loader gives one: the firmware is UEFI.
    pub uefi: Option<u64>,
    /// What is wrong with all this.
    pub problems: Problems,
}

/// What is assumed where nothing says how much memory there is: up to 8 MiB.
const LEAST_MEMORY: MemoryRegion = MemoryRegion { start: MIB, len: 7 * MIB };
const MIB: u64 = 1 << 20;

/// How many entries of a memory map are looked at.
const MAX_MAP_ENTRIES: usize = 1024;
/// The type of usable memory in every protocol's map (ACPI 6.5, section 15, `AddressRangeMemory`).
const USABLE: u32 = 1;

impl BootInfo {
    /// Reads the structure at `info` of the protocol that `magic` stands for: what the loader left in
    /// EAX for multiboot 1 and 2; for the others, which have no such register, the entry code gives
    /// a number of [`magic`].
    pub fn read(magic: u32, info: u64, memory: &dyn PhysicalMemory) -> Self {
        let mut boot = Self {
            protocol: Protocol::Unknown,
            command_line: Text::new(),
            memory: MemoryMap::EMPTY,
            loader: Text::new(),
            acpi: None,
            uefi: None,
            problems: Problems::default(),
        };
        let whole = match magic {
            multiboot1::MAGIC => {
                boot.protocol = Protocol::Multiboot1;
                multiboot1::read(&mut boot, info, memory)
            }
            multiboot2::MAGIC => {
                boot.protocol = Protocol::Multiboot2;
                multiboot2::read(&mut boot, info, memory)
            }
            pvh::MAGIC => {
                boot.protocol = Protocol::Pvh;
                pvh::read(&mut boot, info, memory)
            }
            linux::MAGIC => {
                boot.protocol = Protocol::Linux;
                linux::read(&mut boot, info, memory)
            }
            uefi::MAGIC => {
                boot.protocol = Protocol::Uefi;
                uefi::read(&mut boot, info, memory)
            }
            _ => {
                boot.problems.add(Problem::UnknownMagic);
                Some(())
            }
        };
        if whole.is_none() {
            boot.problems.add(Problem::NoInformation);
        }
        // GRUB quotes as its shell does (grub-core/lib/cmdline.c); only it reads that.
        if boot.loader.as_bytes().starts_with(b"GRUB") {
            text::unescape(&mut boot.command_line);
        }
        if boot.memory.regions().is_empty() {
            boot.problems.add(Problem::MemoryUnknown);
            boot.add_memory(LEAST_MEMORY.start, LEAST_MEMORY.len);
        }
        boot
    }

    /// Adds a usable region to the map.
    fn add_memory(&mut self, start: u64, len: u64) {
        match self.memory.add(start, len) {
            Ok(()) => {}
            Err(MapError::Full) => self.problems.add(Problem::MemoryMapTooLong),
            Err(MapError::Wraps) => self.problems.add(Problem::MemoryMapDamaged),
        }
    }

    /// Takes the memory's size for a map where the loader gave none: KiB from 0 and from 1 MiB on.
    fn add_memory_sizes(&mut self, lower: u32, upper: u32) {
        if self.memory.regions().is_empty() {
            self.problems.add(Problem::NoMemoryMap);
            // Below 1 MiB no more than 640 KiB are memory on a PC.
            self.add_memory(0, u64::from(lower.min(640)).saturating_mul(1024));
            self.add_memory(MIB, u64::from(upper).saturating_mul(1024));
        }
    }

    /// Copies the loader's zero-terminated name at `address`.
    fn copy_loader_name(&mut self, memory: &dyn PhysicalMemory, address: u64) {
        if text::copy(&mut self.loader, memory, address).is_err() {
            self.problems.add(Problem::LoaderNameUnreadable);
        }
    }
}

#[cfg(test)]
mod tests;
