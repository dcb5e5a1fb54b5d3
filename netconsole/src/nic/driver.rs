//! All the cards that there are drivers for: which driver a card has, and one type over the drivers.

#[cfg(not(all(
    feature = "virtio",
    feature = "intel",
    feature = "rtl8139",
    feature = "rtl8168",
    feature = "vmxnet3"
)))]
use super::absent::{NoCard, NoMemory};
use super::firmware::{FirmwareCard, FirmwareMemory, FirmwareNic};
#[cfg(feature = "intel")]
use super::intel::chips::Chip;
use super::pci::{self, ConfigurationAccess, DeviceFunction, PciDevice};
use super::{Access, Addresses, BusAddress, LinkMode, Nic, NicError, TransmitError, Waits};
use crate::wire::MacAddr;
use core::fmt;
use core::mem::{ManuallyDrop, MaybeUninit};
#[cfg(all(feature = "virtio", feature = "test-hooks"))]
use virtio_drivers::transport::{DeviceStatus, Transport};
// What each driver has, where it was built.
#[cfg(feature = "intel")]
use super::intel::{self, IntelMemory, IntelNic, PanicIntelMemory, PanicIntelNic};
#[cfg(feature = "rtl8139")]
use super::rtl8139::{self, Rtl8139, Rtl8139Memory};
#[cfg(feature = "rtl8168")]
use super::rtl8168::{self, Rtl8168Memory, Rtl8168Nic};
#[cfg(feature = "virtio")]
use super::virtio::{
    self, AnyTransport, MmioTransport, PanicVirtioMemory, PanicVirtioNic, VirtioMemory, VirtioNic,
};
#[cfg(feature = "vmxnet3")]
use super::vmxnet3::{self, Vmxnet3Memory, Vmxnet3Nic};

#[cfg(not(feature = "virtio"))]
type VirtioMemory = NoMemory<false>;
#[cfg(not(feature = "virtio"))]
type PanicVirtioMemory = NoMemory<true>;
#[cfg(not(feature = "virtio"))]
use {NoCard as PanicVirtioNic, NoCard as VirtioNic};
#[cfg(not(feature = "intel"))]
type IntelMemory = NoMemory<false>;
#[cfg(not(feature = "intel"))]
type PanicIntelMemory = NoMemory<true>;
#[cfg(not(feature = "intel"))]
use {NoCard as IntelNic, NoCard as PanicIntelNic};
#[cfg(not(feature = "rtl8139"))]
type Rtl8139Memory = NoMemory<false>;
#[cfg(not(feature = "rtl8139"))]
use NoCard as Rtl8139;
#[cfg(not(feature = "rtl8168"))]
type Rtl8168Memory = NoMemory<false>;
#[cfg(not(feature = "rtl8168"))]
use NoCard as Rtl8168Nic;
#[cfg(not(feature = "vmxnet3"))]
type Vmxnet3Memory = NoMemory<false>;
#[cfg(not(feature = "vmxnet3"))]
use NoCard as Vmxnet3Nic;

/// What a card is, by its PCI ids. [`Display`](fmt::Display) gives its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// A virtio network card.
    #[cfg(feature = "virtio")]
    Virtio,
    /// An Intel gigabit card.
    #[cfg(feature = "intel")]
    Intel(Chip),
    /// Realtek's RTL8139.
    #[cfg(feature = "rtl8139")]
    Rtl8139,
    /// One of Realtek's gigabit controllers.
    #[cfg(feature = "rtl8168")]
    Rtl8168(rtl8168::chips::Chip),
    /// VMware's vmxnet3.
    #[cfg(feature = "vmxnet3")]
    Vmxnet3,
}

impl Model {
    /// The model with these vendor and device ids, if there is a driver for it. Panic-safe.
    pub fn of(ids: (u16, u16)) -> Option<Self> {
        #[cfg(feature = "rtl8168")]
        if let Some(chip) = rtl8168::chips::chip(ids) {
            return Some(Self::Rtl8168(chip));
        }
        match ids {
            #[cfg(feature = "virtio")]
            _ if virtio::drives(ids) => Some(Self::Virtio),
            #[cfg(feature = "rtl8139")]
            _ if rtl8139::drives(ids) => Some(Self::Rtl8139),
            #[cfg(feature = "vmxnet3")]
            _ if vmxnet3::drives(ids) => Some(Self::Vmxnet3),
            #[cfg(feature = "intel")]
            _ => intel::chips::chip(ids).map(Self::Intel),
            #[cfg(not(feature = "intel"))]
            _ => None,
        }
    }

