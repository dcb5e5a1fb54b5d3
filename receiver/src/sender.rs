//! One sender: its datagrams in whatever format become events in order.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use crate::boots::Boots;
use crate::continued::Continued;
use crate::crash::{self, Part};
use crate::credit::Room;
use crate::datagram::Datagram;
use crate::event::{Event, Heard, Identity, Record};
use crate::extended::Header;
use crate::limits;
use crate::messages::Messages;
use crate::nanos::Nanos;
use crate::ncrx::Ncrx;
use crate::order::{Arrival, Place, Received};
use crate::report::Report;
use crate::state::Kept;
use crate::stats::Stats;

/// [`Sender::due_at`]: time alone changes nothing.
pub const NEVER: Nanos = Nanos::MAX;
/// [`Sender::due_at`]: it is being looked at.
pub const TENDED: Nanos = Nanos::ZERO;

/// How far what the sender's clock tells of its start may differ from what is known, in µs, where it is to be known
/// again by that: among those of one address, and at another. For the time since it was last heard a two-thousandth
/// is added.
pub const CLOCKS_HERE: u64 = 1_000_000;
/// See [`CLOCKS_HERE`].
pub const CLOCKS_ELSEWHERE: u64 = 250_000;
/// No NAT gives a port to another machine within this time.
const SILENCE: Duration = Duration::from_secs(2);
/// Datagrams after which a sender is known well enough for that.
const KNOWN: u64 = 16;
/// The share of a later start that is believed: most records that tell one were only late.
const LATER: u64 = 16;
/// Ports that are remembered of a sender that sends each message from another one.
const PORTS: usize = 64;

/// What another sender's record is to a sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copy {
    /// It had the same.
    Same,
    /// It may have had it: that was too long ago.
    Perhaps,
    /// It has not come that far.
    Ahead,
    /// It is none of its records.
    Other,
}

/// What is known of a sender of text.
#[derive(Debug, Default)]
struct Text {
    messages: Messages,
    /// The time of its last line that has one, in µs since its start.
    last_time: u64,
    /// Where each of its messages comes from another port: those that it had before the present one.
    ports: Vec<u16>,
}

/// What is known of a sender. There are very many of them: what only some need is in boxes.
#[derive(Debug)]
pub struct Sender {
    /// Who it is.
    pub identity: Rc<Identity>,
    /// Its counts that most senders have, see [`Stats`].
    datagrams: u64,
    records: u64,
    duplicates: u64,
    answers: u64,
    /// The others.
    counts: Option<Box<Stats>>,
    /// When it was first and last heard.
    pub first_at: Nanos,
    /// See `first_at`.
    pub heard_at: Nanos,
    /// When it is to be looked at next, as far as that is noted.
    pub due_at: Nanos,
    /// The socket that last heard it.
    pub via: u32,
    /// When it was started, by the clocks, in µs since the Unix epoch; 0: not known.
    pub start: u64,
    /// With which start it is noted among [`crate::machines`].
    pub noted: u64,
    /// Its records come by two ways.
    pub has_copies: bool,
    /// Many send the same as it does.
    pub is_common: bool,
    /// Its address has other senders, too, or had.
    pub has_neighbours: bool,
    /// From each of its ports one message came, so far.
    is_single: bool,
    text: Option<Box<Text>>,
    continued: Continued,
    boots: Boots,
    ncrx: Ncrx,
    /// Bytes that came from its address and were not answered.
    pub credit: u32,
    /// A record came that had been asked for.
    pub has_proven: bool,
    crash: crash::Watch,
    /// Of the record that was shown at once, beside the boot.
    crash_beside: crash::Watch,
}

impl Sender {
    /// A sender not heard before. `answers`: it may be asked again for what is missing.
    pub fn new(identity: Identity, answers: bool, now: Duration) -> Self {
        Sender {
            identity: Rc::new(identity),
            datagrams: 0,
            records: 0,
            duplicates: 0,
            answers: 0,
            counts: None,
            first_at: now.into(),
            heard_at: now.into(),
            due_at: NEVER,
            via: 0,
            start: 0,
            has_copies: false,
            is_common: false,
            has_neighbours: false,
            noted: 0,
            is_single: true,
            text: None,
            continued: Continued::default(),
            boots: Boots::default(),
            ncrx: if answers { Ncrx::starting(now) } else { Ncrx::off() },
            credit: 0,
            has_proven: false,
            crash: crash::Watch::default(),
            crash_beside: crash::Watch::default(),
        }
    }

