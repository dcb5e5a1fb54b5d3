//! Sizing a function's BARs takes them away for a moment. What they were is kept meanwhile, so that a panic path
//! that begins in that moment, by an NMI, can put it back.

use super::{
    COMMAND_IO, COMMAND_MASK, COMMAND_MEMORY, ConfigurationAccess, DeviceFunction, PciDevice, bar_count,
    register,
};
use crate::nic::BusAddress;
use core::sync::atomic::{AtomicU64, Ordering};

/// The header of the function that is being sized. Each word is followed by its complement, so that one that was
/// not written, or was overwritten, shows.
pub struct Sizing {
    /// The function's place; without complement where none is being sized.
    function: AtomicU64,
    command: AtomicU64,
    bars: [AtomicU64; 6],
}

impl Default for Sizing {
    fn default() -> Self {
        Self::new()
    }
}

impl Sizing {
    /// Where nothing is being sized.
    pub const fn new() -> Self {
        Self {
            function: AtomicU64::new(0),
            command: AtomicU64::new(0),
            bars: [const { AtomicU64::new(0) }; 6],
        }
    }

    /// Reads a function as [`PciDevice::read`] does. Not for several contexts at once.
    pub fn read<C: ConfigurationAccess>(
        &self,
        config: &mut C,
        function: DeviceFunction,
    ) -> Option<PciDevice> {
        set(&self.command, config.read_word(function, register::COMMAND));
        for (word, offset) in self.bars.iter().zip(register::bars()) {
            set(word, config.read_word(function, offset));
        }
        // Release: whoever sees the place sees what is kept of it.
        let place = u32::try_from(BusAddress::Pci(function).to_word()).unwrap_or(u32::MAX);
        self.function.store(with_complement(place), Ordering::Release);
        let device = PciDevice::read(config, function);
        self.function.store(0, Ordering::Release);
        device
    }

    /// Puts back what an interrupted [`read`](Self::read) has taken away; does nothing where none was
    /// interrupted. Panic-safe.
    pub fn put_back<C: ConfigurationAccess>(&self, config: &mut C) {
        let place = get(&self.function).and_then(|place| BusAddress::from_word(place.into()));
        let (Some(BusAddress::Pci(function)), Some(command)) = (place, get(&self.command)) else { return };
        let command = command & COMMAND_MASK;
        // A BAR does not move while it is decoded.
        config.write_word(function, register::COMMAND, command & !(COMMAND_IO | COMMAND_MEMORY));
        for (word, offset) in self.bars.iter().zip(register::bars()).take(bar_count(config, function)) {
            if let Some(bar) = get(word) {
                config.write_word(function, offset, bar);
            }
        }
        config.write_word(function, register::COMMAND, command);
    }
}

fn with_complement(word: u32) -> u64 {
    u64::from(word) | u64::from(!word) << 32
}

fn set(to: &AtomicU64, word: u32) {
    to.store(with_complement(word), Ordering::Relaxed);
}

fn get(from: &AtomicU64) -> Option<u32> {
    let kept = from.load(Ordering::Acquire);
    let [a, b, c, d, ..] = kept.to_le_bytes();
    let word = u32::from_le_bytes([a, b, c, d]);
    (kept == with_complement(word)).then_some(word)
}
