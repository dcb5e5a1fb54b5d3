//! What crashes damage, and what follows the last words.

use crate::crash::distinct;
use crate::harness::{Boot, Content, Machine, Message, Nic, Peer, Sent, messages, status};
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr,
};
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const TARGET: &str = "10.0.0.2:6666";
const EVERYBODY: &str = "255.255.255.255:6666";
const PANIC_END: &str = "---[ end Kernel panic - not syncing: panic ]---";

fn boot(name: &'static str, parameters: &str) -> Boot {
    Boot::new(name, format!("debug netconsole=+@10.0.0.1/,@10.0.0.2/ {parameters}"))
        .peer(Peer::at("10.0.0.2"))
}

fn end_of(messages: &[Message]) -> &str {
    messages.last().map_or("", |last| &last.text)
}

/// How many messages come before the first one that came again.
fn first_pass(messages: &[Message]) -> usize {
    let again = messages.windows(2).position(|pair| pair[1].sequence <= pair[0].sequence);
    again.map_or(messages.len(), |last| last + 1)
}

#[test]
fn a_hung_card_is_restarted() {
    let capture = boot("crash-hung-device", "after=exit crash=HUNG_DEVICE").start().end();
    assert_eq!(capture.status, status::PANIC);
    assert_eq!(end_of(&capture.messages(TARGET)), PANIC_END);
}

#[test]
fn nothing_is_asked_of_the_driver() {
    let capture = boot("crash-overwrite-nic", "after=exit crash=OVERWRITE_NIC").start().end();
    assert_eq!(capture.status, status::PANIC);
    assert_eq!(end_of(&capture.messages(TARGET)), PANIC_END);
}

/// An Intel card's part. The machine stays, as QEMU's end would lose frames that its e1000 has already
/// confirmed but its network has not yet taken.
#[test]
fn an_intel_card() {
    for (name, crash) in [
        ("crash-intel", "PANIC"),
        ("crash-intel-tx", "PANIC@tx"),
        ("crash-intel-early", "PANIC@early"),
        ("crash-intel-hung", "HUNG_DEVICE"),
        ("crash-intel-overwritten", "OVERWRITE_NIC"),
    ] {
        let parameters = format!(
            "debug netconsole=+@10.0.0.1/eth0,@10.0.0.2/ netconsole=+@fd00::1/eth1,7777@fd00::2/ \
             panic=0 netconsole.panic_repeat=0 crash={crash}"
        );
        let nics = [Nic::device("e1000").peer(Peer::at("10.0.0.2")), Nic::virtio().peer(Peer::at("fd00::2"))];
        let machine = Boot::new(name, parameters).nics(nics).repeats().start();
        for target in [TARGET, "[fd00::2]:7777"] {
            machine.wait_for_text(target, PANIC_END);
        }
        let capture = machine.stop();
        for target in [TARGET, "[fd00::2]:7777"] {
            let messages = capture.messages(target);
            assert_eq!(end_of(&messages), PANIC_END, "{crash}");
            assert_eq!(messages[0].sequence, 0, "{crash}");
            assert!(messages.len() - distinct(&messages).len() <= 1, "{crash}: {messages:?}");
        }
    }
}

/// Where a target's own card can't send, the others do, to everybody on their cables.
#[test]
fn the_other_cards_stand_in() {
    let parameters = "debug netconsole=+@10.0.0.1/,@10.0.0.2/ after=exit crash=LOOP";
    let nics = [Nic::device("e1000").peer(Peer::at("10.0.0.2")), Nic::virtio()];
    let mut machine = Boot::new("crash-other-card", parameters).nics(nics).start();
    machine.wait_for_text(TARGET, "network logging started");
    // Until the kernel hangs: it does so when all has gone out.
    std::thread::sleep(Duration::from_millis(500));
    machine.monitor("set_link n0 off");
    machine.monitor("nmi");
    let capture = machine.end();
    assert_eq!(capture.status, status::PANIC);
    // All in order, each once: up to the hang on the first cable, from there on the second.
    let messages = capture.messages(TARGET);
    assert_eq!(end_of(&messages), "---[ end Kernel panic - not syncing: non-maskable interrupt ]---");
    let last = capture.sent.last().expect("the report's last frame");
    let frame = last.good().expect("a good frame");
    assert_eq!((last.nic, frame.from_mac, frame.to_mac), (1, Nic::mac(1), EthernetAddress::BROADCAST));
}

