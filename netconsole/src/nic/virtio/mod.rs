//! virtio network cards (Virtual I/O Device Version 1.2, "virtio 1.2" below): a split virtqueue, the
//! network device on any transport, modern PCI, legacy PCI, and MMIO.
//!
//! The trust model: the device may write the used rings and the receive buffers at any time and in
//! any way. What the driver believes is in its own memory: which buffer is with the device, how many
//! are, how long they are. Whatever the device writes is checked against that once, after it was
//! read once.

mod halves;
mod legacy_pci_transport;
mod mmio_transport;
mod net;
mod panic;
mod pci_transport;
mod queue_memory;
mod transport;
mod virtqueue;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

pub use mmio_transport::MmioTransport;
pub use net::{VirtioNet, VirtioNetMemory};
pub use panic::{PanicVirtioMemory, PanicVirtioNic};
pub use transport::AnyTransport;

use super::pci::{ConfigurationAccess, PciDevice};
use super::{Access, BusAddress, Nic, NicError, Waits};
use queue_memory::{BUFFER_SIZE, OVERFLOW_DESCRIPTORS, OVERFLOW_SIZE, QueueMemory};

/// How many frames a card may be given to send at once.
const TRANSMIT_BUFFERS: usize = 64;
/// How many frames a card may receive before it is polled.
const RECEIVE_BUFFERS: usize = 16;
/// The same for the panic path.
const PANIC_TRANSMIT_BUFFERS: usize = 16;
/// The same for the panic path.
const PANIC_RECEIVE_BUFFERS: usize = 16;

/// The queues and buffers of one card.
pub type VirtioMemory = VirtioNetMemory<TRANSMIT_BUFFERS, RECEIVE_BUFFERS>;
/// A virtio network card.
pub type VirtioNic = VirtioNet<AnyTransport, TRANSMIT_BUFFERS, RECEIVE_BUFFERS>;

const _: () = assert!(
    QueueMemory::<RECEIVE_BUFFERS>::SERVES_LEGACY && QueueMemory::<PANIC_RECEIVE_BUFFERS>::SERVES_LEGACY
);
const _: () = assert!(
    QueueMemory::<TRANSMIT_BUFFERS>::serves_modern(1)
        && QueueMemory::<PANIC_TRANSMIT_BUFFERS>::serves_modern(1)
        && QueueMemory::<RECEIVE_BUFFERS>::serves_modern(1 + OVERFLOW_DESCRIPTORS)
        && QueueMemory::<PANIC_RECEIVE_BUFFERS>::serves_modern(1 + OVERFLOW_DESCRIPTORS)
);
/// Firecracker's `MAX_BUFFER_SIZE`: it reads its network where at least this many bytes of receive buffers are posted. Half of ours
/// are enough, so that it has the others to write to meanwhile.
const FIRECRACKER_ROOM: usize = 65_562;
const CHAIN: usize = BUFFER_SIZE + OVERFLOW_DESCRIPTORS as usize * OVERFLOW_SIZE;
const _: () = assert!(
    RECEIVE_BUFFERS / 2 * CHAIN >= FIRECRACKER_ROOM && PANIC_RECEIVE_BUFFERS / 2 * CHAIN >= FIRECRACKER_ROOM
);
const _: () = assert!(size_of::<VirtioMemory>() <= 140 << 10);
const _: () = assert!(size_of::<PanicVirtioMemory>() <= 68 << 10);

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

/// Brings up the virtio network card `device`. A card without an address of its own gets one that is made from its place on the PCI bus.
pub fn probe<C: ConfigurationAccess>(
    config: &mut C,
    access: &Access,
    waits: Waits,
    device: &PciDevice,
    memory: &'static mut VirtioMemory,
) -> Result<VirtioNic, NicError> {
    let transport = AnyTransport::on_pci(config, access, device)?;
    let offset = access.addresses.offset_of(memory)?;
    let own_mac = BusAddress::Pci(device.function).own_address(access.identity);
    let mut nic = VirtioNet::new(transport, waits, net::FEATURES, own_mac, offset, memory);
    nic.restart()?;
    Ok(nic)
}

/// Brings up the virtio network card that was found at a fixed place.
pub fn probe_mmio(
    transport: MmioTransport,
    access: &Access,
    waits: Waits,
    memory: &'static mut VirtioMemory,
) -> Result<VirtioNic, NicError> {
    let own_mac = transport.place().own_address(access.identity);
    let offset = access.addresses.offset_of(memory)?;
    let mut nic =
        VirtioNet::new(AnyTransport::Mmio(transport), waits, net::FEATURES, own_mac, offset, memory);
    nic.restart()?;
    Ok(nic)
}
