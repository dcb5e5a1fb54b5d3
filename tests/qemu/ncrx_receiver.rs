//! A receiver that behaves on the wire as Meta's ncrx does. ncrx is not part of the tests: this is written from
//! the protocol, with the times and limits that a run of ncrx showed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The time from a record to its acknowledgement, and between two requests for one.
const ACKNOWLEDGE_AFTER: Duration = Duration::from_secs(1);
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// At each multiple of this number it asks for all that is missing and farther behind than this.
const STRIDE: u64 = 256;
/// How far it looks back for a missing record, and for how long.
const WINDOW: u64 = 8192 - STRIDE;
const PATIENCE: Duration = Duration::from_secs(30);
/// A record that it has had for longer than this is taken for another boot's, unless it is an emergency's.
const FOREIGN_AFTER: Duration = Duration::from_secs(5);
const ANSWER_BYTES: usize = 1000;

/// A record that is not given out yet.
struct Slot {
    touched: Instant,
    asked: Instant,
    /// By their offsets.
    parts: BTreeMap<usize, String>,
    /// The body's length, once a part has come.
    total: Option<usize>,
}

impl Slot {
    fn is_whole(&self) -> bool {
        Some(self.parts.values().map(String::len).sum()) == self.total
    }
}

/// What it has received.
pub struct NcrxReceiver {
    /// Begins with the first record that it hears.
    next: Option<u64>,
    slots: BTreeMap<u64, Slot>,
    given_at: BTreeMap<u64, Instant>,
    acknowledged: Option<u64>,
    acknowledged_at: Instant,
    /// The records given out, in this order.
    pub given: Vec<u64>,
    /// Datagrams taken for another boot's.
    pub foreign: Vec<String>,
}

impl NcrxReceiver {
    pub fn new(now: Instant) -> Self {
        Self {
            next: None,
            slots: BTreeMap::new(),
            given_at: BTreeMap::new(),
            acknowledged: None,
            acknowledged_at: now,
            given: Vec::new(),
            foreign: Vec::new(),
        }
    }

    /// Takes a datagram, or the time alone, and returns the answer, where one is due.
    pub fn process(&mut self, datagram: Option<&str>, now: Instant) -> Option<String> {
        if self.last_complete() == self.acknowledged {
            self.acknowledged_at = now;
        }
        let end_before = self.end();
        let is_emergency = datagram.is_some_and(|datagram| self.take(datagram, now));
        self.give_out(now);
        let mut answer = String::new();
        let waits =
            self.last_complete() != self.acknowledged && now > self.acknowledged_at + ACKNOWLEDGE_AFTER;
        if is_emergency || waits {
            self.begin(&mut answer, now);
        }
        let end = self.end();
        let at_stride = end_before / STRIDE != end / STRIDE;
        let missing = self.slots.iter_mut().filter(|(_, slot)| !slot.is_whole());
        let due = missing.filter_map(|(&sequence, slot)| {
            let is_due = now >= slot.touched.max(slot.asked) + ASK_AGAIN;
            if is_due {
                slot.asked = now;
            }
            (is_due || at_stride && end - sequence > STRIDE).then_some(sequence)
        });
        for sequence in due.collect::<Vec<_>>() {
            self.begin(&mut answer, now);
            let word = format!(" {sequence}");
            if answer.len() + word.len() <= ANSWER_BYTES {
                answer.push_str(&word);
            }
        }
        (!answer.is_empty()).then_some(answer)
    }

    /// Whether it has answered that it has everything so far.
    pub fn has_acknowledged_all(&self) -> bool {
        self.slots.is_empty() && self.acknowledged == self.last_complete()
    }

    fn begin(&mut self, answer: &mut String, now: Instant) {
        if answer.is_empty() && self.next.is_some() {
            self.acknowledged = self.last_complete();
            self.acknowledged_at = now;
            *answer = format!("ncrx{}", self.acknowledged.unwrap_or(u64::MAX));
        }
    }

    fn last_complete(&self) -> Option<u64> {
        self.next?.checked_sub(1)
    }

    /// The number after the highest that it has heard of.
    fn end(&self) -> u64 {
        let highest = self.slots.last_key_value().map(|(sequence, _)| sequence + 1);
        highest.or(self.next).unwrap_or(0)
    }

    /// Takes a datagram; true where it is of an emergency transmission.
    fn take(&mut self, datagram: &str, now: Instant) -> bool {
        let (header, body) = datagram.split_once(';').expect("the extended format");
        let mut fields = header.split(',');
        let sequence: u64 = fields.nth(1).and_then(|number| number.parse().ok()).expect("a sequence number");
        let fields: Vec<&str> = fields.skip(2).collect();
        let is_emergency = fields.contains(&"ncemg=1");
        let next = *self.next.get_or_insert(sequence);
        if sequence < next {
            // One from before it began counts as just had.
            let had = self.given_at.entry(sequence).or_insert(now);
            if now > *had + FOREIGN_AFTER && !is_emergency {
                self.foreign.push(datagram.to_string());
            } else {
                *had = now;
            }
            return is_emergency;
        }
        let end = self.end();
        for number in end..=sequence {
            let slot = Slot { touched: now, asked: now, parts: BTreeMap::new(), total: None };
            self.slots.insert(number, slot);
        }
        let slot = self.slots.get_mut(&sequence).expect("made above");
        slot.touched = now;
        let place = fields.iter().find_map(|field| field.strip_prefix("ncfrag="));
        let (offset, total) = place.map_or((0, body.len()), |place| {
            let (offset, total) = place.split_once('/').expect("an offset and a length");
            (offset.parse().expect("a number"), total.parse().expect("a number"))
        });
        slot.total = Some(total);
        slot.parts.insert(offset, body.to_string());
        is_emergency
    }

    /// Gives out what is whole, and lets go of what has been missing for too long or lies too far back.
    fn give_out(&mut self, now: Instant) {
        let end = self.end();
        while let Some(first) = self.slots.first_entry() {
            let (sequence, slot) = (*first.key(), first.get());
            let is_old = now >= slot.touched + PATIENCE || end - sequence > WINDOW;
            if !slot.is_whole() && !is_old {
                return;
            }
            if slot.is_whole() {
                self.given.push(sequence);
            }
            self.given_at.insert(sequence, slot.touched);
            self.next = Some(sequence + 1);
            first.remove();
        }
    }
}
