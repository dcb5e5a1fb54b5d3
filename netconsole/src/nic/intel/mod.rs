//! Intel's gigabit controllers, from the 82544 to the I226, driven with legacy descriptors, but the 82575 and later with
//! advanced ones. [`chips`] lists them, and says which are tested.
//!
//! The trust model: the device may write the descriptors and the receive buffers at any time and in
//! any way. What the driver believes is in its own memory: which descriptors are with the device and
//! how long the buffers are. What the device writes is read once and checked against that.

pub mod chips;
mod errata;
mod gigabit;
mod phy;
mod registers;
mod ring;
mod shared_phy;
mod wait;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

pub use gigabit::Gigabit;
pub use registers::Registers;
pub use ring::GigabitMemory;

use super::mmio::Window;
use super::pci::{ConfigurationAccess, DeviceFunction, PciDevice};
use super::{Access, BusAddress, NicError, Waits};
use chips::Chip;

/// How many frames a card may be given to send at once, and one more.
const TRANSMIT_DESCRIPTORS: usize = 64;
/// How many frames a card may receive before it is polled, and one more.
const RECEIVE_DESCRIPTORS: usize = 16;
/// The same for the panic path.
const PANIC_TRANSMIT_DESCRIPTORS: usize = 16;
/// The same for the panic path.
const PANIC_RECEIVE_DESCRIPTORS: usize = 8;

/// The rings and buffers of one card.
pub type IntelMemory = GigabitMemory<TRANSMIT_DESCRIPTORS, RECEIVE_DESCRIPTORS>;
/// An Intel gigabit card.
pub type IntelNic = Gigabit<MemoryBar, TRANSMIT_DESCRIPTORS, RECEIVE_DESCRIPTORS>;
/// The rings and buffers of one card in a panic.
pub type PanicIntelMemory = GigabitMemory<PANIC_TRANSMIT_DESCRIPTORS, PANIC_RECEIVE_DESCRIPTORS>;
/// An Intel gigabit card in a panic: the same driver, started again beside the one that the crash
/// interrupted, of which nothing is read. The card is reset first, so that it forgets the old rings.
pub type PanicIntelNic = Gigabit<MemoryBar, PANIC_TRANSMIT_DESCRIPTORS, PANIC_RECEIVE_DESCRIPTORS>;

/// The registers as BAR 0 holds them (8254x SDM, section 13.2), and configuration space.
pub struct MemoryBar {
    window: Window,
    configuration: fn(DeviceFunction, u8) -> u32,
    function: DeviceFunction,
}

/// All registers that are used lie below; every chip has at least twice as much.
const REGISTERS_LENGTH: u32 = 0x1_0000;

impl Registers for MemoryBar {
    fn read(&self, register: usize) -> u32 {
        self.window.read(register).unwrap_or(u32::MAX)
    }

    fn write(&mut self, register: usize, value: u32) {
        let _ = self.window.write(register, value);
    }

    fn ring_status(&self) -> u32 {
        (self.configuration)(self.function, registers::RING_STATUS)
    }
}

impl<const TX: usize, const RX: usize> Gigabit<MemoryBar, TX, RX> {
    /// The card `device`, which has this `chip`, with its memory enabled; [`restart`](super::Nic::restart) resets
    /// it and brings it up. A card without an address of its own
    /// gets one that is made from its place on the PCI bus. Panic-safe.
    pub fn open<C: ConfigurationAccess>(
        config: &mut C,
        access: &Access,
        waits: Waits,
        device: &PciDevice,
        chip: Chip,
        memory: &'static mut GigabitMemory<TX, RX>,
    ) -> Result<Self, NicError> {
        let [bar0, ..] = device.bars;
        let window = Window::new(bar0, 0, REGISTERS_LENGTH, &access.addresses)
            .ok_or(NicError::NoRegisters("memory"))?;
        let offset = access.addresses.offset_of(memory)?;
        device.enable(config);
        let own_mac = BusAddress::Pci(device.function).own_address(access.identity);
        let bar = MemoryBar { window, configuration: access.configuration, function: device.function };
        Ok(Self::new(bar, waits, chip, own_mac, offset, memory))
    }
}
