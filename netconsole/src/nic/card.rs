//! All the cards that there are drivers for: which driver a card has, and one type over the drivers.

use super::intel::{self, chips::Chip};
use super::pci::{self, ConfigurationAccess, PciDevice};
use super::rtl8139::{self, Rtl8139};
use super::virtio::{self, AnyTransport, MmioTransport};
use super::{Access, Addresses, BusAddress, LinkMode, Nic, NicError, TransmitError};
use crate::wire::MacAddr;
use core::fmt;
use core::mem::ManuallyDrop;
use virtio_drivers::transport::{DeviceStatus, Transport};

/// What a card is, by its PCI ids. [`Display`](fmt::Display) gives its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// A virtio network card.
    Virtio,
    /// An Intel gigabit card.
    Intel(Chip),
    /// Realtek's RTL8139.
    Rtl8139,
}

impl Model {
    /// The model with these vendor and device ids, if there is a driver for it. Panic-safe.
    pub fn of(ids: (u16, u16)) -> Option<Self> {
        match ids {
            _ if virtio::drives(ids) => Some(Self::Virtio),
            _ if rtl8139::drives(ids) => Some(Self::Rtl8139),
            _ => intel::chips::chip(ids).map(Self::Intel),
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Virtio => write!(f, "virtio network card"),
            Self::Intel(chip) => chip.fmt(f),
            Self::Rtl8139 => write!(f, "Realtek RTL8139"),
        }
    }
}

/// The memory of one card, whatever its driver.
///
/// The invariant of all access, called PLAIN below: every field consists of atomics and bytes alone,
/// for which any content is valid.
#[repr(C)]
pub union Memory<V, I> {
    virtio: ManuallyDrop<V>,
    intel: ManuallyDrop<I>,
    rtl8139: ManuallyDrop<rtl8139::CardMemory>,
}

/// The memory of one card in normal running.
pub type CardMemory = Memory<virtio::VirtioNetMemory, intel::IntelMemory>;
/// The memory of one card in a panic.
pub type PanicMemory = Memory<virtio::PanicMemory, intel::PanicMemory>;

// What a slot takes is what virtio, with the most buffers, takes.
const _: () = assert!(size_of::<CardMemory>() == size_of::<virtio::VirtioNetMemory>());
const _: () = assert!(size_of::<PanicMemory>() == size_of::<virtio::PanicMemory>());

impl CardMemory {
    /// All zero, so that a static one takes no place in the image.
    #[expect(clippy::new_without_default, reason = "it is for statics, and too large to be moved")]
    pub const fn new() -> Self {
        Self { virtio: ManuallyDrop::new(virtio::VirtioNetMemory::new()) }
    }
}

impl PanicMemory {
    /// All zero, so that a static one takes no place in the image.
    #[expect(clippy::new_without_default, reason = "it is for statics, and too large to be moved")]
    pub const fn new() -> Self {
        Self { virtio: ManuallyDrop::new(virtio::PanicMemory::new()) }
    }
}

/// A card with its driver.
pub enum Card<V, I> {
    /// A virtio network card.
    Virtio(V),
    /// An Intel gigabit card.
    Intel(I),
    /// An RTL8139.
    Rtl8139(Rtl8139),
}

/// A card in normal running.
pub type NetworkCard = Card<virtio::VirtioNic, intel::IntelNic>;
/// A card in a panic.
pub type PanicCard = Card<virtio::PanicNic, intel::PanicNic>;

impl NetworkCard {
    /// Brings up the card `device`, which is of this `model`. A card without an address of its own gets one that is
    /// made from its place on the PCI bus.
    pub fn probe<C: ConfigurationAccess>(
        config: &mut C,
        access: &Access,
        device: &PciDevice,
        model: Model,
        memory: &'static mut CardMemory,
    ) -> Result<Self, NicError> {
        let mut card = match model {
            Model::Virtio => {
                // SAFETY: PLAIN, and the driver has the memory for good.
                return virtio::probe(config, access, device, unsafe { &mut memory.virtio })
                    .map(Self::Virtio);
            }
            Model::Intel(chip) => {
                // SAFETY: PLAIN, and the driver has the memory for good.
                let memory = unsafe { &mut memory.intel };
                intel::IntelNic::open(config, &access.addresses, device, chip, memory).map(Self::Intel)
            }
            Model::Rtl8139 => {
                // SAFETY: PLAIN, and the driver has the memory for good.
                Rtl8139::open(config, access, device, unsafe { &mut memory.rtl8139 }).map(Self::Rtl8139)
            }
        }?;
        card.restart()?;
        Ok(card)
    }

