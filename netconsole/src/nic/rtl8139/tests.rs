//! The driver against the model, honest and lying.

use super::model::{Device, FIRST_PORT, Model};
use super::*;
use crate::nic::WAITS;
use crate::nic::addresses::fake::{access, physical};
use crate::nic::conformance::{self, Wire};
use crate::nic::exchange::{Call, call, frame, receive, started, transmit};
use crate::nic::pci::DeviceFunction;
use crate::nic::pci::fake::{Function, Machine};
use proptest::prelude::*;

const PLACE: DeviceFunction = DeviceFunction { bus: 0, device: 3, function: 0 };
const OWN: MacAddr = MacAddr([2, b'n', b'c', 0, 3, 0]);
const BURNT_IN: MacAddr = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);

fn function() -> Function {
    Function::new(0x10ec, 0x8139, 0x02_00_00).bar(0, u32::from(FIRST_PORT) | 1, 0xffff_ff00)
}

/// Starts the card whose PCI function this is.
fn start(
    model: &'static Model,
    function: Function,
    memory: &'static mut Rtl8139Memory,
) -> Result<Rtl8139, NicError> {
    let mut machine = Machine::default();
    machine.insert((0, 3, 0), function);
    let device = PciDevice::read(&mut machine, PLACE).expect("a device");
    let nic = started(Rtl8139::open(&mut machine, &access(model), WAITS, &device, memory));
    // Bus master, I/O, no interrupts; and only where that is of use.
    assert_eq!(
        machine.word((0, 3, 0), 1) & 0xffff,
        if nic.as_ref().err() == Some(&NicError::NoRegisters("I/O")) { 0 } else { 0x405 }
    );
    nic
}

fn running() -> (Rtl8139, &'static Model) {
    let (model, memory) = Model::new();
    (start(model, function(), memory).expect("a card"), model)
}

/// The table of behaviours.
#[test]
fn conforms() {
    conformance::conforms("RTL8139", || {
        let (nic, model) = running();
        model.device().is_slow = true;
        (Box::new(nic), Box::new(model))
    });
}

impl Wire for &'static Model {
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
        self.device().link = is_up;
    }
    fn fail(&self) {
        self.device().gone = Some(0xff);
    }
    fn recover(&self) {
        self.device().become_honest();
        self.device().is_slow = true;
    }
    fn in_a_panic(&self) -> Box<dyn Nic> {
        let memory = super::model::memory();
        let start = physical(&raw const *memory);
        self.device().memory = start..start + size_of::<Rtl8139Memory>() as u64;
        Box::new(start_not(self, memory))
    }
}

/// The card, not started.
fn start_not(model: &'static Model, memory: &'static mut Rtl8139Memory) -> Rtl8139 {
    let mut machine = Machine::default();
    machine.insert((0, 3, 0), function());
    let device = PciDevice::read(&mut machine, PLACE).expect("a device");
    Rtl8139::open(&mut machine, &access(model), WAITS, &device, memory).expect("a card")
}

