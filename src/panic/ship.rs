//! Sending the log when nothing else works any more: the cards brought up anew, every target's
//! records from the last one that its card is known to have taken, the report included.

use super::{Cause, line::Line, report_begins};
use crate::machine::clock::{self, Deadline};
use crate::machine::pci::ConfigurationPorts;
use crate::memory;
use core::net::Ipv4Addr;
use netconsole::log::{Level, Read};
use netconsole::netconsole::format::{self, Style};
use netconsole::netconsole::snapshot::{MAX_NICS, Plan, TargetPlan};
use netconsole::netconsole::{Format, MAX_TARGETS, TargetConfig};
use netconsole::nic::pci::{self, DeviceFunction};
use netconsole::nic::{Model, Nic, PanicCard, TransmitError};
use netconsole::wire::{Endpoint, Envelope, MacAddr};

/// How often a card is reset before it is given up.
const TRIES: usize = 3;
/// How long a card may keep a frame, in µs.
const PATIENCE: u64 = 1_000_000;
/// How long a frame waits for the cable, in µs: a switch's port needs seconds.
const LINK_PATIENCE: u64 = 4_000_000;

/// The cards that came up, and what to send where.
pub struct Cards {
    nics: [Option<PanicCard>; MAX_NICS],
    plan: Plan,
}

/// Sends everything that the targets have not got.
pub fn everything() -> Cards {
    let mut cards = Cards::bring_up();
    cards.send(|number, _| memory::POSITIONS.get(number).and_then(|position| position.get()).unwrap_or(0));
    cards
}

/// Sends one line from constants, for when writing a report failed time and again.
pub fn fixed_line(cause: &Cause<'_>) {
    let mut line = Line::new("Kernel panic - not syncing: panic in panic at 0x");
    line.hex(cause.frame().rip, 16).text(": ").text(cause.name());
    let begin = memory::ring().end();
    memory::ring().append_str(Level::Emergency, "panic", clock::ticks(), line.as_str());
    Cards::bring_up().send(|_, _| begin);
}

impl Cards {
    /// Resets and starts the cards that the snapshot names; where it is damaged, every card there is,
    /// to broadcast.
    fn bring_up() -> Self {
        let plan = memory::SNAPSHOT.read().filter(|plan| plan.targets.iter().any(Option::is_some));
        let mut plan = plan.unwrap_or_else(broadcast);
        if plan.nics.iter().all(Option::is_none) {
            plan.nics = find_cards();
        }
        let mut nics = [const { None }; MAX_NICS];
        for ((slot, function), memory) in nics.iter_mut().zip(plan.nics).zip(memory::panic_cards()) {
            let Some(function) = function else { continue };
            *slot = PanicCard::start(ConfigurationPorts, unpack(function), memory, TRIES).ok();
        }
        for nic in nics.iter_mut().flatten() {
            let deadline = Deadline::after(LINK_PATIENCE);
            while !nic.link_is_up() && !deadline.has_come() {
                core::hint::spin_loop();
            }
        }
        Self { nics, plan }
    }

    /// Sends each target the records from `from` (its number and plan) to the ring's end.
    pub fn send(&mut self, from: impl Fn(usize, &TargetPlan) -> u64) {
        for (number, target) in self.plan.targets.iter().enumerate() {
            let Some(target) = target else { continue };
            let begin = from(number, target);
            let Some(nic) = self.nics.get_mut(usize::from(target.nic)).and_then(Option::as_mut) else {
                continue;
            };
            let end = send_records(nic, target, begin);
            if let Some(position) = memory::POSITIONS.get(number) {
                position.set(end);
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

/// Sends one target the records from `begin` on; returns the first one that did not go out.
fn send_records(nic: &mut PanicCard, target: &TargetPlan, begin: u64) -> u64 {
    let mut source = target.source;
    if source.mac == MacAddr([0; 6]) {
        source.mac = nic.mac();
    }
    let Some(envelope) = Envelope::new(source, target.destination, target.vlan) else { return begin };
    let ring = memory::ring();
    let timebase = clock::published();
    let style = Style::new(target.format, target.time);
    // A position beyond the ring's end is damaged as surely as one that fails its check.
    let (mut sequence, mut offset) = (if begin > ring.end() { 0 } else { begin }, 0);
    let mut identification = 0u16;
    loop {
        let record = match ring.read(sequence) {
            // A record that was being written is sent with what it has, marked as cut.
            Read::Record(record) | Read::Unfinished(record) => record,
            Read::Lost { resume } => {
                (sequence, offset) = (resume.max(sequence.saturating_add(1)), 0);
                continue;
            }
            Read::End => break,
        };
        if !record.level().passes(target.limit) {
            (sequence, offset) = (sequence.saturating_add(1), 0);
            continue;
        }
        let micros = ring.micros(&record, &timebase);
        let mut next = None;
        let sent = transmit(nic, &mut |frame| {
            let payload = frame.get_mut(envelope.header_len()..).unwrap_or_default();
            let piece = format::write_datagram(&style, &record, micros, offset, payload);
            next = piece.next;
            envelope.seal(frame, piece.len, identification).unwrap_or(0)
        });
        if !sent {
            break;
        }
        identification = identification.wrapping_add(1);
        (sequence, offset) = match next {
            Some(next) if next > offset => (sequence, next),
            _ => (sequence.saturating_add(1), 0),
        };
    }
    nic.kick();
    let deadline = Deadline::after(PATIENCE);
    while !nic.is_drained() && !deadline.has_come() {
        core::hint::spin_loop();
    }
    sequence
}

/// Queues a frame, waiting for room; false where the card takes none any more.
pub fn transmit(nic: &mut PanicCard, build: &mut dyn FnMut(&mut [u8]) -> usize) -> bool {
    let deadline = Deadline::after(PATIENCE);
    let mut restarts = 0;
    loop {
        match nic.transmit(build) {
            Ok(()) => return true,
            Err(TransmitError::Full) if !deadline.has_come() => nic.kick(),
            Err(_) if restarts < TRIES && nic.restart().is_ok() => restarts = restarts.saturating_add(1),
            Err(_) => return false,
        }
    }
}

/// Where nothing is known of the targets: to everybody who listens on the default port.
fn broadcast() -> Plan {
    let mut plan = Plan { nics: find_cards(), ..Plan::default() };
    for (nic, target) in (0u8..).zip(plan.targets.iter_mut().take(MAX_NICS.min(MAX_TARGETS))) {
        *target = Some(TargetPlan {
            nic,
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
        });
    }
    plan
}

/// The first network cards on the PCI buses.
fn find_cards() -> [Option<u16>; MAX_NICS] {
    let mut found = [None; MAX_NICS];
    let mut free = found.iter_mut();
    pci::for_each_function(&ConfigurationPorts, |function| {
        if Model::of(pci::ids(&ConfigurationPorts, function)).is_some()
            && let Some(slot) = free.next()
        {
            *slot = Some(pack(function));
        }
    });
    found
}

/// Bus, device and function in one number, as PCI's configuration address has them.
pub fn pack(function: DeviceFunction) -> u16 {
    u16::from(function.bus) << 8 | u16::from(function.device & 0x1f) << 3 | u16::from(function.function & 7)
}

fn unpack(function: u16) -> DeviceFunction {
    let [low, bus] = function.to_le_bytes();
    DeviceFunction { bus, device: low >> 3, function: low & 7 }
}
