//! What reading the log gives, and why it can give nothing.

use super::record::Record;
use crate::memory::Unreadable;
use core::fmt;

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
