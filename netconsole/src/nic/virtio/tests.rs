//! The driver against the model, honest and lying.

use super::model::{Device, EVENT_IDX, Model, Queue, RX, TX, USUAL_FEATURES};
use super::net::{FEATURES, PANIC_FEATURES, VirtioNet, VirtioNetMemory};
use crate::nic::addresses::fake::{offset, physical};
use crate::nic::conformance::{self, Wire};
use crate::nic::exchange::{Call, call, frame, receive, transmit};
use crate::nic::{Duplex, LinkMode, Nic, NicError, TransmitError, WAITS};
use crate::wire::MacAddr;
use proptest::prelude::*;
use std::cell::RefCell;
use std::rc::Rc;

/// Small, so that they fill and wrap often.
const SENDING: usize = 8;
const RECEIVING: usize = 4;
const OWN: MacAddr = MacAddr([2, 0x6e, 0x63, 0, 3, 0]);

type Card = VirtioNet<Model, SENDING, RECEIVING>;
type Handle = Rc<RefCell<Device>>;

/// The table of behaviours, for a card of either age.
#[test]
fn conforms() {
    for is_legacy in [false, true] {
        conformance::conforms(if is_legacy { "virtio, legacy" } else { "virtio" }, || {
            let (nic, device) = if is_legacy { legacy_card(256) } else { card(FEATURES) };
            (Box::new(nic), Box::new(End(device)))
        });
    }
}

struct End(Handle);

impl Wire for End {
    fn send(&self, count: usize) -> usize {
        self.0.borrow_mut().send(count)
    }
    fn sent(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.0.borrow_mut().sent)
    }
    fn deliver(&self, frame: &[u8]) -> bool {
        self.0.borrow_mut().deliver(frame)
    }
    fn set_link(&self, is_up: bool) {
        self.0.borrow_mut().config[6] = is_up.into();
    }
    fn fail(&self) {
        self.0.borrow_mut().status = 0;
    }
    fn vanish(&self) {
        let mut device = self.0.borrow_mut();
        (device.never_resets, device.status) = (true, 0xff);
    }
    fn recover(&self) {
        self.0.borrow_mut().become_honest();
    }
    fn in_a_panic(&self) -> Box<dyn Nic> {
        let memory = Box::leak(Box::new(VirtioNetMemory::<SENDING, RECEIVING>::new()));
        let start = physical(&raw const *memory);
        self.0.borrow_mut().memory = start..start + size_of_val(memory) as u64;
        let offset = offset(&raw const *memory);
        Box::new(VirtioNet::new(Model(self.0.clone()), WAITS, PANIC_FEATURES, OWN, offset, memory))
    }
}

/// A card that was not started, and its device.
fn card(wanted: u64) -> (Card, Handle) {
    card_of(wanted)
}

fn card_of<const TX: usize, const RX: usize>(wanted: u64) -> (VirtioNet<Model, TX, RX>, Handle) {
    // Leaked: a device keeps the addresses.
    let memory = Box::leak(Box::new(VirtioNetMemory::new()));
    let start = physical(&raw const *memory);
    let device = Rc::new(RefCell::new(Device::new(start..start + size_of_val(memory) as u64)));
    (VirtioNet::new(Model(device.clone()), WAITS, wanted, OWN, offset(&raw const *memory), memory), device)
}

fn running() -> (Card, Handle) {
    let (mut nic, device) = card(FEATURES);
    assert_eq!(nic.restart(), Ok(()));
    (nic, device)
}

/// Frames go both ways.
fn assert_works(nic: &mut dyn Nic, device: &Handle) {
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
}

