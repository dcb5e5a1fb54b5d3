//! A target's way by one card: the stations up to its start, and how far the log has come on it.

use super::voice::{self, Voice};
use super::{Interface, Moment};
use crate::format::Cursor;
use crate::plan::MAX_NICS;
use crate::ring::ALWAYS;
use crate::settings::TargetConfig;
use crate::stack::Resolution;
use crate::wire::{Endpoint, Envelope, MacAddr, ipv6};
use core::fmt;
use core::net::IpAddr;

/// What a lane waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Card,
    Link,
    SourceAddress,
    EthernetAddress,
    /// Nobody has answered for it in time, and it is not to be broadcast.
    Answer,
    /// It leads to everybody or to a group, who are not to have the log.
    OneReceiver,
}

#[derive(Clone, Copy)]
pub(super) enum State {
    /// Not to run.
    Disabled,
    /// Given up, until the target is enabled again.
    Failed,
    /// Waiting since a time in µs; `told` once it took long enough to log it.
    Waiting {
        need: Need,
        since: u64,
        told: bool,
    },
    Running(Route),
}

/// Where the frames go.
#[derive(Clone, Copy)]
pub(super) struct Route {
    pub(super) envelope: Envelope,
    pub(super) source: Endpoint,
    pub(super) destination: Endpoint,
    /// Whose Ethernet address the frames go to, where that had to be asked for.
    pub(super) next_hop: Option<IpAddr>,
    /// Where the frames go as well: to the Ethernet address that was given, where another one is used and the given one
    /// may be right all the same. It may be a router's, which forwards no broadcast (RFC 1812, section 5.3.4), and which
    /// this machine knows nothing of.
    pub(super) given_too: Option<MacAddr>,
    /// What is known of who gets them.
    pub(super) receiver: Receiver,
}

/// What is known of the station that gets the frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Receiver {
    /// Its Ethernet address, or that nobody need be asked for it.
    Known,
    /// Its Ethernet address as it was given, which is used while it is asked for.
    Assumed,
    /// Nobody answered for it: its frames are broadcast until somebody does, and go to the given address as well.
    Unanswered,
}

/// What was sent while nothing showed that anybody could hear it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unheard {
    /// The first record of it.
    from: u64,
    /// When that went out.
    first_sent: Option<u64>,
    /// Some of it was broadcast because nobody answered for the receiver.
    unanswered: bool,
}

/// How long broadcasts may go into the void, in µs, without being sent again: a switch's port needs longer where it
/// needs any time at all.
const VOID: u64 = 5_000_000;

/// A target's way by one card.
pub(super) struct Lane {
    /// The card's place; none before it was chosen, and where the lane is not used.
    pub(super) card: Option<usize>,
    pub(super) state: State,
    pub(super) voice: Voice,
    /// Whether the cable was connected when last looked at, while it runs.
    is_connected: bool,
    pub(super) unheard: Option<Unheard>,
    /// How many signs of life it has answered with a question for the receiver's address.
    signs: u32,
    /// Stop after the current record, for one turn: see [`settle`](super::Target::settle).
    pub(super) settling: bool,
    /// Counts the calls of [`ship`](super::Target::ship), and wraps.
    pub(super) turns: u8,
    /// The next datagram.
    pub(super) cursor: Cursor,
    /// The next datagram has gone to the given address, and has to go to the other one yet.
    pub(super) is_half_sent: bool,
    /// All before this one was taken by the card …
    pub(super) taken: u64,
    /// … and all before this one while the link was up for sure.
    pub(super) confirmed: u64,
    /// Lost since the last time that everything had been shipped.
    pub(super) lost: u64,
    pub(super) identification: u16,
    /// How many messages were counted by their id.
    pub(super) messages: u32,
}

impl Lane {
    pub(super) const fn new() -> Self {
        Self {
            card: None,
            state: State::Disabled,
            voice: Voice::Speaking,
            is_connected: false,
            unheard: None,
            signs: 0,
            settling: false,
            turns: 0,
            cursor: Cursor::at(0),
            is_half_sent: false,
            taken: 0,
            confirmed: 0,
            lost: 0,
            identification: 0,
            messages: 0,
        }
    }

