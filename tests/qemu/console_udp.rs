//! The console for targets: lines in datagrams, answers in datagrams.

use crate::harness::{Boot, Ends, Machine, Nic, Peer, Sent, Way};
use crate::receiver::Receiver;
use std::net::SocketAddr;
use std::time::Duration;

/// Where `nc -u <address> 6665` asks from.
const ASKER: &str = "10.0.0.2:40000";
const ASKER_PORT: u16 = 40000;

fn boot(name: &'static str, more: &str) -> Machine {
    let boot = Boot::new(name, format!("{more} netconsole=@10.0.0.1/,@10.0.0.2/"));
    let machine = boot.peer(Peer::at("10.0.0.2")).start();
    machine.wait_for_text("10.0.0.2:6666", "network logging started");
    machine
}

fn ask(machine: &Machine, from: &str, port: u16, line: &str) {
    let kernel: SocketAddr = "10.0.0.1:6665".parse().expect("an address");
    machine.send(0, &Peer::at(from).datagram(port, Nic::mac(0), kernel, line.as_bytes()));
}

#[test]
fn a_target_gets_answers_where_it_asked() {
    let machine = boot("udp-console", "debug netconsole.input=1");
    machine.wait_for_text("10.0.0.2:6666", "commands are taken from the targets' addresses");
    ask(&machine, "10.0.0.2", ASKER_PORT, "cat cmdline0/remote_ip\n");
    machine.wait_for_text(ASKER, "10.0.0.2\nnetconsole# ");
    ask(&machine, "10.0.0.2", ASKER_PORT, "mkdir target1\ncd target1\necho 10.0.0.3 > remote_ip\n");
    machine.wait_for_text(ASKER, "target1# ");
    ask(&machine, "10.0.0.2", ASKER_PORT, "dmesg");
    let asker: SocketAddr = ASKER.parse().expect("an address");
    machine.wait_for("the whole answer", |events| {
        let datagrams = events.sent.iter().filter_map(|sent| sent.datagram());
        let text: Vec<u8> =
            datagrams.filter(|(to, _)| *to == asker).flat_map(|(_, payload)| payload.to_vec()).collect();
        // One for the lines before, one for this.
        (String::from_utf8_lossy(&text).matches("target1# ").count() == 2).then_some(())
    });

    let capture = machine.stop();
    let answers = capture.payloads(ASKER);
    assert!(answers.iter().all(|answer| answer.len() <= 1000));
    let log = capture.text("10.0.0.2:6666");
    let dmesg = answers[2..].concat();
    let dmesg = String::from_utf8_lossy(&dmesg);
    let dmesg = dmesg.strip_suffix("target1# ").expect("the prompt at its end");
    assert!(dmesg.contains("network logging started"));
    assert!(log.starts_with(dmesg), "the answer is the log up to there and nothing else");
}

/// All of this that went to the asker.
fn answers(sent: &[Sent]) -> String {
    let asker: SocketAddr = ASKER.parse().expect("an address");
    let payloads = sent.iter().filter_map(Sent::datagram).filter(|(address, _)| *address == asker);
    payloads.map(|(_, payload)| String::from_utf8_lossy(payload).into_owned()).collect()
}

#[test]
fn what_is_known_from_linux_works() {
    let machine = boot("udp-linux-words", "netconsole.input=1");
    let answer = |line: &str, expected: &str| {
        let before = answers(&machine.sent()).len();
        ask(&machine, "10.0.0.2", ASKER_PORT, line);
        machine.wait_for(&format!("{expected:?} for '{line}'"), |events| {
            let text = answers(&events.sent);
            let new = &text[before..];
            (new.contains(expected) && new.ends_with("netconsole# ")).then_some(())
        });
    };
    for (line, expected) in [
        ("# nothing", "netconsole# "),
        ("dmesg -h", " debug   7  for debugging; -n debug, or -n 8, shows all\n"),
        ("dmesg -n debug", "netconsole# "),
        ("cat /proc/sys/kernel/printk", "8\t4\t1\t7\nnetconsole# "),
        ("uname -a", " x86_64\nnetconsole# "),
        ("cat /proc/cmdline", "netconsole.input=1 netconsole=@10.0.0.1/,@10.0.0.2/\nnetconsole# "),
        ("cat */remote_ip", "10.0.0.2\nnetconsole# "),
        ("echo '<2>sent by UDP' > /dev/kmsg", "netconsole# "),
    ] {
        answer(line, expected);
    }
    machine.wait_for_text("10.0.0.2:6666", "] sent by UDP\n");
    // Who asked is answered, though it is nobody's target any more.
    answer("modprobe -r netconsole", "netconsole# ");
    machine.wait_for_serial("netconsole: network logging stopped");
    assert!(machine.stop().payloads(ASKER).iter().all(|answer| answer.len() <= 1000));
}

