//! Which station answers for an address.

use super::*;

fn reply(mac: MacAddr) -> Vec<u8> {
    arp(ArpOperation::Reply, (mac, PEER), (MAC, ADDRESS))
}

/// Whom the frames ask for by ARP, with the times.
fn questions(frames: &[(u64, Vec<u8>)], target: Ipv4Addr) -> Vec<u64> {
    let asks = |frame: &[u8]| arp_in(frame) == Some((ArpOperation::Request, MAC, ADDRESS, target));
    frames.iter().filter(|(_, frame)| asks(frame)).map(|(at, _)| *at).collect()
}

#[test]
fn a_target_is_asked_for_at_once_and_known_once_it_answers() {
    let mut bench = Bench::new(&STATIC);
    assert_eq!(bench.resolve(PEER.into()), Resolution::Waiting);
    let asked = std::mem::take(&mut bench.card.sent);
    assert_eq!(asked.len(), 1);
    assert_eq!(arp_in(&asked[0]), Some((ArpOperation::Request, MAC, ADDRESS, PEER)));
    assert_eq!(bench.resolve(PEER.into()), Resolution::Waiting);
    assert!(bench.card.sent.is_empty(), "it is not asked for again before the time");
    bench.hear(reply(PEER_MAC));
    assert_eq!(bench.resolve(PEER.into()), Resolution::Known(PEER_MAC));
}

#[test]
fn without_an_answer_broadcast_is_used_after_1250_ms_and_the_asking_goes_on() {
    let mut bench = Bench::new(&STATIC);
    bench.resolve(PEER.into());
    bench.run(1_249_999, silent);
    assert_eq!(bench.resolve(PEER.into()), Resolution::Waiting);
    bench.now = 1_250_000;
    assert_eq!(bench.resolve(PEER.into()), Resolution::Unanswered);
    let mut frames = bench.run(30 * SECOND, silent);
    frames.extend(bench.run(60 * SECOND, silent));
    let times = questions(&frames, PEER);
    assert!(times.len() >= 5, "{times:?}");
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] <= 10 * SECOND), "{times:?}");
    assert!(times.windows(2).last().is_some_and(|pair| pair[1] - pair[0] == 10 * SECOND), "{times:?}");
    bench.hear(reply(PEER_MAC));
    assert_eq!(bench.resolve(PEER.into()), Resolution::Known(PEER_MAC), "a late answer counts");
}

#[test]
fn a_target_is_asked_for_every_250_ms_at_first() {
    let mut bench = Bench::new(&STATIC);
    bench.resolve(PEER.into());
    bench.card.sent.clear();
    let times = questions(&bench.run(SECOND, silent), PEER);
    assert_eq!(times, [250_000, 500_000, 750_000, 1_000_000]);
}

#[test]
fn a_neighbor_that_says_it_has_another_card_is_believed() {
    let mut bench = Bench::new(&STATIC);
    bench.resolve(PEER.into());
    bench.hear(reply(PEER_MAC));
    bench.hear(arp(ArpOperation::Request, (OTHER_MAC, PEER), (MacAddr([0; 6]), PEER)));
    assert_eq!(bench.resolve(PEER.into()), Resolution::Known(OTHER_MAC), "gratuitous ARP");
}

#[test]
fn a_known_neighbor_is_asked_for_again_after_a_minute() {
    let mut bench = Bench::new(&STATIC);
    bench.resolve(PEER.into());
    bench.hear(reply(PEER_MAC));
    bench.card.sent.clear();
    let times = questions(&bench.run(61 * SECOND, |_| vec![]), PEER);
    assert_eq!(times, [60 * SECOND]);
    assert_eq!(bench.resolve(PEER.into()), Resolution::Known(PEER_MAC), "silence does not make it unknown");
}

#[test]
fn what_nobody_wants_is_forgotten() {
    let mut bench = Bench::new(&STATIC);
    bench.resolve(PEER.into());
    bench.run(119 * SECOND, silent);
    let late = bench.run(200 * SECOND, silent);
    assert!(questions(&late, PEER).is_empty());
}

#[test]
fn groups_are_mapped_and_broadcast_is_broadcast() {
    let mut bench = Bench::new(&STATIC);
    let known = |mac| Resolution::Known(MacAddr(mac));
    assert_eq!(bench.resolve([239, 1, 2, 3].into()), known([0x01, 0, 0x5e, 1, 2, 3]));
    assert_eq!(bench.resolve([255; 4].into()), known([0xff; 6]));
    assert_eq!(bench.resolve([10, 0, 0, 255].into()), known([0xff; 6]));
    assert_eq!(bench.resolve("ff02::1".parse().unwrap()), known([0x33, 0x33, 0, 0, 0, 1]));
    assert!(bench.card.sent.is_empty(), "nothing was asked");
}