    /// Whether its driver was proven, in QEMU or on a card. Where the firmware has a driver for one that was not, that may be
    /// the better one.
    pub const fn is_proven(self) -> bool {
        match self {
            #[cfg(feature = "virtio")]
            Self::Virtio => true,
            #[cfg(feature = "intel")]
            Self::Intel(chip) => chip.is_tested,
            #[cfg(feature = "rtl8139")]
            Self::Rtl8139 => true,
            #[cfg(feature = "rtl8168")]
            Self::Rtl8168(_) => false,
            #[cfg(feature = "vmxnet3")]
            Self::Vmxnet3 => true,
        }
    }

    /// Whether it is a chip on PCI Express that may suffer from a link that sleeps (ASPM).
    pub fn needs_link_awake(self) -> bool {
        match self {
            #[cfg(feature = "virtio")]
            Self::Virtio => false,
            #[cfg(feature = "intel")]
            Self::Intel(chip) => !chip.family.is_pci() && !chip.family.is_chipset(),
            #[cfg(feature = "rtl8139")]
            Self::Rtl8139 => false,
            #[cfg(feature = "rtl8168")]
            Self::Rtl8168(_) => true,
            #[cfg(feature = "vmxnet3")]
            Self::Vmxnet3 => false,
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = &f;
        match *self {
            #[cfg(feature = "virtio")]
            Self::Virtio => write!(f, "virtio network card"),
            #[cfg(feature = "intel")]
            Self::Intel(chip) => chip.fmt(f),
            #[cfg(feature = "rtl8139")]
            Self::Rtl8139 => write!(f, "Realtek RTL8139"),
            #[cfg(feature = "rtl8168")]
            Self::Rtl8168(chip) => chip.fmt(f),
            #[cfg(feature = "vmxnet3")]
            Self::Vmxnet3 => write!(f, "VMware vmxnet3"),
        }
    }
}

/// The memory of one card, whatever its driver.
///
/// The invariant of all access, called PLAIN below: every field consists of atomics and bytes alone,
/// for which any content is valid.
#[repr(C)]
pub union DriverMemory<V, I> {
    virtio: ManuallyDrop<V>,
    intel: ManuallyDrop<I>,
    rtl8139: ManuallyDrop<Rtl8139Memory>,
    rtl8168: ManuallyDrop<Rtl8168Memory>,
    vmxnet3: ManuallyDrop<Vmxnet3Memory>,
    firmware: ManuallyDrop<FirmwareMemory>,
}

/// The memory of one card in normal running.
pub type CardMemory = DriverMemory<VirtioMemory, IntelMemory>;
/// The memory of one card in a panic.
pub type PanicCardMemory = DriverMemory<PanicVirtioMemory, PanicIntelMemory>;

impl CardMemory {
    /// All zero, so that a static one takes no place in the image.
    #[expect(clippy::new_without_default, reason = "it is for statics, and too large to be moved")]
    pub const fn new() -> Self {
        // SAFETY: PLAIN.
        unsafe { MaybeUninit::zeroed().assume_init() }
    }
}

impl PanicCardMemory {
    /// All zero, so that a static one takes no place in the image.
    #[expect(clippy::new_without_default, reason = "it is for statics, and too large to be moved")]
    pub const fn new() -> Self {
        // SAFETY: PLAIN.
        unsafe { MaybeUninit::zeroed().assume_init() }
    }
}

/// The driver of a card, whichever it has.
pub enum Driver<V, I> {
    /// A virtio network card.
    Virtio(V),
    /// An Intel gigabit card.
    Intel(I),
    /// An RTL8139.
    Rtl8139(Rtl8139),
    /// One of Realtek's gigabit controllers.
    Rtl8168(Rtl8168Nic),
    /// A vmxnet3.
    Vmxnet3(Vmxnet3Nic),
    /// A card that the firmware drives.
    Firmware(FirmwareNic),
}

/// The driver of a card in normal running.
pub type CardDriver = Driver<VirtioNic, IntelNic>;
/// The driver of a card in a panic.
pub type PanicDriver = Driver<PanicVirtioNic, PanicIntelNic>;

impl CardDriver {
    /// Brings up the card `device`, which is of this `model`. A card without an address of its own gets one that is
    /// made from its place on the PCI bus and the machine's identity. One that fails is turned off.
    pub fn probe<C: ConfigurationAccess>(
        config: &mut C,
        access: &Access,
        waits: Waits,
        device: &PciDevice,
        model: Model,
        memory: &'static mut CardMemory,
    ) -> Result<Self, Failure> {
        let place: *mut CardMemory = memory;
        // SAFETY: it is the memory's only reference, until the driver is gone below.
        let memory = unsafe { &mut *place };
        Self::bring_up(config, access, waits, device, model, memory).map_err(|error| {
            pci::disable(config, device.function);
            // SAFETY: the driver that had the memory is gone, and the card can't reach memory any more.
            Failure { error, memory: Some(unsafe { &mut *place }) }
        })
    }

