//! The kernel's log: the memory of its ring.

use crate::machine::{cache, paging};
use bootinfo::MemoryMap;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use netconsole::ring::{Audience, Past, Recovery, Ring, RingHeader};

/// The log ring's size in bytes where `log_buf_len=` does not say another, a power of two.
pub const RING_SIZE: usize = 256 << 10;

const fn data_words(size: usize) -> usize {
    size / size_of::<u64>()
}

/// One word of index for eight of data, as the ring's docs advise.
const fn index_words(size: usize) -> usize {
    data_words(size) / 8
}

// linker.ld puts these where neither a loader nor a reset clears them, for `Ring::recover`.
#[unsafe(link_section = ".persistent")]
static HEADER: RingHeader = RingHeader::new();
#[unsafe(link_section = ".persistent")]
static INDEX: [AtomicU64; index_words(RING_SIZE)] = [const { AtomicU64::new(0) }; _];
#[unsafe(link_section = ".persistent")]
static DATA: [AtomicU64; data_words(RING_SIZE)] = [const { AtomicU64::new(0) }; _];

static STATIC_RING: Ring<'static> = Ring::new(&HEADER, &INDEX, &DATA).written_back_by(cache::write_back);

/// The ring that `log_buf_len=` asked for, or that follows another kernel's log; null while [`STATIC_RING`] is in use.
static CHOSEN_RING: AtomicPtr<Ring<'static>> = AtomicPtr::new(core::ptr::null_mut());
static mut CHOSEN: MaybeUninit<Ring<'static>> = MaybeUninit::uninit();

/// The log ring, usable from the first instruction on. Panic-safe.
#[inline]
pub fn ring() -> &'static Ring<'static> {
    let chosen = CHOSEN_RING.load(Ordering::Acquire);
    // SAFETY: it is null or points to CHOSEN, which was complete before and does not change.
    unsafe { chosen.as_ref() }.unwrap_or(&STATIC_RING)
}

/// Chooses the log's ring, of `size` bytes, and finds what the boot before left in it. `start` is the boot's first tick. To
/// be called once. `None` where there is no room for a ring of that size: then it has [`RING_SIZE`]. Its records may leave for
/// `audience`.
pub fn start(size: usize, map: &MemoryMap, start: u64, audience: Audience) -> (Recovery, Option<usize>) {
    let chosen = if size == RING_SIZE { Some(RING_SIZE) } else { large_ring(size, map) };
    let recovery = ring().recover(start, audience);
    (recovery, chosen)
}

/// Has the log go on where another kernel's ended, whose last record has the number before `end` and was logged `micros` µs
/// after that kernel's start. To be called once, in place of [`start`].
pub fn follow(past: &'static dyn Past, end: u64, micros: u64, start: u64, audience: Audience) {
    choose(Ring::new(&HEADER, &INDEX, &DATA).following(past, end, micros));
    ring().begin_following(start, audience);
}

/// Has this ring be the log's.
fn choose(chosen: Ring<'static>) {
    let ring: *mut MaybeUninit<Ring<'static>> = &raw mut CHOSEN;
    // SAFETY: this is called once, before the log begins, on the only CPU: nobody holds a reference to it.
    unsafe {
        (*ring).write(chosen);
    }
    CHOSEN_RING.store(ring.cast(), Ordering::Release);
}

/// Lays a ring of `size` bytes of data at the end of the highest usable memory below 4 GiB that has
/// room: the next boot with the same memory and parameter finds it there again.
fn large_ring(size: usize, map: &MemoryMap) -> Option<usize> {
    let words = data_words(size) + index_words(size);
    let length = (size_of::<RingHeader>() + words * size_of::<u64>()).next_multiple_of(4096) as u64;
    let own = paging::image_start()..paging::persistent_end();
    let address = map.highest_room(length, paging::MAPPED_AT_BOOT, &own)? as usize;
    // SAFETY: the loader says that this memory is usable; it lies outside of the image, is mapped and
    // page-aligned, and nothing else takes memory from the map. Any content is valid for the atomics
    // that a ring consists of.
    let ring = unsafe {
        let header = &*core::ptr::with_exposed_provenance::<RingHeader>(address);
        let words_at = address + size_of::<RingHeader>();
        let words =
            core::slice::from_raw_parts(core::ptr::with_exposed_provenance::<AtomicU64>(words_at), words);
        let (index, data) = words.split_at(index_words(size));
        Ring::new(header, index, data).written_back_by(cache::write_back)
    };
    choose(ring);
    Some(size)
}
