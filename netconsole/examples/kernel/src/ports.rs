//! Ports: the PCI configuration space, what cards have in I/O space, and COM1, which shows how the boot goes on.

use core::fmt;
use netconsole::nic::pci::{ConfigurationAccess, DeviceFunction};
use netconsole::nic::{Ports, Width};
use x86_64::instructions::port::Port;

/// PCI configuration space by mechanism 1 (PCI Local Bus Specification 3.0, section 3.2.2.3.2).
pub struct Configuration;

/// Selects a register, and gives the port that it is then found at.
fn select(function: DeviceFunction, register: u8) -> Port<u32> {
    let DeviceFunction { bus, device, function } = function;
    let [bus, device, function] = [bus, device, function].map(u32::from);
    let address = 1 << 31 | bus << 16 | device << 11 | function << 8 | u32::from(register & 0xfc);
    // SAFETY: the host bridge's; this changes nothing.
    unsafe { Port::new(0xcf8).write(address) };
    Port::new(0xcfc)
}

impl ConfigurationAccess for Configuration {
    fn read_word(&self, function: DeviceFunction, register: u8) -> u32 {
        // SAFETY: a look at configuration space changes no memory.
        unsafe { select(function, register).read() }
    }

    fn write_word(&mut self, function: DeviceFunction, register: u8, value: u32) {
        // SAFETY: the drivers tell a card to use the memory that they own.
        unsafe { select(function, register).write(value) }
    }

    unsafe fn unsafe_clone(&self) -> Self {
        Self
    }
}

/// I/O space.
pub struct Io;

impl Ports for Io {
    fn read(&self, port: u16, width: Width) -> u32 {
        // SAFETY: the drivers name ports of their own card alone.
        unsafe {
            match width {
                Width::Byte => Port::<u8>::new(port).read().into(),
                Width::Half => Port::<u16>::new(port).read().into(),
                Width::Word => Port::<u32>::new(port).read(),
            }
        }
    }

    fn write(&self, port: u16, width: Width, value: u32) {
        // SAFETY: as above.
        unsafe {
            match width {
                Width::Byte => Port::new(port).write(value as u8),
                Width::Half => Port::new(port).write(value as u16),
                Width::Word => Port::new(port).write(value),
            }
        }
    }
}

/// COM1, as the firmware left it.
pub struct Serial;

impl fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            // SAFETY: the ports are COM1's. Where there is none its status reads 0xff.
            unsafe {
                while Port::<u8>::new(0x3fd).read() & 1 << 5 == 0 {}
                Port::new(0x3f8).write(byte);
            }
        }
        Ok(())
    }
}

/// Shows a line on COM1.
#[macro_export]
macro_rules! say {
    ($($argument:tt)*) => {{
        // Writing to serial does not fail.
        let _ = core::fmt::Write::write_fmt(&mut $crate::ports::Serial, format_args!("example: {}\r\n", format_args!($($argument)*)));
    }};
}
