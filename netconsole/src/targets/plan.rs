//! What the panic path must know of a target.

use super::lane::{Lane, State};
use super::voice::Voice;
use super::{Common, Target};
use crate::format::SystemData;
use crate::plan::{CardSet, TargetCards, TargetPlan};
use crate::settings::{DeviceSelector, Format, TargetConfig};
use crate::stack::Stack;
use crate::wire::multicast::{is_broadcast, multicast_mac};
use crate::wire::{Endpoint, MacAddr, ethernet};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

impl Target {
    /// By which cards the panic path sends to it; `named` is the place of the card that it names, 255 where there is
    /// none or it is not known yet.
    fn planned_cards(&self, named: u8) -> TargetCards {
        let place = |lane: &Lane| lane.card.and_then(|card| u8::try_from(card).ok());
        let is_quiet = |lane: &Lane| matches!(lane.voice, Voice::Quiet { .. });
        let mut speaking = self.lanes.iter().filter(|lane| lane.is_speaking());
        match (speaking.next(), speaking.next()) {
            // The others are on the same network.
            (Some(one), None) if self.lanes.iter().any(is_quiet) => {
                place(one).map_or(TargetCards::EveryWithLink, TargetCards::One)
            }
            _ if self.is_everywhere => TargetCards::EveryWithLink,
            // Which card reaches it is not known yet.
            _ if self.wants_cards() && self.config.device == DeviceSelector::Any => {
                TargetCards::EveryWithLink
            }
            _ => TargetCards::One(self.lanes.first().and_then(place).unwrap_or(named)),
        }
    }

    /// What the panic path must know to send to this target; `named` is the place of the card that it names, 255
    /// where there is none or it is not known yet, and `stack` knows the addresses of the card at a place, in the
    /// target's VLAN. Before these are known, as much as the configuration says.
    #[inline(never)]
    pub fn plan<'s>(
        &self,
        named: u8,
        stack: &dyn Fn(u8) -> Option<&'s Stack<'s>>,
        common: &Common,
    ) -> Option<TargetPlan> {
        if !self.is_enabled() {
            return None;
        }
        let config = &self.config;
        let cards = self.planned_cards(named);
        let one = self.lanes.iter().find_map(|lane| match (lane.state, cards) {
            (State::Running(route), TargetCards::One(card)) if lane.card == Some(card.into()) => Some(route),
            _ => None,
        });
        let stack = match cards {
            TargetCards::One(place) => stack(place),
            TargetCards::EveryWithLink => None,
        };
        let (source, destination, next_hop) = match one {
            Some(route) => {
                // The panic path sends one way: rather by the address that was given, which may be a router's.
                let mac = route.given_too.unwrap_or(route.destination.mac);
                (route.source, Endpoint { mac, ..route.destination }, route.next_hop)
            }
            None => configured_ends(config, stack),
        };
        if common.spares_everybody && destination.mac.is_multicast() {
            return None;
        }
        let running = || self.lanes.iter().filter(|lane| lane.is_running());
        let mut heard = running().filter(|lane| lane.unheard.is_none()).peekable();
        let mut unheard = CardSet::ALL;
        if !self.is_everywhere && heard.peek().is_some() {
            unheard = CardSet::NONE;
        }
        heard.filter_map(|lane| lane.card).for_each(|card| unheard.remove(card));
        let mtu = one.map_or(ethernet::MTU, |route| route.envelope.mtu());
        let mtu = u16::try_from(mtu).unwrap_or(u16::MAX);
        Some(TargetPlan {
            cards,
            source,
            owned_until: stack.map_or(u64::MAX, |stack| stack.owned_until(source.ip)),
            destination,
            next_hop,
            unheard,
            first_sent: running().filter_map(Lane::first_unheard).min(),
            mtu,
            vlan: self.vlan(),
            format: config.format,
            limit: common.filter.limit_for(self.loglevel),
            time: common.style.time,
            only_report: common.filter.oops_only,
            may_ask: common.ncrx && matches!(config.format, Format::Extended { .. }),
            has_answered: self.ncrx.has_answered(),
            system_data: SystemData { message_id: None, ..self.system_data },
        })
    }
}

/// From where to where the configuration alone sends, and whose Ethernet address is to be asked for, if that of the
/// receiver is not known.
fn configured_ends(config: &TargetConfig, stack: Option<&Stack<'_>>) -> (Endpoint, Endpoint, Option<IpAddr>) {
    let unspecified = match config.remote_ip {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let ip = config.local_ip.unwrap_or(unspecified);
    let group = match config.remote_ip {
        IpAddr::V4(ip) if is_broadcast(ip, None) => Some(MacAddr::BROADCAST),
        ip => multicast_mac(ip),
    };
    let known = config.remote_mac.or(group);
    let mac = known.unwrap_or(MacAddr::BROADCAST);
    // Where the gateway is not known either, a router may answer for the target.
    let next_hop = || stack.map_or(config.remote_ip, |stack| stack.next_hop(config.remote_ip));
    (
        Endpoint { mac: MacAddr([0; 6]), ip, port: config.local_port },
        Endpoint { mac, ip: config.remote_ip, port: config.remote_port },
        known.is_none().then(next_hop),
    )
}
