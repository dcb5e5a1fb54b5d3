//! The headers of a target's datagrams, made once and stamped in front of every payload.

use super::checksum::Sum;
use super::ethernet::{self, ether_type};
use super::{MacAddr, field, ipv4, ipv6, udp};
use core::net::IpAddr;

/// One end of a UDP conversation on an Ethernet segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The Ethernet address; a router's where the other end is behind one.
    pub mac: MacAddr,
    /// The IP address.
    pub ip: IpAddr,
    /// The UDP port.
    pub port: u16,
}

/// All that stands in front of a datagram for one destination: plain bytes and the checksums' parts
/// that never change. It can be copied, and kept for the panic path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The headers, with zeros for lengths, identification and checksums.
    header: [u8; Self::MAX_HEADER],
    /// One of the four lengths that [`copy_header`](Self::copy_header) knows.
    header_len: u8,
    /// The IPv4 header's sum; `None` for IPv6, which has no checksum of its own.
    ipv4_sum: Option<Sum>,
    /// The sum of UDP's pseudo header and ports.
    udp_sum: Sum,
}

const IPV4_LEN: usize = ipv4::HEADER_LEN + udp::HEADER_LEN;
const IPV6_LEN: usize = ipv6::HEADER_LEN + udp::HEADER_LEN;

impl Envelope {
    /// The longest header: Ethernet, 802.1Q tag, IPv6 and UDP, 66 bytes.
    pub const MAX_HEADER: usize = ethernet::HEADER_LEN + ethernet::TAG_LEN + IPV6_LEN;

    /// The envelope from `source` to `destination`, in a VLAN where one is given. `None` where one
    /// address is IPv4 and the other IPv6, or the VLAN is not 1…4094.
    pub fn new(source: Endpoint, destination: Endpoint, vlan: Option<u16>) -> Option<Self> {
        let mut header = [0; Self::MAX_HEADER];
        let mut ethernet =
            |ether_type| ethernet::write_header(&mut header, destination.mac, source.mac, vlan, ether_type);
        let (ip_at, udp_at, ipv4_sum, pseudo_header);
        match (source.ip, destination.ip) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let ip = ipv4::template(from, to, udp::PROTOCOL);
                ip_at = ethernet(ether_type::IPV4)?;
                udp_at = ip_at.checked_add(ipv4::HEADER_LEN)?;
                field::write(&mut header, ip_at, ip)?;
                ipv4_sum = Some(Sum::ZERO.add_bytes(&ip));
                pseudo_header = ipv4::pseudo_header(from, to, udp::PROTOCOL);
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let ip = ipv6::template(from, to, udp::PROTOCOL, ipv6::HOP_LIMIT);
                ip_at = ethernet(ether_type::IPV6)?;
                udp_at = ip_at.checked_add(ipv6::HEADER_LEN)?;
                field::write(&mut header, ip_at, ip)?;
                ipv4_sum = None;
                pseudo_header = ipv6::pseudo_header(from, to, udp::PROTOCOL);
            }
            _ => return None,
        }
        field::write(&mut header, udp_at, source.port.to_be_bytes())?;
        field::write(&mut header, udp_at.checked_add(2)?, destination.port.to_be_bytes())?;
        let header_len = u8::try_from(udp_at.checked_add(udp::HEADER_LEN)?).ok()?;
        let udp_sum = pseudo_header.add_u16(source.port).add_u16(destination.port);
        Some(Self { header, header_len, ipv4_sum, udp_sum })
    }

    /// Where the payload begins in the frame: 42 bytes for IPv4, 62 for IPv6, 4 more in a VLAN.
    pub fn header_len(&self) -> usize {
        self.header_len.into()
    }

    /// Writes the headers, checksums included, in front of a payload that already lies in
    /// `frame[header_len..][..payload_len]`, pads what is shorter than an Ethernet frame may be with
    /// zeros, and returns the frame's length. `identification` goes into IPv4's header, and should
    /// differ from datagram to datagram (RFC 791; RFC 6864 does not ask it of unfragmented ones).
    ///
    /// `None` where the payload is longer than `frame` or than a UDP datagram can be, or `frame` is
    /// shorter than [`ethernet::MIN_FRAME`].
    pub fn seal(&self, frame: &mut [u8], payload_len: usize, identification: u16) -> Option<usize> {
        let payload = frame.get(self.header_len()..)?.get(..payload_len)?;
        self.seal_summed(frame, payload_len, Sum::ZERO.add_bytes(payload), identification)
    }

    /// As [`seal`](Self::seal), for a payload whose sum is known.
    #[inline(always)]
    pub fn seal_summed(
        &self,
        frame: &mut [u8],
        payload_len: usize,
        payload_sum: Sum,
        identification: u16,
    ) -> Option<usize> {
        let udp_len = u16::try_from(payload_len.checked_add(udp::HEADER_LEN)?).ok()?;
        let headers = frame.get_mut(..self.header_len())?;
        // The length counts twice: in the pseudo header and in UDP's own.
        let udp_sum = self.udp_sum.add_u16(udp_len).add_u16(udp_len).add_at(0, payload_sum);
        self.copy_header(headers)?;
        match self.ipv4_sum {
            Some(sum) => {
                let ip_len = udp_len.checked_add(const { ipv4::HEADER_LEN as u16 })?;
                let headers: &mut [u8; IPV4_LEN] = headers.last_chunk_mut()?;
                [headers[2], headers[3]] = ip_len.to_be_bytes();
                [headers[4], headers[5]] = identification.to_be_bytes();
                [headers[10], headers[11]] = sum.add_u16(ip_len).add_u16(identification).checksum();
            }
            None => {
                let headers: &mut [u8; IPV6_LEN] = headers.last_chunk_mut()?;
                [headers[4], headers[5]] = udp_len.to_be_bytes();
            }
        }
        let udp: &mut [u8; udp::HEADER_LEN] = headers.last_chunk_mut()?;
        [udp[4], udp[5]] = udp_len.to_be_bytes();
        [udp[6], udp[7]] = udp_sum.udp_checksum();
        ethernet::pad(frame, self.header_len().checked_add(payload_len)?)
    }

    /// Copies the template. Each length has its own copy so that each is a few moves, not a loop.
    #[inline(always)]
    fn copy_header(&self, to: &mut [u8]) -> Option<()> {
        const TAGGED: usize = ethernet::HEADER_LEN + ethernet::TAG_LEN;
        match to.len() {
            42 => self.copy::<{ ethernet::HEADER_LEN + IPV4_LEN }>(to),
            46 => self.copy::<{ TAGGED + IPV4_LEN }>(to),
            62 => self.copy::<{ ethernet::HEADER_LEN + IPV6_LEN }>(to),
            66 => self.copy::<{ TAGGED + IPV6_LEN }>(to),
            _ => None,
        }
    }

    #[inline(always)]
    fn copy<const N: usize>(&self, to: &mut [u8]) -> Option<()> {
        *to.first_chunk_mut::<N>()? = *self.header.first_chunk()?;
        Some(())
    }
}