/// All registers and the rest are in a report, with the values that they had.
#[test]
fn the_report_says_what_a_person_needs() {
    let capture = boot("crash-report", "after=exit crash=DIVIDE_ERROR").start().end();
    let messages = capture.messages(TARGET);
    let begin = messages.iter().position(|message| message.level <= 1).expect("a report");
    let report: String = messages[begin..].iter().map(|message| message.text.clone() + "\n").collect();
    let zero = "0000000000000000";
    for part in [
        // What is divided and by what.
        "RAX: 0000000000000001".to_string(),
        format!("RCX: {zero} RDX: {zero}"),
        "BUG: divide error (vector 0".into(),
        "netconsole 0.1.0, build id ".into(),
        ", uptime ".into(),
        format!("last record before this report {}", messages[begin].sequence - 1),
        "\nCall Trace:\n [<".into(),
    ] {
        assert!(report.contains(&part), "'{part}' is not in:\n{report}");
    }
    for register in [
        "RIP", "RSP", "RFLAGS", "RAX", "RBX", "RCX", "RDX", "RSI", "RDI", "RBP", "R8", "R9", "R10", "R11",
        "R12", "R13", "R14", "R15", "CR0", "CR2", "CR3", "CR4",
    ] {
        // R8 and R9 are written with two digits.
        let name = if register.len() == 2 { register.replace('R', "R0") } else { register.into() };
        assert_eq!(report.matches(&format!("{name}: ")).count(), 1, "{name} in:\n{report}");
    }
}

/// Without cursors that can be trusted, all is sent again.
#[test]
fn damaged_cursors_are_found() {
    let capture = boot("crash-overwrite-sender", "after=exit crash=OVERWRITE_SENDER").repeats().start().end();
    assert_eq!(capture.status, status::PANIC);
    let messages = capture.messages(TARGET);
    assert_eq!(end_of(&messages), PANIC_END);
    let again = &messages[first_pass(&messages)..];
    assert_eq!(again.first().map(|first| first.sequence), Some(0));
    assert!(
        distinct(again).len() == again.len() && again.len() as u64 == messages.last().unwrap().sequence + 1
    );
}

/// Without targets that can be trusted, all is broadcast on every card, from its link-local address.
#[test]
fn damaged_targets_are_found() {
    let nics = [
        // A card that can't be brought up does not keep the others from it.
        Nic::device("virtio-net-pci,disable-modern=on,disable-legacy=off,mrg_rxbuf=off"),
        Nic::virtio().peer(Peer::at("10.0.0.2")),
        Nic::virtio(),
    ];
    let parameters = "debug netconsole=+@10.0.0.1/eth1,@10.0.0.2/ after=exit crash=OVERWRITE_TARGETS";
    let capture = Boot::new("crash-overwrite-targets", parameters).nics(nics).start().end();
    assert_eq!(capture.status, status::PANIC);
    // The target has what came before.
    assert!(!capture.messages(TARGET).is_empty());
    let to: SocketAddr = EVERYBODY.parse().unwrap();
    for nic in [1, 2] {
        let mut text = String::new();
        for sent in capture.sent.iter().filter(|sent| sent.nic == nic) {
            if let Some(Content::Udp { from, to: receiver, payload }) =
                sent.good().map(|frame| &frame.content)
                && *receiver == to
            {
                assert!(matches!(from.ip(), IpAddr::V4(ip) if ip.is_link_local()), "{from}");
                assert_eq!(sent.good().unwrap().to_mac, EthernetAddress::BROADCAST);
                text.push_str(&String::from_utf8_lossy(payload));
            }
        }
        for part in ["Command line:", "network logging started", "crash: provoking", PANIC_END] {
            assert_eq!(text.matches(part).count(), 1, "'{part}' on NIC {nic} in:\n{text}");
        }
    }
}

