//! Getting lost records back: the sending side of the ncrx protocol of Meta's netconsd, for one receiver.
//!
//! The receiver answers with `ncrx<ack>` and the sequence numbers that it misses. Each of them that the ring
//! still has is sent again. A receiver that has acknowledged once and then no longer does gets what it has not
//! acknowledged as emergency transmissions, slowly, until it does again. When nothing new comes, one that has
//! ever answered gets the newest record again, so that it notices the loss of the last one; one that answers that
//! it has heard nothing yet gets it at once.
//!
//! What the level holds back has numbers, too: a record tells how many of them are directly before it, each time that it
//! goes out. An announcement, which is the newest record, also tells how many are directly after it. When another one is
//! held back after the announcements are over, they begin again.
//!
//! What goes out again is limited to [`Ncrx::RATE`] datagrams a second, whatever is asked for. Nothing here
//! panics, allocates or waits: the panic path uses it too. All times are microseconds of one clock.
//!
//! It knows nothing of `stack`, `settings` and `targets`.

mod answer;
#[cfg(all(test, not(loom)))]
mod tests;
mod told;
mod wanted;

use crate::format::{Cursor, Log, Next, Style, Unfinished};
use crate::nic::{Nic, TransmitError};
use crate::sender::Sender;
use answer::Answer;
use core::fmt;
use core::ops::Range;
use told::Told;
use wanted::Wanted;

/// How long a record may be unacknowledged before the emergency transmission begins.
const ACKNOWLEDGE_WITHIN: u64 = 10_000_000;
/// The time between two records of an emergency transmission: in its first session, and at most.
const EMERGENCY_INTERVAL: u64 = 100_000;
const EMERGENCY_INTERVAL_MAX: u64 = 1_000_000;
/// When the newest record is announced: so long after it, and twice, and four times.
const ANNOUNCE_AFTER: u64 = 1_000_000;
const ANNOUNCEMENTS: u32 = 3;
/// How long a datagram that goes out again takes of what the rate allows.
const DATAGRAM_TIME: u64 = 1_000_000 / Ncrx::RATE;
/// How much of that may be saved up: what is due from one tick of a sleeping kernel's timer to the next.
const SAVED_TIME: u64 = 8_000;
/// How many records one turn looks at: the log must not wait.
const STEPS_PER_TURN: usize = 16;
/// How many records one turn looks at to find how many were held back before another, where that is not remembered.
const HELD_LOOKED_AT: u64 = 4096;

/// What a receiver asked for and got, since the target was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Numbers of records that it asked for.
    pub requested: u64,
    /// Of these, those that could not be noted: not sent yet, or too far from others that wait.
    pub refused: u64,
    /// Records sent again: requested, in emergency, announced.
    pub resent: u64,
    /// Datagrams of these records.
    pub datagrams: u64,
}

/// Part of a line: `requested 12, refused 0, …`.
impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requested, refused, resent, datagrams } = self;
        write!(f, "requested {requested}, refused {refused}, records {resent}, datagrams {datagrams}")
    }
}

/// Why a record goes out again. Not from 0, so that a new conversation is all zeros and costs an image nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Requested = 1,
    Emergency,
    Announcement,
}

/// A record that goes out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Again {
    /// The next datagram of it.
    cursor: Cursor,
    /// How many records were held back after it, where this is told.
    behind: u64,
    reason: Reason,
}

/// An emergency transmission under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Emergency {
    next: u64,
    due: u64,
    interval: u64,
}

/// The conversation with one receiver.
#[derive(Clone, Debug)]
pub struct Ncrx {
    wanted: Wanted,
    told: Told,
    under_way: Option<Again>,
    /// It has ever answered.
    answered: bool,
    /// The newest record that was sent, when, and how often it was announced since.
    newest: Option<u64>,
    newest_at: u64,
    announced: u32,
    /// How many records directly after it were held back.
    behind: u64,
    /// It was sent long ago, and is announced to a receiver that was away.
    announces_late: bool,
    /// All before this one is acknowledged; `None` before the first acknowledgement.
    acknowledged: Option<u64>,
    /// Since when the oldest record that is not acknowledged has waited for that, or for the next emergency
    /// transmission.
    waiting_since: u64,
    emergency: Option<Emergency>,
    /// Up to when what was sent again has used up the rate.
    used_until: u64,
    counters: Counters,
}

impl Default for Ncrx {
    fn default() -> Self {
        Self::new()
    }
}

impl Ncrx {
    /// How many datagrams go out again in a second at most.
    pub const RATE: u64 = 5_000;

