//! A target: from its configuration to frames on its interface.
//!
//! A target goes through the same stations each time that it starts: its interface, the link, a source
//! address, the Ethernet address of the receiver. Then it ships every record of the ring from its own
//! position on, in order, whatever other targets do.

mod shipping;
#[cfg(all(test, not(loom)))]
mod tests;

pub use shipping::{Shipped, Turn};

use super::asker;
use super::config::{DeviceName, Format, TargetConfig};
use super::format::SystemData;
use super::ncrx::{self, Ncrx};
use super::secure::{KeyStore, Protection};
use super::snapshot::{CardSet, TargetCards, TargetPlan};
use crate::host_name::HostName;
use crate::log::{ALWAYS, Level};
use crate::nic::Nic;
use crate::stack::{Resolution, Stack};
use crate::wire::multicast::{is_broadcast, multicast_mac};
use crate::wire::{Endpoint, Envelope, MacAddr, ethernet, udp};
use core::fmt;
use core::net::IpAddr;

/// The interface that a target uses, lent for one step.
pub struct Interface<'i, 's> {
    /// `eth0`, `eth1`, …
    pub name: &'i str,
    /// The card.
    pub nic: &'i mut dyn Nic,
    /// Its addresses and neighbours.
    pub stack: &'i mut Stack<'s>,
    /// Whether the cable is connected.
    pub link_is_up: bool,
    /// Whether an IPv4 address may still come (`ip=off` and nothing static: it never does).
    pub ipv4_may_come: bool,
}

/// What a target waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Link,
    SourceAddress,
    EthernetAddress,
}

#[derive(Clone, Copy)]
enum State {
    /// Not to run.
    Disabled,
    /// Given up, until it is enabled again.
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
struct Route {
    envelope: Envelope,
    source: Endpoint,
    destination: Endpoint,
    /// Whose Ethernet address the frames go to, where that had to be asked for.
    next_hop: Option<IpAddr>,
    /// Nobody answered for the receiver: its frames are broadcast until somebody does.
    unanswered: bool,
}

/// What decides whether a record goes out, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogFilter {
    /// Records with a lower level number go out (`loglevel=`, `dmesg -n`).
    pub limit: u8,
    /// All go out, whatever the limits say (`ignore_loglevel`).
    pub ignore_limits: bool,
    /// None goes to a target before a panic (`netconsole.oops_only`).
    pub oops_only: bool,
    /// Whether the basic format shows the time (`printk.time=`).
    pub time: bool,
    /// The sender's name in syslog messages; without one they have its address.
    pub host_name: Option<HostName>,
    /// The time at which this boot's clock was 0, in µs since 1970 (UTC), where it is known.
    pub epoch: Option<u64>,
    /// Whether receivers may ask for records again (`netconsole.ncrx`).
    pub ncrx: bool,
}

impl LogFilter {
    /// Whether a record of this level is shown on serial.
    pub const fn passes(&self, level: Level) -> bool {
        level.passes(self.limit_for(None))
    }

    /// The limit that holds for a target with an `own` one, or without.
    pub const fn limit_for(&self, own: Option<u8>) -> u8 {
        match own {
            _ if self.ignore_limits => 8,
            Some(limit) => limit,
            None => self.limit,
        }
    }
}

/// What a target has sent and lost since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Records whose last datagram was queued.
    pub records: u64,
    /// Datagrams queued.
    pub datagrams: u64,
    /// Bytes of those datagrams.
    pub bytes: u64,
    /// Records that the ring had lost before they could be sent.
    pub lost: u64,
    /// Records that were not to be sent, because of their level.
    pub filtered: u64,
    /// Records that were sent again, because the link or the card had failed under them.
    pub repeated: u64,
    /// How often the card failed to take a datagram, which was sent later then.
    pub errors: u64,
}

/// One line: `records 12, datagrams 13, …`.
impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { records, datagrams, bytes, lost, filtered, repeated, errors } = self;
        write!(
            f,
            "records {records}, datagrams {datagrams}, bytes {bytes}, dropped: overwritten {lost}, by level {filtered}; \
             sent again {repeated}, transmit errors {errors}"
        )
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
    /// What the kernel adds to its messages; the message id is the next message's.
    pub(super) system_data: SystemData,
    state: State,
    /// To pause for one turn behind the record under way: see [`settle`](Self::settle).
    settling: bool,
    /// Counts the calls of [`ship`](Self::ship), and wraps.
    turns: u8,
    /// The next record, and where in it the next datagram begins.
    sequence: u64,
    offset: usize,
    /// How many records directly before the next one were held back; `None` where it has stepped elsewhere, so that the
    /// ring must say.
    held: Option<u64>,
    /// All before this one was taken by the card …
    taken: u64,
    /// … and all before this one while the link was up for sure.
    confirmed: u64,
    /// Lost since the last time that everything had been shipped.
    lost: u64,
    identification: u16,
    counters: Counters,
    ncrx: Ncrx,
}

