//! IPv6 headers (RFC 8200), without extension headers.

use super::checksum::Sum;
use super::field;
use core::net::Ipv6Addr;

/// The fixed header.
pub const HEADER_LEN: usize = 40;
/// The smallest MTU in bytes that a link may have (section 5).
pub const MIN_MTU: usize = 1280;
/// The hop limit that is sent (RFC 1700's default).
pub const HOP_LIMIT: u8 = 64;

/// A received packet, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'p> {
    /// Who sent it.
    pub source: Ipv6Addr,
    /// Whom it is for.
    pub destination: Ipv6Addr,
    /// The payload's protocol number (IANA), or an extension header's.
    pub next_header: u8,
    /// How many routers it may still pass.
    pub hop_limit: u8,
    /// What follows the fixed header, without Ethernet's padding.
    pub payload: &'p [u8],
}

/// Takes an Ethernet payload apart; `None` for another version, or where it is longer than the frame.
/// Extension headers are left in the payload: nobody here follows them, so a fragment is refused
/// because its next header is not the one that is wanted.
pub fn parse(bytes: &[u8]) -> Option<Packet<'_>> {
    let (header, rest) = bytes.split_at_checked(HEADER_LEN)?;
    if header.first()? >> 4 != 6 {
        return None;
    }
    Some(Packet {
        source: field::read(header, 8)?.into(),
        destination: field::read(header, 24)?.into(),
        next_header: *header.get(6)?,
        hop_limit: *header.get(7)?,
        payload: rest.get(..usize::from(field::read_u16(header, 4)?))?,
    })
}

/// A header whose payload length is still zero. The flow label is zero: a log is one flow, but
/// nothing is gained by naming it.
pub(super) fn template(
    source: Ipv6Addr,
    destination: Ipv6Addr,
    next_header: u8,
    hop_limit: u8,
) -> [u8; HEADER_LEN] {
    // Version 6, no traffic class; flow label; payload length.
    let start = [0x60, 0, 0, 0, 0, 0, next_header, hop_limit];
    let mut header = [0; HEADER_LEN];
    let fields = start.into_iter().chain(source.octets()).chain(destination.octets());
    for (to, from) in header.iter_mut().zip(fields) {
        *to = from;
    }
    header
}

/// The sum of the pseudo header (RFC 8200, section 8.1); the payload's length is missing.
pub(super) fn pseudo_header(source: Ipv6Addr, destination: Ipv6Addr, next_header: u8) -> Sum {
    Sum::ZERO.add_bytes(&source.octets()).add_bytes(&destination.octets()).add_u16(next_header.into())
}
