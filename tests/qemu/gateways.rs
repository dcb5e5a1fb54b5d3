//! Addresses and routers that change while records are sent: none is lost, sent twice or out of order, which
//! the harness sees to in every boot with `debug`.

use crate::harness::{Boot, Capture, Content, Lease, Machine, Nic, Peer, Service, status};
use smoltcp::wire::EthernetAddress;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// Beyond the subnet of every address in these tests.
const FAR: &str = "192.0.2.7:6666";
/// Of two prefixes the one that it has more bits in common with is [`NEAR_PREFIX`].
const FAR_IPV6: &str = "[2001:db8:6::2]:6666";
const NEAR_PREFIX: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 7, 0, 0, 0, 0, 0);
const OTHER_PREFIX: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 8, 0, 0, 0, 0, 0);

/// ICMPv6's type (RFC 4861, section 4.3).
const NEIGHBOR_SOLICITATION: u8 = 135;

/// Where a datagram came from and which MAC it went to.
type Route = (SocketAddr, EthernetAddress);

/// The ways that the datagrams to `target` went, in order, each as often as it was changed to.
fn routes(capture: &Capture, target: &str) -> Vec<Route> {
    let target: SocketAddr = target.parse().expect("an address and port");
    let mut routes: Vec<_> = capture
        .frames()
        .filter_map(|frame| match frame.content {
            Content::Udp { from, to, .. } if to == target => Some((from, frame.to_mac)),
            _ => None,
        })
        .collect();
    routes.dedup();
    routes
}

/// The record that tells a change of MAC.
fn change_to(mac: EthernetAddress) -> String {
    format!("netconsole: remote ethernet address {mac}").replace('-', ":")
}

fn route(from: &str, mac: EthernetAddress) -> Route {
    (from.parse().expect("an address and port"), mac)
}

/// Has something logged.
fn log(machine: &mut Machine, name: &str) {
    machine.type_in(&format!("\rnetconsole=@/{name},@10.0.0.9/\r"));
    machine.wait_for_serial(&format!("{name} doesn't exist"));
}

/// Boots with a lease that is renewed after a few seconds as `renewal`, and two routers; returns the routers'
/// MACs, and the routes to [`FAR`] until a record told `news` and one more was sent.
fn renew(name: &'static str, renewal: Lease, news: &str) -> ([EthernetAddress; 2], Vec<Route>) {
    let routers = [Peer::at("10.0.0.253"), Peer::at("10.0.0.254")];
    let macs = [routers[0].mac, routers[1].mac];
    let lease = Lease { address: OWN, router: Some([10, 0, 0, 253].into()), duration: 10 };
    let server = Peer::at("10.0.0.3").serving(Service::new(lease).renewal(renewal));
    let boot = Boot::new(name, "debug netconsole=+@/,@192.0.2.7/");
    let mut machine = routers.into_iter().fold(boot.peer(server), Boot::peer).start();
    machine.wait_for_text(FAR, "network logging started");
    machine.wait_for_text(FAR, news);
    log(&mut machine, "renewed");
    machine.wait_for_text(FAR, "renewed doesn't exist");
    (macs, routes(&machine.stop(), FAR))
}

#[test]
fn a_dhcp_renewal_names_another_router() {
    let renewal = Lease { address: OWN, router: Some([10, 0, 0, 254].into()), duration: 3600 };
    let (macs, routes) =
        renew("renewal-router", renewal, "netconsole: remote ethernet address 02:00:0a:00:00:fe");
    assert_eq!(routes, macs.map(|mac| route("10.0.0.1:6665", mac)));
}

#[test]
fn a_dhcp_renewal_gives_another_address() {
    let renewal =
        Lease { address: [10, 0, 0, 77].into(), router: Some([10, 0, 0, 253].into()), duration: 3600 };
    let ([mac, _], routes) = renew("renewal-address", renewal, "eth0: IPv4 address 10.0.0.77/24 by DHCP");
    assert_eq!(routes, [route("10.0.0.1:6665", mac), route("10.0.0.77:6665", mac)]);
}

