//! The library's static memory: the cards' queues and buffers, the key, and what the panic path knows. The log ring lies
//! in log.rs. There is no heap.
//!
//! Where the kernel lies above 4 GiB, that memory is taken from below, if there is any: not every card reaches higher.

use crate::machine::paging;
use bootinfo::MemoryMap;
use core::ops::Range;
use core::ptr::{null_mut, with_exposed_provenance_mut};
use core::sync::atomic::{AtomicPtr, Ordering};
use netconsole::memory::Memory;

static MEMORY: Memory = Memory::new();
/// What is used in its place; null for none.
static LOW: AtomicPtr<Memory> = AtomicPtr::new(null_mut());

/// The library's memory. Panic-safe.
#[inline]
pub fn memory() -> &'static Memory {
    // SAFETY: it is null or what `move_low` has put there, which stays.
    unsafe { LOW.load(Ordering::Acquire).as_ref() }.unwrap_or(&MEMORY)
}

/// Whether [`move_low`] takes other memory, if there is any.
pub fn moves_low() -> bool {
    paging::image_start() >= paging::MAPPED_AT_BOOT
}

/// Moves the library's memory below 4 GiB, if the kernel lies above and there is room outside of `kept`. To be called
/// once, before the library uses any of it, when no device writes to memory any more.
pub fn move_low(map: &MemoryMap, kept: &Range<u64>) {
    const SIZE: usize = size_of::<Memory>();
    const { assert!(align_of::<Memory>() <= paging::PAGE as usize) };
    if !moves_low() {
        return;
    }
    let Some(address) = map.highest_room(SIZE as u64, paging::MAPPED_AT_BOOT, kept) else { return };
    let low = with_exposed_provenance_mut::<Memory>(address as usize);
    // SAFETY: the loader says that this memory is usable; it is mapped and aligned to a page, the image lies elsewhere, and
    // what takes memory from the map later leaves `place` alone. Nobody has a reference to the other one any more.
    unsafe { low.copy_from_nonoverlapping(&raw const MEMORY, 1) };
    LOW.store(low, Ordering::Release);
}

/// Where the memory lies that was taken below 4 GiB; empty where none was.
pub fn place() -> Range<u64> {
    let low = LOW.load(Ordering::Acquire).addr() as u64;
    low..if low == 0 { 0 } else { low.saturating_add(size_of::<Memory>() as u64) }
}
