//! Echo requests and replies, known as ping: ICMP (RFC 792) and ICMPv6 (RFC 4443, section 4).

use super::checksum::Sum;
use super::ethernet::{self, ether_type};
use super::{MacAddr, field, ipv4, ipv6};
use core::net::IpAddr;

const ICMP: u8 = 1;
const ICMP_ECHO_REQUEST: u8 = 8;
const ICMP_ECHO_REPLY: u8 = 0;
const ICMPV6: u8 = 58;
const ICMPV6_ECHO_REQUEST: u8 = 128;
const ICMPV6_ECHO_REPLY: u8 = 129;

/// Type, code, checksum, identifier and sequence number; no data follows them.
const MESSAGE_LEN: usize = 8;

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The sender.
    pub source: (MacAddr, IpAddr),
    /// The receiver; the Ethernet address is a router's where it is behind one.
    pub destination: (MacAddr, IpAddr),
    /// Tells one sender's requests from another's.
    pub identifier: u16,
    /// Tells one request from another.
    pub sequence: u16,
}

/// A reply that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Who sent it.
    pub source: IpAddr,
    /// Whom it is for.
    pub destination: IpAddr,
    /// The request's.
    pub identifier: u16,
    /// The request's.
    pub sequence: u16,
}

impl Request {
    /// Writes the request as a whole frame and returns its length. `None` where one address is IPv4
    /// and the other IPv6, `frame` is shorter than 66 bytes, or the VLAN is not 1…4094.
    pub fn write(&self, vlan: Option<u16>, frame: &mut [u8]) -> Option<usize> {
        let (source, destination) = (self.source, self.destination);
        let mut message = [0; MESSAGE_LEN];
        field::write(&mut message, 4, self.identifier.to_be_bytes())?;
        field::write(&mut message, 6, self.sequence.to_be_bytes())?;
        let mut header =
            |ether_type| ethernet::write_header(frame, destination.0, source.0, vlan, ether_type);
        let (message_at, sum) = match (source.1, destination.1) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                message[0] = ICMP_ECHO_REQUEST;
                let at = header(ether_type::IPV4)?;
                let mut ip = ipv4::template(from, to, ICMP);
                let length = u16::try_from(ipv4::HEADER_LEN.checked_add(MESSAGE_LEN)?).ok()?;
                [ip[2], ip[3]] = length.to_be_bytes();
                [ip[10], ip[11]] = Sum::ZERO.add_bytes(&ip).checksum();
                field::write(frame, at, ip)?;
                (at.checked_add(ipv4::HEADER_LEN)?, Sum::ZERO)
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                message[0] = ICMPV6_ECHO_REQUEST;
                let at = header(ether_type::IPV6)?;
                let mut ip = ipv6::template(from, to, ICMPV6, ipv6::HOP_LIMIT);
                let length = u16::try_from(MESSAGE_LEN).ok()?;
                [ip[4], ip[5]] = length.to_be_bytes();
                field::write(frame, at, ip)?;
                let sum = ipv6::pseudo_header(from, to, ICMPV6).add_u16(length);
                (at.checked_add(ipv6::HEADER_LEN)?, sum)
            }
            _ => return None,
        };
        [message[2], message[3]] = sum.add_bytes(&message).checksum();
        field::write(frame, message_at, message)?;
        ethernet::pad(frame, message_at.checked_add(MESSAGE_LEN)?)
    }
}

