//! One type over the three ways to a card's registers.

use super::legacy_pci_transport::LegacyPciTransport;
use super::mmio_transport::MmioTransport;
use super::pci_transport::PciTransport;
use crate::nic::pci::{ConfigurationAccess, PciDevice};
use crate::nic::{Access, NicError};
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{Error, PhysAddr};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A card's registers, on the PCI bus or at a fixed place.
pub enum AnyTransport {
    /// Modern PCI.
    Pci(PciTransport),
    /// Legacy PCI.
    LegacyPci(LegacyPciTransport),
    /// MMIO.
    Mmio(MmioTransport),
}

impl AnyTransport {
    /// Finds the registers of a card on the PCI bus, the modern ones where it has both, and enables them.
    /// Panic-safe.
    pub fn on_pci<C: ConfigurationAccess>(
        config: &mut C,
        access: &Access,
        device: &PciDevice,
    ) -> Result<Self, NicError> {
        match PciTransport::new(config, &access.addresses, device)? {
            Some(modern) => Ok(Self::Pci(modern)),
            None => LegacyPciTransport::new(config, access.ports, device).map(Self::LegacyPci),
        }
    }
}

/// Calls the transport's own method.
macro_rules! each {
    ($self:expr, $transport:ident => $call:expr) => {
        match $self {
            AnyTransport::Pci($transport) => $call,
            AnyTransport::LegacyPci($transport) => $call,
            AnyTransport::Mmio($transport) => $call,
        }
    };
}

impl Transport for AnyTransport {
    fn device_type(&self) -> DeviceType {
        each!(self, transport => transport.device_type())
    }

    fn read_device_features(&mut self) -> u64 {
        each!(self, transport => transport.read_device_features())
    }

    fn write_driver_features(&mut self, driver_features: u64) {
        each!(self, transport => transport.write_driver_features(driver_features));
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        each!(self, transport => transport.max_queue_size(queue))
    }

    fn notify(&mut self, queue: u16) {
        each!(self, transport => transport.notify(queue));
    }

    fn get_status(&self) -> DeviceStatus {
        each!(self, transport => transport.get_status())
    }

    fn set_status(&mut self, status: DeviceStatus) {
        each!(self, transport => transport.set_status(status));
    }

    fn set_guest_page_size(&mut self, guest_page_size: u32) {
        each!(self, transport => transport.set_guest_page_size(guest_page_size));
    }

    fn requires_legacy_layout(&self) -> bool {
        each!(self, transport => transport.requires_legacy_layout())
    }

    fn queue_set(
        &mut self,
        queue: u16,
        size: u32,
        descriptors: PhysAddr,
        driver_area: PhysAddr,
        device_area: PhysAddr,
    ) {
        each!(self, transport => transport.queue_set(queue, size, descriptors, driver_area, device_area));
    }

    fn queue_unset(&mut self, queue: u16) {
        each!(self, transport => transport.queue_unset(queue));
    }

    fn queue_used(&mut self, queue: u16) -> bool {
        each!(self, transport => transport.queue_used(queue))
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        each!(self, transport => transport.ack_interrupt())
    }

    fn read_config_generation(&self) -> u32 {
        each!(self, transport => transport.read_config_generation())
    }

    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T, Error> {
        each!(self, transport => transport.read_config_space(offset))
    }

    fn write_config_space<T: IntoBytes + Immutable>(&mut self, offset: usize, value: T) -> Result<(), Error> {
        each!(self, transport => transport.write_config_space(offset, value))
    }
}
