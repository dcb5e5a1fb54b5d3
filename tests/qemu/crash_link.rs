//! After a panic: links that come late, ports that carry nothing yet, and how long the machine waits for them.

use crate::harness::{
    Boot, Content, Lie, Machine, Message, Nic, Peer, Sent, TRANSMIT, messages, side_by_side, status,
};
use crate::protocols::kernel_for_pvh;
use smoltcp::wire::{ArpOperation, ArpRepr, EthernetAddress};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::thread::sleep;
use std::time::{Duration, Instant};

const TARGET: &str = "10.0.0.2:6666";
const STARTED: &str = "network logging started";
const PANIC_END: &str = "---[ end Kernel panic - not syncing: panic ]---";
const NMI_END: &str = "---[ end Kernel panic - not syncing: non-maskable interrupt ]---";

/// How long a switch's port listens and learns before it forwards, and what it may take more.
const SILENCE: Duration = Duration::from_secs(31);

/// How long nothing more comes where nothing more is to come: longer than the questions are apart.
const QUIET: Duration = Duration::from_secs(12);

/// The records in the datagrams that went to the target after the first `seen` frames.
fn records(machine: &Machine, target: &str, seen: usize) -> Vec<Message> {
    let target: SocketAddr = target.parse().expect("an address and port");
    let sent = machine.sent();
    let payloads = sent[seen..].iter().filter_map(Sent::datagram).filter(|(to, _)| *to == target);
    messages(payloads.map(|(_, payload)| payload)).expect("extended messages")
}

/// Waits until the target has got the log's end `times` after the first `seen` frames.
fn wait_for_end(machine: &Machine, target: &str, seen: usize, times: usize) {
    let target: SocketAddr = target.parse().expect("an address and port");
    machine.wait_for(&format!("the report's end, {times} times, at {target}"), |events| {
        let is_end = |sent: &&Sent| {
            sent.datagram().is_some_and(|(to, payload)| {
                to == target && String::from_utf8_lossy(payload).contains(PANIC_END)
            })
        };
        (events.sent.get(seen..)?.iter().filter(is_end).count() >= times).then_some(())
    });
}

/// Types a crash at the console, and waits until serial has shown its report.
fn crash(machine: &mut Machine) {
    machine.type_in("\rcrash PANIC\r");
    machine.wait_for_serial(PANIC_END);
}

/// The questions for IPv4 addresses that the NIC has sent.
fn questions(sent: &[Sent], nic: usize) -> usize {
    let is_question = |sent: &&Sent| {
        matches!(
            sent.good().map(|frame| &frame.content),
            Some(Content::Arp(ArpRepr::EthernetIpv4 { operation: ArpOperation::Request, .. }))
        )
    };
    sent.iter().filter(|sent| sent.nic == nic).filter(is_question).count()
}

/// Whether the NIC announces its own IPv4 address, as at the beginning of a boot.
fn is_announcement(sent: &Sent, nic: usize) -> bool {
    let is_own = |content: &Content| {
        matches!(content, Content::Arp(ArpRepr::EthernetIpv4 { source_protocol_addr, target_protocol_addr, .. })
            if source_protocol_addr == target_protocol_addr)
    };
    sent.nic == nic && sent.good().is_some_and(|frame| is_own(&frame.content))
}

struct Late {
    device: &'static str,
    seconds: u64,
}

/// The link is down when the machine panics and comes seconds later: the log comes then, whole.
fn a_link_comes_late(late: &Late) {
    let Late { device, seconds } = *late;
    let name =
        format!("crash-link-{}-{seconds}", device.replace(|byte: char| !byte.is_ascii_alphanumeric(), "-"));
    let parameters = "debug netconsole=+@10.0.0.1/,@10.0.0.2/ netconsole.panic_repeat=0";
    let boot = Boot::new(name.leak(), parameters).repeats().timeout(Duration::from_secs(200));
    let boot = boot.nics([Nic::device(device).peer(Peer::at("10.0.0.2"))]);
    // On PCI Express, and from QEMU 8 on.
    let boot = if device == "igb" { boot.in_qemu10().arguments(["-M", "q35"]) } else { boot };
    let mut machine = boot.start();
    machine.wait_for_text(TARGET, STARTED);
    machine.monitor("set_link n0 off");
    machine.wait_for_serial("eth0: link is down");
    crash(&mut machine);
    machine.nothing_more_comes(Duration::from_secs(seconds));
    machine.monitor("set_link n0 on");
    wait_for_end(&machine, TARGET, 0, 1);
    let sent = machine.stop();
    let unicast = |sent: &&Sent| sent.good().is_some_and(|frame| frame.to_mac == Peer::at("10.0.0.2").mac);
    assert!(sent.sent.iter().filter(unicast).count() > 0);
    // That none is missing, the harness looks.
    assert_eq!(sent.messages(TARGET).last().expect("records").text, PANIC_END);
}

