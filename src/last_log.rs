//! Where the log lies, noted for the next boot, which may lie elsewhere and is to find it all the same.
//!
//! The note is in low memory, at several places, of which loaders and firmware leave at least one alone (SeaBIOS, OVMF, GRUB and
//! QEMU's own loaders do all of them). It is written and believed only where the loader's map says that such memory
//! is usable, so that a kernel which was not given any writes none, and only as far as its checksum goes. What lies where it
//! leads proves itself, record by record.

use crate::machine::{cache, paging};
use bootinfo::MemoryMap;
use core::ptr::with_exposed_provenance;
use core::sync::atomic::{AtomicU64, Ordering};

/// Neither in page 0 nor where a boot sector lies, and below what a BIOS keeps for itself.
const PLACES: [u64; 3] = [0x4000, 0x5_0000, 0x8_f000];
const MAGIC: u64 = u64::from_le_bytes(*b"nclog at");
const WORDS: usize = 4;

/// Where a log lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The ring's header, and behind it index and data.
    pub address: u64,
    /// The size of the data in bytes.
    pub size: u64,
}

impl Place {
    fn words(self) -> [u64; WORDS] {
        // Any factor that is odd and has bits everywhere.
        let check = [self.address, self.size]
            .iter()
            .fold(MAGIC, |sum, word| (sum.rotate_left(29) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        [MAGIC, self.address, self.size, check]
    }
}

/// The places that may be read and written.
fn notes(map: &MemoryMap) -> impl Iterator<Item = &'static [AtomicU64; WORDS]> {
    let usable = PLACES.iter().filter(|&&place| map.holds(place, size_of::<[u64; WORDS]>() as u64));
    let usable = usable.filter(|&&place| !paging::is_own(place));
    // SAFETY: usable memory below 4 GiB is mapped, writable but for the image, and nothing else here uses low memory.
    usable.map(|&place| unsafe { &*with_exposed_provenance::<[AtomicU64; WORDS]>(place as usize) })
}

/// Where the log of the boot before lies, as that has noted it.
pub fn place(map: &MemoryMap) -> Option<Place> {
    notes(map).find_map(|note| {
        let words = note.each_ref().map(|word| word.load(Ordering::Relaxed));
        let place = Place { address: words[1], size: words[2] };
        (words == place.words()).then_some(place)
    })
}

/// Notes where the log of this boot lies.
pub fn note(map: &MemoryMap, place: Place) {
    for note in notes(map) {
        for (word, value) in note.iter().zip(place.words()) {
            word.store(value, Ordering::Relaxed);
        }
        let [first, ..] = note;
        cache::write_back(note, first);
    }
}
