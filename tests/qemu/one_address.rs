//! Ten machines behind one address, as QEMU's user networking has them, and one machine by two ways: the receiver tells
//! machines apart, and knows one again.

use crate::harness::{free_port, kernel, read_pcap, target, wait_for_listener};
use crate::receiver::{number, program};
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

const MACHINES: u64 = 10;

/// What was heard of one sender: its ports, the machines' names, the numbers of the records.
type Heard = (BTreeSet<u64>, BTreeSet<String>, Vec<u64>);

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A machine behind QEMU's NATs, one for each of its cards; on the first one the host is 10.0.2.2, on the second 10.0.3.2.
fn boot(append: &str, cards: u64) -> Running {
    let accelerator = env::var("ACCEL").unwrap_or_else(|_| "tcg".into());
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(["-nodefaults", "-display", "none", "-accel", &accelerator, "-kernel"]).arg(kernel());
    qemu.args(["-append", append]);
    for card in 0..cards {
        qemu.args(["-netdev", &format!("user,id=n{card},net=10.0.{}.0/24", 2 + card)]);
        qemu.args(["-device", &format!("virtio-net-pci,netdev=n{card}")]);
    }
    Running(qemu.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("qemu-system-x86_64 starts"))
}

/// A machine that sends to the host. Its name is on its command line, which it logs.
fn boot_named(machine: u64, port: u16) -> Running {
    let format = if machine.is_multiple_of(2) { "+" } else { "" };
    boot(&format!("ip=dhcp netconsole={format}@/,{port}@10.0.2.2/ machine=vm{machine}"), 1)
}

/// The text of a member of a JSON object, without escapes.
fn member<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    line.split_once(&format!("\"{name}\":\""))?.1.split('"').next()
}

#[test]
fn ten_machines_behind_one_address_are_told_apart() {
    let port = free_port();
    let mut receiver = Command::new(program());
    receiver.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--json"]);
    let mut receiver = Running(receiver.stdout(Stdio::piped()).spawn().expect("the receiver starts"));
    wait_for_listener(port, "the receiver");
    let (sender, lines) = mpsc::channel();
    let output = receiver.0.stdout.take().expect("it is piped");
    thread::spawn(move || {
        BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    let _machines: Vec<_> = (0..MACHINES).map(|machine| boot_named(machine, port)).collect();

    let mut heard: BTreeMap<String, Heard> = BTreeMap::new();
    let (mut started, mut said) = (BTreeSet::new(), Vec::new());
    let deadline = Instant::now() + Duration::from_secs(120);
    while started.len() < MACHINES as usize {
        let rest = deadline.saturating_duration_since(Instant::now());
        let line =
            lines.recv_timeout(rest).unwrap_or_else(|_| panic!("only {started:?} have started: {heard:?}"));
        said.push(line.clone());
        assert_eq!(member(&line, "event"), Some("record"), "{}", said.join("\n"));
        let name = member(&line, "sender").expect("each line has a sender").to_owned();
        let (ports, machines, numbers) = heard.entry(name.clone()).or_default();
        ports.extend(number(&line, "port"));
        numbers.extend(number(&line, "sequence"));
        if let Some((_, machine)) = line.split_once("machine=vm") {
            machines.insert(machine.chars().take_while(char::is_ascii_digit).collect());
        }
        if line.contains("network logging started") {
            started.insert(name);
        }
    }
    assert_eq!(heard.len() as u64, MACHINES, "{heard:?}");
    let all: BTreeSet<_> = heard.values().flat_map(|(_, machines, _)| machines).collect();
    assert_eq!(all.len() as u64, MACHINES, "{heard:?}");
    for (name, (ports, machines, numbers)) in &heard {
        assert_eq!((ports.len(), machines.len()), (1, 1), "{name} is one machine: {heard:?}");
        let port = ports.iter().next().expect("there is one");
        assert!(name == "127.0.0.1" || *name == format!("127.0.0.1:{port}"), "{name} at {port}");
        let is_extended = machines
            .iter()
            .all(|machine| machine.parse().is_ok_and(|machine: u64| machine.is_multiple_of(2)));
        // Of what the level holds back the numbers are left out.
        let is_in_order = numbers.first() == Some(&0) && numbers.is_sorted_by(|one, next| one < next);
        assert_eq!((is_in_order, numbers.is_empty()), (is_extended, !is_extended), "{name}: {numbers:?}");
    }
}

/// Two targets of one card, and two cards: each record comes twice, from two ports, and is shown once.
#[test]
fn a_machine_by_two_ways_is_shown_once() {
    const STARTED: &[u8] = b"network logging started";
    for (cards, second) in [(1, "+6664@/,PORT@10.0.2.2/"), (2, "+@/eth1,PORT@10.0.3.2/")] {
        let port = free_port().to_string();
        let capture = target().join("tests").join(format!("two-ways-{cards}.pcap"));
        fs::create_dir_all(capture.parent().expect("it has one")).expect("target/tests is writable");
        let _ = fs::remove_file(&capture);
        let mut receiver = Command::new(program());
        receiver.args(["--bind", "127.0.0.1", "--port", &port, "--json", "--pcap"]).arg(&capture);
        let mut receiver = Running(receiver.stdout(Stdio::piped()).spawn().expect("the receiver starts"));
        wait_for_listener(port.parse().expect("a port"), "the receiver");
        let second = second.replace("PORT", &port);
        let _machine = boot(&format!("ip=dhcp netconsole=\"+@/eth0,{port}@10.0.2.2/;{second}\""), cards);

        // Until both lines, of each target's start, have come by both ways.
        let deadline = Instant::now() + Duration::from_secs(60);
        let starts_by_way = || {
            let mut starts: BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>> = BTreeMap::new();
            for (_, packet) in if capture.exists() { read_pcap(&capture) } else { Vec::new() } {
                // Behind IPv4's header the source port; behind UDP's the message.
                if packet.windows(STARTED.len()).any(|part| part == STARTED) {
                    starts.entry(packet[20..22].to_vec()).or_default().insert(packet[28..].to_vec());
                }
            }
            starts
        };
        while starts_by_way().values().filter(|starts| starts.len() == 2).count() < 2 {
            assert!(Instant::now() < deadline, "{cards} cards: {:?}", starts_by_way());
            thread::sleep(Duration::from_millis(50));
        }
        let id = receiver.0.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().is_ok_and(|status| status.success()));
        let mut said = String::new();
        receiver.0.stdout.take().expect("it is piped").read_to_string(&mut said).expect("text");
        let numbers: Vec<_> = said.lines().filter_map(|line| number(line, "sequence")).collect();
        assert!(numbers.len() > 20 && numbers.is_sorted_by(|one, next| one < next), "{cards} cards: {said}");
        let senders: BTreeSet<_> = said.lines().filter_map(|line| member(line, "sender")).collect();
        assert_eq!(senders, BTreeSet::from(["127.0.0.1"]), "{cards} cards: {said}");
    }
}
