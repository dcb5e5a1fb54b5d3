//! The driver against the model, honest and lying.

use super::memory::{RECEIVE_BUFFERS, RING, TRANSMIT_BUFFERS};
use super::model::{Device, Model};
use super::*;
use crate::nic::addresses::fake::{offset, physical};
use crate::nic::conformance::{self, Wire};
use crate::nic::exchange::{Call, call, frame, receive, started, transmit};
use crate::nic::pci::DeviceFunction;
use crate::nic::pci::fake::{Function, Machine};
use proptest::prelude::*;

const OWN: MacAddr = MacAddr([2, b'n', b'c', 0, 3, 0]);
const PERMANENT: MacAddr = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);

/// The table of behaviours.
#[test]
fn conforms() {
    conformance::conforms("vmxnet3", || {
        let (model, memory) = Model::new();
        model.device().is_slow = true;
        (Box::new(opened(&model, memory)), Box::new(model))
    });
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
        self.device().link = 10_000 << 16 | u32::from(is_up);
    }
    fn fail(&self) {
        self.device().gone = Some(u32::MAX);
    }
    fn recover(&self) {
        self.device().become_honest();
        self.device().is_slow = true;
    }
    fn in_a_panic(&self) -> Box<dyn Nic> {
        let memory = Box::leak(Box::new(Vmxnet3Memory::new()));
        let start = physical(&raw const *memory);
        self.device().memory = start..start + size_of::<Vmxnet3Memory>() as u64;
        Box::new(opened(self, memory))
    }
}

/// The card, not started.
fn opened(model: &Model, memory: &'static mut Vmxnet3Memory) -> Vmxnet3<Model> {
    let offset = offset(memory);
    Vmxnet3::new(model.clone(), OWN, offset, memory)
}

fn start(model: &Model, memory: &'static mut Vmxnet3Memory) -> Result<Vmxnet3<Model>, NicError> {
    started(Ok(opened(model, memory)))
}

fn running() -> (Vmxnet3<Model>, Model) {
    let (model, memory) = Model::new();
    (start(&model, memory).expect("a card"), model)
}

