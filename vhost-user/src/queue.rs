//! The device's side of a split virtqueue (virtio 1.2, section 2.7).

use super::memory::Memory;
use std::sync::atomic::{Ordering, fence};

/// The header before each frame (virtio 1.2, section 5.1.6).
pub const HEADER: usize = 12;

/// Of a descriptor's flags (section 2.7.5): another follows.
const NEXT: u16 = 1;
/// The available ring's flags (section 2.7.6): the driver wants no interrupts.
const NO_INTERRUPT: u16 = 1;
/// The used ring's flags (section 2.7.8): the device wants no notifications.
const NO_NOTIFY: u16 = 1;
/// Where a ring's index is, and where its entries begin.
const INDEX: u64 = 2;
const RING: u64 = 4;

/// A queue that the driver has set up. Its device looks at it all the time and is not to be notified.
#[derive(Clone, Copy, Debug)]
pub struct Queue {
    /// How many descriptors there are.
    pub size: u16,
    descriptors: u64,
    available: u64,
    used: u64,
    /// The index of the next buffer to be taken.
    pub(crate) next: u16,
    /// The index of the next buffer to be given back.
    pub given_back: u16,
}

impl Queue {
    /// The queue of which the descriptors, the used ring and the available ring are there, and of whose buffers the
    /// next is the one with the index `base`.
    pub(crate) fn new(
        size: u16,
        base: u16,
        [descriptors, used, available]: [u64; 3],
        memory: &Memory,
    ) -> Self {
        memory.store(used, NO_NOTIFY);
        Self { size, descriptors, available, used, next: base, given_back: base }
    }

    /// The next buffer that the driver has made available: its id, and its pieces' addresses and lengths.
    pub fn take(&mut self, memory: &Memory) -> Option<(u16, Vec<(u64, u32)>)> {
        if memory.load(self.available + INDEX) == self.next {
            return None;
        }
        let slot = u64::from(self.next % self.size);
        let id = u16::from_le_bytes(memory.read(self.available + RING + 2 * slot));
        self.next = self.next.wrapping_add(1);
        let (mut pieces, mut at) = (Vec::new(), id);
        while pieces.len() < usize::from(self.size) {
            let descriptor: [u8; 16] = memory.read(self.descriptors + 16 * u64::from(at % self.size));
            let [address, length, flags, next] = fields(descriptor);
            pieces.push((address, length as u32));
            if flags as u16 & NEXT == 0 {
                break;
            }
            at = next as u16;
        }
        Some((id, pieces))
    }

    /// The next frame that the driver sends, of which the buffer is given back.
    pub fn take_frame(&mut self, memory: &Memory) -> Option<Vec<u8>> {
        let (id, pieces) = self.take(memory)?;
        let mut bytes = Vec::new();
        for (address, length) in pieces {
            let start = bytes.len();
            bytes.resize(start + length as usize, 0);
            memory.read_into(address, &mut bytes[start..]);
        }
        self.give_back(memory, id.into(), 0);
        bytes.drain(..HEADER);
        Some(bytes)
    }

    /// Gives a buffer back, of which `length` bytes were written.
    pub fn give_back(&mut self, memory: &Memory, id: u32, length: u32) {
        self.say(memory, id, length);
        self.set_index(memory, self.given_back);
    }

    /// Puts an element into the used ring that the index does not tell yet.
    pub fn say(&mut self, memory: &Memory, id: u32, length: u32) {
        let slot = u64::from(self.given_back % self.size);
        let element = [id.to_le_bytes(), length.to_le_bytes()].concat();
        memory.write(self.used + RING + 8 * slot, &element);
        self.given_back = self.given_back.wrapping_add(1);
    }

    /// Tells how far the used ring goes.
    pub fn set_index(&self, memory: &Memory, index: u16) {
        memory.store(self.used + INDEX, index);
    }

    /// Whether the driver wants an interrupt for what was given back.
    pub(crate) fn wants_interrupt(&self, memory: &Memory) -> bool {
        // Either the driver sees the index, or its wish is seen here.
        fence(Ordering::SeqCst);
        memory.load(self.available) & NO_INTERRUPT == 0
    }

    /// Where the used ring is, flags and index included.
    pub fn used_ring(&self) -> (u64, usize) {
        (self.used, 4 + 8 * usize::from(self.size))
    }

    /// Where what the driver alone writes is: the descriptors, the available ring.
    pub fn driver_area(&self) -> [(u64, usize); 2] {
        let size = usize::from(self.size);
        [(self.descriptors, 16 * size), (self.available, 4 + 2 * size)]
    }
}

/// A descriptor's address, length, flags and next.
fn fields(descriptor: [u8; 16]) -> [u64; 4] {
    let number = u128::from_le_bytes(descriptor);
    [number as u64, (number >> 64) as u32 as u64, (number >> 96) as u16 as u64, (number >> 112) as u64]
}
