//! What the next boot makes of a ring that survived in memory.
//!
//! Every record proves itself: its entry in the index, its header and its checksum, which is seeded with
//! the layout's version and the ring's size, must agree. So nothing in [`RingHeader`](super::RingHeader)
//! is needed to find the records, and no single damaged word loses more than one.

use super::layout::{Checksum, Header, Place};
use super::sync::{AtomicU64, Ordering};
use super::{Audience, Record, Ring, Timebase};
use crate::ring::log_ring::BOOTS;
use core::fmt;

/// How many numbers boots have, before they begin again.
const BOOT_NUMBERS: u64 = BOOTS as u64;

/// What [`Ring::recover`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// Whole records of earlier boots, those included that were being written when their boot ended.
    pub records: u64,
    /// Records missing between the oldest and the newest.
    pub damaged: u64,
    /// How many of them do not leave the machine: their boot had a key, and this one has not the same.
    pub withheld: u64,
    /// From how many boots the records are.
    pub boots: u32,
    /// Whether the boot before ended in order, with [`Ring::say_goodbye`].
    pub goodbye: bool,
}

impl Recovery {
    /// Nothing was there, or nothing was looked for.
    pub const NOTHING: Self = Self { records: 0, damaged: 0, withheld: 0, boots: 0, goodbye: false };
}

/// What the boot's log says of the boot before; to be shown where there are records.
impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.goodbye { "ended in order" } else { "ended without a goodbye" };
        write!(f, "previous boot {end}: {} records", self.records)?;
        if self.boots > 1 {
            write!(f, " of {} boots", self.boots)?;
        }
        if self.damaged > 0 {
            write!(f, ", {} damaged", self.damaged)?;
        }
        if self.withheld > 0 {
            write!(f, ", {} withheld: they leave only sealed with the key of their boot", self.withheld)?;
        }
        Ok(())
    }
}

