//! Asks a sender again for what is missing: the ncrx protocol's receiving side, for one sender.
//!
//! An answer is `ncrx<ack>` and the missing numbers, each after a space, at most 1000 bytes, sent to the
//! sender's source port. Linux does not know the protocol: a sender that does not react to a few answers is
//! left alone, until it shows that it knows the protocol after all.

use std::fmt::Write;
use std::time::Duration;

use crate::credit::Room;
use crate::holes::{ASK_AGAIN, Patience};
use crate::nanos::Nanos;
use crate::order::{Arrival, Stream};

/// Bytes of an answer.
pub const ANSWER_BYTES: usize = 1000;
/// Acknowledges nothing: record 0 is missing.
const NOTHING: u64 = u64::MAX;
/// Acknowledgements sent to a sender that has not reacted yet, and the time between them. The sender's reaction
/// is to announce its newest record when idle.
const GREETINGS: u8 = 6;
/// Where the address has proven nothing: there is one in a second.
const GREETINGS_UNPROVEN: u8 = 3;
const GREETING: Duration = Duration::from_millis(200);
/// The time between acknowledgements to a sender that knows the protocol, which after 10 s without one sends
/// in emergency mode; and at least between any two.
const ACKNOWLEDGE: Duration = Duration::from_secs(1);
const ACKNOWLEDGE_AT_ONCE: Duration = Duration::from_millis(20);
/// The most time between two requests for the same record.
const ASK_AGAIN_MOST: Duration = Duration::from_millis(500);
/// A record repeated after this time is the sender's announcement, not the network's doubling.
const ANNOUNCEMENT: Duration = Duration::from_millis(500);
/// Requests for a record before it is given up: by a sender not known to react, and by one that does. With a
/// fifth of the datagrams lost in both directions, 12 fail once in 200,000 times, 20 once in 10⁹.
const ASKS_UNKNOWN: u8 = 12;
const ASKS: u8 = 20;
/// A sender is taken to know the protocol at the first reaction, and for certain after this many: one alone may
/// have been a datagram that was under way for long.
const CERTAIN: u8 = 3;
/// The same where the address has proven nothing, and is asked once a second.
const ASKS_UNPROVEN: u8 = 5;
/// So long a gap is waited for meanwhile, and once such a wait was in vain.
const UNPROVEN_WAIT: Duration = Duration::from_millis(4100);
/// See [`UNPROVEN_WAIT`].
const UNPROVEN_AGAIN: Duration = Duration::from_millis(1100);
/// The same of a sender that has reacted, by an emergency transmission or an announcement: it can send again, and with a
/// fifth of the datagrams lost in both directions 12 questions fail once in 200,000 times, five once in 160.
const REACTED_WAIT: Duration = Duration::from_millis(11_100);
/// The least, after requests in vain: what the ring no longer has, or the level forbids, should not hold up
/// the rest each time.
const ASKS_LEAST: u8 = 5;
/// Records asked for in one round, adapted to what the sender manages in a round.
const ROUND_LEAST: u16 = 64;
const ROUND_FIRST: u16 = 256;
const ROUND_MOST: u16 = 1024;
/// Records asked for in one round of a sender that has not reacted yet: whoever sends in somebody else's name has
/// that one bothered by little.
const ROUND_UNKNOWN: u16 = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// Has not reacted yet.
    Unknown,
    /// Reacts.
    Speaks,
    /// Did not react to what it was asked.
    Silent,
    /// Is not to be asked.
    Off,
}

/// The conversation with one sender.
#[derive(Debug)]
pub struct Ncrx {
    known: Known,
    greetings: u8,
    reactions: u8,
    unanswered: u8,
    asks: u8,
    round: u16,
    filled: u16,
    in_vain: u32,
    /// The time between two requests for the same record: what it has lately taken to get one.
    again: Nanos,
    asked_at: Nanos,
    acknowledged: u64,
    acknowledged_at: Nanos,
    at_once: bool,
    /// What was sent last was not bounded by the address's credit.
    is_proven: bool,
}

