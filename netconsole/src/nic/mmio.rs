//! Access to a device's registers in memory.

use super::pci::Bar;
use zerocopy::{FromBytes, IntoBytes};

/// A range of a device's registers, mapped one to one. Panic-safe.
#[derive(Clone, Copy)]
pub(super) struct Window {
    address: usize,
    length: usize,
}

impl Window {
    /// `length` bytes from `offset` on in a memory BAR, if it is that long.
    pub(super) fn new(bar: Option<Bar>, offset: u32, length: u32) -> Option<Self> {
        let Some(Bar::Memory { address, length: available }) = bar else { return None };
        let end = u64::from(offset).checked_add(length.into())?;
        let address = address.checked_add(offset.into())?;
        (end <= available).then_some(Self {
            address: usize::try_from(address).ok()?,
            length: usize::try_from(length).ok()?,
        })
    }

    /// `length` bytes from the physical address `address` on, if there are so many. The device's place is
    /// the caller's word alone.
    pub(super) fn at_address(address: u64, length: u64) -> Option<Self> {
        address.checked_add(length)?;
        Some(Self { address: usize::try_from(address).ok()?, length: usize::try_from(length).ok()? })
    }

    /// Where a `T` lies, if it lies within and is aligned.
    pub(super) fn at<T>(self, offset: usize) -> Option<*mut T> {
        let end = offset.checked_add(size_of::<T>())?;
        let address = self.address.checked_add(offset)?;
        (end <= self.length && address & align_of::<T>().wrapping_sub(1) == 0)
            .then(|| core::ptr::with_exposed_provenance_mut(address))
    }

    pub(super) fn read<T: FromBytes>(self, offset: usize) -> Option<T> {
        // SAFETY: `at` gives an aligned address within a device's registers; these
        // hold no Rust object, and any bytes are a valid T.
        self.at::<T>(offset).map(|register| unsafe { register.read_volatile() })
    }

    pub(super) fn write<T: IntoBytes>(self, offset: usize, value: T) -> Option<()> {
        // SAFETY: as for reading; what a device does to memory is bounded by the rings it is given.
        self.at::<T>(offset).map(|register| unsafe { register.write_volatile(value) })
    }
}
