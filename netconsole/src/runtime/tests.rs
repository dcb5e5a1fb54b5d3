//! The netconsole of a platform that is a test's own.

use super::*;
use crate::memory::CardRoom;
use crate::nic::pci::ConfigurationAccess;
use crate::nic::pci::fake::{Function, Machine};
use crate::nic::{Access, FirmwareCard, FirmwareStatus, NO_PORTS, NicError, TransmitError};
use crate::ring::{Level, Read, Ring, RingMemory};
use crate::seal::BootId;
use crate::wire::MacAddr;
use core::sync::atomic::{AtomicU64, Ordering};
use std::cell::{Cell, RefCell};

static MEMORY: Memory = Memory::new();
static CARD: CardRoom = CardRoom::new();
static RING_MEMORY: RingMemory = RingMemory::new();
static RING: Ring<'static> = RING_MEMORY.ring();
static TICKS: AtomicU64 = AtomicU64::new(1_000_000);

thread_local! {
    static MACHINE: Machine = Machine::default();
    /// The functions that were written to.
    static WRITTEN: RefCell<Vec<DeviceFunction>> = const { RefCell::new(Vec::new()) };
    /// What was done with the card that the firmware does not start.
    static DONE: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
    /// For which cards memory was asked for, and whether there is none.
    static ROOMS_ASKED: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
    static HAS_NO_ROOM: Cell<bool> = const { Cell::new(true) };
}

/// A card that the firmware has, and does not start.
struct Refused;

impl FirmwareCard for Refused {
    fn start(&self, afresh: bool) -> Result<(), NicError> {
        assert!(!afresh);
        DONE.with_borrow_mut(|done| done.push("start"));
        Err(NicError::Firmware("Initialize", 7))
    }

    fn mac(&self) -> MacAddr {
        unreachable!("it does not run")
    }

    fn mtu(&self) -> usize {
        unreachable!("it does not run")
    }

    fn takes_several(&self) -> bool {
        unreachable!("it does not run")
    }

    fn status(&self) -> Result<FirmwareStatus, NicError> {
        unreachable!("it does not run")
    }

    fn transmit(&self, _: &[u8]) -> Result<(), TransmitError> {
        unreachable!("it does not run")
    }

    fn receive(&self, _: &mut [u8]) -> Option<usize> {
        unreachable!("it does not run")
    }
}

/// The test's configuration space, which keeps what is written to.
struct Pci;

impl ConfigurationAccess for Pci {
    fn read_word(&self, function: DeviceFunction, offset: u8) -> u32 {
        MACHINE.with(|machine| machine.read_word(function, offset))
    }

    fn write_word(&mut self, function: DeviceFunction, offset: u8, data: u32) {
        WRITTEN.with_borrow_mut(|written| written.push(function));
        MACHINE.with(|machine| machine.clone().write_word(function, offset, data));
    }

    unsafe fn unsafe_clone(&self) -> Self {
        Self
    }
}

struct Mine;

// SAFETY: MEMORY and RING are this platform's alone; the configuration space is a model's.
unsafe impl Platform for Mine {
    type Pci = Pci;

    fn ticks() -> u64 {
        TICKS.fetch_add(1000, Ordering::Relaxed)
    }

    fn memory() -> &'static Memory {
        &MEMORY
    }

    fn card_room(number: usize) -> Option<&'static CardRoom> {
        ROOMS_ASKED.with_borrow_mut(|asked| asked.push(number));
        (number == 0 && !HAS_NO_ROOM.get()).then_some(&CARD)
    }

    fn ring() -> &'static Ring<'static> {
        &RING
    }

    fn release() -> &'static str {
        "6.12.1-mine"
    }

    fn pci() -> Pci {
        Pci
    }

    fn access() -> Access {
        NO_PORTS
    }

    fn firmware_card(function: DeviceFunction) -> Option<&'static dyn FirmwareCard> {
        let has_it = function.device == 4 && DONE.with_borrow(|done| !done.contains(&"take"));
        has_it.then_some(&Refused)
    }

    fn take_from_firmware(function: DeviceFunction) {
        assert_eq!(function.device, 4);
        DONE.with_borrow_mut(|done| done.push("take"));
    }
}

