use super::*;
use smoltcp::wire::{DhcpMessageType as Type, DhcpOption, DhcpPacket, DhcpRepr};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);
const NTP: [u8; 4] = [10, 0, 0, 4];
const NAME: &[u8] = b"board8.lab";

/// What a client said.
#[derive(Clone, Debug, PartialEq)]
struct Said {
    kind: Type,
    xid: u32,
    client: Ipv4Addr,
    requested: Option<Ipv4Addr>,
    hostname: Option<Vec<u8>>,
    parameters: Vec<u8>,
    destination: MacAddr,
}

fn said(frame: &[u8]) -> Option<Said> {
    let datagram = udp::parse(frame)?;
    if (datagram.source.port, datagram.destination.port) != (68, 67) {
        return None;
    }
    let packet = DhcpPacket::new_checked(datagram.payload).ok()?;
    let repr = DhcpRepr::parse(&packet).ok()?;
    let hostname = packet.options().find(|option| option.kind == 12).map(|option| option.data.to_vec());
    Some(Said {
        kind: repr.message_type,
        xid: repr.transaction_id,
        client: repr.client_ip,
        requested: repr.requested_ip,
        hostname,
        parameters: repr.parameter_request_list.unwrap_or_default().to_vec(),
        destination: datagram.destination.mac,
    })
}

/// A server's message with a lease of `lease` seconds.
fn answer(kind: Type, xid: u32, address: Ipv4Addr, lease: u32, router: Ipv4Addr) -> Vec<u8> {
    answer_from(SERVER, kind, xid, address, lease, router)
}

fn answer_from(
    source: Ipv4Addr,
    kind: Type,
    xid: u32,
    address: Ipv4Addr,
    lease: u32,
    router: Ipv4Addr,
) -> Vec<u8> {
    let options = [DhcpOption { kind: 12, data: NAME }, DhcpOption { kind: 42, data: &NTP }];
    let repr = DhcpRepr {
        message_type: kind,
        transaction_id: xid,
        secs: 0,
        client_hardware_address: hardware(MAC),
        client_ip: Ipv4Addr::UNSPECIFIED,
        your_ip: address,
        server_ip: SERVER,
        router: Some(router),
        subnet_mask: Some([255, 255, 255, 0].into()),
        relay_agent_ip: Ipv4Addr::UNSPECIFIED,
        broadcast: false,
        requested_ip: None,
        client_identifier: None,
        server_identifier: Some(SERVER),
        parameter_request_list: None,
        dns_servers: None,
        max_size: None,
        lease_duration: Some(lease),
        renew_duration: None,
        rebind_duration: None,
        additional_options: &options,
    };
    let mut message = vec![0; repr.buffer_len()];
    repr.emit(&mut DhcpPacket::new_unchecked(&mut message)).expect("it fits");
    udp_frame((PEER_MAC, source.into(), 67), (MAC, address.into(), 68), &message)
}

/// A server that gives `address` to whoever asks, and answers ARP.
pub(super) fn server(address: Ipv4Addr, lease: u32) -> impl FnMut(&[u8]) -> Vec<Vec<u8>> {
    move |frame| {
        if let Some((ArpOperation::Request, mac, asker, SERVER)) = arp_in(frame) {
            return vec![arp(ArpOperation::Reply, (PEER_MAC, SERVER), (mac, asker))];
        }
        match said(frame) {
            Some(Said { kind: Type::Discover, xid, .. }) => {
                vec![answer(Type::Offer, xid, address, lease, GATEWAY)]
            }
            Some(Said { kind: Type::Request, xid, .. }) => {
                vec![answer(Type::Ack, xid, address, lease, GATEWAY)]
            }
            _ => vec![],
        }
    }
}

fn all_said(frames: &[(u64, Vec<u8>)]) -> Vec<(u64, Said)> {
    frames.iter().filter_map(|(at, frame)| said(frame).map(|said| (*at, said))).collect()
}

