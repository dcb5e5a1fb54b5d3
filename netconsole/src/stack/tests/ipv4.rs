//! IPv4 addresses that are given or chosen.

use super::*;

/// The frames' ARP requests: time, sender's address, target.
fn requests(frames: &[(u64, Vec<u8>)]) -> Vec<(u64, Ipv4Addr, Ipv4Addr)> {
    let request = |frame: &[u8]| arp_in(frame).filter(|arp| arp.0 == ArpOperation::Request);
    frames.iter().filter_map(|(at, frame)| request(frame).map(|arp| (*at, arp.2, arp.3))).collect()
}

#[test]
fn a_given_address_is_there_at_once_and_announced() {
    let mut bench = Bench::new(&STATIC);
    let (gateway, routes, origin) = (Some(GATEWAY), Routes::NONE, Origin::Static);
    let expected = Ipv4Interface { address: ADDRESS, prefix: 24, gateway, routes, origin };
    assert_eq!(bench.stack.ipv4(), Some(expected));
    assert_eq!(bench.stack.source_for(PEER.into(), 0), Some(ADDRESS.into()));
    let frames = bench.run(20 * SECOND, silent);
    assert_eq!(requests(&frames), [(0, ADDRESS, ADDRESS), (2 * SECOND, ADDRESS, ADDRESS)]);
}

#[test]
fn an_address_that_no_station_can_have_is_not_used() {
    for address in [[0; 4], [255; 4], [224, 0, 0, 1]].map(Ipv4Addr::from) {
        let ipv4 = Ipv4Method::Static { address, prefix: 99, gateway: None };
        let bench = Bench::new(&Addressing { ipv4, ..STATIC });
        assert_eq!(bench.stack.ipv4(), None);
    }
}

#[test]
fn requests_and_probes_for_the_address_are_answered_for_ever() {
    let mut bench = Bench::new(&STATIC);
    bench.run(3600 * SECOND, silent);
    for asker in [PEER, Ipv4Addr::UNSPECIFIED] {
        let answers = bench.hear(arp(ArpOperation::Request, (PEER_MAC, asker), (MacAddr([0; 6]), ADDRESS)));
        assert_eq!(answers.len(), 1);
        assert_eq!(arp_in(&answers[0]), Some((ArpOperation::Reply, MAC, ADDRESS, asker)));
        assert_eq!(answers[0][..6], PEER_MAC.0);
    }
    let other = arp(ArpOperation::Request, (PEER_MAC, PEER), (MacAddr([0; 6]), GATEWAY));
    assert!(bench.hear(other).is_empty());
}

#[test]
fn a_given_address_is_defended_but_not_every_time_and_never_given_up() {
    let mut bench = Bench::new(&STATIC);
    bench.run(10 * SECOND, silent);
    let conflict = || arp(ArpOperation::Request, (OTHER_MAC, ADDRESS), (MacAddr([0; 6]), PEER));
    let defences = |frames: Vec<Vec<u8>>| frames.iter().filter(|frame| arp_in(frame).is_some()).count();
    assert_eq!(defences(bench.hear(conflict())), 1);
    for _ in 0..100 {
        bench.now += SECOND / 20;
        assert_eq!(defences(bench.hear(conflict())), 0);
    }
    bench.now += 10 * SECOND;
    assert_eq!(defences(bench.hear(conflict())), 1);
    assert_eq!(bench.stack.ipv4().map(|ipv4| ipv4.address), Some(ADDRESS));
}

/// Runs a stack without a DHCP server until it has a link-local address.
fn link_local(bench: &mut Bench) -> (Vec<(u64, Ipv4Addr, Ipv4Addr)>, Ipv4Addr) {
    let frames = bench.run(15 * SECOND, silent);
    let ipv4 = bench.stack.ipv4().expect("an address");
    assert_eq!((ipv4.origin, ipv4.prefix, ipv4.gateway), (Origin::LinkLocal, 16, None));
    (requests(&frames), ipv4.address)
}

#[test]
fn without_a_dhcp_server_an_address_is_probed_three_times_taken_and_announced_twice() {
    let mut bench = Bench::new(&DHCP);
    let (requests, address) = link_local(&mut bench);
    let [169, 254, third, _] = address.octets() else { panic!("{address}") };
    assert!((1..=254).contains(&third));
    let unknown = Ipv4Addr::UNSPECIFIED;
    let senders: Vec<_> = requests.iter().map(|request| request.1).collect();
    assert_eq!(senders, [unknown, unknown, unknown, address, address]);
    assert!(requests.iter().all(|request| request.2 == address));
    let times: Vec<_> = requests.iter().map(|request| request.0).collect();
    assert!((0..=SECOND).contains(&times[0]), "{times:?}");
    let gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps[..2].iter().all(|gap| (SECOND..=2 * SECOND).contains(gap)), "{gaps:?}");
    assert_eq!(times[3..], [LINK_LOCAL_AFTER, LINK_LOCAL_AFTER + 2 * SECOND], "DHCP has had its time");
}