/// Frames go both ways, several times around the rings.
fn assert_works(nic: &mut Vmxnet3<Model>, model: &Model) {
    model.device().sent.clear();
    for number in 0..3 * RING as u32 {
        let sent = frame(number, 60 + 13 * number as usize);
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
fn comes_up_from_what_somebody_else_left() {
    let (mut nic, model) = running();
    assert_eq!((nic.mac(), nic.mtu()), (PERMANENT, 1500));
    // The card's own address, all of multicast, broadcast.
    assert_eq!(model.device().receive_mode(), (1 | 4 | 8, true));
    assert_eq!(model.device().mac, PERMANENT.0);
    assert_works(&mut nic, &model);
    assert_eq!(nic.link_mode(), Some(LinkMode { megabits: 10_000, duplex: Some(Duplex::Full) }));
    model.device().link = 10_000 << 16;
    assert!(!nic.link_is_up());
    assert_eq!(nic.link_mode(), None);
}

#[test]
fn an_unusable_address_is_replaced() {
    for octets in [[0; 6], [0xff; 6], [1, 0, 0x5e, 0, 0, 1]] {
        let (model, memory) = Model::new();
        model.device().permanent_mac = octets;
        let mut nic = start(&model, memory).expect("a card");
        assert_eq!(nic.mac(), OWN);
        assert_eq!(model.device().mac, OWN.0, "the card lets it in");
        assert_works(&mut nic, &model);
    }
}

#[test]
fn a_change_of_the_link_is_told_once() {
    let (mut nic, model) = running();
    assert!(!nic.link_has_changed());
    // ECR_LINK, and one that is not known.
    model.device().notify(1 << 2 | 1 << 4);
    assert!(nic.link_has_changed());
    assert_eq!(model.device().events(), 0);
    assert!(!nic.link_has_changed());
}

#[test]
fn a_queue_s_error_is_noticed() {
    for event in [1 << 0, 1 << 1] {
        let (mut nic, model) = running();
        model.device().notify(event);
        assert!(!nic.link_has_changed());
        assert_eq!(transmit(&mut nic, &[0; 60]), Err(TransmitError::Broken));
        assert_eq!(nic.restart(), Ok(()));
        assert_works(&mut nic, &model);
    }
}

#[test]
fn the_card_is_told_once_of_many_frames() {
    let (mut nic, model) = running();
    for number in 0..10 {
        assert_eq!(transmit(&mut nic, &frame(number, 100)), Ok(()));
    }
    assert_eq!(model.device().sent.len(), 0);
    nic.kick();
    nic.kick();
    let card = model.device();
    assert_eq!((card.sent.len(), card.notifications), (10, 1));
}

#[test]
fn short_frames_are_filled_up_with_nothing_of_an_older_one() {
    let (mut nic, model) = running();
    for _ in 0..TRANSMIT_BUFFERS {
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
    assert_eq!(model.device().sent.len(), TRANSMIT_BUFFERS + 2);
    assert_eq!(model.device().sent.last().map(Vec::len), Some(1536));
}

#[test]
fn a_full_ring_refuses_until_a_frame_has_left() {
    let (mut nic, model) = running();
    model.device().is_slow = true;
    for number in 0..TRANSMIT_BUFFERS as u32 {
        assert_eq!(transmit(&mut nic, &frame(number, 60)), Ok(()));
    }
    nic.kick();
    for _ in 0..1000 {
        assert_eq!(transmit(&mut nic, &[0; 60]), Err(TransmitError::Full));
    }
    assert!(!nic.is_drained());
    assert!(model.device().accesses < 100, "it is not asked each time");
    model.device().send(1);
    assert_eq!(transmit(&mut nic, &frame(99, 60)), Ok(()));
    assert_eq!(transmit(&mut nic, &[0; 60]), Err(TransmitError::Full));
    nic.kick();
    model.device().send(usize::MAX);
    assert!(nic.is_drained());
    assert_eq!(model.device().sent.len(), TRANSMIT_BUFFERS + 1);
    assert_eq!(model.device().sent.last(), Some(&frame(99, 60)));
}

#[test]
fn one_answer_may_tell_of_several_frames() {
    let (mut nic, model) = running();
    model.device().is_slow = true;
    for number in 0..5 {
        assert_eq!(transmit(&mut nic, &frame(number, 60)), Ok(()));
    }
    nic.kick();
    model.device().answer_transmit(2, 0);
    assert!(!nic.is_drained());
    model.device().answer_transmit(4, 0);
    assert!(nic.is_drained());
}

#[test]
fn frames_without_a_buffer_are_lost_and_the_next_ones_come() {
    let (mut nic, model) = running();
    let mut delivered = 0;
    while model.device().deliver(&frame(delivered, 1500)) {
        delivered += 1;
    }
    assert_eq!(delivered, RECEIVE_BUFFERS as u32);
    for number in 0..delivered {
        assert_eq!(receive(&mut nic), Some(frame(number, 1500)));
    }
    assert_works(&mut nic, &model);
}

#[test]
fn buffers_that_the_card_leaves_out_come_back() {
    let (mut nic, model) = running();
    for skipped in [1, 3, RECEIVE_BUFFERS as u64 - 1] {
        let sent = frame(skipped as u32, 90);
        assert!(model.device().deliver_as(&sent, 1 << 14 | 1 << 15, 90, skipped));
        assert_eq!(receive(&mut nic), Some(sent));
    }
    assert_works(&mut nic, &model);
}

#[test]
fn what_is_no_whole_frame_is_dropped_and_its_buffer_used_again() {
    let (mut nic, model) = running();
    const WHOLE: u64 = 1 << 14 | 1 << 15;
    // Without an end, a begin; damaged; longer than the buffer; shorter than a header.
    let damaged =
        [(1 << 15, 60), (1 << 14, 60), (WHOLE, 60 | 1 << 14), (WHOLE, 2049), (WHOLE, 13), (WHOLE, 0)];
    for (first, second) in damaged.into_iter().cycle().take(50) {
        assert!(model.device().deliver_as(&[1; 60], first, second, 0));
        assert!(model.device().deliver(&frame(7, 60)));
        assert_eq!(receive(&mut nic), Some(frame(7, 60)));
    }
    assert_works(&mut nic, &model);
}

#[test]
fn an_answer_about_what_the_card_does_not_have_is_not_believed() {
    let lies: [fn(&mut Device); 5] = [
        // Not with the card any more, or not yet; beyond the ring.
        |card| card.answer_transmit(31, 0),
        |card| card.answer_transmit(5, 0),
        |card| card.answer_transmit(0xfff, u64::from(u32::MAX)),
        |card| card.answer_receive(RECEIVE_BUFFERS as u64 | 1 << 14 | 1 << 15, 60),
        |card| card.answer_receive(0x20 | 1 << 14 | 1 << 15, 60),
    ];
    for lie in lies {
        let (mut nic, model) = running();
        model.device().is_slow = true;
        assert_eq!(transmit(&mut nic, &[0; 60]), Ok(()));
        nic.kick();
        lie(&mut model.device());
        assert_eq!(receive(&mut nic), None);
        assert!(!nic.is_drained());
        assert_eq!(transmit(&mut nic, &[0; 60]), Err(TransmitError::Broken));
        assert!(!nic.link_is_up());
        model.device().become_honest();
        assert_eq!(nic.restart(), Ok(()));
        assert_works(&mut nic, &model);
    }
}

#[test]
fn a_card_that_is_gone_or_has_given_up_is_noticed() {
    let faults: [fn(&mut Device); 2] = [|card| card.gone = Some(u32::MAX), |card| card.is_stopped = true];
    for fault in faults {
        let (mut nic, model) = running();
        model.device().is_slow = true;
        for _ in 0..TRANSMIT_BUFFERS {
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
    let (mut nic, model) = running();
    model.device().gone = Some(u32::MAX);
    assert!(!nic.link_is_up());
    assert_eq!(transmit(&mut nic, &[0; 60]), Err(TransmitError::Broken));
}

#[test]
fn says_why_it_does_not_come_up() {
    type Fault = fn(&mut Device);
    let faults: [(Fault, NicError); 4] = [
        (|card| card.gone = Some(u32::MAX), NicError::Absent),
        (|card| card.gone = Some(0), NicError::MissingFeature("its first revision")),
        (|card| card.revisions = 0b10, NicError::MissingFeature("its first revision")),
        (|card| card.never_starts = true, NicError::NotStarted),
    ];
    for (fault, error) in faults {
        let (model, memory) = Model::new();
        fault(&mut model.device());
        assert_eq!(start(&model, memory).err(), Some(error));
    }
}

#[test]
fn its_function_must_have_both_parts() {
    let function = || Function::new(0x15ad, 0x07b0, 0x02_00_00);
    let (memory, short, io) = ((0xfebf_0000, 0xffff_f000), (0xfebf_0800, 0xffff_f800), (0xc001, 0xffff_f000));
    let open = |first: (u32, u32), second: (u32, u32)| {
        let mut machine = Machine::default();
        machine.insert((0, 3, 0), function().bar(0, first.0, first.1).bar(1, second.0, second.1));
        let place = DeviceFunction { bus: 0, device: 3, function: 0 };
        let device = PciDevice::read(&mut machine, place).expect("a device");
        let own = Box::leak(Box::new(Vmxnet3Memory::new()));
        Vmxnet3Nic::open(&mut machine, &crate::nic::NO_PORTS, &device, own).err()
    };
    assert_eq!(open(memory, (memory.0 + 0x1000, memory.1)), None);
    for other in [short, io, (0, 0)] {
        assert_eq!(open(memory, other), Some(NicError::NoRegisters("memory")));
        assert_eq!(open(other, memory), Some(NicError::NoRegisters("memory")));
    }
    assert!(drives((0x15ad, 0x07b0)) && !drives((0x15ad, 0x0720)) && !drives((0x10ec, 0x07b0)));
}

/// What may happen between the driver and a card that lies.
#[derive(Clone, Debug)]
enum Step {
    Call(Call),
    Send(usize),
    Deliver(usize),
    AnswerTransmit(u64, u64),
    AnswerReceive(u64, u64),
    Events(u32),
    Faults(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let work = prop_oneof![(0..5usize).prop_map(Step::Send), (0..3000usize).prop_map(Step::Deliver)];
    // Near what is due, or anything.
    let first = || prop_oneof![(0..40u64).prop_map(|index| index | 1 << 14 | 1 << 15), any::<u64>()];
    let lies = prop_oneof![
        4 => (first(), any::<u64>()).prop_map(|(first, second)| Step::AnswerTransmit(first, second)),
        4 => (first(), prop_oneof![0..2100u64, any::<u64>()])
            .prop_map(|(first, second)| Step::AnswerReceive(first, second)),
        1 => any::<u32>().prop_map(Step::Events),
        1 => prop_oneof![2 => Just(0), 1 => any::<u8>()].prop_map(Step::Faults),
    ];
    prop_oneof![6 => call().prop_map(Step::Call), 3 => work, 3 => lies]
}

fn take(step: Step, nic: &mut Vmxnet3<Model>, model: &Model) {
    model.device().accesses = 0;
    match step {
        Step::Call(call) => call.make(nic, 1536, 2048),
        Step::Send(count) => drop(model.device().send(count)),
        Step::Deliver(length) => drop(model.device().deliver(&vec![0xa5; length])),
        Step::AnswerTransmit(first, second) if model.device().is_active => {
            model.device().answer_transmit(first, second);
        }
        Step::AnswerReceive(first, second) if model.device().is_active => {
            model.device().answer_receive(first, second);
        }
        Step::Events(events) if model.device().is_active => model.device().notify(events),
        Step::AnswerTransmit(..) | Step::AnswerReceive(..) | Step::Events(_) => {}
        Step::Faults(faults) => {
            let mut card = model.device();
            card.gone = (faults & 1 != 0).then_some(if faults & 2 == 0 { u32::MAX } else { 0 });
            card.never_starts = faults & 4 != 0;
            card.is_stopped = faults & 8 != 0;
            card.is_slow = faults & 16 != 0;
            card.link = if faults & 32 != 0 { 0 } else { 1 };
        }
    }
}

proptest! {
    /// Whatever the card does, the driver ends each call, stays within its buffers, and works again once the card does.
    #[test]
    fn no_card_can_break_the_driver(steps in prop::collection::vec(step(), 0..200)) {
        let (mut nic, model) = running();
        steps.into_iter().for_each(|step| take(step, &mut nic, &model));
        model.device().become_honest();
        prop_assert_eq!(nic.restart(), Ok(()));
        assert_works(&mut nic, &model);
    }
}
