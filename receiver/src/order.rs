//! Puts the extended records of one boot in order: waits a little for what is missing, drops what came before,
//! names what did not come (`giving`), and tells what is not of this boot (`judge`).
//!
//! Invariant: each number from `next` up to `end` is either in `waiting` or in one of `holes` (`behind`). So a
//! record is given out exactly when every number before it was given out or given up.

mod behind;
mod giving;
mod judge;
mod place;

use std::time::Duration;

use crate::boot::{Boot, Old};
use crate::event::{Event, Record};
use crate::extended::{self, Extras, Header};
use crate::fragments::Reassembly;
use crate::holes::Patience;
use crate::limits;
use crate::nanos::Nanos;
use crate::number::{Id, Number};
use crate::state::Numbered;
use behind::{Behind, Held, Waiting};
pub use place::{Arrival, Place, Received};

/// A record that comes again within this time after a new one may have been doubled by the network.
const DOUBLE: Duration = Duration::from_secs(1);
/// So long after a request an answer may come, and come twice. No longer: another boot's record may have the number and
/// nearly the time of one that was asked for, and would be taken for that one and not be shown.
const ANSWER: Duration = Duration::from_secs(2);
/// The level whose records no level holds back if it lets one of them out.
const DEBUG: u8 = 7;

/// The stream of one boot's extended records.
#[derive(Debug, Default)]
pub struct Stream {
    started: bool,
    /// The number that it was first heard at, where that was in the middle of the log.
    joined: Number,
    /// Each whole record is shown at once: the stream is not known yet for a boot.
    at_once: bool,
    /// Nothing is given out of it before it is [settled](Stream::settle).
    is_beside: bool,
    /// Another boot has taken its place: nothing is repeated any more but by the network.
    retired: bool,
    next: u64,
    end: u64,
    behind: Behind,
    boot: Boot,
    /// The time of the record given out last; of the one with the highest number, and when that came.
    timestamp: u64,
    newest: u64,
    newest_at: Nanos,
    /// The message id of the record with the highest number, and of the one given out last.
    newest_id: Id,
    given_id: Id,
    /// The number of the record given out last.
    given_number: Number,
    /// When a record came last that was not had before.
    heard_at: Nanos,
    /// Numbers from here on came at this time or later; and the same, one step before.
    recent: (Nanos, u64),
    recent_before: u64,
    /// How many of the first records came again since.
    repeated: u8,
    /// The sender tells what its level holds back, or holds nothing back: what does not come is lost.
    tells: bool,
    /// The sender repeats records on request, so an old record is no sign of a reboot.
    pub repeats: bool,
    /// Its records come by two ways: an old one is no sign of a reboot.
    pub has_copies: bool,
    /// Gaps given up although they were asked for.
    pub asked_in_vain: u32,
}

impl Stream {
    /// A stream of which each whole record is shown at once, until it is [settled](Stream::settle).
    pub fn at_once() -> Self {
        Stream { at_once: true, ..Stream::beside() }
    }

    /// A stream that may turn out to be another boot.
    pub fn beside() -> Self {
        Stream { is_beside: true, ..Stream::default() }
    }

    /// A stream that goes on where another run was; its last record came then.
    pub fn resume(numbered: &Numbered, at: Duration) -> Self {
        let Numbered { next, timestamp_us, message_id, tells } = *numbered;
        Stream {
            started: true,
            next,
            end: next,
            boot: Boot::resumed(next, timestamp_us),
            timestamp: timestamp_us,
            newest: timestamp_us,
            newest_at: at.into(),
            newest_id: message_id.into(),
            given_id: message_id.into(),
            given_number: next.checked_sub(1).into(),
            heard_at: at.into(),
            // What may have been repeated lately is not known.
            recent: (at.into(), next),
            recent_before: next,
            behind: Behind::resumed(next),
            tells,
            ..Stream::default()
        }
    }

