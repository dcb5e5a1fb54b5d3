//! The gaps in one sender's sequence: since when, how often asked for, when to ask, when to give up.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::limits;

/// A gap younger than this may be mere reordering: it is not asked for yet.
const ASK_AFTER: Duration = Duration::from_millis(20);
/// A request so long ago was lost, or its answer was.
const LONG_AGO: Duration = Duration::from_millis(900);
/// The time between two requests for the same record, at least.
pub const ASK_AGAIN: Duration = Duration::from_millis(50);

/// When a gap is given up: after the time and the number of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Since the gap was noticed.
    pub wait: Duration,
    /// Requests that got no answer.
    pub asks: u32,
    /// The time between two requests.
    pub again: Duration,
    /// Whether it is asked for at all.
    pub is_asking: bool,
}

impl Patience {
    /// Where nothing is asked for: mere reordering is waited for.
    pub fn without_asking(again: Duration) -> Self {
        Patience { wait: limits::REORDER_WAIT, asks: 0, again, is_asking: false }
    }
}

/// A gap.
#[derive(Clone, Copy, Debug)]
pub struct Hole {
    /// The last number in it.
    pub last: u64,
    /// How often it was asked for.
    pub asked: u32,
    /// Nothing was sent here: the message ids on both sides show it, or it was held back.
    pub unsent: bool,
    /// The sender says that its level held it back.
    pub held: bool,
    /// It is before the first record heard, which may have been overtaken: nothing is known to be missing.
    pub before: bool,
    noticed: Duration,
    asked_at: Duration,
    /// When it was asked for first, of the requests that are not from long ago.
    pub first_asked_at: Duration,
}

impl Hole {
    /// Whether nobody waits for it any longer.
    pub fn is_given_up(&self, now: Duration, patience: Patience) -> bool {
        if self.before {
            return now >= self.noticed + ASK_AFTER;
        }
        let asked =
            self.asked >= patience.asks && (patience.asks == 0 || now >= self.asked_at + patience.again);
        self.unsent || (asked && now >= self.noticed + patience.wait)
    }

    /// When it may be given up, or asked for, at the earliest.
    pub fn due(&self, now: Duration, patience: Patience) -> Duration {
        if self.before {
            self.noticed.saturating_add(ASK_AFTER)
        } else if !patience.is_asking && !self.unsent {
            self.noticed.saturating_add(patience.wait)
        } else {
            now
        }
    }

    fn is_due(&self, now: Duration, again: Duration) -> bool {
        let again = self.asked == 0 || now >= self.asked_at + again;
        !self.unsent && !self.before && again && now >= self.noticed + ASK_AFTER
    }
}

/// All gaps, by their first number. They do not overlap.
#[derive(Debug, Default)]
pub struct Holes(BTreeMap<u64, Hole>);

impl Holes {
    /// No gap.
    pub const fn new() -> Self {
        Holes(BTreeMap::new())
    }

    /// A gap, noticed now.
    pub fn open(&mut self, first: u64, last: u64, unsent: bool, now: Duration) {
        // Nanoseconds tell the order of arrival, and are no time to wait for.
        let noticed = Duration::new(now.as_secs(), now.subsec_micros().saturating_mul(1000));
        let (asked_at, first_asked_at) = (Duration::ZERO, Duration::ZERO);
        self.0.insert(
            first,
            Hole { last, asked: 0, unsent, held: false, before: false, noticed, asked_at, first_asked_at },
        );
    }

    /// A gap before the first record heard, noticed now: overtaken records are waited for a little.
    pub fn open_before(&mut self, first: u64, last: u64, now: Duration) {
        self.open(first, last, false, now);
        self.0.values_mut().for_each(|hole| hole.before = true);
    }

    /// The first record is certain: what is missing after it is missing.
    pub fn begin(&mut self) {
        self.0.values_mut().for_each(|hole| hole.before = false);
    }

    /// A gap after all others, which the sender held back: it goes on with the one before where that is one, too.
    pub fn open_held(&mut self, first: u64, last: u64, now: Duration) {
        let before = self.0.values_mut().next_back();
        if let Some(before) = before.filter(|hole| hole.held && hole.last.saturating_add(1) == first) {
            before.last = last;
            return;
        }
        self.open(first, last, true, now);
        self.hold_back(first, last);
    }

    /// The gap that a number is in.
    pub fn of(&self, number: u64) -> Option<Hole> {
        self.0.range(..=number).next_back().map(|(_, hole)| *hole).filter(|hole| hole.last >= number)
    }

    /// The gap with the lowest numbers, and its first.
    pub fn first(&self) -> Option<(u64, Hole)> {
        self.0.first_key_value().map(|(&first, hole)| (first, *hole))
    }

    /// Takes that gap out.
    pub fn pop_first(&mut self) -> Option<(u64, Hole)> {
        self.0.pop_first()
    }

    /// Takes a number out of its gap, which may fall in two.
    pub fn fill(&mut self, number: u64) {
        let Some((&first, &hole)) = self.0.range(..=number).next_back() else { return };
        self.0.remove(&first);
        if first < number {
            self.0.insert(first, Hole { last: number - 1, ..hole });
        }
        if number < hole.last {
            self.0.insert(number + 1, hole);
        }
    }