    pub(super) fn is_enabled(&self) -> bool {
        matches!(self.state, State::Waiting { .. } | State::Running(_))
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, State::Running(_))
    }

    /// Whether it could ship now.
    pub(super) fn is_alive(&self) -> bool {
        self.is_running() && self.is_connected
    }

    /// Whether it ships, or will: it is not quiet behind another one.
    pub(super) fn has_a_say(&self) -> bool {
        self.is_running() && !matches!(self.voice, Voice::Quiet { .. })
    }

    pub(super) fn is_speaking(&self) -> bool {
        self.is_alive() && self.voice == Voice::Speaking
    }

    pub(super) fn wait(&mut self, card: Option<usize>, need: Need, now: u64) {
        self.card = card;
        self.state = State::Waiting { need, since: now, told: false };
        (self.is_connected, self.voice, self.unheard) = (false, Voice::Speaking, None);
    }

    pub(super) fn stop(&mut self, state: State) {
        self.state = state;
        self.is_connected = false;
        self.step_to(self.cursor.sequence());
    }

    /// Logs why the lane is given up.
    pub(super) fn fail(&mut self, why: fmt::Arguments<'_>) {
        log::error!("netconsole: {why}, aborting");
        self.stop(State::Failed);
    }

    pub(super) fn step_to(&mut self, sequence: u64) {
        self.cursor = Cursor::at(sequence);
        self.is_half_sent = false;
    }

    /// Goes to a record: what lies before it counts as sent.
    pub(super) fn go_to(&mut self, sequence: u64) {
        (self.taken, self.confirmed) = (sequence, sequence);
        self.step_to(sequence);
    }

    /// Goes back to the last record that is known to have left; returns how many records that is.
    pub(super) fn rewind(&mut self) -> u64 {
        let back = self.cursor.sequence().saturating_sub(self.confirmed);
        self.go_to(self.confirmed);
        back
    }

    /// The cable was pulled: what it leads to afterwards may be another network, or a port that forwards nothing yet.
    /// Returns how many records go again.
    pub(super) fn lose_link(&mut self) -> u64 {
        self.is_connected = false;
        if self.voice != Voice::Speaking {
            // It has sent nothing there; the other card has.
            self.voice = Voice::Speaking;
            self.go_to(0);
        }
        let back = self.rewind();
        self.unheard = Some(Unheard { from: self.confirmed, first_sent: None, unanswered: false });
        back
    }

    /// Something was queued at `now` µs.
    pub(super) fn has_sent(&mut self, now: u64) {
        if let Some(unheard) = &mut self.unheard {
            unheard.first_sent.get_or_insert(now);
        }
    }

    /// When the first of what nobody was there to hear went out.
    pub(super) fn first_unheard(&self) -> Option<u64> {
        self.unheard.and_then(|unheard| unheard.first_sent)
    }

    /// Takes the step that follows the link's coming up while it runs, or its own start.
    fn connect(&mut self, has_company: bool, now: u64) {
        self.is_connected = true;
        if has_company {
            self.voice = Voice::Listening { until: now.saturating_add(voice::LISTEN) };
        }
    }

    /// Begins to run by `route`.
    pub(super) fn start(&mut self, route: Route, interface: &Interface<'_, '_>, has_company: bool, now: u64) {
        let is_heard = if route.next_hop.is_some() {
            route.receiver == Receiver::Known
        } else {
            interface.life.heard_at().is_some()
        };
        let unanswered = route.receiver == Receiver::Unanswered;
        let unheard = Unheard { from: self.cursor.sequence(), first_sent: None, unanswered };
        self.unheard = (!is_heard).then_some(unheard);
        self.signs = interface.life.signs();
        if route.destination.ip.is_ipv6() && interface.stack.mtu() < ipv6::MIN_MTU {
            let (name, mtu) = (interface.name, interface.stack.mtu());
            log::warn!(
                "netconsole: {name} has an MTU of {mtu}, and IPv6 needs {}: \
                 not every router and receiver may take part",
                ipv6::MIN_MTU
            );
        }
        self.state = State::Running(route);
        self.connect(has_company, now);
    }

    /// Follows what has changed since it started; `has_company` where another card of the target speaks. Returns how
    /// many records go again.
    pub(super) fn keep_up(
        &mut self,
        config: &TargetConfig,
        interface: &mut Interface<'_, '_>,
        has_company: bool,
        moment: &Moment<'_>,
    ) -> u64 {
        let State::Running(route) = self.state else { return 0 };
        let now = moment.now;
        if !self.is_connected {
            self.connect(has_company, now);
        }
        let Ok(next) = find_route(config, interface, moment) else { return 0 };
        if next.receiver == Receiver::Assumed {
            // Until there is an answer, or none in time, it goes on as before.
            return 0;
        }
        if next.destination.mac != route.destination.mac {
            log::info!("netconsole: remote ethernet address {}", next.destination.mac);
        }
        self.state = State::Running(next);
        if next.receiver == Receiver::Unanswered {
            self.ask_at_signs(&next, next.source.ip != route.source.ip, interface, now);
            let again = match self.unheard {
                // It went to the address that was given, which may be nobody's any more.
                Some(Unheard { from, first_sent: Some(_), unanswered: false })
                    if config.remote_mac.is_some() =>
                {
                    let ip = config.remote_ip;
                    let why = format_args!("nobody answers for {ip}, broadcast until somebody does");
                    self.again(why, from, moment)
                }
                _ => 0,
            };
            let from = self.confirmed;
            let unheard = self.unheard.get_or_insert(Unheard { from, first_sent: None, unanswered: true });
            unheard.unanswered = true;
            return again;
        }
        let Some(unheard) = self.unheard else { return 0 };
        let Some(since) = unheard.first_sent else {
            if next.next_hop.is_some() || interface.life.heard_at().is_some() {
                self.unheard = None;
            }
            return 0;
        };
        match next.next_hop {
            Some(hop)
                if config.remote_mac == Some(route.destination.mac)
                    && next.destination.mac != route.destination.mac =>
            {
                let (given, found) = (route.destination.mac, next.destination.mac);
                self.again(format_args!("{hop} is {found} now, not {given}"), unheard.from, moment)
            }
            Some(_) if !unheard.unanswered => {
                self.unheard = None;
                0
            }
            Some(hop) => {
                let seconds = now.saturating_sub(since) / 1_000_000;
                let who = Answering { hop, target: config.remote_ip };
                self.again(format_args!("{who} after {seconds} s"), unheard.from, moment)
            }
            None => {
                let Some(heard_at) = interface.life.heard_at() else { return 0 };
                let silence = heard_at.saturating_sub(since);
                if silence <= VOID {
                    self.unheard = None;
                    return 0;
                }
                if has_company {
                    self.voice = Voice::Listening { until: now.saturating_add(voice::LISTEN) };
                }
                let (name, seconds) = (interface.name, silence / 1_000_000);
                self.again(
                    format_args!("{name} hears other stations after {seconds} s"),
                    unheard.from,
                    moment,
                )
            }
        }
    }

    /// Asks for the receiver's address at once when something shows that it may answer now, another address of this
    /// machine for one, rather than when the next question is due.
    fn ask_at_signs(
        &mut self,
        route: &Route,
        is_from_another: bool,
        interface: &mut Interface<'_, '_>,
        now: u64,
    ) {
        let signs = interface.life.signs();
        if core::mem::replace(&mut self.signs, signs) != signs || is_from_another {
            interface.stack.forget(route.destination.ip, now);
        }
        interface.life.wait_for(route.destination.ip);
        if let Some(hop) = route.next_hop {
            interface.life.wait_for(hop);
        }
    }

    /// Has the log go out again from record `from` on, because of `why`; returns how many records that is.
    fn again(&mut self, why: fmt::Arguments<'_>, from: u64, moment: &Moment<'_>) -> u64 {
        self.unheard = None;
        let from = from.max(moment.ring.first());
        let again = self.cursor.sequence().saturating_sub(from);
        if again > 0 {
            self.go_to(from);
            log::info!("netconsole: {why}: sending the log again from record {from}");
        }
        again
    }

    /// Decides whether it goes on to be what it is where other cards of the target are on the same network.
    pub(super) fn settle_voice(
        &mut self,
        own: usize,
        voices: &[Option<Voice>; MAX_NICS],
        hearing: &voice::Hearing,
        now: u64,
    ) {
        let next = voice::next(own, self.voice, voices, hearing, now);
        let before = core::mem::replace(&mut self.voice, next);
        if let Voice::Quiet { behind } = next
            && before != next
        {
            self.unheard = None;
            self.step_to(self.cursor.sequence());
            log::info!(
                "netconsole: eth{own} hears eth{behind}: they are on one network, and eth{own} is quiet"
            );
        }
        if next == Voice::Speaking && matches!(before, Voice::Quiet { .. }) {
            log::info!("netconsole: eth{own} is not quiet any more");
        }
    }

    /// Whether some of its records have not gone out before `end` that are to.
    pub(super) fn is_waiting_to_send(&self, end: u64) -> bool {
        self.has_a_say() && self.taken < end
    }
}

