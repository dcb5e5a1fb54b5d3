//! Memory that a dead kernel left: it is read, never written, and where the CPU can't read it that is an answer, not a
//! crash (boot/old_memory.s).

use super::paging;
use core::arch::global_asm;
use core::arch::x86_64::__cpuid;
use core::ops::Range;
use linuxlog::Encryption;
use x86_64::registers::model_specific::Msr;

global_asm!(include_str!("../../boot/old_memory.s"));

unsafe extern "C" {
    fn read_old_memory(to: *mut u8, from: *const u8, len: usize) -> u64;
}

/// What the CPU decrypts, where a dead kernel has had it encrypt its memory: that stays turned on until a reset. QEMU has no
/// such CPU without a real one.
pub fn encryption() -> Encryption {
    const HIGHEST_LEAF: u32 = 0x8000_0000;
    const ENCRYPTION: u32 = 0x8000_001f;
    const SYSCFG: u32 = 0xc001_0010;
    if __cpuid(HIGHEST_LEAF).eax < ENCRYPTION {
        return Encryption::NONE;
    }
    let leaf = __cpuid(ENCRYPTION);
    // SAFETY: it is read only where the CPU says that it has what this register turns on; reading changes nothing.
    Encryption::of(leaf.eax, leaf.ebx, || unsafe { Msr::new(SYSCFG).read() })
}

/// Copies the bytes from the physical `address` on to all of `to`, decrypted where that is said; false where they can't be
/// read, or are this kernel's image or `to` itself: what is in `to` means nothing then. What lies beyond the first 4 GiB is
/// mapped for it. Panic-safe.
///
/// The caller sees to it that it is memory, and no device's registers.
pub fn copy(address: u64, to: &mut [u8], encryption: Encryption) -> bool {
    let Ok(len) = u64::try_from(to.len()) else { return false };
    let Some(end) = address.checked_add(len) else { return false };
    let is_within = |own: Range<u64>| address < own.end && end > own.start;
    if is_within(paging::image_start()..paging::persistent_end()) || is_within(addresses(to)) {
        return false;
    }
    let place = match encryption {
        Encryption::NONE if end <= paging::MAPPED_AT_BOOT => Some(address),
        _ => paging::make_readable(address, len, encryption),
    };
    let Some(from) = place.and_then(|place| usize::try_from(place).ok()) else { return false };
    // SAFETY: `to` is this slice's, and `from` does not reach into it. What is read need not be mapped: a fault ends the
    // copying with 1. Whatever bytes are there are valid for `u8`.
    unsafe { read_old_memory(to.as_mut_ptr(), core::ptr::with_exposed_provenance(from), to.len()) == 0 }
}

fn addresses(slice: &[u8]) -> Range<u64> {
    let Range { start, end } = slice.as_ptr_range();
    start.addr() as u64..end.addr() as u64
}