#[test]
fn what_a_full_ring_still_has_arrives() {
    let capture = boot("crash-overflow-ring", "after=exit crash=OVERFLOW_RING").loses().start().end();
    assert_eq!(capture.status, status::PANIC);
    let messages = capture.messages(TARGET);
    assert_eq!(end_of(&messages), PANIC_END);
    // All that was in the ring at the end, without a gap, up to the last of the flood.
    let flood: Vec<_> =
        messages.iter().filter(|message| message.text.starts_with("overflow message")).collect();
    assert!(flood.len() > 1000, "only {} came", flood.len());
    assert!(flood.windows(2).all(|pair| pair[1].sequence == pair[0].sequence + 1));
    assert_eq!(flood.last().unwrap().text, "overflow message 00099999");
}

/// A line of 9600 baud takes four and a half minutes for a full ring: it gets the newest of it, and says so.
#[test]
fn a_slow_serial_line_gets_the_newest() {
    let parameters = "after=exit console=ttyS0,9600 crash=OVERFLOW_RING";
    let capture = boot("crash-slow-serial", parameters).loses().start().end();
    assert_eq!(capture.status, status::PANIC);
    let (_, newest) = capture.serial.split_once(" records are left out here\n").expect("what is left out");
    // In 30 s it takes 28,800 bytes.
    assert!((10_000..28_800).contains(&newest.len()), "{} bytes", newest.len());
    let flood: Vec<&str> = newest.lines().filter(|line| line.contains("overflow message")).collect();
    assert!(flood.last().expect("the newest").ends_with("overflow message 00099999"));
    assert!(newest.trim_end().ends_with(PANIC_END), "{newest}");
}

/// The panic path dies at its first card; its next start leaves that alone, and the other card sends.
#[test]
fn a_card_that_kills_the_panic_path_is_left_alone() {
    let parameters = "debug netconsole=+@10.0.0.1/,@10.0.0.2/ netconsole=+@10.0.1.1/eth1,7777@10.0.1.2/ \
                      after=exit crash=EXCEPTION@paniccard";
    let nics = [Nic::virtio().peer(Peer::at("10.0.0.2")), Nic::virtio().peer(Peer::at("10.0.1.2"))];
    let capture = Boot::new("crash-at-card", parameters).nics(nics).repeats().start().end();
    assert_eq!(capture.status, status::PANIC);
    let end = "---[ end Kernel panic - not syncing: page fault ]---";
    assert_eq!(end_of(&capture.messages("10.0.1.2:7777")), end);
    assert!(capture.serial.trim_end().ends_with(end), "{}", capture.serial);
    // Both reports are there.
    assert_eq!(capture.serial.matches(end).count(), 2);
}

/// However deep it goes, the machine ends as it was told to, and serial says why.
#[test]
fn cards_that_all_kill_the_panic_path_leave_serial() {
    let targets: String =
        (0..4).map(|card| format!("netconsole=+@10.0.{card}.1/eth{card},@10.0.{card}.2/ ")).collect();
    let parameters = format!("debug {targets}after=exit crash=EXCEPTION@paniccards");
    let nics = [0, 1, 2, 3].map(|card| Nic::virtio().peer(Peer::at(&format!("10.0.{card}.2"))));
    let capture = Boot::new("crash-at-all-cards", parameters).nics(nics).repeats().start().end();
    assert_eq!(capture.status, status::PANIC);
    let serial = &capture.serial;
    let ends = serial.matches("---[ end Kernel panic - not syncing: page fault ]---").count();
    assert_eq!(ends, 3, "{serial}");
    assert!(serial.contains("Kernel panic - not syncing: panic in panic: page fault at 0x"), "{serial}");
    let last = "Kernel panic - not syncing: panic in panic, five times: this is the end";
    assert!(serial.trim_end().ends_with(last), "{serial}");
}

