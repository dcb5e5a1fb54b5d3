//! How a running target ships: the log from its position on, and what its receiver asks for again.

use super::{LogFilter, State, Target};
use crate::log::{Read, Record, Ring, Timebase};
use crate::netconsole::Threshold;
use crate::netconsole::burst::Burst;
use crate::netconsole::format::{Lines, RecentLines, Style, SystemData};
use crate::netconsole::ncrx::Sender;
use crate::netconsole::secure::Sealing;
use crate::nic::{Nic, TransmitError};

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
    /// In one of so many turns what goes out again comes before the log.
    const AGAIN_FIRST: u8 = 4;

    /// Queues records from its position on, in order, each straight into the card's buffer. Nothing is
    /// skipped: what does not fit now goes out in a later turn. Then what the receiver is to get again; in
    /// one turn of [`AGAIN_FIRST`](Self::AGAIN_FIRST) that comes first, so that it has a share of a card that
    /// the log keeps busy. The card is to be kicked afterwards.
    pub fn ship<N: Nic>(&mut self, turn: &mut Turn<'_, '_>, user_data: &[u8], nic: &mut N) -> Shipped {
        let State::Running(route) = self.state else { return Shipped::Everything };
        let filter = turn.filter;
        let threshold = Threshold::level(if filter.oops_only { 0 } else { filter.limit_for(self.loglevel) });
        let mut style = Style::new(self.config.format, filter.time);
        style.user_data = user_data;
        style.system_data = self.system_data;
        style.epoch = filter.epoch;
        style.host_name = filter.host_name.as_ref();
        style.address = Some(route.source.ip);
        let Turn { ring, timebase, sealing, .. } = *turn;
        let mut sender = Sender { ring, timebase, style, threshold, envelope: &route.envelope, sealing };
        if self.held.is_none() {
            self.held = Some(threshold.held_before(ring, self.sequence, u64::MAX));
        }
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
            Ok(false) => Shipped::More,
            Err(TransmitError::Full) => Shipped::Full,
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
        loop {
            if self.settling && self.offset == 0 {
                self.settling = false;
                return Ok(false);
            }
            self.queue_lines(sender, turn, nic)?;
            if turn.frames == 0 {
                return Ok(false);
            }
            if self.queue_datagram(sender, nic, turn.now)? {
                return Ok(true);
            }
            turn.frames -= 1;
        }
    }

    /// Queues the next records as far as they are plain lines and go out as they are.
    #[inline(always)]
    fn queue_lines<N: Nic>(
        &mut self,
        sender: &mut Sender<'_>,
        turn: &mut Turn<'_, '_>,
        nic: &mut N,
    ) -> Result<(), TransmitError> {
        if self.offset != 0 || sender.sealing.seals() {
            return Ok(());
        }
        let recent = turn.recent.as_deref_mut();
        let lines = Lines::new(&sender.style, turn.ring, turn.timebase, sender.threshold.limit, recent);
        // A card without room must not hide that there is nothing to queue.
        let Some(lines) = lines.filter(|_| self.seems_next(sender).is_some()) else { return Ok(()) };
        let (sequence, identification, left) = (self.sequence, self.identification, turn.frames);
        let mut burst = Burst { sequence, identification, left, bytes: 0 };
        let result = burst.queue(nic, lines, sender.envelope);
        self.identification = burst.identification;
        self.counters.bytes += burst.bytes;
        let records = turn.frames - burst.left;
        turn.frames = burst.left;
        self.counters.datagrams += records;
        if records > 0 {
            self.was_sent(sender, records, turn.now);
        }
        result
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
            Read::Record(record) if self.wants(&record, &sender.threshold) => {
                self.queue_piece(sender, &record, nic, now)?;
            }
            Read::Record(_) => {
                self.counters.filtered += 1;
                let held = self.held.map(|held| held + 1);
                self.step_to(self.sequence + 1);
                self.held = held;
            }
            Read::Lost { resume } => {
                self.lost += resume.saturating_sub(self.sequence);
                self.step_to(resume);
                self.held = Some(0);
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
        sender.style.held = self.held.unwrap_or(0);
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
        self.ncrx.told(self.sequence, self.held.unwrap_or(0));
        self.step_to(self.sequence + records);
        self.held = Some(0);
        self.ncrx.sent(self.sequence - 1, now);
        if let Some(message_id) = &mut self.system_data.message_id {
            *message_id = message_id.wrapping_add(records as u32);
            sender.style.system_data = self.system_data;
        }
    }

    /// The next record, where it seems to be whole and is to go out.
    fn seems_next<'s>(&self, sender: &Sender<'s>) -> Option<Record<'s>> {
        sender.ring.peek(self.sequence).filter(|record| self.wants(record, &sender.threshold))
    }

    /// Whether a record is for this target. A limit that changes under way does not cut one.
    fn wants(&self, record: &Record<'_>, threshold: &Threshold) -> bool {
        self.offset != 0 || threshold.passes(record)
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
}
