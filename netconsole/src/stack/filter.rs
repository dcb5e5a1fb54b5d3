//! Which received frames smoltcp may see: those that it is here for, as whole and as harmless as it
//! takes for granted.
//!
//! Closed by default: smoltcp answers protocols it does not know with ICMP errors that are larger
//! than the question. Nothing that would lead there passes.

use crate::wire::ethernet::{Frame, ether_type};
use crate::wire::{ipv4, ipv6};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const ICMP: u8 = 1;
const ICMP_ECHO_REQUEST: u8 = 8;

const HOP_BY_HOP: u8 = 0;
const ICMPV6: u8 = 58;
const ICMPV6_ECHO_REQUEST: u8 = 128;
const LISTENER_QUERY: u8 = 130;
const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOR_SOLICITATION: u8 = 135;
const NEIGHBOR_ADVERTISEMENT: u8 = 136;

/// The hop-by-hop header in front of each multicast listener query (RFC 3810, section 5): ICMPv6
/// follows, router alert (RFC 2711), two bytes of padding.
const ROUTER_ALERT: [u8; 8] = [ICMPV6, 0, 5, 2, 0, 0, 1, 0];

/// Whether smoltcp may see the frame. `answers_echo_at` says at which of the addresses pings are
/// answered: never at a group's or broadcast, where one question would get many answers.
pub(super) fn admits(frame: &Frame<'_>, answers_echo_at: impl Fn(IpAddr) -> bool) -> bool {
    match frame.ether_type {
        ether_type::ARP => true,
        ether_type::IPV4 => {
            ipv4::parse(frame.payload).is_some_and(|packet| admits_ipv4(&packet, answers_echo_at))
        }
        ether_type::IPV6 => {
            ipv6::parse(frame.payload).is_some_and(|packet| admits_ipv6(&packet, answers_echo_at))
        }
        _ => false,
    }
}

/// Pings alone: what comes by UDP never gets here.
fn admits_ipv4(packet: &ipv4::Packet<'_>, answers_echo_at: impl Fn(IpAddr) -> bool) -> bool {
    packet.protocol == ICMP
        && is_unicast(packet.source)
        && packet.payload.first() == Some(&ICMP_ECHO_REQUEST)
        && answers_echo_at(packet.destination.into())
}

fn admits_ipv6(packet: &ipv6::Packet<'_>, answers_echo_at: impl Fn(IpAddr) -> bool) -> bool {
    let message = packet.payload;
    match (packet.next_header, message.first()) {
        (HOP_BY_HOP, _) => message
            .strip_prefix(&ROUTER_ALERT)
            .is_some_and(|message| message.first() == Some(&LISTENER_QUERY)),
        (ICMPV6, Some(&ICMPV6_ECHO_REQUEST)) => answers_echo_at(packet.destination.into()),
        (ICMPV6, Some(&(NEIGHBOR_SOLICITATION | NEIGHBOR_ADVERTISEMENT))) => true,
        (ICMPV6, Some(&ROUTER_ADVERTISEMENT)) => has_sound_prefixes(message),
        _ => false,
    }
}

/// Whether an IPv4 address can be one station's: not a group's, not broadcast, not unspecified.
pub(super) fn is_unicast(address: Ipv4Addr) -> bool {
    !address.is_multicast() && !address.is_broadcast() && !address.is_unspecified()
}

/// Whether a router advertisement's prefixes (RFC 4861, section 4.6.2) are such that an address can
/// be made of them: smoltcp panics at a length above 128 and at a group's prefix.
fn has_sound_prefixes(message: &[u8]) -> bool {
    const OPTIONS_AT: usize = 16;
    const PREFIX_INFORMATION: u8 = 3;
    let mut options = message.get(OPTIONS_AT..).unwrap_or_default();
    while let [kind, units, ..] = *options {
        let Some((option, rest)) = options.split_at_checked(usize::from(units).saturating_mul(8)) else {
            return false;
        };
        if option.is_empty() || kind == PREFIX_INFORMATION && !is_sound_prefix(option) {
            return false;
        }
        options = rest;
    }
    options.is_empty()
}

fn is_sound_prefix(option: &[u8]) -> bool {
    let prefix = option.get(16..).and_then(<[u8]>::first_chunk::<16>).copied().map(Ipv6Addr::from);
    option.get(2).is_some_and(|&length| length <= 128) && prefix.is_some_and(|prefix| !prefix.is_multicast())
}
