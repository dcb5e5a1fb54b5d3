//! Reading for several readers that follow each other closely.

use super::{Read, Ring};
use core::ops::Range;

/// Reads a ring for several readers at about the same time: what was found whole for one of them is not
/// summed again for the next.
///
/// That a record has not been overwritten since is looked at each time, as [`Record::is_intact`] does.
///
/// [`Record::is_intact`]: super::Record::is_intact
pub struct Reader<'r> {
    ring: &'r Ring<'r>,
    /// The sequence numbers of the records whose checksums were right.
    whole: Range<u64>,
}

impl<'r> Reader<'r> {
    /// A reader that has not read anything yet. It is meant for one turn, not to be kept.
    pub const fn new(ring: &'r Ring<'r>) -> Self {
        Self { ring, whole: 0..0 }
    }

    /// The ring that it reads.
    pub const fn ring(&self) -> &'r Ring<'r> {
        self.ring
    }

    /// As [`Ring::read`].
    pub fn read(&mut self, sequence: u64) -> Read<'r> {
        if self.whole.contains(&sequence)
            && let Some(record) = self.ring.unchanged(sequence)
        {
            return Read::Record(record);
        }
        let read = self.ring.read(sequence);
        if let Read::Record(_) = read {
            let start = if self.whole.end == sequence { self.whole.start } else { sequence };
            self.whole = start..sequence.saturating_add(1);
        }
        read
    }
}