    /// With a receiver that has not answered yet.
    pub const fn new() -> Self {
        Self {
            wanted: Wanted::new(),
            told: Told::new(),
            under_way: None,
            answered: false,
            newest: None,
            newest_at: 0,
            announced: 0,
            behind: 0,
            announces_late: false,
            acknowledged: None,
            waiting_since: 0,
            emergency: None,
            used_until: 0,
            counters: Counters { requested: 0, refused: 0, resent: 0, datagrams: 0 },
        }
    }

    /// What the receiver asked for and got.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Whether the receiver has ever answered.
    pub fn has_answered(&self) -> bool {
        self.answered
    }

    /// Whether a receiver that answers has not yet acknowledged the newest record.
    pub fn is_unacknowledged(&self) -> bool {
        let Some(newest) = self.newest.filter(|_| self.answered) else { return false };
        self.acknowledged.is_none_or(|acknowledged| acknowledged <= newest)
    }

    /// For a conversation that begins after a crash: this receiver answered before, and whatever it had then,
    /// records from `first` on are not acknowledged.
    pub fn resume(&mut self, first: u64, now: u64) {
        self.answered = true;
        self.acknowledged = Some(first);
        self.waiting_since = now;
    }

    /// Record `sequence` was sent for the first time.
    pub fn sent(&mut self, sequence: u64, now: u64) {
        if !self.is_unacknowledged() {
            self.waiting_since = now;
        }
        self.newest = Some(sequence);
        (self.newest_at, self.announced, self.announces_late) = (now, 0, false);
        self.behind = 0;
    }

    /// Record `sequence` was held back: the next announcement tells it, if all from the newest one that was sent up to it
    /// were.
    pub fn held_back(&mut self, sequence: u64, now: u64) {
        let next = self.newest.map(|newest| newest.saturating_add(self.behind).saturating_add(1));
        if next != Some(sequence) {
            return;
        }
        self.behind = self.behind.saturating_add(1);
        let is_announcing = self.under_way.is_some_and(|again| again.reason == Reason::Announcement);
        if self.announced.saturating_add(is_announcing.into()) >= ANNOUNCEMENTS {
            self.announce_late(now);
        }
    }

    /// Record `sequence` was sent for the first time, and with it that `held` records directly before it were held back:
    /// it says so too when it goes out again.
    pub fn told(&mut self, sequence: u64, held: u64) {
        self.told.remember(sequence, held);
    }

    /// Begins the record that is under way again: what its messages look like changes.
    pub fn interrupt(&mut self) {
        self.under_way = None;
    }

    /// Takes in what the receiver answered; `sent` are the records that it may have. False where it is no
    /// answer of this protocol.
    pub fn hear(&mut self, payload: &[u8], sent: Range<u64>, now: u64) -> bool {
        let Some(answer) = Answer::parse(payload) else { return false };
        if !self.answered {
            self.answered = true;
            (self.newest_at, self.announced) = (now, 0);
        }
        if answer.is_greeting() {
            self.announce_late(now.saturating_sub(ANNOUNCE_AFTER));
        }
        // What was not sent can't have come; that is also how nothing is acknowledged (2^64 - 1).
        if answer.acknowledged < sent.end {
            let next = answer.acknowledged.saturating_add(1);
            if self.acknowledged.is_none_or(|before| before < next) {
                self.acknowledged = Some(next);
                self.waiting_since = now;
            }
            if self.emergency.take().is_some() {
                // It is back, and does not know yet how much it has missed.
                self.waiting_since = now;
                self.announce_late(now);
            }
            self.under_way = self.under_way.filter(|again| again.reason != Reason::Emergency);
        }
        for number in answer.missing() {
            self.counters.requested = self.counters.requested.wrapping_add(1);
            let refused = if sent.contains(&number) { self.wanted.add(number) } else { 1 };
            self.counters.refused = self.counters.refused.wrapping_add(refused);
        }
        true
    }

    /// Begins the announcements again, as if the newest record had been sent at `from`.
    fn announce_late(&mut self, from: u64) {
        (self.newest_at, self.announced, self.announces_late) = (from, 0, true);
    }

