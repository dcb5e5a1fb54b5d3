//! virtio over MMIO (virtio 1.2, section 4.2), as microVMs have it: registers at a fixed place, found
//! by the command line or ACPI. Legacy devices (section 4.2.4) are driven, too: QEMU's are of that kind
//! unless told otherwise.

use super::halves::{halves, whole};
use super::queue_memory::LEGACY_ALIGNMENT;
use crate::nic::mmio::Window;
use crate::nic::{Addresses, BusAddress, NicError};
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{Error, PhysAddr};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Section 4.2.2, offsets.
mod register {
    pub const MAGIC_VALUE: usize = 0x000;
    pub const VERSION: usize = 0x004;
    pub const DEVICE_ID: usize = 0x008;
    pub const DEVICE_FEATURES: usize = 0x010;
    pub const DEVICE_FEATURES_SELECT: usize = 0x014;
    pub const DRIVER_FEATURES: usize = 0x020;
    pub const DRIVER_FEATURES_SELECT: usize = 0x024;
    /// Legacy (section 4.2.4), like the two below.
    pub const GUEST_PAGE_SIZE: usize = 0x028;
    pub const QUEUE_SELECT: usize = 0x030;
    pub const QUEUE_NUMBER_MAX: usize = 0x034;
    pub const QUEUE_NUMBER: usize = 0x038;
    pub const QUEUE_ALIGN: usize = 0x03c;
    pub const QUEUE_PAGE: usize = 0x040;
    pub const QUEUE_READY: usize = 0x044;
    pub const QUEUE_NOTIFY: usize = 0x050;
    pub const INTERRUPT_STATUS: usize = 0x060;
    pub const INTERRUPT_ACKNOWLEDGE: usize = 0x064;
    pub const STATUS: usize = 0x070;
    pub const QUEUE_DESCRIPTORS: usize = 0x080;
    pub const QUEUE_DRIVER: usize = 0x090;
    pub const QUEUE_DEVICE: usize = 0x0a0;
    pub const CONFIG_GENERATION: usize = 0x0fc;
    pub const CONFIG: usize = 0x100;
}

/// "virt".
const MAGIC: u32 = u32::from_le_bytes(*b"virt");
const VERSION_LEGACY: u32 = 1;
const VERSION_MODERN: u32 = 2;
/// The size of a legacy device's queue: all that `virtqueue`'s memory holds buffers for, and no more.
const LEGACY_SIZE: u32 = 256;
/// The unit in which a legacy device is told where its queue is.
const PAGE: u64 = LEGACY_ALIGNMENT as u64;
/// Section 5.
const NETWORK_CARD: u32 = 1;

/// The registers and a network card's configuration (section 5.1.4) up to its duplex mode.
const LENGTH: u64 = 0x111;

/// The registers of a network card.
pub struct MmioTransport {
    address: u64,
    registers: Window,
    is_legacy: bool,
}

impl MmioTransport {
    /// The network card whose registers are at the physical address `address`; `None` where another device is there
    /// or none. The card is left as it is. Panic-safe.
    pub fn find(address: u64, addresses: &Addresses) -> Result<Option<Self>, NicError> {
        Self::find_device(NETWORK_CARD, address, addresses)
    }

    /// The same for a device of another kind (section 5).
    pub fn find_device(kind: u32, address: u64, addresses: &Addresses) -> Result<Option<Self>, NicError> {
        let registers = Window::at_address(address, LENGTH, addresses)
            .filter(|window| window.at::<[u32; register::CONFIG / 4]>(0).is_some())
            .ok_or(NicError::NoRegisters("virtio"))?;
        let mut transport = Self { address, registers, is_legacy: false };
        if transport.get(register::MAGIC_VALUE) != MAGIC || transport.get(register::DEVICE_ID) != kind {
            return Ok(None);
        }
        match transport.get(register::VERSION) {
            VERSION_MODERN => {}
            VERSION_LEGACY => transport.is_legacy = true,
            _ => return Err(NicError::MissingFeature("a version of virtio over MMIO that is known here")),
        }
        Ok(Some(transport))
    }

    /// Where the card is.
    pub fn place(&self) -> BusAddress {
        BusAddress::Mmio(self.address)
    }

