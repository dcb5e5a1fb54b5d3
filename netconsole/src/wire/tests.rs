//! smoltcp reads what is built here, and what smoltcp builds is read here.

use super::ethernet::MIN_FRAME;
use super::*;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use proptest::prelude::*;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire as oracle;

/// Longer than any frame that is built here.
const BUFFER: usize = 1600;

fn macs() -> impl Strategy<Value = MacAddr> {
    any::<[u8; 6]>().prop_map(|mut mac| {
        mac[0] &= 0xfe;
        mac[5] |= 1;
        MacAddr(mac)
    })
}

fn vlans() -> impl Strategy<Value = Option<u16>> {
    prop::option::of(1u16..=4094)
}

/// A unicast IPv4 address.
fn ipv4s() -> impl Strategy<Value = Ipv4Addr> {
    (1u8..=223, any::<[u8; 3]>()).prop_map(|(a, [b, c, d])| Ipv4Addr::new(a, b, c, d))
}

/// A unicast IPv6 address.
fn ipv6s() -> impl Strategy<Value = Ipv6Addr> {
    (1u8..=0xfe, any::<[u8; 15]>()).prop_map(|(first, rest)| {
        let mut octets = [first; 16];
        octets[1..].copy_from_slice(&rest);
        octets.into()
    })
}

fn ends() -> impl Strategy<Value = (Endpoint, Endpoint)> {
    let ips = prop_oneof![
        (ipv4s(), ipv4s()).prop_map(|(a, b)| (IpAddr::V4(a), IpAddr::V4(b))),
        (ipv6s(), ipv6s()).prop_map(|(a, b)| (IpAddr::V6(a), IpAddr::V6(b))),
    ];
    (ips, macs(), macs(), 1u16.., 1u16..).prop_map(|((from, to), from_mac, to_mac, from_port, to_port)| {
        (
            Endpoint { mac: from_mac, ip: from, port: from_port },
            Endpoint { mac: to_mac, ip: to, port: to_port },
        )
    })
}

/// The frame's header, checked, and its type and payload behind an 802.1Q tag, which smoltcp does
/// not know.
fn open(frame: &[u8], source: MacAddr, destination: MacAddr, vlan: Option<u16>) -> (u16, &[u8]) {
    assert!(frame.len() >= MIN_FRAME);
    let header = oracle::EthernetFrame::new_checked(frame).expect("a frame");
    assert_eq!(header.src_addr().0, source.0);
    assert_eq!(header.dst_addr().0, destination.0);
    let Some(vlan) = vlan else { return (header.ethertype().into(), &frame[14..]) };
    assert_eq!(u16::from(header.ethertype()), 0x8100);
    assert_eq!(u16::from_be_bytes([frame[14], frame[15]]), vlan);
    (u16::from_be_bytes([frame[16], frame[17]]), &frame[18..])
}

