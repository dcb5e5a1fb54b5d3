//! The kernel answers ARP, NDP and ping while it serves.

use crate::harness::{Boot, Content, Nic, Peer};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{Icmpv4Packet, Icmpv4Repr, Icmpv6Packet, Icmpv6Repr};
use std::net::IpAddr;

#[test]
fn ping_is_answered() {
    for (name, own, peer) in [("ping", "10.0.0.1", "10.0.0.2"), ("ping6", "fd00::1", "fd00::2")] {
        let station = Peer::at(peer);
        let machine = Boot::new(name, format!("netconsole=@{own}/,@{peer}/")).peer(station.clone()).start();
        let target = std::net::SocketAddr::new(peer.parse().unwrap(), 6666).to_string();
        machine.wait_for_text(&target, "network logging started");

        let own: IpAddr = own.parse().expect("an address");
        let question = b"are you there?";
        machine.send(0, &station.ping(Nic::mac(0), own, question));
        machine.wait_for("an echo reply", |events| {
            let frames = events.sent.iter().filter_map(|sent| sent.good());
            frames.filter(|frame| frame.to_mac == station.mac).find_map(|frame| match &frame.content {
                Content::Icmp { from, to, message } if *from == own => echoes(message, *from, *to, question),
                _ => None,
            })
        });
        machine.stop();
    }
}

/// Whether this is the reply to the echo request with `question`.
fn echoes(message: &[u8], from: IpAddr, to: IpAddr, question: &[u8]) -> Option<()> {
    let checked = ChecksumCapabilities::default();
    let echoed = match (from, to) {
        (IpAddr::V4(_), _) => {
            match Icmpv4Repr::parse(&Icmpv4Packet::new_checked(message).ok()?, &checked).ok()? {
                Icmpv4Repr::EchoReply { data, .. } => data,
                _ => return None,
            }
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            match Icmpv6Repr::parse(&from, &to, &Icmpv6Packet::new_checked(message).ok()?, &checked).ok()? {
                Icmpv6Repr::EchoReply { data, .. } => data,
                _ => return None,
            }
        }
        _ => return None,
    };
    (echoed == question).then_some(())
}
