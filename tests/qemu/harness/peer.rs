//! A station on the cable, as the kernel's neighbour: it owns addresses and answers who asks for them.

use super::frame::{Content, Frame};
use super::server::Service;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr,
    Icmpv4Packet, Icmpv4Repr, Icmpv6Packet, Icmpv6Repr, IpProtocol, Ipv4Packet, Ipv4Repr, Ipv6Packet,
    Ipv6Repr, NdiscNeighborFlags, NdiscPrefixInfoFlags, NdiscPrefixInformation, NdiscRepr, NdiscRouterFlags,
    UdpPacket, UdpRepr,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

#[derive(Clone, Debug)]
pub struct Peer {
    pub mac: EthernetAddress,
    address: IpAddr,
    vlan: Option<u16>,
    /// Whether what it sends is tagged with a priority and no VLAN.
    priority_tag: bool,
    service: Option<Service>,
    silent_for: Duration,
    first_asked: Option<Instant>,
}

impl Peer {
    /// A station that answers ARP or NDP at once. Its MAC address is 02:00 and the last four bytes of `address`.
    pub fn at(address: &str) -> Self {
        let address: IpAddr = address.parse().expect("an IP address");
        let last: [u8; 4] = match address {
            IpAddr::V4(address) => address.octets(),
            IpAddr::V6(address) => *address.octets().last_chunk().expect("16 bytes"),
        };
        let mac = EthernetAddress([2, 0, last[0], last[1], last[2], last[3]]);
        Self {
            mac,
            address,
            vlan: None,
            priority_tag: false,
            service: None,
            silent_for: Duration::ZERO,
            first_asked: None,
        }
    }

    /// Is in this VLAN, and hears nothing else.
    pub fn in_vlan(self, vlan: u16) -> Self {
        Self { vlan: Some(vlan), ..self }
    }

    /// Tags what it sends with a priority alone: VLAN 0, which is none.
    pub fn tagging_priority(self) -> Self {
        Self { priority_tag: true, ..self }
    }

    /// Serves DHCP and NTP.
    pub fn serving(self, service: Service) -> Self {
        Self { service: Some(service), ..self }
    }

    /// How long its answers take.
    pub fn delay(&self) -> Duration {
        self.service.as_ref().map_or(Duration::ZERO, |service| service.delay)
    }

    /// Leaves questions unanswered until this long after the first.
    pub fn silent_for(self, duration: Duration) -> Self {
        Self { silent_for: duration, ..self }
    }

    /// The answer to `frame`, where it asks for this station's address.
    pub fn answer(&mut self, frame: &Frame) -> Option<Vec<u8>> {
        if frame.vlan != self.vlan {
            return None;
        }
        let reply = match (&frame.content, self.address) {
            (Content::Udp { from, to, payload }, IpAddr::V4(own)) => {
                let port = to.port();
                let answer = self.service.as_mut()?.answer(own, port, payload)?;
                // Who has no address yet is answered by broadcast.
                let client = match from.ip() {
                    IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::BROADCAST.into(),
                    client => client,
                };
                let to = SocketAddr::new(client, from.port());
                Some(self.datagram(port, frame.from_mac, to, &answer))
            }
            (Content::Arp(request), IpAddr::V4(own)) => self.arp_reply(request, own),
            (Content::Icmp { from: IpAddr::V6(from), message, .. }, IpAddr::V6(own)) => {
                self.advertisement(frame.from_mac, *from, message, own)
            }
            _ => None,
        }?;
        let first = *self.first_asked.get_or_insert_with(Instant::now);
        (first.elapsed() >= self.silent_for).then_some(reply)
    }

