//! Address resolution for IPv6: the neighbor discovery messages of RFC 4861, sections 4.3 and 4.4.

use super::ethernet::{self, ether_type};
use super::multicast::{multicast_mac, solicited_node};
use super::{MacAddr, field, ipv6};
use core::net::{IpAddr, Ipv6Addr};

/// ICMPv6's protocol number (IANA).
const ICMPV6: u8 = 58;
const NEIGHBOR_SOLICITATION: u8 = 135;
const NEIGHBOR_ADVERTISEMENT: u8 = 136;
/// Only a neighbour can send it so: a router would have counted it down.
const HOP_LIMIT: u8 = 255;

/// Type, code, checksum, flags and target address, after which the options begin.
const MESSAGE_LEN: usize = 24;
/// An option that holds an Ethernet address: type, length in units of 8 bytes, address.
const MAC_OPTION_LEN: usize = 8;
const SOURCE_MAC_OPTION: u8 = 1;
const TARGET_MAC_OPTION: u8 = 2;

/// The flags of an advertisement: it comes from a router, answers a question, overrides what is known.
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;

/// All nodes on the link.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// A station on the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Station {
    /// Its Ethernet address.
    pub mac: MacAddr,
    /// Its IPv6 address.
    pub ip: Ipv6Addr,
}

/// A neighbor solicitation: who has `target`?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Solicitation {
    /// Who asks; the address is `::` where it only looks whether the target is taken (RFC 4862).
    pub source: Station,
    /// The address that is asked for.
    pub target: Ipv6Addr,
}

/// A neighbor advertisement: where `target` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advertisement {
    /// The address.
    pub target: Ipv6Addr,
    /// Its Ethernet address, where the advertisement names it.
    pub mac: Option<MacAddr>,
    /// Whether it answers a solicitation.
    pub solicited: bool,
    /// Whether it counts more than what is known already.
    pub overrides: bool,
}

/// A message that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// A question.
    Solicitation(Solicitation),
    /// An answer, or news that nobody asked for.
    Advertisement(Advertisement),
}

impl Solicitation {
    /// Writes the question as a whole frame to the target's solicited-node group and returns the
    /// frame's length. With the unspecified address as its source the message is a probe for a
    /// duplicate and leaves out the source's Ethernet address (RFC 4861, section 4.3). `None` where
    /// `frame` is too short or the VLAN is not 1…4094.
    pub fn write(&self, vlan: Option<u16>, frame: &mut [u8]) -> Option<usize> {
        let group = solicited_node(self.target);
        let destination = Station { mac: multicast_mac(IpAddr::V6(group))?, ip: group };
        let option = (!self.source.ip.is_unspecified()).then_some((SOURCE_MAC_OPTION, self.source.mac));
        write(frame, vlan, self.source, destination, [NEIGHBOR_SOLICITATION, 0], self.target, option)
    }

    /// Writes the answer of the station with `mac`, which has the target address, as a whole frame
    /// and returns its length: to the asker, or to all nodes where the asker has no address yet
    /// (RFC 4861, section 7.2.4). `None` where `frame` is too short or the VLAN is not 1…4094.
    pub fn answer(&self, mac: MacAddr, vlan: Option<u16>, frame: &mut [u8]) -> Option<usize> {
        let (destination, flags) = if self.source.ip.is_unspecified() {
            (Station { mac: multicast_mac(IpAddr::V6(ALL_NODES))?, ip: ALL_NODES }, OVERRIDE)
        } else {
            (self.source, SOLICITED | OVERRIDE)
        };
        let source = Station { mac, ip: self.target };
        let option = Some((TARGET_MAC_OPTION, mac));
        write(frame, vlan, source, destination, [NEIGHBOR_ADVERTISEMENT, flags], self.target, option)
    }
}

