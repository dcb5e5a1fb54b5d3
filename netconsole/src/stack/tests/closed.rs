//! What strangers get: a ping's answer if that is allowed, and nothing else.

use super::*;
use crate::wire::multicast::solicited_node;
use proptest::prelude::*;

const PEER6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x77);

/// A ping with 32 bytes.
pub(super) fn ping(source: IpAddr, destination: IpAddr) -> Vec<u8> {
    const DATA: &[u8] = b"abcdefghijklmnopqrstuvwabcdefghi";
    match (source, destination) {
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let repr = Icmpv6Repr::EchoRequest { ident: 1, seq_no: 2, data: DATA };
            icmpv6((PEER_MAC, source), (MAC, destination), &repr)
        }
        _ => {
            let repr = Icmpv4Repr::EchoRequest { ident: 1, seq_no: 2, data: DATA };
            let (from, to) = ((PEER_MAC, source), (MAC, destination));
            ip(from, to, IpProtocol::Icmp, 64, repr.buffer_len(), |bytes| {
                repr.emit(&mut Icmpv4Packet::new_unchecked(bytes), &ChecksumCapabilities::default());
            })
        }
    }
}

/// A stack that has sent all it sends by itself, and knows the peer's Ethernet addresses.
fn settled(addressing: &Addressing) -> Bench {
    let mut bench = Bench::new(addressing);
    bench.run(30 * SECOND, silent);
    bench.hear(arp(ArpOperation::Request, (PEER_MAC, PEER), (MacAddr([0; 6]), ADDRESS)));
    let target_addr = bench.stack.ipv6_link_local();
    let lladdr = Some(hardware(PEER_MAC).into());
    let question = Icmpv6Repr::Ndisc(NdiscRepr::NeighborSolicit { target_addr, lladdr });
    assert_eq!(bench.hear(icmpv6((PEER_MAC, PEER6), (MAC, target_addr), &question)).len(), 1);
    bench
}

#[test]
fn a_ping_is_answered_unless_that_is_turned_off() {
    for echo in [true, false] {
        let mut bench = settled(&Addressing { echo, ..STATIC });
        let own = bench.stack.ipv6_link_local();
        for (source, destination) in [(PEER.into(), ADDRESS.into()), (IpAddr::from(PEER6), IpAddr::from(own))]
        {
            let question = ping(source, destination);
            let answers = bench.hear(question.clone());
            assert_eq!(answers.len(), usize::from(echo), "{source}");
            for answer in answers {
                assert_eq!(answer.len(), question.len());
                assert_eq!(answer[..12], [PEER_MAC.0, MAC.0].concat());
                assert!(answer.ends_with(b"abcdefghi"));
            }
        }
    }
}

/// By the option that has our Ethernet address, which the question leaves out (RFC 4861, section 4.3).
#[test]
fn an_advertisement_is_8_bytes_longer_than_its_question_at_most() {
    let target_addr = link_local_ipv6(MAC);
    let asked = |source: Ipv6Addr, lladdr: Option<RawHardwareAddress>| {
        let question = Icmpv6Repr::Ndisc(NdiscRepr::NeighborSolicit { target_addr, lladdr });
        // Who has no address yet asks a group.
        let group = if source.is_unspecified() { solicited_node(target_addr) } else { target_addr };
        let mac = multicast_mac(group.into()).unwrap_or(MAC);
        let question = icmpv6((PEER_MAC, source), (mac, group), &question);
        let answers = settled(&STATIC).hear(question.clone());
        answers.iter().map(|answer| answer.len() - question.len()).collect::<Vec<_>>()
    };
    assert_eq!(asked(PEER6, Some(hardware(PEER_MAC).into())), [0]);
    assert_eq!(asked(PEER6, None), [8]);
    assert_eq!(asked(Ipv6Addr::UNSPECIFIED, None), [8]);
}

/// What the routers of the link want to know goes to them and to nobody else (RFC 3810, section 5.2.14).
#[test]
fn a_listener_query_is_answered_to_the_routers() {
    let mut bench = settled(&STATIC);
    let all_nodes = "ff02::1".parse().expect("a group");
    let query = [130, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 125, 0, 0];
    let group_mac = MacAddr([0x33, 0x33, 0, 0, 0, 1]);
    let (from, to) = ((PEER_MAC, PEER6.into()), (group_mac, IpAddr::V6(all_nodes)));
    let frame = ip(from, to, IpProtocol::HopByHop, 1, 8 + query.len(), |bytes| {
        let (alert, message) = bytes.split_at_mut(8);
        alert.copy_from_slice(&[58, 0, 5, 2, 0, 0, 1, 0]);
        message.copy_from_slice(&query);
        Icmpv6Packet::new_unchecked(message).fill_checksum(&PEER6, &all_nodes);
    });
    bench.card.arriving.push_back(frame);
    let sent = bench.run(bench.now + 20 * SECOND, silent);
    assert!(!sent.is_empty());
    for (_, frame) in sent {
        assert_eq!(frame[..6], [0x33, 0x33, 0, 0, 0, 0x16], "{frame:?}");
    }
}

