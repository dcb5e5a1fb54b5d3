//! virtio network cards (Virtual I/O Device Version 1.2, "virtio 1.2" below): a split virtqueue, the
//! network device on any transport, and modern PCI.
//!
//! The trust model: the device may write the used rings and the receive buffers at any time and in
//! any way. What the driver believes is in its own memory: which buffer is with the device, how many
//! are, how long they are. Whatever the device writes is checked against that once, after it was
//! read once.

mod net;
mod panic;
mod pci_transport;
mod virtqueue;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

pub use net::{CardMemory, VirtioNet};
pub use panic::{PanicMemory, PanicNic};
pub use pci_transport::PciTransport;

use super::pci::{ConfigurationAccess, PciDevice};
use super::{Nic, NicError, own_address};

/// How many frames a card may be given to send at once.
const TRANSMIT_BUFFERS: usize = 128;
/// How many frames a card may receive before it is polled.
const RECEIVE_BUFFERS: usize = 64;
/// The same for the panic path.
const PANIC_TRANSMIT_BUFFERS: usize = 16;
/// The same for the panic path.
const PANIC_RECEIVE_BUFFERS: usize = 8;

/// The queues and buffers of one card.
pub type VirtioNetMemory = CardMemory<TRANSMIT_BUFFERS, RECEIVE_BUFFERS>;
/// A virtio network card on the PCI bus.
pub type VirtioPciNet = VirtioNet<PciTransport, TRANSMIT_BUFFERS, RECEIVE_BUFFERS>;

const _: () = assert!(size_of::<VirtioNetMemory>() <= 320 << 10);
const _: () = assert!(size_of::<PanicMemory>() <= 48 << 10);

/// virtio 1.2, section 4.1.2.
const VENDOR: u16 = 0x1af4;
/// A modern network card (section 4.1.2.1: 0x1040 and the device type).
const MODERN: u16 = 0x1041;
/// A network card that speaks virtio 0.9 as well, or only that.
const TRANSITIONAL: u16 = 0x1000;

/// Whether a function with these ids is a virtio network card.
pub fn drives((vendor, device): (u16, u16)) -> bool {
    vendor == VENDOR && matches!(device, MODERN | TRANSITIONAL)
}

/// Brings up the virtio network card `device`. Its memory BARs must be mapped, one to one.
/// A card without an address of its own gets one that is made from its place on the PCI bus.
pub fn probe<C: ConfigurationAccess>(
    config: &mut C,
    device: &PciDevice,
    memory: &'static mut VirtioNetMemory,
) -> Result<VirtioPciNet, NicError> {
    let transport = PciTransport::new(config, device)?;
    let mut nic = VirtioNet::new(transport, net::FEATURES, own_address(device.function), memory);
    nic.restart()?;
    Ok(nic)
}
