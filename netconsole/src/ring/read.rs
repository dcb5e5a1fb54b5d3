//! How a record is found again.

use super::layout::Place;
use super::sync::Ordering;
use super::{Record, Ring};

/// What a log has under a sequence number, as [`Ring::read`] finds it.
#[derive(Clone, Copy, Debug)]
pub enum Read<R> {
    /// A record that does not change any more. It is cut where an earlier boot ended amid writing it.
    Record(R),
    /// A record that is being written: what there is of it, which may be nothing at all.
    Unfinished(R),
    /// A record that must not leave the machine: its boot had a key, and this one has not the same.
    Withheld,
    /// The record is gone: overwritten or damaged.
    Lost {
        /// The next sequence number to be read; all between are gone too.
        resume: u64,
    },
    /// There is no record of this sequence number yet.
    End,
}

impl Ring<'_> {
    /// The record of a sequence number, for whoever takes it out of the machine.
    ///
    /// Whoever copies from it asks [`Record::is_intact`] afterwards.
    pub fn read(&self, sequence: u64) -> Read<Record<'_>> {
        match self.read_locally(sequence) {
            Read::Record(record) | Read::Unfinished(record) if !record.may_leave() => Read::Withheld,
            found => found,
        }
    }

    /// As [`read`](Self::read), for whoever is at the machine: no record is withheld.
    pub fn read_locally(&self, sequence: u64) -> Read<Record<'_>> {
        if let Some(past) = self.past(sequence) {
            return match past.find(sequence) {
                Some(found) => Read::Record(Record::of_past(self, past, found)),
                None => Read::Lost { resume: self.next_from(sequence.saturating_add(1)) },
            };
        }
        let head = self.head();
        if sequence >= head.sequence {
            return Read::End;
        }
        let earlier_boot = sequence < self.header.boot_sequence.load(Ordering::Relaxed);
        let found = match self.entry(sequence) {
            Some(place) if place.sequence == sequence => self.record(place),
            _ if !self.is_gone(sequence, head) => return Read::Unfinished(Record::unwritten(self, sequence)),
            _ => None,
        };
        match found {
            Some(record) if record.is_cut() && !earlier_boot && record.is_intact() => {
                Read::Unfinished(record)
            }
            Some(record) if record.is_whole() => Read::Record(record),
            _ => Read::Lost { resume: self.next_from(sequence.saturating_add(1)) },
        }
    }

    /// The record of a sequence number if it seems to be whole and may leave the machine, faster than [`read`](Self::read): nothing of it
    /// may be believed before [`Record::is_intact`] says so. Otherwise `read` says what became of it.
    pub fn peek(&self, sequence: u64) -> Option<Record<'_>> {
        let Some(place) = self.entry(sequence).filter(|place| place.sequence == sequence) else {
            return self.peek_past(sequence);
        };
        self.record(place).filter(|record| !record.is_cut() && record.may_leave())
    }

    #[cold]
    fn peek_past(&self, sequence: u64) -> Option<Record<'_>> {
        let past = self.past(sequence)?;
        Some(Record::of_past(self, past, past.find(sequence)?)).filter(Record::may_leave)
    }

    /// How many records directly before `sequence` are there and are as `is_one` says, at most `most` of them: it looks
    /// at each.
    pub fn count_before<'s>(&'s self, sequence: u64, most: u64, is_one: impl Fn(&Record<'s>) -> bool) -> u64 {
        let mut count: u64 = 0;
        for number in (0..sequence).rev().take(usize::try_from(most).unwrap_or(usize::MAX)) {
            let place = self.entry(number).filter(|place| place.sequence == number);
            let record = match place {
                Some(place) => self.record(place),
                None => self.peek_past(number),
            };
            if !record.is_some_and(|record| is_one(&record) && record.is_intact()) {
                break;
            }
            count = count.wrapping_add(1);
        }
        count
    }

    /// The record at a place, where its header is still there.
    pub(super) fn record(&self, place: Place) -> Option<Record<'_>> {
        let record = Record::at(self, place.position);
        (record.sequence() == place.sequence).then_some(record)
    }
}
