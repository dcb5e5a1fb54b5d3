//! Reads Ethernet frames with smoltcp's `wire`, which shares no code with the kernel's own headers,
//! and refuses whatever a careful receiver would: wrong lengths, wrong checksums, missing checksums.

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, Icmpv4Packet, Icmpv4Repr,
    Icmpv6Packet, Icmpv6Repr, IgmpPacket, IpAddress, IpProtocol, Ipv4Packet, Ipv6ExtHeader, Ipv6Packet,
    UdpPacket,
};
use std::net::{IpAddr, SocketAddr};

/// A frame that passed every check.
#[derive(Clone, Debug)]
pub struct Frame {
    pub from_mac: EthernetAddress,
    pub to_mac: EthernetAddress,
    /// The VLAN that its 802.1Q tag names.
    pub vlan: Option<u16>,
    /// Whether it is an IPv4 datagram that a router may split, as this kernel's never are.
    pub may_be_split: bool,
    pub content: Content,
}

#[derive(Clone, Debug)]
pub enum Content {
    Arp(ArpRepr),
    Udp {
        from: SocketAddr,
        to: SocketAddr,
        payload: Vec<u8>,
    },
    /// ICMP or ICMPv6, as the IP header's payload.
    Icmp {
        from: IpAddr,
        to: IpAddr,
        message: Vec<u8>,
    },
    Igmp,
}

impl Frame {
    /// The datagram's destination and payload, where it is one.
    pub fn datagram(&self) -> Option<(SocketAddr, &[u8])> {
        match &self.content {
            Content::Udp { to, payload, .. } => Some((*to, payload)),
            _ => None,
        }
    }

    /// Reads a frame; the error says which rule it breaks.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        // IEEE 802.1Q, section 9.3: a tag of four bytes follows the addresses.
        let (vlan, untagged) = if bytes.len() >= 18 && bytes[12..14] == [0x81, 0] {
            (Some(u16::from_be_bytes([bytes[14], bytes[15]])), [&bytes[..12], &bytes[16..]].concat())
        } else {
            (None, bytes.to_vec())
        };
        let bytes = untagged.as_slice();
        let frame = EthernetFrame::new_checked(bytes).map_err(|_| "shorter than an Ethernet header")?;
        let payload = frame.payload();
        let ethertype = frame.ethertype();
        let content = match ethertype {
            EthernetProtocol::Arp => {
                let packet = ArpPacket::new_checked(payload).map_err(|_| "ARP: too short")?;
                Content::Arp(ArpRepr::parse(&packet).map_err(|_| "ARP: not Ethernet and IPv4")?)
            }
            EthernetProtocol::Ipv4 => ipv4(payload, bytes.len())?,
            EthernetProtocol::Ipv6 => ipv6(payload, bytes.len())?,
            other => return Err(format!("unexpected EtherType {other}")),
        };
        let is_udp = matches!(content, Content::Udp { .. });
        let may_be_split = is_udp
            && ethertype == EthernetProtocol::Ipv4
            && Ipv4Packet::new_checked(payload).is_ok_and(|packet| !packet.dont_frag());
        Ok(Self { from_mac: frame.src_addr(), to_mac: frame.dst_addr(), vlan, may_be_split, content })
    }
}

/// Only a frame of the minimum size may have bytes after its packet.
fn check_end(packet: usize, payload: usize, frame: usize) -> Result<(), String> {
    const MINIMUM_FRAME: usize = 60;
    if packet == payload || frame <= MINIMUM_FRAME {
        return Ok(());
    }
    Err(format!("the frame has {} bytes after its packet", payload.saturating_sub(packet)))
}