#[test]
fn a_link_that_comes_up_gets_the_log() {
    let devices = [
        "virtio-net-pci",
        "virtio-net-pci,disable-modern=on,disable-legacy=off",
        "e1000",
        "e1000e",
        "rtl8139",
        "vmxnet3",
        "igb",
    ];
    let cases = devices.map(|device| Late { device, seconds: 6 });
    side_by_side(&cases, |case| case.device.into(), a_link_comes_late);
}

#[test]
fn a_link_that_comes_up_after_half_a_minute_gets_the_log() {
    let cases = ["virtio-net-pci", "e1000"].map(|device| Late { device, seconds: 35 });
    side_by_side(&cases, |case| case.device.into(), a_link_comes_late);
}

/// The same for a card that is not on the PCI bus.
#[test]
fn a_link_that_comes_up_on_a_microvm_gets_the_log() {
    let kernel = kernel_for_pvh("microvm-crash-link.elf");
    for (name, arguments) in [
        ("crash-link-microvm-legacy", &["-M", "microvm"][..]),
        ("crash-link-microvm-modern", &["-M", "microvm", "-global", "virtio-mmio.force-legacy=false"]),
    ] {
        let parameters = "debug netconsole=+@10.0.0.1/,@10.0.0.2/ netconsole.panic_repeat=0";
        let boot = Boot::new(name, parameters).loader(["-kernel", &kernel, "-append", parameters]);
        let nic = Nic::device("virtio-net-device").peer(Peer::at("10.0.0.2"));
        let boot = boot.nics([nic]).first_arguments(arguments.iter().copied()).repeats();
        let mut machine = boot.timeout(Duration::from_secs(200)).start();
        machine.wait_for_text(TARGET, STARTED);
        machine.monitor("set_link n0 off");
        machine.wait_for_serial("eth0: link is down");
        crash(&mut machine);
        machine.nothing_more_comes(Duration::from_secs(5));
        machine.monitor("set_link n0 on");
        wait_for_end(&machine, TARGET, 0, 1);
        machine.stop();
    }
}

/// A link that was never up before the panic: what is for another subnet goes to the gateway that was given.
#[test]
fn a_first_link_after_the_panic_leads_to_the_gateway() {
    const BEYOND: &str = "10.9.9.9:6666";
    let parameters = "debug ip=10.0.0.1::10.0.0.254:255.255.255.0::eth0:off netconsole=+@/eth0,@10.9.9.9/ \
                      netconsole.panic_repeat=0 netconsole.carrier_timeout=1";
    let gateway = Peer::at("10.0.0.254");
    let boot = Boot::new("crash-link-gateway", parameters).peer(gateway.clone()).paused();
    let mut machine = boot.timeout(Duration::from_secs(200)).start();
    machine.monitor("set_link n0 off");
    machine.monitor("cont");
    machine.wait_for_serial("timeout waiting for carrier");
    crash(&mut machine);
    machine.monitor("set_link n0 on");
    wait_for_end(&machine, BEYOND, 0, 1);
    let capture = machine.stop();
    assert_eq!(capture.messages(BEYOND)[0].sequence, 0);
    for frame in capture.frames().filter(|frame| frame.datagram().is_some()) {
        assert_eq!(frame.to_mac, gateway.mac);
    }
}

