//! The two rings of descriptors, one buffer a descriptor, polled.
//!
//! A descriptor is the chip's while its bit OWN is set. Which ones are with the chip the driver counts itself, and it believes what
//! the chip writes only in the one descriptor that is due next.

use super::registers::{DAMAGED, DESCRIPTOR_LENGTH, END_OF_RING, OWN, WHOLE};
use crate::nic::addresses::Offset;
use crate::nic::frame::{RECEIVE_SIZE, ReceiveBuffer, TRANSMIT_SIZE, Taken};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The chip stores a frame with its check sequence.
const CHECK_SEQUENCE: usize = 4;

/// How many frames the chip may be given to send at once.
pub(super) const TRANSMITS: usize = 16;
/// How many frames the chip may receive before it is polled.
pub(super) const RECEIVES: usize = 8;

#[repr(C, align(16))]
struct Descriptor {
    /// Whose it is, flags and length.
    status: AtomicU32,
    /// A VLAN tag and checksums: none.
    further: AtomicU32,
    address: AtomicU64,
}

impl Descriptor {
    const fn new() -> Self {
        Self { status: AtomicU32::new(0), further: AtomicU32::new(0), address: AtomicU64::new(0) }
    }

    fn set(&self, address: u64, status: u32) {
        self.address.store(address, Ordering::Relaxed);
        self.further.store(0, Ordering::Relaxed);
        // Release: with the bit OWN the address is there, and what the buffer holds.
        self.status.store(status, Ordering::Release);
    }
}

/// A ring, which the chip wants at a multiple of 256 bytes.
#[repr(C, align(256))]
struct Ring<const N: usize>([Descriptor; N]);

impl<const N: usize> Ring<N> {
    const fn new() -> Self {
        Self([const { Descriptor::new() }; N])
    }
}

/// What one card shares with its driver, and room for one received frame.
#[repr(C)]
pub struct Rtl8168Memory {
    transmit: Ring<TRANSMITS>,
    receive: Ring<RECEIVES>,
    receive_buffers: [ReceiveBuffer; RECEIVES],
    transmit_buffers: [[u8; TRANSMIT_SIZE]; TRANSMITS],
    received: [u8; RECEIVE_SIZE],
}

impl Rtl8168Memory {
    /// All zero, so that a static one takes no place in the image.
    #[expect(clippy::new_without_default, reason = "it is for statics, and too large to be moved")]
    pub const fn new() -> Self {
        Self {
            transmit: Ring::new(),
            receive: Ring::new(),
            receive_buffers: [const { ReceiveBuffer::new() }; RECEIVES],
            transmit_buffers: [[0; TRANSMIT_SIZE]; TRANSMITS],
            received: [0; RECEIVE_SIZE],
        }
    }

    /// The rings, which the chip finds by `offset`.
    pub(super) fn rings(&'static mut self, offset: Offset) -> (TransmitRing, ReceiveRing) {
        let Self { transmit, receive, receive_buffers, transmit_buffers, received } = self;
        (
            TransmitRing { ring: transmit, buffers: transmit_buffers, offset, next: 0, outstanding: 0 },
            ReceiveRing { ring: receive, buffers: receive_buffers, offset, received, next: 0 },
        )
    }
}

/// The mark of the last of `count` descriptors.
const fn end(place: usize, count: usize) -> u32 {
    if place.wrapping_add(1) == count { END_OF_RING } else { 0 }
}

/// The driver's side of the transmit ring.
pub(super) struct TransmitRing {
    ring: &'static Ring<TRANSMITS>,
    buffers: &'static mut [[u8; TRANSMIT_SIZE]; TRANSMITS],
    offset: Offset,
    /// The descriptor that is filled next.
    next: usize,
    /// How many before it are with the chip.
    outstanding: usize,
}

impl TransmitRing {
    /// Makes the ring new. The chip must have been reset, so that it accesses none of the memory.
    pub(super) fn reset(&mut self) {
        (self.next, self.outstanding) = (0, 0);
        for (place, descriptor) in self.ring.0.iter().enumerate() {
            descriptor.set(0, end(place, TRANSMITS));
        }
    }

