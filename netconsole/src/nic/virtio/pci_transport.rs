//! virtio over modern PCI (virtio 1.2, section 4.1). Unlike `virtio-drivers`' own, this transport
//! notifies with one register access, checks every access against the BAR's length, has no wait
//! without a bound, and cannot panic.

use super::halves::{halves, whole};
use crate::nic::mmio::Window;
use crate::nic::pci::{ConfigurationAccess, PciDevice};
use crate::nic::{Addresses, NicError};
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{Error, PhysAddr};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// PCI capability id of a vendor's own, which virtio's are.
const CAPABILITY_VENDOR: u8 = 0x09;

/// Section 4.1.4, `cfg_type`.
const COMMON: u8 = 1;
const NOTIFY: u8 = 2;
const DEVICE: u8 = 4;

/// Section 4.1.4.3, offsets in `struct virtio_pci_common_cfg`.
mod common {
    pub const DEVICE_FEATURE_SELECT: usize = 0x00;
    pub const DEVICE_FEATURE: usize = 0x04;
    pub const DRIVER_FEATURE_SELECT: usize = 0x08;
    pub const DRIVER_FEATURE: usize = 0x0c;
    pub const DEVICE_STATUS: usize = 0x14;
    pub const CONFIG_GENERATION: usize = 0x15;
    pub const QUEUE_SELECT: usize = 0x16;
    pub const QUEUE_SIZE: usize = 0x18;
    pub const QUEUE_ENABLE: usize = 0x1c;
    pub const QUEUE_NOTIFY_OFFSET: usize = 0x1e;
    pub const QUEUE_DESCRIPTORS: usize = 0x20;
    pub const QUEUE_DRIVER: usize = 0x28;
    pub const QUEUE_DEVICE: usize = 0x30;
    pub const LENGTH: usize = 0x38;
}

/// A network card's registers, found by the capabilities in its configuration space.
pub struct PciTransport {
    common: Window,
    notify: Window,
    notify_multiplier: u32,
    device: Option<Window>,
    /// Where each queue's notifications go in `notify`, known once the queue is set up.
    notify_offsets: [Option<usize>; 2],
}

impl PciTransport {
    /// Finds the registers of `device`, and enables them; `None` where
    /// it has none of virtio 1.0. The card is left as it is otherwise. Panic-safe.
    ///
    /// The firmware's and the card's word is taken for where the BARs lie: nothing else knows.
    pub fn new<C: ConfigurationAccess>(
        config: &mut C,
        addresses: &Addresses,
        device: &PciDevice,
    ) -> Result<Option<Self>, NicError> {
        let (mut common, mut notify, mut specific) = (None, None, None);
        let mut is_modern = false;
        for offset in device.capabilities(config, CAPABILITY_VENDOR) {
            // Section 4.1.4, `struct virtio_pci_cap`, in words.
            let word =
                |number: u8| config.read_word(device.function, offset.wrapping_add(number.wrapping_mul(4)));
            let [_, _, _, structure] = word(0).to_le_bytes();
            is_modern |= structure == COMMON;
            let [bar, ..] = word(1).to_le_bytes();
            let Some(&bar) = device.bars.get(usize::from(bar)) else { continue };
            let Some(window) = Window::new(bar, word(2), word(3), addresses) else { continue };
            // The first one that is usable counts (section 4.1.4.1).
            match structure {
                COMMON if window.at::<[u32; common::LENGTH / 4]>(0).is_some() => {
                    _ = common.get_or_insert(window)
                }
                NOTIFY => _ = notify.get_or_insert((window, word(4))),
                DEVICE => _ = specific.get_or_insert(window),
                _ => {}
            }
        }
        if !is_modern {
            return Ok(None);
        }
        let common = common.ok_or(NicError::NoRegisters("common configuration"))?;
        let (notify, notify_multiplier) = notify.ok_or(NicError::NoRegisters("notification"))?;
        device.enable(config);
        Ok(Some(Self { common, notify, notify_multiplier, device: specific, notify_offsets: [None; 2] }))
    }

    /// `new` has checked that the common registers are all there and aligned, so that none is missing.
    fn get<T: FromBytes + Default>(&self, offset: usize) -> T {
        self.common.read(offset).unwrap_or_default()
    }