/// Where nothing is known of the targets any more, a late link gets the broadcast.
#[test]
fn a_late_link_gets_what_is_broadcast() {
    const EVERYBODY: &str = "255.255.255.255:6666";
    let parameters = "debug netconsole=+@10.0.0.1/,@10.0.0.2/ netconsole.panic_repeat=0";
    let nics = [Nic::device("e1000").peer(Peer::at("10.0.0.2")), Nic::virtio()];
    let boot = Boot::new("crash-link-broadcast", parameters).nics(nics).repeats().loses();
    let mut machine = boot.timeout(Duration::from_secs(200)).start();
    machine.wait_for_text(TARGET, STARTED);
    machine.monitor("set_link n0 off");
    machine.wait_for_serial("eth0: link is down");
    machine.type_in("\rcrash OVERWRITE_TARGETS\r");
    // Serial and the card with link wait for nobody.
    machine.wait_for_serial(PANIC_END);
    wait_for_end(&machine, EVERYBODY, 0, 1);
    machine.nothing_more_comes(Duration::from_secs(5));
    machine.monitor("set_link n0 on");
    wait_for_end(&machine, EVERYBODY, 0, 2);
    let sent = machine.stop().sent;
    let everybody: SocketAddr = EVERYBODY.parse().expect("an address and port");
    for nic in [0, 1] {
        let to_all = sent.iter().filter(|sent| sent.nic == nic).filter_map(Sent::datagram);
        let text: String = to_all
            .filter(|(to, _)| *to == everybody)
            .map(|(_, payload)| String::from_utf8_lossy(payload).into_owned())
            .collect();
        for part in ["Command line:", STARTED, PANIC_END] {
            assert_eq!(text.matches(part).count(), 1, "'{part}' on NIC {nic} in:\n{text}");
        }
    }
}

/// A card that hangs each time that it is started is given up: another one helps. Once it does what it should it gets
/// the log.
#[test]
fn a_card_that_hangs_keeps_no_one_waiting() {
    let parameters = "debug netconsole=+@10.0.0.1/,@10.0.0.2/ netconsole=+@10.0.1.1/eth1,@10.0.1.2/ \
                      netconsole.panic_repeat=0";
    let nics =
        [Nic::virtio().on_vhost_user().peer(Peer::at("10.0.0.2")), Nic::virtio().peer(Peer::at("10.0.1.2"))];
    let boot = Boot::new("crash-link-hangs", parameters).nics(nics).repeats().loses();
    let mut machine = boot.timeout(Duration::from_secs(200)).start();
    let other = "10.0.1.2:6666";
    machine.wait_for_text(TARGET, STARTED);
    machine.wait_for_text(other, STARTED);
    let before = machine.sent().len();
    machine.tell(Lie::Hangs, TRANSMIT);
    crash(&mut machine);
    wait_for_end(&machine, TARGET, before, 1);
    let is_end_for = |sent: &Sent, target: &str| {
        let target: SocketAddr = target.parse().expect("an address and port");
        sent.datagram()
            .is_some_and(|(to, payload)| to == target && String::from_utf8_lossy(payload).contains(PANIC_END))
    };
    let sent = machine.sent();
    let ends = [other, TARGET].map(|target| {
        sent.iter()
            .position(|sent| sent.nic == 1 && is_end_for(sent, target))
            .expect("a report by the other card")
    });
    assert!(ends.is_sorted(), "the other card's own target came first");
    // Until the next reset.
    machine.tell(Lie::NeverCompletes, TRANSMIT);
    let seen = machine.sent().len();
    machine.wait_for("the report from the card itself", |events| {
        let mut new = events.sent.get(seen..)?.iter().filter(|sent| sent.nic == 0);
        new.any(|sent| {
            sent.datagram().is_some_and(|(_, payload)| String::from_utf8_lossy(payload).contains(PANIC_END))
        })
        .then_some(())
    });
    machine.stop();
}

