//! IPv6 targets.

use crate::harness::{Boot, Capture, Content, Nic, Peer, status};
use smoltcp::wire::EthernetAddress;
use std::net::SocketAddr;

/// Checks that all datagrams to `target` came from `from` and went to `mac`.
fn assert_route(capture: &Capture, target: &str, from: &str, mac: EthernetAddress) {
    assert_eq!(capture.status, status::GOOD, "serial:\n{}", capture.serial);
    let (target, expected): (SocketAddr, SocketAddr) = (target.parse().unwrap(), from.parse().unwrap());
    let mut count = 0;
    for frame in capture.frames() {
        if let Content::Udp { from, to, .. } = frame.content
            && to == target
        {
            assert_eq!((from, frame.to_mac), (expected, mac));
            count += 1;
        }
    }
    assert!(count > 0, "nothing came to {target}; serial:\n{}", capture.serial);
}

#[test]
fn static_address() {
    let peer = Peer::at("fd00::2");
    let mac = peer.mac;
    let capture =
        Boot::new("ipv6-static", "debug netconsole=+@fd00::1/,@fd00::2/ after=exit").peer(peer).start().end();
    assert_route(&capture, "[fd00::2]:6666", "[fd00::1]:6665", mac);
}

#[test]
fn link_local_address() {
    let peer = Peer::at("fe80::2");
    let mac = peer.mac;
    let capture =
        Boot::new("ipv6-link-local", "debug netconsole=+@/,@fe80::2/ after=exit").peer(peer).start().end();
    // RFC 4291, appendix A: the MAC with its universal bit inverted and ff:fe in the middle.
    assert_route(&capture, "[fe80::2]:6666", "[fe80::5054:ff:fe12:3456]:6665", mac);
}

#[test]
fn router_advertised_prefix() {
    let boot = Boot::new("ipv6-slaac", "debug netconsole=+@/,9@fec0::2/ after=exit");
    let capture = boot.nics([Nic::virtio().user_network()]).start().end();
    // QEMU's user network: its prefix, its host's address, its MAC.
    let mac = EthernetAddress([0x52, 0x56, 0, 0, 0, 2]);
    assert_route(&capture, "[fec0::2]:9", "[fec0::5054:ff:fe12:3456]:6665", mac);
}

#[test]
fn multicast_is_mapped() {
    let capture =
        Boot::new("ipv6-multicast", "debug netconsole=+@fd00::1/,@ff02::1:2:3/ after=exit").start().end();
    // RFC 2464, section 7: 33:33 and the last 32 bits.
    let mac = EthernetAddress([0x33, 0x33, 0, 2, 0, 3]);
    assert_route(&capture, "[ff02::1:2:3]:6666", "[fd00::1]:6665", mac);
}

#[test]
fn broadcast_where_nobody_answers() {
    let capture = Boot::new("ipv6-silent", "debug netconsole=+@fd00::1/,@fd00::2/ after=exit").start().end();
    assert_route(&capture, "[fd00::2]:6666", "[fd00::1]:6665", EthernetAddress::BROADCAST);
}

#[test]
fn a_link_too_narrow_for_ipv6_is_told() {
    let nic = Nic::device("virtio-net-pci,host_mtu=600").peer(Peer::at("fe80::2"));
    let boot = Boot::new("ipv6-narrow", "debug netconsole=+@/,@fe80::2/ after=exit");
    let text = boot.nics([nic]).start().end().text("[fe80::2]:6666");
    let line = "netconsole: eth0 has an MTU of 600, and IPv6 needs 1280: not every router and receiver may take part";
    assert_eq!(text.matches(line).count(), 1, "{text}");
}