/// Who answers at last: `10.0.0.2 answers`, or `10.0.0.254, the gateway to 192.0.2.7, answers`.
struct Answering {
    hop: IpAddr,
    target: IpAddr,
}

impl fmt::Display for Answering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hop, target } = self;
        if hop == target {
            write!(f, "{hop} answers")
        } else {
            write!(f, "{hop}, the gateway to {target}, answers")
        }
    }
}

/// Where the frames go as things stand, or what is missing.
pub(super) fn find_route(
    config: &TargetConfig,
    interface: &mut Interface<'_, '_>,
    moment: &Moment<'_>,
) -> Result<Route, Need> {
    let now = moment.now;
    if !interface.link_is_up {
        return Err(Need::Link);
    }
    let local_ip = config.local_ip.or_else(|| interface.stack.source_for(config.remote_ip, now));
    let local_ip = local_ip.ok_or(Need::SourceAddress)?;
    let given = config.remote_mac;
    // Who is given is asked for only where somebody can answer: a router that this machine knows nothing of does not.
    let asks_for_given = moment.asks_for_given && interface.stack.knows_way_to(config.remote_ip);
    let resolution = match given {
        Some(mac) if mac.is_multicast() || !asks_for_given => Resolution::Known(mac),
        _ => interface.stack.resolve(interface.nic, local_ip, config.remote_ip, now),
    };
    let (mac, receiver) = match (resolution, given) {
        // For a group nobody is asked.
        (Resolution::Known(group), Some(mac)) if group.is_multicast() => (mac, Receiver::Known),
        (Resolution::Known(mac), _) => (mac, Receiver::Known),
        (Resolution::Waiting, Some(mac)) => (mac, Receiver::Assumed),
        (Resolution::Waiting, None) => return Err(Need::EthernetAddress),
        (Resolution::Unanswered, Some(mac)) if moment.spares_everybody => (mac, Receiver::Assumed),
        (Resolution::Unanswered, None) if moment.spares_everybody => return Err(Need::Answer),
        (Resolution::Unanswered, _) => (MacAddr::BROADCAST, Receiver::Unanswered),
    };
    if moment.spares_everybody && mac.is_multicast() {
        return Err(Need::OneReceiver);
    }
    let source = Endpoint { mac: interface.nic.mac(), ip: local_ip, port: config.local_port };
    let destination = Endpoint { mac, ip: config.remote_ip, port: config.remote_port };
    let vlan = config.device.vlan().map(|(_, vlan)| vlan);
    let envelope = Envelope::new(source, destination, vlan).ok_or(Need::SourceAddress)?;
    let envelope = envelope.with_mtu(interface.stack.mtu());
    let is_asked = (given.is_none() || asks_for_given)
        && !matches!(resolution, Resolution::Known(mac) if mac.is_multicast());
    let next_hop = is_asked.then(|| interface.stack.next_hop(config.remote_ip));
    // Of a target on the link the answer is its own; a router's says nothing of another router's.
    let is_own_answer = receiver == Receiver::Known && next_hop.is_none_or(|hop| hop == config.remote_ip);
    let given_too = given.filter(|&given| given != mac && !is_own_answer);
    Ok(Route { envelope, source, destination, next_hop, given_too, receiver })
}

/// Says as Linux does what was found out before the log goes out.
pub(super) fn tell_start(interface: &str, route: &Route) {
    let Route { source, destination, .. } = route;
    let version = |ip: IpAddr| if ip.is_ipv6() { "IPv6" } else { "IPv4" };
    log::info!("netconsole: local port {}", source.port);
    log::info!("netconsole: local {} address {}", version(source.ip), source.ip);
    log::info!("netconsole: interface name '{interface}'");
    log::info!("netconsole: local ethernet address '{}'", source.mac);
    log::info!("netconsole: remote port {}", destination.port);
    log::info!("netconsole: remote {} address {}", version(destination.ip), destination.ip);
    log::info!("netconsole: remote ethernet address {}", destination.mac);
    if route.receiver == Receiver::Unanswered {
        log::warn!("netconsole: nobody answers for {}: broadcast until somebody does", destination.ip);
    }
    log::info!(target: ALWAYS, "netconsole: network logging started");
}
