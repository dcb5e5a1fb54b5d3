//! Which frames are a sign of life, and which are not.

use super::*;
use crate::wire::{Endpoint, Envelope};

const OWN: MacAddr = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
const SIBLING: MacAddr = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x57]);
const STATION: MacAddr = MacAddr([2, 0, 10, 0, 0, 2]);
const SWITCH: MacAddr = MacAddr([0, 0x1b, 0x54, 1, 2, 3]);

fn frame(destination: [u8; 6], source: MacAddr, rest: &[u8]) -> Vec<u8> {
    let mut frame = [&destination, &source.0, rest].concat();
    frame.resize(60.max(frame.len()), 0);
    frame
}

fn life() -> Life {
    let mut life = Life::new(OWN);
    life.know_siblings([Some(OWN), Some(SIBLING), None, None]);
    life
}

#[test]
fn what_a_switch_says_for_itself_is_no_sign() {
    let mut life = life();
    for (destination, rest) in [
        // Spanning tree, PAUSE, LACP, 802.1X, LLDP.
        ([0x01, 0x80, 0xc2, 0, 0, 0x00], &[0, 38, 0x42, 0x42, 3][..]),
        ([0x01, 0x80, 0xc2, 0, 0, 0x01], &[0x88, 0x08, 0, 1]),
        ([0x01, 0x80, 0xc2, 0, 0, 0x02], &[0x88, 0x09, 1]),
        ([0x01, 0x80, 0xc2, 0, 0, 0x03], &[0x88, 0x8e, 2]),
        ([0x01, 0x80, 0xc2, 0, 0, 0x0e], &[0x88, 0xcc, 2]),
        ([0x01, 0x80, 0xc2, 0, 0, 0x0f], &[0, 3]),
        // CDP, PVST+.
        ([0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcc], &[0, 100, 0xaa, 0xaa, 3]),
        ([0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcd], &[0, 50, 0xaa, 0xaa, 3]),
        // Loop detection: to itself, to all, and in a VLAN.
        (SWITCH.0, &[0x90, 0, 0, 0]),
        ([0xff; 6], &[0x90, 0, 0, 0]),
        ([0xff; 6], &[0x88, 0x99, 3]),
        ([0xff; 6], &[0x81, 0, 0, 100, 0x90, 0, 0, 0]),
    ] {
        assert!(life.see(&frame(destination, SWITCH, rest), 7), "{rest:x?}");
        assert_eq!((life.heard_at(), life.signs()), (None, 0), "{destination:x?} {rest:x?}");
    }
    // What came back, what comes from nobody, and what is cut.
    for bytes in
        [frame([0xff; 6], OWN, &[8, 6]), frame([0xff; 6], MacAddr([0xff; 6]), &[8, 6]), vec![0xff; 11]]
    {
        assert!(life.see(&bytes, 7));
        assert_eq!(life.heard_at(), None, "{bytes:x?}");
    }
}

#[test]
fn the_first_frame_of_a_station_is_one() {
    for rest in [&[8, 6][..], &[8, 0], &[0x86, 0xdd], &[0x81, 0, 0, 100, 8, 6], &[0, 3, 0xe0, 0xe0]] {
        let mut life = life();
        assert!(life.see(&frame([0xff; 6], STATION, rest), 7));
        assert!(life.see(&frame(OWN.0, STATION, rest), 9));
        assert_eq!((life.heard_at(), life.signs()), (Some(7), 1), "{rest:x?}");
        life.forget();
        assert_eq!(life.heard_at(), None);
        life.see(&frame(OWN.0, STATION, rest), 11);
        assert_eq!((life.heard_at(), life.signs()), (Some(11), 2), "the next link is another one");
    }
}

#[test]
fn later_only_those_that_are_waited_for() {
    let arp = |ip: [u8; 4]| {
        let mut bytes = vec![0; 64];
        let packet = arp::Packet::request(STATION, ip.into(), [10, 0, 0, 9].into());
        let length = packet.write(None, &mut bytes).expect("room");
        bytes.truncate(length);
        bytes
    };
    let mut life = life();
    life.see(&arp([10, 0, 0, 3]), 1);
    assert_eq!(life.signs(), 1);
    life.wait_for([10, 0, 0, 2].into());
    life.wait_for([10, 0, 0, 2].into());
    for (ip, signs) in [(3, 1), (2, 2), (2, 2)] {
        life.see(&arp([10, 0, 0, ip]), 2);
        assert_eq!(life.signs(), signs, "{ip}");
    }
    // IPv4 and IPv6 packets name their sender, too.
    let datagram = |from: IpAddr, to: IpAddr| {
        let (source, destination) =
            (Endpoint { mac: STATION, ip: from, port: 9 }, Endpoint { mac: OWN, ip: to, port: 9 });
        let mut bytes = vec![0; 128];
        let envelope = Envelope::new(source, destination, None).expect("one family");
        let length = envelope.write(&mut bytes, 0, |_| Some(1)).expect("room");
        bytes.truncate(length);
        bytes
    };
    life.wait_for([10, 0, 0, 2].into());
    life.wait_for([0xfd; 16].into());
    life.see(&datagram([10, 0, 0, 2].into(), [10, 0, 0, 1].into()), 3);
    assert_eq!(life.signs(), 3);
    life.see(&datagram([0xfd; 16].into(), [0xfe; 16].into()), 3);
    assert_eq!(life.signs(), 4);
    // More than there is room for: the last ones.
    (1..=5).for_each(|ip| life.wait_for([10, 0, 0, ip].into()));
    life.see(&arp([10, 0, 0, 1]), 4);
    assert_eq!(life.signs(), 4);
    life.see(&arp([10, 0, 0, 5]), 4);
    assert_eq!(life.signs(), 5);
}

#[test]
fn another_card_of_this_machine_is_no_other_station() {
    let mut life = life();
    assert!(!life.see(&frame([0xff; 6], SIBLING, &[8, 0]), 5));
    assert!(!life.see(&frame([0xff; 6], SIBLING, &[8, 0]), 6));
    assert_eq!((life.heard_at(), life.hears(0), life.hears(1), life.hears(4)), (None, None, Some(5), None));
    life.forget_sibling(1);
    assert_eq!(life.hears(1), None);
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_survived(frames: Vec<Vec<u8>>) {
        let mut life = life();
        life.wait_for([10, 0, 0, 2].into());
        for (now, frame) in (0..).zip(&frames) {
            life.see(frame, now);
        }
    }
}