/// One test, since there is one static memory: it is made once, touches nothing that is not claimed, and keeps what is logged.
#[test]
fn what_is_not_claimed_is_not_touched() {
    let settings = Settings::parse(b"netconsole=@/,@10.0.2.2/", &mut |_, problem| panic!("{problem}"));
    assert!(settings.targets(MEMORY.keys()).is_err(), "nobody has decided whether there is a key");
    crate::begin_log::<Mine>(&settings, 1_000_000_000, || BootId([7; 16]));
    let mut netconsole = Netconsole::<Mine>::new(&settings).expect("it is the first one");
    assert!(Netconsole::<Mine>::new(&settings).is_none());
    let is_known = || MEMORY.has_targets.get() == Some(1) && MEMORY.snapshot.read().is_some();
    assert!(!is_known(), "a panic before would send to nobody");
    netconsole.add_targets();
    assert!(is_known(), "without any card");
    MACHINE.with(|machine| {
        // A bridge, a disk, and two network cards: an e1000e without registers, and one that no driver knows.
        machine.insert((0, 0, 0), Function::new(0x8086, 0x1237, 0x06_0000));
        machine.insert((0, 1, 0), Function::new(0x1af4, 0x1001, 0x01_0000).bar(0, 0xc001, 0xffff_ffc1));
        machine.insert((0, 2, 0), Function::new(0x8086, 0x10d3, 0x02_0000));
        machine.insert((0, 3, 0), Function::new(0x1234, 0x5678, 0x02_0000).bar(0, 0xc101, 0xffff_ffc1));
    });
    let mut asked = Vec::new();
    netconsole.find_pci_cards(|function| {
        asked.push(function.device);
        false
    });
    assert_eq!(asked, [2, 3], "only network cards are asked for");
    assert!(WRITTEN.with_borrow(Vec::is_empty));

    // Of a card that there is no memory for no register is touched, and memory of one that fails is the next one's.
    let before = RING.end();
    netconsole.find_pci_cards(|function| function.device == 2);
    let Read::Record(told) = RING.read(before + 1) else { panic!("{:?}", RING.read(before + 1)) };
    let mut text = [0; 128];
    let len = told.copy_text(0, &mut text).min(text.len());
    let text = String::from_utf8_lossy(&text[..len]);
    assert!(text.ends_with("00:02.0: there is no memory for one more network card, not used"), "{text}");
    HAS_NO_ROOM.set(false);
    netconsole.find_pci_cards(|function| function.device == 2);
    netconsole.find_pci_cards(|function| function.device == 2);
    assert_eq!(ROOMS_ASKED.with_borrow(Clone::clone), [0, 0]);
    assert_eq!(netconsole.claimed_cards(), 0, "a card that fails takes no other's place");
    assert!(WRITTEN.with_borrow(|written| written.iter().all(|function| function.device == 2)));
    assert!(!WRITTEN.with_borrow(Vec::is_empty), "the one that was claimed was sized");

    MACHINE.with(|machine| machine.insert((0, 4, 0), Function::new(0x8086, 0x10d3, 0x02_0000)));
    let before = RING.end();
    netconsole.find_pci_cards(|function| function.device == 4);
    assert_eq!(DONE.with_borrow(Clone::clone), ["start", "take"], "then the driver here has it");
    assert_eq!(RING.end(), before + 3, "the card, and that neither has brought it up");

    let end = RING.end();
    crate::append::<Mine>(Level::Info, "test", "without the facade");
    assert_eq!(RING.end(), end + 1);
    while netconsole.has_waiting_targets() {
        netconsole.poll();
    }
    assert_eq!(netconsole.running_targets(), 0, "it has no card");
    assert!(!netconsole.is_sending());
}

/// Memory that is not all zero would take its whole place in a kernel's image.
#[test]
fn static_memory_is_all_zero() {
    static UNUSED: (Memory, CardRoom) = (Memory::new(), CardRoom::new());
    let start: *const u8 = (&raw const UNUSED).cast();
    // SAFETY: the bytes lie in the static, which nobody uses; the loader has given each a value.
    let is_zero = (0..size_of_val(&UNUSED)).all(|at| unsafe { start.add(at).read_volatile() } == 0);
    assert!(is_zero);
}
