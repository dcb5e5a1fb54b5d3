//! Sending the log when nothing else works any more: the cards brought up anew, every target's
//! records from the last one that its card is known to have taken, the report included.

use super::{Cause, line::Line, report_begins};
use crate::machine::clock::{self, Deadline};
use crate::machine::pci::{ConfigurationPorts, IoPorts};
use crate::memory;
use core::net::{IpAddr, Ipv4Addr};
use netconsole::log::{Level, Read};
use netconsole::netconsole::asker::Route;
use netconsole::netconsole::format::{self, Style, SystemData};
use netconsole::netconsole::secure::Sealing;
use netconsole::netconsole::snapshot::{CardSet, Checked, MAX_NICS, Plan, TargetCards, TargetPlan};
use netconsole::netconsole::{Format, MAX_TARGETS, RELEASE, TargetConfig};
use netconsole::nic::pci;
use netconsole::nic::virtio::MmioTransport;
use netconsole::nic::{BusAddress, Model, Nic, PanicCard, TransmitError};
use netconsole::stack::{link_local_ipv4, link_local_ipv6};
use netconsole::wire::{Endpoint, Envelope, MacAddr};

/// How often a card is reset before it is given up.
const TRIES: usize = 3;
/// How long a card may keep a frame, in µs.
const PATIENCE: u64 = 1_000_000;
/// How long a frame waits for the cable, in µs: a switch's port needs seconds.
const LINK_PATIENCE: u64 = 4_000_000;

/// The cards that came up, and what to send where.
pub struct Cards {
    nics: &'static mut [Option<PanicCard>; MAX_NICS],
    plan: Plan,
    /// The plan is the boot's, so that [`memory::POSITIONS`] are those of its targets.
    is_known: bool,
}

/// Sends everything that the targets have not got.
pub fn everything() -> Cards {
    let mut cards = Cards::bring_up();
    let is_known = cards.is_known;
    cards.send(|number, target| match memory::POSITIONS.get(number) {
        _ if target.only_report => report_begins(),
        Some(position) if is_known => position.get().unwrap_or(0),
        _ => 0,
    });
    cards
}

/// Sends one frame with the place to each target, for when writing a report failed time and again. It is put
/// together from constants first; then the log gets it too, under the sequence number that it was sent with.
pub fn fixed_frame(cause: &Cause<'_>) {
    let mut text = Line::new("Kernel panic - not syncing: panic in panic: ");
    text.text(cause.name()).text(" at ");
    match cause.location() {
        Some(location) => text.text(location.file()).text(":").decimal(location.line().into()),
        None => text.text("0x").hex(cause.frame().rip, 16),
    };
    let micros = clock::published().micros(clock::ticks());
    let protection = memory::KEYS.protection();
    let sealing = Sealing { protection: &protection, numbers: super::numbers() };
    Cards::bring_up().for_each_target(|nic, _, target| {
        let mut datagram = Line::new("");
        match target.format {
            Format::Basic => {}
            Format::Extended { release } => {
                if release {
                    datagram.text(RELEASE).text(",");
                }
                datagram.text("0,").decimal(memory::ring().end()).text(",").decimal(micros).text(",-;");
            }
            // RFC 5424: facility kern, severity emergency; no time, host or process is known.
            Format::Syslog => _ = datagram.text("<0>1 - - netconsole - - - "),
        }
        datagram.text(text.as_str()).text("\n");
        let Some(envelope) = envelope(nic, target) else { return true };
        let frame = &mut |frame: &mut [u8]| {
            let bytes = datagram.as_str().as_bytes();
            let len = envelope.write(frame, 0, |payload| {
                sealing.fill(payload, |message| {
                    message.iter_mut().zip(bytes).for_each(|(to, &from)| *to = from);
                    Some(bytes.len())
                })
            });
            len.unwrap_or(0)
        };
        let sent = nic.transmit(frame).is_ok();
        nic.kick();
        sent && has_drained(nic)
    });
    memory::ring().append_str(Level::Emergency, "panic", clock::ticks(), text.as_str());
}

impl Cards {
    /// Resets and starts the cards that the snapshot names; where it is damaged, every card there is,
    /// to broadcast.
    fn bring_up() -> Self {
        memory::SIZING.put_back(&mut ConfigurationPorts);
        let known = memory::SNAPSHOT.read();
        let mut plan = known.unwrap_or_else(broadcast);
        if plan.nics.iter().all(Option::is_none) {
            plan.nics = find_cards();
        }
        let nics = memory::panic_drivers();
        for ((slot, place), memory) in nics.iter_mut().zip(plan.nics).zip(memory::panic_cards()) {
            let Some(place) = place else { continue };
            *slot = PanicCard::start(ConfigurationPorts, &IoPorts, place, memory, TRIES).ok();
        }
        nics.iter_mut().flatten().for_each(wait_for_link);
        Self { nics, plan, is_known: known.is_some() }
    }

