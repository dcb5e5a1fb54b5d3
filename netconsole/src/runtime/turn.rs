//! What one turn looks at beside shipping: links, targets, what was received, commands, and what the panic path is told.

use super::card::{Card, LinkLook};
use super::choose;
use super::find::moment;
use super::host::View;
use super::state::State;
use crate::format::SharedStyle;
use crate::plan::{MAX_NICS, Plan};
use crate::platform::{Platform, Probe, probe};
use crate::ring::Timebase;
use crate::seal::MAX_INPUT;
use crate::settings::{DeviceName, DeviceSelector};
use crate::targets::{Moment, Target};
use crate::wire::{MacAddr, udp};

/// How often the cards are looked at for what they received while there is more of the log to ship, in µs; everything so
/// often for each target that ships, since such a look costs as much as many records, for each of them.
const LOOK_INTERVAL: u64 = 100;

impl State {
    /// One look at everything; false where nothing is left to do before something happens.
    #[inline]
    pub fn turn<P: Platform>(&mut self, timebase: &Timebase, now: u64) -> bool {
        // A command that waits for a target must see each of its turns.
        if now < self.look_at
            && !self.targets.iter().any(Target::is_settling)
            && self.ship::<P>(timebase, now)
        {
            if now >= self.receive_at {
                self.receive::<P>(now);
            }
            return true;
        }
        self.look_at = now.saturating_add(LOOK_INTERVAL.saturating_mul(self.running_targets()));
        if !self.are_cards_known {
            self.know_cards::<P>(now);
        }
        self.look_at_links(now);
        self.advance_targets::<P>(now);
        self.take_host_name();
        self.publish::<P>();
        self.fall_back::<P>(now);
        // The log first: what the cards' own stacks have to say can wait.
        let shipping = self.ship::<P>(timebase, now);
        self.receive::<P>(now);
        self.wall_clock.poll(&mut self.cards, P::ticks(), now);
        let commanding = self.consoles.poll::<P>(View {
            now,
            common: &mut self.common,
            cards: &mut self.cards,
            targets: &mut self.targets,
        });
        self.statistics.poll(&self.targets, self.consoles, now);
        shipping || commanding
    }

    /// Tells the targets what their cards' links have done.
    fn look_at_links(&mut self, now: u64) {
        for place in 0..MAX_NICS {
            let Some(card) = self.cards.get_mut(place).and_then(Option::as_mut) else { continue };
            let look = card.look_at_link(now);
            for target in self.targets.iter_mut() {
                match look {
                    LinkLook::StillUp => target.confirm(place),
                    LinkLook::Lost => target.lose_link(place),
                    LinkLook::OfNoMatter => {}
                }
            }
            if look == LinkLook::Lost {
                self.cards.iter_mut().flatten().for_each(|card| card.life.forget_sibling(place));
            }
        }
    }

    /// Brings each target a step nearer to its start, on a VLAN that is made where it wants one.
    fn advance_targets<P: Platform>(&mut self, now: u64) {
        let settings = self.settings;
        let circumstances = Moment {
            keys: &P::memory().keys,
            ring: P::ring(),
            now,
            carrier_timeout: self.carrier_timeout(),
            asks_for_given: self.settings.ships_another_log,
            spares_everybody: self.settings.spares_everybody(),
        };
        choose::cards(&mut self.targets, &mut self.cards, settings, &circumstances);
        // One that waits for its turn asks nobody for anything.
        let is_due = |target: &&mut Target| target.is_enabled() && !target.waits_for_its_turn();
        for target in self.targets.iter_mut().filter(is_due) {
            for (place, card) in self.cards.iter_mut().enumerate() {
                let Some(card) = card.as_mut().filter(|_| target.uses(place)) else { continue };
                let vlan = target.vlan();
                if let Some(id) = vlan
                    && !target.is_running()
                    && !card.has_vlan(id)
                    && let Some(memory) = self.vlans.next()
                {
                    card.add_vlan(id, &target.config, memory, settings, moment::<P>(now));
                }
                target.advance(place, card.interface(vlan).as_mut(), &circumstances);
            }
        }
        let cards = &self.cards;
        if self.settings.ships_another_log {
            self.targets.take_turns(now);
        }
        if cards.iter().flatten().nth(1).is_some() {
            let hears = |listener: usize, speaker| cards.get(listener)?.as_ref()?.life.hears(speaker);
            let hearing =
                core::array::from_fn(|listener| core::array::from_fn(|speaker| hears(listener, speaker)));
            self.targets.iter_mut().for_each(|target| target.settle_voices(&hearing, now));
        }
    }

