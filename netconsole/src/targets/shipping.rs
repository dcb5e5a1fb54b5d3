//! How a running target ships by one card: the log from its position on, and what its receiver asks for again.

use super::lane::{Lane, State};
use super::voice::Voice;
use super::{Common, Counters, Target};
use crate::format::{Burst, Lines, Next, RecentLines, RingLog, Style, SystemData, Threshold, Unfinished};
use crate::ncrx::Ncrx;
use crate::nic::{Nic, TransmitError};
use crate::ring::Record;
use crate::seal::Sealing;
use crate::sender::Sender;
use crate::wire::{Endpoint, Envelope};

/// What all targets that ship in one turn have in common.
pub struct Turn<'t, 'r> {
    /// The log.
    pub log: RingLog<'t, 'r>,
    /// What goes out, and how.
    pub common: &'t Common,
    /// Whether and how datagrams are sealed.
    pub sealing: Sealing<'t>,
    /// The time in µs.
    pub now: u64,
    /// How many more frames the next target may queue, or records pass over: the targets share the card's buffers.
    pub frames: u64,
    /// The lines that were made last, where there is more than one target.
    pub recent: Option<&'t mut RecentLines<'r>>,
}

/// How far [`Target::ship`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shipped {
    /// All that the target wants and that is complete has been queued.
    Everything,
    /// The turn was used up, or goes on only in the next one: there is more.
    More,
    /// The card's queue is full: there is more.
    Full,
    /// The card must be restarted.
    Broken,
}

impl Target {
    /// Queues records from its position on this card on, in order, each straight into the card's buffer. Nothing is
    /// skipped: what does not fit now goes out in a later turn. Then what the receiver is to get again; in
    /// one turn of `AGAIN_FIRST` that comes first, so that it has a share of a card that
    /// the log keeps busy. The card is to be kicked afterwards.
    pub fn ship<N: Nic>(
        &mut self,
        card: usize,
        turn: &mut Turn<'_, '_>,
        user_data: &[u8],
        nic: &mut N,
    ) -> Shipped {
        let Self { name, config, loglevel, system_data, lanes, counters, ncrx, .. } = self;
        let Some(lane) = lanes.iter_mut().find(|lane| lane.card == Some(card)) else {
            return Shipped::Everything;
        };
        let State::Running(route) = lane.state else { return Shipped::Everything };
        if lane.voice != Voice::Speaking {
            return Shipped::Everything;
        }
        let Common { filter, style, .. } = turn.common;
        let threshold = Threshold::level(if filter.oops_only { 0 } else { filter.limit_for(*loglevel) });
        let mut style = style.with(config.format);
        style.user_data = user_data;
        style.system_data = *system_data;
        style.system_data.message_id = system_data.message_id.map(|first| first.wrapping_add(lane.messages));
        style.address = Some(route.source.ip);
        let Turn { log, sealing, now, .. } = *turn;
        let mut sender = Sender { log: &log, style, threshold, envelope: &route.envelope, sealing };
        lane.cursor.count_held(&log, u64::MAX, |record| threshold.passes(record));
        let before = counters.datagrams;
        let given_too = route.given_too.and_then(|mac| {
            let destination = Endpoint { mac, ..route.destination };
            let envelope =
                Envelope::new(route.source, destination, config.device.vlan().map(|(_, vlan)| vlan));
            Some(envelope?.with_mtu(route.envelope.mtu()))
        });
        lane.is_half_sent &= given_too.is_some();
        let shipped = Shipping { lane, counters, ncrx, given_too }.ship(&mut sender, turn, nic);
        if counters.datagrams != before {
            lane.has_sent(now);
        }
        // Once nothing is left to send, so that the line does not feed itself.
        if shipped == Shipped::Everything && lane.lost > 0 {
            let lost = core::mem::take(&mut lane.lost);
            counters.lost = counters.lost.wrapping_add(lost);
            log::warn!("netconsole: {name}: {lost} records were overwritten before they could be sent");
        }
        shipped
    }
}

/// A lane that ships, and what it shares with its target's others.
struct Shipping<'l> {
    lane: &'l mut Lane,
    counters: &'l mut Counters,
    ncrx: &'l mut Ncrx,
    /// The headers of a second frame for each datagram, to the address that was given.
    given_too: Option<Envelope>,
}

