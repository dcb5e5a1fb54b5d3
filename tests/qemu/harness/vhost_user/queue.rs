//! The device's side of a split virtqueue (virtio 1.2, section 2.7).

use super::memory::Memory;

/// Of a descriptor's flags (section 2.7.5): another follows.
const NEXT: u16 = 1;
/// Where an entry of the rings begins: behind their flags and index.
const RING: u64 = 4;

/// A queue that the driver has set up.
#[derive(Clone, Copy, Debug)]
pub struct Queue {
    pub size: u16,
    pub descriptors: u64,
    pub available: u64,
    pub used: u64,
    /// The index of the next buffer to be taken, and of the next to be given back.
    pub next: u16,
    pub given_back: u16,
}

impl Queue {
    /// The next buffer that the driver has made available: its id, and its pieces' addresses and lengths.
    pub fn take(&mut self, memory: &Memory) -> Option<(u16, Vec<(u64, u32)>)> {
        if u16::from_le_bytes(memory.read(self.available + 2)) == self.next {
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
        memory.write(self.used + 2, &index.to_le_bytes());
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
