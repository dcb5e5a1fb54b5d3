//! Rings of descriptors, one buffer a descriptor, polled: legacy ones (8254x SDM, sections 3.2 and 3.3), and advanced ones where the
//! chip has them.
//!
//! The device owns the descriptors from its head up to, but not including, the tail. One descriptor
//! always stays with the driver, for equal head and tail mean that the device has none. Which
//! descriptors are with the device the driver counts itself, and it believes the device's writes
//! only in the one descriptor that is due next. Neither the heads nor the addresses are read back.

use super::registers::{ReceiveFormat, TRANSMIT_CHECK_SEQUENCE, TRANSMIT_DONE, TransmitFormat};
use crate::nic::addresses::Offset;
use crate::nic::frame::{RECEIVE_SIZE, ReceiveBuffer, TRANSMIT_SIZE, Taken};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering};

/// The address; length, flags and status. The device writes the second word, and the first where the format is advanced.
#[repr(C, align(16))]
struct Descriptor {
    address: AtomicU64,
    fields: AtomicU64,
}

impl Descriptor {
    const fn new() -> Self {
        Self { address: AtomicU64::new(0), fields: AtomicU64::new(0) }
    }

    fn set(&self, address: u64, fields: u64) {
        self.address.store(address, Ordering::Relaxed);
        // Release: with the fields the address is there, and what the buffer holds.
        self.fields.store(fields, Ordering::Release);
    }
}

#[repr(C, align(64))]
struct TransmitBuffer(UnsafeCell<[u8; TRANSMIT_SIZE]>);

// SAFETY: a buffer is reached through `TransmitRing::buffer` alone, which takes the ring exclusively.
unsafe impl Sync for TransmitBuffer {}

/// What the rings of `TX` and `RX` descriptors share with the device, and room for one received frame.
/// The alignment of the receive buffers keeps each
/// within 64 KiB, which the 82545 and 82546 need.
#[repr(C, align(4096))]
pub struct GigabitMemory<const TX: usize, const RX: usize> {
    transmit_ring: [Descriptor; TX],
    receive_ring: [Descriptor; RX],
    transmit_buffers: [TransmitBuffer; TX],
    receive_buffers: [ReceiveBuffer; RX],
    received: [u8; RECEIVE_SIZE],
}

impl<const TX: usize, const RX: usize> GigabitMemory<TX, RX> {
    /// The rings' lengths and addresses must be multiples of 128 bytes, which are 8 descriptors.
    const IS_VALID: () = assert!(
        TX >= 8 && TX.is_power_of_two() && TX <= 4096 && RX >= 8 && RX.is_power_of_two() && RX <= 4096
    );

    /// All zero, so that a static one takes no place in the image.
    #[expect(clippy::new_without_default, reason = "it is for statics, and too large to be moved")]
    pub const fn new() -> Self {
        let () = Self::IS_VALID;
        Self {
            transmit_ring: [const { Descriptor::new() }; TX],
            receive_ring: [const { Descriptor::new() }; RX],
            transmit_buffers: [const { TransmitBuffer(UnsafeCell::new([0; TRANSMIT_SIZE])) }; TX],
            receive_buffers: [const { ReceiveBuffer::new() }; RX],
            received: [0; RECEIVE_SIZE],
        }
    }

    /// The rings, which the device finds by `offset`, and their descriptors' formats.
    pub(super) fn rings(
        &'static mut self,
        offset: Offset,
        (sending, receiving): (TransmitFormat, ReceiveFormat),
    ) -> (TransmitRing<TX>, ReceiveRing<RX>) {
        let Self { transmit_ring, receive_ring, transmit_buffers, receive_buffers, received } = self;
        let (ring, buffers) = (transmit_ring, transmit_buffers);
        let transmit =
            TransmitRing { ring, buffers, offset, format: sending, tail: 0, head: 0, outstanding: 0 };
        let (ring, buffers) = (receive_ring, receive_buffers);
        let receive = ReceiveRing { ring, buffers, offset, format: receiving, received, next: 0 };
        (transmit, receive)
    }
}

/// The next place in a ring of `N`, a power of two.
const fn after<const N: usize>(place: usize) -> usize {
    place.wrapping_add(1) & N.wrapping_sub(1)
}

/// The driver's side of the transmit ring.
pub(super) struct TransmitRing<const N: usize> {
    ring: &'static [Descriptor; N],
    buffers: &'static [TransmitBuffer; N],
    offset: Offset,
    format: TransmitFormat,
    /// The descriptor that is filled next.
    tail: usize,
    /// The descriptor that the device is done with next.
    head: usize,
    /// How many are with the device, from the head on: less than `N`.
    outstanding: usize,
}

impl<const N: usize> TransmitRing<N> {
    /// Makes the ring new. The device must have been reset, so that it accesses none of the memory.
    pub(super) fn reset(&mut self) {
        (self.tail, self.head, self.outstanding) = (0, 0, 0);
    }

