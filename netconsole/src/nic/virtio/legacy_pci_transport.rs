//! virtio over legacy PCI (virtio 1.2, section 4.1.4.10 "Legacy Interfaces: A Note on PCI Device Layout"),
//! as virtio 0.9 had it: all registers in the I/O space of BAR 0, and a queue's size that the device
//! alone chooses.

use super::queue_memory::LEGACY_ALIGNMENT;
use crate::nic::pci::{Bar, ConfigurationAccess, PciDevice};
use crate::nic::{NicError, Ports, Width};
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{Error, PhysAddr};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Section 4.1.4.10, offsets in BAR 0.
mod register {
    pub const DEVICE_FEATURES: u16 = 0x00;
    pub const DRIVER_FEATURES: u16 = 0x04;
    pub const QUEUE_ADDRESS: u16 = 0x08;
    pub const QUEUE_SIZE: u16 = 0x0c;
    pub const QUEUE_SELECT: u16 = 0x0e;
    pub const QUEUE_NOTIFY: u16 = 0x10;
    pub const DEVICE_STATUS: u16 = 0x12;
    pub const ISR_STATUS: u16 = 0x13;
    /// Where the card's own configuration begins.
    pub const CONFIG: u16 = 0x14;
    /// The same where MSI-X is on: two vectors lie before it.
    pub const CONFIG_WITH_MSI_X: u16 = 0x18;
}

/// The unit in which the device is told where its queue is.
const PAGE: u64 = LEGACY_ALIGNMENT as u64;

/// PCI Local Bus Specification 3.0, section 6.8.2: the capability's id, and the enable bit in its word.
const CAPABILITY_MSI_X: u8 = 0x11;
const MSI_X_ENABLE: u32 = 1 << 31;

/// A legacy network card's registers.
pub struct LegacyPciTransport {
    ports: &'static dyn Ports,
    /// The first port, and how many: all of them exist.
    first: u16,
    length: u16,
    config: u16,
}

impl LegacyPciTransport {
    /// Finds the registers of `device` in I/O space and enables them. The card is left as it is
    /// otherwise. Panic-safe.
    pub fn new<C: ConfigurationAccess>(
        config: &mut C,
        ports: &'static dyn Ports,
        device: &PciDevice,
    ) -> Result<Self, NicError> {
        const MISSING: NicError = NicError::NoRegisters("I/O");
        let [Some(Bar::Io { port, length }), ..] = device.bars else { return Err(MISSING) };
        let (first, length) = u16::try_from(port).ok().zip(u16::try_from(length).ok()).ok_or(MISSING)?;
        if first.checked_add(length).is_none() || length < register::CONFIG {
            return Err(MISSING);
        }
        // Who drove the card before may have left it on.
        let has_vectors = device
            .capabilities(config, CAPABILITY_MSI_X)
            .any(|offset| config.read_word(device.function, offset) & MSI_X_ENABLE != 0);
        let own = if has_vectors { register::CONFIG_WITH_MSI_X } else { register::CONFIG };
        device.enable_io(config);
        Ok(Self { ports, first, length, config: own })
    }

    fn get(&self, offset: u16, width: Width) -> u32 {
        self.ports.read(self.first.wrapping_add(offset), width)
    }

    fn set(&mut self, offset: u16, width: Width, value: u32) {
        self.ports.write(self.first.wrapping_add(offset), width, value);
    }

    /// The offset of a byte of the card's own configuration, if there is such a byte.
    fn config_offset(&self, offset: usize) -> Result<u16, Error> {
        let offset = u16::try_from(offset).ok().and_then(|offset| offset.checked_add(self.config));
        offset.filter(|&offset| offset < self.length).ok_or(Error::ConfigSpaceTooSmall)
    }
}

impl Transport for LegacyPciTransport {
    fn device_type(&self) -> DeviceType {
        DeviceType::Network
    }

    /// There are no more than 32.
    fn read_device_features(&mut self) -> u64 {
        self.get(register::DEVICE_FEATURES, Width::Word).into()
    }

    fn write_driver_features(&mut self, driver_features: u64) {
        let [a, b, c, d, ..] = driver_features.to_le_bytes();
        self.set(register::DRIVER_FEATURES, Width::Word, u32::from_le_bytes([a, b, c, d]));
    }

    /// The size that the queue has; 0 for one that does not exist.
    fn max_queue_size(&mut self, queue: u16) -> u32 {
        self.set(register::QUEUE_SELECT, Width::Half, queue.into());
        self.get(register::QUEUE_SIZE, Width::Half)
    }

    fn notify(&mut self, queue: u16) {
        self.set(register::QUEUE_NOTIFY, Width::Half, queue.into());
    }

    fn get_status(&self) -> DeviceStatus {
        DeviceStatus::from_bits_retain(self.get(register::DEVICE_STATUS, Width::Byte))
    }

    fn set_status(&mut self, status: DeviceStatus) {
        self.set(register::DEVICE_STATUS, Width::Byte, status.bits());
    }

    /// It is always 4096 (section 4.1.5.1.3.1).
    fn set_guest_page_size(&mut self, _guest_page_size: u32) {}

    fn requires_legacy_layout(&self) -> bool {
        true
    }

    /// The other two areas are where the layout has them (section 2.7.2). A page number that does not fit
    /// is 0, which stands for no queue: the card then does nothing.
    fn queue_set(
        &mut self,
        queue: u16,
        _size: u32,
        descriptors: PhysAddr,
        _driver_area: PhysAddr,
        _device_area: PhysAddr,
    ) {
        self.set(register::QUEUE_SELECT, Width::Half, queue.into());
        let page = descriptors / PAGE;
        self.set(register::QUEUE_ADDRESS, Width::Word, u32::try_from(page).unwrap_or_default());
    }

    /// A queue goes with the whole device's reset.
    fn queue_unset(&mut self, _queue: u16) {}

    fn queue_used(&mut self, queue: u16) -> bool {
        self.set(register::QUEUE_SELECT, Width::Half, queue.into());
        self.get(register::QUEUE_ADDRESS, Width::Word) != 0
    }

    /// Reading it acknowledges.
    fn ack_interrupt(&mut self) -> InterruptStatus {
        InterruptStatus::from_bits_truncate(self.get(register::ISR_STATUS, Width::Byte))
    }

    /// A legacy device has none; what is read is as good as it gets.
    fn read_config_generation(&self) -> u32 {
        0
    }

    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T, Error> {
        let mut value = T::new_zeroed();
        for (at, byte) in (offset..=usize::MAX).zip(value.as_mut_bytes()) {
            [*byte, ..] = self.get(self.config_offset(at)?, Width::Byte).to_le_bytes();
        }
        Ok(value)
    }

    fn write_config_space<T: IntoBytes + Immutable>(&mut self, offset: usize, value: T) -> Result<(), Error> {
        for (at, &byte) in (offset..=usize::MAX).zip(value.as_bytes()) {
            self.set(self.config_offset(at)?, Width::Byte, byte.into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
