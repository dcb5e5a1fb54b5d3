//! Addresses by DHCP.

use super::*;
use proptest::prelude::*;
use smoltcp::wire::{DhcpMessageType as Type, DhcpPacket, DhcpRepr};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);
const OTHER_SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 4);
const FAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const NTP: [u8; 4] = [10, 0, 0, 4];
const NAME: &[u8] = b"board8.lab";

/// What a client said.
#[derive(Clone, Debug, PartialEq)]
struct Said {
    kind: Type,
    xid: u32,
    client: Ipv4Addr,
    requested: Option<Ipv4Addr>,
    server: Option<Ipv4Addr>,
    hostname: Option<Vec<u8>>,
    parameters: Vec<u8>,
    broadcast: bool,
    destination: (MacAddr, IpAddr),
}

fn said(frame: &[u8]) -> Option<Said> {
    let datagram = udp::parse(frame)?;
    if (datagram.source.port, datagram.destination.port) != (68, 67) {
        return None;
    }
    assert!(datagram.payload.len() >= 300, "relays may drop it");
    let packet = DhcpPacket::new_checked(datagram.payload).ok()?;
    let repr = DhcpRepr::parse(&packet).ok()?;
    assert_eq!(datagram.source.ip, IpAddr::V4(repr.client_ip));
    let hostname = packet.options().find(|option| option.kind == 12).map(|option| option.data.to_vec());
    Some(Said {
        kind: repr.message_type,
        xid: repr.transaction_id,
        client: repr.client_ip,
        requested: repr.requested_ip,
        server: repr.server_identifier,
        hostname,
        parameters: repr.parameter_request_list.unwrap_or_default().to_vec(),
        broadcast: repr.broadcast,
        destination: (datagram.destination.mac, datagram.destination.ip),
    })
}

/// A server's message, byte by byte (RFC 2131, section 2).
#[derive(Clone)]
struct Message {
    kind: Type,
    xid: u32,
    address: Ipv4Addr,
    /// Who sends it, which may be a relay.
    source: Ipv4Addr,
    options: Vec<(u8, Vec<u8>)>,
}

impl Message {
    /// With a server identifier and nothing else.
    fn bare(kind: Type, xid: u32, address: Ipv4Addr) -> Self {
        Self { kind, xid, address, source: SERVER, options: vec![(54, SERVER.octets().to_vec())] }
    }

    /// With all that a lease of `lease` seconds has.
    fn new(kind: Type, xid: u32, address: Ipv4Addr, lease: u32) -> Self {
        Self::bare(kind, xid, address)
            .with(1, [255, 255, 255, 0])
            .with(3, GATEWAY.octets())
            .with(12, NAME)
            .with(42, NTP)
            .with(51, lease.to_be_bytes())
    }

    /// Has this option in place of others of its kind.
    fn with(mut self, kind: u8, data: impl AsRef<[u8]>) -> Self {
        self.options.retain(|option| option.0 != kind);
        self.and(kind, data)
    }

    /// Has this option too.
    fn and(mut self, kind: u8, data: impl AsRef<[u8]>) -> Self {
        self.options.push((kind, data.as_ref().to_vec()));
        self
    }

    fn without(mut self, kind: u8) -> Self {
        self.options.retain(|option| option.0 != kind);
        self
    }

    fn payload(&self) -> Vec<u8> {
        let mut bytes = vec![0; 240];
        bytes[..4].copy_from_slice(&[2, 1, 6, 0]);
        bytes[4..8].copy_from_slice(&self.xid.to_be_bytes());
        bytes[16..20].copy_from_slice(&self.address.octets());
        bytes[28..34].copy_from_slice(&MAC.0);
        bytes[236..].copy_from_slice(&[99, 130, 83, 99]);
        bytes.extend([53, 1, self.kind.into()]);
        for (kind, data) in &self.options {
            bytes.extend([*kind, u8::try_from(data.len()).expect("a short option")]);
            bytes.extend(data);
        }
        bytes.push(255);
        bytes
    }

    fn frame(&self) -> Vec<u8> {
        let to = if self.address.is_unspecified() { Ipv4Addr::BROADCAST } else { self.address };
        udp_frame((PEER_MAC, self.source.into(), 67), (MAC, to.into(), 68), &self.payload())
    }
}

/// A server that answers a search with an offer and a request with an acknowledgement, each as `edit` makes it of a
/// lease of `lease` seconds, and answers ARP.
fn edited(
    address: Ipv4Addr,
    lease: u32,
    mut edit: impl FnMut(Message, &Said) -> Option<Message>,
) -> impl FnMut(&[u8]) -> Vec<Vec<u8>> {
    move |frame| {
        if let Some((ArpOperation::Request, mac, asker, SERVER)) = arp_in(frame) {
            return vec![arp(ArpOperation::Reply, (PEER_MAC, SERVER), (mac, asker))];
        }
        let Some(said) = said(frame) else { return vec![] };
        let kind = match said.kind {
            Type::Discover => Type::Offer,
            Type::Request => Type::Ack,
            _ => return vec![],
        };
        edit(Message::new(kind, said.xid, address, lease), &said).iter().map(Message::frame).collect()
    }
}

/// A server that gives `address` to whoever asks, and answers ARP.
pub(super) fn server(address: Ipv4Addr, lease: u32) -> impl FnMut(&[u8]) -> Vec<Vec<u8>> {
    edited(address, lease, |message, _| Some(message))
}

fn all_said(frames: &[(u64, Vec<u8>)]) -> Vec<(u64, Said)> {
    frames.iter().filter_map(|(at, frame)| said(frame).map(|said| (*at, said))).collect()
}

