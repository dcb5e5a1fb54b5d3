//! printk's ring, in either of its layouts, as records by their sequence numbers.

mod legacy;
mod lockless;
mod record;

pub use record::Record;

use crate::memory::{Memory, Unreadable};
use crate::translation::Translation;
use crate::vmcoreinfo::VmCoreInfo;
use core::fmt;
use legacy::Legacy;
use lockless::Lockless;

/// Why the log can't be read at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogError {
    /// VMCOREINFO names neither ring, or lacks a number that its reading needs.
    NotExported,
    /// The memory is encrypted (`sme_mask`).
    Encrypted,
    /// A size or an offset in it is out of any sensible range.
    Damaged,
    /// A part of its head can't be read.
    Unreadable(Unreadable),
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotExported => f.write_str("its vmcoreinfo does not say where its log is"),
            Self::Encrypted => f.write_str("its memory is encrypted (sme_mask)"),
            Self::Damaged => f.write_str("its log is damaged"),
            Self::Unreadable(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for LogError {}

impl From<Unreadable> for LogError {
    fn from(error: Unreadable) -> Self {
        Self::Unreadable(error)
    }
}

/// What the log has under a sequence number.
#[derive(Debug)]
pub enum Read<'l, M> {
    /// A record, which a writer had finished.
    Record(Record<'l, M>),
    /// A record that a writer had only reserved when the kernel died: its text is not there.
    Unfinished,
    /// A record that was overwritten, or that can't be read.
    Lost,
    /// The log has no such record, nor a later one.
    End,
}

/// The log of a Linux that has crashed.
pub struct Log<'c, M> {
    translation: &'c Translation<'c, M>,
    layout: Layout,
}

enum Layout {
    Lockless(Lockless),
    Legacy(Legacy),
}

impl<'c, M: Memory> Log<'c, M> {
    pub(crate) fn find(translation: &'c Translation<'c, M>, info: &VmCoreInfo) -> Result<Self, LogError> {
        if info.sme_mask.is_some_and(|mask| mask != 0) {
            return Err(LogError::Encrypted);
        }
        let layout = if info.prb.is_some() {
            Layout::Lockless(Lockless::find(translation, info)?)
        } else {
            Layout::Legacy(Legacy::find(translation, info)?)
        };
        Ok(Self { translation, layout })
    }

    /// The oldest record's sequence number: Linux's own, but before Linux 5.10, which does not export it, 0.
    pub fn first(&self) -> u64 {
        match &self.layout {
            Layout::Lockless(ring) => ring.first(),
            Layout::Legacy(_) => 0,
        }
    }

    /// The number after the newest record's.
    pub fn end(&self) -> u64 {
        match &self.layout {
            Layout::Lockless(ring) => ring.end(),
            Layout::Legacy(ring) => ring.end(),
        }
    }

    /// The record with this number. Cheapest in order: an old Linux's ring is walked from the record before.
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
