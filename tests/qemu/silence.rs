//! A switch that forwards nothing for a while: what went out meanwhile goes out again, once, when somebody shows that
//! it can be heard.

use crate::harness::{
    Boot, Content, Frame, Lease, Machine, Message, Nic, Peer, Service, messages, side_by_side,
};
use smoltcp::wire::EthernetAddress;
use std::net::SocketAddr;
use std::time::Duration;

/// As long as spanning tree keeps a port from forwarding (IEEE 802.1D, table 8-3: twice 15 s).
const SILENCE: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(150);
const EVERYBODY: &str = "255.255.255.255:6666";

/// The payloads of the datagrams to `target` that went to this MAC address, in order.
fn payloads<'f>(
    frames: impl Iterator<Item = &'f Frame>,
    target: &str,
    mac: EthernetAddress,
) -> Vec<&'f [u8]> {
    let target: SocketAddr = target.parse().expect("an address and port");
    let to_target = frames.filter_map(|frame| match &frame.content {
        Content::Udp { to, payload, .. } if *to == target && frame.to_mac == mac => Some(payload.as_slice()),
        _ => None,
    });
    to_target.collect()
}

/// What a target got before the log went out again and from then on; fails unless that was once, and from record 0 on.
fn twice(all: &[Message]) -> (&[Message], &[Message]) {
    let again = all.iter().enumerate().skip(1).find(|(_, message)| message.sequence == 0);
    let (again, _) = again.expect("record 0 once more");
    let (first, second) = all.split_at(again);
    for part in [first, second] {
        assert!(
            part.iter().map(|message| message.sequence).eq(0..part.len() as u64),
            "in order, complete, once"
        );
    }
    assert!(second.len() > first.len());
    assert_eq!(first, &second[..first.len()], "the same sequence numbers, times and texts");
    (first, second)
}

struct Case {
    name: &'static str,
    parameters: &'static str,
    target: &'static str,
    peers: fn() -> Vec<Peer>,
}

fn lease() -> Service {
    let lease = Lease { address: [10, 0, 0, 1].into(), router: None, duration: 3600 };
    Service::new(lease)
}

fn alone(address: &str) -> Vec<Peer> {
    vec![Peer::at(address).silent_for(SILENCE)]
}

const CASES: [Case; 4] = [
    Case {
        name: "silence-static",
        parameters: "debug netconsole=+@10.0.0.1/,@10.0.0.2/",
        target: "10.0.0.2:6666",
        peers: || alone("10.0.0.2"),
    },
    Case {
        name: "silence-basic",
        parameters: "debug netconsole=@10.0.0.1/,@10.0.0.2/",
        target: "10.0.0.2:6666",
        peers: || alone("10.0.0.2"),
    },
    Case {
        name: "silence-ipv6",
        parameters: "debug netconsole=+@fd00::1/,@fd00::2/",
        target: "[fd00::2]:6666",
        peers: || alone("fd00::2"),
    },
    Case {
        name: "silence-dhcp",
        parameters: "debug netconsole=+@/,@10.0.0.2/",
        target: "10.0.0.2:6666",
        peers: || {
            vec![
                Peer::at("10.0.0.2").silent_for(SILENCE),
                Peer::at("10.0.0.3").serving(lease()).silent_for(SILENCE),
            ]
        },
    },
];

/// Has something logged.
fn log(machine: &mut Machine, name: &str) {
    machine.type_in(&format!("\rnetconsole=@/{name},@10.0.0.9/\r"));
    machine.wait_for_serial(&format!("{name} doesn't exist"));
}

#[test]
fn the_log_goes_to_a_target_again_once_that_answers() {
    side_by_side(
        &CASES,
        |case| case.name.into(),
        |Case { name, parameters, target, peers }| {
            let peers = peers();
            let mac = peers[0].mac;
            let boot = Boot::new(name, *parameters).repeats().timeout(PATIENCE);
            let mut machine = peers.into_iter().fold(boot, Boot::peer).start();
            machine.wait_for_serial("sending the log again from record 0");
            log(&mut machine, "behind");
            machine.wait_for_text(target, "behind doesn't exist");
            let capture = machine.stop();

            let void = payloads(capture.frames(), target, EthernetAddress::BROADCAST);
            let heard = payloads(capture.frames(), target, mac);
            assert!(void.iter().any(|payload| contains(payload, "network logging started")));
            assert!(heard.iter().any(|payload| contains(payload, "sending the log again from record 0")));
            assert_eq!(void, heard[..void.len()], "{name}: the same datagrams in the same order");
            assert_eq!(capture.serial.matches("sending the log again").count(), 1);
            let mut once = heard.clone();
            once.dedup();
            assert_eq!(once.len(), heard.len());
            if parameters.contains('+') {
                let heard = messages(heard).expect("extended messages");
                assert!(heard.iter().map(|message| message.sequence).eq(0..heard.len() as u64), "{name}");
            }
        },
    );
}