/// A stack with a lease of `lease` seconds as `edit` makes it.
fn leased(lease: u32, mut edit: impl FnMut(Message) -> Message) -> Bench {
    let mut bench = Bench::new(&DHCP);
    bench.run(0, edited(ADDRESS, lease, |message, _| Some(edit(message))));
    assert_eq!(bench.stack.ipv4().map(|ipv4| ipv4.address), Some(ADDRESS));
    bench
}

/// The times between questions.
fn gaps(said: &[(u64, Said)]) -> Vec<u64> {
    said.windows(2).map(|pair| pair[1].0 - pair[0].0).collect()
}

fn is_about(gap: u64, seconds: u64) -> bool {
    (seconds * SECOND).abs_diff(gap) <= SECOND
}

#[test]
fn a_lease_is_there_without_any_time_passing() {
    let mut bench = Bench::with(Some("board7"), 1500, &DHCP, None);
    assert_eq!(bench.stack.source_for(PEER.into(), 0), None);
    let frames = bench.run(0, server(ADDRESS, 3600));
    let (gateway, routes, origin) = (Some(GATEWAY), Routes::NONE, Origin::Dhcp);
    let expected = Ipv4Interface { address: ADDRESS, prefix: 24, gateway, routes, origin };
    assert_eq!(bench.stack.ipv4(), Some(expected));
    assert_eq!(bench.stack.ntp_server(), Some(NTP.into()));
    assert_eq!(bench.stack.host_name(), HostName::new(NAME));
    let said = all_said(&frames);
    assert_eq!(said.iter().map(|(_, said)| said.kind).collect::<Vec<_>>(), [Type::Discover, Type::Request]);
    assert_eq!((said[1].1.requested, said[1].1.server), (Some(ADDRESS), Some(SERVER)));
    assert_eq!(said[1].1.xid, said[0].1.xid);
    for (_, said) in &said {
        assert_eq!(said.hostname.as_deref(), Some(&b"board7"[..]));
        // RFC 3442: the classless routes before the router.
        assert_eq!(said.parameters, [1, 121, 3, 12, 26, 42]);
        assert_eq!(said.destination, (MacAddr::BROADCAST, Ipv4Addr::BROADCAST.into()));
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
    for (length, is_sent) in [(0, false), (1, true), (64, true), (65, false)] {
        let name: &'static str = Box::leak("x".repeat(length).into_boxed_str());
        let frames = Bench::with(Some(name), 1500, &DHCP, None).run(0, silent);
        let sent = all_said(&frames)[0].1.hostname.clone();
        assert_eq!(sent.as_deref(), is_sent.then_some(name.as_bytes()));
    }
}

/// RFC 2131, section 4.1: 4 s, 8 s, … 64 s, each more or less by up to a second.
#[test]
fn a_silent_server_is_asked_less_and_less_often_with_the_same_xid() {
    let mut bench = Bench::new(&DHCP);
    let said = all_said(&bench.run(330 * SECOND, silent));
    let expected = [4, 8, 16, 32, 64, 64, 64];
    let gaps = gaps(&said);
    assert!(gaps.iter().zip(expected).all(|(&gap, seconds)| is_about(gap, seconds)), "{gaps:?}");
    assert!(gaps.len() >= 7, "{gaps:?}");
    assert!(said.iter().all(|(_, one)| (one.kind, one.xid) == (Type::Discover, said[0].1.xid)));
    // What is not answered so may be so: there are bridges that let only broadcasts through.
    let flags: Vec<_> = said.iter().take(4).map(|(_, said)| said.broadcast).collect();
    assert_eq!(flags, [false, false, true, true]);
    assert_eq!(bench.stack.ipv4().map(|ipv4| ipv4.origin), Some(Origin::LinkLocal));

    bench.run(400 * SECOND, server(ADDRESS, 3600));
    assert_eq!(bench.stack.ipv4().map(|ipv4| (ipv4.address, ipv4.origin)), Some((ADDRESS, Origin::Dhcp)));
    bench.run(480 * SECOND, silent);
    assert_eq!(bench.stack.ipv4().map(|ipv4| ipv4.address), Some(ADDRESS), "it stays");
}

/// A switch's port forwards nothing for the first 30 s, as its spanning tree wants.
#[test]
fn when_the_network_shows_itself_the_server_is_asked_at_once() {
    let mut bench = Bench::new(&DHCP);
    let bpdu = [&[1, 0x80, 0xc2, 0, 0, 0, 2, 0, 0, 0, 0, 0x99, 0, 38, 0x42, 0x42, 3][..], &[0; 43]].concat();
    bench.run(38 * SECOND, silent);
    bench.hear(bpdu);
    assert!(all_said(&bench.run(40 * SECOND, silent)).is_empty(), "the switch alone");
    let question = || arp(ArpOperation::Request, (PEER_MAC, PEER), (MacAddr([0; 6]), GATEWAY));
    bench.card.arriving.push_back(question());
    let said = all_said(&bench.run(45 * SECOND, silent));
    assert_eq!(said[0].0, 40 * SECOND);
    assert!(is_about(said[1].0 - said[0].0, 4), "and as if it were the first time");
    bench.card.arriving.push_back(question());
    assert!(all_said(&bench.run(46 * SECOND, silent)).is_empty(), "once");
    // Nor right behind the first question.
    let mut bench = Bench::new(&DHCP);
    bench.run(SECOND, silent);
    bench.card.arriving.push_back(question());
    assert!(all_said(&bench.run(2 * SECOND, silent)).is_empty());
}

#[test]
fn a_slow_server_s_answers_count() {
    for delay in [5, 10, 20, 45, 62] {
        let mut bench = Bench::new(&DHCP);
        bench.run_with(delay * SECOND, (2 * delay + 1) * SECOND, server(ADDRESS, 3600));
        let ipv4 = bench.stack.ipv4().map(|ipv4| (ipv4.address, ipv4.origin));
        assert_eq!(ipv4, Some((ADDRESS, Origin::Dhcp)), "{delay} s");
    }
}

#[test]
fn a_request_is_repeated_and_then_offers_are_looked_for_again() {
    let mut bench = Bench::new(&DHCP);
    let offers = edited(ADDRESS, 3600, |message, said| (said.kind == Type::Discover).then_some(message));
    let said = all_said(&bench.run(65 * SECOND, offers));
    let kinds: Vec<_> = said.iter().map(|(_, said)| said.kind).collect();
    use Type::{Discover, Request};
    assert_eq!(kinds, [Discover, Request, Request, Request, Request, Discover, Request]);
    let expected = [0, 4, 8, 16, 32, 0];
    let gaps = gaps(&said);
    assert!(gaps.iter().zip(expected).all(|(&gap, seconds)| is_about(gap, seconds)), "{gaps:?}");
    assert!(said[..5].iter().all(|(_, one)| one.xid == said[0].1.xid));
    assert_ne!(said[5].1.xid, said[0].1.xid, "a new try");
}

#[test]
fn a_refusal_begins_anew() {
    let mut bench = Bench::new(&DHCP);
    let mut refused = false;
    bench.run(
        SECOND,
        edited(ADDRESS, 3600, |message, said| {
            let refuses = said.kind == Type::Request && !core::mem::replace(&mut refused, true);
            Some(if refuses { Message::bare(Type::Nak, said.xid, [0; 4].into()) } else { message })
        }),
    );
    assert!(refused);
    assert_eq!(bench.stack.ipv4().map(|ipv4| ipv4.address), Some(ADDRESS));
}

#[test]
fn a_server_that_always_refuses_is_not_asked_all_the_time() {
    let mut bench = Bench::new(&DHCP);
    let refuse = |message: Message, said: &Said| {
        let refusal = Message::bare(Type::Nak, said.xid, [0; 4].into());
        Some(if said.kind == Type::Request { refusal } else { message })
    };
    let said = all_said(&bench.run(120 * SECOND, edited(ADDRESS, 3600, refuse)));
    assert!((8..=16).contains(&said.len()), "{}", said.len());
}

#[test]
fn another_server_s_refusal_does_not_count() {
    let mut bench = Bench::new(&DHCP);
    let mut frames = server(ADDRESS, 3600);
    bench.run(SECOND, |frame| {
        let mut answers = frames(frame);
        if let Some(Said { kind: Type::Request, xid, .. }) = said(frame) {
            let refusal = Message::bare(Type::Nak, xid, [0; 4].into()).with(54, OTHER_SERVER.octets());
            answers.insert(0, refusal.frame());
        }
        answers
    });
    assert_eq!(bench.stack.ipv4().map(|ipv4| ipv4.address), Some(ADDRESS));
}

#[test]
fn a_lease_is_renewed_with_its_server_and_keeps_the_address() {
    let mut bench = leased(600, |message| message);
    let said = all_said(&bench.run(900 * SECOND, server(ADDRESS, 600)));
    assert!(said.len() >= 2, "{said:?}");
    assert!(said.iter().all(|(_, said)| said.kind == Type::Request && said.client == ADDRESS));
    assert!(said.iter().all(|(_, said)| said.requested.is_none() && said.server.is_none()));
    // Its server's Ethernet address is asked for first.
    assert_eq!(said[0].0 / SECOND, 300);
    assert_eq!(said[0].1.destination, (PEER_MAC, SERVER.into()));
    assert_eq!(bench.stack.ipv4().map(|ipv4| ipv4.address), Some(ADDRESS));
}

#[test]
fn a_server_tells_when_to_renew_and_nonsense_does_not_count() {
    for (renew, rebind, expected) in
        [(100, 200, 100), (700, 800, 300), (400, 300, 300), (0, 500, 300), (0, 0, 300), (5, 6, 5)]
    {
        let mut bench = leased(600, |message: Message| {
            message.with(58, u32::to_be_bytes(renew)).with(59, u32::to_be_bytes(rebind))
        });
        let said = all_said(&bench.run(310 * SECOND, server(ADDRESS, 100_000)));
        assert_eq!(said.first().map(|(at, _)| at / SECOND), Some(expected), "{renew} {rebind}");
    }
}

#[test]
fn any_server_may_renew_when_its_own_is_silent() {
    let mut bench = leased(800, |message| message);
    let others = |message: Message, said: &Said| {
        let is_broadcast =
            said.destination.0 == MacAddr::BROADCAST && said.destination.1 != IpAddr::V4(SERVER);
        is_broadcast.then(|| message.with(54, OTHER_SERVER.octets()))
    };
    let said = all_said(&bench.run(780 * SECOND, edited(ADDRESS, 800, others)));
    let at = |place: usize| said[place].0 / SECOND;
    // RFC 2131, section 4.4.5: at half of the time, then after half of what is left, then to all.
    assert_eq!((at(0), at(1), at(2)), (400, 550, 625), "{said:?}");
    let last = &said.last().expect("a question").1;
    assert_eq!((last.destination, last.client), ((MacAddr::BROADCAST, Ipv4Addr::BROADCAST.into()), ADDRESS));
    assert_eq!(said.last().map(|(at, _)| at / SECOND), Some(700));
    bench.run(1100 * SECOND, silent);
    assert_eq!(bench.stack.ipv4().map(|ipv4| ipv4.address), Some(ADDRESS));
}

#[test]
fn a_lease_for_ever_is_never_renewed() {
    let mut bench = leased(u32::MAX, |message| message);
    assert!(all_said(&bench.run(86_400 * SECOND, silent)).is_empty());
    assert_eq!(bench.stack.ipv4().map(|ipv4| ipv4.origin), Some(Origin::Dhcp));
}

#[test]
fn a_lease_without_a_time_is_renewed_after_half_an_hour() {
    let mut bench = leased(0, |message| message.without(51));
    let said = all_said(&bench.run(2000 * SECOND, server(ADDRESS, 3600)));
    assert_eq!(said.first().map(|(at, _)| at / SECOND), Some(1800));
}

#[test]
fn a_lease_of_no_time_at_all_is_not_asked_for_all_the_time() {
    let mut bench = leased(0, |message| message);
    assert!(all_said(&bench.run(60 * SECOND, server(ADDRESS, 0))).len() < 20);
}

#[test]
fn a_renewal_can_change_address_and_gateway() {
    let other = Ipv4Addr::new(10, 0, 0, 66);
    let mut bench = leased(600, |message| message);
    bench.run(310 * SECOND, edited(other, 600, |message, _| Some(message.with(3, PEER.octets()))));
    let ipv4 = bench.stack.ipv4().expect("an address");
    assert_eq!((ipv4.address, ipv4.gateway), (other, Some(PEER)));
    assert_eq!(bench.stack.next_hop(FAR.into()), IpAddr::from(PEER));
}

/// Servers there are that tell only once.
#[test]
fn what_a_renewal_does_not_tell_stays_as_it_was() {
    let route = [24, 10, 9, 8, 10, 0, 0, 9];
    let mut bench = leased(600, |message| message.with(26, [0x05, 0x14]));
    let before = bench.stack.ipv4();
    for end in [700, 1000] {
        let bare = |message: Message, _: &Said| Some(Message::bare(message.kind, message.xid, ADDRESS));
        let said = all_said(&bench.run(end * SECOND, edited(ADDRESS, 600, bare)));
        assert!(!said.is_empty() && said.iter().all(|(_, said)| said.client == ADDRESS));
        assert_eq!(bench.stack.ipv4(), before);
        assert_eq!(bench.stack.mtu(), 1300);
        assert_eq!(bench.stack.ntp_server(), Some(NTP.into()));
        assert_eq!(bench.stack.host_name(), HostName::new(NAME));
    }
    let mut bench = leased(600, |message| message.with(121, route));
    let before = bench.stack.ipv4();
    let rest = |message: Message, _: &Said| Some(message.without(1).without(51).without(121));
    bench.run(700 * SECOND, edited(ADDRESS, 600, rest));
    assert_eq!(
        bench.stack.ipv4(),
        before,
        "the router option does not count while there are classless routes"
    );
}

/// What an offer tells and the acknowledgement does not.
#[test]
fn what_was_offered_counts() {
    let mut bench = Bench::new(&DHCP);
    let bare = |message: Message, said: &Said| {
        let bare = Message::bare(message.kind, message.xid, ADDRESS);
        Some(if said.kind == Type::Request { bare } else { message })
    };
    bench.run(0, edited(ADDRESS, 600, bare));
    assert_eq!(bench.stack.ipv4().map(|ipv4| (ipv4.prefix, ipv4.gateway)), Some((24, Some(GATEWAY))));
}

#[test]
fn of_several_routers_the_first_that_can_be_one_counts() {
    for (routers, expected) in [
        (&[10, 0, 0, 1, 10, 0, 0, 7][..], Some(GATEWAY)),
        (&[255, 255, 255, 255, 10, 0, 0, 1], Some(GATEWAY)),
        (&[0, 0, 0, 0, 224, 0, 0, 1, 10, 0, 0, 1], Some(GATEWAY)),
        (&[10, 0, 0, 1, 10, 0], Some(GATEWAY)),
        (&[10, 0, 0], None),
        (&[255, 255, 255, 255], None),
        (&[], None),
    ] {
        let bench = leased(600, |message| message.with(3, routers));
        assert_eq!(bench.stack.ipv4().map(|ipv4| ipv4.gateway), Some(expected), "{routers:?}");
    }
    let bench = leased(600, |message| message.with(3, [10, 0, 0, 1]).and(3, [10, 0, 0, 7]));
    assert_eq!(bench.stack.ipv4().map(|ipv4| ipv4.gateway), Some(Some(GATEWAY)), "RFC 3396");
}

#[test]
fn a_mask_that_is_none_gives_way_to_the_address_class() {
    for mask in [&[255, 0, 255, 0][..], &[0; 4], &[255, 255], &[255, 255, 255, 0, 0]] {
        let bench = leased(600, |message| message.with(1, mask));
        assert_eq!(bench.stack.ipv4().map(|ipv4| ipv4.prefix), Some(8), "{mask:?}");
    }
}

/// RFC 3442.
#[test]
fn classless_routes_lead_where_they_say_and_no_router_option_counts() {
    let routes = [
        &[0, 10, 0, 0, 9][..],
        &[24, 192, 0, 2, 10, 0, 0, 11],
        &[25, 192, 0, 2, 128, 10, 0, 0, 12],
        // Bits behind the prefix do not count.
        &[12, 172, 31, 10, 0, 0, 13],
        &[32, 192, 0, 2, 200, 0, 0, 0, 0],
        &[32, 169, 254, 169, 254, 10, 0, 0, 14],
        &[28, 10, 0, 0, 240, 10, 0, 0, 15],
    ];
    let bench = leased(600, |message| message.with(121, routes.concat()));
    let hop = |a, b, c, d| bench.stack.next_hop(Ipv4Addr::new(a, b, c, d).into()).to_string();
    assert_eq!(hop(198, 51, 100, 1), "10.0.0.9");
    assert_eq!(hop(192, 0, 2, 1), "10.0.0.11");
    assert_eq!(hop(192, 0, 2, 129), "10.0.0.12");
    assert_eq!(hop(172, 16, 0, 1), "10.0.0.13");
    assert_eq!(hop(192, 0, 2, 200), "192.0.2.200", "on this link");
    assert_eq!(hop(169, 254, 169, 254), "10.0.0.14");
    assert_eq!(hop(169, 254, 1, 1), "169.254.1.1");
    assert_eq!(hop(10, 0, 0, 77), "10.0.0.77");
    assert_eq!(hop(10, 0, 0, 241), "10.0.0.15", "a part of the subnet is elsewhere");
    assert_eq!(hop(239, 1, 2, 3), "239.1.2.3");

    let bench = leased(600, |message| message.with(121, [24, 192, 0, 2, 10, 0, 0, 11]));
    assert_eq!(bench.stack.ipv4().and_then(|ipv4| ipv4.gateway), None, "there is no default route");
    let parts = |message: Message| message.with(121, [24, 192, 0]).and(121, [2, 10, 0, 0, 11]);
    assert_eq!(leased(600, parts).stack.next_hop(FAR.into()), IpAddr::from([10, 0, 0, 11]), "RFC 3396");
}

#[test]
fn malformed_classless_routes_leave_the_router() {
    for routes in [&[24, 192, 0, 2, 10, 0, 0][..], &[33, 192, 0, 2, 1, 10, 0, 0, 1], &[255; 9], &[0, 10], &[]]
    {
        let bench = leased(600, |message| message.with(121, routes));
        assert_eq!(
            bench.stack.ipv4().map(|ipv4| (ipv4.gateway, ipv4.routes)),
            Some((Some(GATEWAY), Routes::NONE))
        );
    }
    let many: Vec<u8> = (0..30).flat_map(|n| [24, 192, 0, n, 10, 0, 0, 11]).chain([0, 10, 0, 0, 9]).collect();
    let bench = leased(600, |message| message.with(121, &many[..240]).and(121, &many[240..]));
    let mut bench = bench;
    assert_eq!(bench.news(), [News::TooManyRoutes]);
    let ipv4 = bench.stack.ipv4().expect("an address");
    assert_eq!((ipv4.routes.iter().count(), ipv4.gateway), (Routes::MAX, Some([10, 0, 0, 9].into())));
}

#[test]
fn pings_are_answered_through_classless_routes() {
    let mut bench = leased(600, |message| message.with(121, [24, 192, 0, 2, 10, 0, 0, 11]));
    let answers = bench.hear(super::closed::ping(FAR.into(), ADDRESS.into()));
    let asked = answers.iter().find_map(|frame| arp_in(frame));
    assert_eq!(asked, Some((ArpOperation::Request, MAC, ADDRESS, [10, 0, 0, 11].into())));
}

#[test]
fn no_packet_is_longer_than_the_least_mtu() {
    for (card, option, expected, news) in [
        (1500, &[0x05, 0x14][..], 1300, Some(News::Mtu(1300))),
        (1280, &[0x05, 0x14], 1280, None),
        (1500, &[0x23, 0x28], 1500, None),
        (1500, &[0x02, 0x40], 576, Some(News::Mtu(576))),
        (1500, &[0x02, 0x3f], 1500, Some(News::MtuTooSmall(575))),
        (1500, &[0, 68], 1500, Some(News::MtuTooSmall(68))),
        (1500, &[0x05], 1500, None),
        (1500, &[0, 0, 0x05, 0x14], 1500, None),
        (68, &[], 576, Some(News::MtuTooSmall(68))),
    ] {
        let mut bench = Bench::with(None, card, &DHCP, None);
        bench.run(0, edited(ADDRESS, 600, |message, _| Some(message.with(26, option))));
        assert_eq!((bench.stack.mtu(), bench.news().pop()), (expected, news), "{card} {option:?}");
        bench.run(310 * SECOND, edited(ADDRESS, 600, |message, _| Some(message.with(26, option))));
        assert_eq!(bench.news(), [], "a renewal that tells the same is no news");
    }
}

#[test]
fn a_ping_that_is_longer_than_the_leased_mtu_is_not_answered() {
    let mut bench = leased(600, |message| message.with(26, [0x02, 0x40]));
    bench.hear(arp(ArpOperation::Request, (PEER_MAC, PEER), (MacAddr([0; 6]), ADDRESS)));
    for (length, answers) in [(548, 1), (549, 0)] {
        let data = vec![7; length];
        let request = Icmpv4Repr::EchoRequest { ident: 1, seq_no: 2, data: &data };
        let (from, to) = ((PEER_MAC, PEER.into()), (MAC, ADDRESS.into()));
        let frame = ip(from, to, IpProtocol::Icmp, 64, request.buffer_len(), |bytes| {
            request.emit(&mut Icmpv4Packet::new_unchecked(bytes), &ChecksumCapabilities::default());
        });
        let frames = bench.hear(frame);
        assert_eq!(frames.iter().filter(|frame| frame[12..14] == [8, 0]).count(), answers, "{length}");
    }
}

/// A stack whose lease of 100 s is over, and a neighbour that it knows.
fn expired() -> Bench {
    let mut bench = leased(100, |message| message);
    bench.resolve(FAR.into());
    bench.hear(arp(ArpOperation::Reply, (OTHER_MAC, GATEWAY), (MAC, ADDRESS)));
    bench.run(99 * SECOND, silent);
    assert_eq!(bench.stack.ipv4().map(|ipv4| ipv4.origin), Some(Origin::Dhcp));
    assert_eq!(bench.news(), []);
    bench.run(100 * SECOND, silent);
    assert_eq!(bench.news(), [News::LeaseExpired(ADDRESS)]);
    bench
}

#[test]
fn an_address_whose_lease_is_over_is_the_log_s_source_and_nothing_else() {
    let mut bench = expired();
    assert_eq!((bench.stack.ipv4(), bench.stack.ipv4_candidate()), (None, None));
    assert!(!bench.stack.owns(ADDRESS.into()));
    assert_eq!(bench.stack.owned_until(ADDRESS.into()), 100 * SECOND);
    assert_eq!(bench.stack.owned_until(PEER.into()), 0);
    assert_eq!(bench.stack.owned_until(bench.stack.ipv6_link_local().into()), u64::MAX);
    assert_eq!(bench.stack.next_hop(FAR.into()), IpAddr::from(GATEWAY));
    let question = arp(ArpOperation::Request, (PEER_MAC, PEER), (MacAddr([0; 6]), ADDRESS));
    let probe = arp(ArpOperation::Request, (PEER_MAC, Ipv4Addr::UNSPECIFIED), (MacAddr([0; 6]), ADDRESS));
    let input = udp_frame((PEER_MAC, PEER.into(), 6666), (MAC, ADDRESS.into(), 6665), b"dmesg\n");
    for frame in [question, probe, input, super::closed::ping(PEER.into(), ADDRESS.into())] {
        assert!(bench.hear(frame).is_empty(), "it is not ours");
    }
    assert!(bench.inputs.is_empty());
    for minute in 0..60 {
        let source = bench.stack.source_for(FAR.into(), bench.now);
        assert_eq!(source, Some(ADDRESS.into()), "{minute}");
        assert_eq!(bench.resolve(FAR.into()), Resolution::Known(OTHER_MAC), "{minute}");
        for (_, frame) in bench.run(bench.now + 60 * SECOND, silent) {
            assert!(arp_in(&frame).is_none_or(|arp| arp.2.is_unspecified()), "who asks from it claims it");
        }
    }
}

#[test]
fn a_target_is_asked_for_without_claiming_the_address() {
    let mut bench = expired();
    assert_eq!(bench.resolve(PEER.into()), Resolution::Waiting);
    let asked = bench.card.sent.iter().find_map(|frame| arp_in(frame));
    assert_eq!(asked, Some((ArpOperation::Request, MAC, Ipv4Addr::UNSPECIFIED, PEER)));
    bench.hear(arp(ArpOperation::Reply, (PEER_MAC, PEER), (MAC, Ipv4Addr::UNSPECIFIED)));
    assert_eq!(bench.resolve(PEER.into()), Resolution::Known(PEER_MAC));
}

#[test]
fn an_address_whose_lease_is_over_is_given_up_when_another_station_has_it() {
    let mut bench = expired();
    bench.hear(arp(ArpOperation::Request, (PEER_MAC, ADDRESS), (MacAddr([0; 6]), ADDRESS)));
    assert_eq!(bench.news(), [News::Taken(ADDRESS, PEER_MAC)]);
    assert_eq!(bench.stack.source_for(FAR.into(), bench.now), None);
    bench.run(bench.now + 20 * SECOND, silent);
    assert_eq!(bench.stack.ipv4().map(|ipv4| ipv4.origin), Some(Origin::LinkLocal));
}

#[test]
fn an_address_is_given_up_at_once_when_it_is_refused() {
    let refuse = |message: Message, said: &Said| {
        (said.kind == Type::Request).then(|| Message::bare(Type::Nak, message.xid, [0; 4].into()))
    };
    let mut bench = leased(100, |message| message);
    bench.run(51 * SECOND, edited(ADDRESS, 100, refuse));
    assert_eq!(bench.news(), [News::LeaseRefused(ADDRESS)]);
    assert_eq!((bench.stack.ipv4(), bench.stack.source_for(FAR.into(), bench.now)), (None, None));

    // After its end too: the offer that is taken up then is refused.
    let mut bench = expired();
    let refuse = |message: Message, said: &Said| {
        let refusal = Message::bare(Type::Nak, message.xid, [0; 4].into());
        Some(if said.kind == Type::Request { refusal } else { message })
    };
    bench.run(bench.now + 6 * SECOND, edited(ADDRESS, 100, refuse));
    assert_eq!(bench.news(), [News::LeaseRefused(ADDRESS)]);
    assert_eq!(bench.stack.source_for(FAR.into(), bench.now), None);
}

#[test]
fn a_server_that_comes_back_gives_the_address_again() {
    let mut bench = expired();
    bench.run(bench.now + 130 * SECOND, server(ADDRESS, 600));
    assert_eq!(bench.stack.ipv4().map(|ipv4| (ipv4.address, ipv4.origin)), Some((ADDRESS, Origin::Dhcp)));
    let question = arp(ArpOperation::Request, (PEER_MAC, PEER), (MacAddr([0; 6]), ADDRESS));
    assert_eq!(bench.hear(question).len(), 1, "it is ours again");
}

#[test]
fn a_renewal_that_comes_too_late_counts() {
    let mut bench = leased(100, |message| message);
    bench.run_with(70 * SECOND, 130 * SECOND, server(ADDRESS, 600));
    assert_eq!(bench.news(), [News::LeaseExpired(ADDRESS)]);
    assert_eq!(bench.stack.ipv4().map(|ipv4| ipv4.address), Some(ADDRESS));
}

#[test]
fn a_link_that_comes_back_asks_the_server_at_once() {
    let mut bench = leased(600, |message| message.with(26, [0x05, 0x14]));
    bench.stack.link_changed(false, bench.now);
    bench.now += 20 * SECOND;
    bench.stack.link_changed(true, bench.now);
    assert_eq!((bench.stack.ipv4(), bench.stack.mtu()), (None, 1500), "the network may be another one");
    bench.run(bench.now, server(PEER, 600));
    assert_eq!(bench.stack.ipv4().map(|ipv4| ipv4.address), Some(PEER));
}

#[test]
fn a_link_that_is_down_at_boot_is_no_time_that_dhcp_had() {
    let mut bench = Bench::new(&DHCP);
    bench.stack.link_changed(false, 0);
    assert!(bench.run(20 * SECOND, silent).is_empty());
    bench.stack.link_changed(true, bench.now);
    bench.run(bench.now, server(ADDRESS, 600));
    assert_eq!(bench.stack.ipv4().map(|ipv4| ipv4.origin), Some(Origin::Dhcp));
}

#[test]
fn a_server_is_known_by_its_identifier_or_its_address() {
    for (source, identifier, expected) in [
        (Ipv4Addr::UNSPECIFIED, Some(SERVER), Some(SERVER)),
        (SERVER, None, Some(SERVER)),
        // Behind a relay.
        (GATEWAY, Some(OTHER_SERVER), Some(OTHER_SERVER)),
        (Ipv4Addr::UNSPECIFIED, None, None),
        (Ipv4Addr::UNSPECIFIED, Some(Ipv4Addr::BROADCAST), None),
    ] {
        let mut bench = Bench::new(&DHCP);
        let edit = |message: Message, _: &Said| {
            let message = message.without(54);
            let message = match identifier {
                Some(server) => message.with(54, server.octets()),
                None => message,
            };
            Some(Message { source, ..message })
        };
        let said = all_said(&bench.run(SECOND, edited(ADDRESS, 600, edit)));
        let request = said.iter().find(|(_, said)| said.kind == Type::Request);
        assert_eq!(request.and_then(|(_, said)| said.server), expected, "{source} {identifier:?}");
        assert_eq!(bench.stack.ipv4().is_some(), expected.is_some());
    }
}

#[test]
fn what_is_no_answer_to_this_station_does_not_count() {
    for (at, byte) in [(0, 1), (1, 6), (2, 7), (28, 0xee), (33, 0xee), (236, 1), (4, 0xee), (242, 9)] {
        let mut bench = Bench::new(&DHCP);
        let mut genuine = edited(ADDRESS, 600, |message, _| Some(message));
        bench.run(SECOND, |frame| {
            let mut answers = genuine(frame);
            for answer in &mut answers {
                if let Some(datagram) = udp::parse(answer) {
                    let mut payload = datagram.payload.to_vec();
                    payload[at] ^= byte;
                    *answer = udp_frame((PEER_MAC, SERVER.into(), 67), (MAC, ADDRESS.into(), 68), &payload);
                }
            }
            answers
        });
        assert_eq!(bench.stack.ipv4(), None, "byte {at}");
    }
}

/// RFC 2132, section 9.3: the fields for names hold options.
#[test]
fn options_in_the_fields_for_names_count() {
    let mut bench = Bench::new(&DHCP);
    bench.run(SECOND, |frame| {
        let Some(said) = said(frame) else { return vec![] };
        let kind = if said.kind == Type::Discover { Type::Offer } else { Type::Ack };
        let mut payload = Message::bare(kind, said.xid, ADDRESS).and(52, [3]).payload();
        payload[108..115].copy_from_slice(&[1, 4, 255, 255, 0, 0, 255]);
        payload[44..51].copy_from_slice(&[0, 3, 4, 10, 0, 0, 1]);
        vec![udp_frame((PEER_MAC, SERVER.into(), 67), (MAC, ADDRESS.into(), 68), &payload)]
    });
    assert_eq!(bench.stack.ipv4().map(|ipv4| (ipv4.prefix, ipv4.gateway)), Some((16, Some(GATEWAY))));
}

#[test]
fn a_name_that_ends_with_a_zero_counts() {
    let bench = leased(600, |message| message.with(12, b"board9\0"));
    assert_eq!(bench.stack.host_name(), HostName::new(b"board9"));
}

/// IEEE 802.1Q: VLAN 0 is none, the tag sets a priority alone.
#[test]
fn frames_that_are_tagged_with_a_priority_alone_are_as_good_as_others() {
    for control in [0u16, 0xe000, 0x1000] {
        let mut bench = Bench::new(&DHCP);
        let mut untagged = server(ADDRESS, 600);
        bench.run(SECOND, |frame| untagged(frame).iter().map(|frame| tagged(frame, control)).collect());
        assert_eq!(bench.stack.ipv4().map(|ipv4| ipv4.address), Some(ADDRESS));
        bench.hear(tagged(&arp(ArpOperation::Reply, (PEER_MAC, PEER), (MAC, ADDRESS)), control));
        bench.hear(tagged(&arp(ArpOperation::Request, (PEER_MAC, PEER), (MAC, ADDRESS)), control));
        let answers = bench.hear(tagged(&super::closed::ping(PEER.into(), ADDRESS.into()), control));
        assert_eq!(answers.len(), 1, "{control:#x}");
        assert_eq!(answers[0][12..14], [8, 0], "without a tag");
    }
}

#[test]
fn a_server_in_another_vlan_is_not_heard() {
    for (own, control) in [(None, 100), (Some(100), 0), (Some(100), 101)] {
        let mut bench = Bench::on_vlan(&DHCP, own);
        let mut untagged = server(ADDRESS, 600);
        bench.run(SECOND, |frame| {
            let frame = if own.is_some() { [&frame[..12], &frame[16..]].concat() } else { frame.to_vec() };
            untagged(&frame).iter().map(|frame| tagged(frame, control)).collect()
        });
        assert_eq!(bench.stack.ipv4(), None);
    }
}

/// The log waits for no probe. So it is the announcement that another station answers: the server is told, and gives
/// another address ten seconds later.
#[test]
fn an_address_that_another_station_has_is_declined() {
    const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 6);
    let mut bench = Bench::new(&DHCP);
    let mut offers = [ADDRESS, OTHER].into_iter();
    let mut own = Ipv4Addr::UNSPECIFIED;
    let frames = bench.run(15 * SECOND, |frame| {
        if arp_in(frame) == Some((ArpOperation::Request, MAC, ADDRESS, ADDRESS)) {
            return vec![arp(ArpOperation::Reply, (OTHER_MAC, ADDRESS), (MAC, ADDRESS))];
        }
        if said(frame).is_some_and(|said| said.kind == Type::Discover) {
            own = offers.next().expect("two searches");
        }
        server(own, 600)(frame)
    });
    assert_eq!(bench.news(), [News::Declined(ADDRESS, OTHER_MAC)]);
    assert_eq!(bench.stack.ipv4().map(|ipv4| ipv4.address), Some(OTHER));
    let said = all_said(&frames);
    let kinds: Vec<_> = said.iter().map(|(_, said)| said.kind).collect();
    assert_eq!(kinds, [Type::Discover, Type::Request, Type::Decline, Type::Discover, Type::Request]);
    // RFC 2131, table 5.
    let (at, decline) = &said[2];
    assert_eq!((decline.requested, decline.server), (Some(ADDRESS), Some(SERVER)));
    assert_eq!((decline.client, decline.destination.1), (Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST.into()));
    assert!(decline.parameters.is_empty() && decline.hostname.is_none());
    assert!(said[3].0 - at >= 10 * SECOND, "at least ten seconds");
}

