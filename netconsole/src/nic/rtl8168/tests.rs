//! The driver against the model, honest and lying.

use super::chips::chip;
use super::model::{Device, Kind, Model};
use super::ring::TRANSMITS;
use super::*;
use crate::nic::WAITS;
use crate::nic::addresses::fake::{access, offset, physical};
use crate::nic::conformance::{self, Wire};
use crate::nic::exchange::{Call, call, frame, receive, started, transmit};
use crate::nic::pci::DeviceFunction;
use crate::nic::pci::fake::{Function, Machine};
use crate::nic::ports::fake::NoPorts;
use proptest::prelude::*;

const OWN_MAC: MacAddr = MacAddr([2, b'n', b'c', 0, 3, 0]);
const BURNT_IN: MacAddr = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);

/// RTL8168B, C, F; G, H, EP; RTL8101E, RTL8106E; RTL8125A, B; RTL8168FP, DP in two versions.
const KINDS: [Kind; 13] = [
    Kind { chip: 0x380, has_buses: false, is_8125: false },
    Kind { chip: 0x3c0, has_buses: false, is_8125: false },
    Kind { chip: 0x480, has_buses: false, is_8125: false },
    Kind { chip: 0x4c0, has_buses: true, is_8125: false },
    Kind { chip: 0x541, has_buses: true, is_8125: false },
    Kind { chip: 0x502, has_buses: true, is_8125: false },
    Kind { chip: 0x340, has_buses: false, is_8125: false },
    Kind { chip: 0x449, has_buses: false, is_8125: false },
    Kind { chip: 0x609, has_buses: true, is_8125: true },
    Kind { chip: 0x641, has_buses: true, is_8125: true },
    Kind { chip: 0x54a, has_buses: true, is_8125: false },
    Kind { chip: 0x28a, has_buses: false, is_8125: false },
    Kind { chip: 0x28b, has_buses: false, is_8125: false },
];

/// The table of behaviours, for each version.
#[test]
fn conforms() {
    for kind in KINDS {
        conformance::conforms(&format!("{:#x}", kind.chip), || {
            let (model, memory) = Model::new(kind);
            model.device().is_slow = true;
            (Box::new(opened(&model, memory)), Box::new(model))
        });
    }
}

impl Wire for Model {
    fn send(&self, count: usize) -> usize {
        self.device().send(count)
    }
    fn sent(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.device().sent)
    }
    fn deliver(&self, frame: &[u8]) -> bool {
        self.device().deliver(frame)
    }
    fn set_link(&self, is_up: bool) {
        self.device().set(0x6c, 2, if is_up { 0x13 } else { 0x11 });
    }
    fn fail(&self) {
        self.device().gone = Some(0xff);
    }
    fn recover(&self) {
        self.device().become_honest();
        self.device().is_slow = true;
    }
    fn in_a_panic(&self) -> Box<dyn Nic> {
        let memory = Box::leak(Box::new(Rtl8168Memory::new()));
        let start = physical(&raw const *memory);
        self.device().memory = start..start + size_of::<Rtl8168Memory>() as u64;
        Box::new(opened(self, memory))
    }
}

/// The card, not started.
fn opened(model: &Model, memory: &'static mut Rtl8168Memory) -> Rtl8168<Model> {
    let offset = offset(memory);
    let id = if model.device().kind.is_8125 { 0x8125 } else { 0x8168 };
    let chip = chip((0x10ec, id)).expect("a chip");
    Rtl8168::new(model.clone(), WAITS, chip, OWN_MAC, offset, memory)
}

fn start(model: &Model, memory: &'static mut Rtl8168Memory) -> Result<Rtl8168<Model>, NicError> {
    started(Ok(opened(model, memory)))
}

fn running(kind: Kind) -> (Rtl8168<Model>, Model) {
    let (model, memory) = Model::new(kind);
    (start(&model, memory).expect("a card"), model)
}

