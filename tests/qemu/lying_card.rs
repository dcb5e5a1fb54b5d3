//! A network card that lies to the real kernel: each time the card is reset, the log goes on, and what the card took
//! meanwhile comes again.

use crate::harness::{Boot, Content, Lie, Machine, Nic, Peer, RECEIVE, Sent, TRANSMIT};
use std::net::{IpAddr, Ipv4Addr};
use std::thread;
use std::time::{Duration, Instant};

const TARGET: &str = "10.0.0.2:6666";
const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
/// What tells that the card was reset: it was found while sending, or by the look at the link.
const RESTARTS: [&str; 2] = ["eth0: the card does not answer, restarting it", "eth0: restarted"];

const LIES: [(usize, Lie); 18] = [
    (TRANSMIT, Lie::AnotherId),
    (TRANSMIT, Lie::Id(u32::MAX)),
    // Those that would fit if they were cut.
    (TRANSMIT, Lie::Id(0x100)),
    (TRANSMIT, Lie::Id(0x1_0000)),
    (TRANSMIT, Lie::Twice),
    (TRANSMIT, Lie::IndexJumps),
    (TRANSMIT, Lie::IndexRunsBack),
    (TRANSMIT, Lie::NeverCompletes),
    (TRANSMIT, Lie::ScribblesUsed),
    (TRANSMIT, Lie::ScribblesAll),
    (RECEIVE, Lie::Id(u32::MAX)),
    (RECEIVE, Lie::Length(0)),
    // A buffer, and what there is for longer frames, have 9,216.
    (RECEIVE, Lie::Length(9217)),
    (RECEIVE, Lie::Length(u32::MAX)),
    (RECEIVE, Lie::IndexJumps),
    (RECEIVE, Lie::IndexRunsBack),
    (RECEIVE, Lie::ScribblesUsed),
    (RECEIVE, Lie::ScribblesAll),
];

/// Has a line logged, by a target that is none, and waits until it has come.
fn log(machine: &mut Machine, name: &str) {
    machine.type_in(&format!("\rnetconsole=@/{name},@10.0.0.9/\r"));
    machine.wait_for_text(TARGET, &format!("{name} doesn't exist"));
    machine.type_in("rmdir cmdline1\r");
}

fn restarts(serial: &str) -> usize {
    RESTARTS.iter().map(|text| serial.matches(text).count()).sum()
}

/// Whether the kernel answers one of some pings: what comes just when the card is reset is lost.
fn answers_ping(machine: &Machine, station: &Peer) -> bool {
    let is_answer = |sent: &Sent| {
        let content = sent.good().map(|frame| &frame.content);
        matches!(content, Some(Content::Icmp { from, .. }) if *from == OWN)
    };
    (0..50).any(|_| {
        let seen = machine.sent().len();
        machine.send(0, &station.ping(Nic::mac(0), OWN, b"still there?"));
        machine.sent_after(seen, Duration::from_millis(100)).iter().any(is_answer)
    })
}

#[test]
fn the_log_goes_on_whatever_the_card_says() {
    let station = Peer::at("10.0.0.2");
    let nic = Nic::virtio().on_vhost_user().peer(station.clone());
    let boot = Boot::new("lying-card", "debug netconsole=+@10.0.0.1/,@10.0.0.2/").nics([nic]).repeats();
    let mut machine = boot.timeout(Duration::from_secs(120)).start();
    machine.wait_for_text(TARGET, "network logging started");
    for (number, (queue, lie)) in LIES.into_iter().enumerate() {
        let before = restarts(&machine.serial());
        machine.tell(lie, queue);
        log(&mut machine, &format!("lie{number}"));
        machine.wait_for(&format!("{lie:?}, of queue {queue}, to be noticed"), |events| {
            (restarts(&String::from_utf8_lossy(&events.serial)) > before).then_some(())
        });
        // It serves again, in both directions, and a second later is taken for well.
        for _ in 0..2 {
            assert!(answers_ping(&machine, &station), "{lie:?}, queue {queue}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    // Once more and again, whenever it was reset.
    let before = restarts(&machine.serial());
    let end = Instant::now() + Duration::from_secs(4);
    machine.type_in("\rnetconsole=@/again,@10.0.0.9/\r");
    while Instant::now() < end {
        machine.tell(Lie::IndexJumps, TRANSMIT);
        thread::sleep(Duration::from_millis(2));
    }
    let after = restarts(&machine.serial());
    assert!((2..=4).contains(&(after - before)), "at 0, 1, 3 and 7 s: {}", after - before);
    machine.wait_for_text(TARGET, "again doesn't exist");
    log(&mut machine, "honest");

    let messages = machine.stop().messages(TARGET);
    assert!(!messages.iter().any(|message| message.text.contains("were overwritten")));
}