/// `cmdline0` and the like: at most 31 bytes, as long as a directory of the tree may be called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TargetName {
    bytes: [u8; Self::MAX],
    len: usize,
}

impl TargetName {
    /// The longest name in bytes.
    pub const MAX: usize = 31;

    /// The name, or `None` where it is empty or too long.
    pub fn new(name: &str) -> Option<Self> {
        let mut bytes = [0; Self::MAX];
        bytes.get_mut(..name.len()).filter(|_| !name.is_empty())?.copy_from_slice(name.as_bytes());
        Some(Self { bytes, len: name.len() })
    }

    /// The name of the command line's target `number`: `cmdline0`, …
    pub fn of_command_line(number: u8) -> Self {
        let mut bytes = [0; Self::MAX];
        let digits = [b'0'.wrapping_add(number / 10 % 10), b'0'.wrapping_add(number % 10)];
        let digits = if number < 10 { digits.get(1..).unwrap_or_default() } else { &digits };
        let mut len = 0;
        for (to, &from) in bytes.iter_mut().zip(b"cmdline".iter().chain(digits)) {
            *to = from;
            len += 1;
        }
        Self { bytes, len }
    }

    /// The name's text.
    pub fn as_str(&self) -> &str {
        self.bytes.get(..self.len).and_then(|name| core::str::from_utf8(name).ok()).unwrap_or("")
    }
}

