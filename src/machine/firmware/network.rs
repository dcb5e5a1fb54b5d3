//! The firmware's Simple Network Protocol (UEFI specification 2.10, section 24.1), called through the gate: the cards that the
//! firmware drives for this kernel.

use super::gate::{self, Call};
use super::services;
use super::structure::{DEVICE_ERROR, Status, Structure};
use crate::machine::paging;
use crate::machine::pci::ConfigurationSpace;
use crate::machine::trap::{self, Place};
use bootinfo::parameters::CrashKind;
use core::sync::atomic::{AtomicUsize, Ordering};
use netconsole::guarded::{Word, Words};
use netconsole::nic::pci::{self, DeviceFunction};
use netconsole::nic::{BusAddress, FirmwareCard, FirmwareOutcome, FirmwareStatus, NicError, TransmitError};
use netconsole::wire::MacAddr;

/// Offsets in `EFI_SIMPLE_NETWORK_PROTOCOL`.
mod protocol {
    pub const START: usize = 0x08;
    pub const INITIALIZE: usize = 0x18;
    pub const SHUTDOWN: usize = 0x28;
    pub const RECEIVE_FILTERS: usize = 0x30;
    pub const GET_STATUS: usize = 0x58;
    pub const TRANSMIT: usize = 0x60;
    pub const RECEIVE: usize = 0x68;
    pub const MODE: usize = 0x78;
    pub const LENGTH: u64 = 0x80;
}

/// Offsets in `EFI_SIMPLE_NETWORK_MODE`.
mod mode {
    pub const STATE: usize = 0;
    pub const MAX_PACKET_SIZE: usize = 12;
    pub const RECEIVE_FILTER_MASK: usize = 24;
    pub const CURRENT_ADDRESS: usize = 552;
    pub const MULTIPLE_TX_SUPPORTED: usize = 650;
    pub const MEDIA_PRESENT_SUPPORTED: usize = 651;
    pub const MEDIA_PRESENT: usize = 652;
    pub const LENGTH: u64 = 656;
}
/// `EfiSimpleNetworkInitialized`.
const INITIALIZED: u32 = 2;

/// `EFI_SIMPLE_NETWORK_RECEIVE_UNICAST` and so on.
mod filter {
    pub const UNICAST: u32 = 1 << 0;
    pub const BROADCAST: u32 = 1 << 2;
    pub const PROMISCUOUS: u32 = 1 << 3;
    pub const ALL_MULTICAST: u32 = 1 << 4;
}

/// RFC 894: the largest IP packet on Ethernet. The least that IPv4 wants (RFC 791).
const ETHERNET_MTU: usize = 1500;
const LEAST_MTU: usize = 576;

/// How many cards the firmware drives at most.
pub const MAX_CARDS: usize = netconsole::plan::MAX_NICS;

/// A card: its place on the PCI bus, the firmware's handles for that and for the protocol, and where it has the protocol and its
/// mode.
struct Card(Words<5>);

/// The place of a card that the firmware drives no more.
const NOWHERE: u64 = u64::MAX;

static CARDS: [Card; MAX_CARDS] = [const { Card(Words::unset()) }; MAX_CARDS];

/// The places of cards that a driver of the firmware's keeps, though it does not drive them for this kernel.
static KEPT: [Word; MAX_CARDS] = [const { Word::unset() }; MAX_CARDS];

/// How many cards the firmware had not connected to a driver of its own before it was asked to.
static CONNECTED: AtomicUsize = AtomicUsize::new(0);

/// Notes that the firmware has connected a card that it had left alone.
pub fn note_connected() {
    CONNECTED.fetch_add(1, Ordering::Relaxed);
}

/// How many cards it has connected only when it was asked to, as after a fast boot.
pub fn connected() -> usize {
    CONNECTED.load(Ordering::Relaxed)
}

/// Notes the card at `function` as the one of this number. Called while the firmware's own page tables are in force.
pub fn add(number: usize, function: DeviceFunction, handles: [usize; 2], protocol: Structure) {
    let Some(card) = CARDS.get(number) else { return };
    let [device, network] = handles;
    let words = [device, network, protocol.0, protocol.field(protocol::MODE)].map(|word| word as u64);
    let [device, network, protocol, mode] = words;
    card.0.set(&[BusAddress::Pci(function).to_word(), device, network, protocol, mode]);
}

