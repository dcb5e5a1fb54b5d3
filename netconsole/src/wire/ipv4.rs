//! IPv4 headers (RFC 791), sent without options and never fragmented.

use super::checksum::Sum;
use super::field;
use core::net::Ipv4Addr;

/// A header without options.
pub const HEADER_LEN: usize = 20;
/// The smallest MTU in bytes that counts: every host takes a packet as long (RFC 791, section 3.1).
pub const MIN_MTU: usize = 576;
/// The time to live that is sent (RFC 1700's default).
pub const TIME_TO_LIVE: u8 = 64;

/// Flag DF and fragment offset 0. Targets lie within the MTU; a router that would have to
/// fragment can't ask for less anyway.
const DONT_FRAGMENT: [u8; 2] = [0x40, 0];

/// The prefix length of the network of an address of which no more is known: its class' (RFC 791, section 3.2).
pub const fn class_prefix(address: Ipv4Addr) -> u8 {
    match address.octets() {
        [(..128), _, _, _] => 8,
        [(128..192), _, _, _] => 16,
        _ => 24,
    }
}

/// A received packet, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'p> {
    /// Who sent it.
    pub source: Ipv4Addr,
    /// Whom it is for.
    pub destination: Ipv4Addr,
    /// The payload's protocol number (IANA).
    pub protocol: u8,
    /// What follows the header, without Ethernet's padding.
    pub payload: &'p [u8],
}

/// Takes an Ethernet payload apart. `None` for another version, lengths that don't agree, a wrong
/// header checksum, and fragments, which nobody here puts together. Options are skipped.
pub fn parse(bytes: &[u8]) -> Option<Packet<'_>> {
    let first = *bytes.first()?;
    let header_len = usize::from(first & 0xf).checked_mul(4)?;
    if first >> 4 != 4 || header_len < HEADER_LEN {
        return None;
    }
    let packet = bytes.get(..usize::from(field::read_u16(bytes, 2)?))?;
    let (header, payload) = packet.split_at_checked(header_len)?;
    let fragment = field::read_u16(header, 6)? & 0x3fff;
    if fragment != 0 || !Sum::ZERO.add_bytes(header).is_valid() {
        return None;
    }
    Some(Packet {
        source: field::read(header, 12)?.into(),
        destination: field::read(header, 16)?.into(),
        protocol: *header.get(9)?,
        payload,
    })
}

/// A header whose length, identification and checksum are still zero.
pub(super) fn template(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8) -> [u8; HEADER_LEN] {
    let [flags, offset] = DONT_FRAGMENT;
    let [s0, s1, s2, s3] = source.octets();
    let [d0, d1, d2, d3] = destination.octets();
    [
        0x45,
        0,
        0,
        0, // version 4, header of five words; no service class; total length
        0,
        0,
        flags,
        offset, // identification
        TIME_TO_LIVE,
        protocol,
        0,
        0, // checksum
        s0,
        s1,
        s2,
        s3, //
        d0,
        d1,
        d2,
        d3,
    ]
}

/// The sum of the pseudo header (RFC 768), which covers the addresses; the payload's length is missing.
pub(super) fn pseudo_header(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8) -> Sum {
    Sum::ZERO.add_bytes(&source.octets()).add_bytes(&destination.octets()).add_u16(protocol.into())
}
