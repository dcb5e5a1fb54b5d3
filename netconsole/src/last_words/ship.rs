//! Sending when nothing else works any more: the cards brought up again, every target's records from the last one that
//! its card is known to have taken, the report included. All cards and targets take turns, so that none waits for the
//! cable of another, and whatever comes up as long as the machine stays gets its log.

use super::card::{Fate, PanicCard};
use super::conversations::Conversations;
use super::hear::{Heard, Question};
use super::leg::{Leg, Start};
use super::load::Load;
use super::marked::Marked;
use super::plan;
use super::report::Report;
use crate::format::Style;
use crate::memory::Memory;
use crate::nic::{BusAddress, PanicDriver};
use crate::plan::{CardSet, MAX_NICS, Plan, TargetCards, TargetPlan};
use crate::platform::{Platform, Probe, now, panic_waits, probe};
use crate::seal::Inputs;
use crate::settings::MAX_TARGETS;
use crate::targets::user_data::UserData;
use crate::wire::ipv4::MIN_MTU;
use crate::wire::{Envelope, MacAddr};
use core::marker::PhantomData;

/// How long a target's own card may be without link before the others send to all in its stead, in µs: a switch's
/// port needs seconds. One deadline for all cards, from the panic on.
const LINK_PATIENCE: u64 = 4_000_000;
/// How long all is tried that can be, in µs.
const LOG_PATIENCE: u64 = 60_000_000;
/// How many received frames a card's turn takes.
const FRAMES_PER_TURN: usize = 16;

/// How far the log has gone out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// By all links that are up, to every target that can be reached.
    Out,
    /// A target can be reached only by links that are down.
    AwaitsLink,
    /// It goes out.
    Sending,
}

/// The cards, and what goes where.
pub struct Shipment<'l, P> {
    report: Report,
    plan: Plan,
    /// The plan is the boot's, so that the positions in memory are those of its targets.
    is_known: bool,
    load: Load<'l>,
    /// When it began, in µs.
    begun: u64,
    cards: &'static mut [Option<PanicCard>; MAX_NICS],
    /// The cards that are open, or can't be opened.
    tried: CardSet,
    legs: &'static mut [[Leg; MAX_TARGETS]; MAX_NICS],
    conversations: Conversations,
    inputs: Inputs,
    user_data: &'static UserData,
    platform: PhantomData<fn() -> P>,
}

impl<'l, P: Platform> Shipment<'l, P> {
    /// Begins to send everything that the targets have not got, and the report once more for each of `repeats`.
    ///
    /// # Safety
    ///
    /// Whatever used the platform's cards before never runs again: the code that polls them in normal running, on
    /// whichever CPU, and an earlier start of the panic path.
    pub unsafe fn begin(load: Load<'l>, report: Report, repeats: u8) -> Self {
        let Memory { sizing, user_data, panic, .. } = P::memory();
        sizing.put_back(&mut P::pci());
        P::memory().panic.deadly_cards.begin();
        let (plan, is_known) = plan::find::<P>();
        // SAFETY: as the caller promises, what had them before never uses them again. Any content is valid for each.
        let (legs, drivers, conversations, user_data) = unsafe {
            (
                panic.legs.take_back(),
                panic.drivers.take_back(),
                panic.conversations.take_back(),
                user_data.take_back(),
            )
        };
        for (place, legs) in legs.iter_mut().enumerate() {
            for ((number, target), leg) in plan.targets.iter().enumerate().zip(legs) {
                *leg = target.as_ref().map_or(Leg::NONE, |target| {
                    Leg::new(start::<P>(&load, &report, is_known, place, number, target, repeats))
                });
            }
        }
        Self {
            report,
            plan,
            is_known,
            load,
            begun: now::<P>(),
            cards: drivers.write([const { None }; _]),
            tried: CardSet::NONE,
            legs,
            conversations: Conversations::new(conversations),
            inputs: Inputs::new(),
            user_data,
            platform: PhantomData,
        }
    }

    /// How long ago it began, in µs.
    pub fn age(&self) -> u64 {
        now::<P>().saturating_sub(self.begun)
    }

    /// Whether all has gone out that is waited for: a link that is down for `link_patience` µs, everything else for a
    /// minute.
    pub fn has_ended(&self, link_patience: u64) -> bool {
        let patience = match self.progress() {
            Progress::Out => 0,
            Progress::AwaitsLink => link_patience,
            Progress::Sending => LOG_PATIENCE,
        };
        self.age() >= patience
    }

    /// Gives each card its turn. Never waits, but for the reset of a card.
    pub fn poll(&mut self) {
        self.open_cards();
        for place in 0..MAX_NICS {
            self.turn(place);
        }
    }

