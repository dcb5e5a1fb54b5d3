//! Signs of life: what the frames that a card receives tell of the network behind it.
//!
//! A switch's port may forward nothing for half a minute after link up (spanning tree), while the switch itself
//! speaks on it all the time. Only a frame that another station sent shows that the port forwards.

#[cfg(test)]
mod tests;

use crate::plan::MAX_NICS;
use crate::wire::ethernet::{self, ether_type};
use crate::wire::{MacAddr, arp, ipv4, ipv6};
use core::net::IpAddr;

/// How many addresses can be waited for. The frames of others are no sign of their own.
const MAX_AWAITED: usize = 4;

/// What a card has heard since its link came up. Times are in µs.
#[derive(Clone, Debug)]
pub struct Life {
    mac: MacAddr,
    /// This machine's other cards, by their places.
    siblings: [Option<MacAddr>; MAX_NICS],
    heard_at: Option<u64>,
    signs: u32,
    awaited: [Option<IpAddr>; MAX_AWAITED],
    sibling_heard_at: [Option<u64>; MAX_NICS],
}

impl Life {
    /// Of the card with the address `mac`, which has heard nothing yet.
    pub const fn new(mac: MacAddr) -> Self {
        Self {
            mac,
            siblings: [None; MAX_NICS],
            heard_at: None,
            signs: 0,
            awaited: [None; MAX_AWAITED],
            sibling_heard_at: [None; MAX_NICS],
        }
    }

    /// Tells of this machine's other cards, by their places. One with the same address is not told apart.
    pub fn know_siblings(&mut self, siblings: [Option<MacAddr>; MAX_NICS]) {
        self.siblings = siblings.map(|sibling| sibling.filter(|&mac| mac != self.mac));
    }

    /// Looks at a frame that arrived at `now`, before anything else does. False where another card of this machine
    /// sent it: it tells nothing about other stations.
    pub fn see(&mut self, frame: &[u8], now: u64) -> bool {
        let source = frame.split_first_chunk::<6>().and_then(|(_, rest)| rest.first_chunk());
        let Some(source) = source.copied().map(MacAddr) else { return true };
        if let Some(place) = self.siblings.iter().position(|&sibling| sibling == Some(source)) {
            if let Some(heard_at) = self.sibling_heard_at.get_mut(place) {
                heard_at.get_or_insert(now);
            }
            return false;
        }
        // In a flood of foreign frames this is all there is to do.
        if self.heard_at.is_some() && self.awaited.iter().all(Option::is_none) {
            return true;
        }
        let parsed = ethernet::parse(frame).filter(|frame| frame.source != self.mac && frame.was_forwarded());
        let Some(parsed) = parsed else { return true };
        let is_first = self.heard_at.is_none();
        self.heard_at.get_or_insert(now);
        let sender = sender(&parsed, frame);
        let awaited = self.awaited.iter_mut().find(|awaited| awaited.is_some() && **awaited == sender);
        if is_first || awaited.is_some() {
            self.signs = self.signs.wrapping_add(1);
        }
        if let Some(awaited) = awaited {
            *awaited = None;
        }
        true
    }

    /// When the first frame of another station arrived since the link came up.
    pub fn heard_at(&self) -> Option<u64> {
        self.heard_at
    }

    /// Counts the signs of life: the first frame of any station, and each first frame of one that was
    /// [waited for](Self::wait_for).
    pub fn signs(&self) -> u32 {
        self.signs
    }

    /// Has the next frame from this address count as a sign of life. Of more than four the last ones are waited for.
    pub fn wait_for(&mut self, address: IpAddr) {
        if !self.awaited.contains(&Some(address)) {
            self.awaited.rotate_right(1);
            if let Some(first) = self.awaited.first_mut() {
                *first = Some(address);
            }
        }
    }

    /// Since when the card hears this machine's card of another place.
    pub fn hears(&self, place: usize) -> Option<u64> {
        self.sibling_heard_at.get(place).copied().flatten()
    }

    /// The link of another card of this machine went: it may lead elsewhere when it is back.
    pub fn forget_sibling(&mut self, place: usize) {
        if let Some(heard_at) = self.sibling_heard_at.get_mut(place) {
            *heard_at = None;
        }
    }

    /// The link went: the cable may lead elsewhere when it is back.
    pub fn forget(&mut self) {
        (self.heard_at, self.sibling_heard_at) = (None, [None; MAX_NICS]);
        self.awaited = [None; MAX_AWAITED];
    }
}

/// The IP address that a frame, whose bytes are these, comes from.
fn sender(frame: &ethernet::Frame<'_>, bytes: &[u8]) -> Option<IpAddr> {
    match frame.ether_type {
        ether_type::ARP => arp::parse(bytes).map(|packet| packet.sender_ip.into()),
        ether_type::IPV4 => ipv4::parse(frame.payload).map(|packet| packet.source.into()),
        ether_type::IPV6 => ipv6::parse(frame.payload).map(|packet| packet.source.into()),
        _ => None,
    }
}
