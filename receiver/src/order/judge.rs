//! What a datagram is to a boot: the next record, one that is missing, one that was had, or none of its records.

use std::time::Duration;

use super::place::{Place, Received};
use super::{ANSWER, DOUBLE, Stream};
use crate::boot::{self, Old};
use crate::event::Event;
use crate::extended::Header;
use crate::limits;

/// A sender that repeats this many of the boot's first records exactly sends its whole log again.
const REPEATED: u8 = 4;
/// How late a record may come by its time and still be of the boot without doubt, in µs; a thousandth of the time
/// that has passed is added, by which clocks may differ.
const LATENESS: u64 = 2_000_000;
/// The most records that may be lost where a sender goes on from another address.
const GAP_ELSEWHERE: u64 = 8;

impl Stream {
    /// What a datagram is to this boot.
    pub fn judge(&self, received: &Received<'_>) -> Place {
        let Received { header, at, .. } = received;
        if !self.started {
            return Place::Next;
        }
        if header.sequence < self.next {
            return self.judge_old(received);
        }
        if header.sequence >= self.end {
            let gap = header.sequence.saturating_sub(header.held).saturating_sub(self.end);
            // No gap is opened from one boot to another.
            if gap > 0 && self.is_of_later_boot(received) {
                return Place::Foreign;
            }
            let is_in_time = boot::is_between(Some(self.newest), header.timestamp, None);
            return match (gap <= limits::FIRST_REACH, is_in_time) {
                (true, true) => Place::Next,
                (true, false) => Place::Ahead,
                (false, true) if gap <= limits::LEAP => Place::Ahead,
                (false, _) => Place::Foreign,
            };
        }
        let held = self.behind.get();
        if let Some(waiting) = held.waiting.get(&header.sequence) {
            let is_same = waiting.digest == received.digest();
            return if is_same { Place::Same(at.saturating_sub(waiting.at)) } else { Place::Foreign };
        }
        let before = held.waiting.range(..header.sequence).next_back().map(|(_, waiting)| waiting.timestamp);
        let after = held.waiting.range(header.sequence..).next().map(|(_, waiting)| waiting.timestamp);
        let fits = match held.partial.get(&header.sequence) {
            Some(partial) => partial.timestamp() == header.timestamp,
            None => boot::is_between(before.or(self.given()), header.timestamp, after),
        };
        if fits { Place::Hole } else { Place::Foreign }
    }

    /// Whether it goes on with this record, which comes from elsewhere: it is the next one, or one that is missing, but
    /// for a few that were lost meanwhile.
    pub fn goes_on_with(&self, received: &Received<'_>) -> bool {
        let Header { sequence, held, .. } = received.header;
        let gap = sequence.saturating_sub(held).saturating_sub(self.end);
        self.is_started()
            && sequence >= self.next
            && gap <= GAP_ELSEWHERE
            && self.judge(received).is_awaited()
    }

    /// Whether the clocks say that the sender was started again since its newest record: it may have been, as its
    /// time is shorter than ours since then, and the record would be late if it was not.
    pub fn is_of_later_boot(&self, received: &Received<'_>) -> bool {
        // Who sends again what was lost does so late, however long nothing came.
        if self.sends_again() || received.header.is_ours() {
            return false;
        }
        let ours =
            u64::try_from(received.at.saturating_sub(self.newest_at.get()).as_micros()).unwrap_or(u64::MAX);
        let slack = LATENESS.saturating_add(ours / 1000);
        let timestamp = received.header.timestamp.saturating_add(slack);
        let may_be_later = received.header.timestamp <= ours.saturating_add(slack);
        may_be_later && timestamp < self.newest.saturating_add(ours)
    }