/// The reply in a whole Ethernet frame; `None` for anything else, and for a wrong checksum.
pub fn parse(frame: &[u8]) -> Option<Reply> {
    let frame = ethernet::parse(frame)?;
    let (source, destination, message, wanted, sum) = match frame.ether_type {
        ether_type::IPV4 => {
            let packet = ipv4::parse(frame.payload)?;
            let is_icmp = packet.protocol == ICMP;
            let message = Some(packet.payload).filter(|_| is_icmp)?;
            (IpAddr::V4(packet.source), IpAddr::V4(packet.destination), message, ICMP_ECHO_REPLY, Sum::ZERO)
        }
        ether_type::IPV6 => {
            let packet = ipv6::parse(frame.payload)?;
            let is_icmp = packet.next_header == ICMPV6;
            let message = Some(packet.payload).filter(|_| is_icmp)?;
            let length = u16::try_from(message.len()).ok()?;
            let sum = ipv6::pseudo_header(packet.source, packet.destination, ICMPV6).add_u16(length);
            (IpAddr::V6(packet.source), IpAddr::V6(packet.destination), message, ICMPV6_ECHO_REPLY, sum)
        }
        _ => return None,
    };
    if message.first() != Some(&wanted) || !sum.add_bytes(message).is_valid() {
        return None;
    }
    Some(Reply {
        source,
        destination,
        identifier: field::read_u16(message, 4)?,
        sequence: field::read_u16(message, 6)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use smoltcp::phy::ChecksumCapabilities;
    use smoltcp::wire::{Icmpv4Packet, Icmpv4Repr, Icmpv6Packet, Icmpv6Repr, Ipv4Packet, Ipv6Packet};

    const SOURCE: MacAddr = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
    const DESTINATION: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    fn request(source: &str, destination: &str) -> Request {
        Request {
            source: (SOURCE, source.parse().expect("an address")),
            destination: (DESTINATION, destination.parse().expect("an address")),
            identifier: 0x4e43,
            sequence: 7,
        }
    }

    /// The frame with the request turned into its reply: the type, and the addresses swapped, change
    /// no sum but by the type.
    fn answered(mut frame: Vec<u8>, ip: usize, octets: usize, message: usize, reply: u8) -> Vec<u8> {
        for octet in 0..octets {
            frame.swap(ip + octet, ip + octets + octet);
        }
        let sum = u16::from_be_bytes([frame[message + 2], frame[message + 3]]);
        let (old, new) = (u16::from(frame[message]) << 8, u16::from(reply) << 8);
        frame[message] = reply;
        // RFC 1624, equation 3.
        let fold = |sum: u32| (sum & 0xffff) + (sum >> 16);
        let sum = !fold(fold(u32::from(!sum) + u32::from(!old) + u32::from(new))) as u16;
        frame[message + 2..message + 4].copy_from_slice(&sum.to_be_bytes());
        frame
    }

    #[test]
    fn smoltcp_reads_the_request_and_the_reply_is_read() {
        let mut frame = vec![0xee; 1514];
        let request4 = request("10.0.0.1", "10.0.0.2");
        let len = request4.write(None, &mut frame).expect("room");
        let ip = Ipv4Packet::new_checked(&frame[14..len]).expect("IPv4");
        assert!(ip.verify_checksum());
        let message = Icmpv4Packet::new_checked(ip.payload()).expect("ICMP");
        assert_eq!(
            Icmpv4Repr::parse(&message, &ChecksumCapabilities::default()),
            Ok(Icmpv4Repr::EchoRequest { ident: 0x4e43, seq_no: 7, data: &[] })
        );
        let reply = answered(frame[..len].to_vec(), 26, 4, 34, 0);
        let expected = Reply {
            source: request4.destination.1,
            destination: request4.source.1,
            identifier: 0x4e43,
            sequence: 7,
        };
        assert_eq!(parse(&reply), Some(expected));
        assert_eq!(parse(&frame[..len]), None, "a request is no reply");

        let request6 = request("fe80::1", "fe80::2");
        let len = request6.write(Some(100), &mut frame).expect("room");
        let ip = Ipv6Packet::new_checked(&frame[18..len]).expect("IPv6");
        let message = Icmpv6Packet::new_checked(ip.payload()).expect("ICMPv6");
        let (from, to) = (ip.src_addr(), ip.dst_addr());
        assert_eq!(
            Icmpv6Repr::parse(&from, &to, &message, &ChecksumCapabilities::default()),
            Ok(Icmpv6Repr::EchoRequest { ident: 0x4e43, seq_no: 7, data: &[] })
        );
        let reply = answered(frame[..len].to_vec(), 26, 16, 58, 129);
        assert_eq!(parse(&reply).map(|reply| reply.sequence), Some(7));
        let mut wrong = reply.clone();
        wrong[65] ^= 1;
        assert_eq!(parse(&wrong), None);
    }

    #[test]
    fn a_request_within_one_family_only() {
        assert_eq!(request("10.0.0.1", "fe80::2").write(None, &mut [0; 1514]), None);
        assert_eq!(request("10.0.0.1", "10.0.0.2").write(None, &mut [0; 40]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }
    }
}