    fn bring_up<C: ConfigurationAccess>(
        config: &mut C,
        access: &Access,
        waits: Waits,
        device: &PciDevice,
        model: Model,
        memory: &'static mut CardMemory,
    ) -> Result<Self, NicError> {
        match model {
            #[cfg(feature = "virtio")]
            Model::Virtio => {
                // SAFETY: PLAIN, and the driver has the memory for as long as it is there.
                virtio::probe(config, access, waits, device, unsafe { &mut memory.virtio }).map(Self::Virtio)
            }
            #[cfg(feature = "intel")]
            Model::Intel(chip) => {
                // SAFETY: PLAIN, and the driver has the memory for as long as it is there.
                let memory = unsafe { &mut memory.intel };
                intel::IntelNic::open(config, access, waits, device, chip, memory)
                    .and_then(started)
                    .map(Self::Intel)
            }
            #[cfg(feature = "rtl8139")]
            Model::Rtl8139 => {
                // SAFETY: PLAIN, and the driver has the memory for as long as it is there.
                let memory = unsafe { &mut memory.rtl8139 };
                Rtl8139::open(config, access, waits, device, memory).and_then(started).map(Self::Rtl8139)
            }
            #[cfg(feature = "rtl8168")]
            Model::Rtl8168(chip) => {
                // SAFETY: PLAIN, and the driver has the memory for as long as it is there.
                let memory = unsafe { &mut memory.rtl8168 };
                Rtl8168Nic::open(config, access, waits, device, chip, memory)
                    .and_then(started)
                    .map(Self::Rtl8168)
            }
            #[cfg(feature = "vmxnet3")]
            Model::Vmxnet3 => {
                // SAFETY: PLAIN, and the driver has the memory for as long as it is there.
                let memory = unsafe { &mut memory.vmxnet3 };
                Vmxnet3Nic::open(config, access, device, memory).and_then(started).map(Self::Vmxnet3)
            }
        }
    }

    /// Brings up the card that the firmware drives.
    pub fn by_firmware(
        card: &'static dyn FirmwareCard,
        waits: Waits,
        memory: &'static mut CardMemory,
    ) -> Result<Self, Failure> {
        let place: *mut CardMemory = memory;
        // SAFETY: PLAIN, and the driver has the memory for as long as it is there: it is the memory's only reference, until the
        // driver is gone below.
        let memory = unsafe { &mut (*place).firmware };
        let mut nic = FirmwareNic::new(card, waits, memory);
        match nic.restart() {
            Ok(()) => Ok(Self::Firmware(nic)),
            // SAFETY: the driver that had the memory is gone, and the firmware was given none of it.
            Err(error) => Err(Failure { error, memory: Some(unsafe { &mut *place }) }),
        }
    }

    /// Brings up the virtio card whose registers are at the physical `address`. The memory of one that fails is lost: it
    /// can't be turned off.
    pub fn probe_mmio(
        address: u64,
        access: &Access,
        waits: Waits,
        memory: &'static mut CardMemory,
    ) -> Result<Self, Failure> {
        let lost = |error| Failure { error, memory: None };
        #[cfg(feature = "virtio")]
        if let Some(transport) = MmioTransport::find(address, &access.addresses).map_err(lost)? {
            // SAFETY: PLAIN, and the driver has the memory for good.
            let memory = unsafe { &mut memory.virtio };
            return virtio::probe_mmio(transport, access, waits, memory).map(Self::Virtio).map_err(lost);
        }
        Err(lost(NicError::Configuration))
    }
}

/// A card that could not be brought up.
pub struct Failure {
    /// Why.
    pub error: NicError,
    /// The memory that it was given, where it can't reach it any more.
    pub memory: Option<&'static mut CardMemory>,
}

impl PanicDriver {
    /// The card at `place` by the firmware, if that starts it, or there is no driver for it here; else as [`open`](Self::open)
    /// does. Panic-safe.
    pub fn open_by_firmware<C: ConfigurationAccess>(
        card: &'static dyn FirmwareCard,
        config: C,
        access: &Access,
        waits: Waits,
        place: DeviceFunction,
        memory: &'static mut PanicCardMemory,
    ) -> Result<Self, NicError> {
        let all: *mut PanicCardMemory = memory;
        // SAFETY: PLAIN, and the driver has the memory for as long as it is there: it is the memory's only reference, until
        // the driver is gone below.
        let mut nic = FirmwareNic::new(card, waits, unsafe { &mut (*all).firmware });
        if nic.restart().is_ok() || Model::of(pci::ids(&config, place)).is_none() {
            return Ok(Self::Firmware(nic));
        }
        // SAFETY: the driver that had the memory is gone, and the firmware was given none of it.
        Self::open(config, access, waits, BusAddress::Pci(place), unsafe { &mut *all })
    }

