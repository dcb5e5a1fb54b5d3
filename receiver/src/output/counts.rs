//! What became of the records of one output, and of the memory that they were in.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// More memory than that is not kept for the next records.
const SPARE: usize = 256 << 10;

/// Counted by the run and by the output's thread.
#[derive(Debug, Default)]
pub struct Counts {
    written: AtomicU64,
    lost: AtomicU64,
    is_keeping: AtomicBool,
    spare: Mutex<Vec<u8>>,
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

    /// Leaves memory that was written for the next records: to have it from the system costs more than to fill it.
    pub fn give_back(&self, mut written: Vec<u8>) {
        written.clear();
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if (spare.capacity()..=SPARE).contains(&written.capacity()) {
            *spare = written;
        }
    }

    /// What was left, or none.
    pub fn spare(&self) -> Vec<u8> {
        std::mem::take(&mut self.spare.lock().unwrap_or_else(PoisonError::into_inner))
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