#[test]
fn a_lease_is_there_without_any_time_passing() {
    let mut storage = Storage::new(Some("board7"));
    let mut bench = Bench::new(&mut storage, &DHCP);
    assert_eq!(bench.stack.source_for(PEER.into(), 0), None);
    let frames = bench.run(0, server(ADDRESS, 3600));
    let expected =
        Ipv4Interface { address: ADDRESS, prefix: 24, gateway: Some(GATEWAY), origin: Origin::Dhcp };
    assert_eq!(bench.stack.ipv4(), Some(expected));
    assert_eq!(bench.stack.ntp_server(), Some(NTP.into()));
    assert_eq!(bench.stack.host_name(), HostName::new(NAME));
    let said = all_said(&frames);
    assert_eq!(said.iter().map(|(_, said)| said.kind).collect::<Vec<_>>(), [Type::Discover, Type::Request]);
    assert_eq!(said[1].1.requested, Some(ADDRESS));
    for (_, said) in &said {
        assert_eq!(said.hostname.as_deref(), Some(&b"board7"[..]));
        assert!([1, 3, 12, 42].iter().all(|option| said.parameters.contains(option)));
    }
    let announced =
        frames.iter().filter_map(|(_, frame)| arp_in(frame)).any(|arp| (arp.2, arp.3) == (ADDRESS, ADDRESS));
    assert!(announced);
    assert_eq!(bench.resolve(PEER.into()), Resolution::Waiting);
    let asked = bench.card.sent.iter().find_map(|frame| arp_in(frame));
    assert_eq!(asked, Some((ArpOperation::Request, MAC, ADDRESS, PEER)), "the target is asked for at once");
}

#[test]
fn a_host_name_that_is_too_long_is_not_sent() {
    for name in ["", &"x".repeat(65)] {
        let mut storage = Storage::new(Some(name));
        let mut bench = Bench::new(&mut storage, &DHCP);
        let frames = bench.run(0, silent);
        assert_eq!(all_said(&frames).first().map(|(_, said)| said.hostname.clone()), Some(None));
    }
}

#[test]
fn a_silent_server_is_asked_again_every_four_seconds_and_its_late_answer_replaces_link_local() {
    let mut storage = Storage::new(None);
    let mut bench = Bench::new(&mut storage, &DHCP);
    let said = all_said(&bench.run(30 * SECOND, silent));
    let times: Vec<_> = said.iter().map(|(at, _)| *at).collect();
    assert_eq!(times[..3], [0, 4 * SECOND, 8 * SECOND]);
    assert_eq!(bench.stack.ipv4().map(|ipv4| ipv4.origin), Some(Origin::LinkLocal));
    bench.run(40 * SECOND, server(ADDRESS, 3600));
    assert_eq!(bench.stack.ipv4().map(|ipv4| (ipv4.address, ipv4.origin)), Some((ADDRESS, Origin::Dhcp)));
    bench.run(80 * SECOND, silent);
    assert_eq!(bench.stack.ipv4().map(|ipv4| ipv4.address), Some(ADDRESS), "it stays");
}

#[test]
fn a_refusal_begins_anew() {
    let mut storage = Storage::new(None);
    let mut bench = Bench::new(&mut storage, &DHCP);
    let mut refused = false;
    let mut honest = server(ADDRESS, 3600);
    bench.run(SECOND, |frame| match said(frame) {
        Some(Said { kind: Type::Request, xid, .. }) if !refused => {
            refused = true;
            vec![answer(Type::Nak, xid, Ipv4Addr::UNSPECIFIED, 0, GATEWAY)]
        }
        _ => honest(frame),
    });
    assert!(refused);
    assert_eq!(bench.stack.ipv4().map(|ipv4| ipv4.address), Some(ADDRESS));
}

#[test]
fn a_lease_is_renewed_with_its_server_and_keeps_the_address() {
    let mut storage = Storage::new(None);
    let mut bench = Bench::new(&mut storage, &DHCP);
    bench.run(0, server(ADDRESS, 600));
    let said = all_said(&bench.run(900 * SECOND, server(ADDRESS, 600)));
    assert!(said.len() >= 2, "{said:?}");
    assert!(said.iter().all(|(_, said)| said.kind == Type::Request && said.client == ADDRESS));
    assert_eq!(said[0].0, 300 * SECOND);
    assert_eq!(said[0].1.destination, PEER_MAC);
    assert_eq!(bench.stack.ipv4().map(|ipv4| ipv4.address), Some(ADDRESS));
}

