use super::model::Firmware;
use super::*;
use crate::nic::conformance::{self, Wire};
use crate::nic::exchange::{Call, call, frame, receive, started, transmit};
use crate::nic::waits::fake::{WAITS, pass};
use proptest::prelude::*;

/// The driver, not started, of this firmware's card.
fn driver(firmware: &'static Firmware) -> FirmwareNic {
    let memory =
        FirmwareMemory { transmit: [[0xee; FRAME_SIZE]; TRANSMIT_BUFFERS], received: [0; FRAME_SIZE] };
    FirmwareNic::new(firmware, WAITS, Box::leak(Box::new(memory)))
}

fn card() -> (&'static Firmware, FirmwareNic) {
    let firmware = Firmware::new();
    (firmware, started(Ok(driver(firmware))).expect("it starts"))
}

/// The table of behaviours.
#[test]
fn conforms() {
    conformance::conforms("firmware", || {
        let firmware = Firmware::new();
        firmware.inner().holds_back = true;
        (Box::new(driver(firmware)), Box::new(firmware))
    });
}

impl Wire for &'static Firmware {
    fn send(&self, count: usize) -> usize {
        self.inner().send(count)
    }
    fn sent(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.inner().sent)
    }
    fn deliver(&self, frame: &[u8]) -> bool {
        self.inner().deliver(frame)
    }
    fn set_link(&self, is_up: bool) {
        self.inner().has_link = is_up;
    }
    fn fail(&self) {
        self.inner().is_gone = true;
    }
    fn recover(&self) {
        self.inner().become_honest();
    }
    fn in_a_panic(&self) -> Box<dyn Nic> {
        // It is not reset: what it has it sends, and gives back to a driver that never had it.
        self.inner().send(usize::MAX);
        Box::new(driver(self))
    }
}

fn send(nic: &mut FirmwareNic, frame: &[u8]) -> Result<(), TransmitError> {
    let sent = nic.transmit(&mut |buffer| {
        buffer[..frame.len()].copy_from_slice(frame);
        frame.len()
    });
    nic.kick();
    sent
}

#[test]
fn frames_leave_in_order_and_none_is_overwritten() {
    let (firmware, mut nic) = card();
    for number in 0..100 {
        send(&mut nic, &[number; 70]).expect("there is room, as the firmware gives buffers back");
    }
    while !nic.is_drained() {}
    let sent: Vec<_> = (0..100).map(|number| vec![number; 70]).collect();
    assert_eq!(firmware.inner().sent, sent);
}

#[test]
fn frames_wait_for_firmware_that_takes_one_at_a_time_or_none_now() {
    for (takes_one, room) in [(false, 0), (false, 3), (true, usize::MAX)] {
        let (firmware, mut nic) = card();
        let lets = |takes_one, holds_back, room| {
            let mut inner = firmware.inner();
            (inner.takes_one, inner.holds_back, inner.room) = (takes_one, holds_back, room);
        };
        lets(takes_one, true, room);
        for number in 0..TRANSMIT_BUFFERS as u8 {
            send(&mut nic, &[number; 60]).expect("there is a buffer");
        }
        assert_eq!(send(&mut nic, &[99; 60]), Err(TransmitError::Full));
        assert!(!nic.is_drained());
        assert_eq!(firmware.inner().frames.len(), if takes_one { 1 } else { room });
        lets(takes_one, false, usize::MAX);
        while !nic.is_drained() {}
        let sent: Vec<_> = (0..TRANSMIT_BUFFERS as u8).map(|number| vec![number; 60]).collect();
        assert_eq!(firmware.inner().sent, sent);
    }
}

#[test]
fn a_buffer_that_it_never_got_frees_none() {
    let (firmware, mut nic) = card();
    firmware.inner().holds_back = true;
    for _ in 0..TRANSMIT_BUFFERS {
        send(&mut nic, &[1; 60]).expect("there is room");
    }
    firmware.inner().sent_lie = Some(0x1234);
    assert_eq!(send(&mut nic, &[2; 60]), Err(TransmitError::Full));
    assert!(!nic.is_drained());
}

#[test]
fn a_card_that_is_gone_is_broken_until_it_starts_again() {
    let (firmware, mut nic) = card();
    firmware.inner().is_gone = true;
    assert!(!nic.link_is_up());
    assert_eq!(send(&mut nic, &[1; 60]), Err(TransmitError::Broken));
    firmware.inner().become_honest();
    firmware.inner().refuses = true;
    assert_eq!(nic.restart(), Err(NicError::Firmware("Initialize", 7)));
    assert_eq!(send(&mut nic, &[1; 60]), Err(TransmitError::Broken));
    firmware.inner().refuses = false;
    firmware.inner().is_mute = true;
    assert_eq!(nic.restart(), Err(NicError::Firmware("GetStatus", 7)));
    assert_eq!(send(&mut nic, &[1; 60]), Err(TransmitError::Broken));
    firmware.inner().is_mute = false;
    nic.restart().expect("it starts");
    send(&mut nic, &[1; 60]).expect("it runs");
    // The first time it may run already, and is not reset: a panic takes over what runs.
    assert_eq!(firmware.inner().starts, [false, true, true, true]);
}

