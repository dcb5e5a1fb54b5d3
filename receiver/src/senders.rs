//! All senders: finds or makes the one of a datagram, and keeps them within the limits.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::event::{Heard, Identity};
use crate::limits;
use crate::sender::Sender;
use crate::stats::Stats;

/// The senders heard so far.
#[derive(Debug, Default)]
pub struct Senders {
    names: HashMap<IpAddr, String>,
    answers: bool,
    table: HashMap<SocketAddr, Sender>,
    held: usize,
    /// Counts of senders that had to make room.
    forgotten: Vec<(String, Stats)>,
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
    pub fn new(names: HashMap<IpAddr, String>, answers: bool) -> Self {
        Senders { names, answers, ..Senders::default() }
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
        if !self.table.contains_key(&from) {
            self.make_room(now, out);
            let sender = Sender::new(self.identify(from), self.answers);
            self.table.insert(from, sender);
        }
        let Some(sender) = self.table.get_mut(&from) else { return };
        let before = sender.held();
        sender.via = via;
        sender.datagram(bytes, now, out);
        self.held = self.held.saturating_sub(before).saturating_add(sender.held());
        if self.held > limits::WINDOWS_BYTES {
            self.empty_fullest(now, out);
        }
    }

    /// Does what is due for each.
    pub fn tick(&mut self, now: Duration, out: &mut Vec<Heard>) {
        for sender in self.table.values_mut() {
            let before = sender.held();
            sender.tick(now, out);
            self.held = self.held.saturating_sub(before).saturating_add(sender.held());
        }
    }

    /// The answers that are due.
    pub fn answers(&mut self, now: Duration) -> Vec<Answer> {
        let due = |(&to, sender): (&SocketAddr, &mut Sender)| {
            let via = sender.via;
            sender.answers(now).into_iter().map(move |text| Answer { to, via, text }).collect::<Vec<_>>()
        };
        self.table.iter_mut().flat_map(due).collect()
    }

    /// What each is told at the end.
    pub fn last_answers(&self) -> Vec<Answer> {
        let due = |(&to, sender): (&SocketAddr, &Sender)| {
            Some(Answer { to, via: sender.via, text: sender.last_answer()? })
        };
        self.table.iter().filter_map(due).collect()
    }

    /// Gives out all that is held.
    pub fn finish(&mut self, now: Duration, out: &mut Vec<Heard>) {
        for sender in self.table.values_mut() {
            sender.finish(now, out);
        }
        self.held = 0;
    }

    /// The socket that last heard the sender at an address, or the first.
    pub fn via(&self, address: SocketAddr) -> usize {
        self.table.get(&address).map_or(0, |sender| sender.via)
    }

    /// Whether time alone may change something.
    pub fn is_waiting(&self) -> bool {
        self.table.values().any(Sender::is_waiting)
    }

    /// Bytes held for all, at most [`limits::WINDOWS_BYTES`].
    pub fn held(&self) -> usize {
        self.held
    }

    /// How many are known, at most [`limits::SENDERS`].
    pub fn count(&self) -> usize {
        self.table.len()
    }

    /// The counts of each, by name.
    pub fn stats(&self) -> Vec<(String, Stats)> {
        let known = self.table.values().map(|sender| (sender.identity.name.clone(), sender.stats));
        let mut stats: Vec<_> = known.chain(self.forgotten.iter().cloned()).collect();
        stats.sort_by(|(one, _), (other, _)| one.cmp(other));
        stats
    }

    fn identify(&self, address: SocketAddr) -> Identity {
        let given = self.names.get(&address.ip());
        let name = given.cloned().unwrap_or_else(|| address.ip().to_string());
        let is_taken = self.table.values().any(|sender| sender.identity.name == name);
        let name = if is_taken { format!("{name}:{}", address.port()) } else { name };
        Identity { address, name, named: given.is_some() }
    }

    /// Lets go of the sender that has been silent for longest.
    fn make_room(&mut self, now: Duration, out: &mut Vec<Heard>) {
        if self.table.len() < limits::SENDERS {
            return;
        }
        let silent = self.table.iter().min_by_key(|(_, sender)| sender.heard_at).map(|(&address, _)| address);
        if let Some(mut sender) = silent.and_then(|address| self.table.remove(&address)) {
            self.held = self.held.saturating_sub(sender.held());
            sender.finish(now, out);
            if self.forgotten.len() < limits::SENDERS {
                self.forgotten.push((sender.identity.name.clone(), sender.stats));
            }
        }
    }

    fn empty_fullest(&mut self, now: Duration, out: &mut Vec<Heard>) {
        if let Some(sender) = self.table.values_mut().max_by_key(|sender| sender.held()) {
            let before = sender.held();
            sender.finish(now, out);
            self.held = self.held.saturating_sub(before).saturating_add(sender.held());
        }
    }
}