    /// Sends each target the records from `from` (its number and plan) to the ring's end.
    pub fn send(&mut self, from: impl Fn(usize, &TargetPlan) -> u64) {
        let plan = self.plan;
        self.for_each_target(|nic, number, target| {
            let begin = from(number, target);
            send_records(nic, &style(&plan, nic, number, target), target, begin, &|confirmed| {
                if let Some(position) = memory::POSITIONS.get(number) {
                    position.set(confirmed);
                }
            })
        });
    }

    /// Calls `send` with each target and its card; where that one or its link is not up, or `send` says that it
    /// has failed, with each other card: perhaps the receiver is there too. A card that has failed is left alone.
    fn for_each_target(&mut self, mut send: impl FnMut(&mut PanicCard, usize, &TargetPlan) -> bool) {
        let targets = self.plan.targets.iter().enumerate();
        for (number, target) in targets.filter_map(|(number, target)| Some((number, (*target)?))) {
            let mut send_by = |slot: &mut Option<PanicCard>, target: &TargetPlan| {
                let Some(nic) = slot else { return false };
                if !nic.link_is_up() {
                    return false;
                }
                let sent = send(nic, number, target);
                if !sent {
                    *slot = None;
                }
                sent
            };
            let mut sent = false;
            for (_, slot) in self.nics.iter_mut().enumerate().filter(|(place, _)| target.uses(*place)) {
                sent |= send_by(slot, &target);
            }
            if sent {
                continue;
            }
            let mut elsewhere = target;
            elsewhere.source.mac = MacAddr([0; 6]);
            elsewhere.destination.mac = MacAddr::BROADCAST;
            // The plan to broadcast has a target for every card anyway.
            for slot in self.nics.iter_mut().filter(|_| self.is_known) {
                send_by(slot, &elsewhere);
            }
        }
    }

    /// Sends the report again: the first copy may be lost on the way.
    pub fn repeat_report(&mut self) {
        self.send(|_, _| report_begins());
    }

    /// The cards, each with its place in the plan.
    pub fn nics(&mut self) -> impl Iterator<Item = (usize, &mut PanicCard)> {
        self.nics.iter_mut().enumerate().filter_map(|(place, nic)| Some((place, nic.as_mut()?)))
    }

    /// What to send where.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}

/// The source address where the target's is not known yet: what a host without one may use on the link. It is never
/// 0.0.0.0, which receivers drop.
pub fn source_ip(target: &TargetPlan, mac: MacAddr) -> IpAddr {
    match target.source.ip {
        IpAddr::V6(ip) if ip.is_unspecified() => link_local_ipv6(mac).into(),
        IpAddr::V4(ip) if ip.is_unspecified() => link_local_ipv4(mac).into(),
        ip => ip,
    }
}

/// The target as a card of the address `mac` sends to it.
pub fn route(target: &TargetPlan, mac: MacAddr) -> Route {
    let mut own = target.source;
    if own.mac == MacAddr([0; 6]) {
        own.mac = mac;
    }
    own.ip = source_ip(target, mac);
    Route { own, target: target.destination, vlan: target.vlan }
}

/// What records look like on the way by `nic` to the target `number` of `plan`.
pub fn style<'p>(plan: &'p Plan, nic: &PanicCard, number: usize, target: &TargetPlan) -> Style<'p> {
    Style {
        host_name: plan.host_name.as_ref(),
        address: Some(source_ip(target, nic.mac())),
        epoch: plan.epoch,
        user_data: memory::panic_user_data(number),
        system_data: target.system_data,
        ..Style::new(target.format, target.time)
    }
}

/// The headers of frames to the target.
pub fn envelope(nic: &PanicCard, target: &TargetPlan) -> Option<Envelope> {
    let Route { own, target, vlan } = route(target, nic.mac());
    Envelope::new(own, target, vlan)
}

/// The next datagram: a record, and where in it the datagram begins.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    sequence: u64,
    offset: usize,
}

