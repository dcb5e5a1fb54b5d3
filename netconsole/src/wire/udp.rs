//! UDP datagrams (RFC 768) as they arrive. How they are sent is in [`Envelope`](super::Envelope).

use super::ethernet::{self, ether_type};
use super::{Endpoint, field, ipv4, ipv6};
use core::net::IpAddr;

/// Ports, length and checksum.
pub const HEADER_LEN: usize = 8;
/// The protocol number (IANA).
pub const PROTOCOL: u8 = 17;

/// A datagram that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received<'f> {
    /// Who sent it.
    pub source: Endpoint,
    /// Whom it is for.
    pub destination: Endpoint,
    /// The VLAN it came in.
    pub vlan: Option<u16>,
    /// What it carries.
    pub payload: &'f [u8],
}

/// The UDP datagram in a whole Ethernet frame, over IPv4 or IPv6. Every length and checksum is
/// verified; fragments, IPv6 extension headers and everything else give `None`. A checksum of zero
/// means none was sent, which IPv4 allows (RFC 768) and IPv6 does not (RFC 8200, section 8.1).
/// Whether it is for this machine is the caller's to say.
pub fn parse(frame: &[u8]) -> Option<Received<'_>> {
    let frame = ethernet::parse(frame)?;
    let (source, destination, protocol, datagram, pseudo_header) = match frame.ether_type {
        ether_type::IPV4 => {
            let packet = ipv4::parse(frame.payload)?;
            let sum = ipv4::pseudo_header(packet.source, packet.destination, PROTOCOL);
            (IpAddr::V4(packet.source), IpAddr::V4(packet.destination), packet.protocol, packet.payload, sum)
        }
        ether_type::IPV6 => {
            let packet = ipv6::parse(frame.payload)?;
            let sum = ipv6::pseudo_header(packet.source, packet.destination, PROTOCOL);
            (
                IpAddr::V6(packet.source),
                IpAddr::V6(packet.destination),
                packet.next_header,
                packet.payload,
                sum,
            )
        }
        _ => return None,
    };
    let length = field::read_u16(datagram, 4)?;
    let datagram = datagram.get(..usize::from(length))?;
    let payload = datagram.get(HEADER_LEN..)?;
    let unchecked = destination.is_ipv4() && field::read_u16(datagram, 6)? == 0;
    let valid = unchecked
        || field::read_u16(datagram, 6)? != 0 && pseudo_header.add_u16(length).add_bytes(datagram).is_valid();
    if protocol != PROTOCOL || !valid {
        return None;
    }
    Some(Received {
        source: Endpoint { mac: frame.source, ip: source, port: field::read_u16(datagram, 0)? },
        destination: Endpoint {
            mac: frame.destination,
            ip: destination,
            port: field::read_u16(datagram, 2)?,
        },
        vlan: frame.vlan,
        payload,
    })
}