    /// What another run goes on with, and when the last record came.
    pub fn keep(&self) -> Option<(Numbered, Duration)> {
        self.given_number.get().filter(|_| self.is_started())?;
        let numbered = Numbered {
            next: self.next,
            timestamp_us: self.timestamp,
            message_id: self.given_id.get(),
            tells: self.sends_again(),
        };
        let since = Duration::from_micros(self.newest.saturating_sub(self.timestamp));
        Some((numbered, self.newest_at.get().saturating_sub(since)))
    }

    /// Whether each whole record is shown at once.
    pub fn is_at_once(&self) -> bool {
        self.at_once
    }

    /// From now on records are shown in their order.
    pub fn settle(&mut self) {
        (self.at_once, self.is_beside) = (false, false);
    }

    /// Another boot takes its place.
    pub fn retire(&mut self) {
        (self.retired, self.repeats) = (true, false);
    }

    /// The last number up to which everything was given out or given up.
    pub fn acknowledged(&self) -> Option<u64> {
        self.next.checked_sub(1)
    }

    /// How many numbers were passed over because the sender had held them back, since the last time this was asked.
    pub fn take_held_back(&mut self) -> u64 {
        if self.behind.is_none() {
            return 0;
        }
        std::mem::take(&mut self.behind.get_mut().held_back)
    }

    /// Whether a record was received, and it is certain which was the first.
    pub fn is_started(&self) -> bool {
        self.started && self.is_certain()
    }

    /// Whether no record before the first one heard is waited for.
    fn is_certain(&self) -> bool {
        !self.behind.get().holes.first().is_some_and(|(_, hole)| hole.before)
    }

    /// Whether a record was received.
    pub fn has_begun(&self) -> bool {
        self.started
    }

    /// Bytes held.
    pub fn held(&self) -> usize {
        self.behind.get().bytes
    }

    /// Whether as much is held as may be.
    pub fn is_full(&self) -> bool {
        let held = self.behind.get();
        held.bytes > limits::WINDOW_BYTES
            || held.waiting.len().saturating_add(held.partial.len()) > limits::WINDOW_RECORDS
    }

    /// The number after the highest that came.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The time of the record with the highest number.
    pub fn newest(&self) -> u64 {
        self.newest
    }

    /// When a record came last that was not had before.
    pub fn heard_at(&self) -> Duration {
        self.heard_at.get()
    }

    /// The number that it was first heard at, where that was in the middle of the log.
    pub fn joined(&self) -> Option<u64> {
        self.joined.get()
    }

    /// Whether anything is held, missing or untold.
    pub fn is_waiting(&self) -> bool {
        !self.behind.is_none()
    }

    /// When time alone may change something next: with a gap, an untold loss, or what was asked for lately.
    pub fn due(&self, now: Duration, patience: Patience) -> Option<Duration> {
        let held = self.behind.get();
        if held.lost.is_some() {
            return Some(now);
        }
        let hole = held.holes.first().map(|(_, hole)| hole.due(now, patience));
        let asked = (!held.asked.is_empty()).then(|| now.saturating_add(ANSWER));
        hole.or(asked).or(held.again.map(|(_, at)| at.after(limits::BOOT_WAIT)))
    }

    /// Whether anything is missing.
    pub fn has_gap(&self) -> bool {
        self.behind.get().holes.first().is_some()
    }

    /// Takes a datagram for what it was judged to be. What can be given out by now is appended to `out`.
    pub fn accept(
        &mut self,
        received: Received<'_>,
        place: Place,
        out: &mut Vec<(Duration, Event)>,
    ) -> Arrival {
        let now = received.at;
        if !self.started {
            self.start(&received.header, now);
        }
        let Header { sequence, behind, level, .. } = received.header;
        self.tells |= received.header.is_ours() || level == DEBUG;
        if let Some((last, _)) = self.behind.get().again {
            // Behind what was had it goes on as ever.
            let again = (sequence < self.end).then(|| (sequence.max(last), now.into()));
            self.behind.get_mut().again = again;
        }
        let arrival = match place {
            Place::Next | Place::Ahead | Place::Hole => self.take(received, out),
            Place::Late => self.late(received, out),
            Place::Same(age) => {
                self.came_again(&received);
                Arrival::Duplicate { age }
            }
            Place::Alike | Place::Again | Place::Doubtful | Place::Foreign => {
                self.came_again(&received);
                Arrival::Duplicate { age: Duration::ZERO }
            }
        };
        if behind > 0 && place.is_possible() {
            self.hold_back_behind(sequence, behind, now);
        }
        arrival
    }

