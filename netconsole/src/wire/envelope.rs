//! The headers of a target's datagrams, made once and stamped in front of every payload.

use super::checksum::Sum;
use super::ethernet::{self, ether_type};
use super::{Endpoint, field, ipv4, ipv6, udp};
use core::net::IpAddr;

/// All that comes before a datagram for one destination: plain bytes and the checksums' parts
/// that never change. It can be copied, and kept for the panic path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The headers, with zeros for lengths, identification and checksums.
    header: [u8; Self::MAX_HEADER],
    header_len: u8,
    /// The longest payload in bytes.
    longest: usize,
    /// The IPv4 header's sum; `None` for IPv6, which has no checksum of its own.
    ipv4_sum: Option<Sum>,
    /// The sum of UDP's pseudo header and ports.
    udp_sum: Sum,
}

const IPV4_LEN: usize = ipv4::HEADER_LEN + udp::HEADER_LEN;
const IPV6_LEN: usize = ipv6::HEADER_LEN + udp::HEADER_LEN;

/// The part of a header that four moves copy.
const HEADER_START: usize = 64;

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
        Some(Self { header, header_len, longest: usize::MAX, ipv4_sum, udp_sum })
    }

    /// The same for IP packets of at most `mtu` bytes: whoever fills a payload gets no more room than that leaves.
    pub fn with_mtu(self, mtu: usize) -> Self {
        Self { longest: mtu.saturating_sub(self.ip_header_len()), ..self }
    }

    /// How many bytes an IP packet may have.
    pub fn mtu(&self) -> usize {
        self.longest.saturating_add(self.ip_header_len())
    }

    /// How many bytes a payload may have.
    pub fn longest_payload(&self) -> usize {
        self.longest
    }

    fn ip_header_len(&self) -> usize {
        if self.ipv4_sum.is_some() { IPV4_LEN } else { IPV6_LEN }
    }

    /// Where the payload begins in the frame: 42 bytes for IPv4, 62 for IPv6, 4 more in a VLAN.
    pub fn header_len(&self) -> usize {
        self.header_len.into()
    }

    /// Writes a datagram to the start of `frame`: the headers, checksums included, around a payload that `fill` writes
    /// to the start of what it gets and whose length it returns; zeros after what is shorter than an Ethernet frame
    /// may be. Returns the frame's length. `identification` goes into IPv4's header, and should differ from datagram
    /// to datagram (RFC 791; RFC 6864 does not ask it of unfragmented ones). Up to [`MAX_HEADER`](Self::MAX_HEADER)
    /// bytes of `frame` are written in any case.
    ///
    /// `None` where `fill` says so, the payload is longer than `frame`, the MTU or a UDP datagram allow, or `frame` is
    /// shorter than [`MAX_HEADER`](Self::MAX_HEADER).
    #[inline]
    pub fn write(
        &self,
        frame: &mut [u8],
        identification: u16,
        fill: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Option<usize> {
        self.write_summed(frame, identification, |payload| {
            let len = fill(payload)?;
            Some((len, Sum::ZERO.add_bytes(payload.get(..len)?)))
        })
    }

    /// As [`write`](Self::write), where `fill` knows the sum of what it has written.
    #[inline(always)]
    pub fn write_summed(
        &self,
        frame: &mut [u8],
        identification: u16,
        fill: impl FnOnce(&mut [u8]) -> Option<(usize, Sum)>,
    ) -> Option<usize> {
        // All of it, whose length is known: the payload overwrites what is not header. In two parts, each of which is
        // a few moves and no call.
        let (start, rest) = frame.split_first_chunk_mut::<HEADER_START>()?;
        let (from_start, from_rest) = self.header.split_first_chunk()?;
        *start = *from_start;
        *rest.first_chunk_mut::<{ Self::MAX_HEADER - HEADER_START }>()? = *from_rest.first_chunk()?;
        let (headers, payload) = frame.split_at_mut_checked(self.header_len())?;
        let room = payload.len().min(self.longest);
        let (payload_len, payload_sum) = fill(payload.get_mut(..room)?)?;
        if payload_len > room {
            return None;
        }
        let udp_len = u16::try_from(payload_len.checked_add(udp::HEADER_LEN)?).ok()?;
        match self.ipv4_sum {
            Some(sum) => {
                let ip_len = udp_len.checked_add(const { ipv4::HEADER_LEN as u16 })?;
                let (_, headers) = headers.split_last_chunk_mut::<IPV4_LEN>()?;
                [headers[2], headers[3]] = ip_len.to_be_bytes();
                [headers[4], headers[5]] = identification.to_be_bytes();
                [headers[10], headers[11]] = sum.add_u16s(ip_len, identification).checksum();
            }
            None => {
                let (_, headers) = headers.split_last_chunk_mut::<IPV6_LEN>()?;
                [headers[4], headers[5]] = udp_len.to_be_bytes();
            }
        }
        let (_, udp) = headers.split_last_chunk_mut::<{ udp::HEADER_LEN }>()?;
        [udp[4], udp[5]] = udp_len.to_be_bytes();
        // The length counts twice: in the pseudo header and in UDP's own.
        let udp_sum = self.udp_sum.add_u16s(udp_len, udp_len).add_at(0, payload_sum);
        [udp[6], udp[7]] = udp_sum.udp_checksum();
        ethernet::pad(frame, self.header_len().checked_add(payload_len)?)
    }
}