/// Notes that a driver of the firmware's has not let go of the card at `function`.
pub fn leave_alone(function: DeviceFunction) {
    if let Some(free) = KEPT.iter().find(|place| place.get().is_none()) {
        free.set(BusAddress::Pci(function).to_word());
    }
}

/// Whether the card at `function` is to be left alone.
pub fn is_kept(function: DeviceFunction) -> bool {
    KEPT.iter().any(|place| place.get() == Some(BusAddress::Pci(function).to_word()))
}

fn card(function: DeviceFunction) -> Option<&'static Card> {
    let place = BusAddress::Pci(function).to_word();
    CARDS.iter().find(|card| card.0.get().is_some_and(|[at, ..]| at == place))
}

/// The card at `function`, if the firmware drives it. Panic-safe.
pub fn find(function: DeviceFunction) -> Option<&'static dyn FirmwareCard> {
    card(function).map(|card| card as &'static dyn FirmwareCard)
}

/// Has the firmware's driver let go of the card at `function`, which the firmware drives no more.
pub fn release(function: DeviceFunction) {
    if let Some((card, [_, device, network, ..])) =
        card(function).and_then(|card| Some((card, card.0.get()?)))
    {
        card.0.set(&[NOWHERE, 0, 0, 0, 0]);
        services::let_go(device as usize, network as usize);
    }
}

/// How many cards the firmware drives.
pub fn count() -> usize {
    CARDS.iter().filter(|card| card.0.get().is_some()).count()
}

/// Maps what the firmware has of each card, wherever it lies. To be called once, before the first card is started.
pub fn map() {
    for [.., protocol, mode] in CARDS.iter().filter_map(|card| card.0.get()) {
        for (address, length) in [(protocol, protocol::LENGTH), (mode, mode::LENGTH)] {
            // Where that can't be, the card is one that has no registers.
            _ = paging::map_to_read(address, length);
        }
    }
}

/// Stands in for a function of the firmware that does not come back.
extern "efiapi" fn hang() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// Stands in for one with a fault in it, and for one that an NMI comes in.
extern "efiapi" fn fault() -> ! {
    trap::provoke(CrashKind::GeneralProtection)
}

/// As it says.
extern "efiapi" fn nmi() -> ! {
    trap::provoke(CrashKind::Nmi)
}

/// Stands in for one that fails.
extern "efiapi" fn fail() -> Status {
    DEVICE_ERROR
}

impl Card {
    /// The protocol and its mode, where they are known and mapped.
    fn structures(&self) -> Option<[Structure; 2]> {
        let [.., protocol, mode] = self.0.get()?;
        let is_mapped =
            paging::is_mapped(protocol, protocol::LENGTH) && paging::is_mapped(mode, mode::LENGTH);
        is_mapped.then_some([Structure(protocol as usize), Structure(mode as usize)])
    }

    /// Whether the card still answers: the firmware's driver may not notice that it was pulled out.
    fn is_there(&self) -> bool {
        let place = self.0.get().and_then(|[place, ..]| BusAddress::from_word(place));
        let Some(BusAddress::Pci(function)) = place else { return false };
        pci::ids(&ConfigurationSpace, function).0 != u16::MAX
    }

    /// A field of the mode, 0 where it can't be read.
    fn mode<T: Copy + Default>(&self, offset: usize) -> T {
        self.structures().map_or(T::default(), |[_, mode]| mode.field(offset))
    }

    /// Calls one of the protocol's functions with the arguments behind the first, which is the protocol.
    ///
    /// # Safety
    ///
    /// What the arguments point to is what the function's description asks for.
    unsafe fn call(&self, call: Call, arguments: [usize; 6]) -> FirmwareOutcome {
        // SAFETY: the caller's.
        let status = unsafe { self.status_of(call, arguments) };
        FirmwareOutcome { function: call.name(), status: status.map(|status| status as u64) }
    }

