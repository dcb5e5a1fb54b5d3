//! What every driver must do, over a model of its card: one table of behaviours, which each driver's tests run with
//! [`conforms`]. A driver's own tests have what only its card does.

use super::exchange::{frame, receive, transmit};
use super::waits::fake::now;
use super::{Nic, TransmitError};
use crate::wire::MacAddr;

/// The model's end of a card: the cable, and what can befall it. It sends when it is told to.
pub trait Wire {
    /// Sends up to `count` frames. Returns how many there were.
    fn send(&self, count: usize) -> usize;
    /// The frames that were sent since this was last asked.
    fn sent(&self) -> Vec<Vec<u8>>;
    /// Receives a frame off the cable. False where the card has no buffer for it.
    fn deliver(&self, frame: &[u8]) -> bool;
    /// Plugs the cable in, or pulls it out.
    fn set_link(&self, is_up: bool);
    /// The card has gone, or somebody else has reset it.
    fn fail(&self);
    /// It is there again, and was not set up.
    fn recover(&self);
    /// The card has gone for good: its bus answers each read with ones.
    fn vanish(&self) {
        self.fail();
    }
    /// A driver in a panic, with memory of its own, which was not started. From now on the card may use that memory alone.
    fn in_a_panic(&self) -> Box<dyn Nic>;
}

/// A driver that was not started, on a card that somebody else has left running, and the card's other end.
pub type Bench = (Box<dyn Nic>, Box<dyn Wire>);

type Behaviour = fn(&mut dyn Nic, &dyn Wire);

/// A name, and what is looked at with the card started.
const BEHAVIOURS: [(&str, Behaviour); 12] = [
    ("address and MTU", |nic, _| {
        assert_eq!(nic.mac(), MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]));
        assert_eq!(nic.mtu(), 1500);
    }),
    ("link", |nic, wire| {
        assert!(nic.link_is_up());
        assert!(nic.link_mode().is_none_or(|mode| mode.megabits > 0));
        wire.set_link(false);
        assert!(!nic.link_is_up());
        assert_eq!(nic.link_mode(), None);
        wire.set_link(true);
        assert!(nic.link_is_up());
    }),
    ("lengths", |nic, wire| {
        // The shortest and the longest, with a VLAN's tag as well, and whatever is between eights.
        for length in [14, 15, 42, 59, 60, 61, 63, 64, 65, 590, 1513, 1514, 1518] {
            assert!(goes_out(nic, wire, &frame(7, length)), "{length}");
            comes_in(nic, wire, &frame(9, length.max(60)));
        }
        assert_eq!(nic.transmit(&mut |_| 0), Ok(()));
        nic.kick();
        assert_eq!((wire.send(usize::MAX), nic.is_drained()), (0, true));
    }),
    ("once around the rings and again", |nic, wire| {
        for number in 0..300 {
            assert!(goes_out(nic, wire, &frame(number, 60)));
            comes_in(nic, wire, &frame(number, 60));
        }
    }),
    ("a burst", |nic, wire| {
        // All that fits, and not one more; what leaves makes room, and the order stays.
        let mut queued = fill(nic, 0);
        nic.kick();
        assert!(!nic.is_drained());
        assert_eq!(wire.send(2), 2);
        let more = fill(nic, queued);
        assert!((1..=2).contains(&more), "{more}");
        queued += more;
        nic.kick();
        wire.send(usize::MAX);
        assert!(nic.is_drained());
        let expected: Vec<_> = (0..queued).map(|number| frame(number, 100)).collect();
        assert_eq!(wire.sent(), expected);
    }),
    ("a burst that comes in", |nic, wire| {
        // What finds no buffer is lost, and what comes next is not.
        let mut delivered = 0;
        while delivered < 1000 && wire.deliver(&frame(delivered, 1000)) {
            delivered += 1;
        }
        assert!((2..1000).contains(&delivered), "{delivered}");
        for number in 0..delivered {
            assert_eq!(receive(nic), Some(frame(number, 1000)));
        }
        assert_eq!(receive(nic), None);
        comes_in(nic, wire, &frame(1, 60));
    }),
    ("to everybody, to many, in a VLAN", |nic, wire| {
        let to = |mac: [u8; 6], kind: [u8; 4]| [&mac[..], &[2, 0, 0, 0, 0, 9], &kind, &[5; 60]].concat();
        for sent in [
            to([0xff; 6], [0x08, 0x06, 0, 1]),
            to([1, 0, 0x5e, 0, 0, 1], [0x08, 0, 0x45, 0]),
            to([0x33, 0x33, 0, 0, 0, 1], [0x86, 0xdd, 0x60, 0]),
            // The tag stays in the frame, both ways.
            to(nic.mac().0, [0x81, 0, 0x20, 0x64]),
        ] {
            comes_in(nic, wire, &sent);
            assert!(goes_out(nic, wire, &sent));
        }
    }),
    ("a restart while it sends", |nic, wire| {
        for _ in 0..10 {
            fill(nic, 0);
            nic.kick();
            wire.send(1);
            assert_eq!(nic.restart(), Ok(()));
            // Of what was queued before nothing comes any more.
            wire.sent();
            assert!(nic.is_drained());
            assert!(goes_out(nic, wire, &frame(5, 60)));
            comes_in(nic, wire, &frame(6, 60));
        }
    }),
    ("a card that hangs", |nic, wire| {
        // It takes frames and sends none: each call ends, and a restart helps.
        fill(nic, 0);
        nic.kick();
        for _ in 0..1000 {
            assert_eq!(transmit(nic, &[0; 60]), Err(TransmitError::Full));
            assert!(!nic.is_drained());
            assert_eq!(receive(nic), None);
        }
        assert_eq!(nic.restart(), Ok(()));
        wire.sent();
        assert!(goes_out(nic, wire, &frame(1, 60)));
    }),
    ("a card that fails", |nic, wire| {
        fill(nic, 0);
        nic.kick();
        wire.fail();
        assert!(!nic.link_is_up());
        assert_eq!(transmit(nic, &[0; 60]), Err(TransmitError::Broken));
        assert!(!nic.is_drained());
        assert_eq!(receive(nic), None);
        wire.recover();
        assert_eq!(nic.restart(), Ok(()));
        wire.sent();
        assert!(goes_out(nic, wire, &frame(1, 60)));
        comes_in(nic, wire, &frame(2, 60));
    }),
    ("a card that is gone", |nic, wire| {
        // Each look at it may take its bus 50 ms, so that few must do.
        wire.vanish();
        let begun = now();
        assert!(nic.restart().is_err());
        let looks = now() - begun;
        assert!(looks < 20, "{looks} looks");
    }),
    ("a panic beside it", |nic, wire| {
        // Frames are on their way when another driver takes the card.
        fill(nic, 0);
        nic.kick();
        wire.send(1);
        let mut nic = wire.in_a_panic();
        assert_eq!(nic.restart(), Ok(()));
        wire.sent();
        for number in 0..50 {
            assert!(goes_out(&mut *nic, wire, &frame(number, 600)));
            comes_in(&mut *nic, wire, &frame(number, 600));
        }
    }),
];