/// Frames go both ways, several times around the rings.
fn assert_works(nic: &mut Rtl8168<Model>, model: &Model) {
    model.device().sent.clear();
    for number in 0..3 * TRANSMITS as u32 {
        let sent = frame(number, 60 + 29 * number as usize);
        assert_eq!(transmit(nic, &sent), Ok(()));
        nic.kick();
        assert!(model.device().deliver(&sent));
        assert_eq!(receive(nic), Some(sent.clone()));
        assert_eq!(receive(nic), None);
        assert_eq!(model.device().sent.pop(), Some(sent));
    }
    assert!(nic.is_drained());
    assert!(nic.link_is_up());
}

/// Of what its firmware has running nothing is touched.
#[test]
fn the_first_rtl8168dp_is_refused_by_name() {
    let (model, memory) = Model::new(Kind { chip: 0x288, has_buses: false, is_8125: false });
    let before = model.device().bytes;
    assert_eq!(start(&model, memory).err(), Some(NicError::Unknown("the first RTL8168DP")));
    assert_eq!(model.device().bytes, before);
}

/// Where there is any, once at each start, and whether it listens or not.
#[test]
fn firmware_that_manages_the_machine_is_told_of_the_driver() {
    for kind in [KINDS[5], KINDS[10], KINDS[11], KINDS[12]] {
        for (is_there, is_deaf) in [(true, false), (true, true), (false, false)] {
            let (model, memory) = Model::new(kind);
            (model.device().manager.is_there, model.device().manager.is_deaf) = (is_there, is_deaf);
            let mut nic = start(&model, memory).expect("a card");
            let begun = if is_there && !is_deaf { 1 } else { 0 };
            assert_eq!(model.device().manager.heard, vec![5; begun], "{kind:?}");
            assert_works(&mut nic, &model);
            assert_eq!(nic.restart(), Ok(()));
            assert_eq!(model.device().manager.heard, vec![5; 2 * begun], "{kind:?}");
            let chip = model.device();
            if kind.has_buses {
                assert_eq!(chip.bytes[0xf8..0xfa], [0x80; 2], "the channel is closed, its neighbours stay");
                assert_eq!(chip.bytes[0xfb], 0);
            } else {
                assert_eq!(chip.get(0xd0, 4), 1 << 17 | 1, "the PHY is the firmware's again");
            }
        }
    }
}

#[test]
fn every_chip_comes_up_from_what_somebody_else_left() {
    for kind in KINDS {
        let (mut nic, model) = running(kind);
        assert_eq!((nic.mac(), nic.mtu()), (BURNT_IN, 1500));
        assert_works(&mut nic, &model);
        let chip = model.device();
        assert_eq!(chip.phy_writes, 0, "a PHY that negotiates is left alone");
        assert_eq!(chip.get(0xda, 2), 1536);
        if kind.has_buses {
            // The firmware's list is not used any more, and a new one is made; the gate is open, and its neighbours stay.
            assert_eq!((chip.bytes[0xd3] & 0x80, chip.mac_bus(0xe8de)), (0, 1 << 15 | 3));
            assert_eq!(chip.get(0xf0, 4), 1 << 3);
        }
        if kind.is_8125 {
            assert_eq!(chip.mac_bus(0xeb58), 0x0f00, "the old format");
        }
    }
}

#[test]
fn an_unusable_address_is_replaced() {
    for octets in [[0; 6], [0xff; 6], [1, 0, 0x5e, 0, 0, 1]] {
        let (model, memory) = Model::new(KINDS[1]);
        model.device().mac = octets;
        let mut nic = start(&model, memory).expect("a card");
        assert_eq!(nic.mac(), OWN_MAC);
        assert_eq!(model.device().bytes[..6], OWN_MAC.0, "the chip lets it in");
        assert_works(&mut nic, &model);
    }
}

#[test]
fn the_link_s_speed_is_told() {
    let mode = |megabits, duplex| Some(LinkMode { megabits, duplex: Some(duplex) });
    for (kind, status, told) in [
        (KINDS[0], 0x13, mode(1000, Duplex::Full)),
        (KINDS[0], 0x0b, mode(100, Duplex::Full)),
        (KINDS[4], 0x0a, mode(100, Duplex::Half)),
        (KINDS[4], 0x07, mode(10, Duplex::Full)),
        (KINDS[4], 0x11, None),
        (KINDS[9], 0x402, mode(2500, Duplex::Full)),
        (KINDS[9], 0x012, mode(1000, Duplex::Full)),
        // What is beside the byte of an older chip is another register.
        (KINDS[0], 0x40a, mode(100, Duplex::Half)),
    ] {
        let (mut nic, model) = running(kind);
        model.device().set(0x6c, 2, status);
        assert_eq!(nic.link_mode(), told, "{kind:?} {status:#x}");
        assert_eq!(nic.link_is_up(), told.is_some());
    }
}