    /// The sender says that it held these numbers back. Those of them that had come stay as they are.
    pub fn hold_back(&mut self, first: u64, last: u64) {
        let all = self.0.range(..=last).rev().take_while(|(_, hole)| hole.last >= first);
        let all: Vec<(u64, Hole)> = all.map(|(&start, &hole)| (start, hole)).collect();
        for (start, hole) in all {
            self.0.remove(&start);
            let (from, to) = (start.max(first), hole.last.min(last));
            if start < from {
                self.0.insert(start, Hole { last: from - 1, ..hole });
            }
            if to < hole.last {
                self.0.insert(to + 1, hole);
            }
            self.0.insert(from, Hole { last: to, unsent: true, held: true, ..hole });
        }
    }

    /// The numbers that it is time to ask for, lowest first, at most `most`; those that were asked for, `again`
    /// later.
    pub fn ask(&mut self, now: Duration, most: usize, again: Duration) -> Vec<u64> {
        let mut asked = Vec::new();
        let due: Vec<u64> =
            self.0.iter().filter(|(_, hole)| hole.is_due(now, again)).map(|(&first, _)| first).collect();
        for first in due {
            let Some(hole) = self.0.get_mut(&first) else { continue };
            let room = u64::try_from(most.saturating_sub(asked.len())).unwrap_or(u64::MAX);
            if room == 0 {
                break;
            }
            let rest = *hole;
            hole.last = hole.last.min(first.saturating_add(room - 1));
            // What comes by now is no answer to a question of long ago.
            if hole.asked == 0 || now >= hole.asked_at.saturating_add(LONG_AGO) {
                hole.first_asked_at = now;
            }
            hole.asked = hole.asked.saturating_add(1);
            hole.asked_at = now;
            let last = hole.last;
            if last < rest.last {
                self.0.insert(last + 1, rest);
            }
            asked.extend(first..=last);
        }
        asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    fn numbers(holes: &Holes) -> Vec<(u64, u64)> {
        holes.0.iter().map(|(&first, hole)| (first, hole.last)).collect()
    }

    #[test]
    fn a_number_taken_out_leaves_what_is_around_it() {
        let mut holes = Holes::default();
        holes.open(10, 14, false, Duration::ZERO);
        holes.fill(12);
        assert_eq!(numbers(&holes), [(10, 11), (13, 14)]);
        holes.fill(10);
        holes.fill(14);
        assert_eq!(numbers(&holes), [(11, 11), (13, 13)]);
        assert!(holes.of(12).is_none() && holes.of(13).is_some());
        holes.fill(11);
        holes.fill(13);
        assert!(holes.first().is_none());
    }

    #[test]
    fn what_was_held_back_is_not_asked_for() {
        let mut holes = Holes::default();
        holes.open(10, 14, false, Duration::ZERO);
        holes.fill(12);
        holes.hold_back(11, 13);
        assert_eq!(numbers(&holes), [(10, 10), (11, 11), (13, 13), (14, 14)]);
        assert_eq!(holes.ask(ASK_AFTER, 10, ASK_AGAIN), [10, 14]);
    }

    #[test]
    fn what_was_held_back_at_the_end_is_one_gap() {
        let mut holes = Holes::default();
        holes.open(1, 1, false, Duration::ZERO);
        holes.open_held(2, 3, Duration::ZERO);
        holes.open_held(4, 9, Duration::ZERO);
        holes.open_held(11, 12, Duration::ZERO);
        assert_eq!(numbers(&holes), [(1, 1), (2, 9), (11, 12)]);
        assert_eq!(holes.ask(ASK_AFTER, 10, ASK_AGAIN), [1]);
    }

    #[test]
    fn requests_are_bounded_and_not_repeated_at_once() {
        let mut holes = Holes::default();
        holes.open(0, 99, false, Duration::ZERO);
        assert!(holes.ask(ASK_AFTER - MILLISECOND, 10, ASK_AGAIN).is_empty(), "perhaps only reordered");
        assert_eq!(holes.ask(ASK_AFTER, 10, ASK_AGAIN), (0..10).collect::<Vec<_>>());
        assert_eq!(holes.ask(ASK_AFTER, 10, ASK_AGAIN), (10..20).collect::<Vec<_>>());
        assert_eq!(holes.ask(ASK_AFTER + ASK_AGAIN, 200, ASK_AGAIN), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_gap_is_given_up_after_the_requests_or_the_time() {
        let mut holes = Holes::default();
        holes.open(0, 0, false, Duration::ZERO);
        let given_up = |holes: &Holes, now, wait, asks| {
            holes.first().is_some_and(|(_, hole)| {
                hole.is_given_up(now, Patience { wait, asks, again: ASK_AGAIN, is_asking: asks > 0 })
            })
        };
        assert!(!given_up(&holes, MILLISECOND, MILLISECOND * 2, 0));
        assert!(given_up(&holes, MILLISECOND * 2, MILLISECOND * 2, 0));
        assert!(!given_up(&holes, ASK_AFTER, Duration::ZERO, 1));
        holes.ask(ASK_AFTER, 1, ASK_AGAIN);
        assert!(!given_up(&holes, ASK_AFTER + MILLISECOND, Duration::ZERO, 1), "the answer is under way");
        assert!(given_up(&holes, ASK_AFTER + ASK_AGAIN, Duration::ZERO, 1));
    }
}