/// Each restart writes less; after the third only the place is sent, in one frame.
#[test]
fn each_report_is_shorter() {
    let mut lengths = Vec::new();
    for (name, place) in [
        ("crash-restart-0", "PANIC"),
        ("crash-restart-1", "EXCEPTION@panic"),
        ("crash-restart-2", "EXCEPTION@panic2"),
    ] {
        let capture = boot(name, &format!("after=exit crash={place}")).start().end();
        let messages = capture.messages(TARGET);
        let ends: Vec<_> =
            (0..).zip(&messages).filter(|(_, message)| message.text.starts_with("---[ end")).collect();
        let (last, _) = *ends.last().expect("a report");
        let before = ends.iter().rev().nth(1).map_or_else(
            || messages.iter().position(|message| message.level <= 1).unwrap(),
            |(place, _)| place + 1,
        );
        lengths.push(last + 1 - before);
    }
    assert!(lengths.is_sorted_by(|before, after| before > after), "{lengths:?}");

    let capture = boot("crash-restart-3", "after=exit crash=EXCEPTION@panic3").loses().start().end();
    assert_eq!(capture.status, status::PANIC);
    let messages = capture.messages(TARGET);
    let report: Vec<_> = messages.iter().filter(|message| message.level <= 1).collect();
    let [only] = report[..] else { panic!("not one frame: {report:?}") };
    assert!(
        only.text.starts_with("Kernel panic - not syncing: panic in panic: page fault at 0x"),
        "{}",
        only.text
    );

    assert!(capture.serial.contains(&only.text), "{}", capture.serial);

    let capture = boot("crash-restart-3-panic", "after=exit crash=PANIC@panic3").loses().start().end();
    let end = end_of(&capture.messages(TARGET)).to_string();
    assert!(
        end.starts_with("Kernel panic - not syncing: panic in panic: panic at src/machine/trap.rs:"),
        "{end}"
    );
}

/// Before an address is known a receiver must still take the frames.
#[test]
fn an_early_crash_without_an_address() {
    for (name, target, from) in [
        ("crash-early-ipv4", "10.0.0.2", "169.254.142.22:6665"),
        ("crash-early-ipv6", "fd00::2", "[fe80::5054:ff:fe12:3456]:6665"),
    ] {
        let parameters = format!("debug netconsole=+@/,@{target}/ after=exit crash=PANIC@early");
        let capture = Boot::new(name, parameters).start().end();
        assert_eq!(capture.status, status::PANIC);
        let datagrams: Vec<_> = capture
            .frames()
            .filter_map(|frame| match &frame.content {
                Content::Udp { from, payload, .. } => Some((frame.to_mac, *from, payload)),
                _ => None,
            })
            .collect();
        for (mac, source, _) in &datagrams {
            assert_eq!((*mac, *source), (EthernetAddress::BROADCAST, from.parse().unwrap()));
        }
        let (.., last) = datagrams.last().expect("a log");
        assert!(String::from_utf8_lossy(last).contains(PANIC_END));
    }
}

/// Nobody asked for a log, so nobody gets one.
#[test]
fn without_targets_nothing_is_broadcast() {
    let capture = Boot::new("crash-no-target", "debug after=exit crash=PANIC").start().end();
    assert_eq!(capture.status, status::PANIC);
    assert!(capture.serial.contains(PANIC_END));
    assert!(capture.frames().all(|frame| match &frame.content {
        // DHCP's.
        Content::Udp { to, .. } => to.port() == 67,
        _ => true,
    }));
}