/// As iPXE's driver of the PCnet, which frees its ring only when a frame arrives.
#[test]
fn firmware_that_takes_no_more_starts_again_and_no_frame_is_lost_or_doubled() {
    let (firmware, mut nic) = card();
    firmware.inner().most = Some(20);
    for number in 0..100 {
        while send(&mut nic, &[number; 70]) == Err(TransmitError::Full) {
            pass(1000);
        }
    }
    while !nic.is_drained() {
        pass(1000);
    }
    let sent: Vec<_> = (0..100).map(|number| vec![number; 70]).collect();
    assert_eq!(firmware.inner().sent, sent);
    assert_eq!(firmware.inner().starts, [false, true, true, true, true]);
}

/// It may have filled its ring for the kernel whose panic this is.
#[test]
fn firmware_that_takes_nothing_starts_again_once() {
    let (firmware, mut nic) = card();
    firmware.inner().room = 0;
    send(&mut nic, &[1; 60]).expect("there is a buffer");
    for _ in 0..1000 {
        pass(1000);
        assert!(nic.link_is_up() && !nic.is_drained());
    }
    assert_eq!(firmware.inner().starts, [false, true]);
}

#[test]
fn a_frame_that_is_never_given_back_counts_as_sent_after_a_tenth_of_a_second() {
    let (firmware, mut nic) = card();
    firmware.inner().holds_back = true;
    send(&mut nic, &[1; 60]).expect("there is room");
    pass(RETURN_TIME / 2);
    assert!(!nic.is_drained());
    pass(RETURN_TIME / 2);
    assert!(nic.is_drained());
    // Given back all the same, twice, it frees nothing that is not free.
    let buffer = firmware.inner().frames.remove(0).0;
    firmware.inner().sent_lie = Some(buffer);
    assert!(nic.link_is_up() && nic.is_drained());
    // Where it then refuses frames, the card may be what is wrong: that is seen by who uses it.
    firmware.inner().sent_lie = None;
    firmware.inner().room = 0;
    send(&mut nic, &[2; 60]).expect("there is a buffer");
    pass(10 * REFUSAL_TIME);
    assert!(!nic.is_drained());
    assert_eq!(firmware.inner().starts, [false]);
}

/// As a card that hangs has it: whoever uses the driver notices, starts it again, and sends the frames once more.
#[test]
fn what_is_kept_by_firmware_that_gave_all_back_never_counts_as_sent() {
    let (firmware, mut nic) = card();
    send(&mut nic, &[1; 60]).expect("there is room");
    while !nic.is_drained() {}
    firmware.inner().holds_back = true;
    // Not when it is started again, either, and the card still hangs.
    for _ in 0..100 {
        for _ in 0..3 {
            send(&mut nic, &[2; 60]).expect("there is room");
        }
        pass(10 * RETURN_TIME);
        assert!(!nic.is_drained());
        nic.restart().expect("it starts");
        assert!(nic.is_drained());
    }
    firmware.inner().holds_back = false;
    send(&mut nic, &[3; 60]).expect("there is room");
    while !nic.is_drained() {}
    assert_eq!(firmware.inner().sent, [[1; 60], [3; 60]]);
}

/// As where a card tells of several frames at once: the last ones are told when others come.
#[test]
fn firmware_that_keeps_the_last_frames_is_waited_for_eight_times_at_most() {
    let (firmware, mut nic) = card();
    firmware.inner().holds_back = true;
    let mut two = |kept: usize| {
        for _ in 0..2 {
            send(&mut nic, &[1; 60]).expect("there is room");
        }
        firmware.inner().send(2 - kept);
        pass(2 * RETURN_TIME);
        let is_drained = nic.is_drained();
        if !is_drained {
            nic.restart().expect("it starts");
        }
        // What it keeps has left.
        firmware.inner().frames.clear();
        is_drained
    };
    // One that always keeps one is never waited for.
    for _ in 0..10 {
        assert!(two(1));
    }
    for _ in 0..MOST_HANGS {
        assert!(two(0));
        assert!(!two(1));
    }
    for _ in 0..10 {
        assert!(two(0));
        assert!(two(1));
    }
}