#[test]
fn a_broadcast_needs_no_address_of_its_own() {
    const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
    let mut bench = Bench::new(&DHCP);
    let candidate = link_local_ipv4(MAC);
    for target in [Ipv4Addr::BROADCAST, GROUP] {
        assert_eq!(bench.stack.source_for(target.into(), 0), Some(candidate.into()));
        assert!(matches!(bench.resolve(target.into()), Resolution::Known(_)));
    }
    for target in [PEER, [239, 1, 2, 3].into(), [10, 0, 0, 255].into()] {
        assert_eq!(bench.stack.source_for(target.into(), 0), None, "{target} must be answered, or be routed");
    }
    assert!(!bench.stack.owns(candidate.into()), "it is not ours yet");
    let question = arp(ArpOperation::Request, (PEER_MAC, PEER), (MacAddr([0; 6]), candidate));
    assert!(bench.hear(question).iter().all(|frame| arp_in(frame).is_none()), "nobody learns it");
    assert_eq!(link_local(&mut bench).1, candidate, "the same as broadcasts come from meanwhile");
    assert_eq!(bench.stack.ipv4_candidate(), None);
}

#[test]
fn a_broadcast_never_comes_from_an_address_that_a_neighbor_has() {
    let mut bench = Bench::new(&DHCP);
    let candidate = link_local_ipv4(MAC);
    bench.poll();
    bench.hear(arp(ArpOperation::Request, (OTHER_MAC, candidate), (MacAddr([0; 6]), PEER)));
    let source = bench.stack.source_for(Ipv4Addr::BROADCAST.into(), 0);
    assert!(source.is_some_and(|source| source != candidate), "{source:?}");
}

#[test]
fn with_addresses_off_nothing_is_sent_from_one() {
    let bench = Bench::new(&Addressing { ipv4: Ipv4Method::Off, ..STATIC });
    assert_eq!(bench.stack.source_for(Ipv4Addr::BROADCAST.into(), 0), None);
}

#[test]
fn link_local_addresses_keep_clear_of_the_reserved_ones_and_differ() {
    let addresses: Vec<_> = (0..=255).map(|last| link_local_ipv4(MacAddr([2, 0, 0, 0, 0, last]))).collect();
    assert!(addresses.iter().all(|ip| matches!(ip.octets(), [169, 254, 1..=254, _])));
    let mut distinct = addresses.clone();
    distinct.sort();
    distinct.dedup();
    assert!(distinct.len() > 250, "{}", distinct.len());
}

#[test]
fn the_address_is_the_same_at_each_boot() {
    let one = link_local(&mut Bench::new(&DHCP)).1;
    assert_eq!(link_local(&mut Bench::new(&DHCP)).1, one);
}

#[test]
fn an_address_that_a_neighbor_has_or_probes_too_is_not_taken() {
    for answer in [true, false] {
        let mut bench = Bench::new(&DHCP);
        let mut refused = None;
        bench.run(30 * SECOND, |frame| match arp_in(frame) {
            Some((_, _, Ipv4Addr::UNSPECIFIED, probed)) if refused.is_none() => {
                refused = Some(probed);
                let unknown = Ipv4Addr::UNSPECIFIED;
                vec![match answer {
                    true => arp(ArpOperation::Reply, (OTHER_MAC, probed), (MAC, unknown)),
                    false => arp(ArpOperation::Request, (OTHER_MAC, unknown), (MacAddr([0; 6]), probed)),
                }]
            }
            _ => vec![],
        });
        let taken = bench.stack.ipv4().map(|ipv4| ipv4.address);
        assert!(taken.is_some() && taken != refused, "{taken:?} {refused:?}");
    }
}

#[test]
fn many_conflicts_slow_the_search_down() {
    let mut bench = Bench::new(&DHCP);
    let mut probes = 0;
    bench.run(130 * SECOND, |frame| match arp_in(frame) {
        Some((_, _, Ipv4Addr::UNSPECIFIED, probed)) => {
            probes += 1;
            vec![arp(ArpOperation::Reply, (OTHER_MAC, probed), (MAC, Ipv4Addr::UNSPECIFIED))]
        }
        _ => vec![],
    });
    assert!((11..=14).contains(&probes), "{probes}");
}

#[test]
fn a_link_local_address_is_defended_once_and_then_given_up() {
    let mut bench = Bench::new(&DHCP);
    let (_, address) = link_local(&mut bench);
    let conflict = || arp(ArpOperation::Request, (OTHER_MAC, address), (MacAddr([0; 6]), PEER));
    let defence = bench.hear(conflict());
    assert_eq!(
        defence.iter().find_map(|frame| arp_in(frame)).map(|arp| (arp.2, arp.3)),
        Some((address, address))
    );
    bench.now += SECOND;
    bench.hear(conflict());
    assert_eq!(bench.stack.ipv4(), None);
    bench.run(bench.now + 10 * SECOND, silent);
    assert!(bench.stack.ipv4().is_some_and(|ipv4| ipv4.address != address));
}
