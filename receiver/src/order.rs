//! Puts the extended records of one boot in order: waits a little for what is missing, drops what came before,
//! names what did not come, and tells what is not of this boot.
//!
//! Invariant: each number from `next` up to `end` is either in `waiting` or in one of `holes`. So a record is
//! given out exactly when every number before it was given out or given up.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use memchr::memchr;

use crate::boot::{self, Boot, Old};
use crate::event::{Event, Record};
use crate::extended::{self, Header};
use crate::fragments::Reassembly;
use crate::holes::{Hole, Holes, Patience};
use crate::limits;
use crate::state::Numbered;

/// A record that comes again within this time after a new one may have been doubled by the network.
const DOUBLE: Duration = Duration::from_secs(1);
/// So long after a request an answer may come, and come twice. No longer: another boot's record may have the number and
/// nearly the time of one that was asked for, and would be taken for that one and not be shown.
const ANSWER: Duration = Duration::from_secs(2);
/// A sender that repeats so many of the boot's first records exactly sends its whole log again.
const REPEATED: u8 = 4;
/// How far the time must go back from one number to the next, in µs, for a reset in between.
const RESET: u64 = 1_000_000;
/// How late a record may come by its time and still be of the boot without doubt, in µs; a thousandth of the time
/// that has passed is added, by which clocks may differ.
const LATENESS: u64 = 2_000_000;
/// So many records may be lost where a sender goes on from another address.
const GAP_ELSEWHERE: u64 = 8;
/// The level whose records no level holds back if it lets one of them out.
const DEBUG: u8 = 7;

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
        /// How long ago, where that is known.
        age: Duration,
    },
    /// It had been given up already.
    Late,
    /// It may be the first of another boot: what follows tells.
    Opened,
}

/// What a datagram is to a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It continues the boot.
    Next,
    /// It is missing.
    Hole,
    /// It was had before, as its digest shows; so long ago, where that is known.
    Same(Duration),
    /// It may have been had before, and something may have repeated it.
    Alike,
    /// It was given up.
    Late,
    /// It would leave a wide gap, or a reset must have come before it.
    Ahead,
    /// It was had before, but nothing is known that would repeat it now: another boot may have begun with the same.
    Again,
    /// It is not of this boot.
    Foreign,
}

impl Place {
    /// Whether the boot waits for it.
    pub fn is_awaited(self) -> bool {
        matches!(self, Place::Next | Place::Hole)
    }

    /// Whether the boot has room for it, if no other has a better claim.
    pub fn is_possible(self) -> bool {
        !matches!(self, Place::Again | Place::Foreign)
    }
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

impl Received<'_> {
    /// What tells this record from one of another boot with the same number. A fragment has no text for it.
    fn digest(&self) -> u16 {
        let end = memchr(b'\n', &self.body).unwrap_or(self.body.len());
        let text = self.body.get(..end).filter(|_| self.header.fragment.is_none()).unwrap_or_default();
        boot::digest(self.header.timestamp, self.header.priority(), text)
    }

    /// Whether the sender says that it is of the boot before, which its ring survived.
    fn is_of_boot_before(&self) -> bool {
        self.body.split(|&byte| byte == b'\n').skip(1).any(|line| line.starts_with(b" boot="))
    }
}

/// A record that waits for those before it.
#[derive(Debug)]
struct Waiting {
    /// None: it was shown at once.
    record: Option<Record>,
    timestamp: u64,
    id: Option<u32>,
    digest: u16,
    at: Duration,
}

impl Waiting {
    fn size(&self) -> usize {
        self.record.as_ref().map_or(0, Record::size)
    }
}