#[test]
fn comes_up_with_what_the_card_offers() {
    let (mut nic, device) = running();
    assert_eq!(nic.mac(), MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]));
    assert_eq!(nic.mtu(), 1500);
    assert!(nic.link_is_up());
    // MTU, MAC, STATUS, EVENT_IDX, VERSION_1: no offload, no merging.
    assert_eq!(device.borrow().driver_features, 1 << 3 | 1 << 5 | 1 << 16 | 1 << 29 | 1 << 32);
    assert_eq!(device.borrow().status, 1 | 2 | 4 | 8);
    assert_eq!(device.borrow_mut().queue(RX).expect("a queue").waiting(), RECEIVING as u16);
    assert_works(&mut nic, &device);

    device.borrow_mut().config[6] = 0;
    assert!(!nic.link_is_up());
}

#[test]
fn a_card_in_a_panic_takes_the_least() {
    let (mut nic, device) = card(PANIC_FEATURES);
    assert_eq!(nic.restart(), Ok(()));
    // MAC, STATUS, VERSION_1.
    assert_eq!(device.borrow().driver_features, 1 << 5 | 1 << 16 | 1 << 32);
    assert_works(&mut nic, &device);
    device.borrow_mut().config[6] = 0;
    assert!(!nic.link_is_up());
}

#[test]
fn a_card_in_a_panic_without_a_status_field_has_link() {
    let (mut nic, device) = card(PANIC_FEATURES);
    device.borrow_mut().features &= !(1 << 16);
    assert_eq!(nic.restart(), Ok(()));
    device.borrow_mut().config[6] = 0;
    assert!(nic.link_is_up());
    assert_works(&mut nic, &device);
}

#[test]
fn an_unusable_address_is_replaced() {
    for octets in [[0; 6], [0xff; 6], [1, 0, 0x5e, 0, 0, 1]] {
        let (mut nic, device) = card(FEATURES);
        device.borrow_mut().config[..6].copy_from_slice(&octets);
        assert_eq!(nic.restart(), Ok(()));
        assert_eq!(nic.mac(), OWN);
    }
    let (mut nic, device) = card(FEATURES);
    device.borrow_mut().features &= !(1 << 5);
    assert_eq!(nic.restart(), Ok(()));
    assert_eq!(nic.mac(), OWN);
}

#[test]
fn only_an_mtu_that_the_buffers_hold_is_taken() {
    for (offered, mtu, taken) in [
        (1500u16, 1500, true),
        (1280, 1280, true),
        (68, 68, true),
        (67, 1500, false),
        (0, 1500, false),
        (9000, 1500, false),
    ] {
        let (mut nic, device) = card(FEATURES);
        device.borrow_mut().config[10..12].copy_from_slice(&offered.to_le_bytes());
        assert_eq!(nic.restart(), Ok(()));
        assert_eq!(nic.mtu(), mtu);
        assert_eq!(device.borrow().driver_features & 1 << 3 != 0, taken);
    }
}

#[test]
fn the_link_s_speed_is_told_where_the_card_knows_it() {
    let mode = |megabits, duplex| Some(LinkMode { megabits, duplex });
    for (offered, speed, duplex, told) in [
        (true, 1000u32, 1, mode(1000, Some(Duplex::Full))),
        (true, 10, 0, mode(10, Some(Duplex::Half))),
        (true, 0, 2, mode(0, None)),
        (true, i32::MAX as u32, 0xff, mode(i32::MAX as u32, None)),
        (true, 1 << 31, 1, None),
        (true, u32::MAX, 0xff, None),
        (false, 1000, 1, None),
    ] {
        let (mut nic, device) = card(FEATURES);
        device.borrow_mut().features |= u64::from(offered) << 63;
        device.borrow_mut().config[12..16].copy_from_slice(&speed.to_le_bytes());
        device.borrow_mut().config[16] = duplex;
        assert_eq!(nic.restart(), Ok(()));
        assert_eq!(nic.link_mode(), told);
        device.borrow_mut().config[6] = 0;
        assert_eq!(nic.link_mode(), None, "the link is down");
    }
}

#[test]
fn a_reset_is_waited_for_half_a_second_and_no_longer() {
    for (reads, result) in [(499_000, Ok(())), (501_000, Err(NicError::ResetTimeout))] {
        let (mut nic, device) = card(FEATURES);
        (device.borrow_mut().status, device.borrow_mut().reset_reads) = (4, reads);
        assert_eq!(nic.restart(), result, "{reads}");
    }
}