#[test]
fn routers_advertise_themselves_and_withdraw() {
    let (first, second) = (Peer::at("fe80::1:1"), Peer::at("fe80::1:2"));
    // What was broadcast before a router answered comes again.
    let boot = Boot::new("routers", "debug netconsole=+@/,@2001:db8:6::2/").repeats();
    let mut machine = boot.peer(first.clone()).peer(second.clone()).start();

    // No router answers: the target starts with what there is.
    machine.wait_for_text(FAR_IPV6, "network logging started");
    machine.send(0, &first.router_advertisement(NEAR_PREFIX, 1800));
    machine.wait_for_text(FAR_IPV6, &change_to(first.mac));
    // The other one is there only in case.
    machine.send(0, &second.router_advertisement(OTHER_PREFIX, 1800));
    log(&mut machine, "both");
    machine.wait_for_text(FAR_IPV6, "both doesn't exist");
    machine.send(0, &first.router_advertisement(NEAR_PREFIX, 0));
    machine.wait_for_text(FAR_IPV6, &change_to(second.mac));

    let expected = [
        route("[fe80::5054:ff:fe12:3456]:6665", EthernetAddress::BROADCAST),
        route("[2001:db8:7:0:5054:ff:fe12:3456]:6665", first.mac),
        route("[2001:db8:8:0:5054:ff:fe12:3456]:6665", second.mac),
    ];
    assert_eq!(routes(&machine.stop(), FAR_IPV6), expected);
}

#[test]
fn the_interface_is_the_scope_of_a_link_local_target() {
    // The same address on both links.
    let station = || Peer::at("fe80::2");
    let mut wanted = station();
    wanted.mac = EthernetAddress([2, 0, 0, 0, 0, 9]);
    let mac = wanted.mac;
    let nics = [Nic::virtio().peer(station()), Nic::virtio().peer(wanted)];
    let boot = Boot::new("scope", "debug netconsole=@/eth1,@fe80::2/ after=exit").nics(nics);
    let capture = boot.start().end();

    assert_eq!(capture.status, status::GOOD, "serial:\n{}", capture.serial);
    assert_eq!(routes(&capture, "[fe80::2]:6666"), [route("[fe80::5054:ff:fe12:3457]:6665", mac)]);
    let is_about_target = |content: &Content| match content {
        Content::Udp { to, .. } => to.ip() == Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2),
        Content::Icmp { message, .. } => message.first() == Some(&NEIGHBOR_SOLICITATION),
        Content::Arp(_) | Content::Igmp => false,
    };
    let about =
        capture.sent.iter().filter(|sent| sent.good().is_some_and(|frame| is_about_target(&frame.content)));
    assert!(about.map(|sent| sent.nic).all(|nic| nic == 1), "eth0 was asked too");
}

#[test]
fn groups_go_on_where_the_link_went() {
    const GROUPS: [&str; 2] = ["[ff02::1:2:3]:6666", "255.255.255.255:6666"];
    let parameters = r#"debug netconsole="+@/,@ff02::1:2:3/;+@10.0.0.1/,@255.255.255.255/""#;
    let mut machine = Boot::new("groups-link", parameters).start();
    GROUPS.iter().for_each(|group| {
        machine.wait_for_text(group, "network logging started");
    });
    // What may not have left would come again: not a single record is to.
    machine.wait_until_quiet(Duration::from_millis(500));
    machine.monitor("set_link n0 off");
    machine.wait_for_serial("eth0: link is down");
    let before = GROUPS.map(|group| machine.count(group));
    log(&mut machine, "unplugged");
    machine.monitor("set_link n0 on");
    for group in GROUPS {
        machine.wait_for_text(group, "eth0: link is up");
    }

    let capture = machine.stop();
    let own = ["[fe80::5054:ff:fe12:3456]:6665", "10.0.0.1:6665"];
    let macs = [EthernetAddress([0x33, 0x33, 0, 2, 0, 3]), EthernetAddress::BROADCAST];
    for (index, group) in GROUPS.into_iter().enumerate() {
        assert_eq!(routes(&capture, group), [route(own[index], macs[index])]);
        let texts: Vec<_> = capture.messages(group).into_iter().map(|message| message.text).collect();
        assert_eq!(texts[before[index]], "eth0: link is down");
        assert!(
            texts[before[index]..].iter().any(|text| text.contains("unplugged doesn't exist")),
            "{texts:?}"
        );
    }
}