/// What may happen between the driver and firmware that lies.
#[derive(Clone, Debug)]
enum Step {
    Call(Call),
    /// Time goes by, in µs.
    Pass(u64),
    Send(usize),
    Deliver(usize),
    /// It gives back the buffer of a frame that it still has, or one that it never had.
    GivesBack(usize),
    /// A received frame is said to be this long.
    Length(usize),
    /// Transmit ends with this, and takes nothing; or as it should.
    Transmit(Option<Result<(), TransmitError>>),
    /// How many frames it has room for.
    Room(usize),
    Faults(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let work = prop_oneof![
        (0..200_000u64).prop_map(Step::Pass),
        (0..9usize).prop_map(Step::Send),
        (60..3000usize).prop_map(Step::Deliver),
    ];
    let ends = [Ok(()), Err(TransmitError::Full), Err(TransmitError::Broken)].map(Some);
    let lies = prop_oneof![
        any::<usize>().prop_map(Step::GivesBack),
        prop_oneof![0..2000usize, Just(usize::MAX)].prop_map(Step::Length),
        prop_oneof![Just(None), prop::sample::select(ends.to_vec())].prop_map(Step::Transmit),
        (0..9usize).prop_map(Step::Room),
        prop_oneof![2 => Just(0), 1 => any::<u8>()].prop_map(Step::Faults),
    ];
    prop_oneof![6 => call().prop_map(Step::Call), 3 => work, 3 => lies]
}

fn take(step: Step, nic: &mut FirmwareNic, firmware: &Firmware) {
    // A driver's call must end; while it runs, the model is its own.
    if let Step::Call(call) = step {
        return call.make(nic, FRAME_SIZE, FRAME_SIZE);
    }
    let mut inner = firmware.inner();
    match step {
        Step::Call(_) => {}
        Step::Pass(micros) => {
            // A frame that is kept for longer than a tenth of a second counts as sent.
            inner.has_lied = true;
            pass(micros);
        }
        Step::Send(count) => drop(inner.send(count)),
        Step::Deliver(length) => drop(inner.deliver(&vec![0xa5; length])),
        Step::GivesBack(which) => {
            inner.has_lied = true;
            inner.sent_lie = Some(inner.frames.get(which % 9).map_or(which, |(address, _)| *address));
        }
        Step::Length(length) => inner.length_lie = Some(length),
        Step::Transmit(end) => inner.transmit_lie = end,
        Step::Room(room) => inner.room = room,
        Step::Faults(faults) => {
            let has = |bit: u8| faults >> bit & 1 != 0;
            (inner.is_gone, inner.refuses, inner.flaps, inner.is_mute) = (has(0), has(1), has(2), has(6));
            (inner.has_link, inner.holds_back, inner.takes_one) = (!has(3), has(4), has(5));
        }
    }
}

// PROPTEST_CASES=40000 makes it millions of steps.
proptest! {
    /// No panic, no endless wait, no frame of a length that there is not, in or out; and once the firmware is honest again, a
    /// restart is all that it takes.
    #[test]
    fn lying_firmware_does_no_lasting_harm(steps in prop::collection::vec(step(), 1..200)) {
        let (firmware, mut nic) = card();
        for step in steps {
            take(step, &mut nic, firmware);
        }
        firmware.inner().become_honest();
        prop_assert_eq!(nic.restart(), Ok(()));
        {
            let mut inner = firmware.inner();
            inner.holds_back = false;
            inner.sent.clear();
            inner.arrived = [frame(2, 60)].into();
        }
        prop_assert!(nic.link_is_up());
        prop_assert_eq!(transmit(&mut nic, &frame(1, 60)), Ok(()));
        nic.kick();
        prop_assert!(nic.is_drained());
        prop_assert_eq!(&firmware.inner().sent, &[frame(1, 60)]);
        prop_assert_eq!(receive(&mut nic), Some(frame(2, 60)));
    }
}

/// Each lie alone.
#[test]
fn no_length_of_a_received_frame_is_believed_that_none_can_have() {
    let (firmware, mut nic) = card();
    for (length, arrives) in [
        (0, false),
        (13, false),
        (14, true),
        (FRAME_SIZE, true),
        (FRAME_SIZE + 1, false),
        (usize::MAX, false),
    ] {
        firmware.inner().length_lie = Some(length);
        assert!(firmware.inner().deliver(&[7; 60]));
        assert_eq!(receive(&mut nic).map(|frame| frame.len()), arrives.then_some(length), "{length}");
    }
}

/// The card still has them, and will send what is in their buffers then.
#[test]
fn without_a_link_no_frame_counts_as_sent_before_the_cable_is_back() {
    let (firmware, mut nic) = card();
    firmware.inner().holds_back = true;
    for number in 0..TRANSMIT_BUFFERS as u8 {
        send(&mut nic, &[number; 60]).expect("there is room");
    }
    firmware.inner().has_link = false;
    for _ in 0..10 {
        assert!(!nic.is_drained());
        pass(RETURN_TIME);
    }
    assert_eq!(send(&mut nic, &[99; 60]), Err(TransmitError::Full));
    firmware.inner().has_link = true;
    assert!(!nic.is_drained(), "they may leave from now on");
    pass(RETURN_TIME);
    assert!(nic.is_drained());
}