/// Looks at each behaviour with a card of its own.
pub fn conforms(name: &str, bench: impl Fn() -> Bench) {
    for (behaviour, look) in BEHAVIOURS {
        // The output of a test that passes is not shown.
        println!("{name}: {behaviour}");
        let (mut nic, wire) = bench();
        assert_eq!(nic.restart(), Ok(()));
        look(&mut *nic, &*wire);
    }
}

/// Queues frames of 100 bytes, numbered from `first` on, until no more fit; how many there were.
fn fill(nic: &mut dyn Nic, first: u32) -> u32 {
    for number in 0..1000 {
        match transmit(nic, &frame(first + number, 100)) {
            Ok(()) => {}
            Err(error) => {
                assert_eq!(error, TransmitError::Full);
                return number;
            }
        }
    }
    panic!("a ring without an end");
}

/// Sends a frame; whether that alone left, at most filled up with zeros to 60 bytes.
fn goes_out(nic: &mut dyn Nic, wire: &dyn Wire, bytes: &[u8]) -> bool {
    assert_eq!(transmit(nic, bytes), Ok(()));
    nic.kick();
    assert_eq!(wire.send(usize::MAX), 1);
    assert!(nic.is_drained());
    let mut sent = wire.sent().into_iter();
    let Some(first) = sent.next().filter(|_| sent.len() == 0) else { return false };
    let (content, filled) = first.split_at(bytes.len().min(first.len()));
    content == bytes && first.len() <= bytes.len().max(60) && filled.iter().all(|&byte| byte == 0)
}

/// A frame off the cable arrives, and nothing else.
fn comes_in(nic: &mut dyn Nic, wire: &dyn Wire, bytes: &[u8]) {
    assert!(wire.deliver(bytes));
    assert_eq!(receive(nic).as_deref(), Some(bytes));
    assert_eq!(receive(nic), None);
}