fn ipv4(payload: &[u8], frame: usize) -> Result<Content, String> {
    let packet = Ipv4Packet::new_checked(payload).map_err(|_| "IPv4: wrong lengths")?;
    check_end(packet.total_len().into(), payload.len(), frame)?;
    if !packet.verify_checksum() {
        return Err("IPv4: wrong header checksum".into());
    }
    if packet.more_frags() || packet.frag_offset() != 0 {
        return Err("IPv4: a fragment".into());
    }
    if packet.hop_limit() == 0 {
        return Err("IPv4: TTL 0".into());
    }
    let (from, to) = (packet.src_addr(), packet.dst_addr());
    let checked = ChecksumCapabilities::default();
    match packet.next_header() {
        IpProtocol::Udp => udp(packet.payload(), from.into(), to.into()),
        IpProtocol::Icmp => {
            let message = Icmpv4Packet::new_checked(packet.payload()).map_err(|_| "ICMP: too short")?;
            Icmpv4Repr::parse(&message, &checked).map_err(|_| "ICMP: malformed or wrong checksum")?;
            Ok(Content::Icmp { from: from.into(), to: to.into(), message: packet.payload().to_vec() })
        }
        IpProtocol::Igmp => {
            let report = IgmpPacket::new_checked(packet.payload()).map_err(|_| "IGMP: too short")?;
            if report.verify_checksum() { Ok(Content::Igmp) } else { Err("IGMP: wrong checksum".into()) }
        }
        other => Err(format!("IPv4: unexpected protocol {other}")),
    }
}

fn ipv6(payload: &[u8], frame: usize) -> Result<Content, String> {
    let packet = Ipv6Packet::new_checked(payload).map_err(|_| "IPv6: wrong lengths")?;
    check_end(packet.total_len(), payload.len(), frame)?;
    if packet.hop_limit() == 0 {
        return Err("IPv6: hop limit 0".into());
    }
    let (from, to) = (packet.src_addr(), packet.dst_addr());
    match packet.next_header() {
        IpProtocol::Udp => udp(packet.payload(), from.into(), to.into()),
        IpProtocol::Icmpv6 => icmpv6(packet.payload(), from, to),
        // Multicast listener reports carry a router alert.
        IpProtocol::HopByHop => {
            let options = Ipv6ExtHeader::new_checked(packet.payload()).map_err(|_| "IPv6: short options")?;
            if options.next_header() != IpProtocol::Icmpv6 {
                return Err(format!("IPv6: unexpected {} after the options", options.next_header()));
            }
            // RFC 8200, section 4.3: the length is in units of 8 bytes, after the first 8.
            let rest = &packet.payload()[8 * (usize::from(options.header_len()) + 1)..];
            icmpv6(rest, from, to)
        }
        other => Err(format!("IPv6: unexpected next header {other}")),
    }
}

const MLDV1_REPORT: u8 = 131;

fn icmpv6(payload: &[u8], from: std::net::Ipv6Addr, to: std::net::Ipv6Addr) -> Result<Content, String> {
    // RFC 2710, section 3: UEFI's own network stack reports its groups so, until the kernel has the card.
    if payload.first() == Some(&MLDV1_REPORT) {
        return Ok(Content::Icmp { from: from.into(), to: to.into(), message: payload.to_vec() });
    }
    let message = Icmpv6Packet::new_checked(payload).map_err(|_| "ICMPv6: too short")?;
    Icmpv6Repr::parse(&from, &to, &message, &ChecksumCapabilities::default())
        .map_err(|_| "ICMPv6: malformed or wrong checksum")?;
    Ok(Content::Icmp { from: from.into(), to: to.into(), message: payload.to_vec() })
}

fn udp(payload: &[u8], from: IpAddress, to: IpAddress) -> Result<Content, String> {
    let datagram = UdpPacket::new_checked(payload).map_err(|_| "UDP: wrong length")?;
    if usize::from(datagram.len()) != payload.len() {
        return Err(format!("UDP: length {} in a packet of {}", datagram.len(), payload.len()));
    }
    if datagram.checksum() == 0 || !datagram.verify_checksum(&from, &to) {
        return Err("UDP: wrong checksum".into());
    }
    Ok(Content::Udp {
        from: SocketAddr::new(from.into(), datagram.src_port()),
        to: SocketAddr::new(to.into(), datagram.dst_port()),
        payload: datagram.payload().to_vec(),
    })
}
