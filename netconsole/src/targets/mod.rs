//! A target: from its configuration to frames on its interface.
//!
//! A target goes through the same stations each time that it starts: its card, the link, a source
//! address, the Ethernet address of the receiver. Then it ships every record of the ring from its own
//! position on, in order, whatever other targets do. One for which no device was named, and which all
//! stations hear, does so by every card; each card has its own position in the same log.
//!
//! What went out while nothing showed that anybody could hear it goes out again, once, when something does.
//!
//! It knows nothing of `console` and `last_words`.

pub mod asker;
pub mod attribute;
pub mod choice;
mod lane;
pub mod life;
mod name;
mod outcome;
pub mod path_name;
mod plan;
mod shipping;
mod step;
pub mod table;
#[cfg(all(test, not(loom)))]
mod tests;
mod turns;
pub mod user_data;
mod voice;

pub use name::TargetName;
pub use outcome::{Counters, Reception};
pub use shipping::{Shipped, Turn};
pub use step::{Interface, Moment};
pub use voice::Hearing;

use crate::format::{SharedStyle, SystemData};
use crate::ncrx::{self, Ncrx};
use crate::plan::{CardSet, MAX_NICS};
use crate::ring::ALWAYS;
use crate::settings::{DeviceName, DeviceSelector, Format, TargetConfig};
use crate::wire::{Endpoint, udp};
use core::fmt;
use lane::{Lane, Need, Route, State, find_route, tell_start};
use voice::Voice;

/// What holds for all targets, beside what each is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Common {
    /// Which records go out.
    pub filter: LogFilter,
    /// What their messages have in common.
    pub style: SharedStyle,
    /// Whether receivers may ask for records again (`netconsole.ncrx`).
    pub ncrx: bool,
    /// Whether nothing may go to everybody or to a group.
    pub spares_everybody: bool,
}

/// What decides whether a record goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogFilter {
    /// Records with a lower level number go out (`loglevel=`, `dmesg -n`).
    pub limit: u8,
    /// All go out, whatever the limits say (`ignore_loglevel`).
    pub ignore_limits: bool,
    /// None goes to a target before a panic (`netconsole.oops_only`).
    pub oops_only: bool,
}

impl LogFilter {
    /// The limit that holds for a target with an `own` one, or without.
    pub const fn limit_for(&self, own: Option<u8>) -> u8 {
        match own {
            _ if self.ignore_limits => 8,
            Some(limit) => limit,
            None => self.limit,
        }
    }
}

/// One target.
pub struct Target {
    name: TargetName,
    /// What it is told to do.
    pub config: TargetConfig,
    /// `release` was asked for before `extended`, which it needs.
    pub(super) release_alone: bool,
    /// Its own limit of levels, in place of [`LogFilter::limit`].
    pub(super) loglevel: Option<u8>,
    /// What the kernel adds to its messages; the message id is the first one's.
    pub(super) system_data: SystemData,
    /// Another card may serve where there is none as it was named.
    takes_another: bool,
    /// It goes by every card, each on the lane of its place; else by one on the first lane.
    is_everywhere: bool,
    /// The card that serves in place of what was named, if any.
    pub(super) serving: Option<DeviceName>,
    lanes: [Lane; MAX_NICS],
    /// When its turn began among those that are the same by other cards, where it is its turn.
    turn_begun: Option<u64>,
    counters: Counters,
    ncrx: Ncrx,
}