    /// Sends again what is due, as far as the rate allows. The card is to be kicked afterwards. True where
    /// there is more to do at once.
    pub fn ship<L: Log>(
        &mut self,
        sender: &Sender<'_, L>,
        nic: &mut dyn Nic,
        now: u64,
    ) -> Result<bool, TransmitError> {
        for _ in 0..STEPS_PER_TURN {
            if self.used_until > now {
                return Ok(false);
            }
            let Some(again) = self.due(now) else { return Ok(false) };
            let sequence = again.cursor.sequence();
            let next_record = sequence.saturating_add(1);
            let mut cursor = again.cursor;
            // One that is not finished was sent so in a panic.
            let found = cursor.next(sender.log, Unfinished::Take, |record| sender.threshold.passes(record));
            let record = match found {
                Next::Record(record) => record,
                Next::HeldBack | Next::Lost(_) => {
                    self.leave(again, cursor.sequence(), now);
                    continue;
                }
                Next::End => {
                    self.leave(again, next_record, now);
                    continue;
                }
            };
            let [low, high, ..] = sequence.to_le_bytes();
            let identification = u16::from_le_bytes([low, high]);
            // Without that, ncrx takes an old record that it has for one of another boot.
            let emergency = match again.reason {
                Reason::Requested => false,
                Reason::Emergency => true,
                Reason::Announcement => self.announces_late,
            };
            let again = if cursor.is_at_begin() { self.with_held(again, sender) } else { again };
            let style = Style { emergency, behind: again.behind, ..sender.style };
            let sender = Sender { style, ..*sender };
            let Some(datagram) = sender.transmit(nic, &record, &again.cursor, identification)? else {
                self.leave(again, next_record, now);
                continue;
            };
            self.used_until =
                self.used_until.max(now.saturating_sub(SAVED_TIME)).saturating_add(DATAGRAM_TIME);
            self.counters.datagrams = self.counters.datagrams.wrapping_add(1);
            if datagram.ends_record() {
                self.counters.resent = self.counters.resent.wrapping_add(1);
                self.done(again, now);
            } else {
                self.under_way = Some(Again { cursor: datagram.next, ..again });
            }
        }
        Ok(self.used_until <= now && self.due(now).is_some())
    }

    /// The record, with what it tells of those that were held back around it.
    fn with_held<L: Log>(&self, again: Again, sender: &Sender<'_, L>) -> Again {
        let sequence = again.cursor.sequence();
        let mut cursor = Cursor::at(sequence);
        if let Some(held) = self.told.held_before(sequence) {
            cursor = Cursor::at_after_held(sequence, held);
        }
        cursor.count_held(sender.log, HELD_LOOKED_AT, |record| sender.threshold.passes(record));
        let behind = if again.reason == Reason::Announcement { self.behind } else { 0 };
        Again { cursor, behind, ..again }
    }

    /// What is to be sent again now: first what was asked for.
    fn due(&mut self, now: u64) -> Option<Again> {
        let begin = |sequence, reason| Again { cursor: Cursor::at(sequence), behind: 0, reason };
        if self.under_way.is_some() {
            return self.under_way;
        }
        if let Some(sequence) = self.wanted.first() {
            return Some(begin(sequence, Reason::Requested));
        }
        let newest = self.newest.filter(|_| self.answered)?;
        if let Some(acknowledged) = self.acknowledged.filter(|&acknowledged| acknowledged <= newest)
            && now >= self.waiting_since.saturating_add(ACKNOWLEDGE_WITHIN)
        {
            let first = Emergency { next: acknowledged, due: now, interval: EMERGENCY_INTERVAL };
            let emergency = self.emergency.get_or_insert(first);
            if now >= emergency.due {
                return Some(begin(emergency.next, Reason::Emergency));
            }
        }
        let announce_at = self.newest_at.saturating_add(ANNOUNCE_AFTER.unbounded_shl(self.announced));
        (self.announced < ANNOUNCEMENTS && now >= announce_at).then(|| begin(newest, Reason::Announcement))
    }

    /// The record is sent.
    fn done(&mut self, again: Again, now: u64) {
        let next = again.cursor.sequence().saturating_add(1);
        if again.reason == Reason::Emergency
            && let Some(emergency) = &mut self.emergency
        {
            emergency.due = now.saturating_add(emergency.interval);
        }
        self.leave(again, next, now);
    }

    /// The record needs no more sending; the one to look at next in an emergency is `next`.
    fn leave(&mut self, again: Again, next: u64, now: u64) {
        self.under_way = None;
        match again.reason {
            Reason::Requested => self.wanted.remove(again.cursor.sequence()),
            Reason::Announcement => self.announced = self.announced.saturating_add(1),
            Reason::Emergency => {
                let (Some(emergency), Some(acknowledged)) = (&mut self.emergency, self.acknowledged) else {
                    return;
                };
                emergency.next = next;
                if self.newest.is_none_or(|newest| next > newest) {
                    // Another session, less urgent, from the oldest on.
                    emergency.interval = emergency.interval.saturating_mul(2).min(EMERGENCY_INTERVAL_MAX);
                    emergency.next = acknowledged;
                    emergency.due = emergency.due.max(now.saturating_add(emergency.interval));
                }
            }
        }
    }
}
