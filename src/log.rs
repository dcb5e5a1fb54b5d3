//! The kernel's log: the memory of its ring.

use crate::last_log::{self, Place};
use crate::machine::{cache, paging};
use crate::memory;
use bootinfo::MemoryMap;
use core::mem::{MaybeUninit, offset_of};
use core::ops::Range;
use core::ptr::with_exposed_provenance_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use netconsole::guarded::Word;
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

/// The ring's memory as [`ring_at`] expects it, for a kernel that lies elsewhere.
#[repr(C, align(4096))]
struct Memory {
    header: RingHeader,
    index: [AtomicU64; index_words(RING_SIZE)],
    data: [AtomicU64; data_words(RING_SIZE)],
    /// As behind every ring: see [`call_offset`].
    firmware_call: Word,
}

const _: () = assert!(offset_of!(Memory, firmware_call) == call_offset(RING_SIZE));

// linker.ld puts this where neither a loader nor a reset clears it, for `Ring::recover`.
#[unsafe(link_section = ".persistent")]
static MEMORY: Memory = Memory {
    header: RingHeader::new(),
    index: [const { AtomicU64::new(0) }; _],
    data: [const { AtomicU64::new(0) }; _],
    firmware_call: Word::unset(),
};

/// Where the firmware's call is noted that the CPU is in; null while it is behind [`STATIC_RING`].
static FIRMWARE_CALL: AtomicPtr<Word> = AtomicPtr::new(core::ptr::null_mut());

/// Where the firmware's call is noted that the CPU is in, for the next boot: behind the ring, with which that finds it.
pub fn firmware_call() -> &'static Word {
    // SAFETY: it is null or points behind a ring, as `ring_length` leaves room.
    unsafe { FIRMWARE_CALL.load(Ordering::Relaxed).as_ref() }.unwrap_or(&MEMORY.firmware_call)
}

static STATIC_RING: Ring<'static> =
    Ring::new(&MEMORY.header, &MEMORY.index, &MEMORY.data).written_back_by(cache::write_back);

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

/// Whether this boot's log has begun: what is appended before follows on the log of an earlier boot. Panic-safe.
pub fn has_begun() -> bool {
    HAS_BEGUN.load(Ordering::Relaxed)
}

static HAS_BEGUN: AtomicBool = AtomicBool::new(false);

/// Chooses the log's ring, of `size` bytes, and finds what the boot before left in it, wherever it lay then. `start` is the
/// boot's first tick. To be called once. `None` where there is no room for a ring of that size: then it has [`RING_SIZE`].
/// Its records may leave for `audience`.
pub fn start(size: usize, map: &MemoryMap, start: u64, audience: Audience) -> (Recovery, Option<usize>) {
    let (recovery, chosen, address) = last(size, map, start, audience).unwrap_or_else(|| {
        let (chosen, address) = match size {
            RING_SIZE => (Some(RING_SIZE), None),
            _ => large_ring(size, map).unzip(),
        };
        (ring().recover(start, audience), chosen, address)
    });
    let (size, own) = (chosen.unwrap_or(RING_SIZE), (&raw const MEMORY).addr() as u64);
    if let Some(address) = address {
        let word = with_exposed_provenance_mut(address as usize + call_offset(size));
        FIRMWARE_CALL.store(word, Ordering::Relaxed);
    }
    last_log::note(map, Place { address: address.unwrap_or(own), size: size as u64 });
    HAS_BEGUN.store(true, Ordering::Relaxed);
    (recovery, chosen)
}

/// Where the boot before has noted that its log lies; empty for nowhere.
pub fn last_place(map: &MemoryMap) -> Range<u64> {
    last_log::place(map).and_then(range).unwrap_or(0..0)
}

/// What is not to be taken for anything else: the log of the boot before, and what notes where it lies.
pub fn kept(map: &MemoryMap) -> impl Iterator<Item = Range<u64>> + Clone {
    last_log::pages().into_iter().chain([last_place(map)])
}

