//! The targets' Ethernet addresses: asked for by ARP (RFC 826) and neighbor discovery (RFC 4861),
//! again and again until somebody answers, and kept up to date by what neighbours send.

use crate::nic::Nic;
use crate::wire::{MacAddr, arp, ndp};
use core::net::{IpAddr, Ipv4Addr};

/// What [`Stack::resolve`](super::Stack::resolve) knows of a target's Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Frames go here.
    Known(MacAddr),
    /// It was asked for less than 1.25 s ago, or the cable is unplugged.
    Waiting,
    /// Nobody answered within 1.25 s: use broadcast. The asking goes on.
    Unanswered,
}

/// How many addresses can be asked for at a time. Beyond that the one that was wanted longest ago is
/// forgotten.
pub(super) const CAPACITY: usize = 32;
/// How long an answer is waited for before broadcast is used, in microseconds. QEMU's e1000 hands on what it receives
/// only a second after it was started.
pub(super) const ANSWER_TIMEOUT: u64 = 1_250_000;
/// The time between questions until then.
const FIRST_INTERVAL: u64 = 250_000;
/// The time between questions doubles after that, up to this.
const LONGEST_INTERVAL: u64 = 10_000_000;
/// The time after which a known address is asked for again, so that a neighbour that got another
/// card and did not say so is found.
const REFRESH_INTERVAL: u64 = 60_000_000;
/// The time after which an address that nobody wanted any more is forgotten.
const FORGET_AFTER: u64 = 120_000_000;

/// Who asks.
#[derive(Clone, Copy)]
pub(super) struct Asker {
    pub(super) mac: MacAddr,
    pub(super) vlan: Option<u16>,
}

#[derive(Clone, Copy)]
struct Neighbor {
    address: IpAddr,
    /// The address that the question is sent from, of the same family; 0.0.0.0 where there is none (RFC 5227's probes).
    source: IpAddr,
    mac: Option<MacAddr>,
    /// When the first question was due.
    asked_since: u64,
    /// When the next one is.
    ask_at: u64,
    /// The time from that to the one after it.
    interval: u64,
    wanted_at: u64,
}

impl Neighbor {
    fn resolution(&self, now: u64) -> Resolution {
        match self.mac {
            Some(mac) => Resolution::Known(mac),
            None if now.saturating_sub(self.asked_since) < ANSWER_TIMEOUT => Resolution::Waiting,
            None => Resolution::Unanswered,
        }
    }

    /// Begins to ask afresh.
    fn restart(&mut self, now: u64) {
        *self = Self { mac: None, asked_since: now, ask_at: now, interval: FIRST_INTERVAL, ..*self };
    }

    fn asked(&mut self, now: u64) {
        let interval = match self.mac {
            Some(_) => REFRESH_INTERVAL,
            None => self.interval,
        };
        self.ask_at = now.saturating_add(interval);
        if now.saturating_add(FIRST_INTERVAL).saturating_sub(self.asked_since) >= ANSWER_TIMEOUT {
            self.interval = self.interval.saturating_mul(2).min(LONGEST_INTERVAL);
        }
    }

    fn write_question(&self, asker: Asker, frame: &mut [u8]) -> Option<usize> {
        match (self.source, self.address) {
            (IpAddr::V4(source), IpAddr::V4(address)) => {
                arp::Packet::request(asker.mac, source, address).write(asker.vlan, frame)
            }
            (IpAddr::V6(source), IpAddr::V6(target)) => {
                let source = ndp::Station { mac: asker.mac, ip: source };
                ndp::Solicitation { source, target }.write(asker.vlan, frame)
            }
            _ => None,
        }
    }
}

/// The neighbours that somebody wants to send to.
pub(super) struct Neighbors {
    entries: [Option<Neighbor>; CAPACITY],
}

impl Neighbors {
    pub(super) const fn new() -> Self {
        Self { entries: [None; CAPACITY] }
    }

    /// What is known of `address`. If nothing is, the asking begins with the next [`ask`](Self::ask).
    pub(super) fn resolve(&mut self, source: IpAddr, address: IpAddr, now: u64) -> Resolution {
        if let Some(neighbor) = self.find(address) {
            neighbor.source = source;
            neighbor.wanted_at = now;
            return neighbor.resolution(now);
        }
        let place = self.entries.iter_mut().min_by_key(|entry| entry.map(|neighbor| neighbor.wanted_at));
        if let Some(place) = place {
            *place = Some(Neighbor {
                address,
                source,
                mac: None,
                asked_since: now,
                ask_at: now,
                interval: FIRST_INTERVAL,
                wanted_at: now,
            });
        }
        Resolution::Waiting
    }

    /// Learns where `address` is, if anybody wants to know. What is known already gives way only
    /// where the news `overrides` it (RFC 4861, section 7.2.5; ARP's always does).
    pub(super) fn learn(&mut self, address: IpAddr, mac: MacAddr, overrides: bool, now: u64) {
        if let Some(neighbor) = self.find(address)
            && (overrides || neighbor.mac.is_none())
        {
            neighbor.mac = Some(mac);
            neighbor.ask_at = now.saturating_add(REFRESH_INTERVAL);
        }
    }

    /// Sends the questions that are due, at most one for each address; whether any was sent. What the
    /// card has no room for stays due.
    pub(super) fn ask(&mut self, nic: &mut dyn Nic, asker: Asker, now: u64) -> bool {
        let mut asked = false;
        for entry in &mut self.entries {
            let Some(neighbor) = entry else { continue };
            if now.saturating_sub(neighbor.wanted_at) >= FORGET_AFTER {
                *entry = None;
            } else if neighbor.ask_at <= now {
                let question = *neighbor;
                if nic.transmit(&mut |frame| question.write_question(asker, frame).unwrap_or(0)).is_err() {
                    break;
                }
                neighbor.asked(now);
                asked = true;
            }
        }
        asked
    }

    /// Forgets all Ethernet addresses and asks again: the cable may lead elsewhere now.
    pub(super) fn restart(&mut self, now: u64) {
        self.entries.iter_mut().flatten().for_each(|neighbor| neighbor.restart(now));
    }

    /// Forgets one Ethernet address and asks again.
    pub(super) fn forget(&mut self, address: IpAddr, now: u64) {
        if let Some(neighbor) = self.find(address) {
            neighbor.restart(now);
        }
    }

    /// Asks no more from an address that is no longer ours: who asks from it claims it.
    pub(super) fn disown(&mut self, address: IpAddr) {
        for neighbor in self.entries.iter_mut().flatten().filter(|neighbor| neighbor.source == address) {
            neighbor.source = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        }
    }

    /// When the next question is due.
    pub(super) fn due(&self) -> u64 {
        self.entries.iter().flatten().map(|neighbor| neighbor.ask_at).min().unwrap_or(u64::MAX)
    }

    fn find(&mut self, address: IpAddr) -> Option<&mut Neighbor> {
        self.entries.iter_mut().flatten().find(|neighbor| neighbor.address == address)
    }
}
