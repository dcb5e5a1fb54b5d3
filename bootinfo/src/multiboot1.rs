//! Multiboot Specification 0.6.96, section 3.3: the boot information.

use crate::physical_memory::Fields;
use crate::{BootInfo, MAX_MAP_ENTRIES, PhysicalMemory, Problem, USABLE};

/// What the loader leaves in EAX (section 3.2).
pub(super) const MAGIC: u32 = 0x2bad_b002;

/// Up to `boot_loader_name`, the last field that is read.
const INFO_LEN: usize = 68;
mod field {
    pub const FLAGS: usize = 0;
    pub const MEM_LOWER: usize = 4;
    pub const MEM_UPPER: usize = 8;
    pub const CMDLINE: usize = 16;
    pub const MMAP_LENGTH: usize = 44;
    pub const MMAP_ADDR: usize = 48;
    pub const BOOT_LOADER_NAME: usize = 64;
}
mod flag {
    pub const MEM: u32 = 1 << 0;
    pub const CMDLINE: u32 = 1 << 2;
    pub const MMAP: u32 = 1 << 6;
    pub const BOOT_LOADER_NAME: u32 = 1 << 9;
}

/// An entry's `size`, which does not count itself, is at least this: base, length, type.
const LEAST_ENTRY_SIZE: u32 = 20;

pub(super) fn read(boot: &mut BootInfo, info: u64, memory: &dyn PhysicalMemory) -> Option<()> {
    let info = Fields::read(memory, info, INFO_LEN)?;
    let flags = info.u32(field::FLAGS)?;
    let has = |flag| flags & flag != 0;
    if has(flag::CMDLINE) {
        boot.copy_command_line(memory, info.u32(field::CMDLINE)?.into());
    }
    if has(flag::BOOT_LOADER_NAME) {
        boot.copy_loader_name(memory, info.u32(field::BOOT_LOADER_NAME)?.into());
    }
    if has(flag::MMAP) {
        read_map(boot, memory, info.u32(field::MMAP_ADDR)?.into(), info.u32(field::MMAP_LENGTH)?);
    }
    if has(flag::MEM) {
        boot.add_memory_sizes(info.u32(field::MEM_LOWER)?, info.u32(field::MEM_UPPER)?);
    }
    Some(())
}

fn read_map(boot: &mut BootInfo, memory: &dyn PhysicalMemory, address: u64, length: u32) {
    let mut offset = 0;
    let mut entries = 0;
    while offset < u64::from(length) {
        if entries == MAX_MAP_ENTRIES {
            return boot.problems.add(Problem::MemoryMapTooLong);
        }
        entries = entries.saturating_add(1);
        let Some((size, kind, base, len)) = read_entry(memory, address.saturating_add(offset)) else {
            return boot.problems.add(Problem::MemoryMapDamaged);
        };
        if kind == USABLE {
            boot.add_memory(base, len);
        }
        offset = offset.saturating_add(u64::from(size)).saturating_add(4);
    }
}

/// An entry's size, type, base address and length.
fn read_entry(memory: &dyn PhysicalMemory, address: u64) -> Option<(u32, u32, u64, u64)> {
    let entry = Fields::read(memory, address, 24)?;
    let size = entry.u32(0).filter(|&size| size >= LEAST_ENTRY_SIZE)?;
    Some((size, entry.u32(20)?, entry.u64(4)?, entry.u64(12)?))
}
