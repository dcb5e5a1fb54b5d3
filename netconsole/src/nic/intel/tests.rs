//! The driver against the model, honest and lying.

use super::chips::{Chip, Family, chip};
use super::gigabit::{Gigabit, PATIENCE};
use super::model::{Device, Kind, Mac, Model, RX, TX};
use super::ring::GigabitMemory;
use super::wait::wait_for;
use super::{IntelNic, PanicIntelMemory, PanicIntelNic};
use crate::nic::addresses::fake::{NO_PORTS, offset, physical};
use crate::nic::conformance::{self, Wire};
use crate::nic::exchange::{Call, call, frame, receive, started, transmit};
use crate::nic::pci::fake::{Function, Machine};
use crate::nic::pci::{DeviceFunction, PciDevice};
use crate::nic::{Duplex, LinkMode, Nic, NicError, TransmitError, WAITS};
use crate::wire::MacAddr;
use proptest::prelude::*;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Small, so that they fill and wrap often; one descriptor always stays with the driver.
const SENDING: usize = 8;
const RECEIVING: usize = 8;
const OWN: MacAddr = MacAddr([2, 0x6e, 0x63, 0, 3, 0]);
const BURNT_IN: MacAddr = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);

type Card = Gigabit<Model, SENDING, RECEIVING>;
type Handle = Rc<RefCell<Device>>;

/// EERD as the 8254x and as later chips have it.
const OLD: Option<(u32, u32)> = Some((8, 1 << 4));
const NEW: Option<(u32, u32)> = Some((2, 1 << 1));

const fn kind(mac: Mac, eerd: Option<(u32, u32)>) -> Kind {
    let is_express = !matches!(mac, Mac::Pci);
    Kind { mac, eerd, is_express, has_queues: matches!(mac, Mac::Igb | Mac::I210 | Mac::Igc) }
}

/// A device id of each family, and its kind.
const KINDS: [(u16, Kind); 18] = [
    (0x100c, kind(Mac::Pci, None)),
    (0x100e, kind(Mac::Pci, OLD)),
    (0x1076, kind(Mac::Pci, NEW)),
    (0x105e, kind(Mac::E82571, NEW)),
    (0x109a, kind(Mac::E82573, NEW)),
    (0x10d3, kind(Mac::E82574, NEW)),
    (0x1501, kind(Mac::Ich8, None)),
    (0x10de, kind(Mac::Ich9, None)),
    (0x10ea, kind(Mac::Pch, None)),
    (0x1502, kind(Mac::Pch2, None)),
    (0x153a, kind(Mac::Lpt, None)),
    (0x15a2, kind(Mac::LptLowPower, None)),
    (0x15b8, kind(Mac::Spt, None)),
    (0x15bb, kind(Mac::Cnp, None)),
    (0x57ba, kind(Mac::Mtp, None)),
    (0x10c9, kind(Mac::Igb, None)),
    (0x1533, kind(Mac::I210, None)),
    (0x15f3, kind(Mac::Igc, None)),
];
const PCI: (u16, Kind) = KINDS[1];
const I219: (u16, Kind) = KINDS[12];
const QUEUES: (u16, Kind) = KINDS[16];
const I225: (u16, Kind) = KINDS[17];

/// The table of behaviours, for a chip of each family.
#[test]
fn conforms() {
    for kind in KINDS {
        conformance::conforms(&format!("{:#x}", kind.0), || {
            let (nic, device) = card(kind);
            (Box::new(nic), Box::new(End(kind.0, device)))
        });
    }
}

struct End(u16, Handle);

impl Wire for End {
    fn send(&self, count: usize) -> usize {
        self.1.borrow_mut().send(count)
    }
    fn sent(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.1.borrow_mut().sent)
    }
    fn deliver(&self, frame: &[u8]) -> bool {
        self.1.borrow_mut().deliver(frame)
    }
    fn set_link(&self, is_up: bool) {
        self.1.borrow_mut().link = is_up;
    }
    fn fail(&self) {
        self.1.borrow_mut().gone = Some(u32::MAX);
    }
    fn recover(&self) {
        self.1.borrow_mut().become_honest();
    }
    fn in_a_panic(&self) -> Box<dyn Nic> {
        let memory = Box::leak(Box::new(GigabitMemory::<SENDING, RECEIVING>::new()));
        let start = physical(&raw const *memory);
        self.1.borrow_mut().memory = start..start + size_of_val(memory) as u64;
        let chip = chip((0x8086, self.0)).expect("a known chip");
        let offset = offset(&raw const *memory);
        Box::new(Gigabit::new(Model(self.1.clone()), WAITS, chip, OWN, offset, memory))
    }
}

