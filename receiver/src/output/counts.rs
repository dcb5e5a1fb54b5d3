//! What became of the records of one output.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Counted by the run and by the output's thread.
#[derive(Debug, Default)]
pub struct Counts {
    written: AtomicU64,
    lost: AtomicU64,
    is_keeping: AtomicBool,
}

impl Counts {
    /// How many were handed to the system.
    pub fn write(&self, records: u64) {
        self.written.fetch_add(records, Ordering::Relaxed);
    }

    /// How many are lost there.
    pub fn lose(&self, records: u64) {
        self.lost.fetch_add(records, Ordering::Relaxed);
    }

    /// Whether some that were taken out of the queue could not be written yet.
    pub fn keep(&self, is_keeping: bool) {
        self.is_keeping.store(is_keeping, Ordering::Relaxed);
    }

    /// See [`Counts::keep`].
    pub fn is_keeping(&self) -> bool {
        self.is_keeping.load(Ordering::Relaxed)
    }

    /// Records written so far.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Records lost so far.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}
