//! Configuration spaces for the tests.

use super::{ConfigurationAccess, DeviceFunction};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Configuration space as real functions answer: words, of which only some bits can be written.
#[derive(Clone, Default)]
pub struct Machine {
    functions: Rc<RefCell<HashMap<Place, Function>>>,
}

/// Bus, device, function.
pub type Place = (u8, u8, u8);

/// The words of a function, and which of their bits can be written.
#[derive(Clone)]
pub struct Function {
    pub words: [u32; 64],
    pub writable: [u32; 64],
}

impl Function {
    pub fn new(vendor: u16, device: u16, class: u32) -> Self {
        let mut function = Self { words: [0; 64], writable: [0; 64] };
        function.words[0] = u32::from(vendor) | u32::from(device) << 16;
        function.words[2] = class << 8;
        function.writable[1] = 0x0000_0407;
        function
    }

    pub fn header_type(mut self, header_type: u8) -> Self {
        self.words[3] = u32::from(header_type) << 16;
        self
    }

    pub fn secondary_bus(mut self, bus: u8) -> Self {
        self.words[6] = u32::from(bus) << 8;
        self
    }

    /// A register of a BAR: its content, and the size of what it decodes.
    pub fn bar(mut self, number: usize, content: u32, writable: u32) -> Self {
        (self.words[4 + number], self.writable[4 + number]) = (content, writable);
        self
    }
}

impl Machine {
    pub fn insert(&self, at: Place, function: Function) {
        self.functions.borrow_mut().insert(at, function);
    }

    pub fn word(&self, at: Place, word: usize) -> u32 {
        self.functions.borrow()[&at].words[word]
    }
}

fn place(function: DeviceFunction) -> Place {
    (function.bus, function.device, function.function)
}

impl ConfigurationAccess for Machine {
    fn read_word(&self, function: DeviceFunction, offset: u8) -> u32 {
        assert_eq!(offset % 4, 0);
        self.functions.borrow().get(&place(function)).map_or(u32::MAX, |f| f.words[usize::from(offset / 4)])
    }

    fn write_word(&mut self, function: DeviceFunction, offset: u8, data: u32) {
        assert_eq!(offset % 4, 0);
        if let Some(function) = self.functions.borrow_mut().get_mut(&place(function)) {
            let word = usize::from(offset / 4);
            let writable = function.writable[word];
            // A BAR must not move while it is decoded.
            assert!(!(4..10).contains(&word) || function.words[1] & 3 == 0, "decoding is on");
            function.words[word] = function.words[word] & !writable | data & writable;
        }
    }

    unsafe fn unsafe_clone(&self) -> Self {
        self.clone()
    }
}

/// Answers anything, always the same for the same seed, place and count of accesses.
#[derive(Clone)]
pub struct Noise {
    pub seed: u64,
    pub count: Rc<RefCell<u64>>,
}

impl ConfigurationAccess for Noise {
    fn read_word(&self, _: DeviceFunction, _: u8) -> u32 {
        let mut count = self.count.borrow_mut();
        *count += 1;
        assert!(*count < 4_000_000, "an endless walk");
        // splitmix64, of which a third are bytes that matter.
        let mut z = self.seed.wrapping_add(count.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        if z.is_multiple_of(3) { 0x0109_4000 | (z >> 60) as u32 } else { (z >> 32) as u32 }
    }

    fn write_word(&mut self, _: DeviceFunction, _: u8, _: u32) {}

    unsafe fn unsafe_clone(&self) -> Self {
        self.clone()
    }
}
