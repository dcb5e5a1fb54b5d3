//! IPv4 link-local addresses (RFC 3927): choosing one that no neighbour has. Announcing and
//! defending it is the same for every address and done in [`ipv4`](super::ipv4).

use super::random::Random;
use crate::wire::{MacAddr, arp};
use core::net::Ipv4Addr;

/// The constants of RFC 3927, section 9, in microseconds.
const PROBE_WAIT: u64 = 1_000_000;
const PROBE_NUM: u8 = 3;
const PROBE_MIN: u64 = 1_000_000;
const PROBE_MAX: u64 = 2_000_000;
const ANNOUNCE_WAIT: u64 = 2_000_000;
const MAX_CONFLICTS: u32 = 10;
const RATE_LIMIT_INTERVAL: u64 = 60_000_000;

/// The prefix length of 169.254/16.
pub(super) const PREFIX: u8 = 16;

/// The address that a station with `mac` tries first, and sends from to all stations of the link as long as it has no
/// other: the same at each boot, and another one for other stations (section 2.1). Panic-safe.
pub fn link_local_ipv4(mac: MacAddr) -> Ipv4Addr {
    LinkLocal::new(mac).candidate
}

#[derive(Clone, Copy)]
enum State {
    Off,
    Probing { sent: u8, next: u64 },
    Chosen,
}

/// The search for an address.
pub(super) struct LinkLocal {
    mac: MacAddr,
    /// When an address may be taken into use: DHCP has had its time then.
    not_before: u64,
    /// Seeded from the Ethernet address, so that a machine tries the same addresses in the same
    /// order each time, and others try others (section 2.1).
    random: Random,
    candidate: Ipv4Addr,
    conflicts: u32,
    state: State,
}

impl LinkLocal {
    pub(super) fn new(mac: MacAddr) -> Self {
        let [a, b, c, d, e, f] = mac.0;
        let random = Random(u64::from_be_bytes([0, 0, a, b, c, d, e, f]));
        let candidate = Ipv4Addr::UNSPECIFIED;
        let mut new = Self { mac, not_before: 0, random, candidate, conflicts: 0, state: State::Off };
        new.choose();
        new
    }

    /// The address that is probed, or was taken last.
    pub(super) const fn candidate(&self) -> Ipv4Addr {
        self.candidate
    }

    /// Begins to probe the candidate, unless that is going on. It is taken at `not_before` at the earliest.
    pub(super) fn start(&mut self, now: u64, not_before: u64) {
        if matches!(self.state, State::Off) {
            self.not_before = not_before;
            self.state = State::Probing { sent: 0, next: now.saturating_add(self.random.below(PROBE_WAIT)) };
        }
    }

    pub(super) fn stop(&mut self) {
        self.state = State::Off;
    }

    /// Sends the probe that is due. The address, when nobody objected to the last one.
    pub(super) fn poll(&mut self, now: u64, send: impl FnOnce(arp::Packet) -> bool) -> Option<Ipv4Addr> {
        let State::Probing { sent, next } = self.state else { return None };
        if now < next {
            return None;
        }
        if sent == PROBE_NUM {
            self.state = State::Chosen;
            self.conflicts = 0;
            return Some(self.candidate);
        }
        if send(arp::Packet::probe(self.mac, self.candidate)) {
            let sent = sent.saturating_add(1);
            let next = match sent {
                PROBE_NUM => now.saturating_add(ANNOUNCE_WAIT).max(self.not_before),
                _ => {
                    let more = self.random.below(PROBE_MAX.saturating_sub(PROBE_MIN));
                    now.saturating_add(PROBE_MIN).saturating_add(more)
                }
            };
            self.state = State::Probing { sent, next };
        }
        None
    }

    /// Looks at another station's packet: while probing, one that uses the candidate or probes it too
    /// makes it a conflict (section 2.2.1).
    pub(super) fn hear(&mut self, packet: &arp::Packet, now: u64) {
        let probes = packet.sender_ip.is_unspecified() && packet.target_ip == self.candidate;
        if matches!(self.state, State::Probing { .. }) && (packet.sender_ip == self.candidate || probes) {
            self.conflict(now);
        }
    }

    /// Gives the candidate up for another one, after a while if that happened often.
    pub(super) fn conflict(&mut self, now: u64) {
        self.conflicts = self.conflicts.saturating_add(1);
        self.choose();
        let wait =
            if self.conflicts > MAX_CONFLICTS { RATE_LIMIT_INTERVAL } else { self.random.below(PROBE_WAIT) };
        self.state = State::Probing { sent: 0, next: now.saturating_add(wait) };
    }

    /// When [`poll`](Self::poll) has something to do.
    pub(super) fn due(&self) -> u64 {
        match self.state {
            State::Probing { next, .. } => next,
            State::Off | State::Chosen => u64::MAX,
        }
    }

    /// 169.254.1.0 to 169.254.254.255 (section 2.1).
    fn choose(&mut self) {
        const FIRST: u32 = Ipv4Addr::new(169, 254, 1, 0).to_bits();
        const COUNT: u64 = 254 * 256;
        let offset = u32::try_from(self.random.below(COUNT)).unwrap_or(0);
        self.candidate = Ipv4Addr::from_bits(FIRST.saturating_add(offset));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3927, section 2.2.1: after ten conflicts no more than one try a minute.
    #[test]
    fn many_conflicts_make_it_slow() {
        let mut search = LinkLocal::new(MacAddr([2, 0, 0, 0, 0, 1]));
        search.start(0, 0);
        for _ in 0..10 {
            search.conflict(0);
            assert!(search.due() < 1_000_000);
        }
        search.conflict(0);
        assert_eq!(search.due(), 60_000_000);
    }
}