/// A card that was not started, and its device, left running by the firmware.
fn card((device_id, kind): (u16, Kind)) -> (Card, Handle) {
    // Leaked: a device keeps the addresses.
    let memory = Box::leak(Box::new(GigabitMemory::new()));
    let start = physical(&raw const *memory);
    let device = Rc::new(RefCell::new(Device::new(kind, start..start + size_of_val(memory) as u64)));
    let chip = chip((0x8086, device_id)).expect("a known chip");
    (Gigabit::new(Model(device.clone()), WAITS, chip, OWN, offset(&raw const *memory), memory), device)
}

fn running(kind: (u16, Kind)) -> (Card, Handle) {
    let (mut nic, device) = card(kind);
    assert_eq!(nic.restart(), Ok(()));
    (nic, device)
}

/// Frames go both ways, and around the rings.
fn assert_works(nic: &mut Card, device: &Handle) {
    device.borrow_mut().sent.clear();
    for number in 0..20 {
        let sent = frame(number, 60);
        assert_eq!(transmit(nic, &sent), Ok(()));
        nic.kick();
        assert_eq!(device.borrow_mut().send(usize::MAX), 1);
        assert!(device.borrow_mut().deliver(&sent));
        assert_eq!(receive(nic), Some(sent.clone()));
        assert_eq!(device.borrow_mut().sent.pop(), Some(sent));
    }
    assert!(nic.is_drained());
    assert!(nic.link_is_up());
}

#[test]
fn every_family_comes_up_from_what_the_firmware_left() {
    for kind in KINDS {
        let (mut nic, device) = running(kind);
        assert_eq!((nic.mac(), nic.mtu()), (BURNT_IN, 1500));
        {
            let device = device.borrow();
            // RCTL: EN, MPE, BAM, SECRC; no long frames, no bad ones, no loopback, buffers of 2048 bytes.
            assert_eq!(device.get(0x100), 1 << 1 | 1 << 4 | 1 << 15 | 1 << 26);
            // TCTL: EN, PSP, CT 15, COLD 64.
            assert_eq!(device.get(0x400) & 0x3f_ffff, 1 << 1 | 1 << 3 | 15 << 4 | 64 << 12);
            assert_eq!(device.waiting(RX), RECEIVING as u32 - 1);
        }
        assert_works(&mut nic, &device);
        device.borrow_mut().link = false;
        assert!(!nic.link_is_up());
    }
}

#[test]
fn control_bits_that_somebody_set_are_cleared() {
    for kind in KINDS {
        let (mut nic, device) = running(kind);
        // Master disable, forced speed and duplex, flow control, VLAN mode.
        device.borrow_mut().set(0, 1 << 2 | 1 << 11 | 1 << 12 | 3 << 27 | 1 << 30);
        assert_eq!(nic.restart(), Ok(()));
        let auto_speed = u32::from(!kind.1.is_express) << 5;
        assert_eq!(device.borrow().get(0), 1 << 6 | auto_speed);
        assert_works(&mut nic, &device);
    }
}

#[test]
fn the_address_comes_from_the_chip_then_the_eeprom_then_the_driver() {
    for kind in KINDS {
        let has_eeprom = kind.1.eerd.is_some();
        let (mut nic, device) = card(kind);
        device.borrow_mut().reads_eeprom = false;
        assert_eq!(nic.restart(), Ok(()));
        assert_eq!(nic.mac(), if has_eeprom { BURNT_IN } else { OWN });
        assert_works(&mut nic, &device);

        device.borrow_mut().eeprom_is_silent = true;
        assert_eq!(nic.restart(), Ok(()));
        assert_eq!(nic.mac(), OWN);
        // The filter lets it in.
        assert_eq!(device.borrow().get(0x5400), u32::from_le_bytes([2, 0x6e, 0x63, 0]));
        assert_eq!(device.borrow().get(0x5404), 1 << 31 | 0x0003);
    }
}

#[test]
fn an_unusable_address_is_replaced() {
    for words in [[0; 3], [0xffff; 3], [0x0001, 0x005e, 0x0001]] {
        for kind in KINDS {
            let (mut nic, device) = card(kind);
            device.borrow_mut().eeprom = words;
            assert_eq!(nic.restart(), Ok(()));
            assert_eq!(nic.mac(), OWN);
        }
    }
}

/// STATUS as the second port of an 82546 gives it, whatever is reset.
#[test]
fn the_second_port_has_an_address_of_its_own() {
    struct SecondPort(Model);
    impl super::Registers for SecondPort {
        fn read(&self, register: usize) -> u32 {
            self.0.read(register) | if register == 8 { 1 << 2 } else { 0 }
        }
        fn write(&mut self, register: usize, value: u32) {
            self.0.write(register, value);
        }
        fn ring_status(&self) -> u32 {
            self.0.ring_status()
        }
    }
    let memory = Box::leak(Box::new(GigabitMemory::<8, 8>::new()));
    let start = physical(&raw const *memory);
    let mut device = Device::new(PCI.1, start..start + size_of_val(memory) as u64);
    device.reads_eeprom = false;
    let registers = SecondPort(Model(Rc::new(RefCell::new(device))));
    let chip = Chip { name: "82546EB", family: Family::Pci, is_tested: false };
    let mut nic = Gigabit::new(registers, WAITS, chip, OWN, offset(&raw const *memory), memory);
    assert_eq!(nic.restart(), Ok(()));
    assert_eq!(nic.mac(), MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x57]));
}