#[test]
fn a_renewal_can_change_address_and_gateway() {
    let other = Ipv4Addr::new(10, 0, 0, 66);
    let mut storage = Storage::new(None);
    let mut bench = Bench::new(&mut storage, &DHCP);
    bench.run(0, server(ADDRESS, 600));
    bench.run(310 * SECOND, |frame| match said(frame) {
        Some(Said { xid, .. }) => vec![answer(Type::Ack, xid, other, 600, PEER)],
        None => server(other, 600)(frame),
    });
    let ipv4 = bench.stack.ipv4().expect("an address");
    assert_eq!((ipv4.address, ipv4.gateway), (other, Some(PEER)));
    assert_eq!(bench.stack.next_hop([192, 0, 2, 1].into()), IpAddr::from(PEER));
}

#[test]
fn a_lease_that_runs_out_gives_way_to_link_local() {
    let mut storage = Storage::new(None);
    let mut bench = Bench::new(&mut storage, &DHCP);
    bench.run(0, server(ADDRESS, 100));
    bench.run(99 * SECOND, silent);
    assert_eq!(bench.stack.ipv4().map(|ipv4| ipv4.origin), Some(Origin::Dhcp));
    bench.run(130 * SECOND, silent);
    assert_eq!(bench.stack.ipv4().map(|ipv4| ipv4.origin), Some(Origin::LinkLocal));
}

#[test]
fn a_link_that_comes_back_asks_the_server_at_once() {
    let mut storage = Storage::new(None);
    let mut bench = Bench::new(&mut storage, &DHCP);
    bench.run(0, server(ADDRESS, 600));
    bench.stack.link_changed(false, bench.now);
    bench.now += 20 * SECOND;
    bench.stack.link_changed(true, bench.now);
    assert_eq!(bench.stack.ipv4(), None, "the network may be another one");
    bench.run(bench.now, server(PEER, 600));
    assert_eq!(bench.stack.ipv4().map(|ipv4| ipv4.address), Some(PEER));
}

#[test]
fn a_link_that_is_down_at_boot_is_no_time_that_dhcp_had() {
    let mut storage = Storage::new(None);
    let mut bench = Bench::new(&mut storage, &DHCP);
    bench.stack.link_changed(false, 0);
    assert!(bench.run(20 * SECOND, silent).is_empty());
    bench.stack.link_changed(true, bench.now);
    bench.run(bench.now, server(ADDRESS, 600));
    assert_eq!(bench.stack.ipv4().map(|ipv4| ipv4.origin), Some(Origin::Dhcp));
}

/// It made smoltcp 0.14 panic when it came to renew the lease with 0.0.0.0.
#[test]
fn a_server_without_an_address_is_ignored() {
    let mut storage = Storage::new(None);
    let mut bench = Bench::new(&mut storage, &DHCP);
    bench.run(70 * SECOND, |frame| {
        let (kind, xid) = match said(frame) {
            Some(Said { kind: Type::Discover, xid, .. }) => (Type::Offer, xid),
            Some(Said { xid, .. }) => (Type::Ack, xid),
            None => return vec![],
        };
        vec![answer_from(Ipv4Addr::UNSPECIFIED, kind, xid, ADDRESS, 100, GATEWAY)]
    });
    assert_eq!(bench.stack.ipv4().map(|ipv4| ipv4.origin), Some(Origin::LinkLocal));
}

#[test]
fn a_gateway_that_can_not_be_one_is_left_out() {
    let mut storage = Storage::new(None);
    let mut bench = Bench::new(&mut storage, &DHCP);
    bench.run(0, |frame| {
        let (kind, xid) = match said(frame) {
            Some(Said { kind: Type::Discover, xid, .. }) => (Type::Offer, xid),
            Some(Said { xid, .. }) => (Type::Ack, xid),
            None => return vec![],
        };
        vec![answer(kind, xid, ADDRESS, 600, Ipv4Addr::BROADCAST)]
    });
    assert_eq!(bench.stack.ipv4().map(|ipv4| (ipv4.address, ipv4.gateway)), Some((ADDRESS, None)));
}
