//! Choosing each target's cards, and giving these the source address that it names.

use super::card::Card;
use super::vlan::MAX_VLANS;
use crate::plan::MAX_NICS;
use crate::seal::Protection;
use crate::settings::{DeviceName, DeviceSelector, MAX_TARGETS, Settings};
use crate::targets::choice::{self, Candidates, Choice, Here, Substitutes};
use crate::targets::path_name::PathName;
use crate::targets::table::TargetTable;
use crate::targets::{Moment, Target};
use core::net::IpAddr;

/// Whether it takes what the firmware calls the cards' places to tell which card a target names.
pub fn needs_labels(targets: &TargetTable) -> bool {
    targets.iter().any(|Target { config, .. }| {
        let name = match (config.device, config.device.vlan()) {
            (_, Some((base, _))) | (DeviceSelector::Name(base), None) => base,
            _ => return false,
        };
        PathName::parse(name.as_str()).is_some_and(|path| path.needs_labels())
    })
}

/// Chooses the cards of those targets that wait for it.
pub fn cards(
    targets: &mut TargetTable,
    cards: &mut [Option<Card>; MAX_NICS],
    settings: &Settings,
    moment: &Moment<'_>,
) {
    for number in 0..MAX_TARGETS {
        let Some(target) = targets.get_mut(number).filter(|target| target.wants_cards()) else { continue };
        choose(target, cards, settings, moment);
        let Some(address) = target.config.local_ip.filter(|_| target.vlan().is_none()) else { continue };
        if !target.wants_cards() {
            give(address, number, targets, cards, settings, moment.now);
        }
    }
}

fn choose(target: &mut Target, cards: &[Option<Card>; MAX_NICS], settings: &Settings, moment: &Moment<'_>) {
    let config = target.config;
    if target.vlan().is_some() && MAX_VLANS == 0 {
        return target.fail(format_args!("{}: this kernel was built without VLANs", config.device));
    }
    let candidates: Candidates =
        core::array::from_fn(|place| Some(cards.get(place)?.as_ref()?.candidate(&config, moment.now)));
    // Whoever has a key, or another machine's memory, means that card or none.
    let is_secret = settings.ships_another_log || moment.keys.protection() != Protection::Clear;
    let for_name = target.takes_another();
    let may = Substitutes { for_name, for_mac: for_name && !is_secret };
    let (device, has_waited) = (config.device, target.has_waited(moment));
    let name_of = |place: usize| candidates.get(place).and_then(Option::as_ref).map(|card| card.name);
    // A VLAN's device keeps its name.
    let serving = |place| name_of(place).filter(|_| target.vlan().is_none());
    match choice::choose(&config, &candidates, may, has_waited) {
        Choice::Everywhere(cards) => target.go_everywhere(cards, moment.now),
        Choice::Named(place) => target.go_by(place, None),
        Choice::Meant(place) => {
            if let Some(card) = name_of(place).filter(|_| device != DeviceSelector::Any) {
                log::info!("netconsole: {device} is {card}");
            }
            target.go_by(place, serving(place));
        }
        Choice::Instead(place) => {
            if let Some(card) = name_of(place) {
                let here = Here(&candidates);
                log::warn!("netconsole: {device} doesn't exist; the cards here are {here}: using {card}");
            }
            target.go_by(place, serving(place));
        }
        Choice::NotYet if has_waited => target.give_up_waiting(),
        Choice::NotYet => {}
        Choice::Nothing => {
            let device =
                if device == DeviceSelector::Any { DeviceSelector::Name(DeviceName::ETH0) } else { device };
            target.fail(format_args!("{device} doesn't exist"));
        }
    }
}

/// Gives the cards of a target the source address that it names; another one that had it for want of a better keeps it
/// only for other targets.
fn give(
    address: IpAddr,
    number: usize,
    targets: &TargetTable,
    cards: &mut [Option<Card>; MAX_NICS],
    settings: &Settings,
    now: u64,
) {
    for (place, card) in cards.iter_mut().enumerate() {
        let Some(card) = card else { continue };
        if targets.get(number).is_some_and(|target| target.uses(place)) {
            card.give(address, settings, now);
        } else if !targets.iter().any(|target| target.uses(place)) {
            card.take_back(address, now);
        }
    }
}