/// A chipset's PHY is the firmware's: those of its first are left alone, and no other is reset (the model asserts that).
#[test]
fn only_a_phy_that_does_not_negotiate_is_touched() {
    for kind in KINDS {
        let mac = kind.1.mac;
        let is_left_alone = matches!(mac, Mac::Ich8 | Mac::Ich9);
        let (_, device) = running(kind);
        assert_eq!(device.borrow().phy_accesses, usize::from(!is_left_alone));
        // Without a cable it is asked whether it has negotiated, or whether it is awake.
        let (mut nic, device) = card(kind);
        device.borrow_mut().link = false;
        assert_eq!(nic.restart(), Ok(()));
        let asked = match mac {
            Mac::Ich8 | Mac::Ich9 => 0,
            Mac::Pch | Mac::Pch2 | Mac::Lpt => 1,
            _ => 2,
        };
        assert_eq!(device.borrow().phy_accesses, asked, "{mac:?}");
        assert_eq!(device.borrow().phy_control, 0x1140);
        // Power down, isolate, loopback, a fixed speed, in reset.
        for control in [0x1940, 0x1540, 0x5140, 0x0140, 0x9140] {
            let (mut nic, device) = card(kind);
            (device.borrow_mut().phy_control, device.borrow_mut().phy_reset_reads) = (control, 5);
            assert_eq!(nic.restart(), Ok(()));
            // Negotiation is on and was begun again.
            assert_eq!(device.borrow().phy_control, if is_left_alone { control } else { 0x1200 });
        }
    }
}

#[test]
fn negotiation_that_was_never_begun_is_begun() {
    for kind in KINDS.into_iter().filter(|kind| !kind.1.mac.is_chipset()) {
        let (mut nic, device) = card(kind);
        (device.borrow_mut().resets_phy, device.borrow_mut().has_negotiated) = (true, false);
        for _ in 0..2 {
            assert_eq!(nic.restart(), Ok(()));
            assert_eq!(device.borrow().phy_control, 0x1340, "as it was, and restart");
            assert_works(&mut nic, &device);
        }
    }
}

/// That a reset does not come before, that the descriptors are those of the driver, and the times, the model asserts.
#[test]
fn rings_are_emptied_before_a_reset() {
    for kind in KINDS.into_iter().filter(|kind| kind.1.mac.hangs()) {
        for receive_ring_too in [false, true] {
            let (mut nic, device) = card(kind);
            assert!(device.borrow().chipset.must_be_emptied, "as the firmware has left it");
            for round in 0..SENDING {
                device.borrow_mut().chipset.receive_ring_too = receive_ring_too;
                assert_eq!(nic.restart(), Ok(()));
                assert_works(&mut nic, &device);
                // Some are still to be sent, from another place in the ring each time.
                for _ in 0..round {
                    assert_eq!(transmit(&mut nic, &[0; 60]), Ok(()));
                }
                nic.kick();
                assert!(device.borrow().chipset.must_be_emptied);
            }
        }
    }
}

/// A card that says that there is nothing to be emptied, or of which nobody has set up a ring, is not made to send.
#[test]
fn rings_that_are_empty_are_left_alone() {
    for (must, length) in [(false, 0x1000), (true, 0)] {
        let (mut nic, device) = card(I219);
        {
            let mut device = device.borrow_mut();
            device.chipset.must_be_emptied = must;
            device.set(TX + 8, length);
            // Whatever is asserted of a reset with full rings.
            device.has_lied = must;
        }
        device.borrow_mut().notifications = 0;
        assert_eq!(nic.restart(), Ok(()));
        // Where the ring begins.
        assert_eq!(device.borrow().notifications, 1, "{must} {length}");
    }
}

#[test]
fn a_phy_that_sleeps_is_woken() {
    for kind in KINDS.into_iter().filter(|kind| (Mac::LptLowPower..=Mac::Mtp).contains(&kind.1.mac)) {
        for (has_engine, is_behind_smbus) in [(true, false), (false, false), (false, true)] {
            let (mut nic, device) = card(kind);
            {
                let chipset = &mut device.borrow_mut().chipset;
                (chipset.sleeps, chipset.is_behind_smbus) = (true, is_behind_smbus);
                (chipset.has_engine, chipset.causes) = (has_engine, 0xffff);
            }
            assert_eq!(nic.restart(), Ok(()));
            assert!(nic.link_is_up());
            assert_works(&mut nic, &device);
            let device = device.borrow();
            // Nothing is forced any more: LANPHYPC, SMBus, the management engine.
            assert_eq!(
                (device.get(0) >> 16 & 1, device.get(0x18) >> 11 & 1, device.get(0x5b50) >> 12),
                (0, 0, 0)
            );
            // I218_ULP_CONFIG1: START, and none of the causes.
            let causes = if has_engine { 0xffff } else { 0xe28b };
            assert_eq!(device.chipset.causes, causes);
        }
    }
}

