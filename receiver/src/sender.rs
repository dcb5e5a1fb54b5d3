//! One sender: its datagrams in whatever format become events in order.

use std::rc::Rc;
use std::time::Duration;

use crate::boots::Boots;
use crate::crash::{self, Part};
use crate::datagram::{self, Datagram};
use crate::event::{Event, Heard, Identity, Record};
use crate::limits;
use crate::messages::Messages;
use crate::ncrx::Ncrx;
use crate::order::{Arrival, Received};
use crate::stats::Stats;

/// [`Sender::due_at`]: time alone changes nothing.
pub const NEVER: Duration = Duration::MAX;
/// [`Sender::due_at`]: it is being looked at.
pub const TENDED: Duration = Duration::ZERO;

/// What is known of a sender.
#[derive(Debug)]
pub struct Sender {
    /// Who it is.
    pub identity: Rc<Identity>,
    /// Its counts.
    pub stats: Stats,
    /// When it was first and last heard.
    pub first_at: Duration,
    /// See `first_at`.
    pub heard_at: Duration,
    /// When it is to be looked at next, as far as that is noted.
    pub due_at: Duration,
    /// The socket that last heard it.
    pub via: usize,
    messages: Messages,
    boots: Boots,
    ncrx: Ncrx,
    crash: crash::Watch,
    /// Of the record that was shown at once, beside the boot.
    crash_beside: crash::Watch,
}

impl Sender {
    /// A sender not heard before. `answers`: it may be asked again for what is missing.
    pub fn new(identity: Identity, answers: bool, now: Duration) -> Self {
        Sender {
            identity: Rc::new(identity),
            stats: Stats::default(),
            first_at: now,
            heard_at: now,
            due_at: NEVER,
            via: 0,
            messages: Messages::default(),
            boots: Boots::default(),
            ncrx: if answers { Ncrx::default() } else { Ncrx::off() },
            crash: crash::Watch::default(),
            crash_beside: crash::Watch::default(),
        }
    }

    /// Takes a datagram. `is_cut`: its end was cut off on the way.
    pub fn datagram(&mut self, bytes: &[u8], is_cut: bool, now: Duration, out: &mut Vec<Heard>) {
        self.heard_at = now;
        self.stats.datagrams += 1;
        match datagram::parse(bytes) {
            Datagram::Extended(mut header, body) => {
                header.is_cut = is_cut;
                let mut events = Vec::new();
                // Nobody else says so.
                let is_certain = header.emergency || header.behind > 0;
                let received = Received { header, body: body.into(), at: now };
                let arrival = self.boots.accept(received, &mut events);
                match arrival {
                    Arrival::Filled { asked, .. } if asked > 0 => self.stats.recovered += 1,
                    Arrival::Duplicate { .. } => self.stats.duplicates += 1,
                    Arrival::Late => self.stats.late += 1,
                    _ => {}
                }
                self.ncrx.heard(arrival, is_certain);
                self.boots.present_mut().repeats = self.ncrx.speaks();
                self.boots.release(now, self.ncrx.patience(), &mut events);
                self.tell(events, out);
            }
            Datagram::Text(text) => {
                for record in self.messages.datagram(text, is_cut, now) {
                    self.stats.held = self.stats.held.saturating_add(record.held);
                    self.tell(plain(record, now), out);
                }
            }
        }
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Duration, out: &mut Vec<Heard>) {
        let mut events = Vec::new();
        self.boots.release(now, self.ncrx.patience(), &mut events);
        events.extend(self.messages.tick(now).map(|record| plain(record, now)).into_iter().flatten());
        self.tell(events, out);
    }

    /// The answers that are due.
    pub fn answers(&mut self, now: Duration) -> Vec<String> {
        let answers = self.ncrx.answers(self.boots.present_mut(), now);
        self.stats.answers += u64::try_from(answers.len()).unwrap_or_default();
        answers
    }

    /// What a sender is told at the end.
    pub fn last_answer(&self) -> Option<String> {
        self.ncrx.last_answer(self.boots.present())
    }

    /// Gives out all that is held.
    pub fn finish(&mut self, now: Duration, out: &mut Vec<Heard>) {
        let mut events = Vec::new();
        self.boots.finish(now, &mut events);
        events.extend(self.messages.end().map(|record| plain(record, now)).into_iter().flatten());
        self.tell(events, out);
    }

    /// When time alone may change something next.
    pub fn due(&self, now: Duration) -> Option<Duration> {
        let boots = self.boots.due(now, self.ncrx.patience());
        [boots, self.messages.due(), self.ncrx.due(self.boots.present())].into_iter().flatten().min()
    }

    /// Whether it has been heard for longer than a moment.
    pub fn is_established(&self) -> bool {
        self.heard_at >= self.first_at.saturating_add(limits::ESTABLISHED)
    }

    /// Bytes held.
    pub fn held(&self) -> usize {
        self.boots.held()
    }

    /// Counts the events, marks crash reports, and passes them on.
    fn tell(&mut self, events: impl IntoIterator<Item = (Duration, Event)>, out: &mut Vec<Heard>) {
        self.stats.held = self.stats.held.saturating_add(self.boots.take_held_back());
        for (at, mut event) in events {
            match &mut event {
                Event::Record { record, crash, beside, .. } => {
                    self.stats.records += 1;
                    self.stats.incomplete += u64::from(record.incomplete);
                    let watch = if *beside { &mut self.crash_beside } else { &mut self.crash };
                    let part = watch.judge(record, at);
                    *crash = part != Part::None;
                    if part == Part::First {
                        out.push(Heard { sender: Rc::clone(&self.identity), at, event: Event::Crash });
                    }
                }
                Event::Missing { count, .. } => {
                    self.stats.gaps += 1;
                    self.stats.missing = self.stats.missing.saturating_add(*count);
                }
                Event::Skipped { count, .. } => {
                    self.stats.skipped = self.stats.skipped.saturating_add(*count);
                }
                Event::Rebooted => {
                    self.stats.reboots += 1;
                    self.crash = std::mem::take(&mut self.crash_beside);
                    self.ncrx.rebooted();
                }
                Event::Stray { .. } => {
                    self.stats.strays += 1;
                    self.crash_beside = crash::Watch::default();
                }
                Event::Joined { .. } | Event::Crash => {}
            }
            out.push(Heard { sender: Rc::clone(&self.identity), at, event });
        }
    }
}

fn plain(record: Record, at: Duration) -> [(Duration, Event); 1] {
    [(at, Event::Record { record, crash: false, late: false, beside: false })]
}