#[test]
fn pings_to_groups_broadcast_and_others_are_not_answered() {
    let mut bench = settled(&STATIC);
    for destination in [[10, 0, 0, 255], [255; 4], [224, 0, 0, 1], [10, 0, 0, 6]] {
        let mut frame = ping(PEER.into(), IpAddr::from(destination));
        assert!(bench.hear(frame.clone()).is_empty(), "{destination:?}");
        frame[..6].fill(0xff);
        assert!(bench.hear(frame).is_empty(), "{destination:?}");
    }
    assert!(bench.hear(ping(PEER6.into(), "ff02::1".parse().unwrap())).is_empty());
    assert!(bench.hear(ping(Ipv4Addr::BROADCAST.into(), ADDRESS.into())).is_empty());
}

#[test]
fn udp_for_this_machine_is_handed_out_and_never_answered() {
    let mut bench = settled(&STATIC);
    let own: IpAddr = bench.stack.ipv6_link_local().into();
    let for_us = |bench: &mut Bench, mac, source, destination| {
        bench.inputs.clear();
        let frame = udp_frame((PEER_MAC, source, 6666), (mac, destination, 6665), b"dmesg\n");
        assert!(bench.hear(frame).is_empty(), "no answer");
        bench.inputs == [(source, b"dmesg\n".to_vec())]
    };
    assert!(for_us(&mut bench, MAC, PEER.into(), ADDRESS.into()));
    assert!(for_us(&mut bench, MAC, PEER6.into(), own));
    assert!(!for_us(&mut bench, MAC, PEER.into(), [10, 0, 0, 6].into()), "another's address");
    assert!(!for_us(&mut bench, MacAddr::BROADCAST, PEER.into(), ADDRESS.into()), "sent to all");
    assert!(!for_us(&mut bench, OTHER_MAC, PEER.into(), ADDRESS.into()), "another's card");
    assert!(!for_us(&mut bench, MAC, PEER.into(), [10, 0, 0, 255].into()), "a broadcast address");
    for source in [[10, 0, 0, 255], [255; 4], [224, 0, 0, 1], [0; 4], [127, 0, 0, 1]] {
        assert!(
            !for_us(&mut bench, MAC, source.into(), ADDRESS.into()),
            "{source:?} is no station's address"
        );
    }
}

#[test]
fn other_protocols_are_not_answered() {
    let mut bench = settled(&STATIC);
    let own: IpAddr = bench.stack.ipv6_link_local().into();
    for protocol in [IpProtocol::Tcp, IpProtocol::Igmp, IpProtocol::HopByHop, IpProtocol::Unknown(132)] {
        for (source, destination) in [(PEER.into(), ADDRESS.into()), (PEER6.into(), own)] {
            let frame =
                ip((PEER_MAC, source), (MAC, destination), protocol, 64, 40, |bytes| bytes.fill(0x80));
            assert!(bench.hear(frame).is_empty(), "{protocol}");
        }
    }
}

#[test]
fn frames_that_come_back_are_not_taken_for_a_neighbors() {
    let mut bench = Bench::new(&DHCP);
    bench.run(15 * SECOND, |frame| vec![frame.to_vec()]);
    let address = bench.stack.ipv4().map(|ipv4| ipv4.address);
    let mut quiet = Bench::new(&DHCP);
    quiet.run(15 * SECOND, silent);
    assert_eq!(address, quiet.stack.ipv4().map(|ipv4| ipv4.address), "no conflict with itself");
}

/// Found by fuzz/: smoltcp took it for a datagram to a closed port, and said so.
#[test]
fn a_dhcp_server_s_datagram_is_not_answered_where_the_address_is_given() {
    let mut bench = settled(&STATIC);
    let offer = udp_frame((PEER_MAC, PEER.into(), 67), (MAC, ADDRESS.into(), 68), &[2, 1, 6, 0]);
    assert!(bench.hear(offer).is_empty());
}

#[test]
fn a_flood_is_handled_in_bounded_pieces() {
    let mut bench = settled(&STATIC);
    let frames = 10 * FRAMES_PER_POLL;
    bench.card.arriving.extend(std::iter::repeat_n(ping(PEER.into(), ADDRESS.into()), frames));
    assert!(bench.poll().len() <= FRAMES_PER_POLL);
    assert_eq!(bench.card.arriving.len(), frames - FRAMES_PER_POLL);
    assert!(bench.stack.due <= bench.now, "the rest waits");
}