#[test]
fn only_the_report() {
    let parameters = "netconsole.oops_only=1 after=exit crash=EXCEPTION";
    let capture = boot("crash-oops-only", parameters).start().end();
    assert_eq!(capture.status, status::PANIC);
    let messages = capture.messages(TARGET);
    let [started, report @ ..] = &messages[..] else { panic!("nothing came") };
    assert_eq!(started.text, "netconsole: network logging started");
    assert!(report.iter().all(|message| message.level <= 1), "{messages:?}");
    assert!(report[0].text.starts_with("BUG: page fault") && report[0].held > 0);
    assert_eq!(end_of(&messages), "---[ end Kernel panic - not syncing: page fault ]---");
    assert!(capture.serial.contains("network logging started"));
}

/// What was held back directly before the report is told with it, when it goes out, when it is repeated, and when it is
/// asked for.
#[test]
fn the_report_tells_what_was_held_back() {
    let parameters =
        "loglevel=3 panic=0 netconsole.panic_repeat=1 netconsole=+@10.0.0.1/,@10.0.0.2/ crash=PANIC";
    let peer = Peer::at("10.0.0.2");
    let machine = Boot::new("crash-held", parameters).peer(peer.clone()).repeats().start();
    wait_for_reports(&machine, 2);
    let reports = |machine: &Machine| {
        let sent = machine.sent();
        let payloads = sent.iter().filter_map(Sent::datagram).map(|(_, payload)| payload);
        messages(payloads)
            .expect("extended messages")
            .into_iter()
            .filter(|message| message.level < 3)
            .collect::<Vec<_>>()
    };
    let before = reports(&machine);
    let first = &before[0];
    assert!(first.held > 0, "{first:?}");
    let own = "10.0.0.1:6665".parse().unwrap();
    let question = format!("ncrx{} {}", u64::MAX, first.sequence);
    machine.send(0, &peer.datagram(6666, Nic::mac(0), own, question.as_bytes()));
    machine.wait_for("the report's first record again", |events| {
        let is_there = |sent: &&Sent| {
            sent.datagram().is_some_and(|(_, payload)| {
                String::from_utf8_lossy(payload).starts_with(&format!("{},{},", first.level, first.sequence))
            })
        };
        (events.sent.iter().filter(is_there).count() == 3).then_some(())
    });
    let after = reports(&machine);
    let same: Vec<_> = after.iter().filter(|message| message.sequence == first.sequence).collect();
    assert_eq!(same, [first; 3], "byte by byte the same");
    machine.stop();
}

/// Waits until the report's end has come `times`.
fn wait_for_reports(machine: &Machine, times: usize) {
    let is_end = |sent: &&Sent| {
        sent.datagram().is_some_and(|(_, payload)| String::from_utf8_lossy(payload).contains(PANIC_END))
    };
    machine.wait_for(&format!("{times} reports"), |events| {
        (events.sent.iter().filter(is_end).count() >= times).then_some(())
    });
}

/// Asks for the kernel's IPv4 address, and waits until that is answered for the `times`th time.
fn ask(machine: &Machine, peer: &Peer, times: usize) {
    let question = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: peer.mac,
        source_protocol_addr: "10.0.0.2".parse().unwrap(),
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: "10.0.0.1".parse().unwrap(),
    };
    let mut frame = vec![0; 14 + question.buffer_len()];
    let header = EthernetRepr {
        src_addr: peer.mac,
        dst_addr: EthernetAddress::BROADCAST,
        ethertype: EthernetProtocol::Arp,
    };
    header.emit(&mut EthernetFrame::new_unchecked(&mut frame));
    question.emit(&mut ArpPacket::new_unchecked(&mut frame[14..]));
    machine.send(0, &frame);
    machine.wait_for("an ARP reply", |events| {
        let is_reply = |sent: &&Sent| match sent.good().map(|frame| &frame.content) {
            Some(Content::Arp(ArpRepr::EthernetIpv4 {
                operation,
                source_hardware_addr,
                target_protocol_addr,
                ..
            })) => {
                *operation == ArpOperation::Reply
                    && *source_hardware_addr == Nic::mac(0)
                    && target_protocol_addr.octets() == [10, 0, 0, 2]
            }
            _ => false,
        };
        (events.sent.iter().filter(is_reply).count() >= times).then_some(())
    });
}