#[test]
fn a_change_of_the_link_is_told_once() {
    for kind in KINDS {
        let (mut nic, model) = running(kind);
        assert!(!nic.link_has_changed());
        let (register, width) = if kind.is_8125 { (0x3c, 4) } else { (0x3e, 2) };
        model.device().set(register, width, 1 << 5 | 1);
        assert!(nic.link_has_changed());
        assert!(!nic.link_has_changed());
    }
}

#[test]
fn a_phy_that_sleeps_is_woken() {
    for kind in KINDS {
        // Powered down, isolated, of a fixed speed.
        for control in [0x1840, 0x1540, 0x2100] {
            let (model, memory) = Model::new(kind);
            model.device().phy_control = control;
            let mut nic = start(&model, memory).expect("a card");
            assert_eq!(model.device().phy_control, 0x1200, "{kind:?}: it negotiates");
            assert_works(&mut nic, &model);
        }
        let (model, memory) = Model::new(kind);
        model.device().phy_is_silent = true;
        let mut nic = start(&model, memory).expect("a card");
        assert_works(&mut nic, &model);
    }
}

#[test]
fn the_chip_is_told_once_of_many_frames() {
    let (mut nic, model) = running(KINDS[4]);
    for number in 0..10 {
        assert_eq!(transmit(&mut nic, &frame(number, 100)), Ok(()));
    }
    nic.kick();
    nic.kick();
    let chip = model.device();
    assert_eq!((chip.sent.len(), chip.notifications), (10, 1));
}

#[test]
fn a_chip_that_did_not_hear_is_told_again() {
    let (mut nic, model) = running(KINDS[4]);
    model.device().is_deaf = true;
    for number in 0..TRANSMITS as u32 {
        assert_eq!(transmit(&mut nic, &frame(number, 100)), Ok(()));
    }
    nic.kick();
    assert_eq!(model.device().sent.len(), 0);
    assert_eq!(transmit(&mut nic, &[0; 60]), Err(TransmitError::Full));
    assert_eq!(model.device().sent.len(), TRANSMITS);
    assert_eq!(transmit(&mut nic, &[0; 60]), Ok(()));
    // Where only some have left.
    nic.kick();
    assert!(nic.is_drained());
    model.device().is_slow = true;
    for number in 0..3 {
        assert_eq!(transmit(&mut nic, &frame(number, 100)), Ok(()));
    }
    nic.kick();
    model.device().send(1);
    model.device().is_slow = false;
    assert!(!nic.is_drained());
    assert!(nic.is_drained());
}

#[test]
fn short_frames_are_filled_up_with_nothing_of_an_older_one() {
    let (mut nic, model) = running(KINDS[0]);
    for _ in 0..TRANSMITS {
        assert_eq!(transmit(&mut nic, &[7; 100]), Ok(()));
        nic.kick();
    }
    assert_eq!(transmit(&mut nic, &[9; 42]), Ok(()));
    nic.kick();
    assert_eq!(model.device().sent.last(), Some(&[&[9; 42][..], &[0; 18]].concat()));
    // Of no length, and too long.
    assert_eq!(transmit(&mut nic, &[]), Ok(()));
    assert_eq!(nic.transmit(&mut |_| usize::MAX), Ok(()));
    nic.kick();
    assert_eq!(model.device().sent.len(), TRANSMITS + 2);
    assert_eq!(model.device().sent.last().map(Vec::len), Some(1536));
}

