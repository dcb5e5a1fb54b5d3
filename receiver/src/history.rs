//! What became of the numbers behind: tells a duplicate from a latecomer from a new boot.

use std::collections::VecDeque;
use std::time::Duration;

use crate::limits;

/// A repeated record older than this is not the network's doubling.
const DOUBLE: Duration = Duration::from_secs(1);
/// How far a sender's clock may go back within a boot, in µs: processors' clocks differ a little.
pub const CLOCK_SLACK: u64 = 1_000_000;

#[derive(Clone, Copy, Debug)]
enum Past {
    Had {
        timestamp: u64,
        at: Duration,
    },
    /// Not come; the record before it had this timestamp.
    Lost {
        after: u64,
    },
}

/// What a record is whose number is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Old {
    /// Had before, this long ago.
    Duplicate(Duration),
    /// Given up before.
    Late,
    /// It does not fit to what was: it is of a new boot, or a stray from long ago.
    Foreign,
}

/// A record whose number is behind.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// How far behind: 1 is the number given out last.
    pub behind: u64,
    /// µs since the sender's boot.
    pub timestamp: u64,
    /// It may be a repetition at any time: it says so itself, the sender is one that repeats, or it is the newest.
    pub repeats: bool,
}

/// The fate of the last [`limits::HISTORY`] numbers.
#[derive(Debug, Default)]
pub struct History(VecDeque<Past>);

impl History {
    /// The next number was given out.
    pub fn had(&mut self, timestamp: u64, at: Duration) {
        self.push(Past::Had { timestamp, at });
    }

    /// The next numbers were given up, after a record of this time.
    pub fn lost(&mut self, count: u64, after: u64) {
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(limits::HISTORY);
        for _ in 0..count {
            self.push(Past::Lost { after });
        }
    }

    /// Judges a record; one that is late is from now on had.
    pub fn judge(&mut self, candidate: Candidate, now: Duration) -> Old {
        let behind = usize::try_from(candidate.behind).unwrap_or(usize::MAX);
        let past = self.0.len().checked_sub(behind).and_then(|index| self.0.get_mut(index));
        match past {
            Some(&mut Past::Had { timestamp, at }) if timestamp == candidate.timestamp => {
                let age = now.saturating_sub(at);
                if candidate.repeats || age < DOUBLE { Old::Duplicate(age) } else { Old::Foreign }
            }
            Some(past) => match *past {
                Past::Lost { after } if candidate.timestamp.saturating_add(CLOCK_SLACK) >= after => {
                    *past = Past::Had { timestamp: candidate.timestamp, at: now };
                    Old::Late
                }
                _ => Old::Foreign,
            },
            None if candidate.repeats => Old::Duplicate(Duration::MAX),
            None => Old::Foreign,
        }
    }

    fn push(&mut self, past: Past) {
        if self.0.len() >= limits::HISTORY {
            self.0.pop_front();
        }
        self.0.push_back(past);
    }
}
