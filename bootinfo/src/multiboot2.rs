//! Multiboot2 Specification 2.0, section 3.6: the boot information, a list of tags.

use crate::firmware::acpi::Root;
use crate::physical_memory::Fields;
use crate::text;
use crate::{BootInfo, MAX_MAP_ENTRIES, PhysicalMemory, Problem, USABLE};

/// What the loader leaves in EAX (section 3.3).
pub(super) const MAGIC: u32 = 0x36d7_6289;

/// How many tags are looked at; a loader gives a few dozen.
const MAX_TAGS: usize = 256;
/// A tag's type and size.
const TAG_HEADER: u32 = 8;
mod tag {
    pub const END: u32 = 0;
    pub const COMMAND_LINE: u32 = 1;
    pub const LOADER_NAME: u32 = 2;
    pub const BASIC_MEMORY: u32 = 4;
    pub const MEMORY_MAP: u32 = 6;
    pub const EFI_64_SYSTEM_TABLE: u32 = 12;
    pub const ACPI_OLD_RSDP: u32 = 14;
    pub const ACPI_NEW_RSDP: u32 = 15;
}

pub(super) fn read(boot: &mut BootInfo, info: u64, memory: &dyn PhysicalMemory) -> Option<()> {
    let total = u64::from(Fields::read(memory, info, 8)?.u32(0)?);
    let mut offset = 8;
    let mut sizes = None;
    let mut is_whole = false;
    for _ in 0..MAX_TAGS {
        let address = info.checked_add(offset)?;
        let Some((kind, size)) = read_tag_header(memory, address) else { break };
        if kind == tag::END {
            is_whole = true;
            break;
        }
        let end = offset.saturating_add(u64::from(size));
        if end > total {
            break;
        }
        let body = address.saturating_add(TAG_HEADER.into());
        let len = usize::try_from(size.saturating_sub(TAG_HEADER)).ok()?;
        let Some(fields) = Fields::read(memory, body, len) else { break };
        match kind {
            tag::COMMAND_LINE => boot.take_command_line(fields.0.iter().copied().map(Some)),
            tag::LOADER_NAME => text::set(&mut boot.loader, fields.0),
            tag::BASIC_MEMORY => sizes = fields.u32(0).zip(fields.u32(4)),
            tag::MEMORY_MAP => read_map(boot, fields),
            tag::EFI_64_SYSTEM_TABLE => boot.uefi = fields.u64(0),
            // The tag holds a copy of the structure; the newer one is the better one.
            tag::ACPI_OLD_RSDP if boot.acpi.is_none() => boot.acpi = Root::parse(fields.0),
            tag::ACPI_NEW_RSDP => boot.acpi = Root::parse(fields.0).or(boot.acpi),
            _ => {}
        }
        offset = end.next_multiple_of(8);
    }
    if !is_whole {
        boot.problems.add(Problem::TagDamaged);
    }
    if let Some((lower, upper)) = sizes {
        boot.add_memory_sizes(lower, upper);
    }
    Some(())
}

fn read_tag_header(memory: &dyn PhysicalMemory, address: u64) -> Option<(u32, u32)> {
    let header = Fields::read(memory, address, 8)?;
    Some((header.u32(0)?, header.u32(4).filter(|&size| size >= TAG_HEADER)?))
}

/// Section 3.6.8: the entries' size and version, then entries of base, length, type.
fn read_map(boot: &mut BootInfo, map: Fields<'_>) {
    let size = map.u32(0).and_then(|size| usize::try_from(size).ok()).filter(|&size| size >= 20);
    let (Some(size), Some(entries)) = (size, map.0.get(8..)) else {
        return boot.problems.add(Problem::MemoryMapDamaged);
    };
    let entries = entries.chunks_exact(size);
    if !entries.remainder().is_empty() {
        boot.problems.add(Problem::MemoryMapDamaged);
    }
    if entries.len() > MAX_MAP_ENTRIES {
        boot.problems.add(Problem::MemoryMapTooLong);
    }
    for entry in entries.take(MAX_MAP_ENTRIES).map(Fields) {
        if entry.u32(16) == Some(USABLE)
            && let Some((base, len)) = entry.u64(0).zip(entry.u64(8))
        {
            boot.add_memory(base, len);
        }
    }
}