    /// The ring's physical address.
    pub(super) fn address(&self) -> u64 {
        self.offset.physical(self.ring)
    }

    /// What the tail register is to be set to.
    pub(super) const fn tail(&self) -> usize {
        self.tail
    }

    /// How many frames the device has not sent yet.
    pub(super) const fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// The buffer of the descriptor at the tail, if it is with the driver.
    pub(super) fn buffer(&mut self) -> Option<&mut [u8; TRANSMIT_SIZE]> {
        if after::<N>(self.outstanding) == 0 {
            return None;
        }
        let buffer = self.buffers.get(self.tail)?;
        // SAFETY: fewer than N - 1 descriptors from the head on are with the device, so the one at the
        // tail is not; nothing else refers to its buffer, since `&mut self` makes this the only
        // reference. The device only reads transmit buffers.
        Some(unsafe { &mut *buffer.0.get() })
    }

    /// Fills the descriptor at the tail for the first `length` bytes of its buffer, not 0. The device
    /// sees it once its tail register is set.
    pub(super) fn publish(&mut self, length: usize) {
        let TransmitFormat { flags, tells_payload } = self.format;
        self.publish_as(length, |length| flags | length | if tells_payload { length << 46 } else { 0 });
    }

    /// The same for what is no frame, as its end is missing: nothing of it leaves, and the device does not say that it is done.
    pub(super) fn publish_without_end(&mut self, length: usize) {
        self.publish_as(length, |length| TRANSMIT_CHECK_SEQUENCE | length);
    }

    #[inline(always)]
    fn publish_as(&mut self, length: usize, fields: impl FnOnce(u64) -> u64) {
        let (Some(descriptor), Some(buffer), Ok(length)) =
            (self.ring.get(self.tail), self.buffers.get(self.tail), u16::try_from(length.min(TRANSMIT_SIZE)))
        else {
            return;
        };
        descriptor.set(self.offset.physical(buffer.0.get()), fields(length.into()));
        self.tail = after::<N>(self.tail);
        self.outstanding = self.outstanding.wrapping_add(1);
    }

    /// Takes back the descriptors that the device is done with.
    pub(super) fn reclaim(&mut self) {
        while self.outstanding > 0
            && let Some(descriptor) = self.ring.get(self.head)
            // Acquire: the buffer is written again only after the device has said that it is done.
            && descriptor.fields.load(Ordering::Acquire) & TRANSMIT_DONE != 0
        {
            self.head = after::<N>(self.head);
            self.outstanding = self.outstanding.wrapping_sub(1);
        }
    }
}

/// The driver's side of the receive ring.
pub(super) struct ReceiveRing<const N: usize> {
    ring: &'static [Descriptor; N],
    buffers: &'static [ReceiveBuffer; N],
    offset: Offset,
    format: ReceiveFormat,
    /// A received frame is copied here before anything looks at it: the device can't change it then,
    /// and has its buffer back at once.
    received: &'static mut [u8; RECEIVE_SIZE],
    /// The descriptor that the device fills next.
    next: usize,
}

impl<const N: usize> ReceiveRing<N> {
    /// Makes the ring new, all buffers but one with the device. It must have been reset, so that it
    /// accesses none of the memory.
    pub(super) fn reset(&mut self) {
        self.next = 0;
        for (descriptor, buffer) in self.ring.iter().zip(self.buffers) {
            descriptor.set(self.offset.physical(buffer), 0);
        }
    }

    /// The ring's physical address.
    pub(super) fn address(&self) -> u64 {
        self.offset.physical(self.ring)
    }

    /// What the tail register is to be set to: the descriptor before the next one is the driver's.
    pub(super) const fn tail(&self) -> usize {
        self.next.wrapping_sub(1) & N.wrapping_sub(1)
    }

    /// The copy of the frame taken last.
    pub(super) fn frame(&self, length: usize) -> &[u8] {
        self.received.get(..length).unwrap_or_default()
    }

    /// Copies the next frame and makes its buffer ready for the device, which may use it once its tail
    /// register is set.
    pub(super) fn take(&mut self) -> Taken {
        let (Some(descriptor), Some(buffer)) = (self.ring.get(self.next), self.buffers.get(self.next)) else {
            return Taken::Nothing;
        };
        // Acquire: what the device wrote before it said so is read after it.
        let fields = descriptor.fields.load(Ordering::Acquire);
        let ReceiveFormat { done, end, errors, length_shift } = self.format;
        if fields & done == 0 {
            return Taken::Nothing;
        }
        let [l0, l1, ..] = fields.unbounded_shr(length_shift).to_le_bytes();
        let length = usize::from(u16::from_le_bytes([l0, l1]));
        let is_whole = fields & end != 0 && fields & errors == 0;
        let taken = if is_whole { buffer.take(length, self.received) } else { Taken::Damaged };
        descriptor.set(self.offset.physical(buffer), 0);
        self.next = after::<N>(self.next);
        taken
    }
}
