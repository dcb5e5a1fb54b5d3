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

/// Of an address, what it is behind the begin of its page.
const PAGE_OFFSET: u64 = 4095;

/// What of `taken` the `length` bytes from `start` on would overlap, if anything.
fn in_the_way(start: u64, length: u64, mut taken: impl Iterator<Item = Range<u64>>) -> Option<Range<u64>> {
    let end = start.saturating_add(length);
    taken.find(|taken| !taken.is_empty() && taken.start < end && start < taken.end)
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

    /// Where the highest `length` bytes lie that are usable, in `within` and outside of all of `taken`: a multiple of 4 KiB.
    /// `None` also where `length` is 0.
    pub fn highest_room(
        &self,
        length: u64,
        within: &Range<u64>,
        taken: impl Iterator<Item = Range<u64>> + Clone,
    ) -> Option<u64> {
        let fits = |region: &MemoryRegion| {
            let lowest = region.start.max(within.start);
            let mut end = region.end().min(within.end);
            loop {
                let start = end.checked_sub(length)? & !PAGE_OFFSET;
                match in_the_way(start, length, taken.clone()) {
                    _ if start < lowest => return None,
                    None => return Some(start),
                    Some(taken) => end = taken.start,
                }
            }
        };
        self.regions().iter().filter(|_| length > 0).filter_map(fits).max()
    }

    /// The same for the lowest ones.
    pub fn lowest_room(
        &self,
        length: u64,
        within: &Range<u64>,
        taken: impl Iterator<Item = Range<u64>> + Clone,
    ) -> Option<u64> {
        let fits = |region: &MemoryRegion| {
            let end = region.end().min(within.end);
            let mut from = region.start.max(within.start);
            loop {
                let start = from.checked_next_multiple_of(PAGE_OFFSET + 1)?;
                match in_the_way(start, length, taken.clone()) {
                    _ if start.checked_add(length)? > end => return None,
                    None => return Some(start),
                    Some(taken) => from = taken.end,
                }
            }
        };
        self.regions().iter().filter(|_| length > 0).filter_map(fits).min()
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