/// A frame that gets as deep as random bytes can: right addresses, types and checksums around them.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..200);
    let own6 = link_local_ipv6(MAC);
    let source6 = prop_oneof![Just(PEER6), Just(Ipv6Addr::UNSPECIFIED), any::<Ipv6Addr>()];
    let source4 = prop_oneof![Just(PEER), Just(Ipv4Addr::UNSPECIFIED), any::<Ipv4Addr>()];
    let destination4 = prop_oneof![Just(ADDRESS), Just(Ipv4Addr::BROADCAST), any::<Ipv4Addr>()];
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let destination6 = prop_oneof![Just(own6), Just(group), any::<Ipv6Addr>()];
    let kind = prop_oneof![Just(128u8), Just(130), 133u8..=137, any::<u8>()];
    let anything = bytes();
    let arp = (0u8..4, any::<[u8; 4]>(), any::<[u8; 4]>()).prop_map(|(operation, sender, target)| {
        let mut frame = arp(ArpOperation::Request, (PEER_MAC, sender.into()), (MAC, target.into()));
        frame[21] = operation;
        frame
    });
    let icmp6 = (source6, destination6, kind, any::<bool>(), bytes()).prop_map(
        |(source, destination, kind, alert, data)| {
            let header: &[u8] = if alert { &[58, 0, 5, 2, 0, 0, 1, 0] } else { &[] };
            let protocol = if alert { IpProtocol::HopByHop } else { IpProtocol::Icmpv6 };
            let (from, to) = ((PEER_MAC, source.into()), (MAC, destination.into()));
            let hop_limit = if alert { 1 } else { 255 };
            ip(from, to, protocol, hop_limit, header.len() + 4 + data.len(), |bytes| {
                let (to_header, message) = bytes.split_at_mut(header.len());
                to_header.copy_from_slice(header);
                message[0] = kind;
                message[4..].copy_from_slice(&data);
                let mut packet = Icmpv6Packet::new_unchecked(message);
                packet.fill_checksum(&source, &destination);
            })
        },
    );
    let router = (any::<Ipv6Addr>(), any::<u8>(), any::<u8>(), any::<u32>(), any::<u32>(), any::<u16>())
        .prop_map(move |(prefix, length, flags, valid, preferred, lifetime)| {
            let mut message = vec![134, 0, 0, 0, 64, 0];
            message.extend(lifetime.to_be_bytes());
            message.extend([0; 8]);
            message.extend([3, 4, length, flags | 0x40]);
            message.extend(valid.to_be_bytes());
            message.extend(preferred.min(valid).to_be_bytes());
            message.extend([0; 4]);
            message.extend(prefix.octets());
            let router = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, u16::from(length));
            ip(
                (PEER_MAC, router.into()),
                (MAC, own6.into()),
                IpProtocol::Icmpv6,
                255,
                message.len(),
                |bytes| {
                    bytes.copy_from_slice(&message);
                    Icmpv6Packet::new_unchecked(bytes).fill_checksum(&router, &own6);
                },
            )
        });
    let icmp4 = (source4.clone(), destination4, any::<u8>(), bytes()).prop_map(
        |(source, destination, kind, data)| {
            let (from, to) = ((PEER_MAC, source.into()), (MAC, destination.into()));
            ip(from, to, IpProtocol::Icmp, 64, 4 + data.len(), |bytes| {
                bytes[0] = kind;
                bytes[4..].copy_from_slice(&data);
                Icmpv4Packet::new_unchecked(bytes).fill_checksum();
            })
        },
    );
    let udp = (source4, prop_oneof![Just((67, 68)), any::<(u16, u16)>()], bytes()).prop_map(
        |(source, (from, to), data)| {
            udp_frame((PEER_MAC, source.into(), from), (MAC, ADDRESS.into(), to), &data)
        },
    );
    prop_oneof![anything, arp, icmp6, router, icmp4, udp]
}

proptest! {
    #[test]
    fn nothing_that_arrives_panics_or_is_answered_with_more(
        frames in proptest::collection::vec((hostile(), 0..5 * SECOND), 1..40),
        dhcp in any::<bool>(),
    ) {
        let mut bench = Bench::new(if dhcp { &DHCP } else { &STATIC });
        for (frame, wait) in frames {
            bench.now += wait;
            let sent = bench.hear(frame);
            prop_assert!(sent.len() <= 1 + SENT_PER_POLL + 2, "{}", sent.len());
            prop_assert!(sent.iter().all(|frame| (60..=FRAME).contains(&frame.len())));
            prop_assert!(sent.iter().all(|frame| frame[6..12] == MAC.0));
        }
        bench.run(bench.now + 20 * SECOND, silent);
        prop_assert!(dhcp || bench.stack.ipv4().is_some_and(|ipv4| ipv4.address == ADDRESS));
    }
}