/// Cards with link come first, and the others have one deadline together. What the guest's clock says meanwhile is
/// told by the questions for an address that nobody answers: at 0, 0.2, 0.4 and 0.6 s, then one each second.
#[test]
fn unplugged_ports_keep_no_one_waiting() {
    let parameters = "debug netconsole=+@10.0.1.1/eth0,@10.0.1.2/ netconsole=+@10.0.2.1/eth1,@10.0.2.2/ \
                      netconsole=+@10.0.3.1/eth2,@10.0.3.2/ netconsole=+@10.0.0.1/eth3,@10.0.0.2/ \
                      netconsole.panic_repeat=0";
    let nics = [
        Nic::device("e1000").peer(Peer::at("10.0.1.2")),
        Nic::device("e1000").peer(Peer::at("10.0.2.2")),
        Nic::device("e1000").peer(Peer::at("10.0.3.2")),
        Nic::virtio().peer(Peer::at("10.0.0.2")),
    ];
    let boot = Boot::new("crash-link-unplugged", parameters).nics(nics).repeats().loses();
    let mut machine = boot.timeout(Duration::from_secs(200)).start();
    let unplugged = ["10.0.1.2:6666", "10.0.2.2:6666", "10.0.3.2:6666"];
    machine.wait_for_text(TARGET, STARTED);
    for (number, target) in unplugged.iter().enumerate() {
        machine.wait_for_text(target, STARTED);
        machine.monitor(&format!("set_link n{number} off"));
        machine.wait_for_serial(&format!("eth{number}: link is down"));
    }
    machine.block(3);
    let before = machine.sent().len();
    crash(&mut machine);
    for target in unplugged {
        wait_for_end(&machine, target, before, 1);
    }
    let sent = machine.stop().sent;
    let end_at = |target: &str| {
        let target: SocketAddr = target.parse().expect("an address and port");
        let is_end = |sent: &Sent| {
            sent.datagram().is_some_and(|(to, payload)| {
                to == target && String::from_utf8_lossy(payload).contains(PANIC_END)
            })
        };
        before + sent[before..].iter().position(is_end).expect("the report's end")
    };
    let own = end_at(TARGET);
    // Where it had waited, too, there were seven.
    assert!(questions(&sent[before..own], 3) <= 4, "the card with link waited");
    for target in unplugged {
        let end = end_at(target);
        assert!(own < end, "the cards without link came first");
        assert_eq!(sent[end].nic, 3, "another card helps");
        // At 4 s of the guest's: the eighth question comes at 4.6 s. On a busy host the guest misses one or two.
        let asked = questions(&sent[before..end], 3);
        assert!((5..=9).contains(&asked), "{target} came after {asked} questions");
    }
}

/// A card that no target uses is left alone.
#[test]
fn cards_without_targets_are_not_waited_for() {
    let parameters = "debug netconsole=+@10.0.0.1/eth3,@10.0.0.2/ netconsole.panic_repeat=0";
    let nics = [
        Nic::device("e1000"),
        Nic::device("e1000"),
        Nic::device("e1000"),
        Nic::virtio().peer(Peer::at("10.0.0.2")),
    ];
    let boot = Boot::new("crash-link-no-targets", parameters).nics(nics).repeats();
    let mut machine = boot.timeout(Duration::from_secs(200)).start();
    machine.wait_for_text(TARGET, STARTED);
    for number in 0..3 {
        machine.monitor(&format!("set_link n{number} off"));
        machine.wait_for_serial(&format!("eth{number}: link is down"));
    }
    machine.block(3);
    let before = machine.sent().len();
    crash(&mut machine);
    wait_for_end(&machine, TARGET, before, 1);
    let sent = machine.stop().sent;
    // Where they wait, it is for seven.
    assert!(questions(&sent[before..], 3) <= 4, "the first frames waited");
}