#[test]
fn a_full_ring_refuses_until_a_frame_has_left() {
    let (mut nic, model) = running(KINDS[5]);
    model.device().is_slow = true;
    for number in 0..TRANSMITS as u32 {
        assert_eq!(transmit(&mut nic, &frame(number, 60)), Ok(()));
    }
    nic.kick();
    model.device().accesses = 0;
    for _ in 0..1000 {
        assert_eq!(transmit(&mut nic, &[0; 60]), Err(TransmitError::Full));
    }
    assert!(!nic.is_drained());
    assert!(model.device().accesses < 20, "it is not asked each time");
    model.device().send(1);
    assert_eq!(transmit(&mut nic, &frame(99, 60)), Ok(()));
    assert_eq!(transmit(&mut nic, &[0; 60]), Err(TransmitError::Full));
    model.device().send(usize::MAX);
    assert!(nic.is_drained());
    assert_eq!(model.device().sent.len(), TRANSMITS + 1);
    assert_eq!(model.device().sent.last(), Some(&frame(99, 60)));
}

#[test]
fn frames_without_a_buffer_are_lost_and_the_next_ones_come() {
    let (mut nic, model) = running(KINDS[8]);
    let mut delivered = 0;
    while model.device().deliver(&frame(delivered, 1500)) {
        delivered += 1;
    }
    assert_eq!(delivered, RECEIVES as u32);
    for number in 0..delivered {
        assert_eq!(receive(&mut nic), Some(frame(number, 1500)));
    }
    assert_works(&mut nic, &model);
}

#[test]
fn what_is_no_whole_frame_is_dropped_and_its_buffer_used_again() {
    let (mut nic, model) = running(KINDS[3]);
    const WHOLE: u32 = 3 << 28;
    // Without an end, a begin; damaged; longer than the buffer; shorter than a header, than the check sequence.
    let damaged = [
        1 << 29 | 64,
        1 << 28 | 64,
        WHOLE | 1 << 21 | 64,
        WHOLE | 2053,
        WHOLE | 0x3fff,
        WHOLE | 17,
        WHOLE | 3,
        0,
    ];
    for status in damaged.into_iter().cycle().take(50) {
        assert!(model.device().deliver_as(&[1; 60], status));
        assert!(model.device().deliver(&frame(7, 60)));
        assert_eq!(receive(&mut nic), Some(frame(7, 60)));
    }
    assert_works(&mut nic, &model);
}

#[test]
fn a_chip_that_is_gone_or_was_stopped_is_noticed() {
    let faults: [fn(&mut Device); 4] = [
        |chip| chip.gone = Some(0xff),
        |chip| chip.gone = Some(0),
        |chip| chip.bytes[0x37] = 0,
        |chip| chip.bytes[0x37] = 0x1c,
    ];
    for fault in faults {
        let (mut nic, model) = running(KINDS[4]);
        model.device().is_slow = true;
        for _ in 0..TRANSMITS {
            assert_eq!(transmit(&mut nic, &[0; 60]), Ok(()));
        }
        nic.kick();
        fault(&mut model.device());
        assert_eq!(transmit(&mut nic, &[0; 60]), Err(TransmitError::Broken));
        assert!(!nic.link_is_up());
        model.device().become_honest();
        assert_eq!(nic.restart(), Ok(()));
        assert_works(&mut nic, &model);
    }
}

#[test]
fn says_why_it_does_not_come_up() {
    type Fault = fn(&mut Device);
    let faults: [(Fault, NicError); 3] = [
        (|chip| chip.never_resets = true, NicError::ResetTimeout),
        (|chip| chip.gone = Some(0xff), NicError::Absent),
        (|chip| chip.gone = Some(0), NicError::Absent),
    ];
    for kind in KINDS {
        for (fault, error) in faults {
            let (model, memory) = Model::new(kind);
            fault(&mut model.device());
            assert_eq!(start(&model, memory).err(), Some(error));
        }
    }
}