    /// A number that is behind: a duplicate, too late, or of another boot.
    fn judge_old(&self, received: &Received<'_>) -> Place {
        let Received { header, at, .. } = received;
        // The newest record may be announced at any time.
        let is_newest = self.given_number.get() == Some(header.sequence)
            && self.behind.get().waiting.is_empty()
            && !self.retired;
        let is_within = |since: Duration, time| *at < since.saturating_add(time);
        let survived = received.is_of_boot_before()
            || header.fragment.is_some()
                && self.behind.get().survived.is_some_and(|last| header.sequence.wrapping_sub(last) <= 1);
        let is_recent = is_within(self.heard_at.get(), DOUBLE);
        let is_asked = self
            .behind
            .get()
            .asked
            .get(&header.sequence)
            .is_some_and(|asked_at| is_within(*asked_at, ANSWER));
        let is_sent_again = header.emergency || survived || is_asked || self.is_sent_again(received);
        let is_double = is_recent && header.sequence >= self.recent_from(*at);
        let is_repeated = is_sent_again || is_newest || is_double;
        match self.boot.judge(header.sequence, header.timestamp, received.digest()) {
            Old::Same if is_repeated || self.repeats || self.has_copies => {
                Place::Same(if is_newest { at.saturating_sub(self.heard_at.get()) } else { Duration::ZERO })
            }
            Old::Same => Place::Again,
            Old::Alike if is_repeated || self.repeats && self.repeated >= REPEATED || self.has_copies => {
                Place::Alike
            }
            Old::Late if is_sent_again || is_recent => Place::Late,
            // From before it was first heard.
            Old::Foreign if survived && self.joined.get().is_some_and(|joined| header.sequence < joined) => {
                Place::Late
            }
            Old::Late | Old::Alike => Place::Doubtful,
            Old::Foreign if self.may_be_disordered(received) => {
                match (self.boot.is_lost(header.sequence), is_double, self.is_sent_again(received)) {
                    (true, _, true) => Place::Late,
                    (false, true, _) | (false, _, true) => Place::Alike,
                    _ => Place::Foreign,
                }
            }
            Old::Foreign => Place::Foreign,
        }
    }

    /// Whether it goes on with the whole log that the sender sends again.
    fn is_sent_again(&self, received: &Received<'_>) -> bool {
        self.behind.get().again.is_some_and(|(last, at)| {
            received.at < at.after(limits::BOOT_WAIT)
                && received.header.sequence.saturating_add(limits::FIRST_REACH) >= last
        })
    }

    /// Whether its time says nothing, as in its first second Linux's clock goes back once or twice.
    pub fn may_be_disordered(&self, received: &Received<'_>) -> bool {
        let Header { sequence, timestamp, .. } = received.header;
        let is_early = timestamp < limits::TICKS && sequence < self.next;
        is_early && self.boot.may_have(sequence, received.digest())
    }

    /// Whether it was had, beyond doubt: its time is that to the µs, of which another boot's record differs.
    pub fn had_exactly(&self, received: &Received<'_>) -> bool {
        let Header { sequence, timestamp, .. } = received.header;
        let digest = received.digest();
        let waits = self.behind.get().waiting.get(&sequence).is_some_and(|waiting| waiting.digest == digest);
        timestamp >= limits::TICKS && (waits || self.boot.had_exactly(sequence, timestamp, digest))
    }

    /// How much the sender's clock and ours differ in what has passed since the record with the highest number.
    pub fn contradiction(&self, received: &Received<'_>) -> Duration {
        let theirs = Duration::from_micros(received.header.timestamp.abs_diff(self.newest));
        let ours = received.at.saturating_sub(self.newest_at.get());
        if received.header.timestamp >= self.newest {
            ours.abs_diff(theirs)
        } else {
            ours.saturating_add(theirs)
        }
    }

    /// From here on the network may still double what came.
    fn recent_from(&self, now: Duration) -> u64 {
        let (at, from) = self.recent;
        if now >= at.after(DOUBLE) { from } else { self.recent_before }
    }

    /// The time of the record given out last.
    fn given(&self) -> Option<u64> {
        (self.next > self.joined.get().unwrap_or(0)).then_some(self.timestamp)
    }

    /// Whether what does not come is lost, and may come again: the sender repeats on request, or is of the kind that does.
    pub(super) fn sends_again(&self) -> bool {
        self.tells || self.repeats
    }

    /// Names numbers that did not come.
    pub fn lack(&self, first: u64, last: u64, count: u64) -> Event {
        if self.sends_again() {
            Event::Missing { first, last, count }
        } else {
            Event::Skipped { first, last, count }
        }
    }
}