/// The frame of one header and a payload, tagged where asked for.
fn wrap(
    source: MacAddr,
    destination: MacAddr,
    vlan: Option<u16>,
    ether_type: u16,
    payload: &[u8],
) -> Vec<u8> {
    let mut frame = [destination.0, source.0].concat();
    if let Some(vlan) = vlan {
        // Priority 7 and the drop eligible bit are not the VLAN's business.
        frame.extend_from_slice(&[0x81, 0, 0xf0 | (vlan >> 8) as u8, vlan as u8]);
    }
    frame.extend_from_slice(&ether_type.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// The UDP datagram as smoltcp builds it, in an IP packet.
fn datagram_by_smoltcp(source: Endpoint, destination: Endpoint, payload: &[u8]) -> (u16, Vec<u8>) {
    let checksums = ChecksumCapabilities::default();
    let udp = oracle::UdpRepr { src_port: source.port, dst_port: destination.port };
    let ip = oracle::IpRepr::new(
        source.ip.into(),
        destination.ip.into(),
        oracle::IpProtocol::Udp,
        udp.header_len() + payload.len(),
        64,
    );
    let mut packet = vec![0; ip.buffer_len()];
    ip.emit(&mut packet, &checksums);
    udp.emit(
        &mut oracle::UdpPacket::new_unchecked(&mut packet[ip.header_len()..]),
        &source.ip.into(),
        &destination.ip.into(),
        payload.len(),
        |to| to.copy_from_slice(payload),
        &checksums,
    );
    (if source.ip.is_ipv4() { 0x0800 } else { 0x86dd }, packet)
}

proptest! {
    #[test]
    fn a_sealed_envelope_is_what_smoltcp_reads(
        (source, destination) in ends(),
        vlan in vlans(),
        payload in prop::collection::vec(any::<u8>(), 0..1400),
        identification: u16,
    ) {
        let envelope = Envelope::new(source, destination, vlan).expect("an envelope");
        let header_len = envelope.header_len();
        let mut buffer = [0xee; BUFFER];
        let len = envelope.write(&mut buffer, identification, fill(&payload)).expect("it fits");
        prop_assert_eq!(len, (header_len + payload.len()).max(MIN_FRAME));
        prop_assert!(buffer[header_len + payload.len()..len].iter().all(|&byte| byte == 0), "old bytes leak");
        let untouched = &buffer[len.max(Envelope::MAX_HEADER)..];
        prop_assert!(untouched.iter().all(|&byte| byte == 0xee), "more was written than said");

        let (ether_type, packet) = open(&buffer[..len], source.mac, destination.mac, vlan);
        let datagram = match (source.ip, destination.ip) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                prop_assert_eq!(ether_type, 0x0800);
                let packet = oracle::Ipv4Packet::new_checked(packet).expect("a packet");
                prop_assert!(packet.verify_checksum());
                prop_assert_eq!((packet.src_addr(), packet.dst_addr()), (from, to));
                prop_assert_eq!((packet.hop_limit(), packet.next_header()), (64, oracle::IpProtocol::Udp));
                prop_assert_eq!((packet.dont_frag(), packet.more_frags(), packet.frag_offset()), (true, false, 0));
                prop_assert_eq!((packet.ident(), packet.dscp(), packet.ecn()), (identification, 0, 0));
                packet.into_inner()[20..][..payload.len() + 8].to_vec()
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                prop_assert_eq!(ether_type, 0x86dd);
                let packet = oracle::Ipv6Packet::new_checked(packet).expect("a packet");
                prop_assert_eq!((packet.src_addr(), packet.dst_addr()), (from, to));
                prop_assert_eq!((packet.hop_limit(), packet.next_header()), (64, oracle::IpProtocol::Udp));
                prop_assert_eq!((packet.flow_label(), packet.traffic_class()), (0, 0));
                prop_assert_eq!(packet.payload().len(), payload.len() + 8);
                packet.payload().to_vec()
            }
            _ => unreachable!(),
        };
        let udp = oracle::UdpPacket::new_checked(&datagram[..]).expect("a datagram");
        prop_assert!(udp.verify_checksum(&source.ip.into(), &destination.ip.into()));
        prop_assert_ne!(udp.checksum(), 0);
        prop_assert_eq!((udp.src_port(), udp.dst_port()), (source.port, destination.port));
        prop_assert_eq!(udp.payload(), &payload[..]);

        let received = udp::parse(&buffer[..len]).expect("we read ourselves");
        prop_assert_eq!(received, udp::Received { source, destination, vlan, payload: &payload });
    }

    #[test]
    fn a_datagram_of_smoltcps_is_read(
        (source, destination) in ends(),
        vlan in prop::option::of(0u16..=4094),
        payload in prop::collection::vec(any::<u8>(), 0..1400),
        padding in prop::collection::vec(any::<u8>(), 0..60),
        damage in any::<prop::sample::Index>(),
        bit in 0u32..8,
    ) {
        let (ether_type, packet) = datagram_by_smoltcp(source, destination, &payload);
        let whole = packet.len();
        let packet = [packet, padding].concat();
        let mut frame = wrap(source.mac, destination.mac, vlan, ether_type, &packet);
        let expected = udp::Received { source, destination, vlan: vlan.filter(|&vlan| vlan != 0), payload: &payload };
        prop_assert_eq!(udp::parse(&frame), Some(expected));

        // Cut within the packet, it is nothing.
        let start = frame.len() - packet.len();
        let cut = start + damage.index(whole);
        prop_assert_eq!(udp::parse(&frame[..cut]), None);
        // Any bit that turns in the datagram is found; an IPv6 header's first words and hop limit are
        // covered by no checksum.
        if source.ip.is_ipv4() || cut - start >= 8 {
            frame[cut] ^= 1 << bit;
            // But the last bit of an IPv4 datagram's checksum may have made it zero: none was sent.
            let udp_checksum = start + if source.ip.is_ipv4() { 26 } else { 46 };
            let unchecked = source.ip.is_ipv4() && frame[udp_checksum..][..2] == [0, 0];
            prop_assert!(unchecked || udp::parse(&frame).is_none());
        }
    }

    #[test]
    fn smoltcp_reads_our_arp(mac in macs(), own in ipv4s(), other_mac in macs(), other in ipv4s(), vlan in vlans()) {
        let request = arp::Packet::request(mac, own, other);
        for packet in [
            request,
            arp::Packet::probe(mac, other),
            arp::Packet::announcement(mac, own),
            request.answer(other_mac).expect("an answer"),
        ] {
            let mut buffer = [0xee; BUFFER];
            let len = packet.write(vlan, &mut buffer).expect("it fits");
            prop_assert_eq!(len, MIN_FRAME);
            let is_request = packet.operation == arp::Operation::Request;
            let destination = if is_request { MacAddr::BROADCAST } else { mac };
            let (ether_type, bytes) = open(&buffer[..len], packet.sender_mac, destination, vlan);
            prop_assert_eq!(ether_type, 0x0806);
            let read = oracle::ArpRepr::parse(&oracle::ArpPacket::new_checked(bytes).expect("a packet"));
            prop_assert_eq!(read, Ok(oracle::ArpRepr::EthernetIpv4 {
                operation: if is_request { oracle::ArpOperation::Request } else { oracle::ArpOperation::Reply },
                source_hardware_addr: oracle::EthernetAddress(packet.sender_mac.0),
                source_protocol_addr: packet.sender_ip,
                target_hardware_addr: oracle::EthernetAddress(packet.target_mac.0),
                target_protocol_addr: packet.target_ip,
            }));
            prop_assert!(bytes[28..].iter().all(|&byte| byte == 0), "old bytes leak");
            prop_assert_eq!(arp::parse(&buffer[..len]), Some(packet));
        }
        prop_assert_eq!(request.answer(other_mac).and_then(|reply| reply.answer(mac)), None);
    }

    #[test]
    fn smoltcps_arp_is_read(mac in macs(), own in ipv4s(), other_mac in macs(), other in ipv4s(), vlan in vlans()) {
        let repr = oracle::ArpRepr::EthernetIpv4 {
            operation: oracle::ArpOperation::Reply,
            source_hardware_addr: oracle::EthernetAddress(other_mac.0),
            source_protocol_addr: other,
            target_hardware_addr: oracle::EthernetAddress(mac.0),
            target_protocol_addr: own,
        };
        let mut packet = vec![0; repr.buffer_len()];
        repr.emit(&mut oracle::ArpPacket::new_unchecked(&mut packet));
        let read = arp::parse(&wrap(other_mac, mac, vlan, 0x0806, &packet)).expect("a reply");
        prop_assert_eq!(Some(read), arp::Packet::request(mac, own, other).answer(other_mac));
        let forged = MacAddr([2, 0, 0, 0, 0, 0]);
        prop_assert_eq!(arp::parse(&wrap(forged, mac, vlan, 0x0806, &packet)), None);
    }

    #[test]
    fn smoltcp_reads_our_ndp(mac in macs(), own in ipv6s(), other_mac in macs(), other in ipv6s(), vlan in vlans()) {
        let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
        for (ip, answer_ip, answer_mac) in [
            (own, own, mac),
            (Ipv6Addr::UNSPECIFIED, all_nodes, MacAddr([0x33, 0x33, 0, 0, 0, 1])),
        ] {
            let question = ndp::Solicitation { source: ndp::Station { mac, ip }, target: other };
            let mut buffer = [0xee; BUFFER];
            let len = question.write(vlan, &mut buffer).expect("it fits");
            let [.., b, c, d] = other.octets();
            let group = Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, b, c, d]);
            let group_mac = MacAddr([0x33, 0x33, 0xff, b, c, d]);
            let packet = open(&buffer[..len], mac, group_mac, vlan);
            prop_assert_eq!(ndp_by_smoltcp(packet, ip, group), oracle::NdiscRepr::NeighborSolicit {
                target_addr: other,
                lladdr: (ip == own).then_some(oracle::EthernetAddress(mac.0).into()),
            });
            prop_assert_eq!(ndp::parse(&buffer[..len]), Some(ndp::Message::Solicitation(question)));

            let len = question.answer(other_mac, vlan, &mut buffer).expect("it fits");
            let packet = open(&buffer[..len], other_mac, answer_mac, vlan);
            let mut flags = oracle::NdiscNeighborFlags::OVERRIDE;
            flags.set(oracle::NdiscNeighborFlags::SOLICITED, ip == own);
            prop_assert_eq!(ndp_by_smoltcp(packet, other, answer_ip), oracle::NdiscRepr::NeighborAdvert {
                flags,
                target_addr: other,
                lladdr: Some(oracle::EthernetAddress(other_mac.0).into()),
            });
            prop_assert_eq!(ndp::parse(&buffer[..len]), Some(ndp::Message::Advertisement(ndp::Advertisement {
                target: other,
                mac: Some(other_mac),
                solicited: ip == own,
                overrides: true,
            })));
        }
    }

    #[test]
    fn smoltcps_advertisement_is_read_and_its_rules_kept(
        mac in macs(), own in ipv6s(), other_mac in macs(), other in ipv6s(),
        vlan in vlans(), with_mac: bool, hop_limit in 250u8..,
    ) {
        let repr = oracle::NdiscRepr::NeighborAdvert {
            flags: oracle::NdiscNeighborFlags::SOLICITED,
            target_addr: other,
            lladdr: with_mac.then_some(oracle::EthernetAddress(other_mac.0).into()),
        };
        let icmp = oracle::Icmpv6Repr::Ndisc(repr);
        let ip = oracle::Ipv6Repr {
            src_addr: other,
            dst_addr: own,
            next_header: oracle::IpProtocol::Icmpv6,
            payload_len: icmp.buffer_len(),
            hop_limit,
        };
        let mut packet = vec![0; 40 + icmp.buffer_len()];
        ip.emit(&mut oracle::Ipv6Packet::new_unchecked(&mut packet));
        let mut payload = oracle::Icmpv6Packet::new_unchecked(&mut packet[40..]);
        icmp.emit(&other, &own, &mut payload, &ChecksumCapabilities::default());
        let mut frame = wrap(other_mac, mac, vlan, 0x86dd, &packet);
        let expected = ndp::Message::Advertisement(ndp::Advertisement {
            target: other,
            mac: with_mac.then_some(other_mac),
            solicited: true,
            overrides: false,
        });
        prop_assert_eq!(ndp::parse(&frame), (hop_limit == 255).then_some(expected));
        if let Some(last) = frame.last_mut() {
            *last ^= 1;
        }
        prop_assert_eq!(ndp::parse(&frame), None, "the checksum is wrong");
    }

    /// Whole headers of the right kind before arbitrary bytes, so that the parsers get far.
    #[test]
    fn no_bytes_make_a_parser_panic(
        kind in prop::sample::select(vec![0x0800u16, 0x0806, 0x86dd, 0x8100, 0]),
        start in prop::sample::select(vec![&[0x45, 0][..], &[0x60, 0], &[0x4f, 0], &[0, 1, 8, 0, 6, 4, 0, 1], &[]]),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        mac in macs(),
    ) {
        let payload = [start, &bytes].concat();
        for frame in [&wrap(mac, mac, None, kind, &payload)[..], &payload] {
            // What is read can be told apart; arbitrary checksums are hardly ever right.
            let read = [udp::parse(frame).is_some(), arp::parse(frame).is_some(), ndp::parse(frame).is_some()];
            prop_assert!(read.iter().filter(|&&read| read).count() <= 1);
        }
    }

    /// The sum of RFC 1071, word by word.
    #[test]
    fn the_checksum_is_rfc_1071s(bytes in prop::collection::vec(any::<u8>(), 0..300), even in any::<prop::sample::Index>()) {
        let mut sum = 0u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
        }
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        let expected = (!(sum as u16)).to_be_bytes();
        prop_assert_eq!(checksum::Sum::ZERO.add_bytes(&bytes).checksum(), expected);
        let (head, tail) = bytes.split_at(even.index(bytes.len() + 1) & !1);
        prop_assert_eq!(checksum::Sum::ZERO.add_bytes(head).add_bytes(tail).checksum(), expected);
    }
}