impl Target {
    /// A target that starts from the log's oldest record once it is enabled.
    pub const fn new(name: TargetName, config: TargetConfig) -> Self {
        Self {
            name,
            config,
            release_alone: false,
            loglevel: None,
            system_data: SystemData::NONE,
            takes_another: false,
            is_everywhere: false,
            serving: None,
            lanes: [const { Lane::new() }; MAX_NICS],
            turn_begun: None,
            counters: Counters {
                records: 0,
                datagrams: 0,
                bytes: 0,
                lost: 0,
                filtered: 0,
                repeated: 0,
                errors: 0,
            },
            ncrx: Ncrx::new(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Whether it sends by the card of this place, in a VLAN or not.
    pub fn uses(&self, card: usize) -> bool {
        self.lane(card).is_some()
    }

    /// The VLAN that it sends in, if any.
    pub fn vlan(&self) -> Option<u16> {
        self.config.device.vlan().map(|(_, vlan)| vlan)
    }

    /// The device that serves, as far as that is known, or as it was named.
    pub fn device(&self) -> DeviceSelector {
        self.serving.map_or(self.config.device, DeviceSelector::Name)
    }

    /// What it has sent and lost.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// What its receiver asked for and got.
    pub fn ncrx_counters(&self) -> ncrx::Counters {
        self.ncrx.counters()
    }

    /// Datagrams queued so far, whatever for.
    pub fn datagrams(&self) -> u64 {
        self.counters.datagrams.wrapping_add(self.ncrx.counters().datagrams)
    }

    /// Whether a receiver that answers has not yet acknowledged all that it was sent.
    pub fn is_unacknowledged(&self) -> bool {
        self.is_running() && self.ncrx.is_unacknowledged()
    }

    /// What shows that what it has sent so far was heard.
    pub fn reception(&self) -> Reception {
        if self.ncrx.has_answered() {
            return if self.is_unacknowledged() { Reception::Unheard } else { Reception::Acknowledged };
        }
        let is_heard = |lane: &Lane| lane.is_running() && lane.unheard.is_none();
        if self.lanes.iter().any(is_heard) { Reception::Heard } else { Reception::Unheard }
    }

    /// Takes in a datagram that arrived at `card` at `now` µs, where it is the receiver's answer by the ncrx protocol.
    pub fn hear(&mut self, card: usize, received: &udp::Received<'_>, common: &Common, now: u64) {
        if let Some(Lane { state: State::Running(route), cursor, .. }) = self.lane(card)
            && common.ncrx
            && matches!(self.config.format, Format::Extended { .. })
            && self.ends(route).may_answer(received)
        {
            let sent = 0..cursor.sequence();
            self.ncrx.hear(received.payload, sent, now);
        }
    }

    /// Whether a datagram that arrived at `card` comes from the address that it sends to by that one while it runs, and
    /// may be a command.
    pub fn may_command(&self, card: usize, received: &udp::Received<'_>) -> bool {
        self.lane(card).is_some_and(|lane| match &lane.state {
            State::Running(route) => self.ends(route).may_command(received),
            _ => false,
        })
    }

    fn ends(&self, route: &Route) -> asker::Route {
        asker::Route { own: route.source, target: route.destination, vlan: self.vlan() }
    }

    /// Whether it ships or waits for what it needs to.
    pub fn is_enabled(&self) -> bool {
        self.lanes.iter().any(Lane::is_enabled)
    }

    /// What it is doing, in a word; of several cards, on the one that came farthest.
    pub fn state(&self) -> &'static str {
        let word = |state: &State| match state {
            State::Disabled => (0, "disabled"),
            State::Failed => (1, "failed"),
            State::Waiting { need: Need::Card, .. } => (2, "waiting for a card that reaches the target"),
            State::Waiting { need: Need::Link, .. } => (3, "waiting for the link"),
            State::Waiting { need: Need::SourceAddress, .. } => (4, "waiting for an address"),
            State::Waiting { need: Need::EthernetAddress | Need::Answer, .. } => {
                (5, "waiting for the remote ethernet address")
            }
            State::Waiting { need: Need::OneReceiver, .. } => (1, "failed"),
            State::Running(_) => (6, "started"),
        };
        self.lanes.iter().map(|lane| word(&lane.state)).max().map_or("disabled", |(_, word)| word)
    }

    /// Where it sends from and to, while it runs; of several cards, by the first.
    pub fn endpoints(&self) -> Option<(Endpoint, Endpoint)> {
        self.lanes.iter().find_map(|lane| match lane.state {
            State::Running(route) => Some((route.source, route.destination)),
            _ => None,
        })
    }

    /// Asks for a moment between two records, in which what its messages look like may change; true
    /// where this is one. Else it goes on with the record under way, begins no other in that turn, and
    /// is to be asked again after it.
    pub fn settle(&mut self) -> bool {
        self.ncrx.interrupt();
        self.lanes.iter_mut().for_each(|lane| lane.settling = !lane.cursor.is_at_begin());
        !self.is_settling()
    }

    /// Whether it was asked to [`settle`](Self::settle) and has not come to that moment yet: to be asked after each
    /// turn.
    pub fn is_settling(&self) -> bool {
        self.lanes.iter().any(|lane| lane.settling)
    }

    /// Begins with the log's oldest record again: its receiver is another one.
    pub(super) fn begin_anew(&mut self) {
        self.lanes.iter_mut().for_each(|lane| lane.go_to(0));
        self.ncrx = Ncrx::new();
    }

    /// Its messages are counted from the first id on again.
    pub(super) fn restart_message_ids(&mut self) {
        self.lanes.iter_mut().for_each(|lane| lane.messages = 0);
    }

    /// Whether it ships.
    pub fn is_running(&self) -> bool {
        self.lanes.iter().any(Lane::is_running)
    }

    /// On how many cards it ships.
    pub fn ways(&self) -> usize {
        self.lanes.iter().filter(|lane| lane.is_running()).count()
    }

    /// Whether it will not start soon: it failed, or waits longer than the boot waits with it.
    pub fn is_given_up(&self) -> bool {
        let is_hopeful =
            |lane: &Lane| lane.is_running() || matches!(lane.state, State::Waiting { told: false, .. });
        !self.lanes.iter().any(is_hopeful)
    }

    /// Whether a card of it ships and has not queued everything before the sequence number `end`.
    pub fn is_behind(&self, end: u64) -> bool {
        self.lanes.iter().any(|lane| lane.has_a_say() && lane.cursor.sequence() < end)
    }

    /// Whether `card` ships and has not taken everything before the sequence number `end`.
    pub fn is_sending(&self, card: usize, end: u64) -> bool {
        self.lane(card).is_some_and(|lane| lane.is_waiting_to_send(end))
    }

    /// Everything before this sequence number has been handed over and taken by the cards that send.
    pub fn taken(&self) -> u64 {
        let least = |is_one: fn(&Lane) -> bool| {
            let lanes = self.lanes.iter().filter(|lane| lane.card.is_some() && is_one(lane));
            lanes.map(|lane| lane.taken).min()
        };
        match &self.lanes {
            [first, ..] if !self.is_everywhere => first.taken,
            _ => least(Lane::is_speaking).or_else(|| least(Lane::is_running)).unwrap_or(0),
        }
    }

    /// Starts it at `now` µs, by the device that is named and no other; the steps follow in
    /// [`advance`](Self::advance).
    pub fn enable(&mut self, now: u64) {
        if self.is_enabled() {
            return;
        }
        (self.takes_another, self.is_everywhere, self.serving) = (false, false, None);
        for lane in &mut self.lanes {
            (lane.card, lane.state) = (None, State::Disabled);
        }
        if let Some(first) = self.lanes.first_mut() {
            first.wait(None, Need::Card, now);
        }
    }

    /// As [`enable`](Self::enable), at boot, when nobody can put right what was named wrongly: another card may serve.
    pub fn enable_at_boot(&mut self, now: u64) {
        self.enable(now);
        self.takes_another = true;
    }

    /// Whether another card may serve where there is none as it was named.
    pub fn takes_another(&self) -> bool {
        self.takes_another
    }

    /// Whether it waits to be told by which cards it goes.
    pub fn wants_cards(&self) -> bool {
        self.lanes.first().is_some_and(|lane| lane.card.is_none() && lane.is_enabled())
    }

    /// Whether it has waited for its cards as long as the boot waits with it.
    pub fn has_waited(&self, moment: &Moment<'_>) -> bool {
        self.lanes.first().is_some_and(|lane| match lane.state {
            State::Waiting { since, .. } => moment.now.saturating_sub(since) >= moment.carrier_timeout,
            _ => false,
        })
    }

    /// It will wait longer than the boot waits with it.
    pub fn give_up_waiting(&mut self) {
        if let Some(Lane { state: State::Waiting { told, .. }, .. }) = self.lanes.first_mut()
            && !core::mem::replace(told, true)
        {
            log::warn!("netconsole: timeout waiting for carrier");
        }
    }

    /// It goes by the card of this place, which has the name `serving` where another or none was named.
    pub fn go_by(&mut self, card: usize, serving: Option<DeviceName>) {
        self.serving = serving;
        if let Some(first) = self.lanes.first_mut() {
            first.card = Some(card);
        }
    }

    /// It goes by all these cards, given by their places.
    pub fn go_everywhere(&mut self, cards: CardSet, now: u64) {
        self.is_everywhere = true;
        for (place, lane) in self.lanes.iter_mut().enumerate() {
            if cards.contains(place) {
                lane.wait(Some(place), Need::Link, now);
            } else {
                lane.stop(State::Disabled);
            }
        }
    }

    /// Gives it up, and logs why.
    pub fn fail(&mut self, why: fmt::Arguments<'_>) {
        if let Some(first) = self.lanes.first_mut() {
            first.fail(why);
        }
    }

    /// Stops it and says so.
    pub fn disable(&mut self) {
        if self.is_running() {
            log::info!(target: ALWAYS, "netconsole: network logging stopped");
        }
        self.lanes.iter_mut().for_each(|lane| lane.stop(State::Disabled));
    }

    /// Takes the next step towards running on the card of this place, and keeps up with changes of address while it
    /// runs. `interface` is that card's, or that of the VLAN on it, if it exists.
    pub fn advance(&mut self, card: usize, interface: Option<&mut Interface<'_, '_>>, moment: &Moment<'_>) {
        let (now, is_first) = (moment.now, !self.is_running());
        let has_company = self.lanes.iter().any(|lane| lane.card != Some(card) && lane.is_speaking());
        let Self { config, lanes, counters, .. } = self;
        let Some(lane) = lanes.iter_mut().find(|lane| lane.card == Some(card)) else { return };
        match lane.state {
            State::Disabled | State::Failed => {}
            State::Waiting { need, since, told } => {
                if let Some(why) = moment.keys.protection().silence() {
                    return lane.fail(format_args!("{why}: nothing goes out"));
                }
                let Some(interface) = interface else {
                    return lane.fail(format_args!("{} doesn't exist", config.device));
                };
                match find_route(config, interface, moment) {
                    Ok(route) => {
                        if config.local_ip.is_some() && !interface.stack.owns(route.source.ip) {
                            // As on Linux it sends all the same.
                            let (ip, name) = (route.source.ip, interface.name);
                            log::warn!(
                                "netconsole: {ip} is no address of {name}: no answer to it will arrive"
                            );
                        }
                        if is_first {
                            tell_start(interface.name, &route);
                        } else {
                            let (ip, from) = (route.destination.ip, route.source.ip);
                            log::info!("netconsole: to {ip} by {} too, from {from}", interface.name);
                        }
                        lane.start(route, interface, has_company, now);
                    }
                    Err(Need::SourceAddress) if config.remote_ip.is_ipv4() && !interface.ipv4_may_come => {
                        lane.fail(format_args!("no IP address for {}", interface.name));
                    }
                    Err(Need::OneReceiver) => lane.fail(format_args!(
                        "{} is everybody or a group on {}, who are not to have the log of a Linux (linux.broadcast=0)",
                        config.remote_ip, interface.name
                    )),
                    Err(Need::Answer) => {
                        if need != Need::Answer {
                            let ip = config.remote_ip;
                            log::warn!("netconsole: nobody answers for {ip}: waiting until somebody does");
                        }
                        // The boot goes on.
                        lane.state = State::Waiting { need: Need::Answer, since: now, told: true };
                    }
                    Err(next) if next != need => {
                        lane.state = State::Waiting { need: next, since: now, told };
                    }
                    Err(Need::Link) if !told && now.saturating_sub(since) >= moment.carrier_timeout => {
                        if is_first {
                            log::warn!("netconsole: {}: timeout waiting for carrier", interface.name);
                        }
                        lane.state = State::Waiting { need, since, told: true };
                    }
                    Err(_) => {}
                }
            }
            State::Running(_) => {
                if let Some(interface) = interface.filter(|interface| interface.link_is_up) {
                    let again = lane.keep_up(config, interface, has_company, moment);
                    counters.repeated = counters.repeated.wrapping_add(again);
                }
            }
        }
    }

    /// Has one card alone speak where several of this machine are on the same network; `hearing` says which hear
    /// one another. To be called after [`advance`](Self::advance).
    pub fn settle_voices(&mut self, hearing: &Hearing, now: u64) {
        if !self.is_everywhere || self.ways() < 2 {
            return;
        }
        for own in 0..MAX_NICS {
            // Each sees what the ones before have become.
            let voices = core::array::from_fn(|place| {
                self.lanes.get(place).filter(|lane| lane.is_alive()).map(|lane| lane.voice)
            });
            let Some(lane) = self.lanes.get(own).filter(|lane| lane.is_alive()) else { continue };
            let before = lane.voice;
            let hears = |place: usize| hearing.get(own).and_then(|heard| *heard.get(place)?).is_some();
            // What a card has sent for certain where this one hears it need not be sent again.
            let heard = self.lanes.iter().enumerate().filter(|(place, lane)| {
                *place != own
                    && (before == Voice::Quiet { behind: *place } || lane.is_speaking() && hears(*place))
            });
            let sent = heard.map(|(_, lane)| (lane.confirmed, lane.cursor.sequence())).max();
            let Some(lane) = self.lanes.get_mut(own) else { continue };
            lane.settle_voice(own, &voices, hearing, now);
            if let Some((confirmed, queued)) = sent.filter(|_| before != Voice::Speaking) {
                let is_relieving = lane.voice == Voice::Speaking;
                lane.go_to(lane.cursor.sequence().max(if is_relieving { queued } else { confirmed }));
            }
        }
    }

    /// The card has finished with every frame.
    pub fn was_taken(&mut self, card: usize) {
        if let Some(lane) = self.lane_mut(card) {
            lane.taken = lane.cursor.sequence();
        }
    }

    /// The link is up, and was so while the card took what it has taken until now.
    pub fn confirm(&mut self, card: usize) {
        if let Some(lane) = self.lane_mut(card) {
            lane.confirmed = lane.taken;
        }
    }

    /// The card failed: goes back to the last record that is known to have left, better twice than never.
    pub fn rewind(&mut self, card: usize) {
        let again = self.lane_mut(card).map_or(0, Lane::rewind);
        self.counters.repeated = self.counters.repeated.wrapping_add(again);
    }

    /// The link failed: goes back likewise, and on the next one nobody has shown yet that anything is heard.
    pub fn lose_link(&mut self, card: usize) {
        let again = self.lane_mut(card).map_or(0, Lane::lose_link);
        self.counters.repeated = self.counters.repeated.wrapping_add(again);
    }

    fn lane(&self, card: usize) -> Option<&Lane> {
        self.lanes.iter().find(|lane| lane.card == Some(card))
    }

    fn lane_mut(&mut self, card: usize) -> Option<&mut Lane> {
        self.lanes.iter_mut().find(|lane| lane.card == Some(card))
    }
}