    /// How far the log has gone out.
    pub fn progress(&self) -> Progress {
        let end = self.load.end::<P>();
        let mut progress = Progress::Out;
        for (number, target) in self.plan.targets() {
            let others_help = self.others_help(number, target);
            let own_is_gone = self.own_is_gone(target);
            let (mut is_out, mut awaits_link) = (false, false);
            for (place, card) in self.cards.iter().enumerate() {
                let (Some(card), Some(leg)) = (card, self.leg(place, number)) else { continue };
                if !card.is_alive() || !target.uses(place) && !others_help {
                    continue;
                }
                if card.link_since().is_some() {
                    if !leg.is_finished(end) {
                        return Progress::Sending;
                    }
                } else if !leg.is_out() {
                    awaits_link = true;
                }
                is_out |= leg.is_out() && (target.uses(place) || own_is_gone);
            }
            if awaits_link && (!is_out || self.age() < LINK_PATIENCE) {
                progress = Progress::AwaitsLink;
            }
        }
        progress
    }

    fn leg(&self, place: usize, number: usize) -> Option<&Leg> {
        self.legs.get(place)?.get(number)
    }

    /// Whether a target's own card can't send or has no link, so that the other cards send to all on their cables:
    /// perhaps the receiver is there too.
    fn others_help(&self, number: usize, target: &TargetPlan) -> bool {
        // The plan to broadcast goes by every card anyway.
        let TargetCards::One(own) = target.cards else { return false };
        let own = usize::from(own);
        if self.leg(own, number).is_some_and(Leg::is_out) {
            return false;
        }
        let has_link = matches!(self.cards.get(own), Some(Some(card)) if card.link_since().is_some());
        self.own_is_gone(target) || !has_link && self.age() >= LINK_PATIENCE
    }

    /// Whether a target's one card does not work, or is not there.
    fn own_is_gone(&self, target: &TargetPlan) -> bool {
        let TargetCards::One(own) = target.cards else { return false };
        !matches!(self.cards.get(usize::from(own)), Some(Some(card)) if card.is_alive())
    }

    /// Opens the cards that are needed: those of the targets first.
    fn open_cards(&mut self) {
        for place in 0..MAX_NICS {
            if self.plan.targets().any(|(_, target)| target.uses(place)) {
                self.open(place);
            }
        }
        if self.plan.targets().any(|(number, target)| self.others_help(number, target)) {
            (0..MAX_NICS).for_each(|place| self.open(place));
        }
    }

    /// Opens a card, unless that was tried before, or an earlier start has died at it.
    fn open(&mut self, place: usize) {
        if let Some(Some(address)) = self.plan.nics.get(place)
            && !self.tried.contains(place)
            && let Some(slot) = self.cards.get_mut(place)
            && !P::memory().panic.deadly_cards.has_died_at(place)
        {
            self.tried.insert(place);
            let Some(room) = P::card_room(place) else { return };
            // SAFETY: what had it before never uses it again, as the caller of `begin` promised, and this shipment takes it
            // once. Any content is valid.
            let memory = unsafe { room.panic.take_back() };
            let mark = P::memory().panic.deadly_cards.mark(place);
            let opened = mark.at(|| {
                probe::<P>(Probe::PanicCard);
                let (config, access, waits) = (P::pci(), P::access(), panic_waits::<P>());
                if let BusAddress::Pci(function) = *address
                    && let Some(card) = P::firmware_card(function)
                {
                    return PanicDriver::open_by_firmware(card, config, &access, waits, function, memory);
                }
                PanicDriver::open(config, &access, waits, *address, memory)
            });
            *slot = opened.ok().map(|nic| PanicCard::new(Marked { nic, mark }));
        }
    }

    /// One card's turn.
    fn turn(&mut self, place: usize) {
        let now = now::<P>();
        if self.look_at_card(place, now) {
            self.receive(place, now);
            self.send(place, now);
        }
    }

    /// Looks at what became of a card's frames, and at its link. True where it can take others.
    fn look_at_card(&mut self, place: usize, now: u64) -> bool {
        let Self { cards, legs, .. } = self;
        let (Some(Some(card)), Some(legs)) = (cards.get_mut(place), legs.get_mut(place)) else {
            return false;
        };
        let fate = card.poll(now);
        let (link_since, is_busy) = (card.link_since(), card.is_busy());
        match fate {
            Fate::Open => {}
            Fate::Lost => legs.iter_mut().for_each(Leg::frames_lost),
            Fate::Left => self.frames_left(place, now),
        }
        self.legs.get_mut(place).into_iter().flatten().for_each(|leg| leg.look_at_link(link_since));
        !is_busy && link_since.is_some()
    }