/// Frames go both ways, and around the ring.
fn assert_works(nic: &mut Rtl8139, model: &Model) {
    model.device().sent.clear();
    for number in 0..20 {
        let sent = frame(number, 1400 + number as usize);
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

#[test]
fn comes_up_from_what_the_firmware_left() {
    let (mut nic, model) = running();
    assert_eq!((nic.mac(), nic.mtu()), (BURNT_IN, 1500));
    assert_works(&mut nic, model);
    model.device().link = false;
    assert!(!nic.link_is_up());
    assert_eq!(nic.link_mode(), None);
}

#[test]
fn an_unusable_address_is_replaced() {
    for octets in [[0; 6], [0xff; 6], [1, 0, 0x5e, 0, 0, 1]] {
        let (model, memory) = Model::new();
        model.device().mac = octets;
        let mut nic = start(model, function(), memory).expect("a card");
        assert_eq!(nic.mac(), OWN);
        // The chip lets it in.
        assert_eq!(model.device().bytes[..6], OWN.0);
        assert_works(&mut nic, model);
    }
}

#[test]
fn the_link_s_speed_is_told() {
    let (mut nic, model) = running();
    let mode = |megabits, duplex| Some(LinkMode { megabits, duplex: Some(duplex) });
    // MSR, BMCR, what the other end can do (bit 6: 10 full, bit 8: 100 full).
    for (media, control, partner, told) in [
        (0x00, 1 << 12, 0x01e1, mode(100, Duplex::Full)),
        (0x00, 1 << 12, 0x00e1, mode(100, Duplex::Half)),
        (0x08, 1 << 12, 0x0061, mode(10, Duplex::Full)),
        (0x08, 1 << 12, 0x0121, mode(10, Duplex::Half)),
        (0x00, 1 << 8, 0, mode(100, Duplex::Full)),
        (0x08, 0, 0x01e1, mode(10, Duplex::Half)),
    ] {
        model.device().set(0x58, 1, media);
        model.device().set(0x62, 2, control);
        model.device().set(0x68, 2, partner);
        assert_eq!(nic.link_mode(), told, "{media:#x} {control:#x} {partner:#x}");
    }
}

#[test]
fn a_change_of_the_link_is_told_once() {
    let (mut nic, model) = running();
    assert!(!nic.link_has_changed());
    model.device().set(0x3e, 2, 1 << 5 | 1);
    assert!(nic.link_has_changed());
    assert!(!nic.link_has_changed());
}

#[test]
fn short_frames_are_filled_up_with_nothing_of_an_older_one() {
    let (mut nic, model) = running();
    for _ in 0..4 {
        assert_eq!(transmit(&mut nic, &[7; 100]), Ok(()));
    }
    assert_eq!(transmit(&mut nic, &[9; 42]), Ok(()));
    assert_eq!(model.device().sent[4], [&[9; 42][..], &[0; 18]].concat());
    // Of no length, and too long.
    assert_eq!(transmit(&mut nic, &[]), Ok(()));
    assert_eq!(nic.transmit(&mut |_| usize::MAX), Ok(()));
    assert_eq!(model.device().sent.len(), 6);
    assert_eq!(model.device().sent[5].len(), 1536);
}

#[test]
fn four_frames_under_way_are_the_most() {
    let (mut nic, model) = running();
    model.device().is_slow = true;
    for number in 0..4 {
        assert_eq!(transmit(&mut nic, &frame(number, 60)), Ok(()));
    }
    assert_eq!(transmit(&mut nic, &[0; 60]), Err(TransmitError::Full));
    assert!(!nic.is_drained());
    model.device().send(1);
    assert_eq!(transmit(&mut nic, &frame(4, 60)), Ok(()));
    assert_eq!(transmit(&mut nic, &[0; 60]), Err(TransmitError::Full));
    model.device().send(4);
    assert!(nic.is_drained());
    let sent: Vec<_> = (0..5).map(|number| frame(number, 60)).collect();
    assert_eq!(model.device().sent, sent);
}

#[test]
fn a_frame_that_was_given_up_or_ran_dry() {
    let (mut nic, model) = running();
    model.device().is_slow = true;
    assert_eq!(transmit(&mut nic, &[0; 60]), Ok(()));
    // OWN and TUN: sent all the same. OWN alone: not yet.
    model.device().set(0x10, 4, 1 << 13);
    assert!(!nic.is_drained());
    model.device().set(0x10, 4, 1 << 13 | 1 << 14);
    assert!(nic.is_drained());
    assert_eq!(transmit(&mut nic, &[0; 60]), Ok(()));
    // TABT: the chip stands still until it is reset.
    model.device().set(0x14, 4, 1 << 30);
    assert!(!nic.is_drained());
    assert_eq!(transmit(&mut nic, &[0; 60]), Err(TransmitError::Broken));
    assert!(!nic.link_is_up());
    model.device().become_honest();
    assert_eq!(nic.restart(), Ok(()));
    assert_works(&mut nic, model);
}

#[test]
fn a_full_ring_loses_frames_and_goes_on() {
    let (mut nic, model) = running();
    let mut delivered = 0;
    while model.device().deliver(&frame(delivered, 1500)) {
        delivered += 1;
    }
    assert_eq!(delivered, 5);
    // RXOVW.
    model.device().set(0x3e, 2, 1 << 4);
    for number in 0..delivered {
        assert_eq!(receive(&mut nic), Some(frame(number, 1500)));
    }
    assert_eq!(model.device().get(0x3e, 2), 0);
    assert_works(&mut nic, model);
}

#[test]
fn frames_that_are_too_long_are_dropped_and_unfinished_ones_waited_for() {
    let (mut nic, model) = running();
    assert!(model.device().deliver(&[1; 3000]));
    assert!(model.device().deliver(&frame(2, 60)));
    assert_eq!(receive(&mut nic), Some(frame(2, 60)));
    // Still being stored, then whole.
    let place = (model.device().get(0x38, 2) as u64 + 16) % 8192;
    assert!(model.device().deliver_as(&frame(3, 60), 0xfff0_0000));
    assert_eq!(receive(&mut nic), None);
    for (at, value) in [1, 0, 64, 0].into_iter().enumerate() {
        model.device().scribble(place + at as u64, value);
    }
    assert_eq!(receive(&mut nic), Some(frame(3, 60)));
    assert_works(&mut nic, model);
}

#[test]
fn no_lie_in_a_header_is_believed() {
    // Not ROK; each kind of damage; shorter than a header, and longer than the chip stores.
    let lies = [0, 64 << 16, 3 | 64 << 16, 5 | 64 << 16, 9 | 64 << 16, 17 | 64 << 16, 33 | 64 << 16];
    for header in lies.into_iter().chain([1, 1 | 3 << 16, 1 | 17 << 16, 1 | 4101 << 16, 1 | 0xffff << 16]) {
        let (mut nic, model) = running();
        assert!(model.device().deliver_as(&[0; 60], header));
        assert_eq!(receive(&mut nic), None, "{header:#x}");
        assert_eq!(transmit(&mut nic, &[0; 60]), Err(TransmitError::Broken), "{header:#x}");
        assert!(!nic.link_is_up());
        assert_eq!(nic.restart(), Ok(()));
        assert_works(&mut nic, model);
    }
}

#[test]
fn a_chip_that_is_gone_or_was_stopped_is_noticed() {
    let faults: [fn(&mut Device); 4] = [
        |chip| chip.gone = Some(0xff),
        |chip| chip.gone = Some(0),
        |chip| chip.bytes[0x37] = 1,
        |chip| chip.bytes[0x37] = 0x1c,
    ];
    for fault in faults {
        let (mut nic, model) = running();
        fault(&mut model.device());
        assert!(!nic.link_is_up());
        assert_eq!(transmit(&mut nic, &[0; 60]), Err(TransmitError::Broken));
        model.device().become_honest();
        assert_eq!(nic.restart(), Ok(()));
        assert_works(&mut nic, model);
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
    for (fault, error) in faults {
        let (model, memory) = Model::new();
        fault(&mut model.device());
        assert_eq!(start(model, function(), memory).err(), Some(error));
    }
    // No BAR, one in memory, one too short.
    for (content, writable) in [(0, 0), (0xfebf_0000, 0xffff_ff00), (0xc001, 0xffff_ff80)] {
        let (model, memory) = Model::new();
        let function = Function::new(0x10ec, 0x8139, 0x02_00_00).bar(0, content, writable);
        assert_eq!(start(model, function, memory).err(), Some(NicError::NoRegisters("I/O")));
    }
    // The heap lies higher.
    let (model, _) = Model::new();
    let memory = Box::leak(Box::new(Rtl8139Memory::new()));
    assert_eq!(start(model, function(), memory).err(), Some(NicError::Unreachable));
}

/// What may happen between the driver and a chip that lies.
#[derive(Clone, Debug)]
enum Step {
    Call(Call),
    Send(usize),
    Deliver(usize),
    /// A frame with any header, and any byte in the ring.
    DeliverAs(u32),
    Scribble(u64, u8),
    /// A register has changed.
    Register(usize, u8),
    Faults(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let work = prop_oneof![(0..5usize).prop_map(Step::Send), (60..3000usize).prop_map(Step::Deliver)];
    // What the chip itself goes by stays: the addresses that it was given.
    let register = prop_oneof![0..6usize, 0x10..0x20usize, 0x37..0x40usize, 0x58..0x6ausize];
    let lies = prop_oneof![
        4 => prop_oneof![any::<u32>(), (0..0x1100u32).prop_map(|length| 1 | length << 16)].prop_map(Step::DeliverAs),
        4 => (any::<u64>(), any::<u8>()).prop_map(|(at, value)| Step::Scribble(at, value)),
        2 => (register, any::<u8>()).prop_map(|(register, value)| Step::Register(register, value)),
        1 => prop_oneof![2 => Just(0), 1 => any::<u8>()].prop_map(Step::Faults),
    ];
    prop_oneof![6 => call().prop_map(Step::Call), 3 => work, 3 => lies]
}

fn take(step: Step, nic: &mut Rtl8139, model: &Model) {
    model.device().reads = 0;
    match step {
        Step::Call(call) => call.make(nic, 1536, 1536),
        Step::Send(count) => {
            let mut chip = model.device();
            if !chip.has_lied {
                chip.send(count);
            }
        }
        Step::Deliver(length) => drop(model.device().deliver(&vec![0xa5; length])),
        Step::DeliverAs(header) => drop(model.device().deliver_as(&[0xa5; 60], header)),
        Step::Scribble(at, value) => model.device().scribble(at, value),
        Step::Register(register, value) => {
            let mut chip = model.device();
            (chip.has_lied, chip.is_slow) = (true, true);
            chip.bytes[register] = value;
        }
        Step::Faults(faults) => {
            let mut chip = model.device();
            let has = |bit: u8| faults >> bit & 1 != 0;
            (chip.never_resets, chip.link, chip.is_slow) = (has(0), !has(2), has(3));
            chip.gone = has(1).then_some(if has(4) { 0 } else { 0xff });
        }
    }
}

// PROPTEST_CASES=40000 makes it millions of steps.
proptest! {
    /// No panic, no endless wait, nothing given outside the memory (the model asserts both); and once the chip is
    /// honest again, a restart is all that it takes.
    #[test]
    fn a_lying_chip_does_no_lasting_harm(steps in prop::collection::vec(step(), 1..200)) {
        let (mut nic, model) = running();
        for step in steps {
            take(step, &mut nic, model);
        }
        model.device().become_honest();
        prop_assert_eq!(nic.restart(), Ok(()));
        assert_works(&mut nic, model);
    }
}