/// The driver goes on without the firmware's leave, and in time.
#[test]
fn a_flag_that_is_never_given_is_not_waited_for_long() {
    for kind in KINDS.into_iter().filter(|kind| kind.1.mac.has_flag()) {
        let (mut nic, device) = card(kind);
        device.borrow_mut().chipset.firmware_has_flag = true;
        let begun = crate::nic::waits::fake::now();
        assert_eq!(nic.restart(), Ok(()));
        assert!(crate::nic::waits::fake::now() - begun < 300_000);
        assert_works(&mut nic, &device);
    }
}

#[test]
fn filters_that_a_reset_leaves_are_off() {
    for kind in KINDS {
        let (mut nic, device) = card(kind);
        device.borrow_mut().keeps_rfctl = true;
        assert_eq!(nic.restart(), Ok(()));
        assert_works(&mut nic, &device);
    }
}

#[test]
fn a_silent_phy_or_an_endless_reset_of_it_is_given_up() {
    for silent in [true, false] {
        let (mut nic, device) = card(PCI);
        device.borrow_mut().phy_is_silent = silent;
        (device.borrow_mut().phy_control, device.borrow_mut().phy_reset_reads) = (0x0940, u32::MAX);
        assert_eq!(nic.restart(), Ok(()));
        assert!(!nic.link_is_up() || !silent);
    }
}

/// With those before and behind, a million in all.
/// Each read of the PHY's looks at the clock once more.
#[test]
fn a_phy_s_reset_is_waited_for_half_a_second() {
    for (reads, negotiates) in [(249_000, true), (251_000, false)] {
        let (mut nic, device) = card(PCI);
        (device.borrow_mut().phy_control, device.borrow_mut().phy_reset_reads) = (0x0940, reads);
        assert_eq!(nic.restart(), Ok(()));
        assert_eq!(device.borrow().phy_control == 0x1200, negotiates);
    }
}

#[test]
fn the_link_s_speed_is_told_while_it_is_up() {
    // SPEED in bits 6 and 7, FD in bit 0.
    for (kind, status, megabits, duplex) in [
        (PCI, 0, 10, Duplex::Half),
        (PCI, 1 << 6 | 1, 100, Duplex::Full),
        (PCI, 2 << 6 | 1, 1000, Duplex::Full),
        (PCI, 3 << 6, 1000, Duplex::Half),
        // The I225 has a bit for 2500, which is another's on other chips.
        (QUEUES, 1 << 22 | 2 << 6 | 1, 1000, Duplex::Full),
        (I225, 1 << 22 | 2 << 6 | 1, 2500, Duplex::Full),
        (I225, 2 << 6 | 1, 1000, Duplex::Full),
        (I225, 1 << 6 | 1, 100, Duplex::Full),
    ] {
        let (mut nic, device) = running(kind);
        device.borrow_mut().set(8, status);
        assert_eq!(nic.link_mode(), Some(LinkMode { megabits, duplex: Some(duplex) }));
        device.borrow_mut().link = false;
        assert_eq!(nic.link_mode(), None);
    }
}

#[test]
fn nothing_is_accessed_while_a_reset_must_not_be_disturbed() {
    // A chipset's MAC needs 20 ms (I219 datasheet), the others 1 µs.
    for kind in KINDS {
        let (_nic, device) = running(kind);
        let least = if kind.1.mac.is_chipset() { 20_000 } else { 1 };
        let left_alone = device.borrow().left_alone;
        assert!(left_alone >= least, "{:#x}: {left_alone} µs", kind.0);
    }
}

#[test]
fn a_reset_is_waited_for_50_milliseconds() {
    for (reads, result) in [(49_000, Ok(())), (51_000, Err(NicError::ResetTimeout))] {
        let (mut nic, device) = card(PCI);
        device.borrow_mut().resets_for = reads;
        assert_eq!(nic.restart(), result);
    }
}

#[test]
fn says_why_it_does_not_come_up_and_then_does() {
    type Fault = fn(&mut Device);
    let faults: [(Fault, NicError); 3] = [
        (|device| device.never_resets = true, NicError::ResetTimeout),
        (|device| device.gone = Some(u32::MAX), NicError::Absent),
        (|device| device.queues_never_start = true, NicError::NoQueue(0)),
    ];
    for (fault, error) in faults {
        let (mut nic, device) = card(QUEUES);
        fault(&mut device.borrow_mut());
        assert_eq!(nic.restart(), Err(error));
        assert_eq!(transmit(&mut nic, &[0; 60]), Err(TransmitError::Broken));
        assert!(!nic.link_is_up() && !nic.is_drained() && receive(&mut nic).is_none());
        device.borrow_mut().become_honest();
        assert_eq!(nic.restart(), Ok(()));
        assert_works(&mut nic, &device);
    }
}

