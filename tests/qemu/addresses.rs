//! Where datagrams come from and go to: every way in which a target gets its addresses.

use crate::harness::{Boot, Capture, Content, Lease, Nic, Peer, Service, status};
use smoltcp::wire::{ArpRepr, EthernetAddress};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

const EVERYBODY: &str = "255.255.255.255:6666";

/// Source, destination and destination MAC of every datagram to `target`, which must not vary.
fn route(capture: &Capture, target: &str) -> (SocketAddr, EthernetAddress) {
    let target: SocketAddr = target.parse().expect("an address and port");
    let mut routes = capture.frames().filter_map(|frame| match frame.content {
        Content::Udp { from, to, .. } if to == target => Some((from, frame.to_mac)),
        _ => None,
    });
    let first =
        routes.next().unwrap_or_else(|| panic!("nothing came to {target}; serial:\n{}", capture.serial));
    assert!(routes.all(|route| route == first), "not all went the same way");
    first
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address and port")
}

#[test]
fn all_given_needs_no_question() {
    let parameters = "debug netconsole=+4444@10.0.0.1/eth0,9353@10.0.0.2/12:34:56:78:9a:bc after=exit";
    let capture = Boot::new("all-given", parameters).start().end();

    assert_eq!(capture.status, status::GOOD);
    let mac = EthernetAddress([0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc]);
    assert_eq!(route(&capture, "10.0.0.2:9353"), (address("10.0.0.1:4444"), mac));
    let first = capture.frames().next().expect("a frame");
    assert!(first.datagram().is_some_and(|(to, _)| to == address("10.0.0.2:9353")), "{first:?}");
    assert_eq!(first.from_mac, Nic::mac(0));

    // Users and their scripts look for these lines, which are Linux's.
    let texts: Vec<_> = capture.messages("10.0.0.2:9353").into_iter().map(|message| message.text).collect();
    let mut texts = texts.iter();
    for line in [
        "netconsole: local port 4444",
        "netconsole: local IPv4 address 10.0.0.1",
        "netconsole: interface name 'eth0'",
        "netconsole: local ethernet address '52:54:00:12:34:56'",
        "netconsole: remote port 9353",
        "netconsole: remote IPv4 address 10.0.0.2",
        "netconsole: remote ethernet address 12:34:56:78:9a:bc",
        "netconsole: network logging started",
    ] {
        assert!(texts.any(|text| text == line), "'{line}' is missing, or in the wrong place");
    }
}

#[test]
fn from_dhcp() {
    let boot = Boot::new("dhcp", "debug netconsole=+@/,9@10.0.2.2/ after=exit");
    let capture = boot.nics([Nic::virtio().user_network()]).start().end();

    assert_eq!(capture.status, status::GOOD);
    let (from, mac) = route(&capture, "10.0.2.2:9");
    // QEMU's user network gives its first client .15; its own MAC is 52:55 and its address.
    assert_eq!((from, mac), (address("10.0.2.15:6665"), EthernetAddress([0x52, 0x55, 10, 0, 2, 2])));
}

#[test]
fn from_ip_parameter_through_the_gateway() {
    let gateway = Peer::at("10.0.0.254");
    let mac = gateway.mac;
    let parameters =
        "debug ip=10.0.0.1::10.0.0.254:255.255.255.0::eth0:off netconsole=+@/,@192.0.2.7/ after=exit";
    let capture = Boot::new("gateway", parameters).peer(gateway).start().end();

    assert_eq!(capture.status, status::GOOD);
    assert_eq!(route(&capture, "192.0.2.7:6666"), (address("10.0.0.1:6665"), mac));
}

/// Linux's whole syntax, for a card that is called otherwise here.
#[test]
fn from_ip_parameter_for_a_device_that_is_not_here() {
    let gateway = Peer::at("10.0.0.254");
    let mac = gateway.mac;
    let ip = "ip=10.0.0.1::10.0.0.254:255.255.255.0:board:enp3s0:none:8.8.8.8:8.8.4.4:10.0.0.254";
    let boot = Boot::new("ip-device", format!("debug {ip} netconsole=+@/,@192.0.2.7/ after=exit"));
    let capture = boot.peer(gateway).start().end();

    assert_eq!(capture.status, status::GOOD);
    assert_eq!(route(&capture, "192.0.2.7:6666"), (address("10.0.0.1:6665"), mac));
    let text = capture.text("192.0.2.7:6666");
    assert!(text.contains("4,") && text.contains("ip: enp3s0 doesn't exist: using eth0"), "{text}");
}