/// The neighbor discovery message in an IPv6 packet, everything checked.
fn ndp_by_smoltcp<'f>(
    (ether_type, packet): (u16, &'f [u8]),
    source: Ipv6Addr,
    destination: Ipv6Addr,
) -> oracle::NdiscRepr<'f> {
    assert_eq!(ether_type, 0x86dd);
    let packet = oracle::Ipv6Packet::new_checked(packet).expect("a packet");
    assert_eq!((packet.src_addr(), packet.dst_addr()), (source, destination));
    assert_eq!((packet.hop_limit(), packet.next_header()), (255, oracle::IpProtocol::Icmpv6));
    let len = packet.total_len();
    let icmp = oracle::Icmpv6Packet::new_checked(&packet.into_inner()[40..len]).expect("a message");
    match oracle::Icmpv6Repr::parse(&source, &destination, &icmp, &ChecksumCapabilities::default()) {
        Ok(oracle::Icmpv6Repr::Ndisc(message)) => message,
        other => panic!("not what was sent: {other:?}"),
    }
}

/// The example of RFC 1071, section 3: its sum is ddf2.
#[test]
fn the_example_of_rfc_1071() {
    let sum = checksum::Sum::ZERO.add_bytes(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
    assert_eq!(sum.checksum(), [!0xdd, !0xf2]);
    assert_eq!(checksum::Sum::ZERO.add_u16(0xddf2).checksum(), [!0xdd, !0xf2]);
    assert!(sum.add_u16(!0xddf2).is_valid());
}

fn endpoint(ip: &str) -> Endpoint {
    Endpoint { mac: MacAddr([2, 0, 0, 0, 0, 1]), ip: ip.parse().expect("an address"), port: 6666 }
}

/// What writes a payload.
fn fill(payload: &[u8]) -> impl FnOnce(&mut [u8]) -> Option<usize> {
    |to| {
        to[..payload.len()].copy_from_slice(payload);
        Some(payload.len())
    }
}

/// A datagram whose checksum comes out as zero is sent with ffff (RFC 768).
#[test]
fn a_checksum_of_zero_is_never_sent() {
    for (source, destination) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")] {
        let envelope = Envelope::new(endpoint(source), endpoint(destination), None).expect("an envelope");
        let at = envelope.header_len();
        let mut frame = [0; 100];
        envelope.write(&mut frame, 0, fill(&[0, 0])).expect("it fits");
        // Two bytes of payload that are the checksum make the checksum zero.
        let checksum = [frame[at - 2], frame[at - 1]];
        let len = envelope.write(&mut frame, 0, fill(&checksum)).expect("it fits");
        assert_eq!(frame[at - 2..at], [0xff, 0xff]);
        assert!(udp::parse(&frame[..len]).is_some());
        // Without a checksum at all, IPv4 is read and IPv6 is not.
        frame[at - 2..at].fill(0);
        assert_eq!(udp::parse(&frame[..len]).is_some(), destination.contains('.'));
    }
}

