//! How much of a log is there, and how much is not.

use super::Log;
use super::read::Read;
use crate::memory::Memory;

/// How many records of a log are there, and are not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// The first record that is whole; the log's end where none is.
    pub first: u64,
    /// Records whose text can be read.
    pub whole: u64,
    /// Records before the first whole one: later ones took their place.
    pub overwritten: u64,
    /// Records that a writer had only reserved.
    pub unfinished: u64,
    /// Records that are damaged, or lie in memory that can't be read.
    pub unreadable: u64,
}

impl<M: Memory> Log<'_, M> {
    /// Looks at every record once. Linux takes the texts of the oldest records for new ones before it takes their
    /// descriptors, so that a log that has wrapped begins with records that are gone; where no record is whole, nothing
    /// tells that from damage, and all count as unreadable.
    pub fn count(&self) -> Count {
        let mut count = Count { first: self.end(), ..Count::default() };
        for sequence in self.first()..self.end() {
            let kind = match self.read(sequence) {
                Read::Unfinished => &mut count.unfinished,
                Read::Record(record) if record.is_readable() => {
                    if count.whole == 0 {
                        count.first = sequence;
                        count.overwritten = self.first().saturating_add(count.unreadable);
                        count.unreadable = 0;
                    }
                    &mut count.whole
                }
                _ => &mut count.unreadable,
            };
            *kind = kind.saturating_add(1);
        }
        count
    }
}