/// The report comes again with the same numbers; then ARP and `dmesg` are answered.
#[test]
fn while_the_machine_stays_it_answers() {
    let peer = Peer::at("10.0.0.2");
    let machine = boot("crash-stays", "panic=0 netconsole.panic_repeat=2 crash=PANIC").repeats().start();
    wait_for_reports(&machine, 3);

    let own = "10.0.0.1:6665".parse().unwrap();
    // Not from a target's address: it would be answered before the one that is.
    machine.send(0, &Peer::at("10.0.0.9").datagram(6666, Nic::mac(0), own, b"dmesg\n"));
    ask(&machine, &peer, 1);

    machine.send(0, &peer.datagram(4321, Nic::mac(0), own, b"dmesg\n"));
    wait_for_reports(&machine, 4);
    let capture = machine.stop();
    let messages = capture.messages(TARGET);
    let log = first_pass(&messages);
    let count = messages[log - 1].sequence as usize + 1;
    let report = messages[..log].iter().filter(|message| message.level <= 1).count();
    let rest: Vec<_> = messages[log..].iter().map(|message| message.sequence as usize).collect();
    let again = count - report..count;
    let expected: Vec<_> = again.clone().chain(again).chain(0..count).collect();
    assert_eq!(rest, expected, "the report twice, then the whole log once");
}

/// The whole log goes to the target alone, whoever asks in its name, and not twice within ten seconds.
#[test]
fn only_a_target_gets_the_log_again() {
    const IN_VLAN: &str = "10.0.7.2:6666";
    let (peer, tagged) = (Peer::at("10.0.0.2"), Peer::at("10.0.7.2").in_vlan(7));
    let forged = |peer: &Peer| {
        let mut forged = peer.clone();
        forged.mac = EthernetAddress([2, 0, 0, 0, 0, 0x66]);
        forged
    };
    let parameters = "panic=0 netconsole.panic_repeat=0 netconsole=+@10.0.7.1/eth0.7,@10.0.7.2/";
    let boot = boot("crash-asked", parameters).peer(tagged.clone()).repeats();
    let mut machine = boot.timeout(Duration::from_secs(200)).start();
    for target in [TARGET, IN_VLAN] {
        machine.wait_for_text(target, "network logging started");
    }
    machine.type_in("\rcrash PANIC\r");
    for target in [TARGET, IN_VLAN] {
        machine.wait_for_text(target, PANIC_END);
    }
    let own = ["10.0.0.1:6665", "10.0.7.1:6665"].map(|own| own.parse().unwrap());
    let question = |from: &Peer, port: u16, own| from.datagram(port, Nic::mac(0), own, b"dmesg\n");
    let mut asked = 0;
    let mut datagrams = |machine: &Machine| {
        // Each answer is a turn of the card's, and so are sixteen datagrams of what the frames before set off: more than
        // the logs of both targets have.
        for _ in 0..20 {
            asked += 1;
            ask(machine, &peer, asked);
        }
        [TARGET, IN_VLAN].map(|target| machine.count(target))
    };
    let before = datagrams(&machine);
    for frame in [
        question(&forged(&peer), 6666, own[0]),
        question(&peer.clone().in_vlan(7), 6666, own[0]),
        question(&Peer::at("10.0.0.9"), 6666, own[0]),
        question(&forged(&tagged), 6666, own[1]),
        question(&Peer::at("10.0.7.2"), 6666, own[1]),
        question(&tagged.clone().in_vlan(8), 6666, own[1]),
    ] {
        machine.send(0, &frame);
    }
    assert_eq!(datagrams(&machine), before, "others got an answer");

    // From any port, as the wiki's second `nc -u` has its own.
    machine.send(0, &question(&peer, 4321, own[0]));
    let once = datagrams(&machine);
    assert!(once[0] > before[0] && once[1] == before[1], "{before:?} became {once:?}");
    machine.send(0, &question(&peer, 6666, own[0]));
    machine.send(0, &question(&peer, 4321, own[0]));
    assert_eq!(datagrams(&machine), once, "twice within ten seconds");
    machine.send(0, &question(&tagged, 4321, own[1]));
    let both = datagrams(&machine);
    assert!(both[0] == once[0] && both[1] > once[1], "{once:?} became {both:?}");
    std::thread::sleep(Duration::from_secs(11));
    machine.send(0, &question(&peer, 4321, own[0]));
    let again = datagrams(&machine);
    assert_eq!(again, [2 * once[0] - before[0], both[1]]);
    let all = machine.stop().sent;
    let asker = all.iter().filter_map(Sent::datagram).filter(|(to, _)| to.port() == 4321);
    assert_eq!(asker.count(), 0, "the log goes where it always goes");
}