#[test]
fn a_register_is_waited_for_until_time_is_over() {
    /// Done at the read of this number.
    struct Slow(Cell<u64>);
    impl super::Registers for Slow {
        fn read(&self, _: usize) -> u32 {
            self.0.set(self.0.get() - 1);
            u32::from(self.0.get() == 0)
        }
        fn write(&mut self, _: usize, _: u32) {}
        fn ring_status(&self) -> u32 {
            0
        }
    }
    for (reads, is_done) in [(PATIENCE - 100, true), (PATIENCE + 100, false)] {
        let waited = wait_for(WAITS, &Slow(Cell::new(reads)), 0, |value| value == 1, PATIENCE);
        assert_eq!(waited.is_some(), is_done, "{reads}");
    }
}

#[test]
fn a_bus_master_that_does_not_stop_is_reset_all_the_same() {
    let (mut nic, device) = card(QUEUES);
    device.borrow_mut().masters_forever = true;
    assert_eq!(nic.restart(), Ok(()));
    assert_works(&mut nic, &device);
}

#[test]
fn a_full_ring_says_so_until_a_frame_is_done() {
    let (mut nic, device) = running(PCI);
    for number in 1..SENDING {
        assert_eq!(transmit(&mut nic, &frame(number as u32, 60)), Ok(()));
    }
    device.borrow_mut().begin_call();
    for _ in 0..256 {
        assert_eq!(transmit(&mut nic, &[0; 60]), Err(TransmitError::Full));
    }
    assert_eq!(device.borrow().reads, 1, "waiting for room hardly touches the device");
    assert!(!nic.is_drained());
    assert_eq!(device.borrow_mut().send(1), 0, "it was not told yet");
    nic.kick();
    device.borrow_mut().send(1);
    assert_eq!(transmit(&mut nic, &[0; 60]), Ok(()));
    assert_eq!(transmit(&mut nic, &[0; 60]), Err(TransmitError::Full));
    nic.kick();
    device.borrow_mut().send(SENDING);
    assert!(nic.is_drained());
    assert_eq!(device.borrow().sent.len(), SENDING);
}

#[test]
fn a_frame_of_no_length_is_none_and_one_too_long_is_cut() {
    let (mut nic, device) = running(PCI);
    for _ in 0..2 * SENDING {
        assert_eq!(nic.transmit(&mut |_| 0), Ok(()));
    }
    nic.kick();
    assert_eq!(device.borrow_mut().send(1), 0);
    assert_eq!(nic.transmit(&mut |_| usize::MAX), Ok(()));
    nic.kick();
    device.borrow_mut().send(1);
    assert_eq!(device.borrow().sent[0].len(), 1536);
}

#[test]
fn a_batch_is_announced_once() {
    let (mut nic, device) = running(PCI);
    device.borrow_mut().notifications = 0;
    nic.kick();
    assert_eq!(device.borrow().notifications, 0);
    for _ in 0..3 {
        assert_eq!(transmit(&mut nic, &[0; 60]), Ok(()));
    }
    nic.kick();
    nic.kick();
    assert_eq!((device.borrow().notifications, device.borrow().waiting(TX)), (1, 3));
}

#[test]
fn received_frames_keep_their_order_and_damaged_ones_are_counted() {
    let (mut nic, device) = running(PCI);
    let whole = [(1, 60), (2, 14), (3, 1514), (4, 1518)];
    for (number, length) in whole {
        assert!(device.borrow_mut().deliver(&frame(number, length)));
    }
    for (number, length) in whole {
        assert_eq!(receive(&mut nic), Some(frame(number, length)));
    }
    const DONE: u64 = 1 << 32;
    const END: u64 = 1 << 33;
    let damaged = [
        // Too short, too long for a buffer, without an end, each of the errors.
        DONE | END,
        DONE | END | 13,
        DONE | END | 2049,
        DONE | END | 0xffff,
        DONE | 60,
        DONE | END | 60 | 1 << 40,
        DONE | END | 60 | 1 << 41,
        DONE | END | 60 | 1 << 42,
        DONE | END | 60 | 1 << 44,
        DONE | END | 60 | 1 << 47,
    ];
    for fields in damaged {
        assert!(device.borrow_mut().deliver_as(&[0; 60], fields));
        assert_eq!(receive(&mut nic), None, "{fields:#x}");
    }
    // What the chip thinks of checksums in the packet is not asked.
    assert!(device.borrow_mut().deliver_as(&[7; 60], DONE | END | 60 | 1 << 45 | 1 << 46));
    assert_eq!(receive(&mut nic), Some(vec![7; 60]));
    // As long as a buffer, though no frame is.
    assert!(device.borrow_mut().deliver(&frame(5, 2048)));
    assert_eq!(receive(&mut nic), Some(frame(5, 2048)));
    assert_works(&mut nic, &device);
}