    /// Takes a record that was not had before, or a fragment of one.
    fn take(&mut self, mut received: Received<'_>, out: &mut Vec<(Duration, Event)>) -> Arrival {
        let digest = received.digest();
        let extras = std::mem::take(&mut received.header.extras);
        let body = received.body_and_end();
        let Received { header, at: now, .. } = &received;
        let now = *now;
        (self.heard_at, self.repeated) = (now.into(), 0);
        if now >= self.recent.0.after(DOUBLE) {
            self.recent_before = self.recent.1;
            self.recent = (now.into(), self.next);
        }
        let hole = self.behind.get().holes.of(header.sequence);
        let is_next = header.sequence >= self.end;
        let Some(record) = self.whole(header, extras, body) else {
            if is_next {
                // The number is known of now, and missing until its other fragments come.
                self.extend(header, None, now);
                self.behind.get_mut().holes.open(header.sequence, header.sequence, false, now);
                self.end = header.sequence.saturating_add(1);
            }
            return Arrival::New;
        };
        let id = message_id(&record);
        if is_next {
            self.extend(header, id, now);
            self.end = header.sequence.saturating_add(1);
        } else {
            self.behind.get_mut().holes.fill(header.sequence);
            self.hold_back(header);
        }
        let mut waiting = Waiting { record: Some(record), timestamp: header.timestamp, id, digest, at: now };
        if self.at_once
            && let Some(record) = waiting.record.take()
        {
            out.push((now, Event::Record { record, crash: false, late: false, beside: true }));
        }
        if header.sequence == self.next && !self.is_beside {
            // Nearly every record: it waits for nothing.
            self.give_record(waiting, out);
        } else {
            let held = self.behind.get_mut();
            held.bytes = held.bytes.saturating_add(waiting.size());
            held.waiting.insert(header.sequence, waiting);
        }
        match hole {
            Some(hole) if header.fragment.is_none() || hole.asked > 0 => {
                Arrival::Filled { asked: hole.asked, after: now.saturating_sub(hole.first_asked_at) }
            }
            _ => Arrival::New,
        }
    }

    /// Takes a record that was given up.
    fn late(&mut self, received: Received<'_>, out: &mut Vec<(Duration, Event)>) -> Arrival {
        let at = received.at;
        // Fragments can't be collected any more: the record was given out as it was.
        if received.header.fragment.is_none() {
            let digest = received.digest();
            let body = received.body_and_end();
            let Received { mut header, .. } = received;
            let extras = std::mem::take(&mut header.extras);
            let record = extended::record_of(&header, extras, body, false);
            self.late_record(header.sequence, digest, record, at, out);
        }
        Arrival::Late
    }

    fn late_record(
        &mut self,
        sequence: u64,
        digest: u16,
        record: Record,
        at: Duration,
        out: &mut Vec<(Duration, Event)>,
    ) {
        self.boot.late(sequence, digest);
        self.tell_lost(None, at, out);
        out.push((at, Event::Record { record, crash: false, late: true, beside: false }));
    }

