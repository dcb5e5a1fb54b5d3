//! The memory that the loader says is free to use.

use core::ops::Range;

/// A region of usable memory: `start..start + len`, which never wraps; `len` is not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRegion {
    /// Its first byte's physical address.
    pub start: u64,
    /// Its length in bytes.
    pub len: u64,
}

impl MemoryRegion {
    /// The address after its last byte.
    pub const fn end(self) -> u64 {
        self.start.saturating_add(self.len)
    }
}

/// Usable memory: regions in the order of their addresses, with gaps between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryMap {
    regions: [MemoryRegion; Self::MAX],
    len: usize,
}

/// Why a region is not in the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MapError {
    /// The map is full.
    Full,
    /// It ends beyond the last address.
    Wraps,
}

impl MemoryMap {
    /// How many regions there can be.
    pub const MAX: usize = 64;

    pub(super) const EMPTY: Self = Self { regions: [MemoryRegion { start: 0, len: 0 }; Self::MAX], len: 0 };

    /// The regions.
    pub fn regions(&self) -> &[MemoryRegion] {
        self.regions.get(..self.len).unwrap_or_default()
    }

    /// The length of all regions together, in bytes.
    pub fn total(&self) -> u64 {
        self.regions().iter().fold(0, |sum, region| sum.saturating_add(region.len))
    }

    /// Whether all of a range is usable.
    pub fn holds(&self, start: u64, length: u64) -> bool {
        let end = start.checked_add(length);
        // Regions that touch are one.
        end.is_some_and(|end| {
            self.regions().iter().any(|region| region.start <= start && end <= region.end())
        })
    }

    /// Where the highest `length` bytes lie that are usable, below `end` and outside of `taken`: a multiple of 4 KiB, not
    /// below 1 MiB, where firmware and devices have theirs.
    pub fn highest_room(&self, length: u64, end: u64, taken: &Range<u64>) -> Option<u64> {
        const PAGE: u64 = 4096;
        const LOWEST: u64 = 1 << 20;
        let fits = |from: u64, to: u64| {
            let start = to.min(end).checked_sub(length)?;
            let start = start.checked_sub(start.checked_rem(PAGE)?)?;
            (start >= from.max(LOWEST)).then_some(start)
        };
        let rooms = self.regions().iter().filter_map(|region| {
            // Above what is taken, else below.
            let above = fits(region.start.max(taken.end), region.end());
            above.or_else(|| fits(region.start, region.end().min(taken.start)))
        });
        rooms.max()
    }

    /// Adds a region; those it touches become one with it.
    pub(super) fn add(&mut self, start: u64, len: u64) -> Result<(), MapError> {
        let mut end = start.checked_add(len).ok_or(MapError::Wraps)?;
        if len == 0 {
            return Ok(());
        }
        let before = self.clone();
        let mut start = start;
        self.len = 0;
        // One pass is enough: the regions have gaps between them, so that one which the new region
        // does not touch is not touched by the new one grown by its neighbours either.
        for region in before.regions() {
            if region.start <= end && start <= region.end() {
                start = start.min(region.start);
                end = end.max(region.end());
            } else {
                self.push(*region);
            }
        }
        if !self.push(MemoryRegion { start, len: end.saturating_sub(start) }) {
            return Err(MapError::Full);
        }
        if let Some(regions) = self.regions.get_mut(..self.len) {
            regions.sort_unstable_by_key(|region| region.start);
        }
        Ok(())
    }

    fn push(&mut self, region: MemoryRegion) -> bool {
        match self.regions.get_mut(self.len) {
            None => false,
            Some(slot) => {
                *slot = region;
                self.len = self.len.saturating_add(1);
                true
            }
        }
    }
}