/// The 82576 datasheet's write-back format: status from bit 0, errors from bit 20, the length from bit 32, a VLAN from 48.
#[test]
fn advanced_descriptors_are_read_as_the_datasheet_has_them() {
    let (mut nic, device) = running(QUEUES);
    const DONE: u64 = 1;
    const END: u64 = 2;
    let length = |length: u64| length << 32;
    let damaged = [
        DONE | END,
        DONE | END | length(13),
        DONE | END | length(2049),
        DONE | END | length(0xffff),
        DONE | length(60),
        DONE | END | length(60) | 1 << 31,
    ];
    for fields in damaged {
        assert!(device.borrow_mut().deliver_as(&[0; 60], fields));
        assert_eq!(receive(&mut nic), None, "{fields:#x}");
    }
    // Packets' checksums and a tag are not asked, nor what else the status has.
    let fields = DONE | END | length(60) | 1 << 30 | 1 << 29 | 1 << 9 | 1 << 3 | 0x64 << 48;
    assert!(device.borrow_mut().deliver_as(&[7; 60], fields));
    assert_eq!(receive(&mut nic), Some(vec![7; 60]));
    assert_works(&mut nic, &device);
}

#[test]
fn a_device_that_is_gone_or_was_stopped_is_noticed() {
    let faults: [fn(&mut Device); 3] = [
        |device| device.gone = Some(u32::MAX),
        |device| device.gone = Some(0),
        |device| device.set(0x400, 0),
    ];
    for fault in faults {
        let (mut nic, device) = running(PCI);
        fault(&mut device.borrow_mut());
        assert!(!nic.link_is_up());
        assert_eq!(transmit(&mut nic, &[0; 60]), Err(TransmitError::Broken));

        device.borrow_mut().become_honest();
        assert_eq!(nic.restart(), Ok(()));
        for _ in 1..SENDING {
            assert_eq!(transmit(&mut nic, &[0; 60]), Ok(()));
        }
        fault(&mut device.borrow_mut());
        assert_eq!(transmit(&mut nic, &[0; 60]), Err(TransmitError::Broken));
        device.borrow_mut().become_honest();
        assert_eq!(nic.restart(), Ok(()));
        assert_works(&mut nic, &device);
    }
}

#[test]
fn a_device_that_is_gone_is_not_restarted() {
    for (value, error) in [(u32::MAX, NicError::Absent), (0, NicError::Absent)] {
        let (mut nic, device) = running(PCI);
        device.borrow_mut().gone = Some(value);
        assert_eq!(nic.restart(), Err(error));
        assert_eq!(transmit(&mut nic, &[0; 60]), Err(TransmitError::Broken));
        device.borrow_mut().become_honest();
        assert_eq!(nic.restart(), Ok(()));
        assert_works(&mut nic, &device);
    }
}

/// A card at BAR 0 of a PCI function can be brought up only where the registers are.
#[test]
fn registers_that_are_missing_are_an_error() {
    const PLACE: DeviceFunction = DeviceFunction { bus: 0, device: 3, function: 0 };
    let bars = [
        // None, ports, memory that is too small.
        Function::new(0x8086, 0x100e, 0x02_00_00),
        Function::new(0x8086, 0x100e, 0x02_00_00).bar(0, 0xc001, 0xffc0),
        Function::new(0x8086, 0x100e, 0x02_00_00).bar(0, 0xfebc_0000, 0xffff_8000),
    ];
    for function in bars {
        let mut machine = Machine::default();
        machine.insert((0, 3, 0), function);
        let device = PciDevice::read(&mut machine, PLACE).expect("a device");
        let chip = chip((device.vendor_id, device.device_id)).expect("a chip");
        let memory = Box::leak(Box::new(PanicIntelMemory::new()));
        let result = started(PanicIntelNic::open(&mut machine, &NO_PORTS, WAITS, &device, chip, memory));
        assert_eq!(result.err(), Some(NicError::NoRegisters("memory")));
    }
}

#[test]
fn chips_are_known_by_both_ids_and_say_whether_they_are_tested() {
    let name = |ids| chip(ids).map(|chip| chip.to_string());
    assert_eq!(name((0x8086, 0x100e)).as_deref(), Some("Intel 82540EM"));
    assert_eq!(name((0x8086, 0x10d3)).as_deref(), Some("Intel 82574L"));
    assert_eq!(
        name((0x8086, 0x1533)).as_deref(),
        Some("Intel I210 (driver written from the datasheet, not tried on a card)")
    );
    assert_eq!(name((0x8086, 0x1237)), None);
    assert_eq!(name((0x1af4, 0x100e)), None);
    let tested: Vec<u16> =
        (0..=u16::MAX).filter(|&id| chip((0x8086, id)).is_some_and(|chip| chip.is_tested)).collect();
    assert_eq!(tested, [0x100c, 0x100e, 0x100f, 0x10c9, 0x10d3]);
}