impl Default for Ncrx {
    fn default() -> Self {
        Ncrx {
            known: Known::Unknown,
            greetings: 0,
            reactions: 0,
            unanswered: 0,
            asks: ASKS,
            round: ROUND_FIRST,
            filled: 0,
            in_vain: 0,
            again: ASK_AGAIN.into(),
            asked_at: Nanos::ZERO,
            acknowledged: NOTHING,
            acknowledged_at: Nanos::ZERO,
            at_once: false,
            is_proven: false,
        }
    }
}

impl Ncrx {
    /// A conversation with a sender that is first heard now: what it is told first waits a little, as a question may
    /// take its place.
    pub fn starting(now: Duration) -> Self {
        Ncrx { acknowledged_at: now.into(), ..Ncrx::default() }
    }

    /// A conversation that never begins: a capture is read, or the user does not want it.
    pub fn off() -> Self {
        Ncrx { known: Known::Off, ..Ncrx::default() }
    }

    /// Whether the sender has shown that it knows the protocol.
    pub fn speaks(&self) -> bool {
        self.known == Known::Speaks
    }

    /// How long to wait for a gap to close.
    pub fn patience(&self) -> Patience {
        let asks = match self.known {
            Known::Unknown | Known::Speaks if !self.is_proven => {
                // There may be no room to ask. What was in vain once is asked for once.
                let wait = match (self.known, self.in_vain) {
                    (Known::Speaks, 0) => REACTED_WAIT,
                    (Known::Speaks, _) | (_, 0) => UNPROVEN_WAIT,
                    _ => UNPROVEN_AGAIN,
                };
                return Patience { wait, asks: 0, again: self.again.get(), is_asking: true };
            }
            Known::Unknown => ASKS_UNKNOWN,
            Known::Speaks => self.asks,
            Known::Silent | Known::Off => return Patience::without_asking(self.again.get()),
        };
        Patience { wait: Duration::ZERO, asks: asks.into(), again: self.again.get(), is_asking: true }
    }

    /// Learns from what came.
    pub fn heard(&mut self, arrival: Arrival, emergency: bool) {
        if self.known == Known::Off {
            return;
        }
        let answered = self.greetings > 0 || self.unanswered > 0;
        let asked = matches!(arrival, Arrival::Filled { asked, .. } if asked > 0);
        let announced = matches!(arrival, Arrival::Duplicate { age } if answered && age >= ANNOUNCEMENT);
        if let Arrival::Filled { asked: 1.., after } = arrival {
            self.filled = self.filled.saturating_add(1);
            self.asks = ASKS;
            // Also where it was asked for several times: a sender that is slow is not to be asked faster.
            self.again = (self.again.get().saturating_mul(7).saturating_add(after) / 8)
                .clamp(ASK_AGAIN, ASK_AGAIN_MOST)
                .into();
        }
        if asked || announced || emergency {
            self.known = Known::Speaks;
            self.unanswered = 0;
            self.reactions = self.reactions.saturating_add(if asked { 1 } else { CERTAIN });
        }
        // What comes again was not acknowledged, or the acknowledgement was lost.
        self.at_once |= emergency || (self.speaks() && matches!(arrival, Arrival::Duplicate { .. }));
    }

    /// The sender started again; it may be another system now.
    pub fn rebooted(&mut self) {
        if self.known != Known::Off {
            *self = Ncrx::default();
        }
    }

    /// When the next acknowledgement is due.
    pub fn due(&self, stream: &Stream) -> Option<Duration> {
        if !self.is_proven && stream.has_gap() {
            // A question is about to take its place.
            return None;
        }
        let after = match self.known {
            Known::Unknown if stream.is_started() && self.greetings < self.greetings_most() => GREETING,
            Known::Speaks if self.at_once => ACKNOWLEDGE_AT_ONCE,
            Known::Speaks if self.acknowledged != acknowledged(stream) => ACKNOWLEDGE,
            _ => return None,
        };
        Some(self.acknowledged_at.after(after))
    }

    fn greetings_most(&self) -> u8 {
        if self.is_proven { GREETINGS } else { GREETINGS_UNPROVEN }
    }

