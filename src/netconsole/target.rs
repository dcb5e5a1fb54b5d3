//! A target: from its configuration to frames on its interface.
//!
//! A target goes through the same stations each time that it starts: its interface, the link, a source
//! address, the Ethernet address of the receiver. Then it ships every record of the ring from its own
//! position on, in order, whatever other targets do.

use super::burst::Burst;
use super::config::{DeviceName, Format, TargetConfig};
use super::format::{Lines, RecentLines, Style, SystemData};
use super::ncrx::{self, Ncrx, Sender};
use super::secure::{KeyStore, Protection, Sealing};
use super::snapshot::TargetPlan;
use crate::host_name::HostName;
use crate::log::{Level, Read, Record, Ring, Timebase};
use crate::nic::{Nic, TransmitError};
use crate::stack::{Resolution, Stack};
use crate::wire::{Endpoint, Envelope, MacAddr, udp};
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

/// What all targets that ship in one turn have in common.
pub struct Turn<'t, 'r> {
    /// The log.
    pub ring: &'t Ring<'r>,
    /// What converts its records' ticks.
    pub timebase: &'t Timebase,
    /// What goes out, and how.
    pub filter: &'t LogFilter,
    /// Whether and how datagrams are sealed.
    pub sealing: Sealing<'t>,
    /// The time in µs.
    pub now: u64,
    /// How many frames each may queue, or records pass over: the targets share the card's buffers.
    pub frames: u64,
    /// The lines that were made last, where there is more than one target.
    pub recent: Option<&'t mut RecentLines<'r>>,
}

