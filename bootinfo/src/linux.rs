//! The Linux/x86 boot protocol (Documentation/arch/x86/boot.rst, zero-page.rst): `boot_params`.

use crate::firmware::acpi::Root;
use crate::physical_memory::Fields;
use crate::text;
use crate::{BootInfo, PhysicalMemory, Problem, USABLE};

/// The setup header's magic number, "HdrS".
pub(super) const MAGIC: u32 = u32::from_le_bytes(*b"HdrS");

/// `boot_params` is a page.
const INFO_LEN: usize = 4096;
mod field {
    pub const EXT_MEM_K: usize = 0x002;
    pub const ACPI_RSDP_ADDR: usize = 0x070;
    pub const EXT_CMD_LINE_PTR: usize = 0x0c8;
    pub const EFI_LOADER_SIGNATURE: usize = 0x1c0;
    pub const EFI_SYSTAB: usize = 0x1c4;
    pub const EFI_SYSTAB_HI: usize = 0x1d8;
    pub const ALT_MEM_K: usize = 0x1e0;
    pub const E820_ENTRIES: usize = 0x1e8;
    pub const HEADER: usize = 0x202;
    pub const TYPE_OF_LOADER: usize = 0x210;
    pub const CMD_LINE_PTR: usize = 0x228;
    pub const E820_TABLE: usize = 0x2d0;
}
/// The signature of a 64-bit UEFI.
const EFI_64: u32 = u32::from_le_bytes(*b"EL64");
/// An entry: address, size, type, without a gap.
const ENTRY_LEN: usize = 20;
/// The table's size.
const MAX_ENTRIES: usize = 128;

pub(super) fn read(boot: &mut BootInfo, info: u64, memory: &dyn PhysicalMemory) -> Option<()> {
    let info = Fields::read(memory, info, INFO_LEN)?;
    if info.u32(field::HEADER) != Some(MAGIC) {
        return None;
    }
    let low = u64::from(info.u32(field::CMD_LINE_PTR)?);
    let high = u64::from(info.u32(field::EXT_CMD_LINE_PTR)?);
    let command_line = high << 32 | low;
    if command_line != 0 {
        boot.copy_command_line(memory, command_line);
    }
    text::set(&mut boot.loader, loader_name(info.u8(field::TYPE_OF_LOADER)?).as_bytes());
    boot.acpi = info.u64(field::ACPI_RSDP_ADDR).and_then(|address| Root::read(memory, address));
    if info.u32(field::EFI_LOADER_SIGNATURE)? == EFI_64 {
        let low = u64::from(info.u32(field::EFI_SYSTAB)?);
        boot.uefi = Some(u64::from(info.u32(field::EFI_SYSTAB_HI)?) << 32 | low);
    }

    let count = usize::from(info.u8(field::E820_ENTRIES)?);
    if count > MAX_ENTRIES {
        boot.problems.add(Problem::MemoryMapDamaged);
    }
    let table = info.0.get(field::E820_TABLE..)?;
    for entry in table.chunks_exact(ENTRY_LEN).take(count.min(MAX_ENTRIES)).map(Fields) {
        if entry.u32(16)? == USABLE {
            boot.add_memory(entry.u64(0)?, entry.u64(8)?);
        }
    }
    // KiB from 1 MiB on; the older field has 16 bits.
    let upper = match info.u32(field::ALT_MEM_K)? {
        0 => info.u16(field::EXT_MEM_K)?.into(),
        upper => upper,
    };
    if upper > 0 {
        boot.add_memory_sizes(0, upper);
    }
    Some(())
}

/// The name for the upper four bits of `type_of_loader`.
fn loader_name(id: u8) -> &'static str {
    match id >> 4 {
        0x0 => "LILO",
        0x1 => "Loadlin",
        0x3 => "Syslinux",
        0x4 => "Etherboot/gPXE",
        0x5 => "ELILO",
        0x7 => "GRUB",
        0x8 => "U-Boot",
        0x9 => "Xen",
        0xa => "Gujin",
        0xb => "QEMU",
        0xd => "kexec-tools",
        _ => "",
    }
}
