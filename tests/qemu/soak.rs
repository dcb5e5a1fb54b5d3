//! A long time, as the guest counts it: under icount the time in which nothing is to do passes at once. Half an
//! hour, or as many seconds as `SOAK_SECONDS` says.

use crate::harness::{
    Boot, Content, Frame, Lease, Machine, Message, Nic, Peer, Sent, Service, messages, read_pcap, target,
};
use smoltcp::wire::{DhcpMessageType, DhcpPacket, DhcpRepr};
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

const TARGET: &str = "10.0.0.2:6666";
const OTHER: &str = "10.0.0.17:7777";
const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// In seconds; half of it passes from one renewal to the next (RFC 2131, section 4.4.5).
const LEASE: u32 = 60;
/// How often the lease is renewed between two flaps: after each it is asked for again.
const RENEWALS: usize = 2;
/// How far the kernel's clock may be off, in millionths: what the crystals of boards are, and more than its
/// measurement of the time stamp counter against the i8254 allows.
const ACCURACY: f64 = 100.0;

/// What is logged where a card has taken nothing for a second.
const RESTART: &str = "the card does not answer, restarting it";

/// A record that went to `target`, is younger than `before` and says `text`, with the lines behind that.
fn told(sent: &[Sent], target: &str, text: &str, before: u64) -> Option<Message> {
    let target: SocketAddr = target.parse().expect("an address");
    let payloads = sent.iter().filter_map(Sent::datagram).filter(|(to, _)| *to == target);
    let mut records = payloads.filter_map(|(_, payload)| messages([payload]).ok()?.pop());
    records.find(|record| record.text.lines().next() == Some(text) && record.micros > before)
}

/// Pulls the cable and puts it back; the time at which the log tells that, which the last was `before`.
fn flap(machine: &mut Machine, flaps: usize, before: u64) -> u64 {
    let mut seen = machine.sent().len();
    machine.monitor("set_link n0 off");
    // A sleeping kernel looks at the cable only when it wakes up.
    machine.wait_for("the link's loss on serial", |events| {
        let serial = String::from_utf8_lossy(&events.serial);
        (serial.matches("eth0: link is down").count() > flaps).then_some(())
    });
    machine.monitor("set_link n0 on");
    let back = machine.wait_for("the link's return in the log", |events| {
        let back = told(events.sent.get(seen..).unwrap_or_default(), TARGET, "eth0: link is up", before);
        seen = events.sent.len();
        back
    });
    back.micros
}

/// What a command shows must be records of the log, no problem.
fn command(machine: &mut Machine, line: &str) {
    let answer = machine.command(line);
    assert!(answer.lines().all(|line| line.is_empty() || line.contains("] ")), "{line}: {answer}");
}

/// Makes a target with an item, has it get the log, which was at the time `before`, and removes both.
fn change_targets(machine: &mut Machine, round: usize, before: u64) {
    let mut seen = machine.sent().len();
    for line in [
        &format!("mkdir t{round} t{round}/userdata/round"),
        &format!("cd t{round}"),
        "echo 1 > extended",
        "echo 10.0.0.17 > remote_ip",
        "echo 7777 > remote_port",
        &format!("echo {round} > userdata/round/value"),
        "echo 1 > enabled",
    ] {
        command(machine, line);
    }
    let last = machine.wait_for(&format!("the log at the target of round {round}"), |events| {
        let new = events.sent.get(seen..).unwrap_or_default();
        seen = events.sent.len();
        told(new, OTHER, "netconsole: network logging started", before)
    });
    assert!(last.text.ends_with(&format!("\n round={round}")), "{last:?}");
    for line in ["echo 0 > enabled", "cd ..", &format!("rmdir t{round}/userdata/round t{round}")] {
        command(machine, line);
    }
}

/// How many times a lease was renewed: by whom it has, and so from its address.
fn renewals(sent: &[Sent]) -> usize {
    let renews = |sent: &&Sent| {
        let Some(Content::Udp { to, payload, .. }) = sent.good().map(|frame| &frame.content) else {
            return false;
        };
        let packet = DhcpPacket::new_checked(payload.as_slice());
        let question = packet.ok().filter(|_| to.port() == 67).and_then(|packet| {
            let question = DhcpRepr::parse(&packet).ok()?;
            Some((question.message_type, question.client_ip))
        });
        question == Some((DhcpMessageType::Request, OWN))
    };
    sent.iter().filter(renews).count()
}

