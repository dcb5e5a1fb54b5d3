//! IPv6 addresses, routers and what is asked of neighbours.

use super::*;
use smoltcp::time::Duration;

const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0x5054, 0x00ff, 0xfe12, 0x3456);
const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const PREFIX: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 7, 0, 0, 0, 0);
const SLAAC: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 7, 0x5054, 0x00ff, 0xfe12, 0x3456);
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: MacAddr = MacAddr([0x33, 0x33, 0, 0, 0, 1]);
const PEER6: Ipv6Addr = Ipv6Addr::new(0xfd00, 1, 2, 3, 0, 0, 0, 1);
const OFF: Addressing = Addressing { ipv4: Ipv4Method::Off, ipv6: None, echo: true };

fn advertisement(prefix: Ipv6Addr, prefix_len: u8, lifetime: u64) -> Vec<u8> {
    advertisement_from(ROUTER, prefix, prefix_len, lifetime)
}

fn advertisement_from(router: Ipv6Addr, prefix: Ipv6Addr, prefix_len: u8, lifetime: u64) -> Vec<u8> {
    let lifetime = Duration::from_secs(lifetime);
    let repr = Icmpv6Repr::Ndisc(NdiscRepr::RouterAdvert {
        hop_limit: 64,
        flags: NdiscRouterFlags::empty(),
        router_lifetime: lifetime,
        reachable_time: Duration::ZERO,
        retrans_time: Duration::ZERO,
        lladdr: None,
        mtu: None,
        prefix_info: Some(NdiscPrefixInformation {
            prefix_len,
            flags: NdiscPrefixInfoFlags::ON_LINK | NdiscPrefixInfoFlags::ADDRCONF,
            valid_lifetime: lifetime,
            preferred_lifetime: lifetime,
            prefix,
        }),
    });
    icmpv6((PEER_MAC, router), (ALL_NODES_MAC, ALL_NODES), &repr)
}

fn neighbor_advertisement(mac: MacAddr, target: Ipv6Addr, flags: NdiscNeighborFlags) -> Vec<u8> {
    let lladdr = Some(hardware(mac).into());
    let repr = Icmpv6Repr::Ndisc(NdiscRepr::NeighborAdvert { flags, target_addr: target, lladdr });
    icmpv6((mac, target), (MAC, LINK_LOCAL), &repr)
}

fn ndisc_in(frame: &[u8]) -> Option<(Ipv6Addr, Ipv6Addr, NdiscRepr<'_>)> {
    match icmpv6_in(frame)? {
        (source, destination, Icmpv6Repr::Ndisc(repr)) => Some((source, destination, repr)),
        _ => None,
    }
}

#[test]
fn the_link_local_address_is_there_from_the_start() {
    let mut bench = Bench::new(&OFF);
    assert_eq!(bench.stack.ipv6_link_local(), LINK_LOCAL);
    assert_eq!(bench.stack.source_for(ROUTER.into(), 0), Some(LINK_LOCAL.into()));
    assert_eq!(bench.stack.source_for(ALL_NODES.into(), 0), Some(LINK_LOCAL.into()));
    let frames = bench.poll();
    let solicits = |frame: &Vec<u8>| {
        ndisc_in(frame).is_some_and(|(source, _, repr)| {
            source == LINK_LOCAL && matches!(repr, NdiscRepr::RouterSolicit { .. })
        })
    };
    assert!(frames.iter().any(solicits), "routers are asked at once");
}

#[test]
fn a_router_gives_an_address_and_is_the_gateway_until_it_expires() {
    let mut bench = Bench::new(&OFF);
    bench.hear(advertisement(PREFIX, 64, 1800));
    assert_eq!(bench.stack.ipv6().collect::<Vec<_>>(), [(SLAAC, 64)]);
    assert_eq!(bench.stack.ipv6_gateway(), Some(ROUTER));
    assert_eq!(bench.stack.source_for(PEER6.into(), 0), Some(SLAAC.into()));
    assert_eq!(bench.stack.next_hop(PEER6.into()), IpAddr::from(ROUTER));
    let near = Ipv6Addr::new(0x2001, 0xdb8, 0, 7, 0, 0, 0, 9);
    assert_eq!(bench.stack.next_hop(near.into()), IpAddr::from(near));
    bench.run(1799 * SECOND, silent);
    assert_eq!(bench.stack.ipv6_gateway(), Some(ROUTER));
    bench.run(1802 * SECOND, silent);
    assert_eq!((bench.stack.ipv6().count(), bench.stack.ipv6_gateway()), (0, None));
}

/// IEEE 802.1Q: VLAN 0 is none, the tag sets a priority alone.
#[test]
fn a_router_that_tags_with_a_priority_alone_is_heard() {
    let mut bench = Bench::new(&OFF);
    bench.hear(tagged(&advertisement(PREFIX, 64, 1800), 0));
    assert_eq!(bench.stack.ipv6().collect::<Vec<_>>(), [(SLAAC, 64)]);
    assert_eq!(bench.stack.ipv6_gateway(), Some(ROUTER));
}

