//! The IPv4 address: announced when it is taken, and defended when another station uses it too (RFC 5227, sections 2.3
//! and 2.4; RFC 3927, sections 2.4 and 2.5).

use super::{Ipv4Interface, Origin};
use crate::wire::{MacAddr, arp};

/// The constants of RFC 5227, section 1.1, in microseconds.
const ANNOUNCE_NUM: u8 = 2;
const ANNOUNCE_INTERVAL: u64 = 2_000_000;
const DEFEND_INTERVAL: u64 = 10_000_000;

/// The address, and what it is good for.
#[derive(Clone, Copy)]
enum Held {
    Nothing,
    /// It is ours: announced, defended, answered for.
    Owned(Ipv4Interface),
    /// Its lease is over. The log still comes from it, since its receiver knows it, but nobody is told that it is ours,
    /// and nothing that is sent to it counts.
    LogSource(Ipv4Interface),
}

/// What another station's packet means for the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conflict {
    /// Nothing.
    None,
    /// That station uses it too, which is answered with an announcement.
    Shared,
    /// It is to be given up.
    Lost,
}

/// The address, if any.
pub(super) struct Ipv4 {
    mac: MacAddr,
    held: Held,
    /// When it was taken.
    taken_at: u64,
    /// Announcements still to be sent, and when.
    announcements: u8,
    announce_at: u64,
    /// When it was last defended.
    defended_at: Option<u64>,
}

impl Ipv4 {
    pub(super) const fn new(mac: MacAddr) -> Self {
        Self { mac, held: Held::Nothing, taken_at: 0, announcements: 0, announce_at: 0, defended_at: None }
    }

    /// The address that is ours.
    pub(super) const fn owned(&self) -> Option<Ipv4Interface> {
        match self.held {
            Held::Owned(ipv4) => Some(ipv4),
            Held::Nothing | Held::LogSource(_) => None,
        }
    }

    /// The address that the log comes from, whether it is ours or was.
    pub(super) const fn log_source(&self) -> Option<Ipv4Interface> {
        match self.held {
            Held::Owned(ipv4) | Held::LogSource(ipv4) => Some(ipv4),
            Held::Nothing => None,
        }
    }

    /// Takes an address, or gives up the one there was.
    pub(super) fn set(&mut self, ipv4: Option<Ipv4Interface>, now: u64) {
        (self.held, self.taken_at) = (ipv4.map_or(Held::Nothing, Held::Owned), now);
        self.defended_at = None;
        self.announcements = 0;
        self.announce(ANNOUNCE_NUM, now);
    }

    /// Whether it was taken so short a time ago that another station that uses it was there first.
    pub(super) fn is_new(&self, now: u64) -> bool {
        now.saturating_sub(self.taken_at) < DEFEND_INTERVAL
    }

    /// Keeps the address as the log's source alone.
    pub(super) fn disown(&mut self) {
        if let Held::Owned(ipv4) = self.held {
            self.held = Held::LogSource(ipv4);
            self.announcements = 0;
        }
    }

    fn announce(&mut self, announcements: u8, now: u64) {
        if self.owned().is_some() {
            self.announcements = self.announcements.max(announcements);
            self.announce_at = now;
        }
    }

    /// Looks at another station's packet. If that uses our address, ours is announced once more, and
    /// then not for 10 s; a link-local address is lost when the conflict comes back within these, and
    /// one that is no longer ours at once. Others were given to us, and stay.
    pub(super) fn hear(&mut self, packet: &arp::Packet, now: u64) -> Conflict {
        match self.held {
            Held::LogSource(ipv4) if ipv4.address == packet.sender_ip => Conflict::Lost,
            Held::Owned(ipv4) if ipv4.address == packet.sender_ip => {
                if self.defended_at.is_some_and(|at| now.saturating_sub(at) < DEFEND_INTERVAL) {
                    let is_lost = ipv4.origin == Origin::LinkLocal;
                    return if is_lost { Conflict::Lost } else { Conflict::None };
                }
                self.defended_at = Some(now);
                self.announce(1, now);
                Conflict::Shared
            }
            _ => Conflict::None,
        }
    }

    /// Sends the announcement that is due.
    pub(super) fn poll(&mut self, now: u64, send: impl FnOnce(arp::Packet) -> bool) {
        if let Some(ipv4) = self.owned()
            && self.due() <= now
            && send(arp::Packet::announcement(self.mac, ipv4.address))
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
