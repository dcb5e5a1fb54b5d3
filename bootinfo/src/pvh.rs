//! PVH: `hvm_start_info` (Xen, public/arch-x86/hvm/start_info.h), which QEMU, Firecracker and Cloud
//! Hypervisor give too.

use crate::firmware::acpi::Root;
use crate::physical_memory::Fields;
use crate::{BootInfo, MAX_MAP_ENTRIES, PhysicalMemory, Problem, USABLE};

/// The structure's own magic number, "xEn3" with the highest bit of `E` set.
pub(super) const MAGIC: u32 = 0x336e_c578;

/// Version 0 ends behind `rsdp_paddr`; version 1 adds the memory map.
const INFO_LEN: usize = 40;
const INFO_LEN_1: usize = 56;
mod field {
    pub const MAGIC: usize = 0;
    pub const VERSION: usize = 4;
    pub const CMDLINE_PADDR: usize = 24;
    pub const RSDP_PADDR: usize = 32;
    pub const MEMMAP_PADDR: usize = 40;
    pub const MEMMAP_ENTRIES: usize = 48;
}
/// An entry: address, size, type, reserved.
const ENTRY_LEN: usize = 24;

pub(super) fn read(boot: &mut BootInfo, address: u64, memory: &dyn PhysicalMemory) -> Option<()> {
    let info = Fields::read(memory, address, INFO_LEN)?;
    if info.u32(field::MAGIC) != Some(MAGIC) {
        return None;
    }
    // Address 0 stands for "not there" in both.
    if let Some(command_line) = info.u64(field::CMDLINE_PADDR).filter(|&address| address != 0) {
        boot.copy_command_line(memory, command_line);
    }
    boot.acpi = info.u64(field::RSDP_PADDR).and_then(|address| Root::read(memory, address));
    if info.u32(field::VERSION)? == 0 {
        return Some(());
    }
    let info = Fields::read(memory, address, INFO_LEN_1)?;
    let count = usize::try_from(info.u32(field::MEMMAP_ENTRIES)?).ok()?;
    let mut entry = info.u64(field::MEMMAP_PADDR)?;
    if count > MAX_MAP_ENTRIES {
        boot.problems.add(Problem::MemoryMapTooLong);
    }
    for _ in 0..count.min(MAX_MAP_ENTRIES) {
        let Some(fields) = Fields::read(memory, entry, ENTRY_LEN) else {
            boot.problems.add(Problem::MemoryMapDamaged);
            break;
        };
        if fields.u32(16)? == USABLE {
            boot.add_memory(fields.u64(0)?, fields.u64(8)?);
        }
        entry = entry.saturating_add(24);
    }
    Some(())
}