    /// The ring's physical address.
    pub(super) fn address(&self) -> u64 {
        self.offset.physical(self.ring)
    }

    /// How many frames the chip has not sent yet.
    pub(super) const fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// The next buffer, where one is the driver's.
    pub(super) fn buffer(&mut self) -> Option<&mut [u8; TRANSMIT_SIZE]> {
        if self.outstanding >= TRANSMITS { None } else { self.buffers.get_mut(self.next) }
    }

    /// Gives the chip the first `length` bytes of that buffer, not 0 and at most its size.
    pub(super) fn publish(&mut self, length: usize) {
        let (Some(descriptor), Some(buffer), Ok(length)) =
            (self.ring.0.get(self.next), self.buffers.get(self.next), u32::try_from(length))
        else {
            return;
        };
        let end = end(self.next, TRANSMITS);
        descriptor.set(self.offset.physical(buffer), OWN | end | WHOLE | length & DESCRIPTOR_LENGTH);
        self.next = self.next.wrapping_add(1) % TRANSMITS;
        self.outstanding = self.outstanding.wrapping_add(1);
    }

    /// Takes back the descriptors that the chip is done with.
    pub(super) fn reclaim(&mut self) {
        while self.outstanding > 0
            && let Some(descriptor) = self.ring.0.get(self.next.wrapping_sub(self.outstanding) % TRANSMITS)
            // Acquire: the buffer is written again only after the chip has said that it is done.
            && descriptor.status.load(Ordering::Acquire) & OWN == 0
        {
            self.outstanding = self.outstanding.wrapping_sub(1);
        }
    }
}

/// The driver's side of the receive ring.
pub(super) struct ReceiveRing {
    ring: &'static Ring<RECEIVES>,
    buffers: &'static [ReceiveBuffer; RECEIVES],
    offset: Offset,
    /// A received frame is copied here before anything looks at it: the chip can't change it then, and has its buffer back at once.
    received: &'static mut [u8; RECEIVE_SIZE],
    /// The descriptor that the chip fills next.
    next: usize,
}

impl ReceiveRing {
    /// Makes the ring new, all buffers with the chip. It must have been reset, so that it accesses none of the memory.
    pub(super) fn reset(&mut self) {
        self.next = 0;
        (0..RECEIVES).for_each(|place| self.give(place));
    }

    fn give(&self, place: usize) {
        if let (Some(descriptor), Some(buffer)) = (self.ring.0.get(place), self.buffers.get(place)) {
            let status = OWN | end(place, RECEIVES) | RECEIVE_SIZE as u32;
            descriptor.set(self.offset.physical(buffer), status);
        }
    }

    /// The ring's physical address.
    pub(super) fn address(&self) -> u64 {
        self.offset.physical(self.ring)
    }

    /// The copy of the frame taken last.
    pub(super) fn frame(&self, length: usize) -> &[u8] {
        self.received.get(..length).unwrap_or_default()
    }

    /// Copies the next frame and gives its buffer back to the chip.
    pub(super) fn take(&mut self) -> Taken {
        let (Some(descriptor), Some(buffer)) = (self.ring.0.get(self.next), self.buffers.get(self.next))
        else {
            return Taken::Nothing;
        };
        // Acquire: what the chip wrote before it said so is read after it.
        let status = descriptor.status.load(Ordering::Acquire);
        if status & OWN != 0 {
            return Taken::Nothing;
        }
        let is_whole = status & WHOLE == WHOLE && status & DAMAGED == 0;
        let stored = usize::try_from(status & DESCRIPTOR_LENGTH).unwrap_or(usize::MAX);
        let taken = match stored.checked_sub(CHECK_SEQUENCE) {
            Some(length) if is_whole => buffer.take(length, self.received),
            _ => Taken::Damaged,
        };
        self.give(self.next);
        self.next = self.next.wrapping_add(1) % RECEIVES;
        taken
    }
}
