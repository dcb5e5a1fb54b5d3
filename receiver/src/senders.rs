//! All senders: finds or makes the one of a datagram, and keeps them within the memory that there is for them.
//!
//! What a datagram costs does not depend on how many there are: the one that it belongs to is found by a hash with a
//! secret of this run, and only those are looked at of which the time has come ([`Due`]).

mod copies;
mod second_ways;
mod told;
mod whose;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use ahash::RandomState;
use hashbrown::HashTable;
use slab::Slab;

use crate::complain::complain;
use crate::credit::Credits;
use crate::datagram::{self, Datagram};
use crate::due::Due;
use crate::event::{Event, Heard, Identity};
use crate::limits;
use crate::machines::Machines;
use crate::metrics;
use crate::names::{Names, Source};
use crate::sender::{NEVER, Sender, TENDED};
use crate::state::Kept;
use crate::stats::Stats;
use copies::Copies;
use told::Told;

/// What a sender takes beside itself: its identity, and its place in the tables (tests/memory.rs).
const BESIDE: usize = 192;
/// Senders that are looked at for one that has been silent, where a new one needs room.
const LOOKED_AT: usize = 64;

/// The senders heard so far.
#[derive(Debug)]
pub struct Senders {
    names: Names,
    /// Where senders without a name say theirs.
    said: Vec<Source>,
    answers: bool,
    /// In the order of their first datagrams, as long as none had to go.
    all: Slab<Box<Sender>>,
    by_address: HashTable<u32>,
    machines: Machines,
    copies: Copies,
    /// Who has a name that its address does not tell: one that was said, or that of an address it has left.
    named: HashMap<String, u32, RandomState>,
    hashes: RandomState,
    /// Whose datagram came last: the next one often comes from there, too.
    last: u32,
    credits: Credits,
    due: Due,
    /// When the last datagram came.
    arrived_at: Duration,
    /// Those that are being looked at.
    tended: Vec<u32>,
    /// What a datagram makes, on its way through its sender.
    events: Vec<(Duration, Event)>,
    held: usize,
    most: usize,
    /// Whether it was said that there are no more than `most`.
    was_full: bool,
    /// In the order of their first datagrams, those that may not have sent for long.
    newcomers: VecDeque<u32>,
    /// Where the search for one that has been silent goes on.
    hand: usize,
    /// Counts of senders that had to make room.
    forgotten: Vec<(String, Stats)>,
    /// The sum of all their counts.
    gone: Stats,
}

/// An answer to be sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// The sender that it goes to.
    pub to: SocketAddr,
    /// The socket that heard it.
    pub via: usize,
    /// The datagram.
    pub text: String,
}

impl Senders {
    /// No senders yet. `names`: from `--name`. `answers`: they may be asked again for what is missing.
    pub fn new(names: impl Into<Names>, answers: bool) -> Self {
        Senders {
            names: names.into(),
            said: Vec::new(),
            answers,
            all: Slab::new(),
            by_address: HashTable::new(),
            machines: Machines::default(),
            copies: Copies::default(),
            named: HashMap::default(),
            hashes: RandomState::new(),
            last: 0,
            credits: Credits::default(),
            due: Due::default(),
            arrived_at: Duration::ZERO,
            tended: Vec::new(),
            events: Vec::new(),
            held: 0,
            most: most(limits::SENDERS_BYTES),
            was_full: false,
            newcomers: VecDeque::new(),
            hand: 0,
            forgotten: Vec::new(),
            gone: Stats::default(),
        }
    }

    /// With `bytes` for what is known of all senders, the records that wait for others not counted.
    pub fn with_memory(mut self, bytes: usize) -> Self {
        self.most = most(bytes);
        self
    }

    /// Senders without a `--name` say theirs there.
    pub fn naming_from(mut self, sources: Vec<Source>) -> Self {
        self.said = sources;
        self
    }