/// Each try looks at the generation twice.
#[test]
fn a_configuration_that_changes_is_read_16_times() {
    for (changes, result) in [(30, Ok(())), (32, Err(NicError::Configuration))] {
        let (mut nic, device) = card(FEATURES);
        device.borrow_mut().restless = changes;
        assert_eq!(nic.restart(), result);
    }
}

#[test]
fn says_why_it_does_not_come_up_and_then_does() {
    type Fault = fn(&mut Device);
    let faults: [(Fault, NicError); 8] = [
        (|device| device.features &= !(1 << 32), NicError::MissingFeature("virtio 1.0 (VIRTIO_F_VERSION_1)")),
        (|device| device.refuses_features = true, NicError::FeaturesRefused),
        (|device| (device.never_resets, device.status) = (true, 4), NicError::ResetTimeout),
        // It has gone: a few looks are enough.
        (|device| (device.never_resets, device.status) = (true, 0xff), NicError::Absent),
        (|device| device.max_sizes[RX] = 0, NicError::NoQueue(0)),
        (|device| device.max_sizes[RX] = 3, NicError::NoQueue(0)),
        (|device| device.max_sizes[TX] = 0, NicError::NoQueue(1)),
        (|device| device.restless = u32::MAX, NicError::Configuration),
    ];
    for (fault, error) in faults {
        let (mut nic, device) = card(FEATURES);
        fault(&mut device.borrow_mut());
        assert_eq!(nic.restart(), Err(error));
        assert_eq!(transmit(&mut nic, &[0; 60]), Err(TransmitError::Broken));
        // 2.1.2: FAILED, but where the device is still in reset.
        assert_eq!(device.borrow().status & 128 != 0, error != NicError::ResetTimeout);
        device.borrow_mut().become_honest();
        assert_eq!(nic.restart(), Ok(()));
        assert_works(&mut nic, &device);
    }
}

#[test]
fn odd_and_huge_queues_serve() {
    for size in [9, 100, 32768, 65535, u32::MAX] {
        let (mut nic, device) = card(FEATURES);
        device.borrow_mut().max_sizes = [size; 2];
        assert_eq!(nic.restart(), Ok(()));
        assert_works(&mut nic, &device);
    }
}

/// Buffers of 1,536 bytes with 7,680 for what is too long: of 16, eight are enough.
#[test]
fn a_card_that_wants_room_for_65562_bytes_hears() {
    for features in [FEATURES, PANIC_FEATURES] {
        let (mut nic, device) = card_of::<16, 16>(features);
        device.borrow_mut().room_wanted = 65_562;
        assert_eq!(nic.restart(), Ok(()));
        assert_works(&mut nic, &device);
        // As many as come before the driver looks.
        for number in 0..9 {
            assert!(device.borrow_mut().deliver(&frame(number, 1514)), "{number}");
        }
        assert!(!device.borrow_mut().deliver(&[0; 60]));
        for number in 0..9 {
            assert_eq!(receive(&mut nic), Some(frame(number, 1514)));
        }
        assert_works(&mut nic, &device);
    }
}

/// More frames than either queue has entries, of all sizes with which every buffer is in use.
#[test]
fn a_card_that_ignores_its_queues_sizes_is_told_its_own() {
    for size in [4, 8, 64, 256, 512, 1024] {
        let (mut nic, device) = card_of::<16, 16>(FEATURES);
        (device.borrow_mut().max_sizes, device.borrow_mut().ignores_sizes) = ([size; 2], true);
        assert_eq!(nic.restart(), Ok(()), "{size}");
        for _ in 0..110 {
            assert_works(&mut nic, &device);
        }
    }
}

