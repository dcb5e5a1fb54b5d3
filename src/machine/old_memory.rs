//! Memory that a dead kernel left: it is read, never written, and where the CPU can't read it that is an answer, not a
//! crash (boot/old_memory.s).

use super::paging;
use core::arch::global_asm;
use core::ops::Range;

global_asm!(include_str!("../../boot/old_memory.s"));

unsafe extern "C" {
    fn read_old_memory(to: *mut u8, from: *const u8, len: usize) -> u64;
}

/// Copies the bytes from the physical `address` on to all of `to`; false where they can't be read, or are this kernel's
/// image or `to` itself: what is in `to` means nothing then. What lies beyond the first 4 GiB is mapped for it. Panic-safe.
///
/// The caller sees to it that it is memory, and no device's registers.
pub fn copy(address: u64, to: &mut [u8]) -> bool {
    let Ok(len) = u64::try_from(to.len()) else { return false };
    let Some(end) = address.checked_add(len) else { return false };
    let own = [paging::image_start()..paging::persistent_end(), addresses(to)];
    if own.iter().any(|own| address < own.end && end > own.start) || !paging::make_readable(address, len) {
        return false;
    }
    let Ok(from) = usize::try_from(address) else { return false };
    // SAFETY: `to` is this slice's, and `from` does not reach into it. What is read need not be mapped: a fault ends the
    // copying with 1. Whatever bytes are there are valid for `u8`.
    unsafe { read_old_memory(to.as_mut_ptr(), core::ptr::with_exposed_provenance(from), to.len()) == 0 }
}

fn addresses(slice: &[u8]) -> Range<u64> {
    let Range { start, end } = slice.as_ptr_range();
    start.addr() as u64..end.addr() as u64
}