    /// `find` has checked that all registers before the configuration are there and aligned.
    fn get(&self, offset: usize) -> u32 {
        self.registers.read(offset).unwrap_or_default()
    }

    fn set(&mut self, offset: usize, value: u32) {
        let _ = self.registers.write(offset, value);
    }

    fn set_wide(&mut self, offset: usize, value: u64) {
        let [low, high] = halves(value);
        self.set(offset, low);
        self.set(offset.wrapping_add(4), high);
    }
}

impl Transport for MmioTransport {
    fn device_type(&self) -> DeviceType {
        DeviceType::Network
    }

    fn read_device_features(&mut self) -> u64 {
        whole([0, 1].map(|half| {
            self.set(register::DEVICE_FEATURES_SELECT, half);
            self.get(register::DEVICE_FEATURES)
        }))
    }

    fn write_driver_features(&mut self, driver_features: u64) {
        for (half, features) in (0..).zip(halves(driver_features)) {
            self.set(register::DRIVER_FEATURES_SELECT, half);
            self.set(register::DRIVER_FEATURES, features);
        }
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        self.set(register::QUEUE_SELECT, queue.into());
        let most = self.get(register::QUEUE_NUMBER_MAX);
        if self.is_legacy { most.min(LEGACY_SIZE) } else { most }
    }

    fn notify(&mut self, queue: u16) {
        self.set(register::QUEUE_NOTIFY, queue.into());
    }

    fn get_status(&self) -> DeviceStatus {
        DeviceStatus::from_bits_retain(self.get(register::STATUS))
    }

    fn set_status(&mut self, status: DeviceStatus) {
        self.set(register::STATUS, status.bits());
    }

    fn set_guest_page_size(&mut self, guest_page_size: u32) {
        if self.is_legacy {
            self.set(register::GUEST_PAGE_SIZE, guest_page_size);
        }
    }

    fn requires_legacy_layout(&self) -> bool {
        self.is_legacy
    }

    fn queue_set(
        &mut self,
        queue: u16,
        size: u32,
        descriptors: PhysAddr,
        driver_area: PhysAddr,
        device_area: PhysAddr,
    ) {
        self.set(register::QUEUE_SELECT, queue.into());
        self.set(register::QUEUE_NUMBER, size);
        if self.is_legacy {
            // The other two areas are where the layout has them (section 2.7.2). A page number that
            // does not fit is 0, which stands for no queue: the card then does nothing.
            self.set(register::QUEUE_ALIGN, LEGACY_ALIGNMENT);
            let page = descriptors / PAGE;
            self.set(register::QUEUE_PAGE, u32::try_from(page).unwrap_or_default());
        } else {
            self.set_wide(register::QUEUE_DESCRIPTORS, descriptors);
            self.set_wide(register::QUEUE_DRIVER, driver_area);
            self.set_wide(register::QUEUE_DEVICE, device_area);
            self.set(register::QUEUE_READY, 1);
        }
    }

    /// A queue goes with the whole device's reset (section 4.2.2).
    fn queue_unset(&mut self, _queue: u16) {}

    fn queue_used(&mut self, queue: u16) -> bool {
        self.set(register::QUEUE_SELECT, queue.into());
        self.get(if self.is_legacy { register::QUEUE_PAGE } else { register::QUEUE_READY }) != 0
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        let status = self.get(register::INTERRUPT_STATUS);
        self.set(register::INTERRUPT_ACKNOWLEDGE, status);
        InterruptStatus::from_bits_truncate(status)
    }

    fn read_config_generation(&self) -> u32 {
        // A legacy device has none; what is read twice is then as good as it gets.
        if self.is_legacy { 0 } else { self.get(register::CONFIG_GENERATION) }
    }

    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T, Error> {
        let offset = offset.checked_add(register::CONFIG).ok_or(Error::ConfigSpaceTooSmall)?;
        self.registers.read(offset).ok_or(Error::ConfigSpaceTooSmall)
    }

    fn write_config_space<T: IntoBytes + Immutable>(&mut self, offset: usize, value: T) -> Result<(), Error> {
        let offset = offset.checked_add(register::CONFIG).ok_or(Error::ConfigSpaceTooSmall)?;
        self.registers.write(offset, value).ok_or(Error::ConfigSpaceTooSmall)
    }
}

#[cfg(test)]
mod tests;
