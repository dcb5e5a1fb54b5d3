//! The walk over a log: datagram by datagram, in the records' order.
//!
//! Every reader of a log walks by it: targets, receivers that ask for records again, the last words, the serial console,
//! `dmesg`. What they do with a datagram, and when they go on, is theirs.

use super::datagram::{self, Piece};
use super::{Log, LogRecord, Style};
use crate::ring::Read;

/// A place in a log: a record, and where in it the next datagram begins. It only moves when it is told that a datagram has
/// gone out, or over records that do not go out.
///
/// All zeros is the beginning of record 0. Panic-safe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    sequence: u64,
    /// 0 at a record's beginning; otherwise only [`datagram`](Self::datagram) knows what it means.
    offset: usize,
    /// How many records directly before this one were held back, plus 1; 0 where that is not known.
    held: u64,
}

/// What a walk makes of a record that is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfinished {
    /// It waits: the record is whole soon.
    Await,
    /// It takes what there is of the record, which is marked as cut.
    Take,
}

/// What [`Cursor::next`] finds.
#[derive(Clone, Copy, Debug)]
pub enum Next<R> {
    /// The record from which the next datagram is to be made.
    Record(R),
    /// The record was held back, and the cursor is after it.
    HeldBack,
    /// This many records were lost, and the cursor is after them.
    Lost(u64),
    /// There is no more for now.
    End,
}

/// A datagram that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// The payload's length in bytes.
    pub len: usize,
    /// The place after it.
    pub next: Cursor,
}

impl Datagram {
    /// Whether it is the last one of its record.
    pub const fn ends_record(&self) -> bool {
        self.next.is_at_begin()
    }
}

impl Cursor {
    /// The beginning of a record. How many were held back before it is not known.
    pub const fn at(sequence: u64) -> Self {
        Self { sequence, offset: 0, held: 0 }
    }

    /// The beginning of a record, directly before which `held` were held back.
    pub const fn at_after_held(sequence: u64, held: u64) -> Self {
        Self { sequence, offset: 0, held: held.saturating_add(1) }
    }

    /// Amid a record.
    #[cfg(test)]
    pub(crate) const fn amid(sequence: u64, offset: usize) -> Self {
        Self { sequence, offset, held: 0 }
    }

    /// The sequence number of the record that it is at.
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Whether no datagram of the record has gone out yet.
    pub const fn is_at_begin(&self) -> bool {
        self.offset == 0
    }

    /// How many records directly before this one were held back; 0 where that is not known.
    pub const fn held(&self) -> u64 {
        self.held.saturating_sub(1)
    }

    /// Has the log say how many records directly before this one are held back, at most `most`, where that is not known.
    pub fn count_held<L: Log>(&mut self, log: &L, most: u64, passes: impl Fn(&L::Record) -> bool) {
        if self.held == 0 {
            self.held = log.count_before(self.sequence, most, |record| !passes(record)).saturating_add(1);
        }
    }

    /// Goes to the next record, where one goes out that `passes` and is whole; a record of which a part has gone out goes on
    /// whatever `passes` says. Each call takes one step, so that a turn may end between them.
    pub fn next<L: Log>(
        &mut self,
        log: &L,
        unfinished: Unfinished,
        passes: impl Fn(&L::Record) -> bool,
    ) -> Next<L::Record> {
        let record = match log.read(self.sequence) {
            Read::Record(record) => record,
            Read::Unfinished(_) if unfinished == Unfinished::Await => return Next::End,
            Read::Unfinished(record) => record,
            Read::Withheld => return self.hold_back(),
            Read::Lost { resume } => {
                let resume = resume.max(self.sequence.saturating_add(1));
                let lost = resume.saturating_sub(self.sequence);
                *self = Self::at_after_held(resume, 0);
                return Next::Lost(lost);
            }
            Read::End => return Next::End,
        };
        if self.goes_out(&record, passes) { Next::Record(record) } else { self.hold_back() }
    }

    /// The record that [`next`](Self::next) would most probably give, faster: whether it does go out is not said before
    /// [`datagram`](Self::datagram) has proven it. `None`: `next` says what there is.
    pub fn peek<L: Log>(&self, log: &L, passes: impl Fn(&L::Record) -> bool) -> Option<L::Record> {
        log.peek(self.sequence).filter(|record| self.goes_out(record, passes))
    }

    /// Writes the next datagram, which is one of `record`, to the start of `to`: at most
    /// [`MAX_DATAGRAM`](super::MAX_DATAGRAM) bytes. A `to` that is shorter gets shorter datagrams; one that takes nothing at
    /// all ends the record. `None`, and what is in `to` means nothing, where the record was overwritten meanwhile.
    pub fn datagram<L: Log>(
        &self,
        style: &Style<'_>,
        log: &L,
        record: &L::Record,
        to: &mut [u8],
    ) -> Option<Datagram> {
        let style = Style { held: self.held(), ..*style };
        let Piece { len, next } = datagram::write(&style, record, log.micros(record), self.offset, to);
        let next = match next {
            Some(offset) => Self { offset, ..*self },
            None => self.after(1),
        };
        record.is_intact().then_some(Datagram { len, next })
    }

    /// The place after `records` records from this one on, all of which have gone out.
    pub const fn after(&self, records: u64) -> Self {
        Self::at_after_held(self.sequence.saturating_add(records), 0)
    }

    /// A record of which a part has gone out is not cut, whatever has changed meanwhile.
    fn goes_out<R: LogRecord>(&self, record: &R, passes: impl Fn(&R) -> bool) -> bool {
        !self.is_at_begin() || passes(record)
    }

    fn hold_back<R>(&mut self) -> Next<R> {
        let held = if self.held == 0 { 0 } else { self.held.saturating_add(1) };
        *self = Self { sequence: self.sequence.saturating_add(1), offset: 0, held };
        Next::HeldBack
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
