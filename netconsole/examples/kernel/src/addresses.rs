//! Where things are. Everything is found at a distance from its physical address, and nothing at that address itself:
//! - all memory at [`ALL_MEMORY`],
//! - the kernel's image 2 GiB below the end (boot/boot.s),
//! - the devices' registers, not cached, at [`DEVICES`],
//! - what needs addresses in a row, from frames that lie anywhere, at [`SCATTERED`].

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};
use x86_64::registers::control::Cr3;

pub const ALL_MEMORY: u64 = 0xffff_8000_0000_0000;
pub const DEVICES: u64 = 0xffff_c000_0000_0000;
pub const SCATTERED: u64 = 0xffff_e000_0000_0000;

pub const FOUR_GIB: u64 = 4 << 30;

/// Between here and 4 GiB there are devices and no memory.
static FIRST_DEVICE: AtomicU64 = AtomicU64::new(FOUR_GIB);

/// Says from where on devices are mapped.
pub fn set_first_device(physical: u64) {
    FIRST_DEVICE.store(physical, Ordering::Relaxed);
}

/// Where a byte of memory is.
pub fn at(physical: u64) -> *mut u8 {
    core::ptr::with_exposed_provenance_mut((ALL_MEMORY + physical) as usize)
}

/// The physical address of the byte that a pointer names, by a walk over the page tables (Intel SDM volume 3,
/// section 4.5); `None` where nothing is mapped. Neither waits nor panics, so that the last words may ask.
pub fn physical(pointer: *const u8) -> Option<u64> {
    const PRESENT: u64 = 1;
    const LARGE: u64 = 1 << 7;
    const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
    let address = pointer.addr() as u64;
    let mut table = Cr3::read().0.start_address().as_u64();
    for shift in [39, 30, 21, 12] {
        let index = (address >> shift & 511) as usize;
        // SAFETY: tables lie in memory, all of which is mapped; a processor that changes an entry writes it at once.
        let entry = unsafe { at(table).cast::<u64>().add(index).read_volatile() };
        if entry & PRESENT == 0 {
            return None;
        }
        if shift == 12 || shift < 39 && entry & LARGE != 0 {
            let within = (1 << shift) - 1;
            return Some(entry & ADDRESS & !within | address & within);
        }
        table = entry & ADDRESS;
    }
    None
}

/// Where a device's registers are, not cached; `None` for what is no device's. Neither waits nor panics.
pub fn device(physical: u64, length: usize) -> Option<NonNull<u8>> {
    let end = physical.checked_add(length as u64)?;
    if physical < FIRST_DEVICE.load(Ordering::Relaxed) || end > FOUR_GIB {
        return None;
    }
    NonNull::new(core::ptr::with_exposed_provenance_mut((DEVICES + physical) as usize))
}