    fn arp_reply(&self, request: &ArpRepr, own: Ipv4Addr) -> Option<Vec<u8>> {
        let ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Request,
            source_hardware_addr,
            source_protocol_addr,
            target_protocol_addr,
            ..
        } = *request
        else {
            return None;
        };
        if target_protocol_addr != own {
            return None;
        }
        let reply = ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Reply,
            source_hardware_addr: self.mac,
            source_protocol_addr: own,
            target_hardware_addr: source_hardware_addr,
            target_protocol_addr: source_protocol_addr,
        };
        let mut packet = vec![0; reply.buffer_len()];
        reply.emit(&mut ArpPacket::new_unchecked(&mut packet));
        Some(self.ethernet(source_hardware_addr, EthernetProtocol::Arp, &packet))
    }

    /// The question by ARP who has `wanted`. Where that is this station's own address it is an announcement.
    pub fn arp_question(&self, wanted: Ipv4Addr) -> Vec<u8> {
        let IpAddr::V4(own) = self.address else { panic!("an ARP packet from an IPv6 station") };
        let question = ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Request,
            source_hardware_addr: self.mac,
            source_protocol_addr: own,
            target_hardware_addr: EthernetAddress([0; 6]),
            target_protocol_addr: wanted,
        };
        let mut packet = vec![0; question.buffer_len()];
        question.emit(&mut ArpPacket::new_unchecked(&mut packet));
        self.ethernet(EthernetAddress::BROADCAST, EthernetProtocol::Arp, &packet)
    }

    fn advertisement(
        &self,
        to_mac: EthernetAddress,
        to: Ipv6Addr,
        question: &[u8],
        own: Ipv6Addr,
    ) -> Option<Vec<u8>> {
        let question = Icmpv6Packet::new_checked(question).ok()?;
        match NdiscRepr::parse(&question).ok()? {
            NdiscRepr::NeighborSolicit { target_addr, .. } if target_addr == own && !to.is_unspecified() => {}
            _ => return None,
        }
        let answer = Icmpv6Repr::Ndisc(NdiscRepr::NeighborAdvert {
            flags: NdiscNeighborFlags::SOLICITED | NdiscNeighborFlags::OVERRIDE,
            target_addr: own,
            lladdr: Some(self.mac.into()),
        });
        let mut message = vec![0; answer.buffer_len()];
        answer.emit(
            &own,
            &to,
            &mut Icmpv6Packet::new_unchecked(&mut message),
            &ChecksumCapabilities::default(),
        );
        Some(self.ip(to_mac, to.into(), IpProtocol::Icmpv6, &message))
    }

    /// An ICMP echo request from this station.
    pub fn ping(&self, to_mac: EthernetAddress, to: IpAddr, data: &[u8]) -> Vec<u8> {
        let (ident, seq_no) = (0x4e43, 1);
        let checksums = ChecksumCapabilities::default();
        match (self.address, to) {
            (IpAddr::V4(_), IpAddr::V4(_)) => {
                let request = Icmpv4Repr::EchoRequest { ident, seq_no, data };
                let mut message = vec![0; request.buffer_len()];
                request.emit(&mut Icmpv4Packet::new_unchecked(&mut message), &checksums);
                self.ip(to_mac, to, IpProtocol::Icmp, &message)
            }
            (IpAddr::V6(own), IpAddr::V6(to6)) => {
                let request = Icmpv6Repr::EchoRequest { ident, seq_no, data };
                let mut message = vec![0; request.buffer_len()];
                request.emit(&own, &to6, &mut Icmpv6Packet::new_unchecked(&mut message), &checksums);
                self.ip(to_mac, to, IpProtocol::Icmpv6, &message)
            }
            _ => panic!("a ping between IP versions"),
        }
    }

    /// A neighbour solicitation from this station, for an address of the NIC `to_mac`.
    pub fn solicitation(&self, to_mac: EthernetAddress, target_addr: Ipv6Addr) -> Vec<u8> {
        let IpAddr::V6(own) = self.address else { panic!("a solicitation from an IPv4 station") };
        let lladdr = Some(self.mac.into());
        let question = Icmpv6Repr::Ndisc(NdiscRepr::NeighborSolicit { target_addr, lladdr });
        let mut message = vec![0; question.buffer_len()];
        let mut packet = Icmpv6Packet::new_unchecked(&mut message);
        question.emit(&own, &target_addr, &mut packet, &ChecksumCapabilities::default());
        self.ip(to_mac, target_addr.into(), IpProtocol::Icmpv6, &message)
    }

    /// What this station says as a router: that it is one for the next `seconds`, and that whoever hears it
    /// makes an address of `prefix` (64 bits) for as long.
    pub fn router_advertisement(&self, prefix: Ipv6Addr, seconds: u64) -> Vec<u8> {
        const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
        let IpAddr::V6(own) = self.address else { panic!("a router advertisement from an IPv4 station") };
        let lifetime = smoltcp::time::Duration::from_secs(seconds);
        let advertisement = Icmpv6Repr::Ndisc(NdiscRepr::RouterAdvert {
            hop_limit: 64,
            flags: NdiscRouterFlags::empty(),
            router_lifetime: lifetime,
            reachable_time: smoltcp::time::Duration::ZERO,
            retrans_time: smoltcp::time::Duration::ZERO,
            lladdr: Some(self.mac.into()),
            mtu: None,
            prefix_info: Some(NdiscPrefixInformation {
                prefix_len: 64,
                flags: NdiscPrefixInfoFlags::ON_LINK | NdiscPrefixInfoFlags::ADDRCONF,
                valid_lifetime: lifetime,
                preferred_lifetime: lifetime,
                prefix,
            }),
        });
        let mut message = vec![0; advertisement.buffer_len()];
        let mut packet = Icmpv6Packet::new_unchecked(&mut message);
        advertisement.emit(&own, &ALL_NODES, &mut packet, &ChecksumCapabilities::default());
        // RFC 2464, section 7.
        let all_nodes = EthernetAddress([0x33, 0x33, 0, 0, 0, 1]);
        self.ip(all_nodes, ALL_NODES.into(), IpProtocol::Icmpv6, &message)
    }

    /// A UDP datagram from this station's `port`.
    pub fn datagram(&self, port: u16, to_mac: EthernetAddress, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
        let header = UdpRepr { src_port: port, dst_port: to.port() };
        let mut datagram = vec![0; header.header_len() + payload.len()];
        header.emit(
            &mut UdpPacket::new_unchecked(&mut datagram),
            &self.address.into(),
            &to.ip().into(),
            payload.len(),
            |to| to.copy_from_slice(payload),
            &ChecksumCapabilities::default(),
        );
        self.ip(to_mac, to.ip(), IpProtocol::Udp, &datagram)
    }

    fn ip(&self, to_mac: EthernetAddress, to: IpAddr, next_header: IpProtocol, payload: &[u8]) -> Vec<u8> {
        // RFC 4861, section 7.1.2: neighbour discovery needs hop limit 255; everything else may have it.
        let (payload_len, hop_limit) = (payload.len(), 255);
        match (self.address, to) {
            (IpAddr::V4(src_addr), IpAddr::V4(dst_addr)) => {
                let header = Ipv4Repr { src_addr, dst_addr, next_header, payload_len, hop_limit };
                let mut packet = vec![0; header.buffer_len()];
                header.emit(&mut Ipv4Packet::new_unchecked(&mut packet), &ChecksumCapabilities::default());
                packet.extend_from_slice(payload);
                self.ethernet(to_mac, EthernetProtocol::Ipv4, &packet)
            }
            (IpAddr::V6(src_addr), IpAddr::V6(dst_addr)) => {
                let header = Ipv6Repr { src_addr, dst_addr, next_header, payload_len, hop_limit };
                let mut packet = vec![0; header.buffer_len() + payload_len];
                header.emit(&mut Ipv6Packet::new_unchecked(&mut packet));
                packet[header.buffer_len()..].copy_from_slice(payload);
                self.ethernet(to_mac, EthernetProtocol::Ipv6, &packet)
            }
            _ => panic!("a packet between IP versions"),
        }
    }

    fn ethernet(&self, dst_addr: EthernetAddress, ethertype: EthernetProtocol, payload: &[u8]) -> Vec<u8> {
        let header = EthernetRepr { src_addr: self.mac, dst_addr, ethertype };
        let mut frame = vec![0; header.buffer_len() + payload.len()];
        header.emit(&mut EthernetFrame::new_unchecked(&mut frame));
        frame[header.buffer_len()..].copy_from_slice(payload);
        // A priority of 5 (IEEE 802.1Q, section 9.6).
        if let Some(tag) = self.vlan.or(self.priority_tag.then_some(5 << 13)) {
            let [high, low] = tag.to_be_bytes();
            frame.splice(12..12, [0x81, 0, high, low]);
        }
        // A cable carries none that is shorter (IEEE 802.3, section 3.2.8), and iPXE's driver of the NE2000 stops at one.
        frame.resize(frame.len().max(60), 0);
        frame
    }
}