#[test]
fn an_envelope_needs_one_family_and_a_vlan_that_exists() {
    let [v4, v6] = [endpoint("10.0.0.1"), endpoint("fd00::1")];
    assert_eq!(Envelope::new(v4, v6, None), None);
    assert_eq!(Envelope::new(v6, v4, None), None);
    for vlan in [0, 4095, u16::MAX] {
        assert_eq!(Envelope::new(v4, v4, Some(vlan)), None);
    }
    let longest = Envelope::new(v6, v6, Some(4094)).expect("an envelope");
    assert_eq!(longest.header_len(), Envelope::MAX_HEADER);
}

#[test]
fn what_does_not_fit_is_not_sealed() {
    let envelope = Envelope::new(endpoint("10.0.0.1"), endpoint("10.0.0.2"), None).expect("an envelope");
    let mut frame = vec![0; 70_000];
    let mut write = |size: usize, payload_len| envelope.write(&mut frame[..size], 0, |_| payload_len);
    assert_eq!(write(Envelope::MAX_HEADER - 1, Some(1)), None, "no room for the headers");
    assert_eq!(write(Envelope::MAX_HEADER, Some(1)), Some(MIN_FRAME));
    assert_eq!(write(100, Some(59)), None);
    assert_eq!(write(100, Some(58)), Some(100));
    assert_eq!(write(100, Some(usize::MAX)), None);
    assert_eq!(write(100, None), None);
    // An IPv4 packet has 65,535 bytes at most.
    assert_eq!(write(70_000, Some(65_507)), Some(65_549));
    assert_eq!(write(70_000, Some(65_508)), None);
    for size in 0..MIN_FRAME {
        let [ip, other] = [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)];
        assert_eq!(arp::Packet::request(MacAddr::BROADCAST, ip, other).write(None, &mut frame[..size]), None);
    }
}

