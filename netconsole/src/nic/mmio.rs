//! Access to a device's registers in memory.

use super::addresses::Addresses;
use super::pci::Bar;
use core::ptr::NonNull;
use zerocopy::{FromBytes, IntoBytes};

/// A range of a device's registers, where [`Addresses`] says that they are. Panic-safe.
#[derive(Clone, Copy)]
pub(super) struct Window {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the registers are where they are for whoever runs; the driver that has the window is reached by one at a time.
unsafe impl Send for Window {}

impl Window {
    /// `length` bytes from `offset` on in a memory BAR, if it is that long.
    pub(super) fn new(bar: Option<Bar>, offset: u32, length: u32, addresses: &Addresses) -> Option<Self> {
        let Some(Bar::Memory { address, length: available }) = bar else { return None };
        let end = u64::from(offset).checked_add(length.into())?;
        let address = address.checked_add(offset.into())?;
        if end > available {
            return None;
        }
        Self::at_address(address, length.into(), addresses)
    }

    /// `length` bytes from the physical address `address` on, if a device has as many there.
    pub(super) fn at_address(address: u64, length: u64, addresses: &Addresses) -> Option<Self> {
        address.checked_add(length)?;
        let length = usize::try_from(length).ok()?;
        Some(Self { start: addresses.map(address, length)?, length })
    }

    /// Where a `T` lies, if it lies within and is aligned.
    pub(super) fn at<T>(self, offset: usize) -> Option<*mut T> {
        let end = offset.checked_add(size_of::<T>())?;
        let pointer = self.start.as_ptr().wrapping_add(offset).cast::<T>();
        (end <= self.length && pointer.is_aligned()).then_some(pointer)
    }

    pub(super) fn read<T: FromBytes>(self, offset: usize) -> Option<T> {
        // SAFETY: `at` gives an aligned address within what `Addresses` has given as a device's registers; these
        // hold no Rust object, and any bytes are a valid T.
        self.at::<T>(offset).map(|register| unsafe { register.read_volatile() })
    }

    pub(super) fn write<T: IntoBytes>(self, offset: usize, value: T) -> Option<()> {
        // SAFETY: as for reading; what a device does to memory is bounded by the rings it is given.
        self.at::<T>(offset).map(|register| unsafe { register.write_volatile(value) })
    }
}
