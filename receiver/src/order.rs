//! Puts one sender's extended records in order: waits a little for what is missing, drops what came before,
//! notices a reboot, and names what did not come.
//!
//! Invariant: each number from `next` up to `end` is either in `waiting` or in one of `holes`. So a record is
//! given out exactly when every number before it was given out or given up.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::event::{Event, Record};
use crate::extended::{self, Header};
use crate::fragments::Reassembly;
use crate::history::{CLOCK_SLACK, Candidate, History, Old};
use crate::holes::{Holes, Patience};
use crate::limits;

/// What a datagram turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// A record, or a fragment of one, not had before.
    New,
    /// It closes a gap that had been asked for this many times (0: it came by itself, late).
    Filled {
        /// How often.
        asked: u32,
        /// How long ago for the first time.
        after: Duration,
    },
    /// Had before.
    Duplicate {
        /// How long ago.
        age: Duration,
    },
    /// It had been given up already.
    Late,
    /// It may be the first of a new boot: what follows tells.
    Suspected,
}

/// A datagram of the extended format, and when it came.
#[derive(Debug)]
pub struct Received<'b> {
    /// Its header.
    pub header: Header,
    /// What follows the header.
    pub body: Cow<'b, [u8]>,
    /// Since the Unix epoch.
    pub at: Duration,
}

/// The stream of one sender's extended records.
#[derive(Debug, Default)]
pub struct Stream {
    started: bool,
    next: u64,
    end: u64,
    waiting: BTreeMap<u64, (Record, Duration)>,
    partial: BTreeMap<u64, Reassembly>,
    holes: Holes,
    held: usize,
    history: History,
    timestamp: u64,
    /// The message id of the record with the highest number, and of the one given out last.
    newest_id: Option<u32>,
    given_id: Option<u32>,
    /// Given up, not yet told: the first number, the last, and how many of them.
    lost: Option<(u64, u64, u64)>,
    suspect: Option<Received<'static>>,
    /// The sender repeats records on request, so an old record is no sign of a reboot.
    pub repeats: bool,
    /// Gaps given up although they were asked for.
    pub asked_in_vain: u64,
}

impl Stream {
    /// The last number up to which everything was given out or given up.
    pub fn acknowledged(&self) -> Option<u64> {
        self.next.checked_sub(1)
    }

    /// Whether a record was ever received.
    pub fn is_started(&self) -> bool {
        self.started
    }

    /// Bytes held.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Whether time alone changes something: a gap, an untold loss or a possible reboot waits.
    pub fn is_waiting(&self) -> bool {
        self.next < self.end || self.suspect.is_some() || self.lost.is_some()
    }

    /// Takes a datagram. What can be given out by now is appended to `out`.
    pub fn accept(&mut self, received: Received<'_>, out: &mut Vec<(Duration, Event)>) -> Arrival {
        let Received { header, body, at: now } = &received;
        let now = *now;
        if !self.started {
            self.start(header, now, out);
        }
        if header.sequence < self.next {
            return self.old(received, out);
        }
        self.suspect = None;
        let hole = self.holes.of(header.sequence);
        let is_next = header.sequence >= self.end;
        if !is_next && hole.is_none() {
            return match self.waiting.get(&header.sequence) {
                Some((record, _)) if record.timestamp != Some(header.timestamp) => {
                    self.suspect(received, out)
                }
                Some((_, at)) => Arrival::Duplicate { age: now.saturating_sub(*at) },
                None => Arrival::Duplicate { age: Duration::ZERO },
            };
        }
        let Some(record) = self.whole(header, body) else {
            if is_next {
                // The number is known of now, and missing until its other fragments come.
                self.extend(header, None, now);
                self.holes.open(header.sequence, header.sequence, false, now);
                self.end = header.sequence.saturating_add(1);
            }
            return Arrival::New;
        };
        if is_next {
            let id = message_id(&record);
            self.extend(header, id, now);
            self.end = header.sequence.saturating_add(1);
        } else {
            self.holes.fill(header.sequence);
            self.hold_back(header);
        }
        self.held = self.held.saturating_add(record.size());
        self.waiting.insert(header.sequence, (record, now));
        match hole {
            Some(hole) if header.fragment.is_none() || hole.asked > 0 => {
                Arrival::Filled { asked: hole.asked, after: now.saturating_sub(hole.first_asked_at) }
            }
            _ => Arrival::New,
        }
    }

