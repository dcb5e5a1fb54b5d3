//! Physical memory as the boot loader's and the firmware's structures are read.

use super::paging;
use bootinfo::PhysicalMemory;
use core::ops::Range;

/// The memory that the kernel does not write to. Not for the panic path.
pub struct Physical {
    lowest: u64,
    own: Range<u64>,
}

impl Physical {
    /// As it is before the page tables are protected and the log begins: the loader's structures may lie
    /// in page 0 and where the log will be.
    pub fn at_entry() -> Self {
        Self { lowest: 1, own: paging::image_start()..paging::declared_end() }
    }

    /// As it is while the kernel runs.
    pub fn now() -> Self {
        Self { lowest: paging::PAGE, own: paging::image_start()..paging::persistent_end() }
    }
}

impl PhysicalMemory for Physical {
    fn read(&self, address: u64, len: usize) -> Option<&[u8]> {
        let end = address.checked_add(u64::try_from(len).ok()?)?;
        let is_own = address < self.own.end && end > self.own.start;
        if address < self.lowest || is_own {
            return None;
        }
        paging::map_to_read(address, u64::try_from(len).ok()?).ok()?;
        // SAFETY: the range is mapped (4 GiB are, one to one, but for what `lowest` and `own` leave out),
        // outside everything that the kernel writes to, and no device writes where the firmware has left
        // its tables.
        Some(unsafe {
            core::slice::from_raw_parts(core::ptr::with_exposed_provenance(address as usize), len)
        })
    }
}
