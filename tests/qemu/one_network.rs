//! A target without a device, which all hear: it goes by every card with link, and one card speaks for those on the
//! same network.

use crate::harness::{Boot, Capture, Frame, Lease, Machine, Message, Nic, Peer, Sent, Service, messages};
use std::time::Duration;

const EVERYBODY: &str = "255.255.255.255:6666";

fn server(address: [u8; 4]) -> Peer {
    let lease = Lease { address: address.into(), router: None, duration: 3600 };
    let [a, b, c, _] = address;
    Peer::at(&format!("{a}.{b}.{c}.3")).serving(Service::new(lease))
}

/// What went out by a NIC.
fn by(sent: &[Sent], nic: usize) -> Vec<Message> {
    let everybody = EVERYBODY.parse().expect("an address and port");
    let sent = sent.iter().filter(|sent| sent.nic == nic);
    let datagrams =
        sent.filter_map(Sent::good).filter_map(Frame::datagram).filter(|(to, _)| *to == everybody);
    messages(datagrams.map(|(_, payload)| payload)).expect("extended messages")
}

fn is_whole(messages: &[Message]) -> bool {
    messages.iter().map(|message| message.sequence).eq(0..messages.len() as u64)
}

/// Waits until a NIC has sent `text` to everybody.
fn wait_for_text_by(machine: &Machine, nic: usize, text: &str) {
    machine.wait_for(&format!("'{text}' by NIC {nic}"), |events| {
        let mut sent = events.sent.iter().filter(|sent| sent.nic == nic).filter_map(Sent::datagram);
        sent.any(|(_, payload)| String::from_utf8_lossy(payload).contains(text)).then_some(())
    });
}

/// Has something logged.
fn log(machine: &mut Machine, name: &str) {
    machine.type_in(&format!("\rnetconsole=@/{name},@10.0.0.9/\r"));
    machine.wait_for_serial(&format!("{name} doesn't exist"));
}

#[test]
fn the_cable_may_be_in_the_second_port() {
    let nics = [Nic::virtio(), Nic::virtio().peer(server([10, 0, 1, 1]))];
    let mut machine = Boot::new("second-port", "debug netconsole=+@/,@/").nics(nics).paused().start();
    machine.monitor("set_link n0 off");
    machine.monitor("cont");
    wait_for_text_by(&machine, 1, "network logging started");
    wait_for_text_by(&machine, 1, "eth1: IPv4 address 10.0.1.1/24");
    assert_eq!(machine.command("cat /sys/kernel/config/netconsole/cmdline0/dev_name"), "*\n");
    let capture = machine.stop();
    assert!(is_whole(&by(&capture.sent, 1)) && by(&capture.sent, 0).is_empty());
}

/// Each network gets the whole log, and a card whose link comes later from its beginning, too.
#[test]
fn every_card_with_link_has_it() {
    let nics =
        [Nic::virtio().peer(server([10, 0, 0, 1])), Nic::virtio().peer(server([10, 0, 1, 1])), Nic::virtio()];
    let boot = Boot::new("every-card", "debug netconsole=+@/,@/").nics(nics).repeats().paused();
    let mut machine = boot.start();
    machine.monitor("set_link n2 off");
    machine.monitor("cont");
    (0..2).for_each(|nic| wait_for_text_by(&machine, nic, "network logging started"));
    machine.monitor("set_link n2 on");
    wait_for_text_by(&machine, 2, "network logging started");
    log(&mut machine, "last");
    (0..3).for_each(|nic| wait_for_text_by(&machine, nic, "last doesn't exist"));
    machine.wait_until_quiet(Duration::from_millis(500));
    let capture = machine.stop();
    let all = by(&capture.sent, 0);
    assert!(
        is_whole(&all) && all.iter().filter(|message| message.text.ends_with("logging started")).count() == 1
    );
    for nic in 1..3 {
        let its = by(&capture.sent, nic);
        let common = its.len().min(all.len());
        assert!(common > 20 && its[..common] == all[..common], "{nic}");
    }
}

fn count(capture: &Capture, text: &str) -> usize {
    capture.serial.matches(text).count()
}

#[test]
fn on_one_switch_each_line_comes_once() {
    let nics = (0..2).map(|_| Nic::virtio().peer(server([10, 0, 0, 1])));
    let boot = Boot::new("one-switch", "debug netconsole=+@/,@/").nics(nics).on_one_switch().repeats();
    let mut machine = boot.start();
    wait_for_text_by(&machine, 0, "eth1 is quiet");
    log(&mut machine, "first");
    wait_for_text_by(&machine, 0, "first doesn't exist");
    machine.wait_until_quiet(Duration::from_secs(2));
    let sent = machine.sent();
    assert!(by(&sent, 1).is_empty() && is_whole(&by(&sent, 0)), "only the first speaks");

    // The other takes over where the first one's link goes, and gives way when it comes back.
    machine.monitor("set_link n0 off");
    wait_for_text_by(&machine, 1, "eth0: link is down");
    log(&mut machine, "second");
    wait_for_text_by(&machine, 1, "second doesn't exist");
    machine.monitor("set_link n0 on");
    machine.wait_for("eth1 to fall quiet again", |events| {
        (String::from_utf8_lossy(&events.serial).matches("eth1 is quiet").count() == 2).then_some(())
    });
    log(&mut machine, "third");
    wait_for_text_by(&machine, 0, "third doesn't exist");
    let capture = machine.stop();
    let (first, second) = (by(&capture.sent, 0), by(&capture.sent, 1));
    let texts = |messages: &[Message], text: &str| {
        messages.iter().filter(|message| message.text.contains(text)).count()
    };
    for (text, by_first, by_second) in [
        ("first doesn't", 1, 0),
        ("second doesn't", 0, 1),
        ("third doesn't", 1, 0),
        ("network logging started", 1, 0),
    ] {
        assert_eq!((texts(&first, text), texts(&second, text)), (by_first, by_second), "{text}");
    }
    assert_eq!(count(&capture, "eth1 is quiet"), 2);
    // Together they sent every record.
    let mut sequences: Vec<u64> = first.iter().chain(&second).map(|message| message.sequence).collect();
    sequences.sort_unstable();
    sequences.dedup();
    assert!(sequences.iter().copied().eq(0..sequences.len() as u64));
}
