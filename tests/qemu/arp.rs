//! A target whose MAC address is asked for, and answered late or never.

use crate::harness::{Boot, Content, Frame, Peer, status};
use smoltcp::wire::{ArpOperation, ArpRepr, EthernetAddress};
use std::time::{Duration, Instant};

const TARGET: &str = "10.0.0.2:6666";

fn is_question(frame: &Frame) -> bool {
    matches!(frame.content, Content::Arp(ArpRepr::EthernetIpv4 { operation: ArpOperation::Request,
        target_protocol_addr, .. }) if target_protocol_addr.octets() == [10, 0, 0, 2])
}

#[test]
fn unanswered_broadcasts_after_a_second_with_a_warning() {
    let capture = Boot::new("arp-silent", "debug netconsole=+@10.0.0.1/,@10.0.0.2/ after=exit").start().end();

    assert_eq!(capture.status, status::GOOD);
    let mut asked: Option<Instant> = None;
    let mut started: Option<Instant> = None;
    for sent in &capture.sent {
        let frame = sent.good().expect("a good frame");
        if is_question(frame) {
            asked.get_or_insert(sent.at);
        } else if frame.datagram().is_some() {
            started.get_or_insert(sent.at);
            assert_eq!(frame.to_mac, EthernetAddress::BROADCAST);
        }
    }
    let waited = started.expect("a datagram").duration_since(asked.expect("a question"));
    assert!((900..2000).contains(&waited.as_millis()), "it broadcast after {waited:?}");
    let messages = capture.messages(TARGET);
    let warnings: Vec<_> = messages.iter().filter(|message| message.level == 4).collect();
    assert!(warnings.iter().any(|warning| warning.text.contains("10.0.0.2")), "{warnings:?}");
}

#[test]
fn answered_late_is_picked_up() {
    const SILENCE: Duration = Duration::from_millis(2500);
    let peer = Peer::at("10.0.0.2").silent_for(SILENCE);
    let mac = peer.mac;
    let boot = Boot::new("arp-late", "debug netconsole=+@10.0.0.1/,@10.0.0.2/").peer(peer).repeats();
    let machine = boot.start();

    machine.wait_for_text(TARGET, "network logging started");
    // It goes on asking, and logs the answer, which goes there.
    machine.wait_for("a datagram to the target's own address", |events| {
        let frames = events.sent.iter().filter_map(|sent| sent.good());
        frames.filter(|frame| frame.datagram().is_some()).any(|frame| frame.to_mac == mac).then_some(())
    });

    let capture = machine.stop();
    let first = capture.frames().find(|frame| frame.datagram().is_some()).expect("a datagram");
    assert_eq!(first.to_mac, EthernetAddress::BROADCAST);
}
