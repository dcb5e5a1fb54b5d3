//! printk's ring, in either of its layouts, as records by their sequence numbers.

mod count;
mod legacy;
mod lockless;
mod read;
mod record;

pub use count::Count;
pub use read::{LogError, Read};
pub use record::Record;

use crate::memory::Memory;
use crate::translation::Translation;
use crate::vmcoreinfo::VmCoreInfo;
use legacy::Legacy;
use lockless::Lockless;

/// The log of a Linux that has crashed.
pub struct Log<'c, M> {
    translation: &'c Translation<'c, M>,
    layout: Layout,
}

#[allow(clippy::large_enum_variant, reason = "there is one, and it is not moved about")]
enum Layout {
    Lockless(Lockless),
    Legacy(Legacy),
}

impl<'c, M: Memory> Log<'c, M> {
    pub(crate) fn find(translation: &'c Translation<'c, M>, info: &VmCoreInfo) -> Result<Self, LogError> {
        if info.sme_mask.is_some_and(|mask| mask != 0 && !translation.decrypts(mask)) {
            return Err(LogError::Encrypted);
        }
        let layout = if info.prb.is_some() {
            Layout::Lockless(Lockless::find(translation, info)?)
        } else {
            Layout::Legacy(Legacy::find(translation, info)?)
        };
        Ok(Self { translation, layout })
    }

    /// The oldest record's sequence number, Linux's own. Before Linux 5.10, which does not export it, it is found beside what
    /// is exported, or else is 0.
    pub fn first(&self) -> u64 {
        match &self.layout {
            Layout::Lockless(ring) => ring.first(),
            Layout::Legacy(ring) => ring.first(),
        }
    }

    /// The number after the newest record's.
    pub fn end(&self) -> u64 {
        match &self.layout {
            Layout::Lockless(ring) => ring.end(),
            Layout::Legacy(ring) => ring.end(),
        }
    }

    /// The record with this number. Cheapest in order: an old Linux's ring is walked from the record before, or from the
    /// last of 256 marks.
    pub fn read(&self, sequence: u64) -> Read<'_, M> {
        if sequence >= self.end() {
            return Read::End;
        }
        match &self.layout {
            Layout::Lockless(ring) => ring.read(self.translation, sequence),
            Layout::Legacy(ring) => ring.read(self.translation, sequence),
        }
    }
}
