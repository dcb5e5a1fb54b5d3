//! A log that can be shipped: it gives each record by its sequence number.

use crate::ring::{Level, Module, Read, Record, Ring, Timebase};

/// A log whose records have sequence numbers, each one more than the one before. A [`Cursor`](super::Cursor) walks over it.
///
/// All of it is for the panic path too: nothing may panic, allocate, or wait.
pub trait Log {
    /// A record of it.
    type Record: LogRecord;

    /// The oldest record's sequence number.
    fn first(&self) -> u64;

    /// The number after the newest record's.
    fn end(&self) -> u64;

    /// The record of a sequence number, or what became of it.
    fn read(&self, sequence: u64) -> Read<Self::Record>;

    /// The record of a sequence number if it seems to be there, faster than [`read`](Self::read): nothing of it may be
    /// believed before [`LogRecord::is_intact`] says so. A log without a faster way gives `None`.
    fn peek(&self, _sequence: u64) -> Option<Self::Record> {
        None
    }

    /// When a record was logged, in µs since its boot.
    fn micros(&self, record: &Self::Record) -> u64;

    /// How many records directly before `sequence` are there and are as `is_one` says, withheld ones included, at most
    /// `most` of them: it looks at each.
    fn count_before(&self, sequence: u64, most: u64, is_one: impl Fn(&Self::Record) -> bool) -> u64 {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let is_counted = |sequence: &u64| match self.read(*sequence) {
            Read::Record(record) | Read::Unfinished(record) => is_one(&record),
            Read::Withheld => true,
            Read::Lost { .. } | Read::End => false,
        };
        (self.first()..sequence).rev().take(most).take_while(is_counted).count() as u64
    }
}

/// A record, as the formats show it. What most logs do not have is empty unless a log says otherwise.
pub trait LogRecord {
    /// Its number in the log.
    fn sequence(&self) -> u64;

    /// How urgent it is.
    fn level(&self) -> Level;

    /// The text's length in bytes.
    fn len(&self) -> usize;

    /// Whether there is no text.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies the text from byte `offset` on, as much as there is and as fits; returns how many bytes that is. Each call
    /// gives the same bytes for as long as the record is [intact](Self::is_intact).
    fn copy_text(&self, offset: usize, buffer: &mut [u8]) -> usize;

    /// Whether all that was copied from this record before this call is the record's: nobody has overwritten it
    /// meanwhile.
    fn is_intact(&self) -> bool {
        true
    }

    /// Whether its text goes on with that of a record before.
    fn is_continuation(&self) -> bool {
        false
    }

    /// Whether its writer had not finished when the record was read.
    fn is_cut(&self) -> bool {
        false
    }

    /// How many boots ago it was logged; 0 is this one.
    fn boot(&self) -> u8 {
        0
    }

    /// The module that logged it; empty where that is not known.
    fn module(&self) -> Module {
        Module::new()
    }

    /// Whether it goes to every target, whatever its level.
    fn goes_always(&self) -> bool {
        false
    }

    /// Whether it may leave the machine.
    fn may_leave(&self) -> bool {
        true
    }

    /// Who logged it and how urgent it is, as syslog counts (RFC 5424, section 6.2.1); a kernel is facility 0.
    fn priority(&self) -> u64 {
        self.level() as u64
    }

    /// The release of the kernel that logged it, where that is another one.
    fn release(&self) -> Option<&str> {
        None
    }

    /// The thread that logged it, or with the top bit set the CPU, where that is to be shown.
    fn caller(&self) -> Option<u32> {
        None
    }

    /// Calls `item` with key and value of each item beside the text.
    fn fields(&self, _item: &mut dyn FnMut(&[u8], &[u8])) {}

    /// Whether it goes to the targets, whatever their limits of levels, where its log decides that.
    fn past_goes(&self) -> Option<bool> {
        None
    }
}

impl LogRecord for Record<'_> {
    fn sequence(&self) -> u64 {
        self.sequence()
    }

    fn level(&self) -> Level {
        self.level()
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn copy_text(&self, offset: usize, buffer: &mut [u8]) -> usize {
        self.copy_text(offset, buffer)
    }

    #[inline]
    fn is_intact(&self) -> bool {
        self.is_intact()
    }

    fn is_continuation(&self) -> bool {
        self.is_continuation()
    }

    fn is_cut(&self) -> bool {
        self.is_cut()
    }

    fn boot(&self) -> u8 {
        self.boot()
    }

    fn module(&self) -> Module {
        self.module()
    }

    fn goes_always(&self) -> bool {
        self.goes_always()
    }

    fn may_leave(&self) -> bool {
        self.may_leave()
    }

    fn priority(&self) -> u64 {
        self.priority()
    }

    fn release(&self) -> Option<&str> {
        self.release()
    }

    fn caller(&self) -> Option<u32> {
        self.caller()
    }

    fn fields(&self, item: &mut dyn FnMut(&[u8], &[u8])) {
        self.fields(item);
    }

    fn past_goes(&self) -> Option<bool> {
        self.past_goes()
    }
}

/// The ring as a log, with what converts its records' ticks.
#[derive(Clone, Copy)]
pub struct RingLog<'l, 'r> {
    ring: &'l Ring<'r>,
    timebase: &'l Timebase,
    /// No record is withheld: the reader is at the machine.
    is_local: bool,
}

impl<'l, 'r> RingLog<'l, 'r> {
    /// For whoever takes records out of the machine: those that must not leave it are withheld.
    pub const fn new(ring: &'l Ring<'r>, timebase: &'l Timebase) -> Self {
        Self { ring, timebase, is_local: false }
    }

    /// For whoever is at the machine: no record is withheld.
    pub const fn local(ring: &'l Ring<'r>, timebase: &'l Timebase) -> Self {
        Self { ring, timebase, is_local: true }
    }

    /// The ring.
    pub const fn ring(&self) -> &'l Ring<'r> {
        self.ring
    }

    /// What converts its records' ticks.
    pub const fn timebase(&self) -> &'l Timebase {
        self.timebase
    }
}

impl<'l> Log for RingLog<'l, '_> {
    type Record = Record<'l>;

    fn first(&self) -> u64 {
        self.ring.first()
    }

    fn end(&self) -> u64 {
        self.ring.end()
    }

    fn read(&self, sequence: u64) -> Read<Record<'l>> {
        if self.is_local { self.ring.read_locally(sequence) } else { self.ring.read(sequence) }
    }

    fn peek(&self, sequence: u64) -> Option<Record<'l>> {
        self.ring.peek(sequence)
    }

    fn micros(&self, record: &Record<'l>) -> u64 {
        self.ring.micros(record, self.timebase)
    }

    fn count_before(&self, sequence: u64, most: u64, is_one: impl Fn(&Record<'l>) -> bool) -> u64 {
        self.ring.count_before(sequence, most, is_one)
    }
}