    /// Takes a datagram. `is_cut`: its end was cut off on the way. `events` is empty before and after: its memory serves
    /// all senders.
    pub fn datagram(
        &mut self,
        datagram: Datagram<'_>,
        is_cut: bool,
        now: Duration,
        events: &mut Vec<(Duration, Event)>,
        out: &mut Vec<Heard>,
    ) {
        self.heard_at = now.into();
        self.datagrams += 1;
        match datagram {
            Datagram::Extended(mut header, body) => {
                header.is_cut = is_cut;
                if let Some(piece) = self.text.as_mut().and_then(|text| text.messages.interrupt()) {
                    self.tell(plain(piece, now), out);
                }
                let timestamp = header.timestamp;
                // Nobody else says so.
                let is_certain = header.emergency || header.behind > 0;
                let received = Received::new(header, body, now);
                let arrival = self.boots.accept(received, events);
                match arrival {
                    Arrival::Filled { asked, .. } if asked > 0 => {
                        self.counts().recovered += 1;
                        self.has_proven = true;
                    }
                    Arrival::Duplicate { .. } => self.duplicates += 1,
                    Arrival::Late => self.counts().late += 1,
                    _ => {}
                }
                if matches!(arrival, Arrival::New | Arrival::Filled { .. }) {
                    self.note_start(timestamp, now);
                }
                // A copy that comes by the other way is no repetition.
                if !(self.has_copies && matches!(arrival, Arrival::Duplicate { .. }) && !is_certain) {
                    self.ncrx.heard(arrival, is_certain);
                }
                self.boots.present_mut().repeats = self.ncrx.speaks();
                self.boots.present_mut().has_copies = self.has_copies;
                if self.boots.is_waiting() {
                    self.boots.release(now, self.ncrx.patience(), events);
                }
                self.tell(events.drain(..), out);
            }
            Datagram::Text(text) => {
                for record in self.text().messages.datagram(text, is_cut, now) {
                    self.count_held(record.held);
                    if let Some(timestamp) = record.timestamp {
                        self.text().last_time = timestamp;
                        self.note_start(timestamp, now);
                    }
                    self.tell(plain(record, now), out);
                }
            }
        }
    }

    /// Goes on with what another run knew of it.
    pub fn resume(&mut self, kept: &Kept) {
        let at = Duration::from_micros(kept.received_us);
        // It is no newcomer.
        (self.first_at, self.heard_at) = (Nanos::ZERO, at.into());
        self.start = kept.boot_us;
        self.is_single = kept.single;
        if let Some(numbered) = &kept.numbered {
            self.boots = Boots::resume(numbered, at);
        }
    }

    /// What another run is to know of it.
    pub fn keep(&self) -> Kept {
        let (numbered, heard_at) = match self.boots.present().keep() {
            Some((numbered, at)) => (Some(numbered), at),
            None => (None, self.heard_at.get()),
        };
        Kept {
            address: self.identity.address,
            name: self.identity.name.to_string(),
            named: self.identity.named,
            single: self.is_single,
            boot_us: self.start,
            received_us: u64::try_from(heard_at.as_micros()).unwrap_or(u64::MAX),
            numbered,
        }
    }

    /// Whether this run has heard it.
    pub fn is_heard(&self) -> bool {
        self.datagrams > 0
    }

    /// Its counts.
    pub fn stats(&self) -> Stats {
        let Sender { datagrams, records, duplicates, answers, .. } = *self;
        let others = self.counts.as_deref().copied().unwrap_or_default();
        Stats { datagrams, records, duplicates, answers, ..others }
    }

    fn counts(&mut self) -> &mut Stats {
        self.counts.get_or_insert_default()
    }

    fn count_held(&mut self, held: u64) {
        if held > 0 {
            let counts = self.counts();
            counts.held = counts.held.saturating_add(held);
        }
    }

    fn text(&mut self) -> &mut Text {
        self.text.get_or_insert_default()
    }

    /// Learns from a record when the sender was started. One that comes at once tells it best.
    fn note_start(&mut self, timestamp: u64, now: Duration) {
        let start = start_of(timestamp, now);
        self.start = if start > self.start && self.start > 0 {
            self.start.saturating_add((start - self.start) / LATER)
        } else {
            start
        };
    }

    /// How much the start that a record of this time tells differs from the one known, in µs; `None`: more than
    /// `most`, or it is not known.
    pub fn contradiction(&self, timestamp: u64, most: u64, now: Duration) -> Option<u64> {
        let silence = now.saturating_sub(self.heard_at.get()).as_micros() / 2000;
        let most = most.saturating_add(u64::try_from(silence).unwrap_or(u64::MAX));
        let differs = start_of(timestamp, now).abs_diff(self.start);
        (self.start > 0 && differs <= most).then_some(differs)
    }

    /// Whether it goes on with this record of another port or address; see [`Sender::contradiction`].
    pub fn goes_on_with(&self, header: &Header, body: &[u8], most: u64, now: Duration) -> Option<u64> {
        let contradiction = self.contradiction(header.timestamp, most, now)?;
        let received = Received::new(header.clone(), body, now);
        self.boots.present().goes_on_with(&received).then_some(contradiction)
    }