/// systemd's name for the second card, which tells its place.
#[test]
fn from_ip_parameter_for_a_device_by_its_place() {
    let gateway = Peer::at("10.0.0.254");
    let mac = gateway.mac;
    let nics = [Nic::virtio(), Nic::device("virtio-net-pci,addr=9").peer(gateway)];
    let ip = "ip=10.0.0.1::10.0.0.254:255.255.255.0::enp0s9:none";
    let boot = Boot::new("ip-place", format!("debug {ip} netconsole=+@/eth1,@192.0.2.7/ after=exit"));
    let capture = boot.nics(nics).start().end();

    assert_eq!(capture.status, status::GOOD);
    assert_eq!(route(&capture, "192.0.2.7:6666"), (address("10.0.0.1:6665"), mac));
    assert!(capture.text("192.0.2.7:6666").contains("ip: enp0s9 is eth1"));
}

#[test]
fn link_local_where_no_dhcp_server_answers() {
    let peer = Peer::at("169.254.7.7");
    let to = peer.mac;
    let capture =
        Boot::new("no-dhcp", "debug netconsole=+@/,@169.254.7.7/ after=exit").peer(peer).start().end();

    assert_eq!(capture.status, status::GOOD);
    let (from, mac) = route(&capture, "169.254.7.7:6666");
    assert!(matches!(from.ip(), IpAddr::V4(ip) if ip.is_link_local()), "{from}");
    assert_eq!(mac, to);
    assert!(capture.serial.contains(&format!("eth0: IPv4 address {}/16 link-local", from.ip())));
}

/// Whoever listens for broadcasts needs nobody's lease.
#[test]
fn a_broadcast_waits_for_no_address() {
    let parameters = "debug netconsole=+@/,@/";
    let machine = Boot::new("broadcast-at-once", parameters).start();
    machine.wait_for_text(EVERYBODY, "network logging started");
    machine.wait_for_text(EVERYBODY, "/16 link-local");
    let capture = machine.stop();

    let (from, mac) = route(&capture, EVERYBODY);
    let IpAddr::V4(ip) = from.ip() else { panic!("{from}") };
    assert!(ip.is_link_local() && mac == EthernetAddress::BROADCAST, "{from} {mac}");
    let waiting = format!("eth0: no address yet: asking DHCP; broadcasts go out from {ip} meanwhile");
    assert!(capture.text(EVERYBODY).contains(&waiting));
    // It was taken into use behind all that: first three probes, then the announcement (RFC 3927, section 2.2.1).
    let (mut probes, mut started) = (0, false);
    for frame in capture.frames() {
        match frame.content {
            Content::Arp(ArpRepr::EthernetIpv4 { source_protocol_addr, target_protocol_addr, .. })
                if target_protocol_addr == ip =>
            {
                if source_protocol_addr == ip {
                    break;
                }
                probes += 1;
            }
            Content::Udp { to, ref payload, .. } if to.to_string() == EVERYBODY => {
                started |= String::from_utf8_lossy(payload).contains("network logging started");
            }
            _ => {}
        }
    }
    assert!(started && probes == 3, "{started} {probes}");
}

/// A lease that comes later gives the address from there on; nothing is lost.
#[test]
fn a_broadcast_goes_on_from_the_lease_s_address() {
    let lease = Lease { address: [10, 0, 0, 1].into(), router: None, duration: 3600 };
    let server = Peer::at("10.0.0.3").serving(Service::new(lease));
    let server = server.silent_for(Duration::from_secs(3));
    let mut machine =
        Boot::new("broadcast-then-lease", "debug netconsole=+@/,@/").peer(server).repeats().start();
    machine.wait_for_text(EVERYBODY, "network logging started");
    machine.wait_for_text(EVERYBODY, "eth0: IPv4 address 10.0.0.1/24 by DHCP");
    machine.type_in("\rnetconsole=@/eth7,@10.0.0.9/\r");
    machine.wait_for_text(EVERYBODY, "eth7 doesn't exist");
    let capture = machine.stop();
    let mut sources: Vec<_> = capture
        .frames()
        .filter_map(|frame| match frame.content {
            Content::Udp { from, to, .. } if to.to_string() == EVERYBODY => Some(from.ip()),
            _ => None,
        })
        .collect();
    sources.dedup();
    assert!(
        matches!(sources[..], [IpAddr::V4(first), second] if first.is_link_local() && second == IpAddr::from([10, 0, 0, 1])),
        "{sources:?}"
    );
}

#[test]
fn groups_are_mapped() {
    for (name, target, mac) in [
        ("broadcast", "255.255.255.255", EthernetAddress::BROADCAST),
        // RFC 1112, section 6.4: the lower 23 bits.
        ("multicast", "239.129.2.3", EthernetAddress([0x01, 0x00, 0x5e, 0x01, 0x02, 0x03])),
    ] {
        let capture =
            Boot::new(name, format!("debug netconsole=+@10.0.0.1/,@{target}/ after=exit")).start().end();
        assert_eq!(capture.status, status::GOOD, "{target}");
        assert_eq!(route(&capture, &format!("{target}:6666")), (address("10.0.0.1:6665"), mac));
    }
}
