//! What is known of the cards and targets, or what to do where nothing is.

use super::leg::Leg;
use crate::format::SystemData;
use crate::guarded::Word;
use crate::nic::{BusAddress, Model, is_mmio_card, pci};
use crate::plan::{CardSet, MAX_NICS, Plan, TargetCards, TargetPlan};
use crate::platform::Platform;
use crate::settings::{Format, TargetConfig};
use crate::stack::{link_local_ipv4, link_local_ipv6};
use crate::targets::asker::Route;
use crate::wire::{Endpoint, MacAddr};
use core::net::{IpAddr, Ipv4Addr};

/// What the boot published, and true; where that is damaged, a plan to broadcast by every card there is.
pub fn find<P: Platform>() -> (Plan, bool) {
    let known = P::memory().snapshot.read();
    let is_known = known.is_some();
    let mut plan = known.unwrap_or_else(broadcast::<P>);
    if plan.nics.iter().all(Option::is_none) {
        plan.nics = find_cards::<P>();
    }
    (plan, is_known)
}

/// The target as the card at `place` of the plan, of the address `mac`, sends to it.
pub fn route(plan: &Plan, place: usize, mac: MacAddr, target: &TargetPlan, leg: &Leg) -> Route {
    let has_own_mac = target.cards == TargetCards::EveryWithLink
        || target.source.mac == MacAddr([0; 6])
        || !target.uses(place);
    let own = Endpoint {
        mac: if has_own_mac { mac } else { target.source.mac },
        ip: source(plan, place, mac, target).0,
        port: target.source.port,
    };
    Route { own, target: Endpoint { mac: leg.mac(), ..target.destination }, vlan: target.vlan }
}

/// Whether the address that the card sends to the target from is this machine's at `now` µs. One whose lease is over is
/// not: the log goes on from it, but nobody is told that it is here, and nothing that is sent to it counts.
pub fn owns_source(plan: &Plan, place: usize, mac: MacAddr, target: &TargetPlan, now: u64) -> bool {
    now < source(plan, place, mac, target).1
}

/// The target's source address, else the card's own, else what a host without one may use on the link; and until when
/// it is this machine's. It is never 0.0.0.0, which receivers drop.
fn source(plan: &Plan, place: usize, mac: MacAddr, target: &TargetPlan) -> (IpAddr, u64) {
    match target.source.ip {
        IpAddr::V6(ip) if ip.is_unspecified() => (link_local_ipv6(mac).into(), u64::MAX),
        IpAddr::V4(ip) if ip.is_unspecified() => {
            let own = plan.addresses.get(place).copied().flatten().filter(|_| target.vlan.is_none());
            own.map_or((link_local_ipv4(mac).into(), u64::MAX), |own| (own.ip.into(), own.owned_until))
        }
        ip => (ip, target.owned_until),
    }
}

/// Where nothing is known of the targets but that there are some: to everybody who listens on the default port.
fn broadcast<P: Platform>() -> Plan {
    let mut plan = Plan { nics: find_cards::<P>(), ..Plan::default() };
    // Without one, nobody was to get the log.
    if P::memory().has_targets.get() != Some(1) {
        return plan;
    }
    if let Some(target) = plan.targets.first_mut() {
        *target = Some(TargetPlan {
            cards: TargetCards::EveryWithLink,
            next_hop: None,
            unheard: CardSet::ALL,
            first_sent: None,
            mtu: u16::MAX,
            source: Endpoint {
                mac: MacAddr([0; 6]),
                ip: Ipv4Addr::UNSPECIFIED.into(),
                port: TargetConfig::LOCAL_PORT,
            },
            owned_until: 0,
            destination: Endpoint {
                mac: MacAddr::BROADCAST,
                ip: TargetConfig::REMOTE_IP,
                port: TargetConfig::REMOTE_PORT,
            },
            vlan: None,
            format: Format::Basic,
            limit: 8,
            time: true,
            only_report: false,
            may_ask: false,
            has_answered: false,
            system_data: SystemData::NONE,
        });
    }
    plan
}

/// The first network cards on the PCI buses, and at the places of others that are undamaged.
fn find_cards<P: Platform>() -> [Option<BusAddress>; MAX_NICS] {
    let mut found = [None; MAX_NICS];
    let mut free = found.iter_mut();
    let config = P::pci();
    pci::for_each_function(&config, P::root_buses(), |function| {
        let is_card =
            P::firmware_card(function).is_some() || Model::of(pci::ids(&config, function)).is_some();
        if is_card && let Some(slot) = free.next() {
            *slot = Some(BusAddress::Pci(function));
        }
    });
    let addresses = P::memory().mmio_cards.iter().filter_map(Word::get).filter(|&address| address != 0);
    for address in addresses.filter(|&address| is_mmio_card(address, &P::access().addresses) == Ok(true)) {
        if let Some(slot) = free.next() {
            *slot = Some(BusAddress::Mmio(address));
        }
    }
    found
}
