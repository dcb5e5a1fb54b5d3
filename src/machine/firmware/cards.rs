//! Which network cards the firmware is to drive, asked before it is decided whether its boot services end.

use super::network::{self, MAX_CARDS};
use super::structure::{Guid, SIMPLE_NETWORK, SUCCESS, Status, Structure, call_firmware};
use core::ffi::c_void;
use core::ptr::{null, null_mut};
use netconsole::nic::Model;
use netconsole::nic::pci::DeviceFunction;

/// Section 4.4, `EFI_BOOT_SERVICES`.
mod service {
    pub const HANDLE_PROTOCOL: usize = 0x98;
    pub const LOCATE_DEVICE_PATH: usize = 0xb8;
    pub const CONNECT_CONTROLLER: usize = 0x108;
    pub const DISCONNECT_CONTROLLER: usize = 0x110;
    pub const OPEN_PROTOCOL: usize = 0x118;
    pub const LOCATE_HANDLE_BUFFER: usize = 0x138;
}

type Handle = *mut c_void;
type HandleProtocol = extern "efiapi" fn(Handle, &Guid, &mut usize) -> Status;
type LocateDevicePath = extern "efiapi" fn(&Guid, &mut usize, &mut Handle) -> Status;
type ConnectController = extern "efiapi" fn(Handle, *const c_void, *const c_void, bool) -> Status;
type DisconnectController = extern "efiapi" fn(Handle, Handle, Handle) -> Status;
type OpenProtocol = extern "efiapi" fn(Handle, &Guid, &mut usize, Handle, Handle, u32) -> Status;
type LocateHandleBuffer = extern "efiapi" fn(u32, &Guid, *const c_void, &mut usize, &mut usize) -> Status;

/// Section 7.3: `ByProtocol`, `EFI_OPEN_PROTOCOL_EXCLUSIVE`.
const BY_PROTOCOL: u32 = 2;
const EXCLUSIVE: u32 = 0x20;

/// Section 14.4, `EFI_PCI_IO_PROTOCOL`; section 10.2, a device path: their GUIDs as they are in memory.
const PCI_IO: Guid =
    [0x00, 0xb2, 0xf5, 0x4c, 0xb8, 0x68, 0xa5, 0x4c, 0x9e, 0xec, 0xb2, 0x3e, 0x3f, 0x50, 0x02, 0x9a];
const DEVICE_PATH: Guid =
    [0x91, 0x6e, 0x57, 0x09, 0x3f, 0x6d, 0xd2, 0x11, 0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b];

/// `EFI_PCI_IO_PROTOCOL`: `Pci.Read` and `GetLocation`; `EfiPciIoWidthUint32`.
const PCI_READ: usize = 0x30;
const GET_LOCATION: usize = 0x70;
const WORD: u32 = 2;
type PciRead = extern "efiapi" fn(Structure, u32, u32, usize, &mut u32) -> Status;
type GetLocation = extern "efiapi" fn(Structure, &mut usize, &mut usize, &mut usize, &mut usize) -> Status;
/// In configuration space: ids and class, of which this one is Ethernet.
const IDS: u32 = 0x00;
const CLASS: u32 = 0x08;
const ETHERNET: u32 = 0x0200;

/// How many handles are looked at.
const MAX_HANDLES: usize = 1024;

/// A network card on the PCI bus, as the firmware has it.
struct Card {
    handle: Handle,
    function: DeviceFunction,
    ids: (u16, u16),
}

/// The firmware's boot services, and who asks.
#[derive(Clone, Copy)]
pub struct Services {
    /// `EFI_BOOT_SERVICES`.
    pub services: Structure,
    /// This program's handle.
    pub image: Handle,
}

impl Services {
    /// Has the firmware drive the cards that have no driver here, or one that was never proven, or `all`, and notes them. False
    /// where there are none: nothing keeps the boot services from ending then. The others' drivers let go of them. Where
    /// `only_its_own` can reach memory, because of an IOMMU, it drives them all.
    pub fn choose_cards(self, all: bool, only_its_own: impl FnOnce() -> bool) -> bool {
        let is_proven = |card: &Card| Model::of(card.ids).is_some_and(Model::is_proven);
        let count = self.drive_cards(0, |card| all || !is_proven(card));
        if count == 0 {
            return false;
        }
        if !all && only_its_own() {
            self.drive_cards(count, |_| true);
        }
        self.for_each_card(&mut |card| {
            if network::find(card.function).is_none() && Model::of(card.ids).is_some() {
                let disconnect: DisconnectController = self.services.field(service::DISCONNECT_CONTROLLER);
                if call_firmware(|| disconnect(card.handle, null_mut(), null_mut())) != SUCCESS {
                    network::leave_alone(card.function);
                }
            }
        });
        true
    }