    /// Goes on with the senders of another run.
    pub fn resume(&mut self, kept: &[Kept]) {
        for kept in kept.iter().take(self.most) {
            if self.find(kept.address).is_some() {
                continue;
            }
            let given = self.names.of(kept.address);
            let name = given.as_ref().map_or(kept.name.clone(), |given| given.name.clone());
            let named = kept.named || given.is_some();
            let identity = Identity { address: kept.address, name: name.as_str().into(), named };
            let mut sender = Sender::new(identity, self.answers, Duration::ZERO);
            sender.resume(kept);
            let start = sender.start;
            let Ok(number) = u32::try_from(self.all.insert(Box::new(sender))) else { return };
            self.enter(number, kept.address);
            let noted = self.machines.started(number, start, 0);
            if let Some(sender) = self.all.get_mut(number as usize) {
                sender.noted = noted;
            }
            if name != kept.address.ip().to_string() {
                self.named.entry(name).or_insert(number);
            }
        }
    }

    /// What another run is to know of all that were heard, in this run or before.
    pub fn keep(&self) -> Vec<Kept> {
        self.all.iter().map(|(_, sender)| sender.keep()).collect()
    }

    /// Takes a datagram that came through socket number `via`.
    pub fn datagram(
        &mut self,
        from: SocketAddr,
        via: usize,
        bytes: &[u8],
        now: Duration,
        out: &mut Vec<Heard>,
    ) {
        self.take(from, via, (bytes, false), now, out);
    }

    /// The same, where the datagram's end was cut off on the way.
    pub fn cut_datagram(
        &mut self,
        from: SocketAddr,
        via: usize,
        bytes: &[u8],
        now: Duration,
        out: &mut Vec<Heard>,
    ) {
        self.take(from, via, (bytes, true), now, out);
    }

    fn take(
        &mut self,
        from: SocketAddr,
        via: usize,
        (bytes, is_cut): (&[u8], bool),
        now: Duration,
        out: &mut Vec<Heard>,
    ) {
        // Each datagram has a time of its own, by which what waited is put in order.
        let now = now.max(self.arrived_at.saturating_add(Duration::from_nanos(1)));
        self.arrived_at = now;
        let message = datagram::parse(bytes);
        let Some(number) = self.whose(from, &message, now, out) else {
            return self.unremembered(from, (message, is_cut), now, out);
        };
        self.last = number;
        self.compare(number, &message, now);
        let Some(sender) = self.all.get_mut(number as usize) else { return };
        let (before, start) = (sender.held(), out.len());
        if sender.identity.address == from {
            sender.via = u32::try_from(via).unwrap_or_default();
            sender.credit = sender.credit.saturating_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        }
        sender.datagram(message, is_cut, now, &mut self.events, out);
        self.events.shrink_to(limits::EVENTS);
        if std::mem::take(&mut sender.has_proven) {
            self.credits.proven(from.ip(), now);
        }
        self.held = self.held.saturating_sub(before).saturating_add(sender.held());
        sender.noted = self.machines.started(number, sender.start, sender.noted);
        schedule(&mut self.due, number, sender, now);
        if !self.said.is_empty() {
            self.name_as_said(number, out.get_mut(start..).unwrap_or_default());
        }
        if let Some(held) = self.copies.held(number) {
            held.extend(out.drain(start..));
            self.decide(Some(number), now, out);
        }
        if self.held > limits::WINDOWS_BYTES {
            self.empty_fullest(now, out);
        }
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Duration, out: &mut Vec<Heard>) {
        self.collect(now);
        let mut told = Told::default();
        for &number in &self.tended {
            let Some(sender) = self.all.get_mut(number as usize) else { continue };
            let before = sender.held();
            match self.copies.held(number) {
                Some(held) => sender.tick(now, held),
                None => told.of_one(|out| sender.tick(now, out)),
            }
            self.held = self.held.saturating_sub(before).saturating_add(sender.held());
        }
        told.by_arrival(out);
        self.decide(None, now, out);
        if !self.answers {
            self.put_back(now);
        }
    }

    /// The answers that are due.
    pub fn answers(&mut self, now: Duration) -> Vec<Answer> {
        self.collect(now);
        let mut answers = Vec::new();
        for &number in &self.tended {
            let Some(sender) = self.all.get_mut(number as usize) else { continue };
            let (to, via) = (sender.identity.address, sender.via as usize);
            let room = self.credits.room(to.ip(), sender.credit as usize, now);
            let own = sender.answers(room, now);
            if !own.is_empty() {
                let bytes = own.iter().map(String::len).sum::<usize>();
                sender.credit = sender.credit.saturating_sub(u32::try_from(bytes).unwrap_or(u32::MAX));
                self.credits.answered(to.ip(), now);
            }
            answers.extend(own.into_iter().map(|text| Answer { to, via, text }));
        }
        self.credits.forget(now);
        self.put_back(now);
        answers
    }

