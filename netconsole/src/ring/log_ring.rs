//! The ring itself: how room for a record is reserved, and where a record is.

use super::audience::Access;
use super::layout::{Checksum, MAX_WORDS, MIN_WORDS, Place};
use super::past::{Before, Past};
use super::sync::{AtomicU64, Ordering, fence};

/// How many boots a ring can tell apart.
pub(super) const BOOTS: usize = 16;

/// The words of a ring that are neither index nor data.
///
/// Any content is valid: memory that is zero is an empty ring, and of memory that was not cleared since
/// the last boot [`Ring::recover`] makes one.
#[repr(C)]
pub struct RingHeader {
    /// The [`Place`] of the next record.
    pub(super) head: AtomicU64,
    /// Records that no sequence number could be reserved for.
    pub(super) dropped: AtomicU64,
    /// What the headers of this boot's records have in common ([`Header::boot_word`]).
    pub(super) boot: AtomicU64,
    /// The sequence number of this boot's first record.
    pub(super) boot_sequence: AtomicU64,
    /// What [`Ring::say_goodbye`] left.
    pub(super) goodbye: AtomicU64,
    /// Per boot: ticks at its start, its frequency in Hz, whom its records are for, and a checksum.
    pub(super) boots: [[AtomicU64; 4]; BOOTS],
}

impl RingHeader {
    /// The header of an empty ring.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self {
            head: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            boot: AtomicU64::new(0),
            boot_sequence: AtomicU64::new(0),
            goodbye: AtomicU64::new(0),
            boots: [const { [const { AtomicU64::new(0) }; 4] }; BOOTS],
        }
    }

    /// The header of an empty ring; loom's atomics have no constant constructor.
    #[cfg(loom)]
    pub fn new() -> Self {
        Self {
            head: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            boot: AtomicU64::new(0),
            boot_sequence: AtomicU64::new(0),
            goodbye: AtomicU64::new(0),
            boots: Default::default(),
        }
    }
}

impl Default for RingHeader {
    fn default() -> Self {
        Self::new()
    }
}

/// A lock-free log ring: any number of writers, in any context, and any number of readers.
///
/// A writer never waits: it reserves words with one compare-and-swap, formats straight into them, and
/// shares nothing else with other writers. It may be interrupted anywhere, for ever, by one that logs
/// too. When the ring is full the oldest records go; a reader notices it by the sequence numbers, which
/// count every record since the cold start, from 0.
///
/// A writer that sleeps while others fill the whole ring still believes in its reservation; it looks
/// before every piece of text, and what it may spoil in between is found by the checksum of the record
/// that has taken its place.
///
/// Nothing here panics, allocates or waits: all of it is for the panic path too.
pub struct Ring<'m> {
    pub(super) header: &'m RingHeader,
    pub(super) index: &'m [AtomicU64],
    pub(super) data: &'m [AtomicU64],
    /// The largest record in words; 0 where there is no room for any.
    pub(super) max_words: usize,
    /// The sum that a record's checksum begins with.
    pub(super) seed: Checksum,
    /// Which records may leave the machine.
    pub(super) access: Access,
    /// Writes words back to memory.
    write_back: Option<WriteBack>,
    /// The log that this one follows, if any.
    before: Option<Before<'m>>,
}

/// Writes words of a ring back from the CPU's caches to memory: a record, and the word by which it is found. Is called in any
/// context, panic included, with what was just written.
pub type WriteBack = fn(&[AtomicU64], &AtomicU64);

impl<'m> Ring<'m> {
    /// How often a reservation is tried. Each failure means that another writer got its record, so no
    /// number of writers comes near this.
    const TRIES: usize = 1000;

    /// So that an entry of the index is overwritten before its position comes round again: 2^18 records
    /// of [`MAX_WORDS`] and 2^26 words of data are less than 2^28.
    const MAX_INDEX: usize = 1 << 18;
    const MAX_DATA: usize = 1 << 26;

    /// The ring in this memory, which is not touched.
    ///
    /// Of `index` and `data` the largest power of two of words is used, at most 2^18 (2 MiB) and 2^26
    /// (512 MiB). One word of index for 8 of data is a good measure. A ring of less than 16 words of data,
    /// or without an index, drops every record.
    pub const fn new(header: &'m RingHeader, index: &'m [AtomicU64], data: &'m [AtomicU64]) -> Self {
        let index = index.split_at(power_of_two(index.len(), Self::MAX_INDEX)).0;
        let data = data.split_at(power_of_two(data.len(), Self::MAX_DATA)).0;
        // So that no record overwrites itself or leaves no room for another.
        let half = data.len() / 2;
        let max_words = match half {
            _ if index.is_empty() || half < MIN_WORDS => 0,
            MAX_WORDS.. => MAX_WORDS,
            _ => half,
        };
        let (seed, access) = (Checksum::new(data.len()), Access::new());
        Self { header, index, data, max_words, seed, access, write_back: None, before: None }
    }

