//! The library's memory: what all cards share is static, and what each card has, its queues and buffers, is taken out of the
//! room that the loader's map proves free, so that no loader clears or hashes it. The log ring lies in log.rs. There is no
//! heap.

use crate::machine::paging;
use bootinfo::MemoryMap;
use core::ops::Range;
use core::ptr::with_exposed_provenance_mut;
use netconsole::guarded::Word;
use netconsole::memory::{CardRoom, Memory};
use netconsole::plan::MAX_NICS;

static MEMORY: Memory = Memory::new();

/// The size of a card's room in bytes, whole pages.
pub const CARD_ROOM: u64 = (size_of::<CardRoom>() as u64).next_multiple_of(paging::PAGE);
const _: () = assert!(align_of::<CardRoom>() <= paging::PAGE as usize);

/// Where the cards' rooms lie, by the number of the page, twice, and [`IS_CLEAR`] below it; no number where there is none.
static ROOMS: [Word; MAX_NICS] = [const { Word::unset() }; MAX_NICS];
/// The room is in use: it was zeroed for the library.
const IS_CLEAR: u64 = 1;

/// Where rooms are looked for, the best place first: not every card reaches above 4 GiB, and in the lowest memory the BIOS has
/// its data.
const PLACES: [Range<u64>; 3] =
    [1 << 20..paging::MAPPED_AT_BOOT, 1 << 16..1 << 20, paging::MAPPED_AT_BOOT..u64::MAX];

/// The library's memory. Panic-safe.
#[inline]
pub fn memory() -> &'static Memory {
    &MEMORY
}

/// Sets room aside for as many cards as there is any for, outside of the image and of what is `kept`. Nothing is written there
/// before a card is found. To be called once, before anybody asks for it.
///
/// The lowest room is taken, mostly right behind the image: what a dead Linux has left in memory lies further up.
pub fn set_aside(map: &MemoryMap, kept: impl Iterator<Item = Range<u64>> + Clone) {
    for room in &ROOMS {
        let taken = kept.clone().chain(places()).chain([paging::own()]);
        let found = PLACES.iter().find_map(|within| map.lowest_room(CARD_ROOM, within, taken.clone()));
        let Some(address) = found else { return };
        if paging::map_to_write(address, CARD_ROOM).is_err() {
            return;
        }
        room.set(address >> paging::PAGE_BITS << 1);
    }
}

/// Where the rooms lie that were set aside.
pub fn places() -> impl Iterator<Item = Range<u64>> + Clone {
    ROOMS.iter().filter_map(Word::get).map(|room| address(room)..address(room).saturating_add(CARD_ROOM))
}

const fn address(room: u64) -> u64 {
    room >> 1 << paging::PAGE_BITS
}

/// The room of a card. Panic-safe.
pub fn card_room(number: usize) -> Option<&'static CardRoom> {
    let word = ROOMS.get(number)?;
    let room = word.get()?;
    let place = with_exposed_provenance_mut::<CardRoom>(usize::try_from(address(room)).ok()?);
    if room & IS_CLEAR == 0 {
        // SAFETY: the loader says that this memory is usable; it is mapped, aligned to a page, and set aside for this alone, so
        // nobody refers to it. A panic amid this clears it once more.
        unsafe { place.write_bytes(0, 1) };
        word.set(room | IS_CLEAR);
    }
    // SAFETY: as above, and zeros are a room that nothing was done with; it stays.
    unsafe { place.as_ref() }
}
