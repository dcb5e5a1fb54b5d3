//! Ethernet's frames, and the buffers that cards with rings in memory write them to.

use core::sync::atomic::{AtomicU64, Ordering};

/// RFC 894: the largest IP packet on Ethernet.
pub(super) const ETHERNET_MTU: u16 = 1500;
/// Two addresses and the type: what a frame has at least (IEEE 802.3, section 3.1.1).
pub(super) const ETHERNET_HEADER: usize = 14;
/// What a frame on the wire has at least (IEEE 802.3, section 3.2.8), without the check sequence.
pub(super) const SHORTEST_FRAME: usize = 60;

/// The size of a transmit buffer in bytes: an Ethernet frame of 1500 bytes with a VLAN tag, and more.
pub(super) const TRANSMIT_SIZE: usize = 1536;
/// The size of a receive buffer in bytes: what a card may write at most.
pub(super) const RECEIVE_SIZE: usize = 2048;
const RECEIVE_WORDS: usize = RECEIVE_SIZE / size_of::<u64>();

/// Fills a frame of `length` bytes up with zeros, where its card does not; how long it is then.
pub(super) fn fill_up(buffer: &mut [u8], length: usize) -> usize {
    if let Some(padding) = buffer.get_mut(length..SHORTEST_FRAME) {
        padding.fill(0);
    }
    length.max(SHORTEST_FRAME)
}

/// A buffer that a card writes at any time, so its words are atomic. The alignment keeps it within 64 KiB, which Intel's 82545
/// and 82546 need.
#[repr(C, align(2048))]
pub(super) struct ReceiveBuffer([AtomicU64; RECEIVE_WORDS]);

impl ReceiveBuffer {
    /// All zero.
    pub const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; RECEIVE_WORDS])
    }

    /// Copies a frame of `length` bytes out of it: the card can't change it then, and can have its buffer back at once.
    pub fn take(&self, length: usize, copy: &mut [u8; RECEIVE_SIZE]) -> Taken {
        let Some(copy) = copy.get_mut(..length.next_multiple_of(size_of::<u64>())) else {
            return Taken::Damaged;
        };
        for (to, from) in copy.chunks_exact_mut(size_of::<u64>()).zip(&self.0) {
            to.copy_from_slice(&from.load(Ordering::Relaxed).to_le_bytes());
        }
        Taken::Frame(length)
    }
}

/// What the next receive descriptor held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// The card has not filled it yet.
    Nothing,
    /// A frame of this many bytes, now in the ring's copy.
    Frame(usize),
    /// Something that can't be used.
    Damaged,
}
