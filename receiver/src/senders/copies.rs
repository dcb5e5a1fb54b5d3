//! The second ways of machines, and the senders that may be one (see [`super::second_ways`]).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use arrayvec::ArrayVec;

use crate::event::Heard;
use crate::limits;

/// How long what a suspected sender tells is held.
pub(super) const HELD: Duration = Duration::from_secs(1);
/// Records with a time and a text of their own that both must have had.
const MATCHED: usize = 3;

/// The second ways, and those who may be one.
#[derive(Debug, Default)]
pub(super) struct Copies {
    /// Whose the second ways are.
    pub(super) ways: HashMap<SocketAddr, u32>,
    pub(super) suspected: HashMap<u32, Suspected>,
    /// Whose copies are suspected, and who.
    pub(super) of: HashMap<u32, u32>,
}

/// A sender that may be another's second way.
#[derive(Debug)]
pub(super) struct Suspected {
    pub(super) of: u32,
    pub(super) since: Duration,
    /// What tells the texts of the records that both had.
    matched: ArrayVec<u16, MATCHED>,
    pub(super) together: u32,
    /// Records of it that the other one has not had yet.
    pub(super) ahead: u32,
    pub(super) differs: bool,
    pub(super) held: Vec<Heard>,
}

impl Suspected {
    /// A sender whose first record another one had.
    pub(super) fn new(of: u32, since: Duration) -> Self {
        let (matched, held) = (ArrayVec::new(), Vec::new());
        Suspected { of, since, matched, together: 0, ahead: 0, differs: false, held }
    }

    /// Whether it had nothing but what the other one had, and enough of that.
    pub(super) fn is_same(&self) -> bool {
        self.matched.is_full() && self.ahead == 0 && !self.differs
    }

    /// Both had a record with this text, and a time. The same text over and over proves nothing.
    pub(super) fn had_both(&mut self, text: Option<u16>) {
        if let Some(text) = text.filter(|text| !self.matched.contains(text)) {
            // Enough is enough.
            let _ = self.matched.try_push(text);
        }
    }
}

impl Copies {
    /// The sender whose second way this is.
    pub(super) fn way(&self, address: SocketAddr) -> Option<u32> {
        if self.ways.is_empty() { None } else { self.ways.get(&address).copied() }
    }

    /// Whether there is no room for what further ones tell.
    pub(super) fn is_full(&self) -> bool {
        let held = self.suspected.values().map(|suspected| suspected.held.len()).sum::<usize>();
        self.suspected.len() >= limits::SUSPECTED || held > limits::SUSPECTED_EVENTS
    }

    /// When a suspicion ends.
    pub(super) fn due(&self) -> Option<Duration> {
        self.suspected.values().map(|suspected| suspected.since.saturating_add(HELD)).min()
    }

    /// Where what a suspected sender tells is held.
    pub(super) fn held(&mut self, number: u32) -> Option<&mut Vec<Heard>> {
        if self.suspected.is_empty() {
            return None;
        }
        self.suspected.get_mut(&number).map(|suspected| &mut suspected.held)
    }

    /// A sender is forgotten.
    pub(super) fn forget(&mut self, number: u32, out: &mut Vec<Heard>) {
        self.ways.retain(|_, other| *other != number);
        let copy = self.of.get(&number).copied().unwrap_or(number);
        self.clear(copy, out);
    }

    /// A sender is no longer suspected: what it told is shown.
    pub(super) fn clear(&mut self, number: u32, out: &mut Vec<Heard>) {
        if let Some(mut suspected) = self.suspected.remove(&number) {
            self.of.remove(&suspected.of);
            out.append(&mut suspected.held);
        }
    }
}