    /// What each is told at the end.
    pub fn last_answers(&self) -> Vec<Answer> {
        let due = |sender: &Sender| {
            let (to, via) = (sender.identity.address, sender.via as usize);
            let text = sender.last_answer().filter(|text| text.len() <= sender.credit as usize)?;
            Some(Answer { to, via, text })
        };
        self.all.iter().filter_map(|(_, sender)| due(sender)).collect()
    }

    /// Gives out all that is held.
    pub fn finish(&mut self, now: Duration, out: &mut Vec<Heard>) {
        let mut told = Told::default();
        self.decide(None, Duration::MAX, out);
        for (_, sender) in &mut self.all {
            told.of_one(|out| sender.finish(now, out));
        }
        told.by_arrival(out);
        self.held = 0;
    }

    /// The socket that last heard the sender at an address, or the first.
    pub fn via(&self, address: SocketAddr) -> usize {
        let sender = self.find(address).and_then(|number| self.all.get(number as usize));
        sender.map_or(0, |sender| sender.via as usize)
    }

    /// The present address of the sender with a name.
    pub fn address(&self, name: &str) -> Option<SocketAddr> {
        let found = self.all.iter().find(|(_, sender)| sender.identity.name == name);
        found.map(|(_, sender)| sender.identity.address)
    }

    /// When time alone may change something next; `None`: only a datagram may.
    pub fn due(&self) -> Option<Duration> {
        self.due.next().into_iter().chain(self.copies.due()).min()
    }

    /// Bytes held for all, at most [`limits::WINDOWS_BYTES`].
    pub fn held(&self) -> usize {
        self.held
    }

    /// How many are known.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// The counts of each, by name.
    pub fn stats(&self) -> Vec<(String, Stats)> {
        let heard = self.all.iter().filter(|(_, sender)| sender.is_heard());
        let known = heard.map(|(_, sender)| (sender.identity.name.to_string(), sender.stats()));
        let mut stats: Vec<_> = known.chain(self.forgotten.iter().cloned()).collect();
        stats.sort_by(|(one, _), (other, _)| one.cmp(other));
        stats
    }

    /// The counts of all together, and of the first of them each. Who was last heard before `silent` is silent.
    pub fn metrics(&self, silent: Duration) -> metrics::Senders {
        let mut senders = metrics::Senders { sum: self.gone, ..metrics::Senders::default() };
        for (_, sender) in self.all.iter().filter(|(_, sender)| sender.is_heard()) {
            let (stats, heard_at) = (sender.stats(), sender.heard_at.get());
            senders.sum.add(&stats);
            senders.known = senders.known.saturating_add(1);
            senders.silent = senders.silent.saturating_add(usize::from(heard_at < silent));
            if senders.listed.len() < limits::LISTED {
                senders.listed.push(metrics::Sender { name: sender.identity.name.clone(), stats, heard_at });
            }
        }
        senders
    }

    /// The number of the sender at an address.
    fn find(&self, address: SocketAddr) -> Option<u32> {
        let is_it = |number: u32| {
            self.all.get(number as usize).is_some_and(|sender| sender.identity.address == address)
        };
        if is_it(self.last) {
            return Some(self.last);
        }
        self.by_address.find(self.hashes.hash_one(address), |&number| is_it(number)).copied()
    }

    /// Makes a sender that was not heard before. `None`: there is no room, and none that could make some.
    fn admit(
        &mut self,
        address: SocketAddr,
        message: &Datagram<'_>,
        now: Duration,
        out: &mut Vec<Heard>,
    ) -> Option<u32> {
        if self.all.len() >= self.most && !self.make_room(now, out) {
            return None;
        }
        let mut sender = Sender::new(self.identify(address, now), self.answers, now);
        if !whose::is_single(message) {
            sender.stays();
        }
        let number = u32::try_from(self.all.insert(Box::new(sender))).ok()?;
        self.enter(number, address);
        self.suspect(number, address, message, now, out);
        self.newcomers.push_back(number);
        Some(number)
    }