    /// By how much its clock contradicts that a record of its own port is its own; see [`Sender::contradiction`]. What
    /// it may have sent before is its own, however late.
    pub fn doubt(&self, header: &Header, body: &[u8], now: Duration) -> u64 {
        let present = self.boots.present();
        if !present.is_started() {
            return 0;
        }
        if present.acknowledged().is_some_and(|last| header.sequence <= last) {
            let received = Received::new(header.clone(), body, now);
            return if present.judge(&received).is_possible() { 0 } else { u64::MAX };
        }
        let is_next = header.sequence.saturating_sub(header.held) == present.end();
        if is_next && !self.was_silent(now) {
            return 0;
        }
        self.contradiction(header.timestamp, CLOCKS_HERE, now).unwrap_or(u64::MAX)
    }

    /// The same of a line of text.
    pub fn doubt_text(&self, timestamp: u64, now: Duration) -> u64 {
        if !self.is_console() || !self.was_silent(now) {
            return 0;
        }
        self.contradiction(timestamp, CLOCKS_HERE, now).unwrap_or(u64::MAX)
    }

    /// Whether it was silent for so long that its port may be another's by now. In a log that was held up and comes at
    /// once the clocks say nothing.
    fn was_silent(&self, now: Duration) -> bool {
        now >= self.heard_at.after(SILENCE)
    }

    /// What a record of another sender would be to this one.
    pub fn copy(&self, header: &Header, body: &[u8], now: Duration) -> Copy {
        let present = self.boots.present();
        if !present.has_begun() {
            return Copy::Other;
        }
        let received = Received::new(header.clone(), body, now);
        match present.judge(&received) {
            Place::Same(_) | Place::Again => Copy::Same,
            Place::Alike | Place::Late => Copy::Perhaps,
            Place::Next | Place::Hole | Place::Ahead => Copy::Ahead,
            Place::Doubtful | Place::Foreign => Copy::Other,
        }
    }

    /// The number after the highest that came.
    pub fn end(&self) -> u64 {
        self.boots.present().end()
    }

    /// Whether enough is known of it to know it again at another address.
    pub fn is_known(&self) -> bool {
        self.datagrams >= KNOWN
    }

    /// Whether it sends text without numbers, with the time since its start.
    pub fn is_console(&self) -> bool {
        !self.boots.present().is_started() && self.start > 0
    }

    /// Whether it goes on with a line of text of this time; see [`Sender::contradiction`]. Without numbers its time must
    /// have gone on after a silence, and enough must be known of it.
    pub fn goes_on_with_text(&self, timestamp: u64, now: Duration) -> Option<u64> {
        let last_time = self.text.as_ref().map_or(0, |text| text.last_time);
        let goes_on = self.is_console() && self.is_known() && self.was_silent(now) && timestamp >= last_time;
        if goes_on { self.contradiction(timestamp, CLOCKS_HERE, now) } else { None }
    }

    /// A message came from the port that it has: it is no longer one that sends each from another.
    pub fn stays(&mut self) {
        if std::mem::take(&mut self.is_single)
            && let Some(text) = &mut self.text
        {
            text.ports = Vec::new();
        }
    }

    /// Whether a message from another port may be its next, as of each port only one came; if so, it has that one by
    /// now. The port that comes again is that of a sender of its own.
    pub fn takes_single(&mut self, port: u16) -> bool {
        if !self.is_single {
            return false;
        }
        let present = self.identity.address.port();
        let ports = &mut self.text().ports;
        if let Some(index) = ports.iter().position(|other| *other == port) {
            ports.remove(index);
            return false;
        }
        if ports.len() >= PORTS {
            ports.remove(0);
        }
        ports.push(present);
        true
    }

    /// It comes from this address by now.
    pub fn move_to(&mut self, address: SocketAddr) {
        let Identity { name, named, .. } = &*self.identity;
        self.identity = Rc::new(Identity { address, name: name.clone(), named: *named });
        self.credit = 0;
    }

    /// It has this name by now.
    pub fn rename(&mut self, name: &str, named: bool) {
        self.identity = Rc::new(Identity { address: self.identity.address, name: name.into(), named });
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Duration, out: &mut Vec<Heard>) {
        let mut events = Vec::new();
        self.boots.release(now, self.ncrx.patience(), &mut events);
        let piece = self.text.as_mut().and_then(|text| text.messages.tick(now));
        events.extend(piece.map(|record| plain(record, now)).into_iter().flatten());
        self.tell(events, out);
        let mut over = Vec::new();
        self.crash.tick(now, &mut over);
        self.crash_beside.tick(now, &mut over);
        self.report(over, out);
    }

