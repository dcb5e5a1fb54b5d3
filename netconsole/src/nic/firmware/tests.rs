use super::*;
use crate::nic::waits::fake::{WAITS, pass};
use std::sync::Mutex;

const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 7]);

/// Firmware as the specification has it: it keeps frames until it has said that they left.
#[derive(Default)]
struct Inner {
    /// Addresses and bytes of the frames that it has not given back.
    frames: Vec<(usize, Vec<u8>)>,
    sent: Vec<Vec<u8>>,
    arrived: Vec<Vec<u8>>,
    starts: Vec<bool>,
    /// What it says next of a frame that left, in place of the truth.
    lie: Option<usize>,
    has_link: bool,
    holds_back: bool,
    takes_one: bool,
    /// How many frames it has room for at once.
    room: usize,
    /// How many frames it takes in all after a start.
    most: Option<usize>,
    taken: usize,
    is_gone: bool,
    refuses: bool,
}

struct Firmware(Mutex<Inner>);

impl Firmware {
    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.0.lock().expect("no panic while it was locked"))
    }
}

impl FirmwareCard for Firmware {
    fn start(&self, afresh: bool) -> Result<(), NicError> {
        self.change(|inner| {
            inner.starts.push(afresh);
            if afresh {
                inner.frames.clear();
                inner.taken = 0;
            }
            if inner.refuses { Err(NicError::Firmware("Initialize", 7)) } else { Ok(()) }
        })
    }

    fn mac(&self) -> MacAddr {
        MAC
    }

    fn mtu(&self) -> usize {
        1500
    }

    fn takes_several(&self) -> bool {
        self.change(|inner| !inner.takes_one)
    }

    fn status(&self) -> Option<FirmwareStatus> {
        self.change(|inner| {
            if inner.is_gone {
                return None;
            }
            let first = (!inner.frames.is_empty() && !inner.holds_back).then(|| inner.frames.remove(0));
            let sent = first.map(|(address, frame)| {
                inner.sent.push(frame);
                address
            });
            Some(FirmwareStatus { link_is_up: inner.has_link, sent: inner.lie.or(sent) })
        })
    }

    fn transmit(&self, frame: &[u8]) -> Result<(), TransmitError> {
        self.change(|inner| {
            if inner.is_gone {
                return Err(TransmitError::Broken);
            }
            if inner.frames.len() >= inner.room || inner.most.is_some_and(|most| inner.taken >= most) {
                return Err(TransmitError::Full);
            }
            let address = frame.as_ptr().addr();
            assert!(inner.frames.iter().all(|(taken, _)| *taken != address), "the buffer is the firmware's");
            inner.taken += 1;
            inner.frames.push((address, frame.to_vec()));
            Ok(())
        })
    }

    fn receive(&self, buffer: &mut [u8]) -> Option<usize> {
        self.change(|inner| {
            let frame = (!inner.arrived.is_empty()).then(|| inner.arrived.remove(0))?;
            buffer[..frame.len()].copy_from_slice(&frame);
            Some(frame.len())
        })
    }
}

fn card() -> (&'static Firmware, FirmwareNic) {
    let inner = Inner { has_link: true, room: usize::MAX, ..Inner::default() };
    let firmware = Box::leak(Box::new(Firmware(Mutex::new(inner))));
    let memory =
        FirmwareMemory { transmit: [[0xee; FRAME_SIZE]; TRANSMIT_BUFFERS], received: [0; FRAME_SIZE] };
    let mut nic = FirmwareNic::new(firmware, WAITS, Box::leak(Box::new(memory)));
    nic.restart().expect("it starts");
    (firmware, nic)
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
    assert_eq!((nic.mac(), nic.mtu(), nic.link_is_up()), (MAC, 1500, true));
    for number in 0..100 {
        send(&mut nic, &[number; 70]).expect("there is room, as the firmware gives buffers back");
    }
    while !nic.is_drained() {}
    let sent: Vec<_> = (0..100).map(|number| vec![number; 70]).collect();
    assert_eq!(firmware.change(|inner| inner.sent.clone()), sent);
}

#[test]
fn a_short_frame_is_filled_up_with_zeros() {
    let (firmware, mut nic) = card();
    send(&mut nic, &[7; 20]).expect("there is room");
    assert!(nic.is_drained() || nic.is_drained());
    let expected = [vec![7; 20], vec![0; 40]].concat();
    assert_eq!(firmware.change(|inner| inner.sent.clone()), [expected]);
    nic.transmit(&mut |_| 0).expect("nothing is queued");
    assert!(nic.is_drained());
}

#[test]
fn frames_wait_for_firmware_that_takes_one_at_a_time_or_none_now() {
    for (takes_one, room) in [(false, 0), (false, 3), (true, usize::MAX)] {
        let (firmware, mut nic) = card();
        firmware.change(|inner| (inner.takes_one, inner.holds_back, inner.room) = (takes_one, true, room));
        for number in 0..TRANSMIT_BUFFERS as u8 {
            send(&mut nic, &[number; 60]).expect("there is a buffer");
        }
        assert_eq!(send(&mut nic, &[99; 60]), Err(TransmitError::Full));
        assert!(!nic.is_drained());
        assert_eq!(firmware.change(|inner| inner.frames.len()), if takes_one { 1 } else { room });
        firmware.change(|inner| (inner.holds_back, inner.room) = (false, usize::MAX));
        while !nic.is_drained() {}
        let sent: Vec<_> = (0..TRANSMIT_BUFFERS as u8).map(|number| vec![number; 60]).collect();
        assert_eq!(firmware.change(|inner| inner.sent.clone()), sent);
    }
}