#[test]
fn a_frame_too_long_for_a_buffer_is_dropped_and_harms_nothing() {
    let (mut nic, device) = card_of::<16, 16>(FEATURES);
    assert_eq!(nic.restart(), Ok(()));
    for length in [1525, 1536, 4000, 1536 + 3 * 2560 - 12] {
        assert!(device.borrow_mut().deliver(&frame(1, 1524)));
        assert!(device.borrow_mut().deliver(&frame(2, length)));
        assert!(device.borrow_mut().deliver(&frame(3, 60)));
        assert_eq!(receive(&mut nic), Some(frame(1, 1524)));
        assert_eq!(receive(&mut nic), Some(frame(3, 60)), "{length}");
        assert_eq!(receive(&mut nic), None);
    }
    assert_works(&mut nic, &device);
}

/// The sizes that a legacy card dictates, and how many of the buffers serve then.
#[test]
fn a_legacy_card_s_queue_of_any_size_serves() {
    for (size, sending) in [(2, 1), (4, 2), (8, 4), (16, 8), (64, 8), (256, 6), (512, 5)] {
        legacy_card_serves::<SENDING, SENDING>(size, sending);
    }
    // The panic path's.
    for (size, sending) in [(128, 16), (256, 14), (512, 10), (1024, 10)] {
        legacy_card_serves::<16, 16>(size, sending);
    }
    for size in [0, 1, 3, 255, 2048, 1 << 16, u32::MAX] {
        let (mut nic, _) = legacy_card::<16, 16>(size);
        assert_eq!(nic.restart(), Err(NicError::NoQueue(1)), "{size}");
    }
}

fn legacy_card<const TX: usize, const RX: usize>(size: u32) -> (VirtioNet<Model, TX, RX>, Handle) {
    let (nic, device) = card_of(FEATURES);
    (device.borrow_mut().is_legacy, device.borrow_mut().max_sizes) = (true, [size; 2]);
    (nic, device)
}

fn legacy_card_serves<const TX: usize, const RX: usize>(size: u32, sending: u32) {
    for features in [USUAL_FEATURES, 1 << 5] {
        let (mut nic, device) = legacy_card::<TX, RX>(size);
        device.borrow_mut().features = features;
        assert_eq!(nic.restart(), Ok(()), "{size}");
        // No merging, and nothing of a later time.
        assert_eq!(device.borrow().driver_features, features & (1 << 3 | 1 << 5 | 1 << 16 | 1 << 29));
        assert_works(&mut nic, &device);
        for number in 0..sending {
            assert_eq!(transmit(&mut nic, &frame(number, 1514)), Ok(()), "of {size}");
        }
        assert_eq!(transmit(&mut nic, &[0; 60]), Err(TransmitError::Full), "of {size}");
        device.borrow_mut().send(usize::MAX);
        assert_works(&mut nic, &device);
    }
}

#[test]
fn a_full_queue_says_so_until_a_frame_is_done() {
    let (mut nic, device) = running();
    for number in 0..SENDING {
        assert_eq!(transmit(&mut nic, &frame(number as u32, 60)), Ok(()));
    }
    assert_eq!(transmit(&mut nic, &[0; 60]), Err(TransmitError::Full));
    assert!(!nic.is_drained());
    device.borrow_mut().send(1);
    assert_eq!(transmit(&mut nic, &[0; 60]), Ok(()));
    assert_eq!(transmit(&mut nic, &[0; 60]), Err(TransmitError::Full));
    device.borrow_mut().send(SENDING);
    assert!(nic.is_drained());
    assert_eq!(device.borrow().sent.len(), SENDING + 1);
}

#[test]
fn a_frame_of_no_length_is_none_and_one_too_long_is_cut() {
    let (mut nic, device) = running();
    for _ in 0..2 * SENDING {
        assert_eq!(nic.transmit(&mut |_| 0), Ok(()));
    }
    assert_eq!(device.borrow_mut().send(1), 0);
    assert_eq!(nic.transmit(&mut |_| usize::MAX), Ok(()));
    device.borrow_mut().send(1);
    assert_eq!(device.borrow().sent[0].len(), 1536 - 12);
}