    /// The answers that are due.
    pub fn answers(&mut self, room: Room, now: Duration) -> Vec<String> {
        let answers = self.ncrx.answers(self.boots.present_mut(), room, now);
        self.answers += u64::try_from(answers.len()).unwrap_or_default();
        answers
    }

    /// What a sender is told at the end.
    pub fn last_answer(&self) -> Option<String> {
        self.ncrx.last_answer(self.boots.present()).filter(|_| self.is_heard())
    }

    /// Gives out all that is held.
    pub fn finish(&mut self, now: Duration, out: &mut Vec<Heard>) {
        let mut events = Vec::new();
        self.boots.finish(now, &mut events);
        let piece = self.text.as_mut().and_then(|text| text.messages.end());
        events.extend(piece.map(|record| plain(record, now)).into_iter().flatten());
        self.tell(events, out);
        let mut over = Vec::new();
        self.crash.finish(&mut over);
        self.crash_beside.finish(&mut over);
        self.report(over, out);
    }

    /// When time alone may change something next.
    pub fn due(&self, now: Duration) -> Option<Duration> {
        if !self.is_heard() {
            return None;
        }
        let boots = self.boots.is_waiting().then(|| self.boots.due(now, self.ncrx.patience())).flatten();
        let piece = self.text.as_ref().and_then(|text| text.messages.due());
        let ncrx = self.ncrx.due(self.boots.present());
        let of_boots = earlier(boots, earlier(piece, ncrx));
        earlier(of_boots, earlier(self.crash.due(), self.crash_beside.due()))
    }

    /// Whether it has been heard for longer than a moment.
    pub fn is_established(&self) -> bool {
        self.heard_at.get() >= self.first_at.after(limits::ESTABLISHED)
    }

    /// Bytes held.
    pub fn held(&self) -> usize {
        self.boots.held()
    }

    /// Counts the events, marks crash reports, and passes them on.
    fn tell(&mut self, events: impl IntoIterator<Item = (Duration, Event)>, out: &mut Vec<Heard>) {
        let held = self.boots.take_held_back();
        self.count_held(held);
        let mut over = Vec::new();
        for (at, mut event) in events {
            match &mut event {
                Event::Record { record, crash, late, beside } => {
                    self.records += 1;
                    if !*late && !*beside {
                        self.continued.follow(record);
                    }
                    if record.incomplete {
                        self.counts().incomplete += 1;
                    }
                    let watch = if *beside { &mut self.crash_beside } else { &mut self.crash };
                    let part = watch.judge(record, at, &mut over);
                    *crash = part != Part::None;
                    if !over.is_empty() {
                        self.report(std::mem::take(&mut over), out);
                    }
                    if let Part::First(kind) = part {
                        let event = Event::Crash { kind };
                        out.push(Heard { sender: Rc::clone(&self.identity), at, event });
                    }
                }
                Event::Missing { count, .. } => {
                    let counts = self.counts();
                    counts.gaps += 1;
                    counts.missing = counts.missing.saturating_add(*count);
                }
                Event::Skipped { count, .. } => {
                    let counts = self.counts();
                    counts.skipped = counts.skipped.saturating_add(*count);
                }
                Event::Rebooted => {
                    self.start = 0;
                    self.counts().reboots += 1;
                    self.continued.clear();
                    let mut before =
                        std::mem::replace(&mut self.crash, std::mem::take(&mut self.crash_beside));
                    before.finish(&mut over);
                    self.report(std::mem::take(&mut over), out);
                    self.ncrx.rebooted();
                }
                Event::Stray { .. } => {
                    self.counts().strays += 1;
                    // That it crashed was told.
                    std::mem::take(&mut self.crash_beside).finish(&mut over);
                    self.report(std::mem::take(&mut over), out);
                }
                Event::Joined { .. }
                | Event::Moved { .. }
                | Event::Crash { .. }
                | Event::Report(_)
                | Event::Dropped { .. }
                | Event::Lost { .. } => {}
            }
            out.push(Heard { sender: Rc::clone(&self.identity), at, event });
        }
    }
}

impl Sender {
    /// Passes on reports that are over.
    fn report(&self, over: Vec<Report>, out: &mut Vec<Heard>) {
        let heard = |report: Report| {
            let (sender, at) = (Rc::clone(&self.identity), report.at);
            Heard { sender, at, event: Event::Report(Box::new(report)) }
        };
        out.extend(over.into_iter().map(heard));
    }
}

/// When the sender of a record of this time was started, in µs since the Unix epoch.
pub fn start_of(timestamp: u64, now: Duration) -> u64 {
    let now = now.as_secs().saturating_mul(1_000_000).saturating_add(now.subsec_micros().into());
    now.saturating_sub(timestamp).max(1)
}

/// The earlier of two times that there may be.
fn earlier(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn plain(record: Record, at: Duration) -> [(Duration, Event); 1] {
    [(at, Event::Record { record, crash: false, late: false, beside: false })]
}
