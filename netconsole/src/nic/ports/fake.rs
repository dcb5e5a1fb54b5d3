//! I/O space for tests of cards that have no I/O registers.

use super::{Ports, Width};

/// Where no device may be accessed.
pub struct NoPorts;

impl Ports for NoPorts {
    fn read(&self, port: u16, _: Width) -> u32 {
        panic!("port {port:#x} was read")
    }

    fn write(&self, port: u16, _: Width, _: u32) {
        panic!("port {port:#x} was written")
    }
}