/// By how much the kernel's clock ran faster than QEMU's from the first record to the last, in millionths. QEMU
/// stamps the frames of its own capture with its virtual time.
fn drift(capture: &[(Duration, Vec<u8>)]) -> f64 {
    let target: SocketAddr = TARGET.parse().expect("an address");
    let mut first_sent: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
    for (at, frame) in capture {
        let Ok(frame) = Frame::parse(frame) else { continue };
        let Some((_, payload)) = frame.datagram().filter(|(to, _)| *to == target) else { continue };
        for record in messages([payload]).into_iter().flatten() {
            first_sent.entry(record.sequence).or_insert((record.micros as f64, at.as_secs_f64() * 1e6));
        }
    }
    // A record may wait for the link, and none leaves before it is logged: the quickest of a few minutes tell.
    let quickest = |records: &[(f64, f64)]| {
        let quick = records.iter().min_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0)));
        *quick.expect("records")
    };
    let records: Vec<(f64, f64)> = first_sent.into_values().collect();
    let (first, last) =
        (quickest(&records[..records.len() / 4]), quickest(&records[records.len() * 3 / 4..]));
    ((last.0 - first.0) / (last.1 - first.1) - 1.0) * 1e6
}

/// The link goes and comes, leases are renewed, targets are made and removed, pings come in between: no record is
/// lost, the clock keeps its pace, and what a target takes is free again afterwards. (There is no heap.)
#[test]
fn a_long_time_with_flaps_leases_and_changes_loses_nothing() {
    let seconds = env::var("SOAK_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(1800u64);
    let lease = Lease { address: OWN, router: None, duration: LEASE };
    let server = Peer::at("10.0.0.3").serving(Service::new(lease));
    let station = Peer::at("10.0.0.2");
    let boot = Boot::new("soak", "debug log_buf_len=1M netconsole=+@/,@10.0.0.2/");
    let boot = boot.peer(station.clone()).peer(server).peer(Peer::at("10.0.0.17")).repeats();
    let guest = target().join("tests/soak/guest.pcap");
    let dump = format!("filter-dump,id=d0,netdev=n0,file={}", guest.display());
    let boot = boot.arguments(["-icount", "shift=4,sleep=off", "-object", &dump]);
    let mut machine = boot.timeout(Duration::from_secs(180 + seconds / 10)).start();
    machine.wait_for_text(TARGET, "network logging started");
    machine.type_in("\r");
    machine.wait_for_serial("netconsole# ");
    let (mut rounds, mut reached) = (0, 0);
    while reached < seconds * 1_000_000 {
        reached = flap(&mut machine, rounds, reached);
        change_targets(&mut machine, rounds, reached);
        rounds += 1;
        machine.send(0, &station.ping(Nic::mac(0), OWN.into(), b"still there?"));
        // Under icount the minute that a sleeping guest waits for that passes in a second.
        let seen = machine.sent().len();
        let renewed = |sent: &[Sent]| (renewals(&sent[seen..]) >= RENEWALS).then_some(());
        machine.wait_for("renewals", |events| renewed(&events.sent));
    }
    // Of the sixteen places one is taken.
    let all: Vec<String> = (1..17).map(|number| format!("n{number}")).collect();
    let full = machine.command(&format!("mkdir {}", all.join(" ")));
    assert!(full.ends_with("mkdir: n16: No space left: there can be 16 targets\n"), "{full}");

    let capture = machine.stop();
    let renewed = renewals(&capture.sent);
    let drift = drift(&read_pcap(&guest));
    println!(
        "{} s of guest time: {rounds} flaps and changes, {renewed} renewals, drift {drift:.1} ppm",
        reached / 1_000_000
    );
    let messages = capture.messages(TARGET);
    // A second of the guest's may pass in the moment in which a busy host has no time for the card.
    let is_fault = |message: &&Message| message.level <= 3 && !message.text.ends_with(RESTART);
    let fault =
        messages.iter().find(|message| is_fault(message) || message.text.contains("were overwritten"));
    assert_eq!(fault, None);
    let ups = messages.iter().filter(|message| message.text == "eth0: link is up");
    let ups: BTreeSet<u64> = ups.map(|message| message.sequence).collect();
    assert!(ups.len() >= rounds, "{} of {rounds} flaps were logged", ups.len());
    assert!(drift.abs() < ACCURACY, "{drift} ppm");
}