    /// Gives out what is in order, gives up what nobody waits for any longer.
    pub fn release(&mut self, now: Duration, patience: Patience, out: &mut Vec<(Duration, Event)>) {
        if let Some(suspect) = self.suspect.take_if(|suspect| now >= suspect.at + limits::PIECE_WAIT) {
            self.reboot(suspect, now, out);
        }
        loop {
            self.give(out);
            let Some((_, hole)) = self.holes.first() else { break };
            let full = self.held > limits::WINDOW_BYTES
                || self.waiting.len().saturating_add(self.partial.len()) > limits::WINDOW_RECORDS;
            if !full && !hole.is_given_up(now, patience) {
                break;
            }
            self.give_up(now, out);
        }
    }

    /// Gives out everything that is held, and names every gap.
    pub fn finish(&mut self, now: Duration, out: &mut Vec<(Duration, Event)>) {
        if let Some(suspect) = self.suspect.take() {
            self.reboot(suspect, now, out);
        }
        self.give(out);
        while self.holes.first().is_some() {
            self.give_up(now, out);
            self.give(out);
        }
        self.tell_lost(None, now, out);
    }

    /// The missing numbers that it is time to ask for, oldest first, at most `most`; `again`: see [`Holes::ask`].
    pub fn ask(&mut self, now: Duration, most: usize, again: Duration) -> Vec<u64> {
        self.holes.ask(now, most, again)
    }

    /// First contact, or first after a reboot.
    fn start(&mut self, header: &Header, now: Duration, out: &mut Vec<(Duration, Event)>) {
        self.started = true;
        let first = header.sequence.saturating_sub(header.held);
        if first > limits::FIRST_REACH {
            self.next = first;
            // Those just before may have been overtaken; they come late, not as a new boot.
            self.history.lost(limits::FIRST_REACH, 0);
            out.push((now, Event::Joined { sequence: header.sequence }));
        }
        self.end = self.next;
        self.timestamp = 0;
    }

    /// A number that is behind: a duplicate, too late, or a new boot.
    fn old(&mut self, received: Received<'_>, out: &mut Vec<(Duration, Event)>) -> Arrival {
        let Received { header, body, at: now } = &received;
        let now = *now;
        let record = extended::record(header, body, header.fragment.is_some());
        let behind = self.next.saturating_sub(header.sequence);
        let is_newest = behind == 1 && self.waiting.is_empty();
        let says_so = header.emergency || record.field("boot").is_some();
        let repeats = says_so || is_newest || self.repeats;
        match self.history.judge(Candidate { behind, timestamp: header.timestamp, repeats }, now) {
            Old::Duplicate(age) => Arrival::Duplicate { age },
            Old::Late => {
                // Fragments can't be collected any more: the record was given out as it was.
                if header.fragment.is_none() {
                    self.tell_lost(None, now, out);
                    out.push((now, Event::Record { record, crash: false, late: true }));
                }
                Arrival::Late
            }
            Old::Foreign if says_so => Arrival::Duplicate { age: Duration::MAX },
            Old::Foreign => self.suspect(received, out),
        }
    }

    /// One record from long ago may be a stray duplicate; the second one proves a new boot.
    fn suspect(&mut self, received: Received<'_>, out: &mut Vec<(Duration, Event)>) -> Arrival {
        match self.suspect.take_if(|first| first.header.sequence != received.header.sequence) {
            Some(first) => {
                self.reboot(first, received.at, out);
                self.accept(received, out);
                Arrival::New
            }
            None => {
                let Received { header, body, at } = received;
                self.suspect.get_or_insert(Received { header, body: Cow::Owned(body.into_owned()), at });
                Arrival::Suspected
            }
        }
    }

    /// Ends this stream and begins the next one with its first record.
    fn reboot(&mut self, first: Received<'_>, now: Duration, out: &mut Vec<(Duration, Event)>) {
        self.suspect = None;
        self.finish(now, out);
        out.push((now, Event::Rebooted));
        *self = Stream { asked_in_vain: self.asked_in_vain, ..Stream::default() };
        self.accept(first, out);
    }