    /// The sender sends its whole log again, and has come to this number: of what came of it so far, that is taken which
    /// is missing, and that is shown which had been given up.
    pub fn comes_again(
        &mut self,
        so_far: Stream,
        sequence: u64,
        now: Duration,
        out: &mut Vec<(Duration, Event)>,
    ) {
        self.behind.get_mut().again = Some((sequence, now.into()));
        let Held { waiting, partial, .. } = so_far.behind.into_held();
        for (sequence, Waiting { record, timestamp, digest, at, .. }) in waiting {
            if sequence < self.next {
                if let Some(record) = record.filter(|_| self.boot.is_lost(sequence)) {
                    self.late_record(sequence, digest, record, at, out);
                }
                continue;
            }
            let held = self.behind.get_mut();
            if held.holes.of(sequence).is_some() {
                held.holes.fill(sequence);
                let waiting = Waiting { record, timestamp, id: None, digest, at };
                held.bytes = held.bytes.saturating_add(waiting.size());
                held.waiting.insert(sequence, waiting);
            }
        }
        // Their other fragments are yet to come, where the number still waits for them.
        for (sequence, part) in partial {
            let held = self.behind.get_mut();
            if held.holes.of(sequence).is_some() && !held.partial.contains_key(&sequence) {
                held.bytes = held.bytes.saturating_add(part.size());
                held.partial.insert(sequence, part);
            } else if sequence < self.next && self.boot.is_lost(sequence) {
                self.late_record(sequence, part.digest(), part.record(), now, out);
            }
        }
    }

    /// The records of `stray` that this boot had not, as far as is known.
    pub fn remains_of(&self, stray: Stream, now: Duration, out: &mut Vec<(Duration, Event)>) {
        let mut stray = stray;
        stray.behind.get_mut().waiting.retain(|&sequence, waiting| {
            self.boot.judge(sequence, waiting.timestamp, waiting.digest) != Old::Same
        });
        stray.remains(now, out);
    }

    /// Notes what tells whether more will come again.
    fn came_again(&mut self, received: &Received<'_>) {
        if self.boot.is_opening(received.header.sequence) {
            self.repeated = self.repeated.saturating_add(1);
        }
        if received.is_of_boot_before() {
            self.behind.get_mut().survived = Some(received.header.sequence);
        }
    }

    /// Gives out what is in order, gives up what nobody waits for any longer.
    pub fn release(&mut self, now: Duration, patience: Patience, out: &mut Vec<(Duration, Event)>) {
        if self.behind.is_none() {
            return;
        }
        let held = self.behind.get_mut();
        held.asked.retain(|_, asked_at| now < asked_at.saturating_add(ANSWER));
        held.again = held.again.filter(|(_, at)| now < at.after(limits::BOOT_WAIT));
        loop {
            self.give(out);
            let held = self.behind.get();
            let Some((_, hole)) = held.holes.first() else { break };
            if !self.is_full() && !hole.is_given_up(now, patience) {
                break;
            }
            self.give_up(now, out);
        }
        self.behind.rest();
    }

    /// Gives out everything that is held, and names every gap.
    pub fn finish(&mut self, now: Duration, out: &mut Vec<(Duration, Event)>) {
        self.give(out);
        while self.has_gap() {
            self.give_up(now, out);
            self.give(out);
        }
        self.tell_lost(None, now, out);
        self.behind.rest();
    }

    /// The records that are there, whole or in part, of a stream that turned out to be no boot.
    pub fn remains(self, now: Duration, out: &mut Vec<(Duration, Event)>) {
        let Held { waiting, partial, .. } = self.behind.into_held();
        let waiting = waiting.into_values().filter_map(|waiting| waiting.record);
        for record in waiting.chain(partial.values().map(|partial| partial.record())) {
            out.push((now, Event::Record { record, crash: false, late: false, beside: true }));
        }
    }

    /// The missing numbers that it is time to ask for, oldest first, at most `most`; `again`: see `Holes::ask`.
    pub fn ask(&mut self, now: Duration, most: usize, again: Duration) -> Vec<u64> {
        if self.behind.is_none() {
            return Vec::new();
        }
        let held = self.behind.get_mut();
        let numbers = held.holes.ask(now, most, again);
        if held.asked.len() < limits::WINDOW_RECORDS {
            held.asked.extend(numbers.iter().map(|&number| (number, now)));
        }
        numbers
    }