#[test]
fn received_frames_keep_their_order_and_runts_are_dropped() {
    let (mut nic, device) = running();
    for (number, length) in [(1, 60), (2, 14), (3, 1514)] {
        assert!(device.borrow_mut().deliver(&frame(number, length)));
    }
    assert!(device.borrow_mut().deliver(&[0; 13]));
    assert!(!device.borrow_mut().deliver(&[0; 60]), "all buffers are taken");
    for (number, length) in [(1, 60), (2, 14), (3, 1514)] {
        assert_eq!(receive(&mut nic), Some(frame(number, length)));
    }
    assert_eq!(receive(&mut nic), None);
    // Nothing behind the header: more often than there are buffers.
    for _ in 0..100 {
        assert!(device.borrow_mut().deliver(&[]));
        assert_eq!(receive(&mut nic), None);
    }
    assert_works(&mut nic, &device);
}

#[test]
fn a_request_for_a_reset_is_noticed() {
    for status in [1 | 2 | 4 | 8 | 64, 1 | 2 | 4, 0, 0xff] {
        let (mut nic, device) = running();
        device.borrow_mut().status = status;
        assert!(!nic.link_is_up());
        assert_eq!(transmit(&mut nic, &[0; 60]), Err(TransmitError::Broken));

        assert_eq!(nic.restart(), Ok(()));
        for _ in 0..SENDING {
            assert_eq!(transmit(&mut nic, &[0; 60]), Ok(()));
        }
        device.borrow_mut().status = status;
        assert_eq!(transmit(&mut nic, &[0; 60]), Err(TransmitError::Broken));
        assert_eq!(nic.restart(), Ok(()));
        assert_works(&mut nic, &device);
    }
}

/// Each lie alone: the card is broken from then on, calls neither `build` nor `take`, and restarts.
#[test]
fn no_lie_in_a_used_ring_is_believed() {
    // The queue, its element 0 (id, length), and the index.
    let lies = [
        (TX, (8, 0), 1),
        (TX, (u32::MAX, 0), 1),
        (TX, (0x1_0000, 0), 1),
        (TX, (7, 0), 1),
        (TX, (0, 0), 3),
        (TX, (0, 0), u16::MAX),
        (RX, (4, 60), 1),
        (RX, (0, 0), 1),
        (RX, (0, 11), 1),
        (RX, (0, 1536 + 3 * 2560 + 1), 1),
        (RX, (0, u32::MAX), 1),
        (RX, (0, 60), 5),
        (RX, (0, 60), 0x8000),
        (RX, (0, 60), u16::MAX),
    ];
    for (queue, (id, length), index) in lies {
        let (mut nic, device) = running();
        for _ in 0..2 {
            assert_eq!(transmit(&mut nic, &[0; 60]), Ok(()));
        }
        if let Some(queue) = device.borrow_mut().queue(queue) {
            queue.write_used(0, id, length);
            queue.set_used_index(index);
        }
        assert!(!nic.is_drained());
        assert_eq!(receive(&mut nic), None, "{queue} {id} {length} {index}");
        assert_eq!(transmit(&mut nic, &[0; 60]), Err(TransmitError::Broken), "{queue} {id} {length} {index}");
        assert!(!nic.link_is_up());
        assert_eq!(nic.restart(), Ok(()));
        assert_works(&mut nic, &device);
    }
}