/// A server that knows no other address: the log goes out from that one.
#[test]
fn an_address_that_is_given_again_is_kept() {
    let mut bench = Bench::new(&DHCP);
    let mut serve = server(ADDRESS, 600);
    let frames = bench.run(60 * SECOND, |frame| {
        if arp_in(frame) == Some((ArpOperation::Request, MAC, ADDRESS, ADDRESS)) {
            return vec![arp(ArpOperation::Reply, (OTHER_MAC, ADDRESS), (MAC, ADDRESS))];
        }
        serve(frame)
    });
    assert_eq!(bench.news(), [News::Declined(ADDRESS, OTHER_MAC), News::Shared(ADDRESS, OTHER_MAC)]);
    assert_eq!(bench.stack.ipv4().map(|ipv4| ipv4.address), Some(ADDRESS));
    let said = all_said(&frames);
    assert_eq!(said.iter().filter(|(_, said)| said.kind == Type::Decline).count(), 1);
}

/// Ten seconds on, who comes with the same address is the one who is wrong.
#[test]
fn an_address_that_is_shared_later_is_news() {
    let mut bench = leased(600, |message| message);
    bench.run(11 * SECOND, silent);
    assert_eq!(bench.stack.owned_until(ADDRESS.into()), 600 * SECOND);
    bench.hear(arp(ArpOperation::Request, (OTHER_MAC, ADDRESS), (MacAddr([0; 6]), PEER)));
    assert_eq!(bench.news(), [News::Shared(ADDRESS, OTHER_MAC)]);
    assert_eq!(bench.stack.ipv4().map(|ipv4| ipv4.address), Some(ADDRESS));
}