/// The seconds of `panic=` begin when the log has gone out, which a late link delays, for a minute at most.
#[test]
fn the_reboot_waits_for_the_link() {
    struct Case {
        name: &'static str,
        panic: i32,
        /// When the link comes.
        link_at: Option<u64>,
        /// How long the machine stays after the report, or after the link, at least.
        stays: f64,
        /// Where no link comes, how often another card asks for its own target, which nobody answers, between its report
        /// and the next boot's first question: from 0.6 to 10.6 s after the panic each second, then every ten seconds. On a
        /// busy host the guest misses one or two.
        asks: Option<RangeInclusive<usize>>,
    }
    let cases = [
        Case { name: "crash-link-reboots-late", panic: 5, link_at: Some(12), stays: 5.0, asks: None },
        Case {
            name: "crash-link-reboots-at-last",
            panic: 5,
            link_at: None,
            stays: 65.0,
            asks: Some(13..=19),
        },
        Case { name: "crash-link-reboots-at-once", panic: -1, link_at: Some(5), stays: 0.0, asks: None },
        Case {
            name: "crash-link-reboots-without",
            panic: -1,
            link_at: None,
            stays: 10.0,
            asks: Some(7..=12),
        },
    ];
    side_by_side(
        &cases,
        |case| case.name.into(),
        |case| {
            let panic = case.panic;
            let mut parameters = format!(
                "debug netconsole=+@10.0.0.1/eth0,@10.0.0.2/ netconsole.panic_repeat=0 panic={panic}"
            );
            let mut nics = vec![Nic::virtio().peer(Peer::at("10.0.0.2"))];
            if case.asks.is_some() {
                parameters.push_str(" netconsole=+@10.0.1.1/eth1,@10.0.1.2/");
                nics.push(Nic::virtio());
            }
            let boot = Boot::new(case.name, parameters).nics(nics).repeats().loses();
            let mut machine = boot.timeout(Duration::from_secs(200)).start();
            machine.wait_for_text(TARGET, STARTED);
            machine.monitor("set_link n0 off");
            machine.wait_for_serial("eth0: link is down");
            crash(&mut machine);
            let mut begun = Instant::now();
            if let Some(seconds) = case.link_at {
                machine.nothing_more_comes(Duration::from_secs(seconds));
                machine.monitor("set_link n0 on");
                wait_for_end(&machine, TARGET, 0, 1);
                begun = Instant::now();
            }
            machine.wait_for_serial("previous boot ended without a goodbye");
            // Less what the report's end took to be seen.
            assert!(begun.elapsed().as_secs_f64() > case.stays - 1.0, "{}", case.name);
            let sent = machine.stop().sent;
            if let Some(asks) = &case.asks {
                let is_end = |sent: &Sent| {
                    let text = sent.datagram().map(|(_, payload)| String::from_utf8_lossy(payload));
                    sent.nic == 1 && text.is_some_and(|text| text.contains(PANIC_END))
                };
                let report = sent.iter().position(is_end).expect("the report by the other card");
                let stays = sent[report..].split(|sent| is_announcement(sent, 1)).next().expect("a part");
                let asked = questions(stays, 1);
                assert!(asks.contains(&asked), "{}: {asked} questions", case.name);
            }
        },
    );
}

/// `after=exit` waits for a link, too, but not for ever.
#[test]
fn the_end_waits_for_the_link() {
    for (name, link_at) in [("crash-link-exits-late", Some(5)), ("crash-link-exits-without", None)] {
        let parameters = "debug netconsole=+@10.0.0.1/,@10.0.0.2/ after=exit crash=LOOP";
        let boot = Boot::new(name, parameters).peer(Peer::at("10.0.0.2")).repeats().loses();
        let mut machine = boot.timeout(Duration::from_secs(200)).start();
        machine.wait_for_text(TARGET, STARTED);
        machine.wait_until_quiet(Duration::from_millis(500));
        machine.monitor("set_link n0 off");
        machine.monitor("nmi");
        machine.wait_for_serial(NMI_END);
        let begun = Instant::now();
        if let Some(seconds) = link_at {
            machine.nothing_more_comes(Duration::from_secs(seconds));
            machine.monitor("set_link n0 on");
        }
        let capture = machine.end();
        assert_eq!(capture.status, status::PANIC, "{name}");
        assert_eq!(capture.text(TARGET).contains(NMI_END), link_at.is_some(), "{name}");
        assert!(link_at.is_some() || begun.elapsed().as_secs_f64() > 9.0);
    }
}