fn contains(payload: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(payload).contains(text)
}

/// Boots with a broadcast target and this DHCP server.
fn leased_by(name: &'static str, server: &Peer) -> Vec<Message> {
    let server = server.clone();
    let boot = Boot::new(name, "debug netconsole=+@/,@/").peer(server).repeats().timeout(PATIENCE);
    let mut machine = boot.start();
    machine.wait_for_text(EVERYBODY, "IPv4 address 10.0.0.1/24 by DHCP");
    log(&mut machine, "behind");
    machine.wait_for_text(EVERYBODY, "behind doesn't exist");
    // What would go out again would begin at once.
    machine.wait_until_quiet(Duration::from_secs(1));
    machine.stop().messages(EVERYBODY)
}

#[test]
fn a_broadcast_goes_out_again_after_long_silence_and_not_after_a_short_one() {
    let server = |service| Peer::at("10.0.0.3").serving(service);
    // The offer and the lease take half a second each.
    let soon = server(lease().delayed(Duration::from_millis(500)));
    let late = server(lease()).silent_for(Duration::from_secs(35));
    let cases = [("lease-soon", soon, false), ("lease-late", late, true)];
    side_by_side(
        &cases,
        |case| case.0.into(),
        |(name, server, is_late)| {
            let all = leased_by(name, server);
            if !is_late {
                assert!(
                    all.iter().map(|message| message.sequence).eq(0..all.len() as u64),
                    "nothing comes twice"
                );
            } else {
                let (_, second) = twice(&all);
                let seconds = second.iter().find_map(|message| {
                    let said = message.text.strip_prefix("netconsole: eth0 hears other stations after ")?;
                    said.strip_suffix(" s: sending the log again from record 0")?.parse::<u64>().ok()
                });
                // The client asks at longer and longer intervals.
                assert!(seconds.is_some_and(|seconds| seconds >= 34), "{second:?}");
            }
        },
    );
}

/// IEEE 802.1D's bridge group and CDP's, from the switch itself.
fn of_the_switch() -> [Vec<u8>; 2] {
    let frame = |group: [u8; 6]| {
        let mut frame = [&group[..], &[0, 0x1b, 0x54, 1, 2, 3], &[0, 38, 0x42, 0x42, 3]].concat();
        frame.resize(60, 0);
        frame
    };
    [frame([1, 0x80, 0xc2, 0, 0, 0]), frame([1, 0, 0x0c, 0xcc, 0xcc, 0xcc])]
}

/// A target whose Ethernet address is given has nobody to answer, either.
#[test]
fn what_the_switch_says_for_itself_is_no_sign_of_life() {
    for (name, target, parameters) in [
        ("switch-broadcast", EVERYBODY, "debug netconsole=+@10.0.0.1/,@/"),
        ("switch-given", "10.0.0.2:6666", "debug netconsole=+@10.0.0.1/,@10.0.0.2/02:00:0a:00:00:02"),
    ] {
        let machine = Boot::new(name, parameters).repeats().start();
        let started = machine.wait_for_text(target, "network logging started");
        machine.wait_until_quiet(Duration::from_secs(3));
        while started.elapsed() < Duration::from_secs(7) {
            of_the_switch().iter().for_each(|frame| assert!(machine.throw(0, frame)));
            machine.wait_until_quiet(Duration::from_millis(500));
        }
        let before = machine.count(target);
        machine.send(
            0,
            &Peer::at("10.0.0.7").datagram(9, Nic::mac(0), "10.0.0.1:9".parse().expect("an address"), b"x"),
        );
        machine.wait_for_text(target, "sending the log again from record 0");
        machine.send(
            0,
            &Peer::at("10.0.0.8").datagram(9, Nic::mac(0), "10.0.0.1:9".parse().expect("an address"), b"x"),
        );
        machine.wait_until_quiet(Duration::from_secs(1));
        let all = machine.stop().messages(target);
        let (first, _) = twice(&all);
        assert_eq!(first.iter().map(|message| message.fragments).sum::<usize>(), before, "{name}");
    }
}