    /// Brings up the virtio card that was found at a fixed place.
    pub fn probe_mmio(
        transport: MmioTransport,
        addresses: &Addresses,
        memory: &'static mut CardMemory,
    ) -> Result<Self, NicError> {
        // SAFETY: PLAIN, and the driver has the memory for good.
        let memory = unsafe { &mut memory.virtio };
        virtio::probe_mmio(transport, addresses, memory).map(Self::Virtio)
    }
}

impl PanicCard {
    /// The card at `place`, of which nothing but the configuration space is touched before
    /// [`restart`](Nic::restart) resets it and brings it up. Panic-safe.
    pub fn open<C: ConfigurationAccess>(
        mut config: C,
        access: &Access,
        place: BusAddress,
        memory: &'static mut PanicMemory,
    ) -> Result<Self, NicError> {
        let function = match place {
            BusAddress::Pci(function) => function,
            BusAddress::Mmio(address) => {
                let transport =
                    MmioTransport::find(address, &access.addresses)?.ok_or(NicError::Configuration)?;
                // SAFETY: PLAIN, and the driver has the memory for good.
                let memory = unsafe { &mut memory.virtio };
                let transport = AnyTransport::Mmio(transport);
                return virtio::PanicNic::open(transport, place, &access.addresses, memory).map(Self::Virtio);
            }
        };
        let model = Model::of(pci::ids(&config, function)).ok_or(NicError::Configuration)?;
        let device = PciDevice::read(&mut config, function).ok_or(NicError::Configuration)?;
        match model {
            Model::Virtio => {
                let transport = AnyTransport::on_pci(&mut config, access, &device)?;
                // SAFETY: PLAIN, and the driver has the memory for good.
                let memory = unsafe { &mut memory.virtio };
                virtio::PanicNic::open(transport, place, &access.addresses, memory).map(Self::Virtio)
            }
            Model::Intel(chip) => {
                // SAFETY: PLAIN, and the driver has the memory for good.
                let memory = unsafe { &mut memory.intel };
                intel::PanicNic::open(&mut config, &access.addresses, &device, chip, memory).map(Self::Intel)
            }
            Model::Rtl8139 => {
                // SAFETY: PLAIN, and the driver has the memory for good.
                let memory = unsafe { &mut memory.rtl8139 };
                Rtl8139::open(&mut config, access, &device, memory).map(Self::Rtl8139)
            }
        }
    }
}

/// Stops a card behind its driver's back, so that its queues stand still: without the right to reach memory, or, where
/// there is no such right, by a reset. For provoking that crash.
pub fn hang<C: ConfigurationAccess>(config: &mut C, addresses: &Addresses, place: BusAddress) {
    match place {
        BusAddress::Pci(function) => pci::disable(config, function),
        BusAddress::Mmio(address) => {
            if let Ok(Some(mut card)) = MmioTransport::find(address, addresses) {
                card.set_status(DeviceStatus::empty());
            }
        }
    }
}

/// Calls the driver's own method.
macro_rules! driver {
    ($card:expr, $nic:ident => $call:expr) => {
        match $card {
            Card::Virtio($nic) => $call,
            Card::Intel($nic) => $call,
            Card::Rtl8139($nic) => $call,
        }
    };
}

impl<V: Nic, I: Nic> Nic for Card<V, I> {
    fn mac(&self) -> MacAddr {
        driver!(self, nic => nic.mac())
    }

    fn mtu(&self) -> usize {
        driver!(self, nic => nic.mtu())
    }

    fn link_is_up(&mut self) -> bool {
        driver!(self, nic => nic.link_is_up())
    }

    fn link_mode(&mut self) -> Option<LinkMode> {
        driver!(self, nic => nic.link_mode())
    }

    fn link_has_changed(&mut self) -> bool {
        driver!(self, nic => nic.link_has_changed())
    }

    fn transmit(&mut self, build: &mut dyn FnMut(&mut [u8]) -> usize) -> Result<(), TransmitError> {
        driver!(self, nic => nic.transmit(build))
    }

    #[inline(always)]
    fn transmit_all(&mut self, build: impl FnMut(&mut [u8]) -> Option<usize>) -> Result<(), TransmitError> {
        driver!(self, nic => nic.transmit_all(build))
    }

    fn kick(&mut self) {
        driver!(self, nic => nic.kick());
    }

    fn is_drained(&mut self) -> bool {
        driver!(self, nic => nic.is_drained())
    }

    fn receive(&mut self, take: &mut dyn FnMut(&[u8])) -> bool {
        driver!(self, nic => nic.receive(take))
    }

    fn restart(&mut self) -> Result<(), NicError> {
        driver!(self, nic => nic.restart())
    }
}