#[test]
fn a_buffer_handed_back_twice_is_not_believed() {
    let (mut nic, device) = running();
    for _ in 0..3 {
        assert_eq!(transmit(&mut nic, &[0; 60]), Ok(()));
    }
    device.borrow_mut().send(2);
    if let Some(queue) = device.borrow_mut().queue(TX) {
        queue.write_used(1, 0, 0);
    }
    assert!(!nic.is_drained());
    assert_eq!(transmit(&mut nic, &[0; 60]), Err(TransmitError::Broken));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3))]

    /// Frames out are frames in, in batches, over the wrap of the 16-bit indices, and the device is told
    /// exactly when it asked to be.
    #[test]
    fn an_honest_device_sees_every_frame_and_the_notifications_it_asked_for(
        batches in prop::collection::vec((1..=SENDING, any::<bool>(), 0..=SENDING), 1..40),
    ) {
        for features in [USUAL_FEATURES, USUAL_FEATURES & !EVENT_IDX] {
            send_over_the_wrap(features, &batches)?;
        }
    }
}

/// Each batch: how many frames, whether the device asked to be told, how many it takes afterwards.
fn send_over_the_wrap(features: u64, batches: &[(usize, bool, usize)]) -> Result<(), TestCaseError> {
    let (mut nic, device) = card(FEATURES);
    device.borrow_mut().features = features;
    prop_assert_eq!(nic.restart(), Ok(()));
    let (mut next, mut expected) = (0, 0);
    let mut batches = batches.iter().cycle();
    // Each run crosses 65536 once, whatever the batches are.
    while next < 70_000 {
        let &(size, asleep, taken) = batches.next().expect("a cycle");
        {
            let mut device = device.borrow_mut();
            if asleep {
                // Before it sleeps it takes what there is (2.7.10.1).
                device.send(usize::MAX);
                device.ask_for_notification(TX);
            } else {
                device.decline_notifications(TX);
            }
            device.notifications[TX] = 0;
        }
        let mut queued = 0;
        while queued < size && transmit(&mut nic, &frame(next, 20)).is_ok() {
            (next, queued) = (next + 1, queued + 1);
        }
        nic.kick();
        nic.kick();
        let mut device = device.borrow_mut();
        prop_assert_eq!(device.notifications[TX], usize::from(asleep && queued > 0));
        device.send(taken.max(1));
        for sent in device.sent.drain(..) {
            prop_assert_eq!(sent, frame(expected, 20));
            expected += 1;
        }
    }
    device.borrow_mut().send(usize::MAX);
    prop_assert!(nic.is_drained());
    prop_assert_eq!(device.borrow().sent.len(), (next - expected) as usize);
    Ok(())
}

#[test]
fn reception_wraps_too() {
    let (mut nic, device) = running();
    device.borrow_mut().decline_notifications(RX);
    device.borrow_mut().notifications[RX] = 0;
    for number in 0..70_000 {
        assert!(device.borrow_mut().deliver(&frame(number, 14)));
        if number % 3 == 2 {
            for number in number - 2..=number {
                assert_eq!(receive(&mut nic), Some(frame(number, 14)));
            }
            device.borrow_mut().decline_notifications(RX);
        }
    }
    assert_eq!(device.borrow().notifications[RX], 0);
    assert!(receive(&mut nic).is_some());
    device.borrow_mut().ask_for_notification(RX);
    while device.borrow_mut().deliver(&frame(0, 14)) {}
    device.borrow_mut().ask_for_notification(RX);
    while receive(&mut nic).is_some() {}
    assert_eq!(device.borrow().notifications[RX], 1);
}

/// What may happen between the driver and a device that lies.
#[derive(Clone, Debug)]
enum Step {
    Call(Call),
    Send(usize),
    Deliver(usize),
    /// It lies in the used ring: queue, slot, id, length.
    Element(usize, u16, u32, u32),
    /// It moves a used index by this much.
    Advance(usize, u16),
    Flags(usize, u16),
    Event(usize, u16),
    Status(u32),
    Config([u8; 17]),
    Features(u64),
    Sizes([u32; 2]),
    Restless(bool),
    NeverResets(bool),
    RefusesFeatures(bool),
}

fn queue() -> impl Strategy<Value = usize> {
    prop_oneof![Just(RX), Just(TX)]
}

/// Small numbers, the edges, and any other.
fn number() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0..20u32, 2 => 1500..1600u32, 2 => 9200..9230u32, 1 => Just(u32::MAX), 1 => 65530..65550u32, 1 => any::<u32>()]
}