    /// The whole record, if this datagram is one or completes one.
    fn whole(&mut self, header: &Header, body: &[u8]) -> Option<Record> {
        let Some(place) = header.fragment else {
            if let Some(partial) = self.partial.remove(&header.sequence) {
                self.held = self.held.saturating_sub(partial.size());
            }
            return Some(extended::record(header, body, false));
        };
        let partial = self.partial.entry(header.sequence).or_insert_with(|| {
            let partial = Reassembly::new(header.clone(), place.total);
            self.held = self.held.saturating_add(partial.size());
            partial
        });
        let before = partial.size();
        partial.add(header, place, body);
        self.held = self.held.saturating_sub(before).saturating_add(partial.size());
        if !partial.is_whole() {
            return None;
        }
        let partial = self.partial.remove(&header.sequence)?;
        self.held = self.held.saturating_sub(partial.size());
        Some(partial.record())
    }

    /// Opens the gap between the highest number so far and this one.
    fn extend(&mut self, header: &Header, id: Option<u32>, now: Duration) {
        if header.sequence > self.end {
            let unsent = self.newest_id.zip(id).is_some_and(|(newest, id)| newest.wrapping_add(1) == id);
            self.holes.open(self.end, header.sequence - 1, unsent, now);
            self.hold_back(header);
        }
        self.newest_id = id;
    }

    /// What the sender's level held back before this record is no longer waited for.
    fn hold_back(&mut self, header: &Header) {
        if let Some(last) = header.sequence.checked_sub(1).filter(|_| header.held > 0) {
            self.holes.hold_back(header.sequence.saturating_sub(header.held), last);
        }
    }

    /// Gives out the records up to the next gap.
    fn give(&mut self, out: &mut Vec<(Duration, Event)>) {
        while let Some((record, at)) = self.waiting.remove(&self.next) {
            self.held = self.held.saturating_sub(record.size());
            self.give_record(record, at, out);
        }
    }

    fn give_record(&mut self, record: Record, at: Duration, out: &mut Vec<(Duration, Event)>) {
        let id = message_id(&record);
        self.tell_lost(id, at, out);
        let timestamp = record.timestamp.unwrap_or_default();
        if record.field("boot").is_none() && timestamp.saturating_add(CLOCK_SLACK) < self.timestamp {
            // The log survived a reset and its numbers go on.
            out.push((at, Event::Rebooted));
        }
        self.timestamp = timestamp;
        self.given_id = id;
        self.history.had(timestamp, at);
        self.next = self.next.saturating_add(1);
        out.push((at, Event::Record { record, crash: false, late: false }));
    }

    /// Gives up the first gap, which starts at `next`; of a record in part, the part is given out.
    fn give_up(&mut self, now: Duration, out: &mut Vec<(Duration, Event)>) {
        let Some((_, hole)) = self.holes.pop_first() else { return };
        if hole.asked > 0 && !hole.unsent {
            self.asked_in_vain = self.asked_in_vain.saturating_add(1);
        }
        while let Some((sequence, partial)) = self.first_partial(hole.last) {
            self.lose(sequence, hole.unsent);
            self.give_record(partial.record(), now, out);
        }
        self.lose(hole.last.saturating_add(1), hole.unsent);
    }

    fn first_partial(&mut self, last: u64) -> Option<(u64, Reassembly)> {
        let (&sequence, _) = self.partial.first_key_value().filter(|(sequence, _)| **sequence <= last)?;
        let partial = self.partial.remove(&sequence)?;
        self.held = self.held.saturating_sub(partial.size());
        Some((sequence, partial))
    }

    /// The numbers from `next` up to `end` are lost.
    fn lose(&mut self, end: u64, unsent: bool) {
        if end <= self.next {
            return;
        }
        if !unsent {
            let (first, _, count) = self.lost.unwrap_or((self.next, self.next, 0));
            self.lost = Some((first, end - 1, count.saturating_add(end - self.next)));
        }
        self.history.lost(end - self.next, self.timestamp);
        self.next = end;
    }

    /// Names what was given up, before something else is said. `id` is the message id of the record after it.
    fn tell_lost(&mut self, id: Option<u32>, at: Duration, out: &mut Vec<(Duration, Event)>) {
        let Some((first, last, lost)) = self.lost.take() else { return };
        let sent = self
            .given_id
            .zip(id)
            .map(|(before, after)| u64::from(after.wrapping_sub(before).wrapping_sub(1)));
        let count = sent.map_or(lost, |sent| sent.min(lost));
        if count > 0 {
            out.push((at, Event::Missing { first, last, count }));
        }
    }
}

/// The target's message counter, where the sender adds it.
fn message_id(record: &Record) -> Option<u32> {
    record.field("msgid")?.parse().ok()
}