    /// The card at `place`, of which nothing but the configuration space is touched before
    /// [`restart`](Nic::restart) resets it and brings it up. Panic-safe.
    pub fn open<C: ConfigurationAccess>(
        mut config: C,
        access: &Access,
        waits: Waits,
        place: BusAddress,
        memory: &'static mut PanicCardMemory,
    ) -> Result<Self, NicError> {
        let function = match place {
            BusAddress::Pci(function) => function,
            #[cfg(not(feature = "virtio"))]
            BusAddress::Mmio(_) => return Err(NicError::Configuration),
            #[cfg(feature = "virtio")]
            BusAddress::Mmio(address) => {
                let transport =
                    MmioTransport::find(address, &access.addresses)?.ok_or(NicError::Configuration)?;
                // SAFETY: PLAIN, and the driver has the memory for good.
                let memory = unsafe { &mut memory.virtio };
                let transport = AnyTransport::Mmio(transport);
                return virtio::PanicVirtioNic::open(transport, place, access, waits, memory)
                    .map(Self::Virtio);
            }
        };
        let model = Model::of(pci::ids(&config, function)).ok_or(NicError::Configuration)?;
        let device = PciDevice::read(&mut config, function).ok_or(NicError::Configuration)?;
        match model {
            #[cfg(feature = "virtio")]
            Model::Virtio => {
                let transport = AnyTransport::on_pci(&mut config, access, &device)?;
                // SAFETY: PLAIN, and the driver has the memory for good.
                let memory = unsafe { &mut memory.virtio };
                virtio::PanicVirtioNic::open(transport, place, access, waits, memory).map(Self::Virtio)
            }
            #[cfg(feature = "intel")]
            Model::Intel(chip) => {
                // SAFETY: PLAIN, and the driver has the memory for good.
                let memory = unsafe { &mut memory.intel };
                intel::PanicIntelNic::open(&mut config, access, waits, &device, chip, memory).map(Self::Intel)
            }
            #[cfg(feature = "rtl8139")]
            Model::Rtl8139 => {
                // SAFETY: PLAIN, and the driver has the memory for good.
                let memory = unsafe { &mut memory.rtl8139 };
                Rtl8139::open(&mut config, access, waits, &device, memory).map(Self::Rtl8139)
            }
            #[cfg(feature = "rtl8168")]
            Model::Rtl8168(chip) => {
                // SAFETY: PLAIN, and the driver has the memory for good.
                let memory = unsafe { &mut memory.rtl8168 };
                Rtl8168Nic::open(&mut config, access, waits, &device, chip, memory).map(Self::Rtl8168)
            }
            #[cfg(feature = "vmxnet3")]
            Model::Vmxnet3 => {
                // SAFETY: PLAIN, and the driver has the memory for good.
                let memory = unsafe { &mut memory.vmxnet3 };
                Vmxnet3Nic::open(&mut config, access, &device, memory).map(Self::Vmxnet3)
            }
        }
    }
}

#[cfg(any(feature = "intel", feature = "rtl8139", feature = "rtl8168", feature = "vmxnet3"))]
fn started<N: Nic>(mut nic: N) -> Result<N, NicError> {
    nic.restart()?;
    Ok(nic)
}

/// Whether a virtio network card's registers are at the physical `address`. Panic-safe.
pub fn is_mmio_card(address: u64, addresses: &Addresses) -> Result<bool, NicError> {
    #[cfg(feature = "virtio")]
    return MmioTransport::find(address, addresses).map(|found| found.is_some());
    #[cfg(not(feature = "virtio"))]
    Ok(false)
}

/// Stops a card behind its driver's back, so that its queues stand still: without the right to reach memory, or, where
/// there is no such right, by a reset. For provoking that crash.
#[cfg(feature = "test-hooks")]
pub fn hang<C: ConfigurationAccess>(config: &mut C, addresses: &Addresses, place: BusAddress) {
    match place {
        BusAddress::Pci(function) => pci::disable(config, function),
        #[cfg(not(feature = "virtio"))]
        BusAddress::Mmio(_) => _ = addresses,
        #[cfg(feature = "virtio")]
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
            Driver::Virtio($nic) => $call,
            Driver::Intel($nic) => $call,
            Driver::Rtl8139($nic) => $call,
            Driver::Rtl8168($nic) => $call,
            Driver::Vmxnet3($nic) => $call,
            Driver::Firmware($nic) => $call,
        }
    };
}

impl<V: Nic, I: Nic> Nic for Driver<V, I> {
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

#[cfg(all(
    test,
    feature = "virtio",
    feature = "intel",
    feature = "rtl8139",
    feature = "rtl8168",
    feature = "vmxnet3"
))]
mod tests;