#[test]
fn fragments_are_refused() {
    let (source, destination) = (endpoint("10.0.0.1"), endpoint("10.0.0.2"));
    let (_, packet) = datagram_by_smoltcp(source, destination, b"0123456789");
    // More fragments, the last offset, and the reserved bit, which is not looked at.
    for (flags, is_read) in [(0x2000u16, false), (0x0001, false), (0x4000, true), (0x8000, true)] {
        let mut packet = packet.clone();
        packet[6..8].copy_from_slice(&flags.to_be_bytes());
        oracle::Ipv4Packet::new_unchecked(&mut packet).fill_checksum();
        let frame = wrap(source.mac, destination.mac, None, 0x0800, &packet);
        assert_eq!(udp::parse(&frame).is_some(), is_read, "{flags:04x}");
    }
}

/// What no station can have sent would spoil what is known about a target.
#[test]
fn arp_from_impossible_senders_is_refused() {
    let (mac, ip, other) = (endpoint("10.0.0.1").mac, Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
    for (mac, ip, is_read) in [
        (mac, ip, true),
        (mac, Ipv4Addr::UNSPECIFIED, true),
        (mac, Ipv4Addr::BROADCAST, false),
        (mac, Ipv4Addr::new(224, 0, 0, 1), false),
        (MacAddr::BROADCAST, ip, false),
        (MacAddr([0; 6]), ip, false),
    ] {
        let mut frame = [0; 64];
        let len = arp::Packet::request(mac, ip, other).write(None, &mut frame).expect("it fits");
        assert_eq!(arp::parse(&frame[..len]).is_some(), is_read, "{mac} {ip}");
        for (at, value) in [(15, 6), (17, 6), (18, 8), (19, 16), (21, 3), (12, 9)] {
            let mut other = frame;
            other[at] = value;
            assert_eq!(arp::parse(&other[..len]), None, "byte {at}");
        }
    }
}

/// RFC 4861, sections 7.1.1 and 7.1.2: what must be discarded.
#[test]
fn ndp_that_breaks_the_rules_is_refused() {
    let station =
        |ip: &str| ndp::Station { mac: MacAddr([2, 0, 0, 0, 0, 1]), ip: ip.parse().expect("an address") };
    // Changes a message and puts its checksum right again.
    let is_read = |source: &str, answer: bool, change: &dyn Fn(&mut Vec<u8>)| {
        let question = ndp::Solicitation { source: station(source), target: station("fe80::2").ip };
        let mut frame = vec![0; 200];
        let len = match answer {
            true => question.answer(MacAddr([2, 0, 0, 0, 0, 2]), None, &mut frame),
            false => question.write(None, &mut frame),
        };
        frame.truncate(len.expect("it fits"));
        change(&mut frame);
        let addresses: [Ipv6Addr; 2] =
            [22, 38].map(|at| <[u8; 16]>::try_from(&frame[at..at + 16]).expect("16").into());
        let mut icmp = oracle::Icmpv6Packet::new_unchecked(&mut frame[54..]);
        icmp.fill_checksum(&addresses[0], &addresses[1]);
        ndp::parse(&frame).is_some()
    };
    let (code, flags, target, option, option_len) = (55, 58, 62, 78, 79);
    for answer in [false, true] {
        assert!(is_read("fe80::1", answer, &|_| {}));
        assert!(is_read("::", answer, &|_| {}));
        assert!(is_read("fe80::1", answer, &|frame| frame[option] = 200), "an unknown option is skipped");
        assert!(!is_read("fe80::1", answer, &|frame| frame[21] = 254), "hop limit");
        assert!(!is_read("fe80::1", answer, &|frame| frame[code] = 1), "code");
        assert!(!is_read("fe80::1", answer, &|frame| frame[target] = 0xff), "a group as the target");
        assert!(!is_read("fe80::1", answer, &|frame| frame[option_len] = 0), "an option of length 0");
        assert!(!is_read("fe80::1", answer, &|frame| frame[option_len] = 2), "an option beyond the end");
        assert!(!is_read("fe80::1", answer, &|frame| frame[option + 2] |= 1), "a group's Ethernet address");
    }
    assert!(!is_read("::", true, &|frame| frame[flags] |= 0x40), "solicited, to a group");
    assert!(!is_read("fe80::1", false, &|frame| frame[22..38].fill(0)), "a probe with an Ethernet address");
    assert!(!is_read("::", false, &|frame| frame[53] ^= 1), "a probe to another group");
}

proptest! {
    /// However much there is to say.
    #[test]
    fn no_packet_is_longer_than_its_mtu((source, destination) in ends(), vlan in vlans(), mtu in 0usize..1600) {
        let headers = if source.ip.is_ipv4() { 28 } else { 48 };
        let envelope = Envelope::new(source, destination, vlan).expect("one family").with_mtu(mtu);
        prop_assert_eq!(envelope.longest_payload(), mtu.saturating_sub(headers));
        let mut frame = [0; BUFFER];
        let mut room = 0;
        let written = envelope.write(&mut frame, 7, |payload| {
            room = payload.len();
            Some(room)
        });
        prop_assert_eq!(room, envelope.longest_payload().min(BUFFER - envelope.header_len()));
        let expected = envelope.header_len() + room;
        prop_assert_eq!(written, Some(expected.max(MIN_FRAME)));
        prop_assert_eq!(envelope.write(&mut frame, 7, |payload| Some(payload.len() + 1)), None);
    }
}
