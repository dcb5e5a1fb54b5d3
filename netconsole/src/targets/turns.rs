//! Targets that differ in nothing but the card, as those of a bond's members do: the log of a Linux that crashed goes by
//! one of them at a time, until somebody is heard by it, so that the receiver does not get all of it from each.

use core::net::IpAddr;

use super::table::TargetTable;
use super::voice::Voice;
use super::{Reception, Target};
use crate::settings::{DeviceSelector, MAX_TARGETS, TargetConfig};

/// How long nobody need be heard by a card before the next one has its turn, in µs: longer than the receiver's Ethernet
/// address is asked for.
const TURN: u64 = 3_000_000;

impl Target {
    /// Whether the other one is the same by another card.
    fn is_same_as(&self, other: &Self) -> bool {
        let bare =
            |target: &Self| TargetConfig { device: DeviceSelector::Any, remote_mac: None, ..target.config };
        self.is_enabled()
            && other.is_enabled()
            && !self.is_everywhere
            && self.is_for_one_station()
            && self.vlan() == other.vlan()
            && bare(self) == bare(other)
    }

    /// Whether it names one receiver: everybody, a group and link-local addresses are others behind each card.
    fn is_for_one_station(&self) -> bool {
        let is_one = match self.config.remote_ip {
            IpAddr::V4(ip) => !ip.is_broadcast() && !ip.is_multicast() && !ip.is_link_local(),
            IpAddr::V6(ip) => !ip.is_multicast() && !ip.is_unicast_link_local(),
        };
        is_one && self.config.remote_mac.is_none_or(|mac| !mac.is_multicast())
    }

    /// Whether another card of the same target has its turn.
    pub fn waits_for_its_turn(&self) -> bool {
        let voice = self.lanes.first().map(|lane| lane.voice);
        !self.is_everywhere && matches!(voice, Some(Voice::Quiet { .. }))
    }

    fn could_ship(&self) -> bool {
        self.lanes.first().is_some_and(|lane| lane.is_alive())
    }

    fn shows_life(&self) -> bool {
        self.ncrx.has_answered() || self.reception() != Reception::Unheard
    }

    /// The card that it goes by.
    fn card(&self) -> usize {
        self.lanes.first().and_then(|lane| lane.card).unwrap_or_default()
    }

    fn set_voice(&mut self, voice: Voice) {
        if let Some(lane) = self.lanes.first_mut() {
            lane.voice = voice;
        }
    }
}

impl TargetTable {
    /// Decides at `now` µs whose turn it is among targets that are the same by other cards. To be called after all have
    /// [advanced](Target::advance).
    pub fn take_turns(&mut self, now: u64) {
        for first in 0..MAX_TARGETS {
            if self.get(first).is_none() || (0..first).any(|before| self.are_same(before, first)) {
                continue;
            }
            if (first.saturating_add(1)..MAX_TARGETS).any(|other| self.are_same(first, other)) {
                self.choose_among_same(first, now);
            } else if let Some(alone) = self.get_mut(first).filter(|target| target.waits_for_its_turn()) {
                alone.set_voice(Voice::Speaking);
            }
        }
    }

    fn are_same(&self, one: usize, other: usize) -> bool {
        self.get(one).zip(self.get(other)).is_some_and(|(one, other)| one.is_same_as(other))
    }

    fn choose_among_same(&mut self, first: usize, now: u64) {
        let could_ship = |table: &Self, number| {
            table.are_same(first, number) && table.get(number).is_some_and(Target::could_ship)
        };
        let begun = |table: &Self, number| table.get(number).and_then(|target| target.turn_begun);
        let current =
            (first..MAX_TARGETS).find(|&number| could_ship(self, number) && begun(self, number).is_some());
        let goes_on = |number: usize| {
            let is_over = begun(self, number).is_none_or(|begun| now.saturating_sub(begun) >= TURN);
            !is_over || self.get(number).is_some_and(Target::shows_life)
        };
        let next = match current {
            Some(number) if goes_on(number) => Some(number),
            Some(number) => (number.saturating_add(1)..MAX_TARGETS)
                .chain(first..=number)
                .find(|&number| could_ship(self, number)),
            None => (first..MAX_TARGETS).find(|&number| could_ship(self, number)),
        };
        let Some(next) = next else { return };
        if current != Some(next) {
            self.begin_turn(current, next, now);
        }
        let behind = self.get(next).map_or(0, Target::card);
        for number in first..MAX_TARGETS {
            if could_ship(self, number)
                && let Some(target) = self.get_mut(number)
            {
                target.set_voice(if number == next { Voice::Speaking } else { Voice::Quiet { behind } });
            }
        }
    }

    fn begin_turn(&mut self, current: Option<usize>, next: usize, now: u64) {
        if let Some((before, target)) = current.and_then(|number| self.get(number)).zip(self.get(next)) {
            let (seconds, ip) = (TURN / 1_000_000, target.config.remote_ip);
            log::info!(
                "netconsole: nothing shows for {seconds} s that {ip} is reached by {}: the log goes by {} now",
                before.device(),
                target.device()
            );
        }
        for number in 0..MAX_TARGETS {
            let is_same = self.are_same(next, number);
            if let Some(target) = self.get_mut(number).filter(|_| is_same) {
                target.turn_begun = (number == next).then_some(now);
            }
        }
    }

    /// Whether a target that ships has more to ship before the sequence number `end`. One whose link is gone is not waited
    /// for where the same could ship by another card.
    pub fn is_behind(&self, end: u64) -> bool {
        let could_by_another =
            |target: &Target| self.iter().any(|other| target.is_same_as(other) && other.could_ship());
        self.iter().any(|target| target.is_behind(end) && (target.could_ship() || !could_by_another(target)))
    }

    /// What shows that all targets have heard the log: of those that are the same by other cards one is enough.
    pub fn reception(&self) -> Reception {
        let of_same = |target: &Target| {
            let same = self.iter().filter(|other| target.is_same_as(other));
            same.map(Target::reception).chain([target.reception()]).max()
        };
        let enabled = self.iter().filter(|target| target.is_enabled());
        enabled.filter_map(of_same).min().unwrap_or(Reception::Unheard)
    }
}
