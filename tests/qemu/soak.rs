//! A long time, as the guest counts it: under icount the time in which nothing is to do passes at once. Half an
//! hour, or as many seconds as `SOAK_SECONDS` says.

use crate::harness::{Boot, Nic, Peer, Sent, messages};
use std::env;
use std::net::SocketAddr;
use std::time::Duration;

const TARGET: &str = "10.0.0.2:6666";

/// The time, after `before`, of a record in `sent` that says that the link is back; older ones come again.
fn link_is_back(sent: &[Sent], before: u64) -> Option<u64> {
    let target: SocketAddr = TARGET.parse().expect("an address");
    let payloads = sent.iter().filter_map(Sent::datagram).filter(|(to, _)| *to == target);
    let mut records = payloads.filter_map(|(_, payload)| messages([payload]).ok()?.pop());
    records
        .find(|record| record.text == "eth0: link is up" && record.micros > before)
        .map(|record| record.micros)
}

/// The link goes and comes, pings come in between: no record is lost, and the
/// memory that all this takes does not grow, as there is no heap.
#[test]
fn a_long_time_with_flaps_loses_nothing() {
    let seconds = env::var("SOAK_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(1800u64);
    let parameters = "debug netconsole=+@10.0.0.1/,@10.0.0.2/";
    let station = Peer::at("10.0.0.2");
    let boot =
        Boot::new("soak", parameters).peer(station.clone()).repeats().timeout(Duration::from_secs(240));
    let mut machine = boot.arguments(["-icount", "shift=4,sleep=off"]).start();
    machine.wait_for_text(TARGET, "network logging started");
    let mut flaps = 0;
    let mut reached = 0;
    while reached < seconds * 1_000_000 {
        let mut seen = machine.sent().len();
        machine.monitor("set_link n0 off");
        // A sleeping kernel looks at the cable only when it wakes up.
        machine.wait_for("the link's loss on serial", |events| {
            let serial = String::from_utf8_lossy(&events.serial);
            (serial.matches("eth0: link is down").count() > flaps).then_some(())
        });
        machine.monitor("set_link n0 on");
        flaps += 1;
        reached = machine.wait_for("the link's return in the log", |events| {
            let new = events.sent.get(seen..).unwrap_or_default();
            let back = link_is_back(new, reached);
            seen = events.sent.len();
            back
        });
        // Under icount a sleeping guest's minutes pass in this while.
        std::thread::sleep(Duration::from_millis(300));
        machine.send(0, &station.ping(Nic::mac(0), "10.0.0.1".parse().expect("an address"), b"still there?"));
    }
    let capture = machine.stop();
    println!("{flaps} flaps in {} s of guest time", reached / 1_000_000);
    let messages = capture.messages(TARGET);
    let ups =
        messages.iter().filter(|message| message.text == "eth0: link is up").map(|message| message.sequence);
    let distinct: std::collections::BTreeSet<u64> = ups.collect();
    assert!(distinct.len() >= flaps, "{} of {flaps} flaps were logged", distinct.len());
    assert!(!messages.iter().any(|message| message.text.contains("were overwritten") || message.level <= 3));
}