    /// The same; its status, `None` where it can't be called.
    ///
    /// # Safety
    ///
    /// As for [`call`](Self::call).
    unsafe fn status_of(&self, call: Call, [a, b, c, d, e, f]: [usize; 6]) -> Option<Status> {
        let offset = match call {
            Call::Start => protocol::START,
            Call::Initialize => protocol::INITIALIZE,
            Call::Shutdown => protocol::SHUTDOWN,
            Call::ReceiveFilters => protocol::RECEIVE_FILTERS,
            Call::GetStatus => protocol::GET_STATUS,
            Call::Transmit => protocol::TRANSMIT,
            Call::Receive => protocol::RECEIVE,
            Call::Tick
            | Call::ResetSystem
            | Call::SetWatchdogTimer
            | Call::CheckEvent
            | Call::CloseProtocol
            | Call::DisconnectController => return None,
        };
        let [protocol, _] = self.structures()?;
        let function = match trap::take(Place::Firmware) {
            Some(CrashKind::HungDevice) => fail as *const () as usize,
            Some(CrashKind::GeneralProtection) => fault as *const () as usize,
            Some(CrashKind::Nmi) => nmi as *const () as usize,
            Some(_) => hang as *const () as usize,
            None => protocol.field(offset),
        };
        // SAFETY: the firmware gave the protocol; the caller's for the rest.
        unsafe { gate::call(call, function, &[protocol.0, a, b, c, d, e, f]) }
    }
}

impl FirmwareCard for Card {
    fn start(&self, afresh: bool) -> Result<(), NicError> {
        if !self.is_there() {
            return Err(NicError::Configuration);
        }
        if afresh && self.mode::<u32>(mode::STATE) == INITIALIZED {
            // SAFETY: it takes no arguments. Whether it succeeds is seen below.
            _ = unsafe { self.call(Call::Shutdown, [0; 6]) };
        }
        // SAFETY: it takes no arguments.
        unsafe { self.call(Call::Start, [0; 6]) }.started()?;
        if self.mode::<u32>(mode::STATE) != INITIALIZED {
            // SAFETY: two numbers: how much the firmware's own buffers are to be larger.
            unsafe { self.call(Call::Initialize, [0; 6]) }.done()?;
        }
        let can: u32 = self.mode(mode::RECEIVE_FILTER_MASK);
        let all = if can & filter::ALL_MULTICAST != 0 { filter::ALL_MULTICAST } else { filter::PROMISCUOUS };
        let wanted = (filter::UNICAST | filter::BROADCAST | all) & can;
        // SAFETY: what is turned on, what off, whether the list of multicast addresses is cleared, its length and address.
        unsafe { self.call(Call::ReceiveFilters, [wanted as usize, 0, 1, 0, 0, 0]) }.done()
    }

    fn mac(&self) -> MacAddr {
        MacAddr(self.mode(mode::CURRENT_ADDRESS))
    }

    fn mtu(&self) -> usize {
        (self.mode::<u32>(mode::MAX_PACKET_SIZE) as usize).clamp(LEAST_MTU, ETHERNET_MTU)
    }

    fn takes_several(&self) -> bool {
        self.mode::<u8>(mode::MULTIPLE_TX_SUPPORTED) != 0
    }

    fn status(&self) -> Result<FirmwareStatus, NicError> {
        if !self.is_there() {
            return Err(NicError::Configuration);
        }
        let (mut interrupts, mut sent) = (0u32, 0usize);
        let arguments = [(&raw mut interrupts).expose_provenance(), (&raw mut sent).expose_provenance()];
        // SAFETY: where it writes to which interrupts are pending, and which frame has left: both live until it has returned.
        let outcome = unsafe { self.call(Call::GetStatus, [arguments[0], arguments[1], 0, 0, 0, 0]) };
        // SAFETY: it lives, and the firmware wrote it, which the compiler does not see.
        let sent = unsafe { (&raw const sent).read_volatile() };
        let knows_media = self.mode::<u8>(mode::MEDIA_PRESENT_SUPPORTED) != 0;
        outcome.told(knows_media.then(|| self.mode::<u8>(mode::MEDIA_PRESENT) != 0), sent)
    }

    fn transmit(&self, frame: &[u8]) -> Result<(), TransmitError> {
        let arguments = [0, frame.len(), frame.as_ptr().expose_provenance(), 0, 0, 0];
        // SAFETY: no header is to be made; the frame's length and address, which the driver leaves alone until the firmware
        // has given it back.
        unsafe { self.call(Call::Transmit, arguments) }.transmitted()
    }

    fn receive(&self, buffer: &mut [u8]) -> Option<usize> {
        let mut length = buffer.len();
        let arguments =
            [0, (&raw mut length).expose_provenance(), buffer.as_mut_ptr().expose_provenance(), 0, 0, 0];
        // SAFETY: nobody asks for the header's parts; the buffer's size, which becomes the frame's, and the buffer live until
        // it has returned.
        let outcome = unsafe { self.call(Call::Receive, arguments) };
        // SAFETY: as in `status`.
        let length = unsafe { (&raw const length).read_volatile() };
        outcome.received(length, buffer.len())
    }
}