#[test]
fn another_subnet_is_reached_by_the_gateway() {
    let mut bench = Bench::new(&STATIC);
    bench.resolve([192, 0, 2, 1].into());
    assert_eq!(bench.card.sent.iter().find_map(|frame| arp_in(frame)).map(|arp| arp.3), Some(GATEWAY));
    bench.hear(arp(ArpOperation::Reply, (PEER_MAC, GATEWAY), (MAC, ADDRESS)));
    assert_eq!(bench.resolve([192, 0, 2, 1].into()), Resolution::Known(PEER_MAC));
    assert_eq!(bench.stack.next_hop([10, 0, 0, 77].into()), IpAddr::from([10, 0, 0, 77]));
}

#[test]
fn without_a_gateway_every_target_counts_as_near() {
    let ipv4 = Ipv4Method::Static { address: ADDRESS, prefix: 24, gateway: None };
    let bench = Bench::new(&Addressing { ipv4, ..STATIC });
    assert_eq!(bench.stack.next_hop([192, 0, 2, 1].into()), IpAddr::from([192, 0, 2, 1]));
}

#[test]
fn sixteen_targets_are_waited_for_at_once() {
    let mut bench = Bench::new(&STATIC);
    let target = |n: u8| Ipv4Addr::new(10, 0, 0, 100 + n);
    for n in 0..16 {
        assert_eq!(bench.resolve(target(n).into()), Resolution::Waiting);
    }
    for n in 0..16 {
        let mac = MacAddr([2, 0, 0, 0, 1, n]);
        bench.card.arriving.push_back(arp(ArpOperation::Reply, (mac, target(n)), (MAC, ADDRESS)));
    }
    bench.poll();
    for n in 0..16 {
        assert_eq!(bench.resolve(target(n).into()), Resolution::Known(MacAddr([2, 0, 0, 0, 1, n])));
    }
}

#[test]
fn a_full_table_forgets_who_was_wanted_longest_ago() {
    let mut bench = Bench::new(&STATIC);
    for n in 0..=u8::try_from(super::super::neighbors::CAPACITY).unwrap() {
        bench.now += 1;
        bench.resolve([10, 0, 0, 100 + n].into());
    }
    bench.hear(arp(ArpOperation::Reply, (PEER_MAC, [10, 0, 0, 101].into()), (MAC, ADDRESS)));
    assert_eq!(
        bench.resolve([10, 0, 0, 101].into()),
        Resolution::Known(PEER_MAC),
        "the second is still there"
    );
    bench.hear(arp(ArpOperation::Reply, (PEER_MAC, [10, 0, 0, 100].into()), (MAC, ADDRESS)));
    assert_eq!(bench.resolve([10, 0, 0, 100].into()), Resolution::Waiting, "the first made room");
}

#[test]
fn what_a_full_card_refuses_is_sent_once_there_is_room() {
    let mut bench = Bench::new(&STATIC);
    bench.card.room = 0;
    bench.resolve(PEER.into());
    bench.run(50_000, silent);
    assert!(bench.card.sent.is_empty());
    bench.card.room = usize::MAX;
    let frames = bench.run(60_000, silent);
    assert_eq!(questions(&frames, PEER).len(), 1);
    assert!(
        frames.iter().any(|(_, frame)| arp_in(frame).is_some_and(|arp| arp.2 == arp.3)),
        "the announcement too"
    );
}

#[test]
fn a_link_that_comes_back_is_asked_afresh() {
    let mut bench = Bench::new(&STATIC);
    bench.resolve(PEER.into());
    bench.hear(reply(PEER_MAC));
    bench.stack.link_changed(false, bench.now);
    assert_eq!(bench.resolve(PEER.into()), Resolution::Waiting);
    assert!(bench.run(5 * SECOND, silent).is_empty(), "nothing is sent into a cable that is not there");
    bench.stack.link_changed(true, bench.now);
    assert_eq!(bench.resolve(PEER.into()), Resolution::Waiting, "it may lead elsewhere now");
    bench.hear(reply(OTHER_MAC));
    assert_eq!(bench.resolve(PEER.into()), Resolution::Known(OTHER_MAC));
}

#[test]
fn on_a_vlan_every_frame_is_tagged_and_untagged_ones_are_strangers() {
    let tag = |frame: &[u8]| tagged(frame, 100);
    let mut bench = Bench::on_vlan(&STATIC, Some(100));
    bench.resolve(PEER.into());
    let frames = bench.poll();
    assert!(frames.len() > 2, "ARP, and smoltcp's own");
    assert!(frames.iter().all(|frame| frame[12..16] == [0x81, 0, 0, 100]));
    bench.hear(reply(PEER_MAC));
    assert_eq!(bench.resolve(PEER.into()), Resolution::Waiting);
    bench.hear(tag(&reply(PEER_MAC)));
    assert_eq!(bench.resolve(PEER.into()), Resolution::Known(PEER_MAC));

    let request = arp(ArpOperation::Request, (PEER_MAC, PEER), (MacAddr([0; 6]), ADDRESS));
    assert!(bench.hear(request.clone()).is_empty());
    let answers = bench.hear(tag(&request));
    let untagged = [&answers[0][..12], &answers[0][16..]].concat();
    assert_eq!(arp_in(&untagged), Some((ArpOperation::Reply, MAC, ADDRESS, PEER)));
}