/// A port that is silent for half a minute after the panic, as the card's reset makes it: what went out meanwhile
/// comes again when somebody answers, once.
#[test]
fn a_silent_switch_after_the_panic() {
    struct Case {
        name: &'static str,
        parameters: &'static str,
        peer: &'static str,
        target: &'static str,
        /// It was silent before the panic, too.
        always: bool,
    }
    let cases = [
        Case {
            name: "crash-switch-ipv4",
            parameters: "netconsole=+@10.0.0.1/,@10.0.0.2/",
            peer: "10.0.0.2",
            target: TARGET,
            always: false,
        },
        Case {
            name: "crash-switch-ipv6",
            parameters: "netconsole=+@fd00::1/,@fd00::2/",
            peer: "fd00::2",
            target: "[fd00::2]:6666",
            always: false,
        },
        Case {
            name: "crash-switch-never",
            parameters: "netconsole=+@10.0.0.1/,@10.0.0.2/",
            peer: "10.0.0.2",
            target: TARGET,
            always: true,
        },
        Case {
            name: "crash-switch-no-lease",
            parameters: "ip=dhcp netconsole=+@/,@10.0.0.2/ crash=PANIC@early",
            peer: "10.0.0.2",
            target: TARGET,
            always: true,
        },
    ];
    let run = |case: &Case| {
        let Case { name, parameters, peer, target, always } = *case;
        let parameters = format!("debug netconsole.panic_repeat=0 {parameters}");
        let boot = Boot::new(name, parameters.as_str()).peer(Peer::at(peer)).repeats().paused();
        let mut machine = boot.timeout(Duration::from_secs(200)).start();
        if always {
            machine.block(0);
        }
        machine.monitor("cont");
        let mut before = 0;
        if !parameters.contains("crash=") {
            machine.wait_for_text(target, STARTED);
            machine.wait_until_quiet(Duration::from_secs(2));
            machine.block(0);
            before = machine.sent().len();
            crash(&mut machine);
        }
        wait_for_end(&machine, target, before, 1);
        let first = records(&machine, target, before);
        sleep(SILENCE);
        let silent = machine.sent().len();
        assert_eq!(records(&machine, target, before), first, "{name}: nothing more while nobody hears it");
        machine.unblock(0);
        wait_for_end(&machine, target, silent, 1);
        // What came again is all that nobody has shown to have heard, to the receiver alone, once.
        sleep(QUIET);
        let again = records(&machine, target, silent);
        if always {
            assert_eq!(again.first().map(|first| first.sequence), Some(0), "{name}");
            assert_eq!(again.last(), first.last(), "{name}");
        } else {
            // From the report on: the port carried what came before.
            let report = first.iter().position(|message| message.level <= 1).expect("a report");
            assert_eq!(again, first[report..], "{name}");
        }
        assert!(again.windows(2).all(|pair| pair[1].sequence == pair[0].sequence + 1), "{name}: once");
        let capture = machine.stop();
        let to: SocketAddr = target.parse().expect("an address and port");
        for sent in
            capture.sent[silent..].iter().filter(|sent| sent.datagram().is_some_and(|(at, _)| at == to))
        {
            assert_eq!(sent.good().map(|frame| frame.to_mac), Some(Peer::at(peer).mac), "{name}");
        }
    };
    side_by_side(&cases, |case| case.name.into(), run);
}

/// A broadcast target asks nobody. What the switch itself says does not count, another station's frame does: if it
/// comes soon nothing was lost.
#[test]
fn a_broadcast_is_repeated_when_somebody_is_heard() {
    const EVERYBODY: &str = "255.255.255.255:6666";
    let parameters =
        "debug netconsole.panic_repeat=0 netconsole=@10.0.0.1/eth0,@255.255.255.255/ crash=PANIC";
    let frame = |to: [u8; 6]| {
        let mut frame = vec![0; 60];
        frame[..6].copy_from_slice(&to);
        frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 9]);
        // IEEE 802.3: the length of a logical link's frame; a spanning tree's, or an address report.
        frame[12..17].copy_from_slice(&[0, 3, 0x42, 0x42, 3]);
        frame
    };
    let spanning_tree = frame([0x01, 0x80, 0xc2, 0, 0, 0]);
    let station = Peer::at("10.0.0.9").datagram(
        9999,
        EthernetAddress::BROADCAST,
        "255.255.255.255:9999".parse().unwrap(),
        b"hello",
    );
    for (name, wait, comes_again) in
        [("crash-switch-broadcast", SILENCE, true), ("crash-switch-heard", Duration::ZERO, false)]
    {
        let machine = Boot::new(name, parameters).timeout(Duration::from_secs(200)).start();
        wait_for_end(&machine, EVERYBODY, 0, 1);
        let seen = machine.sent().len();
        machine.send(0, &spanning_tree);
        sleep(wait);
        machine.send(0, &spanning_tree);
        machine.send(0, &station);
        if comes_again {
            wait_for_end(&machine, EVERYBODY, seen, 1);
        }
        machine.send(0, &station);
        machine.nothing_more_comes(Duration::from_secs(7));
        machine.send(0, &station);
        machine.nothing_more_comes(Duration::from_secs(1));
        let text = machine.stop().text(EVERYBODY);
        for part in ["Kernel panic at src/machine/trap.rs", "RIP: ", PANIC_END] {
            assert_eq!(
                text.matches(part).count(),
                if comes_again { 2 } else { 1 },
                "{name}: '{part}' in:\n{text}"
            );
        }
    }
}