/// Writes one of the two messages, which differ in type, flags and option alone.
fn write(
    frame: &mut [u8],
    vlan: Option<u16>,
    source: Station,
    destination: Station,
    [kind, flags]: [u8; 2],
    target: Ipv6Addr,
    option: Option<(u8, MacAddr)>,
) -> Option<usize> {
    let len = MESSAGE_LEN.checked_add(option.map_or(0, |_| MAC_OPTION_LEN))?;
    let len_field = u16::try_from(len).ok()?;
    let ip_at = ethernet::write_header(frame, destination.mac, source.mac, vlan, ether_type::IPV6)?;
    let packet = frame.get_mut(ip_at..)?;
    field::write(packet, 0, ipv6::template(source.ip, destination.ip, ICMPV6, HOP_LIMIT))?;
    field::write(packet, 4, len_field.to_be_bytes())?;

    let message = packet.get_mut(ipv6::HEADER_LEN..)?.get_mut(..len)?;
    field::write(message, 0, [kind, 0, 0, 0, flags, 0, 0, 0])?;
    field::write(message, 8, target.octets())?;
    if let Some((option, MacAddr([a, b, c, d, e, f]))) = option {
        field::write(message, MESSAGE_LEN, [option, 1, a, b, c, d, e, f])?;
    }
    let sum = ipv6::pseudo_header(source.ip, destination.ip, ICMPV6).add_u16(len_field).add_bytes(message);
    field::write(message, 2, sum.checksum())?;
    ethernet::pad(frame, ip_at.checked_add(ipv6::HEADER_LEN)?.checked_add(len)?)
}

/// The neighbor solicitation or advertisement in a whole Ethernet frame, validated as RFC 4861,
/// sections 7.1.1 and 7.1.2, ask: hop limit 255, checksum, code 0, no option of length 0, no group as
/// the target, no answer that claims to be solicited to a group, no probe with an Ethernet address.
/// Everything else gives `None`, as does an Ethernet address in an option that no station can have.
pub fn parse(frame: &[u8]) -> Option<Message> {
    let frame = ethernet::parse(frame)?;
    if frame.ether_type != ether_type::IPV6 {
        return None;
    }
    let packet = ipv6::parse(frame.payload)?;
    let message = packet.payload;
    let sum = ipv6::pseudo_header(packet.source, packet.destination, ICMPV6)
        .add_u16(u16::try_from(message.len()).ok()?)
        .add_bytes(message);
    let [kind, code] = field::read(message, 0)?;
    let flags = *message.get(4)?;
    let target = Ipv6Addr::from(field::read::<16>(message, 8)?);
    let options = message.get(MESSAGE_LEN..)?;
    if packet.next_header != ICMPV6
        || packet.hop_limit != HOP_LIMIT
        || packet.source.is_multicast()
        || !sum.is_valid()
        || code != 0
        || target.is_multicast()
        || target.is_unspecified()
    {
        return None;
    }
    match kind {
        NEIGHBOR_SOLICITATION => {
            let option = mac_option(options, SOURCE_MAC_OPTION)?;
            let is_probe = packet.source.is_unspecified();
            if is_probe && (option.is_some() || packet.destination != solicited_node(target)) {
                return None;
            }
            let source = Station { mac: option.unwrap_or(frame.source), ip: packet.source };
            Some(Message::Solicitation(Solicitation { source, target }))
        }
        NEIGHBOR_ADVERTISEMENT => {
            let mac = mac_option(options, TARGET_MAC_OPTION)?;
            let (solicited, overrides) = (flags & SOLICITED != 0, flags & OVERRIDE != 0);
            if packet.source.is_unspecified() || solicited && packet.destination.is_multicast() {
                return None;
            }
            Some(Message::Advertisement(Advertisement { target, mac, solicited, overrides }))
        }
        _ => None,
    }
}

/// The Ethernet address in the last option of type `wanted`, or `Some(None)` without one; `None` where
/// the options are malformed. Unknown options are skipped (RFC 4861, section 4.6).
fn mac_option(mut options: &[u8], wanted: u8) -> Option<Option<MacAddr>> {
    let mut found = None;
    while let [kind, units, ..] = *options {
        let len = usize::from(units).checked_mul(8).filter(|&len| len > 0)?;
        let (option, rest) = options.split_at_checked(len)?;
        if kind == wanted {
            let mac = MacAddr(field::read(option, 2)?);
            found = Some(mac.is_unicast().then_some(mac)?);
        }
        options = rest;
    }
    options.is_empty().then_some(found)
}