    /// First contact. In the middle of a log, the record may have overtaken those before it.
    fn start(&mut self, header: &Header, now: Duration) {
        self.started = true;
        let first = header.sequence.saturating_sub(header.held);
        if first > limits::FIRST_REACH {
            self.next = first;
            self.boot = Boot::new(first);
            self.joined = Number::new(header.sequence);
            if !self.at_once {
                self.next = first - limits::FIRST_REACH;
                self.behind.get_mut().holes.open_before(self.next, first - 1, now);
            }
            self.end = first;
            return;
        }
        self.end = self.next;
    }

    /// The first record is certain by now, if any is.
    pub fn begin(&mut self, now: Duration, out: &mut Vec<(Duration, Event)>) {
        let first = self.behind.get().holes.first();
        if let Some((_, hole)) = first.filter(|(_, hole)| hole.before) {
            let held = self.behind.get_mut();
            held.holes.pop_first();
            held.holes.begin();
            let part = held.partial.first_key_value().map(|(&sequence, _)| sequence);
            self.next = match part.filter(|part| *part <= hole.last) {
                Some(part) => {
                    held.holes.open(part, hole.last, false, now);
                    part
                }
                None => hole.last.saturating_add(1),
            };
            self.boot = Boot::new(self.next);
            let whole = held.waiting.first_key_value().map(|(&sequence, _)| sequence);
            let sequence = part.into_iter().chain(whole).min().unwrap_or(self.next);
            self.joined = Number::new(sequence);
            out.push((now, Event::Joined { sequence }));
            self.give(out);
        }
    }

    /// The whole record, if this datagram is one or completes one.
    fn whole(&mut self, header: &Header, extras: Extras, body: (&[u8], usize)) -> Option<Record> {
        let Some(place) = header.fragment else {
            if !self.behind.is_none() {
                self.behind.get_mut().take_partial(header.sequence);
            }
            return Some(extended::record_of(header, extras, body, false));
        };
        let held = self.behind.get_mut();
        let partial = held.partial.entry(header.sequence).or_insert_with(|| {
            let header = Header { extras, ..header.clone() };
            let partial = Box::new(Reassembly::new(header, place.total));
            held.bytes = held.bytes.saturating_add(partial.size());
            partial
        });
        let before = partial.size();
        partial.add(header, place, body.0);
        held.bytes = held.bytes.saturating_sub(before).saturating_add(partial.size());
        if !partial.is_whole() {
            return None;
        }
        Some(held.take_partial(header.sequence)?.record())
    }

    /// Opens the gap between the highest number so far and this one.
    fn extend(&mut self, header: &Header, id: Option<u32>, now: Duration) {
        if header.sequence > self.end {
            let unsent =
                self.newest_id.get().zip(id).is_some_and(|(newest, id)| newest.wrapping_add(1) == id);
            self.behind.get_mut().holes.open(self.end, header.sequence - 1, unsent, now);
            self.hold_back(header);
        }
        (self.newest, self.newest_at, self.newest_id) = (header.timestamp, now.into(), id.into());
    }

    /// What the sender's level held back before this record is no longer waited for.
    fn hold_back(&mut self, header: &Header) {
        if let Some(last) = header.sequence.checked_sub(1).filter(|_| header.held > 0) {
            self.behind.get_mut().holes.hold_back(header.sequence.saturating_sub(header.held), last);
        }
    }

    /// What the sender's level held back after its newest record is known of now, and not waited for.
    fn hold_back_behind(&mut self, sequence: u64, behind: u64, now: Duration) {
        let Some(end) = sequence.checked_add(behind).and_then(|last| last.checked_add(1)) else { return };
        if end.saturating_sub(self.end) > limits::LEAP {
            return;
        }
        let holes = &mut self.behind.get_mut().holes;
        if end > self.end {
            holes.open_held(self.end, end - 1, now);
            self.end = end;
        }
        holes.hold_back(sequence.saturating_add(1), end - 1);
    }
}

/// The target's message counter, where the sender adds it.
fn message_id(record: &Record) -> Option<u32> {
    record.field("msgid")?.parse().ok()
}