impl fmt::Display for TargetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
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
            state: State::Disabled,
            settling: false,
            turns: 0,
            sequence: 0,
            offset: 0,
            held: None,
            taken: 0,
            confirmed: 0,
            lost: 0,
            identification: 0,
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

    /// Whether it sends by the card of this name and address, in a VLAN or not.
    pub fn uses(&self, name: DeviceName, mac: MacAddr) -> bool {
        self.config.device.is(name, mac) || self.config.device.vlan().is_some_and(|(card, _)| card == name)
    }

    /// The VLAN that it sends in, if any.
    pub fn vlan(&self) -> Option<u16> {
        self.config.device.vlan().map(|(_, vlan)| vlan)
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

    /// Takes in a datagram that arrived at `now` µs, where it is the receiver's answer by the ncrx protocol.
    pub fn hear(&mut self, received: &udp::Received<'_>, filter: &LogFilter, now: u64) {
        if let State::Running(route) = &self.state
            && filter.ncrx
            && matches!(self.config.format, Format::Extended { .. })
            && self.ends(route).may_answer(received)
        {
            self.ncrx.hear(received.payload, 0..self.sequence, now);
        }
    }

    /// Whether a datagram comes from the address that it sends to while it runs, and may be a command.
    pub fn may_command(&self, received: &udp::Received<'_>) -> bool {
        matches!(&self.state, State::Running(route) if self.ends(route).may_command(received))
    }

    fn ends(&self, route: &Route) -> asker::Route {
        asker::Route { own: route.source, target: route.destination, vlan: self.vlan() }
    }

    /// Whether it ships or waits for what it needs to.
    pub fn is_enabled(&self) -> bool {
        matches!(self.state, State::Waiting { .. } | State::Running(_))
    }

    /// What it is doing, in a word.
    pub fn state(&self) -> &'static str {
        match self.state {
            State::Disabled => "disabled",
            State::Failed => "failed",
            State::Waiting { need: Need::Link, .. } => "waiting for the link",
            State::Waiting { need: Need::SourceAddress, .. } => "waiting for an address",
            State::Waiting { need: Need::EthernetAddress, .. } => "waiting for the remote ethernet address",
            State::Running(_) => "started",
        }
    }

    /// Where it sends from and to, while it runs.
    pub fn endpoints(&self) -> Option<(Endpoint, Endpoint)> {
        match self.state {
            State::Running(route) => Some((route.source, route.destination)),
            _ => None,
        }
    }

    /// Asks for a moment between two records, in which what its messages look like may change; true
    /// where this is one. Else it goes on with the record under way, begins no other in that turn, and
    /// is to be asked again after it.
    pub fn settle(&mut self) -> bool {
        self.ncrx.interrupt();
        self.settling = self.offset != 0;
        !self.settling
    }

    /// Whether it was asked to [`settle`](Self::settle) and has not come to that moment yet: to be asked after each
    /// turn.
    pub fn is_settling(&self) -> bool {
        self.settling
    }

    /// Begins with the log's oldest record again: its receiver is another one.
    pub(super) fn begin_anew(&mut self) {
        (self.taken, self.confirmed) = (0, 0);
        self.step_to(0);
        self.ncrx = Ncrx::new();
    }

    /// Whether it ships.
    pub fn is_running(&self) -> bool {
        matches!(self.state, State::Running(_))
    }

    /// Whether it will not start soon: it failed, or waits longer than the boot waits with it.
    pub fn is_given_up(&self) -> bool {
        matches!(self.state, State::Disabled | State::Failed | State::Waiting { told: true, .. })
    }

    /// Everything before this sequence number has been queued.
    pub fn queued(&self) -> u64 {
        self.sequence
    }

    /// Everything before this sequence number has been handed over and taken by the card.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Starts it at `now` µs; the steps follow in [`advance`](Self::advance).
    pub fn enable(&mut self, now: u64) {
        if matches!(self.state, State::Disabled | State::Failed) {
            self.state = State::Waiting { need: Need::Link, since: now, told: false };
        }
    }

    /// Stops it and says so.
    pub fn disable(&mut self) {
        if self.is_running() {
            log::info!(target: ALWAYS, "netconsole: network logging stopped");
        }
        self.state = State::Disabled;
        self.step_to(self.sequence);
    }

    /// Takes the next step towards running, and keeps up with changes of address while it runs.
    /// `interface` is the one that the configuration names, if it exists; times are in µs.
    pub fn advance(
        &mut self,
        interface: Option<&mut Interface<'_, '_>>,
        keys: &KeyStore,
        now: u64,
        carrier_timeout: u64,
    ) {
        match self.state {
            State::Disabled | State::Failed => {}
            State::Waiting { .. } if keys.protection() == Protection::Lost => {
                self.fail(format_args!("netconsole.key can't be read: nothing goes out"));
            }
            State::Waiting { need, since, told } => {
                let Some(interface) = interface else {
                    let device = self.config.device;
                    return self.fail(format_args!("{device} doesn't exist"));
                };
                match self.route(interface, now) {
                    Ok(route) => {
                        if self.config.local_ip.is_some() && !interface.stack.owns(route.source.ip) {
                            // As on Linux it sends all the same.
                            let (ip, name) = (route.source.ip, interface.name);
                            log::warn!(
                                "netconsole: {ip} is no address of {name}: no answer to it will arrive"
                            );
                        }
                        self.start(interface.name, route);
                    }
                    Err(Need::SourceAddress) if !self.source_may_come(interface) => {
                        self.fail(format_args!("no IP address for {}", interface.name));
                    }
                    Err(next) if next != need => {
                        self.state = State::Waiting { need: next, since: now, told };
                    }
                    Err(Need::Link) if !told && now.saturating_sub(since) >= carrier_timeout => {
                        log::warn!("netconsole: {}: timeout waiting for carrier", interface.name);
                        self.state = State::Waiting { need, since, told: true };
                    }
                    Err(_) => {}
                }
            }
            State::Running(route) => {
                let Some(interface) = interface.filter(|interface| interface.link_is_up) else { return };
                if let Ok(next) = self.route(interface, now)
                    && next.envelope != route.envelope
                {
                    if next.destination.mac != route.destination.mac {
                        log::info!("netconsole: remote ethernet address {}", next.destination.mac);
                    }
                    self.state = State::Running(next);
                }
            }
        }
    }

    fn source_may_come(&self, interface: &Interface<'_, '_>) -> bool {
        self.config.remote_ip.is_ipv6() || interface.ipv4_may_come
    }

    fn fail(&mut self, why: fmt::Arguments<'_>) {
        log::error!("netconsole: {why}, aborting");
        self.state = State::Failed;
    }

    /// Where the frames go as things stand, or what is missing.
    fn route(&self, interface: &mut Interface<'_, '_>, now: u64) -> Result<Route, Need> {
        if !interface.link_is_up {
            return Err(Need::Link);
        }
        let config = &self.config;
        let local_ip = config.local_ip.or_else(|| interface.stack.source_for(config.remote_ip, now));
        let local_ip = local_ip.ok_or(Need::SourceAddress)?;
        let resolution = match config.remote_mac {
            Some(mac) => Resolution::Known(mac),
            None => interface.stack.resolve(interface.nic, local_ip, config.remote_ip, now),
        };
        let mac = match resolution {
            Resolution::Known(mac) => mac,
            Resolution::Unanswered => MacAddr::BROADCAST,
            Resolution::Waiting => return Err(Need::EthernetAddress),
        };
        let source = Endpoint { mac: interface.nic.mac(), ip: local_ip, port: config.local_port };
        let destination = Endpoint { mac, ip: config.remote_ip, port: config.remote_port };
        let envelope = Envelope::new(source, destination, self.vlan()).ok_or(Need::SourceAddress)?;
        let envelope = envelope.with_mtu(interface.stack.mtu());
        let is_asked = config.remote_mac.is_none()
            && !matches!(resolution, Resolution::Known(mac) if mac.is_multicast());
        let next_hop = is_asked.then(|| interface.stack.next_hop(config.remote_ip));
        let unanswered = resolution == Resolution::Unanswered;
        Ok(Route { envelope, source, destination, next_hop, unanswered })
    }

    /// Says as Linux does what was found out, and lets the log go out.
    fn start(&mut self, interface: &str, route: Route) {
        let Route { source, destination, .. } = route;
        let version = |ip: IpAddr| if ip.is_ipv6() { "IPv6" } else { "IPv4" };
        log::info!("netconsole: local port {}", source.port);
        log::info!("netconsole: local {} address {}", version(source.ip), source.ip);
        log::info!("netconsole: interface name '{interface}'");
        log::info!("netconsole: local ethernet address '{}'", source.mac);
        log::info!("netconsole: remote port {}", destination.port);
        log::info!("netconsole: remote {} address {}", version(destination.ip), destination.ip);
        log::info!("netconsole: remote ethernet address {}", destination.mac);
        if route.unanswered {
            log::warn!("netconsole: nobody answers for {}: broadcast until somebody does", destination.ip);
        }
        log::info!(target: ALWAYS, "netconsole: network logging started");
        self.state = State::Running(route);
    }

    fn step_to(&mut self, sequence: u64) {
        (self.sequence, self.offset, self.held) = (sequence, 0, None);
    }

    /// The card has finished with every frame.
    pub fn was_taken(&mut self) {
        self.taken = self.sequence;
    }

    /// The link is up, and was so while the card took what it has taken until now.
    pub fn confirm(&mut self) {
        self.confirmed = self.taken;
    }

    /// The card or the link failed: goes back to the last record that is known to have left, better
    /// twice than never.
    pub fn rewind(&mut self) {
        self.counters.repeated += self.sequence.saturating_sub(self.confirmed);
        self.taken = self.confirmed;
        self.step_to(self.confirmed);
    }

    /// What the panic path must know to send to this target by these `cards`. Before the addresses are known, as
    /// much as the configuration says.
    pub fn plan(&self, cards: TargetCards, filter: &LogFilter) -> Option<TargetPlan> {
        let config = &self.config;
        let (source, destination, next_hop, unheard) = match self.state {
            State::Disabled | State::Failed => return None,
            State::Running(route) => {
                let unheard = if route.unanswered { CardSet::ALL } else { CardSet::NONE };
                (route.source, route.destination, route.next_hop, unheard)
            }
            State::Waiting { .. } => {
                let unspecified = match config.remote_ip {
                    IpAddr::V4(_) => IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED),
                    IpAddr::V6(_) => IpAddr::V6(core::net::Ipv6Addr::UNSPECIFIED),
                };
                let ip = config.local_ip.unwrap_or(unspecified);
                let group = match config.remote_ip {
                    IpAddr::V4(ip) if is_broadcast(ip, None) => Some(MacAddr::BROADCAST),
                    ip => multicast_mac(ip),
                };
                let known = config.remote_mac.or(group);
                let mac = known.unwrap_or(MacAddr::BROADCAST);
                // The gateway is not known either; a router may answer for the target.
                let next_hop = known.is_none().then_some(config.remote_ip);
                (
                    Endpoint { mac: MacAddr([0; 6]), ip, port: config.local_port },
                    Endpoint { mac, ip: config.remote_ip, port: config.remote_port },
                    next_hop,
                    CardSet::ALL,
                )
            }
        };
        let mtu = match self.state {
            State::Running(route) => route.envelope.mtu(),
            _ => ethernet::MTU,
        };
        let mtu = u16::try_from(mtu).unwrap_or(u16::MAX);
        Some(TargetPlan {
            cards,
            source,
            destination,
            next_hop,
            unheard,
            first_sent: None,
            mtu,
            vlan: self.vlan(),
            format: config.format,
            limit: filter.limit_for(self.loglevel),
            time: filter.time,
            only_report: filter.oops_only,
            may_ask: filter.ncrx && matches!(config.format, Format::Extended { .. }),
            has_answered: self.ncrx.has_answered(),
            system_data: SystemData { message_id: None, ..self.system_data },
        })
    }
}