#[test]
fn a_buffer_that_it_never_got_frees_none() {
    let (firmware, mut nic) = card();
    firmware.change(|inner| inner.holds_back = true);
    for _ in 0..TRANSMIT_BUFFERS {
        send(&mut nic, &[1; 60]).expect("there is room");
    }
    firmware.change(|inner| inner.lie = Some(0x1234));
    assert_eq!(send(&mut nic, &[2; 60]), Err(TransmitError::Full));
    assert!(!nic.is_drained());
}

#[test]
fn a_card_that_is_gone_is_broken_until_it_starts_again() {
    let (firmware, mut nic) = card();
    firmware.change(|inner| inner.is_gone = true);
    assert!(!nic.link_is_up());
    assert_eq!(send(&mut nic, &[1; 60]), Err(TransmitError::Broken));
    firmware.change(|inner| (inner.is_gone, inner.refuses) = (false, true));
    assert_eq!(nic.restart(), Err(NicError::Firmware("Initialize", 7)));
    assert_eq!(send(&mut nic, &[1; 60]), Err(TransmitError::Broken));
    firmware.change(|inner| inner.refuses = false);
    nic.restart().expect("it starts");
    send(&mut nic, &[1; 60]).expect("it runs");
    // The first time it may run already, and is not reset: a panic takes over what runs.
    assert_eq!(firmware.change(|inner| inner.starts.clone()), [false, true, true]);
}

/// As iPXE's driver of the PCnet, which frees its ring only when a frame arrives.
#[test]
fn firmware_that_takes_no_more_starts_again_and_no_frame_is_lost_or_doubled() {
    let (firmware, mut nic) = card();
    firmware.change(|inner| inner.most = Some(20));
    for number in 0..100 {
        while send(&mut nic, &[number; 70]) == Err(TransmitError::Full) {
            pass(1000);
        }
    }
    while !nic.is_drained() {
        pass(1000);
    }
    let sent: Vec<_> = (0..100).map(|number| vec![number; 70]).collect();
    assert_eq!(firmware.change(|inner| inner.sent.clone()), sent);
    assert_eq!(firmware.change(|inner| inner.starts.clone()), [false, true, true, true, true]);
}

/// It may have filled its ring for the kernel whose panic this is.
#[test]
fn firmware_that_takes_nothing_starts_again_once() {
    let (firmware, mut nic) = card();
    firmware.change(|inner| inner.room = 0);
    send(&mut nic, &[1; 60]).expect("there is a buffer");
    for _ in 0..1000 {
        pass(1000);
        assert!(nic.link_is_up() && !nic.is_drained());
    }
    assert_eq!(firmware.change(|inner| inner.starts.clone()), [false, true]);
}

#[test]
fn a_frame_that_is_never_given_back_counts_as_sent_after_a_tenth_of_a_second() {
    let (firmware, mut nic) = card();
    firmware.change(|inner| inner.holds_back = true);
    send(&mut nic, &[1; 60]).expect("there is room");
    pass(RETURN_TIME / 2);
    assert!(!nic.is_drained());
    pass(RETURN_TIME / 2);
    assert!(nic.is_drained());
    // Given back all the same, twice, it frees nothing that is not free.
    let buffer = firmware.change(|inner| inner.frames.remove(0).0);
    firmware.change(|inner| inner.lie = Some(buffer));
    assert!(nic.link_is_up() && nic.is_drained());
    // Where it then refuses frames, the card may be what is wrong: that is seen by who uses it.
    firmware.change(|inner| (inner.lie, inner.room) = (None, 0));
    send(&mut nic, &[2; 60]).expect("there is a buffer");
    pass(10 * REFUSAL_TIME);
    assert!(!nic.is_drained());
    assert_eq!(firmware.change(|inner| inner.starts.clone()), [false]);
}

#[test]
fn what_arrives_is_lent_once() {
    let (firmware, mut nic) = card();
    firmware.change(|inner| inner.arrived = vec![vec![1; 60], vec![2; 1514]]);
    let mut taken = Vec::new();
    while nic.receive(&mut |frame| taken.push(frame.to_vec())) {}
    assert_eq!(taken, [vec![1; 60], vec![2; 1514]]);
}

/// By their ids: an 82540EM and virtio were proven in QEMU, an I219 and an RTL8168 nowhere.
#[test]
#[cfg(all(feature = "virtio", feature = "intel", feature = "rtl8168"))]
fn drivers_that_were_never_proven_are_known() {
    use crate::nic::Model;
    let is_proven = |ids| Model::of(ids).map(Model::is_proven);
    assert_eq!([(0x8086, 0x100e), (0x1af4, 0x1041)].map(is_proven), [Some(true); 2]);
    assert_eq!([(0x8086, 0x15b7), (0x10ec, 0x8168)].map(is_proven), [Some(false); 2]);
    assert_eq!(is_proven((0x1022, 0x2000)), None);
}