#[test]
fn without_a_router_the_link_local_address_stands_in_after_a_second() {
    let bench = Bench::new(&OFF);
    assert_eq!(bench.stack.source_for(PEER6.into(), ROUTER_WAIT - 1), None);
    assert_eq!(bench.stack.source_for(PEER6.into(), ROUTER_WAIT), Some(LINK_LOCAL.into()));
    assert_eq!(bench.stack.next_hop(PEER6.into()), IpAddr::from(PEER6));
}

#[test]
fn a_given_address_serves_its_own_prefix() {
    let own = Ipv6Addr::new(0xfd00, 1, 2, 3, 0, 0, 0, 5);
    let mut bench = Bench::new(&Addressing { ipv6: Some((own, 64)), ..OFF });
    assert_eq!(bench.stack.source_for(PEER6.into(), 0), Some(own.into()));
    bench.hear(advertisement(PREFIX, 64, 1800));
    assert_eq!(bench.stack.source_for(PEER6.into(), 0), Some(own.into()));
    assert_eq!(bench.stack.next_hop(PEER6.into()), IpAddr::from(PEER6));
    let far = Ipv6Addr::new(0x2001, 0xdb8, 0, 8, 0, 0, 0, 1);
    assert_eq!(bench.stack.source_for(far.into(), 0), Some(SLAAC.into()));
}

#[test]
fn a_target_is_found_by_neighbor_discovery() {
    let target = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x77);
    let mut bench = Bench::new(&OFF);
    assert_eq!(bench.resolve(target.into()), Resolution::Waiting);
    let asked = std::mem::take(&mut bench.card.sent);
    let (source, _, repr) = asked.iter().find_map(|frame| ndisc_in(frame)).expect("a solicitation");
    assert_eq!(source, LINK_LOCAL);
    assert!(matches!(repr, NdiscRepr::NeighborSolicit { target_addr, .. } if target_addr == target));

    bench.hear(neighbor_advertisement(PEER_MAC, target, NdiscNeighborFlags::SOLICITED));
    assert_eq!(bench.resolve(target.into()), Resolution::Known(PEER_MAC));
    bench.hear(neighbor_advertisement(OTHER_MAC, target, NdiscNeighborFlags::SOLICITED));
    assert_eq!(bench.resolve(target.into()), Resolution::Known(PEER_MAC), "without the override flag");
    bench.hear(neighbor_advertisement(OTHER_MAC, target, NdiscNeighborFlags::OVERRIDE));
    assert_eq!(bench.resolve(target.into()), Resolution::Known(OTHER_MAC));
}

#[test]
fn questions_for_the_own_address_are_answered_for_ever() {
    let mut bench = Bench::new(&OFF);
    bench.run(3600 * SECOND, silent);
    let asker = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x77);
    let group =
        (MacAddr([0x33, 0x33, 0xff, 0x12, 0x34, 0x56]), crate::wire::multicast::solicited_node(LINK_LOCAL));
    for (source, lladdr) in [(asker, Some(hardware(PEER_MAC).into())), (Ipv6Addr::UNSPECIFIED, None)] {
        let repr = Icmpv6Repr::Ndisc(NdiscRepr::NeighborSolicit { target_addr: LINK_LOCAL, lladdr });
        let answers = bench.hear(icmpv6((PEER_MAC, source), group, &repr));
        assert_eq!(answers.len(), 1, "from {source}");
        let (_, destination, repr) = ndisc_in(&answers[0]).expect("an advertisement");
        assert_eq!(destination, if source.is_unspecified() { ALL_NODES } else { asker });
        let own = Some(hardware(MAC).into());
        assert!(
            matches!(repr, NdiscRepr::NeighborAdvert { target_addr: LINK_LOCAL, lladdr, .. } if lladdr == own)
        );
    }
}

/// Each of these made smoltcp 0.14 panic.
#[test]
fn prefixes_that_no_address_can_be_made_of_are_ignored() {
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0);
    for (prefix, prefix_len) in [(group, 64), (PREFIX, 129), (PREFIX, 255)] {
        let mut bench = Bench::new(&OFF);
        bench.hear(advertisement(prefix, prefix_len, 1800));
        assert_eq!(bench.stack.ipv6().count(), 0);
    }
}

#[test]
fn a_flood_of_routers_and_prefixes_leaves_room_for_the_ipv4_gateway() {
    let mut bench = Bench::new(&DHCP);
    for n in 0..50 {
        let router = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, n);
        bench.hear(advertisement_from(router, Ipv6Addr::new(0x2001, 0xdb8, n, 0, 0, 0, 0, 0), 64, 1800));
    }
    assert_eq!(bench.stack.ipv6().count(), 3, "as many as Cargo.toml gives smoltcp room for");
    bench.run(10 * SECOND, super::dhcp::server(ADDRESS, 3600));
    let answers = bench.hear(super::closed::ping([192, 0, 2, 1].into(), ADDRESS.into()));
    let asked = answers.iter().find_map(|frame| arp_in(frame));
    assert_eq!(asked, Some((ArpOperation::Request, MAC, ADDRESS, GATEWAY)));
}