    fn set<T: IntoBytes>(&mut self, offset: usize, value: T) {
        let _ = self.common.write(offset, value);
    }

    /// Section 4.1.3.1: wide fields may be written in halves.
    fn set_wide(&mut self, offset: usize, value: u64) {
        let [low, high] = halves(value);
        self.set(offset, low);
        self.set(offset.wrapping_add(4), high);
    }
}

impl Transport for PciTransport {
    fn device_type(&self) -> DeviceType {
        DeviceType::Network
    }

    fn read_device_features(&mut self) -> u64 {
        whole([0u32, 1].map(|half| {
            self.set(common::DEVICE_FEATURE_SELECT, half);
            self.get(common::DEVICE_FEATURE)
        }))
    }

    fn write_driver_features(&mut self, driver_features: u64) {
        for (half, features) in (0u32..).zip(halves(driver_features)) {
            self.set(common::DRIVER_FEATURE_SELECT, half);
            self.set(common::DRIVER_FEATURE, features);
        }
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        self.set(common::QUEUE_SELECT, queue);
        self.get::<u16>(common::QUEUE_SIZE).into()
    }

    fn notify(&mut self, queue: u16) {
        if let Some(Some(offset)) = self.notify_offsets.get(usize::from(queue)) {
            let _ = self.notify.write(*offset, queue);
        }
    }

    fn get_status(&self) -> DeviceStatus {
        DeviceStatus::from_bits_retain(self.get::<u8>(common::DEVICE_STATUS).into())
    }

    fn set_status(&mut self, status: DeviceStatus) {
        // The register has 8 bits (section 4.1.4.3).
        let [status, ..] = status.bits().to_le_bytes();
        self.set(common::DEVICE_STATUS, status);
    }

    /// Legacy devices alone have this.
    fn set_guest_page_size(&mut self, _guest_page_size: u32) {}

    fn requires_legacy_layout(&self) -> bool {
        false
    }

    fn queue_set(
        &mut self,
        queue: u16,
        size: u32,
        descriptors: PhysAddr,
        driver_area: PhysAddr,
        device_area: PhysAddr,
    ) {
        self.set(common::QUEUE_SELECT, queue);
        // A size of 16 bits (section 4.1.4.3); a larger one can't be a queue's (section 2.7).
        self.set(common::QUEUE_SIZE, u16::try_from(size).unwrap_or_default());
        self.set_wide(common::QUEUE_DESCRIPTORS, descriptors);
        self.set_wide(common::QUEUE_DRIVER, driver_area);
        self.set_wide(common::QUEUE_DEVICE, device_area);
        // Section 4.1.4.4: the address is `queue_notify_off * notify_off_multiplier`.
        let offset =
            u32::from(self.get::<u16>(common::QUEUE_NOTIFY_OFFSET)).checked_mul(self.notify_multiplier);
        if let Some(slot) = self.notify_offsets.get_mut(usize::from(queue)) {
            *slot = offset.and_then(|offset| usize::try_from(offset).ok());
        }
        self.set(common::QUEUE_ENABLE, 1u16);
    }

    /// A queue goes with the whole device's reset (section 4.1.4.3.2).
    fn queue_unset(&mut self, _queue: u16) {}

    fn queue_used(&mut self, queue: u16) -> bool {
        self.set(common::QUEUE_SELECT, queue);
        self.get::<u16>(common::QUEUE_ENABLE) != 0
    }

    /// Interrupts are off in the command register, so there is never one to acknowledge.
    fn ack_interrupt(&mut self) -> InterruptStatus {
        InterruptStatus::empty()
    }

    fn read_config_generation(&self) -> u32 {
        self.get::<u8>(common::CONFIG_GENERATION).into()
    }

    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T, Error> {
        let device = self.device.ok_or(Error::ConfigSpaceMissing)?;
        device.read(offset).ok_or(Error::ConfigSpaceTooSmall)
    }

    fn write_config_space<T: IntoBytes + Immutable>(&mut self, offset: usize, value: T) -> Result<(), Error> {
        let device = self.device.ok_or(Error::ConfigSpaceMissing)?;
        device.write(offset, value).ok_or(Error::ConfigSpaceTooSmall)
    }
}

#[cfg(test)]
mod tests;