#[test]
fn a_followed_log_comes_record_by_record_until_the_next_line() {
    let mut machine = boot("udp-follow", "netconsole.input=1");
    ask(&machine, "10.0.0.2", ASKER_PORT, "dmesg -w");
    machine.wait_for_text(ASKER, "network logging started\n");
    assert!(!answers(&machine.sent()).contains("# "), "it goes on");
    machine.type_in("echo while it is followed > /dev/kmsg\r");
    machine.wait_for_text(ASKER, "] while it is followed\n");
    ask(&machine, "10.0.0.2", ASKER_PORT, "\n");
    machine.wait_for_text(ASKER, "netconsole# ");
    machine.type_in("echo nobody follows > /dev/kmsg\r");
    machine.wait_for_text("10.0.0.2:6666", "] nobody follows\n");
    ask(&machine, "10.0.0.2", ASKER_PORT, "echo the end");
    machine.wait_for_text(ASKER, "the end\n");
    let answers = machine.stop().payloads(ASKER).concat();
    assert!(!String::from_utf8_lossy(&answers).contains("nobody follows"));
}

/// `nc -u -l 6666` sends what is typed from the port at which it listens, to the port that the log comes from.
#[test]
fn what_is_typed_into_the_nc_that_listens_is_taken() {
    let machine = boot("udp-listener", "netconsole.input=1");
    ask(&machine, "10.0.0.2", 6666, "cat cmdline0/local_port\n");
    machine.wait_for_text("10.0.0.2:6666", "6665\nnetconsole# ");
    machine.stop();
}

#[test]
fn nobody_else_is_listened_to() {
    let machine = boot("udp-foreign", "netconsole.input=1");
    ask(&machine, "10.0.0.3", ASKER_PORT, "mkdir x");
    let wrong_port: SocketAddr = "10.0.0.1:6666".parse().expect("an address");
    machine.send(0, &Peer::at("10.0.0.2").datagram(ASKER_PORT, Nic::mac(0), wrong_port, b"mkdir x"));
    machine.nothing_comes_to("10.0.0.3:40000", Duration::from_millis(500));
    ask(&machine, "10.0.0.2", ASKER_PORT, "ls");
    machine.wait_for_text(ASKER, "cmdline0/\nnetconsole# ");
    assert_eq!(machine.stop().payloads(ASKER).concat(), b"cmdline0/\nnetconsole# ");
}

/// The target's address alone does not do: the Ethernet address and the VLAN must be its own too.
#[test]
fn a_forged_address_is_not_listened_to() {
    let machine = boot("udp-forged", "netconsole.input=1");
    let kernel: SocketAddr = "10.0.0.1:6665".parse().expect("an address");
    let mut forger = Peer::at("10.0.0.2");
    forger.mac = Peer::at("10.0.0.3").mac;
    machine.send(0, &forger.datagram(ASKER_PORT, Nic::mac(0), kernel, b"mkdir forged"));
    let in_vlan = Peer::at("10.0.0.2").in_vlan(7);
    machine.send(0, &in_vlan.datagram(ASKER_PORT, Nic::mac(0), kernel, b"mkdir tagged"));
    ask(&machine, "10.0.0.2", ASKER_PORT, "ls");
    machine.wait_for_text(ASKER, "cmdline0/\nnetconsole# ");
    assert_eq!(machine.stop().payloads(ASKER).concat(), b"cmdline0/\nnetconsole# ");
}

#[test]
fn input_is_off_unless_it_is_asked_for() {
    let machine = boot("udp-off", "");
    ask(&machine, "10.0.0.2", ASKER_PORT, "ls");
    machine.nothing_comes_to(ASKER, Duration::from_millis(500));
    machine.stop();
}

#[test]
fn too_many_lines_are_dropped() {
    let machine = boot("udp-flood", "netconsole.input=1");
    for number in 0..200 {
        ask(&machine, "10.0.0.2", ASKER_PORT, &format!("echo answer {number}"));
    }
    machine.wait_for_text(ASKER, "answer 0\n");
    machine.nothing_comes_to("10.0.0.9:1", Duration::from_millis(500));
    let answers = machine.stop().payloads(ASKER).concat();
    let answers = String::from_utf8_lossy(&answers).matches("answer").count();
    assert!((20..60).contains(&answers), "{answers} answers");
}

#[test]
fn the_receiver_passes_on_what_is_typed() {
    let machine = boot("udp-receiver", "debug netconsole.input=1");
    let mut receiver = Receiver::start(Ends::IPV4, Way::default(), &["--console", "KERNEL"]);
    // More lines than the kernel takes at once: each waits for the answer to the one before.
    let lines: String = (0..30).map(|number| format!("echo answer {number}\n")).collect();
    receiver.type_in(&lines);
    receiver.close_input();
    assert!(receiver.relay(&machine, Duration::from_secs(40), |receiver| receiver.has("answer 29")));
    assert!(receiver.ends(&machine, Duration::from_secs(4)), "with the answer to the last line");
    let (status, errors) = receiver.end();
    assert_eq!(status, Some(0), "{errors}");
    for number in 0..30 {
        assert!(receiver.has(&format!("\"text\":\"answer {number}\"")), "{number}");
    }
    machine.stop();
}