#[test]
fn its_registers_are_in_memory_or_in_io_space() {
    let open = |function: Function| {
        let mut machine = Machine::default();
        machine.insert((0, 3, 0), function);
        let place = DeviceFunction { bus: 0, device: 3, function: 0 };
        let device = PciDevice::read(&mut machine, place).expect("a device");
        let memory = Box::leak(Box::new(Rtl8168Memory::new()));
        let chip = chip((0x10ec, 0x8168)).expect("a chip");
        let nic = Rtl8168Nic::open(&mut machine, &access(&NoPorts), WAITS, &device, chip, memory);
        (nic.map(|nic| matches!(nic.registers.0, Place::Memory(_))), machine.word((0, 3, 0), 1) & 7)
    };
    let function = || Function::new(0x10ec, 0x8168, 0x02_00_00);
    let io = function().bar(0, 0xc001, 0xffff_ff00);
    // Memory, and bus master; I/O, and bus master.
    assert_eq!(open(io.bar(2, 0xfebf_0000, 0xffff_f000)), (Ok(true), 6));
    assert_eq!(open(function().bar(0, 0xc001, 0xffff_ff00)), (Ok(false), 5));
    assert_eq!(open(function().bar(0, 0xc001, 0xffff_ff80)).0, Err(NicError::NoRegisters("memory")));
    assert_eq!(open(function()).0, Err(NicError::NoRegisters("memory")));
}

#[test]
fn only_its_ids_are_driven() {
    for (ids, name) in [
        ((0x10ec, 0x8168), Some("RTL8168")),
        ((0x10ec, 0x8125), Some("RTL8125")),
        ((0x10ec, 0x8136), Some("RTL8101")),
        ((0x10ec, 0x2600), Some("RTL8168")),
        ((0x10ec, 0x3000), Some("RTL8125")),
        // For 5 and 10 Gbit/s, which have another PHY; the older ones on PCI.
        ((0x10ec, 0x8126), None),
        ((0x10ec, 0x8127), None),
        ((0x10ec, 0x8169), None),
        ((0x10ec, 0x8139), None),
        ((0x8086, 0x8168), None),
    ] {
        assert_eq!(chip(ids).map(|chip| chip.name), name);
    }
    let said = chip((0x10ec, 0x8125)).expect("a chip").to_string();
    assert_eq!(said, "Realtek RTL8125 (driver written from public documents, not tried on a card)");
}

/// What may happen between the driver and a chip that lies.
#[derive(Clone, Debug)]
enum Step {
    Call(Call),
    Send(usize),
    Deliver(usize),
    DeliverAs(u32),
    Scribble(u64, u32),
    Forget(u64),
    Faults(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let work = prop_oneof![(0..5usize).prop_map(Step::Send), (0..3000usize).prop_map(Step::Deliver)];
    let lies = prop_oneof![
        4 => any::<u32>().prop_map(Step::DeliverAs),
        2 => (any::<u64>(), any::<u32>()).prop_map(|(place, status)| Step::Scribble(place, status & !(1 << 31))),
        1 => any::<u64>().prop_map(Step::Forget),
        1 => prop_oneof![2 => Just(0), 1 => any::<u8>()].prop_map(Step::Faults),
    ];
    prop_oneof![6 => call().prop_map(Step::Call), 3 => work, 3 => lies]
}

fn take(step: Step, nic: &mut Rtl8168<Model>, model: &Model) {
    model.device().accesses = 0;
    match step {
        Step::Call(call) => call.make(nic, 1536, 2048),
        Step::Send(count) => drop(model.device().send(count)),
        Step::Deliver(length) => drop(model.device().deliver(&vec![0xa5; length])),
        Step::DeliverAs(status) => drop(model.device().deliver_as(&[0xa5; 60], status)),
        Step::Scribble(place, status) => model.device().scribble(place, status),
        Step::Forget(place) => model.device().forget(place),
        Step::Faults(faults) => {
            let mut chip = model.device();
            chip.gone = (faults & 1 != 0).then_some(if faults & 2 == 0 { 0xff } else { 0 });
            chip.never_resets = faults & 4 != 0;
            chip.is_slow = faults & 8 != 0;
            chip.is_deaf = faults & 16 != 0;
            chip.phy_is_silent = faults & 32 != 0;
        }
    }
}

proptest! {
    /// Whatever the chip does, the driver ends each call, stays within its buffers, and works again once the chip does.
    #[test]
    fn no_chip_can_break_the_driver(kind in 0..KINDS.len(), steps in prop::collection::vec(step(), 0..200)) {
        let (mut nic, model) = running(KINDS[kind]);
        steps.into_iter().for_each(|step| take(step, &mut nic, &model));
        model.device().become_honest();
        prop_assert_eq!(nic.restart(), Ok(()));
        assert_works(&mut nic, &model);
    }
}
