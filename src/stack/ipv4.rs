//! The IPv4 address in use: announced when it is taken, and defended when another station uses it
//! too (RFC 5227, sections 2.3 and 2.4; RFC 3927, sections 2.4 and 2.5).

use super::{Ipv4Interface, Origin};
use crate::wire::{MacAddr, arp};

/// The constants of RFC 5227, section 1.1, in microseconds.
const ANNOUNCE_NUM: u8 = 2;
const ANNOUNCE_INTERVAL: u64 = 2_000_000;
const DEFEND_INTERVAL: u64 = 10_000_000;

/// The address in use, if any.
pub(super) struct Ipv4 {
    mac: MacAddr,
    current: Option<Ipv4Interface>,
    /// Announcements still to be sent, and when.
    announcements: u8,
    announce_at: u64,
    /// When it was last defended.
    defended_at: Option<u64>,
}

impl Ipv4 {
    pub(super) const fn new(mac: MacAddr) -> Self {
        Self { mac, current: None, announcements: 0, announce_at: 0, defended_at: None }
    }

    pub(super) const fn current(&self) -> Option<Ipv4Interface> {
        self.current
    }

    /// Takes an address, or gives up the one there was.
    pub(super) fn set(&mut self, current: Option<Ipv4Interface>, now: u64) {
        self.current = current;
        self.defended_at = None;
        self.announcements = 0;
        self.announce(ANNOUNCE_NUM, now);
    }

    fn announce(&mut self, announcements: u8, now: u64) {
        if self.current.is_some() {
            self.announcements = self.announcements.max(announcements);
            self.announce_at = now;
        }
    }

    /// Looks at another station's packet. If that uses our address, ours is announced once more, and
    /// then not for 10 s; a link-local address is lost when the conflict comes back within these, and
    /// the answer is true. Others were given to us, and stay.
    pub(super) fn hear(&mut self, packet: &arp::Packet, now: u64) -> bool {
        let Some(current) = self.current.filter(|current| current.address == packet.sender_ip) else {
            return false;
        };
        if self.defended_at.is_some_and(|at| now.saturating_sub(at) < DEFEND_INTERVAL) {
            return current.origin == Origin::LinkLocal;
        }
        log::warn!("{} is also used by {}", current.address, packet.sender_mac);
        self.defended_at = Some(now);
        self.announce(1, now);
        false
    }

    /// Sends the announcement that is due.
    pub(super) fn poll(&mut self, now: u64, send: impl FnOnce(arp::Packet) -> bool) {
        if let Some(current) = self.current
            && self.due() <= now
            && send(arp::Packet::announcement(self.mac, current.address))
        {
            self.announcements = self.announcements.saturating_sub(1);
            self.announce_at = now.saturating_add(ANNOUNCE_INTERVAL);
        }
    }

    /// When [`poll`](Self::poll) has something to do.
    pub(super) fn due(&self) -> u64 {
        if self.announcements > 0 { self.announce_at } else { u64::MAX }
    }
}
