//! How the library's drivers reach cards here: everything is mapped one to one.

use super::paging;
use super::pci::{ConfigurationSpace, IoPorts};
use core::ptr::NonNull;
use netconsole::nic::pci::ConfigurationAccess;
use netconsole::nic::{Access, Addresses};

/// The machine's I/O space and memory; who it is, is not known here. Panic-safe.
pub const ACCESS: Access = Access {
    ports: &IoPorts,
    // SAFETY: the page tables map one to one, the kernel's image among it. `map` gives nothing of the image, nor what is
    // not mapped; other memory that the kernel uses is RAM, which no BAR covers on a machine that works.
    addresses: unsafe { Addresses::new(physical, map) },
    configuration: |function, offset| ConfigurationSpace.read_word(function, offset),
    identity: 0,
};

fn physical(pointer: *const u8) -> Option<u64> {
    u64::try_from(pointer.expose_provenance()).ok()
}

fn map(physical: u64, length: usize) -> Option<NonNull<u8>> {
    let length = u64::try_from(length).ok()?;
    let end = physical.checked_add(length)?;
    let is_own = physical < paging::persistent_end() && end > paging::image_start();
    if is_own || !paging::is_mapped(physical, length) {
        return None;
    }
    NonNull::new(core::ptr::with_exposed_provenance_mut(usize::try_from(physical).ok()?))
}
