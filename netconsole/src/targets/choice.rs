//! By which card a target goes: the one that is named, or the one whose network reaches it.

#[cfg(test)]
mod tests;

use super::path_name::{Labels, PathName};
use crate::nic::BusAddress;
use crate::plan::{CardSet, MAX_NICS};
use crate::settings::{DeviceName, DeviceSelector, TargetConfig};
use crate::wire::MacAddr;
use core::fmt;

/// How near a card's network is to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Nothing is known of a way.
    Unknown,
    /// There is a router to other networks.
    ByGateway,
    /// The target is on it, or is everybody.
    OnLink,
}

/// A card that could serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// `eth0`, …
    pub name: DeviceName,
    /// Its Ethernet address.
    pub mac: MacAddr,
    /// Where it is.
    pub place: BusAddress,
    /// What the firmware calls that.
    pub labels: Labels,
    /// Whether its cable is connected.
    pub link_is_up: bool,
    /// How near the target is.
    pub reach: Reach,
    /// Whether that can still change: it may get an address.
    pub may_come_nearer: bool,
}

/// This machine's cards, by their places.
pub type Candidates = [Option<Candidate>; MAX_NICS];

/// Where a target may go that names a card which is not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Substitutes {
    /// For a name another card may serve.
    pub for_name: bool,
    /// For an Ethernet address another card may serve.
    pub for_mac: bool,
}

/// By which card a target goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// By all of these.
    Everywhere(CardSet),
    /// By the one of this place, which it names.
    Named(usize),
    /// By the one of this place, for which it has another name, or none.
    Meant(usize),
    /// By the one of this place, though it names one that is not here.
    Instead(usize),
    /// It is not known yet.
    NotYet,
    /// By none.
    Nothing,
}

/// Chooses among `candidates`; `has_waited` says that it need not wait any longer for addresses.
pub fn choose(config: &TargetConfig, candidates: &Candidates, may: Substitutes, has_waited: bool) -> Choice {
    let named = |wanted: DeviceSelector| find(candidates, |card| wanted.is(card.name, card.mac));
    let by_reach = |chosen: fn(usize) -> Choice| nearest(candidates, has_waited, chosen);
    let name = match (config.device, config.device.vlan()) {
        (DeviceSelector::Any, _) if config.goes_everywhere() => {
            let mut cards = CardSet::NONE;
            let all = candidates.iter().enumerate().filter(|(_, card)| card.is_some());
            all.for_each(|(place, _)| cards.insert(place));
            return if cards == CardSet::NONE { Choice::Nothing } else { Choice::Everywhere(cards) };
        }
        (DeviceSelector::Any, _) => return by_reach(Choice::Meant),
        (device @ DeviceSelector::Mac(_), _) => {
            return match named(device) {
                Some(place) => Choice::Named(place),
                None if may.for_mac => by_reach(Choice::Instead),
                None => Choice::Nothing,
            };
        }
        (DeviceSelector::Name(_), Some((base, _))) => base,
        (DeviceSelector::Name(name), None) => name,
    };
    if let Some(place) = named(DeviceSelector::Name(name)) {
        return Choice::Named(place);
    }
    let path = PathName::parse(name.as_str());
    let is_meant = |card: &Candidate| path.is_some_and(|path| path.is(card.place, card.mac, card.labels));
    match find(candidates, is_meant) {
        Some(place) => Choice::Meant(place),
        None if may.for_name => {
            let likely = find(candidates, |card| path.is_some_and(|path| path.is_likely(card.place)));
            likely.map_or_else(|| by_reach(Choice::Instead), Choice::Instead)
        }
        None => Choice::Nothing,
    }
}

fn find(candidates: &Candidates, is_it: impl Fn(&Candidate) -> bool) -> Option<usize> {
    candidates.iter().position(|card| card.as_ref().is_some_and(&is_it))
}

/// The card with link on whose network the target is, else one with a gateway, else the first with link. One that is
/// alone needs no link to be chosen.
fn nearest(candidates: &Candidates, has_waited: bool, chosen: fn(usize) -> Choice) -> Choice {
    let all = || candidates.iter().enumerate().filter_map(|(place, card)| Some((place, card.as_ref()?)));
    let with_link = || all().filter(|(_, card)| card.link_is_up);
    let mut first_two = all();
    match (first_two.next(), first_two.next()) {
        (None, _) => return Choice::Nothing,
        (Some((place, _)), None) => return chosen(place),
        _ => {}
    }
    // Of several that are as near the first.
    match with_link().reduce(|best, card| if card.1.reach > best.1.reach { card } else { best }) {
        None => Choice::NotYet,
        Some((place, card)) if card.reach == Reach::OnLink => chosen(place),
        Some(_) if !has_waited && with_link().any(|(_, card)| card.may_come_nearer) => Choice::NotYet,
        Some((place, _)) => chosen(place),
    }
}

/// `eth0 (00:03.0, 52:54:00:12:34:56), eth1 (…)`.
pub struct Here<'c>(pub &'c Candidates);

impl fmt::Display for Here<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, card) in self.0.iter().flatten().enumerate() {
            let comma = if number > 0 { ", " } else { "" };
            write!(f, "{comma}{} ({}, {})", card.name, card.place, card.mac)?;
        }
        Ok(())
    }
}
