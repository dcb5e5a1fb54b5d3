//! Sizing a function's BARs takes them away for a moment. What they were is kept meanwhile, so that a panic path
//! that begins in that moment, by an NMI, can put it back.

use super::{
    COMMAND_IO, COMMAND_MASK, COMMAND_MEMORY, Class, ConfigurationAccess, Header, PciDevice, bar_count,
    register,
};
use crate::guarded::Word;
use crate::nic::BusAddress;

/// The header of the function that is being sized. What was not written, or was
/// overwritten, is found.
pub struct Sizing {
    /// The function's place; unset where none is being sized.
    function: Word,
    command: Word,
    bars: [Word; 6],
}

impl Default for Sizing {
    fn default() -> Self {
        Self::new()
    }
}

impl Sizing {
    /// Where nothing is being sized.
    pub const fn new() -> Self {
        Self { function: Word::unset(), command: Word::unset(), bars: [const { Word::unset() }; 6] }
    }

    /// Sizes the BARs of a function that was [identified](PciDevice::identify). Not for several contexts at once.
    pub fn size<C: ConfigurationAccess>(&self, config: &mut C, device: PciDevice) -> PciDevice {
        let function = device.function;
        self.command.set(config.read_word(function, register::COMMAND).into());
        for (word, offset) in self.bars.iter().zip(register::bars()) {
            word.set(config.read_word(function, offset).into());
        }
        self.function.set(BusAddress::Pci(function).to_word());
        let device = device.size(config);
        self.function.clear();
        device
    }

    /// Puts back what an interrupted [`size`](Self::size) has taken away; does nothing where none was
    /// interrupted. Panic-safe.
    pub fn put_back<C: ConfigurationAccess>(&self, config: &mut C) {
        let place = self.function.get().and_then(BusAddress::from_word);
        let (Some(BusAddress::Pci(function)), Some(command)) = (place, kept(&self.command)) else { return };
        let command = command & COMMAND_MASK;
        // A BAR does not move while it is decoded.
        config.write_word(function, register::COMMAND, command & !(COMMAND_IO | COMMAND_MEMORY));
        let count = bar_count(Class::read(config, function), Header::read(config, function).kind);
        for (word, offset) in self.bars.iter().zip(register::bars()).take(count) {
            if let Some(bar) = kept(word) {
                config.write_word(function, offset, bar);
            }
        }
        config.write_word(function, register::COMMAND, command);
    }
}

fn kept(word: &Word) -> Option<u32> {
    word.get().and_then(|word| u32::try_from(word).ok())
}
