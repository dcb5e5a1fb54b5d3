//! Physical memory as the boot loader's structures are read.

use super::paging;
use netconsole::bootinfo::PhysicalMemory;

/// The memory below 4 GiB but for page 0 and the kernel's own.
pub struct Physical;

impl PhysicalMemory for Physical {
    fn read(&self, address: u64, len: usize) -> Option<&[u8]> {
        let end = address.checked_add(u64::try_from(len).ok()?)?;
        let own = paging::image_start()..paging::declared_end();
        if address < paging::PAGE || end > paging::MAPPED_AT_BOOT || (address < own.end && end > own.start) {
            return None;
        }
        // SAFETY: the range is mapped (4 GiB are, one to one), outside everything that the kernel
        // writes to, and nothing else runs that could change it. The ring's memory is not written
        // before the loader's structures have been read.
        Some(unsafe {
            core::slice::from_raw_parts(core::ptr::with_exposed_provenance(address as usize), len)
        })
    }
}
