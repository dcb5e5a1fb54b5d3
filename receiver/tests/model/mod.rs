//! A sender that knows ncrx, and a network that loses, written from the specification, independent of the
//! receiver's code. Time is given in milliseconds.

use std::collections::{BTreeSet, VecDeque};

/// Datagrams that it sends in a millisecond at most.
const RATE: usize = 20;
const ANNOUNCEMENTS: [u64; 3] = [1000, 2000, 4000];
const EMERGENCY_AFTER: u64 = 10_000;
const EMERGENCY_INTERVAL: u64 = 100;

/// The text of a record.
pub fn text(sequence: u64) -> String {
    format!("flood message {sequence:08} abcdefghijklmnopqrstuvwxyz0123456789")
}

/// A datagram of the extended format.
pub fn datagram(sequence: u64, text: &str) -> Vec<u8> {
    format!("6,{sequence},{},-;{text}\n", sequence * 10).into_bytes()
}

/// A small generator of random numbers (xorshift64), so that each run is the same.
pub struct Random(pub u64);

impl Random {
    /// True this often in a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    /// A number.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// The sender of `count` records, of which the ring keeps the last `ring`.
pub struct Sender {
    /// Whether it announces the newest record when idle; Meta's nctx does not.
    pub announces: bool,
    count: u64,
    ring: u64,
    sent: u64,
    again: VecDeque<u64>,
    queued: BTreeSet<u64>,
    acknowledged: Option<u64>,
    answered_at: Option<u64>,
    sent_at: u64,
    announced: usize,
    emergency_at: Option<(u64, u64)>,
}

impl Sender {
    /// Starts to send at once.
    pub fn new(count: u64, ring: u64) -> Self {
        Sender {
            announces: true,
            count,
            ring,
            sent: 0,
            again: VecDeque::new(),
            queued: BTreeSet::new(),
            acknowledged: None,
            answered_at: None,
            sent_at: 0,
            announced: 0,
            emergency_at: None,
        }
    }

    /// What it sends in this millisecond.
    pub fn send(&mut self, now: u64) -> Vec<Vec<u8>> {
        let mut datagrams = Vec::new();
        while datagrams.len() < RATE {
            let Some(sequence) = self.again.pop_front() else { break };
            self.queued.remove(&sequence);
            if sequence + self.ring >= self.sent {
                datagrams.push(datagram(sequence, &text(sequence)));
            }
        }
        while datagrams.len() < RATE && self.sent < self.count {
            datagrams.push(datagram(self.sent, &text(self.sent)));
            self.sent += 1;
            self.sent_at = now;
        }
        if self.sent < self.count || self.answered_at.is_none() {
            return datagrams;
        }
        let newest = self.sent - 1;
        if self.announces
            && ANNOUNCEMENTS.get(self.announced).is_some_and(|after| now >= self.sent_at + after)
        {
            self.announced += 1;
            datagrams.push(datagram(newest, &text(newest)));
        }
        let next = self
            .acknowledged
            .map_or(0, |acknowledged| acknowledged + 1)
            .max(self.sent.saturating_sub(self.ring));
        if next <= newest && now >= self.answered_at.unwrap_or(0) + EMERGENCY_AFTER {
            let (due, sequence) = self.emergency_at.unwrap_or((now, next));
            if now >= due {
                let sequence = if sequence > newest { next } else { sequence };
                let text = text(sequence);
                datagrams.push(format!("6,{sequence},{},-,ncemg=1;{text}\n", sequence * 10).into_bytes());
                self.emergency_at = Some((now + EMERGENCY_INTERVAL, sequence + 1));
            }
        }
        datagrams
    }

    /// Takes an answer.
    pub fn answer(&mut self, answer: &str, now: u64) {
        let mut numbers = answer.strip_prefix("ncrx").expect("an answer begins with ncrx").split(' ');
        let number = |word: &str| word.parse::<u64>().expect("an answer holds numbers");
        let acknowledged = number(numbers.next().expect("an answer acknowledges"));
        assert!(answer.len() <= 1000);
        if acknowledged != u64::MAX {
            assert!(acknowledged < self.sent, "acknowledged what was not sent");
            self.acknowledged = self.acknowledged.max(Some(acknowledged));
        }
        self.answered_at = Some(now);
        self.emergency_at = None;
        for sequence in numbers.map(number) {
            assert!(sequence < self.sent, "asked for what was not sent");
            if self.queued.insert(sequence) {
                self.again.push_back(sequence);
            }
        }
    }
}
