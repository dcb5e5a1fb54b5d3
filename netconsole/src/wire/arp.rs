//! Address resolution for IPv4 over Ethernet (RFC 826), with the probes and announcements of RFC 5227.

use super::ethernet::{self, ether_type};
use super::{MacAddr, field};
use core::net::Ipv4Addr;

/// Ethernet and IPv4, with addresses of six and four bytes: what every packet here begins with.
const HARDWARE_AND_PROTOCOL: [u8; 6] = [0, 1, 0x08, 0x00, 6, 4];

/// What a packet wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Who has the target address?
    Request,
    /// The sender has its address.
    Reply,
}

/// An ARP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// What it wants.
    pub operation: Operation,
    /// Who sent it.
    pub sender_mac: MacAddr,
    /// The sender's address; 0.0.0.0 in a probe.
    pub sender_ip: Ipv4Addr,
    /// Whom a reply is for; zeros, and not looked at, in a request.
    pub target_mac: MacAddr,
    /// The address that is asked for, or whom a reply is for.
    pub target_ip: Ipv4Addr,
}

impl Packet {
    /// The question who has `wanted`.
    pub const fn request(mac: MacAddr, ip: Ipv4Addr, wanted: Ipv4Addr) -> Self {
        let target_mac = MacAddr([0; 6]);
        Self { operation: Operation::Request, sender_mac: mac, sender_ip: ip, target_mac, target_ip: wanted }
    }

    /// The question whether anyone has `wanted` before it is taken (RFC 5227, section 1.1): it names no
    /// sender's address, so that no station learns it yet.
    pub const fn probe(mac: MacAddr, wanted: Ipv4Addr) -> Self {
        Self::request(mac, Ipv4Addr::UNSPECIFIED, wanted)
    }

    /// The word that `ip` is taken (RFC 5227, section 2.3), also called gratuitous ARP: a request for
    /// the own address, from which all stations refresh what they know.
    pub const fn announcement(mac: MacAddr, ip: Ipv4Addr) -> Self {
        Self::request(mac, ip, ip)
    }

    /// The answer to a request, given by the station with `mac` that has its target address; `None`
    /// where it is no request.
    pub fn answer(&self, mac: MacAddr) -> Option<Self> {
        (self.operation == Operation::Request).then_some(Self {
            operation: Operation::Reply,
            sender_mac: mac,
            sender_ip: self.target_ip,
            target_mac: self.sender_mac,
            target_ip: self.sender_ip,
        })
    }

    /// Writes the packet as a whole frame, a request to all stations and a reply to its target, and
    /// returns the frame's length. `None` where `frame` is shorter than 60 bytes or the VLAN is not
    /// 1…4094.
    pub fn write(&self, vlan: Option<u16>, frame: &mut [u8]) -> Option<usize> {
        let (operation, destination) = match self.operation {
            Operation::Request => (1u16, MacAddr::BROADCAST),
            Operation::Reply => (2, self.target_mac),
        };
        let at = ethernet::write_header(frame, destination, self.sender_mac, vlan, ether_type::ARP)?;
        let packet = frame.get_mut(at..)?;
        field::write(packet, 0, HARDWARE_AND_PROTOCOL)?;
        field::write(packet, 6, operation.to_be_bytes())?;
        field::write(packet, 8, self.sender_mac.0)?;
        field::write(packet, 14, self.sender_ip.octets())?;
        field::write(packet, 18, self.target_mac.0)?;
        field::write(packet, 24, self.target_ip.octets())?;
        ethernet::pad(frame, at.checked_add(28)?)
    }
}

/// The ARP packet in a whole Ethernet frame. `None` for anything else, for other hardware or
/// protocols, and for a sender that could not be a station: an Ethernet address that is a group's or
/// not the frame's own, an IP address that is a group's or broadcast. Such packets would poison what
/// is known about a target.
pub fn parse(frame: &[u8]) -> Option<Packet> {
    let frame = ethernet::parse(frame)?;
    let packet = frame.payload;
    let operation = match field::read_u16(packet, 6)? {
        1 => Operation::Request,
        2 => Operation::Reply,
        _ => return None,
    };
    let sender_mac = MacAddr(field::read(packet, 8)?);
    let sender_ip = Ipv4Addr::from(field::read::<4>(packet, 14)?);
    if frame.ether_type != ether_type::ARP
        || field::read(packet, 0)? != HARDWARE_AND_PROTOCOL
        || sender_mac != frame.source
        || sender_ip.is_multicast()
        || sender_ip.is_broadcast()
    {
        return None;
    }
    let target_mac = MacAddr(field::read(packet, 18)?);
    let target_ip = field::read::<4>(packet, 24)?.into();
    Some(Packet { operation, sender_mac, sender_ip, target_mac, target_ip })
}