    /// A card's frames have left: notes how far each log has come, and begins the conversation of one that is out.
    fn frames_left(&mut self, place: usize, now: u64) {
        let Self { report, plan, is_known, load, legs, conversations, .. } = self;
        let Some(legs) = legs.get_mut(place) else { return };
        for (number, target) in plan.targets() {
            let Some(leg) = legs.get_mut(number) else { continue };
            let is_out_now = leg.frames_left(load.end::<P>(), now);
            if !target.uses(place) {
                continue;
            }
            if *is_known
                && matches!((target.cards, &*load), (TargetCards::One(_), Load::Log))
                && let Some(position) = P::memory().positions.get(number)
            {
                position.set(leg.left());
            }
            if is_out_now {
                conversations.begin::<P>(report, number, target, now);
            }
        }
    }

    /// Takes in what a card has received.
    fn receive(&mut self, place: usize, now: u64) {
        let Self { plan, cards, legs, conversations, inputs, .. } = self;
        let (Some(Some(card)), Some(legs)) = (cards.get_mut(place), legs.get_mut(place)) else { return };
        for _ in 0..FRAMES_PER_TURN {
            let mut heard = Heard::default();
            let mac = card.mac();
            if !card.receive(&mut |frame| {
                heard.take::<P>(frame, mac, plan, place, legs, conversations, inputs, now)
            }) {
                break;
            }
            heard.apply(card, plan, place, legs, now);
        }
    }

    /// Has a card send what its targets, and those that it helps, are to get.
    fn send(&mut self, place: usize, now: u64) {
        let mut helped = [false; MAX_TARGETS];
        for (number, target) in self.plan.targets() {
            if let Some(helped) = helped.get_mut(number) {
                *helped = self.others_help(number, target);
            }
        }
        let Self { report, plan, load, cards, legs, conversations, user_data, .. } = self;
        let (Some(Some(card)), Some(legs)) = (cards.get_mut(place), legs.get_mut(place)) else { return };
        for (number, target) in plan.targets() {
            let Some(leg) = legs.get_mut(number) else { continue };
            let is_own = target.uses(place);
            if !is_own && !helped.get(number).is_some_and(|&helped| helped) {
                continue;
            }
            let route = plan::route(plan, place, card.mac(), target, leg);
            let Some(envelope) = Envelope::new(route.own, route.target, route.vlan) else { continue };
            let envelope = envelope.with_mtu(usize::from(target.mtu).min(card.mtu()).max(MIN_MTU));
            if is_own
                && let Some(hop) = target.next_hop
                && leg.asks_now(now)
            {
                let owns_address = plan::owns_source(plan, place, card.mac(), target, now);
                let question = Question { own: route.own, owns_address, hop, vlan: target.vlan };
                _ = card.transmit(now, &mut |frame| question.write(frame).unwrap_or(0));
            }
            let style = Style {
                release: P::release(),
                host_name: plan.host_name.as_ref(),
                address: Some(route.own.ip),
                epoch: plan.epoch,
                user_data: user_data.whole_lines(number),
                system_data: target.system_data,
                ..Style::new(target.format, target.time)
            };
            if leg.wants_to_send(load.report(report), load.end::<P>(), now) {
                match load.queue::<P>(report, card, &style, target, &envelope, leg.cursor(), now) {
                    Ok(next) => leg.queued(next, now),
                    // The next turn resets it.
                    Err(_) => return,
                }
            }
            if is_own && target.may_ask {
                conversations.ship::<P>(report, number, target, style, &envelope, card, now);
            }
        }
        card.kick();
    }
}

/// What the leg of a target by a card begins with.
fn start<P: Platform>(
    load: &Load<'_>,
    report: &Report,
    is_known: bool,
    place: usize,
    number: usize,
    target: &TargetPlan,
    repeats: u8,
) -> Start {
    let is_unheard = target.unheard.contains(place);
    let first = if target.only_report { load.report(report) } else { 0 };
    let position = P::memory().positions.get(number).and_then(|position| position.get());
    let from = match position {
        _ if target.only_report || !is_known || matches!(load, Load::Fixed(_)) => first,
        // By which of its cards it has gone out, the position does not tell.
        _ if target.cards == TargetCards::EveryWithLink && is_unheard => first,
        // A position beyond the end is damaged as surely as one that fails its check.
        Some(position) if position <= load.end::<P>() => position,
        _ => first,
    };
    let is_own = target.uses(place);
    Start {
        from,
        unheard_from: if is_unheard { first } else { from },
        first_sent: target.first_sent.filter(|_| is_unheard),
        mac: if is_own { target.destination.mac } else { MacAddr::BROADCAST },
        asks: is_own && target.next_hop.is_some(),
        repeats,
    }
}