    /// The answers that are due now.
    pub fn answers(&mut self, stream: &mut Stream, room: Room, now: Duration) -> Vec<String> {
        if matches!(self.known, Known::Silent | Known::Off) || !stream.is_started() {
            return Vec::new();
        }
        self.is_proven = room == Room::All;
        self.give_up(stream, now);
        if self.known == Known::Silent {
            return Vec::new();
        }
        let most = match room {
            Room::All if self.speaks() => self.round.into(),
            Room::All => ROUND_UNKNOWN.into(),
            Room::Bytes(bytes) => {
                // At least the acknowledgement, and as many numbers as are sure to fit.
                let Some(rest) = bytes.min(ANSWER_BYTES).checked_sub(start(acknowledged(stream)).len())
                else {
                    return Vec::new();
                };
                (rest / (stream.end().to_string().len() + 1)).min(ROUND_FIRST.into())
            }
        };
        let missing = self.requests(stream, most, now);
        let is_due = self.due(stream).is_some_and(|due| now >= due);
        if missing.is_empty() && !is_due {
            return Vec::new();
        }
        self.greetings = self.greetings.saturating_add(1);
        self.acknowledged = acknowledged(stream);
        self.acknowledged_at = now.into();
        self.at_once = false;
        write_answers(acknowledged(stream), &missing)
    }

    /// The acknowledgement of what is not acknowledged yet, when no other will follow: a sender that waits for
    /// one before it ends need not wait any longer.
    pub fn last_answer(&self, stream: &Stream) -> Option<String> {
        let is_due = self.due(stream).is_some() && self.acknowledged != acknowledged(stream);
        is_due.then(|| write_answers(acknowledged(stream), &[]).concat())
    }

    /// The numbers to ask for in this round.
    fn requests(&mut self, stream: &mut Stream, most: usize, now: Duration) -> Vec<u64> {
        if now < self.asked_at.after(ASK_AGAIN) {
            return Vec::new();
        }
        let missing = stream.ask(now, most, self.again.get());
        if !missing.is_empty() {
            self.asked_at = now.into();
            self.unanswered = self.unanswered.saturating_add(1);
            self.round = self.filled.saturating_mul(2).clamp(ROUND_LEAST, ROUND_MOST);
            self.filled = 0;
        }
        missing
    }

    /// Asks less often where it was in vain, and no more where nothing came of it.
    fn give_up(&mut self, stream: &Stream, now: Duration) {
        if now < self.asked_at.after(ASK_AGAIN) {
            return;
        }
        if stream.asked_in_vain > self.in_vain {
            if self.filled == 0 {
                self.asks = (self.asks / 2).max(ASKS_LEAST);
            }
            self.in_vain = stream.asked_in_vain;
        }
        let asks = if self.is_proven { ASKS_UNKNOWN } else { ASKS_UNPROVEN };
        if self.reactions < CERTAIN && self.unanswered >= asks {
            self.known = Known::Silent;
            self.reactions = 0;
        }
    }
}

/// What each answer begins with.
fn start(acknowledged: u64) -> String {
    format!("ncrx{acknowledged}")
}

fn acknowledged(stream: &Stream) -> u64 {
    stream.acknowledged().unwrap_or(NOTHING)
}

/// Writes as many answers as the numbers need.
fn write_answers(acknowledged: u64, missing: &[u64]) -> Vec<String> {
    let start = start(acknowledged);
    let mut answers = vec![start.clone()];
    for number in missing {
        let mut word = String::new();
        // Writing to a String does not fail.
        let _ = write!(word, " {number}");
        match answers.last_mut() {
            Some(answer) if answer.len() + word.len() <= ANSWER_BYTES => answer.push_str(&word),
            _ => answers.push(format!("{start}{word}")),
        }
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_answers() {
        assert_eq!(write_answers(416, &[419, 420, 433]), ["ncrx416 419 420 433"]);
        assert_eq!(write_answers(NOTHING, &[0]), ["ncrx18446744073709551615 0"]);
        assert_eq!(write_answers(7, &[]), ["ncrx7"]);
    }

    #[test]
    fn an_answer_is_at_most_1000_bytes() {
        let missing: Vec<u64> = (u64::MAX - 1000..u64::MAX).collect();
        let answers = write_answers(u64::MAX - 2000, &missing);
        assert!(answers.iter().all(|answer| answer.len() <= ANSWER_BYTES));
        let numbers: Vec<u64> = answers
            .iter()
            .flat_map(|answer| answer.split(' ').skip(1))
            .map(|number| number.parse().expect("a number"))
            .collect();
        assert_eq!(numbers, missing);
    }
}