/// The same as [`last_place`] for UEFI's entry, which has no map yet, by the note in a low page that the firmware has given to
/// this kernel: the address, and how many pages.
pub fn place_noted_in(page: u64) -> Option<[u64; 2]> {
    // SAFETY: as UEFI's entry promises.
    let place = unsafe { last_log::place_noted_in(page) }.and_then(range)?;
    Some([place.start, (place.end - place.start) / 4096])
}

/// All that belongs to a log.
fn range(place: Place) -> Option<Range<u64>> {
    let size = usize::try_from(place.size).ok().filter(|size| *size <= RING_SIZE << 16)?;
    Some(place.address..place.address.checked_add(ring_length(size))?)
}

/// Has the log go on where the boot before has noted that its own lies, if there is one of `size` bytes, with any record.
fn last(
    size: usize,
    map: &MemoryMap,
    start: u64,
    audience: Audience,
) -> Option<(Recovery, Option<usize>, Option<u64>)> {
    let place = last_log::place(map).filter(|place| place.size == size as u64)?;
    let length = ring_length(size);
    let own = paging::own();
    let end = place.address.checked_add(length)?;
    let is_free = place.address.is_multiple_of(4096) && (end <= own.start || place.address >= own.end);
    if !is_free || !map.holds(place.address, length) {
        return None;
    }
    paging::map_to_write(place.address, length).ok()?;
    // SAFETY: as for a large ring; it is mapped now.
    let ring = unsafe { ring_at(place.address as usize, size) };
    let recovery = ring.recover(start, audience);
    if recovery.records == 0 {
        return None;
    }
    choose(ring);
    Some((recovery, Some(size), Some(place.address)))
}

/// Has the log go on where another kernel's ended, whose last record has the number before `end` and was logged `micros` µs
/// after that kernel's start. To be called once, in place of [`start`].
pub fn follow(past: &'static dyn Past, end: u64, micros: u64, start: u64, audience: Audience) {
    choose(Ring::new(&MEMORY.header, &MEMORY.index, &MEMORY.data).following(past, end, micros));
    ring().begin_following(start, audience);
    HAS_BEGUN.store(true, Ordering::Relaxed);
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
/// room: the next boot with the same memory and parameter finds it there again. Gives its size and its address.
fn large_ring(size: usize, map: &MemoryMap) -> Option<(usize, u64)> {
    // Firmware and devices have theirs below 1 MiB.
    let within = 1 << 20..paging::MAPPED_AT_BOOT;
    let address = map.highest_room(ring_length(size), &within, memory::places().chain([paging::own()]))?;
    // SAFETY: the loader says that this memory is usable; it lies outside of the image and of the cards' rooms, is mapped and
    // page-aligned, and nothing else takes memory from the map.
    choose(unsafe { ring_at(address as usize, size) });
    Some((size, address))
}

/// How much memory a ring of `size` bytes of data takes with the word behind it, whole pages.
const fn ring_length(size: usize) -> u64 {
    (call_offset(size) + size_of::<Word>()).next_multiple_of(4096) as u64
}

/// Where the word lies, in bytes from the ring's header on, in which the firmware's call is noted that the CPU is in.
const fn call_offset(size: usize) -> usize {
    size_of::<RingHeader>() + (data_words(size) + index_words(size)) * size_of::<u64>()
}

/// The ring of `size` bytes of data in the memory at `address`.
///
/// # Safety
///
/// [`ring_length`] bytes are mapped there, aligned to a page, and nothing else uses them.
unsafe fn ring_at(address: usize, size: usize) -> Ring<'static> {
    let words = data_words(size) + index_words(size);
    let words_at = address + size_of::<RingHeader>();
    // SAFETY: the caller's. Any content is valid for the atomics that a ring consists of.
    let (header, words) = unsafe {
        (
            &*core::ptr::with_exposed_provenance::<RingHeader>(address),
            core::slice::from_raw_parts(core::ptr::with_exposed_provenance::<AtomicU64>(words_at), words),
        )
    };
    let (index, data) = words.split_at(index_words(size));
    Ring::new(header, index, data).written_back_by(cache::write_back)
}