fn step() -> impl Strategy<Value = Step> {
    let work = prop_oneof![(0..10usize).prop_map(Step::Send), (0..1500usize).prop_map(Step::Deliver)];
    let ring = prop_oneof![
        3 => (queue(), 0..8u16, number(), number()).prop_map(|(q, slot, id, length)| Step::Element(q, slot, id, length)),
        2 => (queue(), prop_oneof![4 => 0..5u16, 1 => any::<u16>()]).prop_map(|(q, by)| Step::Advance(q, by)),
        1 => (queue(), any::<u16>()).prop_map(|(q, flags)| Step::Flags(q, flags)),
        1 => (queue(), any::<u16>()).prop_map(|(q, event)| Step::Event(q, event)),
    ];
    let register = prop_oneof![
        prop_oneof![Just(0x4f), Just(0), Just(0xff), 0..256u32].prop_map(Step::Status),
        any::<[u8; 17]>().prop_map(Step::Config),
        prop_oneof![any::<u64>(), any::<u64>().prop_map(|bits| bits | 1 << 32)].prop_map(Step::Features),
        [number(), number()].prop_map(Step::Sizes),
        any::<bool>().prop_map(Step::Restless),
        prop::bool::weighted(0.2).prop_map(Step::NeverResets),
        any::<bool>().prop_map(Step::RefusesFeatures),
    ];
    prop_oneof![6 => call().prop_map(Step::Call), 3 => work, 3 => ring, 1 => register]
}

fn take(step: Step, nic: &mut Card, device: &Handle) {
    let ring = |queue, lie: &dyn Fn(&mut Queue)| {
        let mut device = device.borrow_mut();
        device.lied = true;
        if let Some(queue) = device.queue(queue) {
            lie(queue);
        }
    };
    match step {
        Step::Call(call) => call.make(nic, 1536 - 12, 1536 - 12),
        Step::Send(count) => drop(device.borrow_mut().send(count)),
        Step::Deliver(length) => drop(device.borrow_mut().deliver(&vec![0xa5; length])),
        Step::Element(queue, slot, id, length) => ring(queue, &|queue| queue.write_used(slot, id, length)),
        Step::Advance(queue, by) => {
            ring(queue, &|queue| queue.set_used_index(queue.used_index().wrapping_add(by)));
        }
        Step::Flags(queue, flags) => ring(queue, &|queue| queue.set_flags(flags)),
        Step::Event(queue, event) => ring(queue, &|queue| queue.set_avail_event(event)),
        Step::Status(status) => {
            let mut device = device.borrow_mut();
            (device.status, device.lied) = (status, true);
        }
        Step::Config(config) => {
            let mut device = device.borrow_mut();
            (device.config, device.generation) = (config, device.generation + 1);
        }
        Step::Features(features) => device.borrow_mut().features = features,
        Step::Sizes(sizes) => device.borrow_mut().max_sizes = sizes,
        Step::Restless(restless) => device.borrow_mut().restless = if restless { u32::MAX } else { 0 },
        Step::NeverResets(never) => device.borrow_mut().never_resets = never,
        Step::RefusesFeatures(refuses) => device.borrow_mut().refuses_features = refuses,
    }
}

// PROPTEST_CASES=40000 makes it millions of steps.
proptest! {
    /// No panic, no endless wait, nothing given outside the memory (the model asserts both); and once
    /// the device is honest again, a restart is all that it takes.
    #[test]
    fn a_lying_device_does_no_lasting_harm(
        is_legacy: bool,
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let (mut nic, device) = if is_legacy { legacy_card(256) } else { card(FEATURES) };
        prop_assert_eq!(nic.restart(), Ok(()));
        for step in steps {
            take(step, &mut nic, &device);
        }
        device.borrow_mut().become_honest();
        prop_assert_eq!(nic.restart(), Ok(()));
        assert_works(&mut nic, &device);
    }
}
