//! The memory of the Linux that crashed, as far as it is known to be memory: nothing else is read, so that no device's
//! register is.

use crate::machine::old_memory;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use linuxlog::{Memory, Unreadable};

/// How many stretches of memory are kept; those behind them are not read.
const MAX_REGIONS: usize = 128;

/// The memory of the Linux that crashed.
pub struct OldMemory {
    /// First and last address of each.
    regions: [[AtomicU64; 2]; MAX_REGIONS],
    count: AtomicUsize,
    /// How many reads failed though they were of known memory, and where the last one was.
    failed: AtomicU64,
    failed_at: AtomicU64,
}

impl OldMemory {
    /// No memory is known.
    pub const fn new() -> Self {
        Self {
            regions: [const { [AtomicU64::new(0), AtomicU64::new(0)] }; MAX_REGIONS],
            count: AtomicUsize::new(0),
            failed: AtomicU64::new(0),
            failed_at: AtomicU64::new(0),
        }
    }

    /// From here on these addresses may be read. What there is no room for is left out, and what is empty.
    pub fn add(&self, addresses: Range<u64>) {
        let count = self.count.load(Ordering::Relaxed);
        if let Some([start, end]) = self.regions.get(count).filter(|_| !addresses.is_empty()) {
            start.store(addresses.start, Ordering::Relaxed);
            end.store(addresses.end, Ordering::Relaxed);
            self.count.store(count.wrapping_add(1), Ordering::Relaxed);
        }
    }

    /// The stretches of it.
    pub fn regions(&self) -> impl Iterator<Item = Range<u64>> {
        self.regions
            .iter()
            .take(self.count.load(Ordering::Relaxed))
            .map(|[start, end]| start.load(Ordering::Relaxed)..end.load(Ordering::Relaxed))
    }

    /// How many reads the CPU refused, and where the last one of them was; `None` where it refused none.
    pub fn failures(&self) -> Option<(u64, u64)> {
        let count = self.failed.load(Ordering::Relaxed);
        (count > 0).then(|| (count, self.failed_at.load(Ordering::Relaxed)))
    }

    /// Whether all from `address` to `end` is known to be memory, maybe across several regions that touch.
    fn is_known(&self, address: u64, end: u64) -> bool {
        let mut place = address;
        // Each step goes on in another region.
        for _ in 0..MAX_REGIONS {
            if place >= end {
                return true;
            }
            match self.regions().find(|region| region.contains(&place)) {
                Some(region) => place = region.end,
                None => return false,
            }
        }
        false
    }
}

impl Memory for OldMemory {
    fn read(&self, address: u64, to: &mut [u8]) -> Result<(), Unreadable> {
        let end = u64::try_from(to.len()).ok().and_then(|len| address.checked_add(len));
        if !end.is_some_and(|end| self.is_known(address, end)) {
            return Err(Unreadable { address });
        }
        if old_memory::copy(address, to) {
            return Ok(());
        }
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.failed_at.store(address, Ordering::Relaxed);
        Err(Unreadable { address })
    }
}