    /// The same ring, which has each record written back once it is done, before anybody can be sent it: so a reset that
    /// throws the caches away loses at most what was being written, and no sequence number is ever given again. For a ring
    /// whose memory a reset leaves alone.
    pub const fn written_back_by(self, write_back: WriteBack) -> Self {
        Self { write_back: Some(write_back), ..self }
    }

    /// Has a record that is done written back, and the index's word for it.
    #[inline(always)]
    pub(super) fn keep(&self, sequence: u64, record: &[AtomicU64]) {
        if let Some(write_back) = self.write_back
            && let Some(slot) = self.slot(sequence)
        {
            write_back(record, slot);
        }
    }

    /// Has these words of the header or the index written back.
    pub(super) fn keep_words(&self, words: &[AtomicU64]) {
        if let (Some(write_back), Some(first)) = (self.write_back, words.first()) {
            write_back(words, first);
        }
    }

    /// The sequence number from which on all that the ring has lies in the newest `bytes` bytes of its memory. What a
    /// record takes there is more than its text and a time before it.
    pub fn newest_within(&self, bytes: usize) -> u64 {
        let head = self.head();
        let (words, mut first) = (bytes / 8, head.sequence);
        for back in 1..=self.index.len() as u64 {
            let Some(sequence) = head.sequence.checked_sub(back) else { break };
            // One that is being written has no entry yet.
            let Some(place) = self.entry(sequence).filter(|place| place.sequence == sequence) else {
                continue;
            };
            if head.words_since(place.position) > words {
                break;
            }
            first = sequence;
        }
        first
    }

    /// This ring as one that follows another kernel's log, whose last record has the number before `end` and was logged
    /// `micros` µs after that kernel's start: its records are read by this ring too, and the numbers and times of this one's
    /// go on from there. [`begin_following`](Self::begin_following) comes next.
    pub const fn following(self, log: &'m dyn Past, end: u64, micros: u64) -> Self {
        Self { before: Some(Before { log, end, micros }), ..self }
    }

