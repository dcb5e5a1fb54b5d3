//! PCI configuration space by mechanism 1 (PCI Local Bus Specification 3.0, section 3.2.2.3.2):
//! an address in port 0xCF8, the data in 0xCFC.

use super::trap::{self, Place};
use netconsole::nic::pci::{self, Class, ConfigurationAccess, DeviceFunction};
use netconsole::nic::{Ports, Width};
use x86_64::instructions::port::{Port, PortWrite};

const ENABLE: u32 = 1 << 31;
const ADDRESS: u16 = 0xcf8;
const DATA: u16 = 0xcfc;

/// The machine's configuration space. Carries no state: the address is written before each access,
/// so the panic path may use one of its own.
pub struct ConfigurationPorts;

impl ConfigurationPorts {
    fn select(device: DeviceFunction, register: u8) {
        let address = ENABLE
            | u32::from(device.bus) << 16
            | u32::from(device.device & 0x1f) << 11
            | u32::from(device.function & 7) << 8
            | u32::from(register & 0xfc);
        // SAFETY: these ports belong to the host bridge, and selecting a register changes nothing.
        unsafe { Port::new(ADDRESS).write(address) }
    }
}

impl ConfigurationPorts {
    /// Writes a register that is narrower than a word, and only that.
    pub fn write_narrow<T: PortWrite>(device: DeviceFunction, register: u8, value: T) {
        Self::select(device, register);
        // SAFETY: as for `write_word`; the port of a part of the word is that far above the word's own.
        unsafe { Port::new(DATA | u16::from(register & 3)).write(value) }
    }
}

impl ConfigurationAccess for ConfigurationPorts {
    fn read_word(&self, device_function: DeviceFunction, register_offset: u8) -> u32 {
        Self::select(device_function, register_offset);
        // SAFETY: reading configuration space has no effect on memory.
        unsafe { Port::new(DATA).read() }
    }

    fn write_word(&mut self, device_function: DeviceFunction, register_offset: u8, data: u32) {
        Self::select(device_function, register_offset);
        // SAFETY: callers set up a device's BARs and command register; which memory the device may
        // then reach is decided by the rings that its driver gives it.
        unsafe { Port::new(DATA).write(data) }
        if data == u32::MAX {
            trap::probe(Place::Sizing);
        }
    }

    unsafe fn unsafe_clone(&self) -> Self {
        Self
    }
}

/// The machine's I/O space, for devices with I/O BARs. Carries no state.
pub struct IoPorts;

impl Ports for IoPorts {
    fn read(&self, port: u16, width: Width) -> u32 {
        // SAFETY: drivers name only ports that a BAR of their device decodes; what the device does to
        // memory is bounded by the rings that it is given.
        unsafe {
            match width {
                Width::Byte => Port::<u8>::new(port).read().into(),
                Width::Half => Port::<u16>::new(port).read().into(),
                Width::Word => Port::<u32>::new(port).read(),
            }
        }
    }

    fn write(&self, port: u16, width: Width, value: u32) {
        let [a, b, ..] = value.to_le_bytes();
        // SAFETY: as for reading.
        unsafe {
            match width {
                Width::Byte => Port::new(port).write(a),
                Width::Half => Port::new(port).write(u16::from_le_bytes([a, b])),
                Width::Word => Port::new(port).write(value),
            }
        }
    }
}

/// Takes from all network cards on the PCI buses the right to reach memory, until each is brought up: the firmware may
/// have left them running, and writing what they receive to memory that it used.
pub fn silence_network_cards() {
    pci::for_each_function(&ConfigurationPorts, |function| {
        if Class::read(&ConfigurationPorts, function).is_network() {
            pci::disable(&mut ConfigurationPorts, function);
        }
    });
}