/// The stream of one boot's extended records.
#[derive(Debug, Default)]
pub struct Stream {
    started: bool,
    /// The number that it was first heard at, where that was in the middle of the log.
    joined: Option<u64>,
    /// Each whole record is shown at once: the stream is not known yet for a boot.
    at_once: bool,
    /// Nothing is given out of it before it is [settled](Stream::settle).
    is_beside: bool,
    /// Another boot has taken its place: nothing is repeated any more but by the network.
    retired: bool,
    next: u64,
    end: u64,
    waiting: BTreeMap<u64, Waiting>,
    partial: BTreeMap<u64, Reassembly>,
    holes: Holes,
    held: usize,
    boot: Boot,
    /// The time of the record given out last; of the one with the highest number, and when that came.
    timestamp: u64,
    newest: u64,
    newest_at: Duration,
    /// The message id of the record with the highest number, and of the one given out last.
    newest_id: Option<u32>,
    given_id: Option<u32>,
    /// The number of the record given out last.
    given_number: Option<u64>,
    /// How many numbers the sender said that it had held back, not yet taken.
    held_back: u64,
    /// The first number that another run did not give out: what is missing from there on was sent meanwhile.
    resumed: Option<u64>,
    /// Given up, not yet told: the first number, the last, and how many of them.
    lost: Option<(u64, u64, u64)>,
    /// When a record came last that was not had before.
    heard_at: Duration,
    /// What was asked for lately, and when last.
    asked: BTreeMap<u64, Duration>,
    /// Numbers from here on came at this time or later; and the same, one step before.
    recent: (Duration, u64),
    recent_before: u64,
    /// How many of the first records came again since.
    repeated: u8,
    /// The number that last came again as one of the boot before the sender's present one.
    survived: Option<u64>,
    /// The sender tells what its level holds back, or holds nothing back: what does not come is lost.
    tells: bool,
    /// The sender repeats records on request, so an old record is no sign of a reboot.
    pub repeats: bool,
    /// Its records come by two ways: an old one is no sign of a reboot.
    pub has_copies: bool,
    /// Gaps given up although they were asked for.
    pub asked_in_vain: u64,
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
            newest_at: at,
            newest_id: message_id,
            given_id: message_id,
            given_number: next.checked_sub(1),
            heard_at: at,
            // What may have been repeated lately is not known.
            recent: (at, next),
            recent_before: next,
            resumed: Some(next),
            tells,
            ..Stream::default()
        }
    }

    /// What another run goes on with, and when the last record came.
    pub fn keep(&self) -> Option<(Numbered, Duration)> {
        self.given_number.filter(|_| self.is_started())?;
        let numbered = Numbered {
            next: self.next,
            timestamp_us: self.timestamp,
            message_id: self.given_id,
            tells: self.sends_again(),
        };
        let since = Duration::from_micros(self.newest.saturating_sub(self.timestamp));
        Some((numbered, self.newest_at.saturating_sub(since)))
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
        std::mem::take(&mut self.held_back)
    }

    /// Whether a record was received, and it is certain which was the first.
    pub fn is_started(&self) -> bool {
        self.started && !self.holes.first().is_some_and(|(_, hole)| hole.before)
    }

    /// Whether a record was received.
    pub fn has_begun(&self) -> bool {
        self.started
    }

    /// Bytes held.
    pub fn held(&self) -> usize {
        self.held
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
        self.heard_at
    }

    /// The number that it was first heard at, where that was in the middle of the log.
    pub fn joined(&self) -> Option<u64> {
        self.joined
    }

    /// How much the sender's clock and ours differ in what has passed since the record with the highest number.
    pub fn contradiction(&self, received: &Received<'_>) -> Duration {
        let theirs = Duration::from_micros(received.header.timestamp.abs_diff(self.newest));
        let ours = received.at.saturating_sub(self.newest_at);
        if received.header.timestamp >= self.newest {
            ours.abs_diff(theirs)
        } else {
            ours.saturating_add(theirs)
        }
    }

    /// When time alone may change something next: with a gap, an untold loss, or what was asked for lately.
    pub fn due(&self, now: Duration, patience: Patience) -> Option<Duration> {
        if self.lost.is_some() {
            return Some(now);
        }
        let hole = self.holes.first().map(|(_, hole)| hole.due(now, patience));
        hole.or_else(|| (!self.asked.is_empty()).then(|| now.saturating_add(ANSWER)))
    }

    /// Whether anything is missing.
    pub fn has_gap(&self) -> bool {
        self.holes.first().is_some()
    }

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
        if let Some(waiting) = self.waiting.get(&header.sequence) {
            let is_same = waiting.digest == received.digest();
            return if is_same { Place::Same(at.saturating_sub(waiting.at)) } else { Place::Foreign };
        }
        let before = self.waiting.range(..header.sequence).next_back().map(|(_, waiting)| waiting.timestamp);
        let after = self.waiting.range(header.sequence..).next().map(|(_, waiting)| waiting.timestamp);
        let fits = match self.partial.get(&header.sequence) {
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
        let ours = u64::try_from(received.at.saturating_sub(self.newest_at).as_micros()).unwrap_or(u64::MAX);
        let slack = LATENESS.saturating_add(ours / 1000);
        let timestamp = received.header.timestamp.saturating_add(slack);
        let may_be_later = received.header.timestamp <= ours.saturating_add(slack);
        may_be_later && timestamp < self.newest.saturating_add(ours)
    }

    /// Whether what does not come is lost, and may come again: the sender repeats on request, or is of the kind that does.
    fn sends_again(&self) -> bool {
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

    /// A number that is behind: a duplicate, too late, or of another boot.
    fn judge_old(&self, received: &Received<'_>) -> Place {
        let Received { header, at, .. } = received;
        // The newest record may be announced at any time.
        let is_newest =
            self.given_number == Some(header.sequence) && self.waiting.is_empty() && !self.retired;
        let is_within = |since: Duration, time| *at < since.saturating_add(time);
        let survived = received.is_of_boot_before()
            || header.fragment.is_some()
                && self.survived.is_some_and(|last| header.sequence.wrapping_sub(last) <= 1);
        let is_recent = is_within(self.heard_at, DOUBLE);
        let is_asked = self.asked.get(&header.sequence).is_some_and(|asked_at| is_within(*asked_at, ANSWER));
        let is_sent_again = header.emergency || survived || is_asked;
        let is_repeated = is_sent_again || is_newest || is_recent && header.sequence >= self.recent_from(*at);
        match self.boot.judge(header.sequence, header.timestamp, received.digest()) {
            Old::Same if is_repeated || self.repeats || self.has_copies => {
                Place::Same(if is_newest { at.saturating_sub(self.heard_at) } else { Duration::ZERO })
            }
            Old::Same => Place::Again,
            Old::Alike if is_repeated || self.repeats && self.repeated >= REPEATED || self.has_copies => {
                Place::Alike
            }
            Old::Late if is_sent_again || is_recent => Place::Late,
            // From before it was first heard.
            Old::Foreign if survived && self.joined.is_some_and(|joined| header.sequence < joined) => {
                Place::Late
            }
            Old::Late | Old::Alike | Old::Foreign => Place::Foreign,
        }
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
        let arrival = match place {
            Place::Next | Place::Ahead | Place::Hole => self.take(received, out),
            Place::Late => self.late(received, out),
            Place::Same(age) => {
                self.came_again(&received);
                Arrival::Duplicate { age }
            }
            Place::Alike | Place::Again | Place::Foreign => {
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
    fn take(&mut self, received: Received<'_>, out: &mut Vec<(Duration, Event)>) -> Arrival {
        let digest = received.digest();
        let Received { header, body, at: now } = &received;
        let now = *now;
        (self.heard_at, self.repeated) = (now, 0);
        if now >= self.recent.0.saturating_add(DOUBLE) {
            self.recent_before = self.recent.1;
            self.recent = (now, self.next);
        }
        let hole = self.holes.of(header.sequence);
        let is_next = header.sequence >= self.end;
        let Some(record) = self.whole(header, body) else {
            if is_next {
                // The number is known of now, and missing until its other fragments come.
                self.extend(header, None, now);
                self.holes.open(header.sequence, header.sequence, false, now);
                self.end = header.sequence.saturating_add(1);
            }
            return Arrival::New;
        };
        let id = message_id(&record);
        if is_next {
            self.extend(header, id, now);
            self.end = header.sequence.saturating_add(1);
        } else {
            self.holes.fill(header.sequence);
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
            self.held = self.held.saturating_add(waiting.size());
            self.waiting.insert(header.sequence, waiting);
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
        // Fragments can't be collected any more: the record was given out as it was.
        if received.header.fragment.is_none() {
            self.boot.late(received.header.sequence, received.digest());
            self.tell_lost(None, received.at, out);
            let record = extended::record(&received.header, &received.body, false);
            out.push((received.at, Event::Record { record, crash: false, late: true, beside: false }));
        }
        Arrival::Late
    }

    /// Notes what tells whether more will come again.
    fn came_again(&mut self, received: &Received<'_>) {
        if self.boot.is_opening(received.header.sequence) {
            self.repeated = self.repeated.saturating_add(1);
        }
        if received.is_of_boot_before() {
            self.survived = Some(received.header.sequence);
        }
    }

    /// Gives out what is in order, gives up what nobody waits for any longer.
    pub fn release(&mut self, now: Duration, patience: Patience, out: &mut Vec<(Duration, Event)>) {
        self.asked.retain(|_, asked_at| now < asked_at.saturating_add(ANSWER));
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
        self.give(out);
        while self.holes.first().is_some() {
            self.give_up(now, out);
            self.give(out);
        }
        self.tell_lost(None, now, out);
    }

    /// The records that are there, whole or in part, of a stream that turned out to be no boot.
    pub fn remains(self, now: Duration, out: &mut Vec<(Duration, Event)>) {
        let waiting = self.waiting.into_values().filter_map(|waiting| waiting.record);
        for record in waiting.chain(self.partial.values().map(Reassembly::record)) {
            out.push((now, Event::Record { record, crash: false, late: false, beside: true }));
        }
    }

    /// The missing numbers that it is time to ask for, oldest first, at most `most`; `again`: see [`Holes::ask`].
    pub fn ask(&mut self, now: Duration, most: usize, again: Duration) -> Vec<u64> {
        let numbers = self.holes.ask(now, most, again);
        if self.asked.len() < limits::WINDOW_RECORDS {
            self.asked.extend(numbers.iter().map(|&number| (number, now)));
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
            self.joined = Some(header.sequence);
            if !self.at_once {
                self.next = first - limits::FIRST_REACH;
                self.holes.open_before(self.next, first - 1, now);
            }
            self.end = first;
            return;
        }
        self.end = self.next;
    }

    /// The first record is certain by now, if any is.
    pub fn begin(&mut self, now: Duration, out: &mut Vec<(Duration, Event)>) {
        if let Some((_, hole)) = self.holes.first().filter(|(_, hole)| hole.before) {
            self.holes.pop_first();
            self.holes.begin();
            let part = self.partial.first_key_value().map(|(&sequence, _)| sequence);
            self.next = match part.filter(|part| *part <= hole.last) {
                Some(part) => {
                    self.holes.open(part, hole.last, false, now);
                    part
                }
                None => hole.last.saturating_add(1),
            };
            self.boot = Boot::new(self.next);
            let whole = self.waiting.first_key_value().map(|(&sequence, _)| sequence);
            let sequence = part.into_iter().chain(whole).min().unwrap_or(self.next);
            self.joined = Some(sequence);
            out.push((now, Event::Joined { sequence }));
            self.give(out);
        }
    }

    /// From here on the network may still double what came.
    fn recent_from(&self, now: Duration) -> u64 {
        let (at, from) = self.recent;
        if now >= at.saturating_add(DOUBLE) { from } else { self.recent_before }
    }

    /// The time of the record given out last.
    fn given(&self) -> Option<u64> {
        (self.next > self.joined.unwrap_or(0)).then_some(self.timestamp)
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
        (self.newest, self.newest_at, self.newest_id) = (header.timestamp, now, id);
    }

    /// What the sender's level held back before this record is no longer waited for.
    fn hold_back(&mut self, header: &Header) {
        if let Some(last) = header.sequence.checked_sub(1).filter(|_| header.held > 0) {
            self.holes.hold_back(header.sequence.saturating_sub(header.held), last);
        }
    }

    /// What the sender's level held back after its newest record is known of now, and not waited for.
    fn hold_back_behind(&mut self, sequence: u64, behind: u64, now: Duration) {
        let Some(end) = sequence.checked_add(behind).and_then(|last| last.checked_add(1)) else { return };
        if end.saturating_sub(self.end) > limits::LEAP {
            return;
        }
        if end > self.end {
            self.holes.open_held(self.end, end - 1, now);
            self.end = end;
        }
        self.holes.hold_back(sequence.saturating_add(1), end - 1);
    }

    /// Gives out the records up to the next gap.
    fn give(&mut self, out: &mut Vec<(Duration, Event)>) {
        while let Some(waiting) = self.waiting.remove(&self.next) {
            self.held = self.held.saturating_sub(waiting.size());
            self.give_record(waiting, out);
        }
    }

    fn give_record(&mut self, waiting: Waiting, out: &mut Vec<(Duration, Event)>) {
        let Waiting { record, timestamp, id, digest, at } = waiting;
        self.tell_lost(id, at, out);
        let is_of_boot_before = record.as_ref().is_some_and(|record| record.field("boot").is_some());
        let slack = if self.survived.is_some() { 0 } else { RESET };
        if !is_of_boot_before && timestamp.saturating_add(slack) < self.timestamp {
            // The log survived a reset and its numbers go on.
            out.push((at, Event::Rebooted));
        }
        self.survived = is_of_boot_before.then_some(self.next);
        self.timestamp = timestamp;
        self.given_id = id;
        self.given_number = Some(self.next);
        self.boot.had(timestamp, digest);
        self.next = self.next.saturating_add(1);
        out.extend(
            record.map(|record| (at, Event::Record { record, crash: false, late: false, beside: false })),
        );
    }

    /// Gives up the first gap, which starts at `next`; of a record in part, the part is given out.
    fn give_up(&mut self, now: Duration, out: &mut Vec<(Duration, Event)>) {
        if self.holes.first().is_some_and(|(_, hole)| hole.before) {
            return self.begin(now, out);
        }
        let Some((_, hole)) = self.holes.pop_first() else { return };
        if hole.asked > 0 && !hole.unsent {
            self.asked_in_vain = self.asked_in_vain.saturating_add(1);
        }
        while let Some((sequence, partial)) = self.first_partial(hole.last) {
            self.lose(sequence, hole);
            let record = partial.record();
            let (timestamp, id) = (partial.timestamp(), message_id(&record));
            let digest = partial.digest();
            self.give_record(Waiting { record: Some(record), timestamp, id, digest, at: now }, out);
        }
        self.lose(hole.last.saturating_add(1), hole);
    }

    fn first_partial(&mut self, last: u64) -> Option<(u64, Reassembly)> {
        let (&sequence, _) = self.partial.first_key_value().filter(|(sequence, _)| **sequence <= last)?;
        let partial = self.partial.remove(&sequence)?;
        self.held = self.held.saturating_sub(partial.size());
        Some((sequence, partial))
    }

    /// The numbers from `next` up to `end`, of this gap, are lost.
    fn lose(&mut self, end: u64, hole: Hole) {
        if end <= self.next {
            return;
        }
        let count = end - self.next;
        if hole.held {
            self.held_back = self.held_back.saturating_add(count);
        } else if !hole.unsent {
            let (first, _, before) = self.lost.unwrap_or((self.next, self.next, 0));
            self.lost = Some((first, end - 1, before.saturating_add(count)));
        }
        self.boot.lost(end);
        self.next = end;
    }

    /// Names what was given up, before something else is said. `id` is the message id of the record after it.
    fn tell_lost(&mut self, id: Option<u32>, at: Duration, out: &mut Vec<(Duration, Event)>) {
        let Some((first, last, lost)) = self.lost.take() else { return };
        let sent = self
            .given_id
            .zip(id)
            .map(|(before, after)| u64::from(after.wrapping_sub(before).wrapping_sub(1)));
        match sent {
            Some(0) => {}
            // The message ids decide.
            Some(sent) => out.push((at, Event::Missing { first, last, count: sent.min(lost) })),
            // It was sent while nobody listened.
            None if self.resumed == Some(first) => {
                out.push((at, Event::Missing { first, last, count: lost }));
            }
            None => out.push((at, self.lack(first, last, lost))),
        }
    }
}

/// The target's message counter, where the sender adds it.
fn message_id(record: &Record) -> Option<u32> {
    record.field("msgid")?.parse().ok()
}
