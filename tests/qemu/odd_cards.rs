//! Cards outside QEMU that do what virtio lets them, and QEMU's own does not.

use crate::harness::{Boot, CardKind, Content, Nic, Peer, Sent};
use std::net::{IpAddr, Ipv4Addr};

const TARGET: &str = "10.0.0.2:6666";
const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
/// More than a queue of 256 entries has, so that both queues come round.
const PINGS: usize = 300;
/// How many are sent before their answers are waited for.
const AT_ONCE: usize = 4;

/// The kernel hears the card and is heard: each ping is answered, one after the other, and the last words come, which
/// another driver sends.
fn serves(name: &'static str, kind: CardKind) {
    let station = Peer::at("10.0.0.2");
    let nic = Nic::virtio().on_card(kind).peer(station.clone());
    let boot = Boot::new(name, "netconsole=+@10.0.0.1/,@10.0.0.2/").nics([nic]).repeats();
    let mut machine = boot.start();
    machine.wait_for_text(TARGET, "network logging started");
    let is_answer = |sent: &&Sent| {
        let content = sent.good().map(|frame| &frame.content);
        matches!(content, Some(Content::Icmp { from, .. }) if *from == OWN)
    };
    for done in (0..PINGS).step_by(AT_ONCE) {
        for _ in 0..AT_ONCE {
            machine.send(0, &station.ping(Nic::mac(0), OWN, b"do you hear?"));
        }
        machine.wait_for(&format!("the answers to {AT_ONCE} pings after {done}"), |events| {
            (events.sent.iter().filter(is_answer).count() >= done + AT_ONCE).then_some(())
        });
    }
    machine.type_in("\rcrash panic\r");
    machine.wait_for_text(TARGET, "---[ end Kernel panic - not syncing: panic ]---");
    machine.stop();
}

/// Firecracker's: it reads its tap device only where 65,562 bytes of receive buffers are posted.
#[test]
fn a_card_that_wants_room_for_64_kib_is_heard() {
    serves("wants-room", CardKind::WantsRoom(65_562));
}

/// kvmtool's: each queue has 256 entries, whatever the driver writes to the register for its size.
#[test]
fn a_card_that_ignores_the_queues_sizes_is_heard() {
    serves("ignores-sizes", CardKind::IgnoresSizes(256));
}
