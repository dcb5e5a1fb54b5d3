//! A record as a reader sees it.

use super::layout::{CHECKSUM, Checksum, HEADER_WORDS, Header, MAX_MODULE, Place, TICKS};
use super::past::{Past, PastRecord};
use super::sync::{AtomicU64, Ordering};
use super::{ALWAYS, Level, Ring};
use crate::text::Text;
use core::fmt;

/// A view of a record in the ring. Copying from it is safe at any time; [`is_intact`](Self::is_intact)
/// tells whether what was copied is the record's.
#[derive(Clone, Copy)]
pub struct Record<'r> {
    ring: &'r Ring<'r>,
    sequence: u64,
    /// `None` where nothing of the record is there yet, not even its header.
    position: Option<usize>,
    /// The words from there to the ring's end.
    words: &'r [AtomicU64],
    header: Header,
    ticks: u64,
    /// What it is where it is another kernel's, and that one's log.
    past: Option<(&'r dyn Past, PastRecord)>,
}

impl<'r> Record<'r> {
    /// The record that lies at a position, whatever is there.
    pub(super) fn at(ring: &'r Ring<'r>, position: usize) -> Self {
        let words = ring.words_from(position);
        let header = Header(words.first().map_or(0, |word| word.load(Ordering::Acquire)));
        let ticks = word(words, TICKS);
        Self { ring, sequence: header.sequence(), position: Some(position), words, header, ticks, past: None }
    }

    /// A record that is reserved and has no header yet.
    pub(super) fn unwritten(ring: &'r Ring<'r>, sequence: u64) -> Self {
        let boot = ring.header.boot.load(Ordering::Relaxed);
        let header = Header::new(sequence, Level::Emergency, 0, boot, false);
        Self { ring, sequence, position: None, words: &[], header, ticks: 0, past: None }
    }

    /// A record of the log that this one follows.
    pub(super) fn of_past(ring: &'r Ring<'r>, past: &'r dyn Past, record: PastRecord) -> Self {
        let boot = ring.header.boot.load(Ordering::Relaxed);
        let level = Level::from_low_bits(record.level);
        let header = Header::new(record.sequence, level, 0, boot, record.continues).done();
        let sequence = record.sequence;
        Self { ring, sequence, position: None, words: &[], header, ticks: 0, past: Some((past, record)) }
    }

    /// The record's number in the ring, from 0 at a cold start.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The time stamp counter when the record was logged; 0 where that is not written yet.
    pub fn ticks(&self) -> u64 {
        self.ticks
    }

    /// How urgent it is; [`Level::Emergency`] where that is not written yet.
    pub fn level(&self) -> Level {
        self.header.level()
    }

    /// Who logged it and how urgent it is, as syslog counts (RFC 5424, section 6.2.1): this kernel is facility 0.
    pub fn priority(&self) -> u64 {
        let facility = self.past.as_ref().map_or(0, |(_, record)| u64::from(record.facility));
        facility << 3 | self.level() as u64
    }

    /// Whether it goes to the targets, whatever their limits, where it is another kernel's.
    #[inline]
    pub fn past_goes(&self) -> Option<bool> {
        self.past.as_ref().map(|(_, record)| record.goes)
    }

    /// When it was logged, in µs, where it is another kernel's.
    #[inline]
    pub(super) fn past_micros(&self) -> Option<u64> {
        self.past.as_ref().map(|(_, record)| record.micros)
    }