/// How far [`Target::ship`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shipped {
    /// All that the target wants and that is complete has been queued.
    Everything,
    /// The card's queue is full, or the turn was used up: there is more.
    More,
    /// The card must be restarted.
    Broken,
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
    /// In one of so many turns what goes out again comes before the log.
    const AGAIN_FIRST: u8 = 4;

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
            && ncrx::is_from(received, &route.source, &route.destination)
        {
            self.ncrx.hear(received.payload, 0..self.sequence, now);
        }
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
            log::info!("netconsole: network logging stopped");
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
                        if !interface.stack.owns(route.source.ip) {
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
                    && (next.source, next.destination) != (route.source, route.destination)
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
        Ok(Route { envelope, source, destination, unanswered: resolution == Resolution::Unanswered })
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
        log::info!("netconsole: network logging started");
        self.state = State::Running(route);
    }

    /// Queues records from its position on, in order, each straight into the card's buffer. Nothing is
    /// skipped: what does not fit now goes out in a later turn. Then what the receiver is to get again; in
    /// one turn of [`AGAIN_FIRST`](Self::AGAIN_FIRST) that comes first, so that it has a share of a card that
    /// the log keeps busy. The card is to be kicked afterwards.
    pub fn ship<N: Nic>(&mut self, turn: &mut Turn<'_, '_>, user_data: &[u8], nic: &mut N) -> Shipped {
        let State::Running(route) = self.state else { return Shipped::Everything };
        let filter = turn.filter;
        let limit = if filter.oops_only { 0 } else { filter.limit_for(self.loglevel) };
        let mut style = Style::new(self.config.format, filter.time);
        style.user_data = user_data;
        style.system_data = self.system_data;
        style.epoch = filter.epoch;
        style.host_name = filter.host_name.as_ref();
        style.address = Some(route.source.ip);
        let Turn { ring, timebase, sealing, .. } = *turn;
        let mut sender = Sender { ring, timebase, style, limit, envelope: &route.envelope, sealing };
        self.turns = self.turns.wrapping_add(1);
        let (log, again) = if self.turns.is_multiple_of(Self::AGAIN_FIRST) {
            let again = self.ship_again(&sender, nic, turn.now);
            (self.ship_log(&mut sender, turn, nic), again)
        } else {
            let log = self.ship_log(&mut sender, turn, nic);
            (log, self.ship_again(&sender, nic, turn.now))
        };
        match again {
            Ok(true) if log == Shipped::Everything => Shipped::More,
            Ok(_) | Err(TransmitError::Full) => log,
            Err(TransmitError::Broken) => Shipped::Broken,
        }
    }

    fn ship_again<N: Nic>(
        &mut self,
        sender: &Sender<'_>,
        nic: &mut N,
        now: u64,
    ) -> Result<bool, TransmitError> {
        // The count of messages is not kept with a record: it goes out again without.
        let system_data = SystemData { message_id: None, ..sender.style.system_data };
        let style = Style { system_data, ..sender.style };
        self.ncrx.ship(&Sender { style, ..*sender }, nic, now)
    }

    fn ship_log<N: Nic>(&mut self, sender: &mut Sender<'_>, turn: &mut Turn<'_, '_>, nic: &mut N) -> Shipped {
        match self.queue_log(sender, turn, nic) {
            Ok(true) => Shipped::Everything,
            Ok(false) | Err(TransmitError::Full) => Shipped::More,
            Err(TransmitError::Broken) => {
                self.counters.errors += 1;
                Shipped::Broken
            }
        }
    }

    /// Queues what one turn may; true where that was all.
    fn queue_log<N: Nic>(
        &mut self,
        sender: &mut Sender<'_>,
        turn: &mut Turn<'_, '_>,
        nic: &mut N,
    ) -> Result<bool, TransmitError> {
        let mut left = turn.frames;
        loop {
            if self.settling && self.offset == 0 {
                self.settling = false;
                return Ok(false);
            }
            left = self.queue_lines(sender, turn, nic, left)?;
            if left == 0 {
                return Ok(false);
            }
            if self.queue_datagram(sender, nic, turn.now)? {
                return Ok(true);
            }
            left -= 1;
        }
    }

    /// Queues up to `most` records that are plain lines and go out as they are; returns how many more may follow in
    /// this turn.
    #[inline(always)]
    fn queue_lines<N: Nic>(
        &mut self,
        sender: &mut Sender<'_>,
        turn: &mut Turn<'_, '_>,
        nic: &mut N,
        most: u64,
    ) -> Result<u64, TransmitError> {
        if self.offset != 0 || sender.sealing.seals() {
            return Ok(most);
        }
        let recent = turn.recent.as_deref_mut();
        let lines = Lines::new(&sender.style, turn.ring, turn.timebase, sender.limit, recent);
        // A card without room must not hide that there is nothing to queue.
        let Some(lines) = lines.filter(|_| self.seems_next(sender).is_some()) else { return Ok(most) };
        let mut burst =
            Burst { sequence: self.sequence, identification: self.identification, left: most, bytes: 0 };
        let result = burst.queue(nic, lines, sender.envelope);
        self.identification = burst.identification;
        self.counters.bytes += burst.bytes;
        let records = most - burst.left;
        self.counters.datagrams += records;
        if records > 0 {
            self.was_sent(sender, records, turn.now);
        }
        result.map(|()| burst.left)
    }

    /// Queues the next datagram, or steps over a record that is not to go out; true where nothing is left.
    fn queue_datagram<N: Nic>(
        &mut self,
        sender: &mut Sender<'_>,
        nic: &mut N,
        now: u64,
    ) -> Result<bool, TransmitError> {
        if let Some(record) = self.seems_next(sender)
            && self.queue_piece(sender, &record, nic, now)?
        {
            return Ok(false);
        }
        // It was not what it seemed to be, or is not to go out.
        match sender.ring.read(self.sequence) {
            Read::Record(record) if self.wants(&record, sender.limit) => {
                self.queue_piece(sender, &record, nic, now)?;
            }
            Read::Record(_) => {
                self.counters.filtered += 1;
                self.step_to(self.sequence + 1);
            }
            Read::Lost { resume } => {
                self.lost += resume.saturating_sub(self.sequence);
                self.step_to(resume);
            }
            Read::Unfinished(_) | Read::End => {
                self.tell_loss();
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Queues the next datagram of a record; false where the ring overwrote the record meanwhile.
    fn queue_piece<N: Nic>(
        &mut self,
        sender: &mut Sender<'_>,
        record: &Record<'_>,
        nic: &mut N,
        now: u64,
    ) -> Result<bool, TransmitError> {
        let Some(piece) = sender.transmit(nic, record, self.offset, self.identification)? else {
            return Ok(false);
        };
        self.identification = self.identification.wrapping_add(1);
        self.counters.datagrams += 1;
        self.counters.bytes += piece.len as u64;
        match piece.next {
            Some(offset) => self.offset = offset,
            None => self.was_sent(sender, 1, now),
        }
        Ok(true)
    }

    /// Steps behind so many records, which were sent as a whole.
    fn was_sent(&mut self, sender: &mut Sender<'_>, records: u64, now: u64) {
        self.counters.records += records;
        self.step_to(self.sequence + records);
        self.ncrx.sent(self.sequence - 1, now);
        if let Some(message_id) = &mut self.system_data.message_id {
            *message_id = message_id.wrapping_add(records as u32);
            sender.style.system_data = self.system_data;
        }
    }

    /// The next record, where it seems to be whole and is to go out.
    fn seems_next<'s>(&self, sender: &Sender<'s>) -> Option<Record<'s>> {
        sender.ring.peek(self.sequence).filter(|record| self.wants(record, sender.limit))
    }

    /// Whether a record is for this target. A limit that changes under way does not cut one.
    fn wants(&self, record: &Record<'_>, limit: u8) -> bool {
        self.offset != 0 || record.level().passes(limit)
    }

    fn step_to(&mut self, sequence: u64) {
        (self.sequence, self.offset) = (sequence, 0);
    }

    /// One line about what was lost, once nothing is left to send, so that it does not feed itself.
    fn tell_loss(&mut self) {
        if self.lost > 0 {
            self.counters.lost += self.lost;
            log::warn!(
                "netconsole: {}: {} records were overwritten before they could be sent",
                self.name,
                self.lost
            );
            self.lost = 0;
        }
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

    /// What the panic path must know to send to this target; `nic` is the card's place in the plan.
    /// Before the addresses are known, as much as the configuration says.
    pub fn plan(&self, nic: u8, filter: &LogFilter) -> Option<TargetPlan> {
        let config = &self.config;
        let (source, destination) = match self.state {
            State::Disabled | State::Failed => return None,
            State::Running(route) => (route.source, route.destination),
            State::Waiting { .. } => {
                let unspecified = match config.remote_ip {
                    IpAddr::V4(_) => IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED),
                    IpAddr::V6(_) => IpAddr::V6(core::net::Ipv6Addr::UNSPECIFIED),
                };
                let ip = config.local_ip.unwrap_or(unspecified);
                let mac = config.remote_mac.unwrap_or(MacAddr::BROADCAST);
                (
                    Endpoint { mac: MacAddr([0; 6]), ip, port: config.local_port },
                    Endpoint { mac, ip: config.remote_ip, port: config.remote_port },
                )
            }
        };
        Some(TargetPlan {
            nic,
            source,
            destination,
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

#[cfg(all(test, not(loom)))]
mod tests;
