//! The log of a Linux whose way out was a bond: by one of its cards at a time, until somebody is heard by it.

use crate::harness::{Boot, Capture, Gdb, Nic, Peer, Sent, symbol};
use crate::linux_log::{CORE_HEADER, memory, text, with_memory};
use std::fs;

const TARGET: &str = "10.0.0.2:6666";
const IMAGE: &str = "6.12";
/// As netconsole-arm has it.
const PARAMETERS: &str = "netconsole=+@10.0.0.1/52:54:00:12:34:56,@10.0.0.2/02:00:0a:00:00:02 \
                          netconsole=+@10.0.0.1/52:54:00:12:34:57,@10.0.0.2/02:00:0a:00:00:02 \
                          ip=10.0.0.1:::255.255.255.0:::off";

/// Boots with two cards, of which these can reach somebody.
fn boot(name: &'static str, reach: [bool; 2]) -> Capture {
    let memory = memory(IMAGE, name);
    let nic = |reaches| if reaches { Nic::virtio().peer(Peer::at("10.0.0.2")) } else { Nic::virtio() };
    let boot = Boot::new(name, format!("{PARAMETERS} {CORE_HEADER}")).nics(reach.map(nic)).repeats();
    let capture = with_memory(boot, &memory).start().end();
    fs::remove_file(memory).expect("it was there");
    assert_eq!(capture.status, Some(0), "{name}: it reboots; serial:\n{}", capture.serial);
    // Not when linux.patience= is over.
    assert!(capture.serial.contains("linux: the log has gone out, "), "{name}: {}", capture.serial);
    capture
}

/// What the target got by the card of this number.
fn got(capture: &Capture, nic: usize) -> String {
    let target = TARGET.parse().expect("an address and port");
    let sent = capture.sent.iter().filter(|sent| sent.nic == nic);
    let payloads = sent.filter_map(Sent::datagram).filter(|(to, _)| *to == target);
    payloads.map(|(_, payload)| String::from_utf8_lossy(payload).into_owned()).collect()
}

/// All of it goes by one, the first where nobody is slow to answer; the other one takes its turn only where it says so.
#[test]
fn of_two_cards_one_sends_once_somebody_is_heard_by_it() {
    let capture = boot("linux-bond", [true, true]);
    let target = TARGET.parse().expect("an address and port");
    let sent = capture.sent.iter().filter(|sent| sent.datagram().is_some_and(|(to, _)| to == target));
    let cards: Vec<usize> = sent.map(|sent| sent.nic).collect();
    let turns = cards.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert_eq!(turns, capture.serial.matches(": the log goes by ").count(), "{}", capture.serial);
    let [last, other] = [turns % 2, 1 - turns % 2].map(|nic| got(&capture, nic));
    assert!(
        last.starts_with(&text(&format!("{IMAGE}.extended.txt"))),
        "all of it by the last that had its turn"
    );
    assert!(turns > 0 || other.is_empty(), "{other}");
}

/// The one that has sent all of it loses its link: the other one sends it, and the machine ends without the first.
#[test]
fn a_card_that_loses_its_link_is_not_waited_for() {
    let name = "linux-bond-link";
    let (memory, gdb) = (memory(IMAGE, name), Gdb::new(name));
    let nics = [0; 2].map(|_| Nic::virtio().peer(Peer::at("10.0.0.2")));
    let boot = Boot::new(name, format!("{PARAMETERS} {CORE_HEADER}")).nics(nics).repeats().paused();
    let boot = boot.arguments(gdb.arguments().iter().map(String::as_str));
    let mut machine = with_memory(boot, &memory).start();
    let mut stub = gdb.accept();
    stub.run_to(symbol("netconsole::after::boot"));
    machine.monitor("set_link n0 off");
    stub.go_on();
    let capture = machine.end();
    fs::remove_file(memory).expect("it was there");
    assert_eq!(capture.status, Some(0), "it reboots; serial:\n{}", capture.serial);
    assert!(capture.serial.contains("eth0: link is down"), "{}", capture.serial);
    assert!(capture.serial.contains("linux: the log has gone out, "), "{}", capture.serial);
    assert!(got(&capture, 1).starts_with(&text(&format!("{IMAGE}.extended.txt"))), "all of it by the second");
}

/// The first has a link, and behind it there is nobody.
#[test]
fn where_nobody_is_heard_by_a_card_the_next_one_has_its_turn() {
    let capture = boot("linux-bond-dead", [false, true]);
    assert!(got(&capture, 1).starts_with(&text(&format!("{IMAGE}.extended.txt"))), "all of it by the second");
    let said = "nothing shows for 3 s that 10.0.0.2 is reached by 52:54:00:12:34:56: the log goes by 52:54:00:12:34:57 now";
    assert!(capture.serial.contains(said), "{}", capture.serial);
}

/// What goes to everybody goes by each card: behind each are others.
#[test]
fn what_is_for_everybody_goes_by_both_cards() {
    let name = "linux-bond-everybody";
    let memory = memory(IMAGE, name);
    let parameters = format!(
        "netconsole=+@10.0.0.1/52:54:00:12:34:56,@/ netconsole=+@10.0.0.1/52:54:00:12:34:57,@/ linux.patience=5 \
         ip=10.0.0.1:::255.255.255.0:::off {CORE_HEADER}"
    );
    let peer = || Nic::virtio().peer(Peer::at("10.0.0.2"));
    let boot = Boot::new(name, parameters).nics([peer(), peer()]).repeats();
    let capture = with_memory(boot, &memory).start().end();
    fs::remove_file(memory).expect("it was there");
    for nic in 0..2 {
        let target = "255.255.255.255:6666".parse().expect("an address and port");
        let sent = capture.sent.iter().filter(|sent| sent.nic == nic);
        let payloads = sent.filter_map(Sent::datagram).filter(|(to, _)| *to == target);
        let got: String =
            payloads.map(|(_, payload)| String::from_utf8_lossy(payload).into_owned()).collect();
        assert!(got.starts_with(&text(&format!("{IMAGE}.extended.txt"))), "card {nic}: {}", capture.serial);
    }
}