/// Sends one target the records from `begin` on, as many at a time as the card has buffers, and tells
/// `confirm` up to where it has taken them. A card that fails is reset, and gets again what it may not have
/// sent; false where that does not help either.
fn send_records(
    nic: &mut PanicCard,
    style: &Style<'_>,
    target: &TargetPlan,
    begin: u64,
    confirm: &dyn Fn(u64),
) -> bool {
    let Some(envelope) = envelope(nic, target) else { return true };
    // A position beyond the ring's end is damaged as surely as one that fails its check.
    let end = memory::ring().end();
    let mut place = Place { sequence: if begin > end { 0 } else { begin }, offset: 0 };
    let mut restarts = 0;
    while place.sequence < end {
        match send_batch(nic, style, target, &envelope, place) {
            // Without progress the card is as good as broken.
            Some(next) if next != place => {
                place = next;
                confirm(place.sequence);
            }
            _ if restarts < TRIES && (0..TRIES).any(|_| nic.restart().is_ok()) => {
                restarts = restarts.saturating_add(1);
                wait_for_link(nic);
            }
            _ => return false,
        }
    }
    true
}

/// Queues datagrams from `place` on until the card has no room or there are no more, and waits until they
/// are sent. Returns where to go on; `None` where the card failed.
fn send_batch(
    nic: &mut PanicCard,
    style: &Style<'_>,
    target: &TargetPlan,
    envelope: &Envelope,
    mut place: Place,
) -> Option<Place> {
    let ring = memory::ring();
    let timebase = clock::published();
    let protection = memory::KEYS.protection();
    let sealing = Sealing { protection: &protection, numbers: super::numbers() };
    loop {
        let next_record = Place { sequence: place.sequence.saturating_add(1), offset: 0 };
        let record = match ring.read(place.sequence) {
            // A record that was being written is sent with what it has, marked as cut.
            Read::Record(record) | Read::Unfinished(record) => record,
            Read::Lost { resume } => {
                place = Place { sequence: resume.max(next_record.sequence), offset: 0 };
                continue;
            }
            Read::End => break,
        };
        if !record.level().passes(target.limit) {
            place = next_record;
            continue;
        }
        let micros = ring.micros(&record, &timebase);
        let mut next = next_record;
        let [low, high, ..] = place.sequence.to_le_bytes();
        let queued = nic.transmit(&mut |frame| {
            let len = envelope.write(frame, u16::from_le_bytes([low, high]), |payload| {
                sealing.fill(payload, |message| {
                    let piece = format::write_datagram(style, &record, micros, place.offset, message);
                    if let Some(offset) = piece.next {
                        next = Place { offset, ..place };
                    }
                    Some(piece.len)
                })
            });
            len.unwrap_or(0)
        });
        match queued {
            Ok(()) => place = next,
            Err(TransmitError::Full) => break,
            Err(TransmitError::Broken) => return None,
        }
    }
    nic.kick();
    has_drained(nic).then_some(place)
}

/// Waits for the cable, but not for ever.
fn wait_for_link(nic: &mut PanicCard) {
    let deadline = Deadline::after(LINK_PATIENCE);
    while !nic.link_is_up() && !deadline.has_come() {
        core::hint::spin_loop();
    }
}

/// Waits until the card has sent everything, but not for ever.
fn has_drained(nic: &mut PanicCard) -> bool {
    let deadline = Deadline::after(PATIENCE);
    while !nic.is_drained() {
        if deadline.has_come() {
            return false;
        }
        core::hint::spin_loop();
    }
    true
}

/// Where nothing is known of the targets: to everybody who listens on the default port.
fn broadcast() -> Plan {
    let mut plan = Plan { nics: find_cards(), ..Plan::default() };
    for (nic, target) in (0u8..).zip(plan.targets.iter_mut().take(MAX_NICS.min(MAX_TARGETS))) {
        *target = Some(TargetPlan {
            cards: TargetCards::One(nic),
            next_hop: None,
            unheard: CardSet::ALL,
            first_sent: None,
            mtu: 1500,
            source: Endpoint {
                mac: MacAddr([0; 6]),
                ip: Ipv4Addr::UNSPECIFIED.into(),
                port: TargetConfig::LOCAL_PORT,
            },
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
fn find_cards() -> [Option<BusAddress>; MAX_NICS] {
    let mut found = [None; MAX_NICS];
    let mut free = found.iter_mut();
    pci::for_each_function(&ConfigurationPorts, |function| {
        if Model::of(pci::ids(&ConfigurationPorts, function)).is_some()
            && let Some(slot) = free.next()
        {
            *slot = Some(BusAddress::Pci(function));
        }
    });
    let addresses = memory::MMIO_CARDS.iter().filter_map(Checked::get).filter(|&address| address != 0);
    for address in addresses.filter(|&address| matches!(MmioTransport::find(address), Ok(Some(_)))) {
        if let Some(slot) = free.next() {
            *slot = Some(BusAddress::Mmio(address));
        }
    }
    found
}