impl Shipping<'_> {
    /// Every fourth turn, resends come before new records.
    const AGAIN_FIRST: u8 = 4;

    fn ship<N: Nic>(
        &mut self,
        sender: &mut Sender<'_, RingLog<'_, '_>>,
        turn: &mut Turn<'_, '_>,
        nic: &mut N,
    ) -> Shipped {
        self.lane.turns = self.lane.turns.wrapping_add(1);
        let (log, again) = if self.lane.turns.is_multiple_of(Self::AGAIN_FIRST) {
            let again = self.ship_again(sender, nic, turn.now);
            (self.ship_log(sender, turn, nic), again)
        } else {
            let log = self.ship_log(sender, turn, nic);
            (log, self.ship_again(sender, nic, turn.now))
        };
        match again {
            Ok(true) if log == Shipped::Everything => Shipped::More,
            Ok(_) | Err(TransmitError::Full) => log,
            Err(TransmitError::Broken) => Shipped::Broken,
        }
    }

    fn ship_again<N: Nic>(
        &mut self,
        sender: &Sender<'_, RingLog<'_, '_>>,
        nic: &mut N,
        now: u64,
    ) -> Result<bool, TransmitError> {
        // The count of messages is not kept with a record: it goes out again without.
        let system_data = SystemData { message_id: None, ..sender.style.system_data };
        let style = Style { system_data, ..sender.style };
        // By turns: what does not arrive one way is asked for again.
        let other_way = self.given_too.as_ref().filter(|_| self.lane.turns.is_multiple_of(2));
        let envelope = other_way.unwrap_or(sender.envelope);
        self.ncrx.ship(&Sender { style, envelope, ..*sender }, nic, now)
    }

    fn ship_log<N: Nic>(
        &mut self,
        sender: &mut Sender<'_, RingLog<'_, '_>>,
        turn: &mut Turn<'_, '_>,
        nic: &mut N,
    ) -> Shipped {
        match self.queue_log(sender, turn, nic) {
            Ok(true) => Shipped::Everything,
            Ok(false) => Shipped::More,
            Err(TransmitError::Full) => Shipped::Full,
            Err(TransmitError::Broken) => {
                self.counters.errors = self.counters.errors.wrapping_add(1);
                Shipped::Broken
            }
        }
    }

    /// Queues what one turn may; true where that was all.
    fn queue_log<N: Nic>(
        &mut self,
        sender: &mut Sender<'_, RingLog<'_, '_>>,
        turn: &mut Turn<'_, '_>,
        nic: &mut N,
    ) -> Result<bool, TransmitError> {
        loop {
            if self.lane.settling && self.lane.cursor.is_at_begin() {
                self.lane.settling = false;
                return Ok(false);
            }
            self.queue_lines(sender, turn, nic)?;
            if turn.frames == 0 {
                return Ok(false);
            }
            if self.queue_datagram(sender, nic, turn.now)? {
                return Ok(true);
            }
            turn.frames = turn.frames.wrapping_sub(1);
        }
    }

    /// Queues the next records as far as they are plain lines and go out as they are.
    #[inline(always)]
    fn queue_lines<N: Nic>(
        &mut self,
        sender: &mut Sender<'_, RingLog<'_, '_>>,
        turn: &mut Turn<'_, '_>,
        nic: &mut N,
    ) -> Result<(), TransmitError> {
        if !self.lane.cursor.is_at_begin() || sender.sealing.seals() || self.given_too.is_some() {
            return Ok(());
        }
        let recent = turn.recent.as_deref_mut();
        let lines = Lines::new(&sender.style, &turn.log, sender.threshold.limit, recent);
        // A card without room must not hide that there is nothing to queue.
        let Some(lines) = lines.filter(|_| self.seems_next(sender).is_some()) else { return Ok(()) };
        let (sequence, identification) = (self.lane.cursor.sequence(), self.lane.identification);
        let mut burst = Burst { sequence, identification, left: turn.frames, bytes: 0 };
        let result = burst.queue(nic, lines, sender.envelope);
        self.lane.identification = burst.identification;
        self.counters.bytes = self.counters.bytes.wrapping_add(burst.bytes);
        let records = turn.frames.wrapping_sub(burst.left);
        turn.frames = burst.left;
        self.counters.datagrams = self.counters.datagrams.wrapping_add(records);
        if records > 0 {
            self.was_sent(sender, records, turn.now);
        }
        result
    }

    /// Queues the next datagram, or steps over a record that is not to go out; true where nothing is left.
    fn queue_datagram<N: Nic>(
        &mut self,
        sender: &mut Sender<'_, RingLog<'_, '_>>,
        nic: &mut N,
        now: u64,
    ) -> Result<bool, TransmitError> {
        if let Some(record) = self.seems_next(sender)
            && self.queue_piece(sender, &record, nic, now)?
        {
            return Ok(false);
        }
        // It was not what it seemed to be, or is not to go out.
        let sequence = self.lane.cursor.sequence();
        let threshold = sender.threshold;
        let next = self.lane.cursor.next(sender.log, Unfinished::Await, |record| threshold.passes(record));
        self.lane.is_half_sent &= self.lane.cursor.sequence() == sequence;
        match next {
            Next::Record(record) => _ = self.queue_piece(sender, &record, nic, now)?,
            Next::HeldBack => {
                self.counters.filtered = self.counters.filtered.wrapping_add(1);
                self.ncrx.held_back(sequence, now);
            }
            // What another kernel's log lacks is no loss of this one.
            Next::Lost(_) if sender.log.ring().is_past(sequence) => {}
            Next::Lost(lost) => self.lane.lost = self.lane.lost.wrapping_add(lost),
            Next::End => return Ok(true),
        }
        Ok(false)
    }

    /// Queues the next datagram of a record; false where the ring overwrote the record meanwhile.
    fn queue_piece<N: Nic>(
        &mut self,
        sender: &mut Sender<'_, RingLog<'_, '_>>,
        record: &Record<'_>,
        nic: &mut N,
        now: u64,
    ) -> Result<bool, TransmitError> {
        let cursor = self.lane.cursor;
        if let Some(envelope) = self.given_too.as_ref().filter(|_| !self.lane.is_half_sent) {
            let too = Sender { envelope, ..*sender };
            let Some(datagram) = too.transmit(nic, record, &cursor, self.lane.identification)? else {
                return Ok(false);
            };
            self.lane.is_half_sent = true;
            self.count(datagram.len);
        }
        let Some(datagram) = sender.transmit(nic, record, &cursor, self.lane.identification)? else {
            return Ok(false);
        };
        self.lane.is_half_sent = false;
        self.count(datagram.len);
        if datagram.ends_record() {
            self.was_sent(sender, 1, now);
        } else {
            self.lane.cursor = datagram.next;
        }
        Ok(true)
    }

    /// A datagram of `len` bytes was queued.
    fn count(&mut self, len: usize) {
        self.lane.identification = self.lane.identification.wrapping_add(1);
        self.counters.datagrams = self.counters.datagrams.wrapping_add(1);
        self.counters.bytes = self.counters.bytes.wrapping_add(len as u64);
    }

    /// Steps over `records` records, which were sent as a whole.
    fn was_sent(&mut self, sender: &mut Sender<'_, RingLog<'_, '_>>, records: u64, now: u64) {
        self.counters.records = self.counters.records.wrapping_add(records);
        self.ncrx.told(self.lane.cursor.sequence(), self.lane.cursor.held());
        self.lane.cursor = self.lane.cursor.after(records);
        self.ncrx.sent(self.lane.cursor.sequence().wrapping_sub(1), now);
        if let Some(message_id) = &mut sender.style.system_data.message_id {
            *message_id = message_id.wrapping_add(records as u32);
            self.lane.messages = self.lane.messages.wrapping_add(records as u32);
        }
    }

    /// The next record, where it seems to be whole and is to go out.
    fn seems_next<'l>(&self, sender: &Sender<'_, RingLog<'l, '_>>) -> Option<Record<'l>> {
        self.lane.cursor.peek(sender.log, |record| sender.threshold.passes(record))
    }
}