impl Ring<'_> {
    const GOODBYE: u64 = u64::from_le_bytes(*b"goodbye\0");

    /// Begins a boot at `start` ticks in memory that nobody has cleared since the last one.
    ///
    /// Whole records stay where they are, keep their sequence numbers and become those of earlier boots;
    /// this boot's follow on. Where there is no whole record, the ring is empty and begins at 0: a cold
    /// start. Any content of the memory is taken. To be called by one context, before the first record.
    ///
    /// The records of this boot are for `audience`. Those of earlier boots that had a key leave the machine
    /// only where this boot has the same one ([`Read::Withheld`](super::Read::Withheld)).
    pub fn recover(&self, start: u64, audience: Audience) -> Recovery {
        let newest = self.newest();
        let next = newest.map_or(Place { sequence: 0, position: 0 }, |newest| self.place_after(newest));
        let boot = newest.map_or(0, |newest| newest.boot_number().wrapping_add(1)) % BOOT_NUMBERS;
        let farewell = self.header.goodbye.load(Ordering::Relaxed);
        let goodbye = newest.is_some_and(|newest| farewell == Self::GOODBYE ^ newest.boot_number());
        self.admit(boot, audience);
        let recovery = self.take_stock(next, boot, goodbye);
        self.begin(boot, next, start, audience);
        recovery
    }

    /// Begins a boot at `start` ticks, for `audience`, whose records follow the log of another kernel
    /// ([`following`](Self::following)). What was in this memory before is gone. To be called by one context, before the
    /// first record.
    pub fn begin_following(&self, start: u64, audience: Audience) {
        self.index.iter().for_each(|slot| slot.store(0, Ordering::Relaxed));
        let next = Place { sequence: self.own_first(), position: 0 };
        self.admit(0, audience);
        self.begin(0, next, start, audience);
    }

    /// Begins the boot of this number, whose first record goes to `next`; the index is in order already.
    fn begin(&self, boot: u64, next: Place, start: u64, audience: Audience) {
        self.header.boot.store(Header::boot_word(boot, audience.is_limited()), Ordering::Relaxed);
        self.header.boot_sequence.store(next.sequence, Ordering::Relaxed);
        self.header.dropped.store(0, Ordering::Relaxed);
        self.header.goodbye.store(0, Ordering::Relaxed);
        self.set_boot(start, 0, audience);
        self.header.head.store(next.pack(), Ordering::Release);
        self.keep_words(core::slice::from_ref(&self.header.goodbye));
        self.keep_words(self.index);
    }

    /// Notes that this boot ends in order, as the next one will say.
    pub fn say_goodbye(&self) {
        self.header.goodbye.store(Self::GOODBYE ^ self.this_boot(), Ordering::Relaxed);
        self.keep_words(core::slice::from_ref(&self.header.goodbye));
    }

    /// Notes the frequency of this boot's counter, for the next ones.
    pub fn set_frequency(&self, hz: u64) {
        if let Some(Boot { start, audience, .. }) = self.boot(self.this_boot()) {
            self.set_boot(start, hz, audience);
        }
    }

    /// Microseconds from the start of a record's own boot to the record, or from that of the kernel whose log this boot's
    /// follows; `timebase` is this boot's. 0 where that boot's start or frequency is not known.
    #[inline(always)]
    pub fn micros(&self, record: &Record<'_>, timebase: &Timebase) -> u64 {
        if let Some(micros) = record.past_micros() {
            return micros;
        }
        match record.boot() {
            0 => timebase.micros(record.ticks()).saturating_add(self.origin()),
            boots_ago => self.earlier_micros(boots_ago, record.ticks()),
        }
    }

    #[cold]
    fn earlier_micros(&self, boots_ago: u8, ticks: u64) -> u64 {
        self.timebase(boots_ago).map_or(0, |timebase| timebase.micros(ticks))
    }

    /// What converts the ticks of a record of `boots_ago` boots ago; `None` where that boot's entry is
    /// damaged or the counter's frequency was not known before its end.
    pub fn timebase(&self, boots_ago: u8) -> Option<Timebase> {
        let boot = self.this_boot().wrapping_sub(boots_ago.into()) % BOOT_NUMBERS;
        let Boot { start, hz, .. } = self.boot(boot).filter(|boot| boot.hz != 0)?;
        let mut timebase = Timebase::new(start);
        timebase.calibrate(start, hz);
        Some(timebase)
    }

    /// The record of the highest sequence number that an entry of the index leads to.
    fn newest(&self) -> Option<Record<'_>> {
        (0..self.index.len()).filter_map(|number| self.proven(number)).max_by_key(Record::sequence)
    }

    /// The whole record that an entry of the index leads to, whether or not the head agrees.
    fn proven(&self, number: usize) -> Option<Record<'_>> {
        let place = Self::entry_in(self.index.get(number)?)?;
        let in_its_place = (place.sequence as usize).checked_rem(self.index.len()) == Some(number);
        in_its_place.then(|| self.record(place)).flatten().filter(Record::matches_checksum)
    }

    /// Where the boot's first record goes: after the newest whole one. The head is believed only as to
    /// how many sequence numbers were given after that one, and only where the index has the last of them.
    fn place_after(&self, newest: Record<'_>) -> Place {
        let next = newest.place().after(newest.words());
        let head = self.head();
        let last = head.sequence.wrapping_sub(1);
        let given = last.wrapping_sub(newest.sequence()) <= self.index.len() as u64;
        let confirmed = self.entry(last).is_some_and(|place| place.sequence == last);
        if given && confirmed { Place { sequence: head.sequence, ..next } } else { next }
    }

    /// Counts the whole records and clears all other entries of the index, so that none is in a new
    /// one's way. Of records so old that their boot has this one's number again, none is kept.
    fn take_stock(&self, next: Place, boot: u64, goodbye: bool) -> Recovery {
        let (mut records, mut withheld, mut boots, mut first) = (0, 0, 0_u16, next.sequence);
        for (number, slot) in self.index.iter().enumerate() {
            match self.proven(number) {
                Some(record)
                    if self.is_within(record.place().position, next) && record.boot_number() != boot =>
                {
                    records = u64::wrapping_add(records, 1);
                    withheld = u64::wrapping_add(withheld, (!record.may_leave()).into());
                    boots |= 1 << record.boot_number();
                    first = first.min(record.sequence());
                }
                _ => slot.store(0, Ordering::Relaxed),
            }
        }
        let damaged = next.sequence.saturating_sub(first).saturating_sub(records);
        Recovery { records, damaged, withheld, boots: boots.count_ones(), goodbye }
    }

    /// Lets the records of earlier boots with this boot's key leave the machine, and no others of boots with a key.
    fn admit(&self, boot: u64, audience: Audience) {
        let (mut open, mut closed) = (0, 0);
        for number in 0..BOOT_NUMBERS {
            let is_limited = |whom: &Audience| whom.is_limited();
            let whom =
                if number == boot { Some(audience) } else { self.boot(number).map(|boot| boot.audience) };
            match whom.filter(is_limited) {
                Some(Audience::Holders(key)) if audience == Audience::Holders(key) => open |= 1 << number,
                Some(_) => closed |= 1 << number,
                None => {}
            }
        }
        self.access.set(open, closed);
    }

    /// This boot's number modulo [`BOOTS`].
    fn this_boot(&self) -> u64 {
        self.header.boot.load(Ordering::Relaxed) % BOOT_NUMBERS
    }

    /// What is noted of a boot; `None` where that is damaged.
    fn boot(&self, number: u64) -> Option<Boot> {
        let words = self.boot_words(number)?.each_ref().map(|word| word.load(Ordering::Relaxed));
        let [start, hz, audience, check] = words;
        let boot = Boot { start, hz, audience: Audience::from_word(audience) };
        (check == boot.check(number)).then_some(boot)
    }

    fn set_boot(&self, start: u64, hz: u64, audience: Audience) {
        let number = self.this_boot();
        let check = Boot { start, hz, audience }.check(number);
        if let Some(words) = self.boot_words(number) {
            for (word, value) in words.iter().zip([start, hz, audience.to_word(), check]) {
                word.store(value, Ordering::Relaxed);
            }
            self.keep_words(words);
        }
    }

    fn boot_words(&self, number: u64) -> Option<&[AtomicU64; 4]> {
        self.header.boots.get(number as usize % BOOTS)
    }
}

/// What the ring's header notes of a boot.
struct Boot {
    /// The ticks at its start.
    start: u64,
    /// The frequency of its counter; 0 where it was not known before its end.
    hz: u64,
    /// Whom its records are for.
    audience: Audience,
}

impl Boot {
    fn check(&self, number: u64) -> u64 {
        Checksum::new(BOOTS).with(number).with(self.start).with(self.hz).with(self.audience.to_word()).0
    }
}
