//! What is noted for the next boot: where the log lies, as that boot's kernel may lie elsewhere and is to find it all the
//! same; and which Linuxes' logs were sent, so that none is sent twice.
//!
//! A note is in low memory, at several places, of which loaders and firmware leave at least one alone (SeaBIOS, OVMF, GRUB and
//! QEMU's own loaders do all of them). It is written and believed only where the loader's map says that such memory
//! is usable, so that a kernel which was not given any writes none, and only as far as its checksum goes. What lies where it
//! leads proves itself, record by record.

use crate::machine::{cache, paging};
use bootinfo::MemoryMap;
use core::ops::Range;
use core::ptr::with_exposed_provenance;
use core::sync::atomic::{AtomicU64, Ordering};

/// The pages that have notes: neither in page 0 nor where a boot sector lies, and below what a BIOS keeps for itself.
pub const PLACES: [u64; 3] = [0x4000, 0x5_0000, 0x8_f000];
const WORDS: usize = 4;

/// What a note is about: what it begins with, and its place among the notes, one behind the other.
struct Kind {
    magic: u64,
    number: u64,
}

const LOG_AT: Kind = Kind { magic: u64::from_le_bytes(*b"nclog at"), number: 0 };
/// Of how many Linuxes it is remembered that their logs were sent: more hardly lie in one memory.
const REMEMBERED: u64 = 8;

/// The notes of which Linuxes' logs were sent, the one sent last first.
fn linux_sent() -> impl Iterator<Item = Kind> {
    (1..=REMEMBERED).map(|number| Kind { magic: u64::from_le_bytes(*b"nc sent:"), number })
}

impl Kind {
    fn words(&self, content: [u64; 2]) -> [u64; WORDS] {
        // Any factor that is odd and has bits everywhere.
        let check = content
            .iter()
            .fold(self.magic, |sum, word| (sum.rotate_left(29) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        [self.magic, content[0], content[1], check]
    }

    /// The places that may be read and written.
    fn notes(&self, map: &MemoryMap) -> impl Iterator<Item = &'static [AtomicU64; WORDS]> {
        let size = size_of::<[u64; WORDS]>() as u64;
        let at = self.number * size;
        let usable = PLACES.iter().map(move |place| place + at).filter(move |&place| map.holds(place, size));
        let usable = usable.filter(|&place| !paging::is_own(place));
        // SAFETY: usable memory below 4 GiB is mapped, writable but for the image, and nothing else here uses low memory.
        usable.map(|place| unsafe { &*with_exposed_provenance::<[AtomicU64; WORDS]>(place as usize) })
    }

    fn read(&self, map: &MemoryMap) -> Option<[u64; 2]> {
        self.notes(map).find_map(|note| self.content(note))
    }

    fn content(&self, note: &[AtomicU64; WORDS]) -> Option<[u64; 2]> {
        let words = note.each_ref().map(|word| word.load(Ordering::Relaxed));
        let content = [words[1], words[2]];
        (words == self.words(content)).then_some(content)
    }

    fn write(&self, map: &MemoryMap, content: [u64; 2]) {
        for note in self.notes(map) {
            for (word, value) in note.iter().zip(self.words(content)) {
                word.store(value, Ordering::Relaxed);
            }
            let [first, ..] = note;
            cache::write_back(note, first);
        }
    }
}

/// The pages that hold the notes.
pub fn pages() -> [Range<u64>; PLACES.len()] {
    PLACES.map(|place| place..place + paging::PAGE)
}

/// Where a log lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The ring's header, and behind it index and data.
    pub address: u64,
    /// The size of the data in bytes.
    pub size: u64,
}

/// Where the log of the boot before lies, as that has noted it.
pub fn place(map: &MemoryMap) -> Option<Place> {
    LOG_AT.read(map).map(|[address, size]| Place { address, size })
}

/// The same, by the note in this one of [`PLACES`], before there is a map.
///
/// # Safety
///
/// The page is mapped, and this kernel's.
pub unsafe fn place_noted_in(page: u64) -> Option<Place> {
    // SAFETY: the caller's.
    let note = unsafe { &*with_exposed_provenance::<[AtomicU64; WORDS]>(page as usize) };
    LOG_AT.content(note).map(|[address, size]| Place { address, size })
}

/// Notes where the log of this boot lies.
pub fn note(map: &MemoryMap, place: Place) {
    LOG_AT.write(map, [place.address, place.size]);
}

/// Whether a boot before has noted that this Linux's log was sent.
pub fn was_linux_sent(map: &MemoryMap, which: [u64; 2]) -> bool {
    linux_sent().any(|kind| kind.read(map) == Some(which))
}

/// Notes that this Linux's log was sent. The one sent longest ago is forgotten, where there are too many.
pub fn note_sent_linux(map: &MemoryMap, which: [u64; 2]) {
    let mut next = Some(which);
    for kind in linux_sent() {
        let Some(content) = next else { return };
        next = kind.read(map).filter(|old| *old != which);
        kind.write(map, content);
    }
}
