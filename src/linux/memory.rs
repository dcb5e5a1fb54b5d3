//! The memory of the Linux that crashed, as far as it is known to be memory: nothing else is read, so that no device's
//! register is.

use crate::machine::old_memory;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use linuxlog::{Encryption, Memory, Unreadable};

/// How many stretches of memory are kept; those behind them are not read.
const MAX_REGIONS: usize = 128;

/// The memory of the Linux that crashed.
pub struct OldMemory {
    /// First and last address of each.
    regions: [[AtomicU64; 2]; MAX_REGIONS],
    count: AtomicUsize,
    /// Which of them was read last: the next read is most probably of it too.
    last: AtomicUsize,
    /// The bit of page tables' entries by which it is decrypted, 0 for none, and the first and last address that are not.
    mask: AtomicU64,
    plain: [AtomicU64; 2],
    /// How many reads failed though they were of known memory, of how many of them it was said, and where the last one was.
    failed: AtomicU64,
    told: AtomicU64,
    failed_at: AtomicU64,
}

impl OldMemory {
    /// No memory is known.
    pub const fn new() -> Self {
        Self {
            regions: [const { [AtomicU64::new(0), AtomicU64::new(0)] }; MAX_REGIONS],
            count: AtomicUsize::new(0),
            last: AtomicUsize::new(0),
            mask: AtomicU64::new(0),
            plain: [const { AtomicU64::new(0) }; 2],
            failed: AtomicU64::new(0),
            told: AtomicU64::new(0),
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
        (0..self.count.load(Ordering::Relaxed)).filter_map(|number| self.region(number))
    }

    /// One of them; where there is none of this number, an empty one or `None`.
    fn region(&self, number: usize) -> Option<Range<u64>> {
        let [start, end] = self.regions.get(number)?;
        Some(start.load(Ordering::Relaxed)..end.load(Ordering::Relaxed))
    }

    /// From here on all is decrypted but these addresses.
    pub fn decrypt_all_but(&self, plain: &Range<u64>, encryption: Encryption) {
        let [start, end] = &self.plain;
        start.store(plain.start, Ordering::Relaxed);
        end.store(plain.end, Ordering::Relaxed);
        self.mask.store(encryption.mask(), Ordering::Relaxed);
    }

    /// How the bytes from `address` to `end` are read.
    fn encryption(&self, address: u64, end: u64) -> Encryption {
        let [start, plain_end] = &self.plain;
        match self.mask.load(Ordering::Relaxed) {
            0 => Encryption::NONE,
            _ if start.load(Ordering::Relaxed) <= address && end <= plain_end.load(Ordering::Relaxed) => {
                Encryption::NONE
            }
            mask => Encryption::with_mask(mask),
        }
    }

    /// How many reads the CPU has refused since this was asked last, and where the last one of them was; `None` where it has
    /// refused none.
    pub fn new_failures(&self) -> Option<(u64, u64)> {
        let count = self.failed.load(Ordering::Relaxed);
        let new = count.wrapping_sub(self.told.swap(count, Ordering::Relaxed));
        (new > 0).then(|| (new, self.failed_at.load(Ordering::Relaxed)))
    }

    /// Whether all from `address` to `end` is known to be memory, maybe across several regions that touch.
    fn is_known(&self, address: u64, end: u64) -> bool {
        let last = self.region(self.last.load(Ordering::Relaxed));
        last.is_some_and(|last| last.start <= address && end <= last.end) || self.knows(address, end)
    }

    #[inline(never)]
    fn knows(&self, address: u64, end: u64) -> bool {
        let mut place = address;
        // Each step goes on in another region.
        for _ in 0..MAX_REGIONS {
            if place >= end {
                return true;
            }
            let mut regions = self.regions().enumerate();
            let Some((number, region)) = regions.find(|(_, region)| region.contains(&place)) else {
                return false;
            };
            self.last.store(number, Ordering::Relaxed);
            place = region.end;
        }
        false
    }
}

impl Memory for OldMemory {
    fn read(&self, address: u64, to: &mut [u8]) -> Result<(), Unreadable> {
        let end = u64::try_from(to.len()).ok().and_then(|len| address.checked_add(len));
        let Some(end) = end.filter(|&end| self.is_known(address, end)) else {
            return Err(Unreadable { address });
        };
        if old_memory::copy(address, to, self.encryption(address, end)) {
            return Ok(());
        }
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.failed_at.store(address, Ordering::Relaxed);
        Err(Unreadable { address })
    }

    fn decrypts(&self, mask: u64) -> bool {
        self.mask.load(Ordering::Relaxed) == mask
    }
}