    /// The log that this one follows, where the record of this number is in that one.
    #[inline]
    pub(super) fn past(&self, sequence: u64) -> Option<&'m dyn Past> {
        self.before.as_ref().filter(|before| sequence < before.end).map(|before| before.log)
    }

    /// The log of the kernel that crashed before this boot, and the number after its last record's, where its records may
    /// leave the machine: none has a say in that of its own.
    pub(crate) fn past_that_goes(&self) -> Option<(&'m dyn Past, u64)> {
        let before = self.before.as_ref().filter(|before| before.log.boots_ago() == 0)?;
        let may_leave = self.access.admits(self.header.boot.load(Ordering::Relaxed), false);
        may_leave.then_some((before.log, before.end))
    }

    /// Whether the record of this number is another kernel's, which this log follows.
    #[inline]
    pub fn is_past(&self, sequence: u64) -> bool {
        self.past(sequence).is_some()
    }

    /// The first sequence number that is not another kernel's.
    pub fn own_first(&self) -> u64 {
        self.before.as_ref().map_or(0, |before| before.end)
    }

    /// What the time of this boot's records begins with, in µs: where the log before this one ended.
    #[inline(always)]
    pub fn origin(&self) -> u64 {
        self.before.as_ref().map_or(0, |before| before.micros)
    }

    /// The oldest record's sequence number. As they count from 0, it is also the number of records that
    /// were overwritten since the cold start.
    pub fn first(&self) -> u64 {
        self.next_from(0)
    }

    /// The sequence number that the next record will get.
    pub fn end(&self) -> u64 {
        self.head().sequence
    }

    /// Records of this boot that got no sequence number, because too many writers wanted one at once.
    pub fn dropped(&self) -> u64 {
        self.header.dropped.load(Ordering::Relaxed)
    }

    /// The first sequence number from `sequence` on that is not gone.
    pub(super) fn next_from(&self, sequence: u64) -> u64 {
        if let Some(past) = self.past(sequence) {
            return sequence.max(past.first());
        }
        let head = self.head();
        let oldest = head.sequence.saturating_sub(self.index.len() as u64);
        let mut next = sequence.max(oldest);
        // At most as many steps as the index has entries.
        while next < head.sequence && self.is_gone(next, head) {
            next = next.wrapping_add(1);
        }
        next
    }

    /// Whether the record of a sequence number before `head` cannot be in the ring any more.
    pub(super) fn is_gone(&self, sequence: u64, head: Place) -> bool {
        if head.sequence.wrapping_sub(sequence) > self.index.len() as u64 {
            return true;
        }
        // A record has no entry yet between its reservation and its header. Then it is gone when the
        // next one that has an entry is.
        for later in sequence..head.sequence {
            match self.entry(later) {
                Some(place) if place.sequence == later => return !self.is_within(place.position, head),
                Some(place) if place.sequence > later => return true,
                // What an earlier boot did not leave will never come.
                _ if later < self.header.boot_sequence.load(Ordering::Relaxed) => return true,
                _ => {}
            }
        }
        false
    }

    /// Whether the words from `position` on are not yet given to another writer, as of `head`.
    pub(super) fn is_within(&self, position: usize, head: Place) -> bool {
        head.words_since(position) <= self.data.len()
    }

    /// Whether what was read from `position` on before this call was not yet given to another writer.
    pub(super) fn still_holds(&self, position: usize) -> bool {
        // Pairs with the fence in `reserve`: whoever has read a word of a later reservation sees its head.
        fence(Ordering::Acquire);
        self.is_within(position, self.head())
    }

    pub(super) fn head(&self) -> Place {
        Place::unpack(self.header.head.load(Ordering::Acquire))
    }

    /// The entry of the index that a record with this sequence number has, or another one in its stead.
    pub(super) fn entry(&self, sequence: u64) -> Option<Place> {
        Self::entry_in(self.slot(sequence)?)
    }

    /// The entry that a word of the index holds. It has the sequence number of the record after, so that
    /// 0 is none.
    pub(super) fn entry_in(slot: &AtomicU64) -> Option<Place> {
        let place = Place::unpack(slot.load(Ordering::Acquire));
        Some(Place { sequence: place.sequence.checked_sub(1)?, ..place })
    }

    /// The index's word for a sequence number; `None` only in a ring without an index.
    fn slot(&self, sequence: u64) -> Option<&'m AtomicU64> {
        self.index.get(sequence as usize & self.index.len().wrapping_sub(1))
    }

    /// The words from a position to the ring's end.
    #[inline(always)]
    pub(super) fn words_from(&self, position: usize) -> &'m [AtomicU64] {
        self.data.get(position & self.data.len().wrapping_sub(1)..).unwrap_or_default()
    }

    /// `count` words from a position on, if they end within the ring.
    #[inline(always)]
    fn words(&self, position: usize, count: usize) -> Option<&'m [AtomicU64]> {
        self.data.get(position & self.data.len().wrapping_sub(1)..)?.get(..count)
    }

    /// Reserves `words` words, at most [`max_words`](Self::max_words) of them, and a sequence number; counts the record
    /// as dropped where that fails.
    #[inline(always)]
    pub(super) fn reserve(&self, words: usize) -> Option<(Place, &'m [AtomicU64])> {
        if self.max_words == 0 {
            self.drop_record();
            return None;
        }
        let head = self.header.head.load(Ordering::Relaxed);
        let place = Place::unpack(head);
        match self.words(place.position, words) {
            Some(slots) if self.exchange_head(head, place.after(words)).is_ok() => Some((place, slots)),
            _ => self.reserve_otherwise(words),
        }
    }

    /// Reserves where another writer was faster, or the ring's end would come within: no record goes round it, so it
    /// begins at the ring's begin.
    #[cold]
    fn reserve_otherwise(&self, words: usize) -> Option<(Place, &'m [AtomicU64])> {
        let mut head = self.header.head.load(Ordering::Relaxed);
        for _ in 0..Self::TRIES {
            let next = Place::unpack(head);
            let left = self.words_from(next.position).len();
            let place = if words <= left { next } else { next.moved_on(left) };
            match self.exchange_head(head, place.after(words)) {
                Ok(()) => return Some((place, self.words(place.position, words)?)),
                Err(other) => head = other,
            }
        }
        self.drop_record();
        None
    }

    #[cold]
    fn drop_record(&self) {
        self.header.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Moves the end of the reservation of record `sequence`, where it is still the last one.
    ///
    /// Only the writer of that record moves the head without giving a new sequence number, so the head
    /// it expects is never there by chance.
    #[inline(always)]
    pub(super) fn move_end(&self, sequence: u64, from: usize, to: usize) -> bool {
        let last = Place { sequence, position: from }.after(0);
        self.exchange_head(last.pack(), Place { sequence, position: to }.after(0)).is_ok()
    }

    #[inline(always)]
    fn exchange_head(&self, expected: u64, next: Place) -> Result<(), u64> {
        self.header.head.compare_exchange(expected, next.pack(), Ordering::AcqRel, Ordering::Relaxed)?;
        // No word is stored to a reservation before the head that covers it can be seen.
        fence(Ordering::Release);
        Ok(())
    }

    /// Makes a record whose header is stored findable.
    #[inline(always)]
    pub(super) fn publish(&self, place: Place) {
        if let Some(slot) = self.slot(place.sequence) {
            // The maximum, so that a writer that slept while the index went round does no harm.
            slot.fetch_max(place.after(0).pack(), Ordering::Release);
        }
    }
}

/// The largest power of two that is neither over `len` nor over `limit`; 0 for 0.
const fn power_of_two(len: usize, limit: usize) -> usize {
    match len.checked_ilog2() {
        Some(bits) if 1 << bits < limit => 1 << bits,
        Some(_) => limit,
        None => 0,
    }
}