/// The ids of Linux's e1000e, igb and igc on copper (2025), but for the 80003ES2LAN, the ICH8's 82566, the 82562 for 100 Mbit/s
/// and blank chips, and which MAC it takes them to have.
#[test]
fn every_id_has_its_family() {
    let family = |id| chip((0x8086, id)).map(|chip| chip.family);
    let lists: [(Family, &[u16]); 12] = [
        (Family::Express82571, &[0x105e, 0x10a4, 0x10d5, 0x10bc, 0x107d, 0x10b9]),
        (Family::Express82573, &[0x108b, 0x108c, 0x109a]),
        (Family::Express, &[0x10d3, 0x10f6, 0x150c]),
        (Family::Ich8, &[0x1501]),
        (
            Family::Ich9,
            &[0x10bd, 0x294c, 0x10e5, 0x10bf, 0x10f5, 0x10cb, 0x10cc, 0x10cd, 0x10ce, 0x10de, 0x10df, 0x1525],
        ),
        (Family::IbexPeak, &[0x10ea, 0x10eb, 0x10ef, 0x10f0]),
        (Family::CougarPoint, &[0x1502, 0x1503]),
        (Family::LynxPoint, &[0x153a, 0x153b, 0x15a0, 0x15a1]),
        (Family::LynxPointLowPower, &[0x155a, 0x1559, 0x15a2, 0x15a3]),
        (
            Family::SunrisePoint,
            &[0x156f, 0x1570, 0x15b7, 0x15b8, 0x15b9, 0x15d7, 0x15d8, 0x15e3, 0x15d6, 0x0d53, 0x0d55],
        ),
        (
            Family::CannonPoint,
            &[
                0x15bd, 0x15be, 0x15bb, 0x15bc, 0x15df, 0x15e0, 0x15e1, 0x15e2, 0x0d4e, 0x0d4f, 0x0d4c,
                0x0d4d, 0x15fb, 0x15fc, 0x15f9, 0x15fa, 0x15f4, 0x15f5, 0x1a1e, 0x1a1f, 0x1a1c, 0x1a1d,
                0x550c, 0x550d, 0x0dc7, 0x0dc8, 0x0dc5, 0x0dc6,
            ],
        ),
        (
            Family::MeteorPoint,
            &[
                0x550a, 0x550b, 0x550e, 0x550f, 0x5510, 0x5511, 0x57a0, 0x57a1, 0x57b3, 0x57b4, 0x57b5,
                0x57b6, 0x57b7, 0x57b8, 0x57b9, 0x57ba,
            ],
        ),
    ];
    for (wanted, ids) in lists {
        for &id in ids {
            assert_eq!(family(id), Some(wanted), "{id:#x}");
        }
        // 82571EB 0x10a0 is in Intel's list alone.
        let count = (0..=u16::MAX).filter(|&id| id != 0x10a0 && family(id) == Some(wanted)).count();
        assert_eq!(count, ids.len(), "{wanted:?}");
    }
    for id in [0x10a7, 0x10d6, 0x10c9, 0x10e8, 0x1526, 0x150a, 0x150e, 0x1516, 0x1521, 0x1539, 0x1f41] {
        assert_eq!(family(id), Some(Family::Queues), "{id:#x}");
    }
    assert!([0x1533, 0x157b].into_iter().all(|id| family(id) == Some(Family::I210)));
    for id in [
        0x15f2, 0x15f3, 0x15f8, 0x15f7, 0x3100, 0x3101, 0x3102, 0x5502, 0x0d9f, 0x5503, 0x125b, 0x125c,
        0x125d, 0x125e,
    ] {
        assert_eq!(family(id), Some(Family::TwoAndAHalf), "{id:#x}");
    }
}

/// What may happen between the driver and a device that lies.
#[derive(Clone, Debug)]
enum Step {
    Call(Call),
    Send(usize),
    Deliver(usize),
    /// It lies in a received frame's descriptor, or in any word of a ring.
    DeliverAs(u64),
    Scribble(usize, u64, u64),
    /// A register has changed.
    Register(usize, u32),
    Eeprom([u16; 3]),
    /// Which of the faults there are from now on.
    Faults(u8),
    Phy(u16, u32),
}