/// Options that are likely to be looked at, and others.
fn options() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    let kind = prop_oneof![
        prop::sample::select(vec![1u8, 3, 12, 26, 42, 51, 52, 53, 54, 58, 59, 121]),
        any::<u8>().prop_map(|kind| kind.clamp(1, 254)),
    ];
    proptest::collection::vec((kind, proptest::collection::vec(any::<u8>(), 0..40)), 0..12)
}

proptest! {
    /// Whatever a server says: it is asked at a bounded rate, and the address stays one that a station can have.
    #[test]
    fn any_server_is_survived(
        answers in proptest::collection::vec((any::<bool>(), options(), any::<[u8; 4]>(), 0usize..700), 1..20),
    ) {
        let mut bench = Bench::new(&DHCP);
        let mut answers = answers.into_iter();
        let frames = bench.run(300 * SECOND, |frame| {
            let (Some(said), Some((refuses, options, address, cut))) = (said(frame), answers.next()) else {
                return vec![];
            };
            let kind = match said.kind {
                Type::Discover => Type::Offer,
                _ if refuses => Type::Nak,
                _ => Type::Ack,
            };
            let message = Message { options, ..Message::bare(kind, said.xid, address.into()) };
            let mut payload = message.payload();
            payload.truncate(payload.len().saturating_sub(cut % 8));
            vec![udp_frame((PEER_MAC, SERVER.into(), 67), (MAC, ADDRESS.into(), 68), &payload)]
        });
        prop_assert!(all_said(&frames).len() < 80, "{}", all_said(&frames).len());
        let own = bench.stack.ipv4();
        prop_assert!(own.is_none_or(|own| super::super::filter::is_unicast(own.address) && own.prefix <= 32));
        prop_assert!((576..=1500).contains(&bench.stack.mtu()));
    }
}