    /// Lets go of a sender: of the one that came first and has sent nothing for longer than a moment, else of one that
    /// has been silent for long. Never of an active one: who sends from addresses without end moves out only himself.
    fn make_room(&mut self, now: Duration, out: &mut Vec<Heard>) -> bool {
        if !self.was_full {
            self.was_full = true;
            complain(format_args!(
                "{} senders are known, and there is memory for no more: new ones take the place of those that sent for \
                 less than {} s or have been silent for {} s",
                self.all.len(),
                limits::ESTABLISHED.as_secs(),
                limits::SILENT.as_secs()
            ));
        }
        while let Some(number) = self.newcomers.pop_front() {
            if self.all.get(number as usize).is_some_and(|sender| !sender.is_established()) {
                self.forget(number, now, out);
                return true;
            }
        }
        for _ in 0..LOOKED_AT.min(self.all.len()) {
            self.hand = (self.hand + 1) % self.all.capacity().max(1);
            let sender = self.all.get(self.hand);
            if sender.is_some_and(|sender| now >= sender.heard_at.after(limits::SILENT)) {
                self.forget(u32::try_from(self.hand).unwrap_or(u32::MAX), now, out);
                return true;
            }
        }
        false
    }

    /// Takes a sender out of all tables: its number may be another's from here on.
    fn remove(&mut self, number: u32) -> Option<Box<Sender>> {
        let sender = self.all.try_remove(number as usize)?;
        self.leave(number, sender.identity.address);
        self.machines.started(number, 0, sender.noted);
        if self.named.get(sender.identity.name.as_str()) == Some(&number) {
            self.named.remove(sender.identity.name.as_str());
        }
        self.held = self.held.saturating_sub(sender.held());
        Some(sender)
    }

    fn forget(&mut self, number: u32, now: Duration, out: &mut Vec<Heard>) {
        let Some(mut sender) = self.remove(number) else { return };
        self.copies.forget(number, out);
        sender.finish(now, out);
        self.gone.add(&sender.stats());
        if self.forgotten.len() < limits::FORGOTTEN {
            self.forgotten.push((sender.identity.name.to_string(), sender.stats()));
        }
    }

    /// A datagram of a sender for which there is no room: what can be shown of it alone.
    fn unremembered(
        &mut self,
        from: SocketAddr,
        (message, is_cut): (Datagram<'_>, bool),
        now: Duration,
        out: &mut Vec<Heard>,
    ) {
        let mut sender = Sender::new(self.identify(from, now), false, now);
        let mut heard = Vec::new();
        sender.datagram(message, is_cut, now, &mut self.events, &mut heard);
        sender.finish(now, &mut heard);
        // How it continues what came before is not known.
        let is_known = |heard: &Heard| {
            matches!(heard.event, Event::Record { .. } | Event::Crash { .. } | Event::Report(_))
        };
        out.extend(heard.into_iter().filter(is_known));
    }

    fn empty_fullest(&mut self, now: Duration, out: &mut Vec<Heard>) {
        let fullest = self.all.iter_mut().max_by_key(|(_, sender)| sender.held());
        if let Some((_, sender)) = fullest {
            let before = sender.held();
            sender.finish(now, out);
            self.held = self.held.saturating_sub(before).saturating_add(sender.held());
        }
    }

    /// Notes those of which the time has come.
    fn collect(&mut self, now: Duration) {
        while let Some((time, number)) = self.due.pop(now) {
            let sender = self.all.get_mut(number as usize);
            // One that is due at another time by now, or has gone, has an entry of its own.
            if let Some(sender) = sender.filter(|sender| sender.due_at == time.into()) {
                sender.due_at = TENDED;
                self.tended.push(number);
            }
        }
    }

    /// All that was noted is done.
    fn put_back(&mut self, now: Duration) {
        for number in self.tended.drain(..) {
            if let Some(sender) = self.all.get_mut(number as usize) {
                sender.due_at = NEVER;
                schedule(&mut self.due, number, sender, now);
            }
        }
    }
}

/// How many senders fit into `bytes`.
fn most(bytes: usize) -> usize {
    (bytes / (size_of::<Sender>() + BESIDE)).max(1)
}

/// Has a sender looked at when it is time to, or earlier.
fn schedule(due: &mut Due, number: u32, sender: &mut Sender, now: Duration) {
    if let Some(time) = sender.due(now).filter(|time| *time < sender.due_at.get()) {
        sender.due_at = time.into();
        due.at(time, number);
    }
}
