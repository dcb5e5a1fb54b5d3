//! What the kernel's own UEFI entry (machine/efi.rs) has taken from the firmware: its memory map as
//! `GetMemoryMap` gives it (UEFI specification 2.10, section 7.2.3), and where the rest is.

use crate::firmware::uefi::SystemTable;
use crate::physical_memory::Fields;
use crate::{BootInfo, MAX_MAP_ENTRIES, PhysicalMemory, Problem};

/// The entry's own number, "UEFI".
pub(super) const MAGIC: u32 = u32::from_le_bytes(*b"UEFI");

/// What the entry gives; all addresses are physical, the command line ends with a zero.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct UefiInfo {
    /// The command line's address.
    pub command_line: u64,
    /// The memory map's address.
    pub map: u64,
    /// Its length in bytes.
    pub map_length: u64,
    /// The length of one of its descriptors in bytes: more than the specification's, in time.
    pub descriptor_length: u64,
    /// `EFI_SYSTEM_TABLE`'s address.
    pub system_table: u64,
}

const INFO_LEN: usize = size_of::<UefiInfo>();
mod field {
    use super::UefiInfo;
    use core::mem::offset_of;
    pub const COMMAND_LINE: usize = offset_of!(UefiInfo, command_line);
    pub const MAP: usize = offset_of!(UefiInfo, map);
    pub const MAP_LENGTH: usize = offset_of!(UefiInfo, map_length);
    pub const DESCRIPTOR_LENGTH: usize = offset_of!(UefiInfo, descriptor_length);
    pub const SYSTEM_TABLE: usize = offset_of!(UefiInfo, system_table);
}

/// `EFI_MEMORY_DESCRIPTOR`: offsets, and how long it is at least.
mod descriptor {
    pub const TYPE: usize = 0;
    pub const START: usize = 8;
    pub const PAGES: usize = 24;
    pub const LENGTH: u64 = 40;
}
const PAGE: u64 = 4096;

/// Section 7.2.1: the loader's and the boot services' memory, which is free once these have ended, and what was
/// never used (`EfiLoaderCode` to `EfiBootServicesData`, `EfiConventionalMemory`).
const fn is_usable(kind: u32) -> bool {
    matches!(kind, 1..=4 | 7)
}

pub(super) fn read(boot: &mut BootInfo, address: u64, memory: &dyn PhysicalMemory) -> Option<()> {
    let info = Fields::read(memory, address, INFO_LEN)?;
    boot.copy_command_line(memory, info.u64(field::COMMAND_LINE)?);
    let table = info.u64(field::SYSTEM_TABLE)?;
    boot.uefi = Some(table);
    boot.acpi = SystemTable::read(memory, table).and_then(|table| table.acpi(memory));
    let length = info.u64(field::DESCRIPTOR_LENGTH)?;
    let count = info.u64(field::MAP_LENGTH)?.checked_div(length).filter(|_| length >= descriptor::LENGTH)?;
    let count = usize::try_from(count).ok()?;
    if count > MAX_MAP_ENTRIES {
        boot.problems.add(Problem::MemoryMapTooLong);
    }
    let mut entry = info.u64(field::MAP)?;
    for _ in 0..count.min(MAX_MAP_ENTRIES) {
        let Some(fields) = Fields::read(memory, entry, usize::try_from(descriptor::LENGTH).ok()?) else {
            boot.problems.add(Problem::MemoryMapDamaged);
            break;
        };
        if is_usable(fields.u32(descriptor::TYPE)?) {
            match fields.u64(descriptor::PAGES)?.checked_mul(PAGE) {
                Some(len) => boot.add_memory(fields.u64(descriptor::START)?, len),
                None => boot.problems.add(Problem::MemoryMapDamaged),
            }
        }
        entry = entry.saturating_add(length);
    }
    Some(())
}