    /// The release of the kernel that logged it, where that is another one.
    pub fn release(&self) -> Option<&'r str> {
        self.past.map(|(past, _)| past.release())
    }

    /// The thread that logged it, or with the top bit set the CPU; another kernel's, where that is to be shown.
    pub fn caller(&self) -> Option<u32> {
        self.past.as_ref().and_then(|(_, record)| record.caller)
    }

    /// Calls `item` with key and value of each item beside the text: another kernel's records have some.
    pub fn fields(&self, item: &mut dyn FnMut(&[u8], &[u8])) {
        if let Some((past, record)) = &self.past {
            past.fields(record, item);
        }
    }

    /// Whether it goes to every target, whatever its level: it was logged with the target [`ALWAYS`](super::ALWAYS).
    pub fn goes_always(&self) -> bool {
        // Few have a module path of this length.
        self.header.module_len() == ALWAYS.len() && self.module().as_bytes() == ALWAYS.as_bytes()
    }

    /// Whether its text goes on with that of a record before.
    pub fn is_continuation(&self) -> bool {
        self.header.is_continuation()
    }

    /// Whether its writer had not finished when the record was read.
    pub fn is_cut(&self) -> bool {
        !self.header.is_done()
    }

    /// How many boots ago it was logged, 0 to 15; 0 is this one.
    pub fn boot(&self) -> u8 {
        if let Some((past, _)) = &self.past {
            return past.boots_ago();
        }
        (self.ring.header.boot.load(Ordering::Relaxed).wrapping_sub(self.header.boot()) & 15) as u8
    }

    /// The module that logged it.
    pub fn module(&self) -> Module {
        Text::filled(self.header.module_len(), |bytes| self.copy(HEADER_WORDS, 0, bytes))
    }

    /// The text's length in bytes, at most 4608; of another kernel's record at most 65,535.
    pub fn len(&self) -> usize {
        match &self.past {
            None => self.header.len(),
            Some((_, record)) => record.len,
        }
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies the text from byte `offset` on, as much as there is and as fits; returns how many bytes
    /// that is. A whole record's text is UTF-8; of a cut one from an earlier boot that is not sure.
    pub fn copy_text(&self, offset: usize, buffer: &mut [u8]) -> usize {
        let count = self.len().saturating_sub(offset).min(buffer.len());
        let to = buffer.get_mut(..count).unwrap_or_default();
        match &self.past {
            None => self.copy(self.header.text_offset(), offset, to),
            Some((past, record)) => past.copy_text(record, offset, to),
        }
        count
    }

    /// Whether all that was copied from this record before this call is the record's: nobody has
    /// overwritten it meanwhile. For a record without text it is always so.
    ///
    /// The head tells of a writer that has reserved its words since; the checksum, once more, of one that
    /// slept since before the record was there and still believes that the place is its own.
    #[inline]
    pub fn is_intact(&self) -> bool {
        self.position.is_none_or(|position| {
            let header = Header(word(self.words, 0));
            let is_same = if self.is_cut() {
                // It may have grown.
                header.sequence() == self.sequence
            } else {
                header == self.header && self.matches_checksum()
            };
            is_same && self.ring.still_holds(position)
        })
    }

    /// Whether the checksum is right and the record not overwritten.
    pub(super) fn is_whole(&self) -> bool {
        self.matches_checksum() && self.position.is_some_and(|position| self.ring.still_holds(position))
    }

    pub(super) fn matches_checksum(&self) -> bool {
        let Some(position) = self.position else { return false };
        // Until a record is done only what came before its text is proven.
        let (header, end) = match self.is_cut() {
            true => (self.header.without_len(), self.header.text_offset()),
            false => (self.header, self.header.words()),
        };
        let Some(words) = self.words.get(HEADER_WORDS..end) else { return false };
        let begin = self.ring.seed.at(position).with(self.ticks);
        add_words(begin, words).finish(header) == word(self.words, CHECKSUM)
    }

    /// Where the record is; position 0 where nothing of it is there yet.
    pub(super) fn place(&self) -> Place {
        Place { sequence: self.sequence, position: self.position.unwrap_or(0) }
    }

    /// The words that the record takes.
    pub(super) fn words(&self) -> usize {
        self.header.words()
    }

    /// Whether it may leave the machine: its boot had no key, or this one has the same.
    pub fn may_leave(&self) -> bool {
        self.ring.access.admits(self.boot_number(), self.header.is_limited())
    }

    /// The number of its boot modulo 16.
    pub(super) fn boot_number(&self) -> u64 {
        self.header.boot()
    }

    /// Fills `buffer` from byte `skip` on of what begins at word `start` of the record.
    fn copy(&self, start: usize, skip: usize, buffer: &mut [u8]) {
        let load = |word: &AtomicU64| word.load(Ordering::Relaxed);
        let mut words = self.words.get(start.wrapping_add(skip / 8)..).unwrap_or_default().iter();
        let mut rest = buffer;
        if !skip.is_multiple_of(8) {
            let head =
                rest.split_off_mut(..rest.len().min(8_usize.wrapping_sub(skip % 8))).unwrap_or_default();
            copy_word(words.next().map_or(0, load) >> (skip % 8).wrapping_mul(8), head);
        }
        let (chunks, tail) = rest.as_chunks_mut::<8>();
        let (whole, last) = words.as_slice().split_at(chunks.len().min(words.len()));
        for (to, word) in chunks.iter_mut().zip(whole) {
            *to = load(word).to_le_bytes();
        }
        if !tail.is_empty() {
            copy_word(last.first().map_or(0, load), tail);
        }
    }
}

/// Adds words to a sum.
#[inline(always)]
pub(super) fn add_words(sum: Checksum, words: &[AtomicU64]) -> Checksum {
    words.iter().fold(sum, |sum, word| sum.with(word.load(Ordering::Relaxed)))
}

/// A word of a record; 0 after the ring's end.
fn word(words: &[AtomicU64], offset: usize) -> u64 {
    words.get(offset).map_or(0, |word| word.load(Ordering::Relaxed))
}

/// Copies the first bytes that a word stands for.
fn copy_word(word: u64, to: &mut [u8]) {
    to.iter_mut().zip(word.to_le_bytes()).for_each(|(to, from)| *to = from);
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("sequence", &self.sequence)
            .field("level", &self.level())
            .field("cut", &self.is_cut())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// A module path, or the last 31 bytes of a longer one.
pub type Module = Text<MAX_MODULE>;