#[test]
fn ipv6_neighbours_are_answered() {
    let parameters = "debug netconsole=+@fd00::1/,@fd00::2/ panic=0 netconsole.panic_repeat=0 crash=PANIC";
    let peer = Peer::at("fd00::2");
    let machine = Boot::new("crash-stays-ipv6", parameters).peer(peer.clone()).repeats().start();
    wait_for_reports(&machine, 1);
    machine.send(0, &peer.solicitation(Nic::mac(0), "fd00::1".parse().unwrap()));
    machine.wait_for("a neighbour advertisement", |events| {
        let is_advertisement = |sent: &Sent| match sent.good().map(|frame| &frame.content) {
            // RFC 4861, section 4.4: type 136, the target after 8 bytes.
            Some(Content::Icmp { message, .. }) => {
                message[0] == 136 && message[8..24] == *b"\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"
            }
            _ => false,
        };
        // In normal running smoltcp has answered none: nobody had asked.
        events.sent.iter().any(is_advertisement).then_some(())
    });
    machine.stop();
}

/// After its seconds, or at once below 0.
#[test]
fn panic_seconds_reboot_the_machine() {
    for (name, seconds) in [("crash-reboots-soon", 2), ("crash-reboots-at-once", -1)] {
        let parameters = format!("panic={seconds} netconsole.panic_repeat=0 crash=PANIC");
        let machine = boot(name, &parameters).repeats().start();
        machine.wait_for_text(TARGET, PANIC_END);
        let end = Instant::now();
        // The boot after does not crash again.
        machine.wait_for_text(TARGET, "previous boot ended without a goodbye");
        // Less what the frame took to be seen.
        assert!(end.elapsed().as_secs_f64() > f64::from(seconds) - 0.5, "panic={seconds}");
        assert_eq!(
            machine.stop().text(TARGET).matches("crash: provoking").count(),
            2,
            "once, and again from the ring"
        );
    }
}

/// scripts/symbolize with this log: its output, and whether it succeeded.
fn symbolize(log: &str) -> (String, bool) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/symbolize");
    let mut child = Command::new(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("scripts/symbolize runs");
    child.stdin.take().expect("it is piped").write_all(log.as_bytes()).expect("the script reads its input");
    let output = child.wait_with_output().expect("the script ends");
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.success())
}

#[test]
fn addresses_get_names() {
    let capture = boot("crash-symbols", "after=exit crash=EXCEPTION").start().end();
    let (named, succeeded) = symbolize(&capture.serial);
    assert!(succeeded);
    let trace = &named[named.find("Call Trace:").expect("a backtrace")..];
    let names: Vec<_> =
        ["netconsole::machine::trap::provoke", "netconsole::crash::after_boot", "netconsole::kernel_main"]
            .map(|name| trace.find(name).unwrap_or_else(|| panic!("{name} is not in:\n{named}")))
            .into();
    assert!(names.is_sorted() && trace.contains("src/crash.rs:"), "{named}");

    let other = capture.serial.replace("build id ", "build id 0123456789");
    let (named, succeeded) = symbolize(&other);
    assert!(!succeeded && named == other, "addresses of another build got names");
}
