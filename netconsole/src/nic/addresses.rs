//! How the machine's physical addresses and the program's pointers belong together. The drivers know no more of it:
//! they run wherever the kernel around them has put itself and its devices.

#[cfg(test)]
pub(crate) mod fake;

use super::pci::DeviceFunction;
use super::{NicError, Ports};
use core::ptr::NonNull;

/// The size of the pages that [`Addresses::offset_of`] looks at, in bytes.
const PAGE: usize = 4096;

/// How pointers become the addresses that a card is given, and the other way round for a card's registers. Panic-safe
/// where its two functions are.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    physical: fn(*const u8) -> Option<u64>,
    map: fn(u64, usize) -> Option<NonNull<u8>>,
}

impl Addresses {
    /// A translation by two functions, which must not panic, block or take a lock: the panic path calls them, too.
    /// - `physical` tells the address by which a card reaches the byte at a pointer into static memory; `None` where it
    ///   can't.
    /// - `map` tells where a range of bytes from a physical address on can be read and written as a device's registers,
    ///   not cached; `None` where they can't.
    ///
    /// # Safety
    ///
    /// `physical` tells the truth for as long as a driver has that memory. What `map` gives can be read and written on
    /// every CPU for as long as a driver has the device, and no Rust object lies there: it refuses whatever is not a device's.
    pub const unsafe fn new(
        physical: fn(*const u8) -> Option<u64>,
        map: fn(u64, usize) -> Option<NonNull<u8>>,
    ) -> Self {
        Self { physical, map }
    }

    /// By how much a card's addresses of `memory` exceed its pointers. It must lie in one piece.
    pub(super) fn offset_of<T>(&self, memory: *const T) -> Result<Offset, NicError> {
        let memory = memory.cast::<u8>();
        let start = (self.physical)(memory).ok_or(NicError::Scattered)?;
        let offset = Offset(start.wrapping_sub(memory.expose_provenance() as u64));
        let last = size_of::<T>().saturating_sub(1);
        // A page is in one piece by itself; the first one may begin in its middle.
        let mut places = (0..last).step_by(PAGE).skip(1).chain([last]);
        let is_whole = |at: usize| {
            let pointer = memory.wrapping_add(at);
            (self.physical)(pointer) == Some(offset.physical(pointer))
        };
        if places.all(is_whole) { Ok(offset) } else { Err(NicError::Scattered) }
    }

    /// Where a device's registers are.
    pub(super) fn map(&self, physical: u64, length: usize) -> Option<NonNull<u8>> {
        (self.map)(physical, length)
    }
}

/// By how much a card's addresses of its memory exceed the program's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offset(u64);

impl Offset {
    /// The address by which the card reaches what is there.
    pub fn physical<T>(self, pointer: *const T) -> u64 {
        (pointer.expose_provenance() as u64).wrapping_add(self.0)
    }
}

/// How a driver reaches a card's registers, and the card the driver's memory.
#[derive(Clone, Copy)]
pub struct Access {
    /// The machine's I/O space.
    pub ports: &'static dyn Ports,
    /// Its memory.
    pub addresses: Addresses,
    /// Reads a word of a PCI function's configuration space, as [`Platform::pci`](crate::platform::Platform::pci) does. It must not
    /// panic, block or take a lock.
    pub configuration: fn(DeviceFunction, u8) -> u32,
    /// A number that other machines do not have, for as long as this one runs: of it and its place the address of a card is
    /// made that has none. 0 where there is no such number.
    pub identity: u64,
}