    /// Has the firmware drive more cards than the `count` that it drives, as far as there is room: those that are `wanted`.
    /// Gives how many it drives then.
    fn drive_cards(self, mut count: usize, wanted: impl Fn(&Card) -> bool) -> usize {
        self.for_each_card(&mut |card| {
            if count < MAX_CARDS
                && network::find(card.function).is_none()
                && wanted(&card)
                && let Some((network, protocol)) = self.network_of(&card)
            {
                let handles = [card.handle, network].map(Handle::expose_provenance);
                network::add(count, card.function, handles, protocol);
                count = count.wrapping_add(1);
            }
        });
        count
    }

    fn for_each_card(self, visit: &mut dyn FnMut(Card)) {
        self.for_each_handle(&PCI_IO, &mut |handle| {
            let Some(pci) = self.protocol(handle, &PCI_IO) else { return };
            if read(pci, CLASS) >> 16 != ETHERNET {
                return;
            }
            let locate: GetLocation = pci.field(GET_LOCATION);
            let (mut segment, mut bus, mut device, mut function) = (0, 0, 0, 0);
            let status = call_firmware(|| locate(pci, &mut segment, &mut bus, &mut device, &mut function));
            let (Ok(bus), Ok(device), Ok(function)) =
                (u8::try_from(bus), u8::try_from(device), u8::try_from(function))
            else {
                return;
            };
            // This kernel's buses are the first segment's.
            if status == SUCCESS && segment == 0 {
                let [a, b, c, d] = read(pci, IDS).to_le_bytes();
                let ids = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
                visit(Card { handle, function: DeviceFunction { bus, device, function }, ids });
            }
        });
    }

    /// The card's Simple Network Protocol, which is this program's alone from here on: the firmware's own network stack lets go
    /// of it. Where there is none, the firmware is asked to connect its driver: after a fast boot it has connected only what it
    /// boots from.
    fn network_of(self, card: &Card) -> Option<(Handle, Structure)> {
        self.network_above(card).or_else(|| {
            let connect: ConnectController = self.services.field(service::CONNECT_CONTROLLER);
            call_firmware(|| connect(card.handle, null(), null(), true));
            let found = self.network_above(card);
            found.iter().for_each(|_| network::note_connected());
            found
        })
    }

    fn network_above(self, card: &Card) -> Option<(Handle, Structure)> {
        let mut found = None;
        self.for_each_handle(&SIMPLE_NETWORK, &mut |handle| {
            if found.is_none() && self.is_above(handle, card.handle) {
                found = self.open(handle).map(|protocol| (handle, protocol));
            }
        });
        found
    }

    fn open(self, handle: Handle) -> Option<Structure> {
        let open: OpenProtocol = self.services.field(service::OPEN_PROTOCOL);
        let mut protocol = 0;
        let status =
            call_firmware(|| open(handle, &SIMPLE_NETWORK, &mut protocol, self.image, null_mut(), EXCLUSIVE));
        // Who does not let go of it has it still; two may use it, one after the other.
        if status == SUCCESS { Some(Structure(protocol)) } else { self.protocol(handle, &SIMPLE_NETWORK) }
    }

    /// Whether the device of `handle` is the one on the PCI bus of `card`, or sits on it.
    fn is_above(self, handle: Handle, card: Handle) -> bool {
        let Some(Structure(mut path)) = self.protocol(handle, &DEVICE_PATH) else { return false };
        let locate: LocateDevicePath = self.services.field(service::LOCATE_DEVICE_PATH);
        let mut nearest = null_mut();
        call_firmware(|| locate(&PCI_IO, &mut path, &mut nearest)) == SUCCESS && nearest == card
    }

    fn protocol(self, handle: Handle, guid: &Guid) -> Option<Structure> {
        let get: HandleProtocol = self.services.field(service::HANDLE_PROTOCOL);
        let mut protocol = 0;
        let status = call_firmware(|| get(handle, guid, &mut protocol));
        (status == SUCCESS && protocol != 0).then_some(Structure(protocol))
    }

    /// Visits the handles that have the protocol. Their list stays with the firmware: it is short, and freed by a reset.
    fn for_each_handle(self, guid: &Guid, visit: &mut dyn FnMut(Handle)) {
        let locate: LocateHandleBuffer = self.services.field(service::LOCATE_HANDLE_BUFFER);
        let (mut count, mut list) = (0, 0);
        if call_firmware(|| locate(BY_PROTOCOL, guid, null(), &mut count, &mut list)) == SUCCESS {
            for number in 0..count.min(MAX_HANDLES) {
                visit(Structure(list).field(number.wrapping_mul(size_of::<Handle>())));
            }
        }
    }
}

/// A word of a function's configuration space; all ones where it can't be read.
fn read(pci: Structure, offset: u32) -> u32 {
    let read: PciRead = pci.field(PCI_READ);
    let mut word = u32::MAX;
    call_firmware(|| read(pci, WORD, offset, 1, &mut word));
    word
}