fn step() -> impl Strategy<Value = Step> {
    let work = prop_oneof![(0..10usize).prop_map(Step::Send), (0..2048usize).prop_map(Step::Deliver)];
    let fields = prop_oneof![any::<u64>(), (0..0x900u64).prop_map(|length| length | 3 << 32)];
    let ring = prop_oneof![Just(RX), Just(TX)];
    let lies = prop_oneof![
        4 => fields.clone().prop_map(Step::DeliverAs),
        4 => (ring, 0..32u64, fields).prop_map(|(ring, half, value)| Step::Scribble(ring, half, value)),
        2 => (register(), any::<u32>()).prop_map(|(register, value)| Step::Register(register, value)),
    ];
    let faults = prop_oneof![
        prop_oneof![Just([0; 3]), any::<[u16; 3]>()].prop_map(Step::Eeprom),
        prop_oneof![2 => Just(0), 1 => any::<u8>()].prop_map(Step::Faults),
        (any::<u16>(), prop_oneof![Just(0), Just(u32::MAX)])
            .prop_map(|(control, reads)| Step::Phy(control, reads)),
    ];
    prop_oneof![12 => call().prop_map(Step::Call), 6 => work, 6 => lies, 1 => faults]
}

/// CTRL, STATUS, EERD, MDIC, RCTL, TCTL, both rings' and the address's.
fn register() -> impl Strategy<Value = usize> {
    let rings = (0..12usize).prop_flat_map(|word| prop_oneof![Just(RX + 4 * word), Just(TX + 4 * word)]);
    let others = prop::sample::select(vec![0x00, 0x08, 0x14, 0x20, 0x100, 0x400, 0x5400, 0x5404]);
    prop_oneof![rings, others]
}

fn take(step: Step, nic: &mut Card, handle: &Handle) {
    handle.borrow_mut().begin_call();
    match step {
        Step::Call(call) => call.make(nic, 1536, 2048),
        Step::Send(count) => drop(handle.borrow_mut().send(count)),
        Step::Deliver(length) => drop(handle.borrow_mut().deliver(&vec![0xa5; length])),
        Step::DeliverAs(fields) => drop(handle.borrow_mut().deliver_as(&[0xa5; 60], fields)),
        Step::Scribble(ring, half, value) => handle.borrow_mut().scribble(ring, half, value),
        Step::Register(register, value) => {
            let mut device = handle.borrow_mut();
            device.has_lied = true;
            device.set(register, value);
        }
        Step::Eeprom(words) => handle.borrow_mut().eeprom = words,
        Step::Faults(faults) => {
            let mut device = handle.borrow_mut();
            let has = |bit: u8| faults >> bit & 1 != 0;
            (device.reads_eeprom, device.eeprom_is_silent) = (!has(0), has(1));
            (device.never_resets, device.queues_never_start) = (has(2), has(3));
            (device.masters_forever, device.phy_is_silent) = (has(4), has(5));
            (device.has_negotiated, device.resets_phy) = (!has(5), has(4));
            (device.gone, device.link) = (has(6).then_some(u32::MAX), !has(7));
        }
        Step::Phy(control, reads) => {
            (handle.borrow_mut().phy_control, handle.borrow_mut().phy_reset_reads) = (control, reads);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Frames out are frames in, in batches, around both rings.
    #[test]
    fn an_honest_device_sees_every_frame(
        kind in prop::sample::select(KINDS.to_vec()),
        batches in prop::collection::vec((1..=SENDING, 0..=SENDING, 0..=RECEIVING), 200..400),
    ) {
        let (mut nic, device) = running(kind);
        let (mut queued, mut sent, mut delivered, mut received) = (0, 0, 0, 0);
        for (size, finished, arriving) in batches {
            for _ in 0..size {
                queued += u32::from(transmit(&mut nic, &frame(queued, 20)).is_ok());
            }
            nic.kick();
            device.borrow_mut().send(finished);
            for bytes in device.borrow_mut().sent.drain(..) {
                prop_assert_eq!(bytes, frame(sent, 20));
                sent += 1;
            }
            for _ in 0..arriving {
                delivered += u32::from(device.borrow_mut().deliver(&frame(delivered, 17)));
            }
            while let Some(bytes) = receive(&mut nic) {
                prop_assert_eq!(bytes, frame(received, 17));
                received += 1;
            }
            prop_assert_eq!(received, delivered);
        }
        device.borrow_mut().send(usize::MAX);
        prop_assert!(nic.is_drained());
        prop_assert_eq!(sent + device.borrow().sent.len() as u32, queued);
    }
}

// PROPTEST_CASES=40000 makes it millions of steps.
proptest! {
    /// No panic, no endless wait, nothing given outside the memory while the device has not lied (the
    /// model asserts all three); and once it is honest again, a restart is all that it takes.
    #[test]
    fn a_lying_device_does_no_lasting_harm(
        kind in prop::sample::select(KINDS.to_vec()),
        steps in prop::collection::vec(step(), 1..100),
    ) {
        let (mut nic, device) = running(kind);
        for step in steps {
            take(step, &mut nic, &device);
        }
        device.borrow_mut().become_honest();
        prop_assert_eq!(nic.restart(), Ok(()));
        assert_works(&mut nic, &device);
    }
}

/// What the kernel keeps for the card is aligned as the rings need it.
#[test]
fn memory_is_aligned() {
    assert_eq!(align_of::<super::IntelMemory>() % 128, 0);
    assert!(size_of::<IntelNic>() < 512);
}