    /// Broadcasts what is wrong with the settings, until somebody makes a target.
    fn fall_back<P: Platform>(&mut self, now: u64) {
        if self.targets.iter().next().is_some() {
            self.fallback = None;
        }
        if let Some(fallback) = &mut self.fallback {
            fallback.poll(&mut self.cards, &P::memory().keys, now);
        }
    }

    /// Has each card's stack look at what was received, and hands datagrams to whom they are for.
    fn receive<P: Platform>(&mut self, now: u64) {
        self.receive_at = now.saturating_add(LOOK_INTERVAL);
        for (number, card) in self.cards.iter_mut().enumerate() {
            let Some(card) = card else { continue };
            let (consoles, targets) = (&mut *self.consoles, &mut self.targets);
            card.poll(now, &mut |datagram| {
                probe::<P>(Probe::Receive);
                if let Some(epoch) = self.wall_clock.take(datagram, now) {
                    self.common.style.epoch = Some(epoch.saturating_sub(P::ring().origin()));
                    return;
                }
                let mut buffer = [0; MAX_INPUT];
                let protection = P::memory().keys.protection();
                let input = protection.input(datagram.payload, &mut self.inputs, &mut buffer);
                let Some(payload) = input else { return consoles.refuse() };
                let datagram = &udp::Received { payload, ..*datagram };
                targets.hear(number, datagram, &self.common, now);
                consoles.take(targets, number, datagram, now);
            });
        }
    }

    /// Goes by the name that DHCP gave, where the settings give none.
    fn take_host_name(&mut self) {
        if self.common.style.host_name.is_none()
            && let Some(name) = self.cards.iter().flatten().find_map(Card::host_name)
        {
            log::info!("dhcp: host name {name}");
            self.common.style.host_name = Some(name);
        }
    }

    /// Tells the panic path of the targets, where anything has changed.
    pub fn publish<P: Platform>(&mut self) {
        let SharedStyle { host_name, epoch, .. } = self.common.style;
        let mut plan = Plan { host_name, epoch, ..Plan::default() };
        for ((nic, address), card) in plan.nics.iter_mut().zip(&mut plan.addresses).zip(&self.cards) {
            *nic = card.as_ref().map(|card| card.place);
            *address = card.as_ref().and_then(Card::address);
        }
        for (number, target) in self.targets.numbered() {
            let Some(slot) = plan.targets.get_mut(number) else { continue };
            let card = |place: u8| self.cards.get(usize::from(place))?.as_ref();
            let stack = |place: u8| card(place)?.stack(target.vlan());
            *slot = target.plan(place_of(&target.config.device, card), &stack, &self.common);
        }
        if self.published != Some(plan) {
            tell_panic_path::<P>(&plan);
            self.published = Some(plan);
        }
    }
}

/// Has the panic path know this plan.
#[inline(never)]
pub fn tell_panic_path<P: Platform>(plan: &Plan) {
    let memory = P::memory();
    memory.snapshot.publish(plan);
    memory.has_targets.set(plan.targets.iter().any(Option::is_some).into());
}

/// The place among the cards of the one that `device` means. Before they were looked for, what its name
/// says; 255 where that is not known, or there is none.
pub fn place_of<'c>(device: &DeviceSelector, card: impl Fn(u8) -> Option<&'c Card>) -> u8 {
    let means = |name: DeviceName, mac: MacAddr| {
        device.is(name, mac) || device.vlan().is_some_and(|(card, _)| card == name)
    };
    let is_here = |&place: &u8| match card(place) {
        Some(card) => means(card.name, card.mac()),
        None => DeviceName::ethernet(place).is_some_and(|name| means(name, MacAddr([0; 6]))),
    };
    (0..).take(MAX_NICS).find(is_here).unwrap_or(u8::MAX)
}
