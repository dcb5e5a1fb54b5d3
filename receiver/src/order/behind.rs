//! What waits behind the gaps of a stream, and the gaps. Nearly always there are none, and it takes no memory.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::event::Record;
use crate::fragments::Reassembly;
use crate::holes::Holes;
use crate::nanos::Nanos;

/// A record that waits for those before it.
#[derive(Debug)]
pub struct Waiting {
    /// None: it was shown at once.
    pub record: Option<Record>,
    /// Its time.
    pub timestamp: u64,
    /// Its message id.
    pub id: Option<u32>,
    /// What tells it from one of another boot.
    pub digest: u16,
    /// When it came.
    pub at: Duration,
}

impl Waiting {
    /// Roughly the memory that it takes.
    pub fn size(&self) -> usize {
        self.record.as_ref().map_or(0, Record::size)
    }
}

/// What is held of a stream, and what only few streams have to know.
#[derive(Debug, Default)]
pub struct Held {
    /// Records behind a gap, by number.
    pub waiting: BTreeMap<u64, Waiting>,
    /// Records of which fragments are missing.
    pub partial: BTreeMap<u64, Box<Reassembly>>,
    /// The gaps.
    pub holes: Holes,
    /// Bytes of `waiting` and `partial`.
    pub bytes: usize,
    /// What was asked for lately, and when last.
    pub asked: BTreeMap<u64, Duration>,
    /// Given up, not yet told: the first number, the last, and how many of them.
    pub lost: Option<(u64, u64, u64)>,
    /// How many numbers the sender said that it had held back, not yet taken.
    pub held_back: u64,
    /// The first number that another run did not give out: what is missing from there on was sent meanwhile.
    pub resumed: Option<u64>,
    /// The number that last came again as one of the boot before the sender's present one.
    pub survived: Option<u64>,
    /// The sender sends its whole log again: it has come to this number, at this time.
    pub again: Option<(u64, Nanos)>,
}

impl Held {
    const EMPTY: Held = Held {
        waiting: BTreeMap::new(),
        partial: BTreeMap::new(),
        holes: Holes::new(),
        bytes: 0,
        asked: BTreeMap::new(),
        lost: None,
        held_back: 0,
        resumed: None,
        survived: None,
        again: None,
    };

    /// Takes out what came of a record of which fragments are missing.
    pub fn take_partial(&mut self, sequence: u64) -> Option<Box<Reassembly>> {
        let partial = self.partial.remove(&sequence)?;
        self.bytes = self.bytes.saturating_sub(partial.size());
        Some(partial)
    }

    fn is_empty(&self) -> bool {
        self.waiting.is_empty()
            && self.partial.is_empty()
            && self.holes.first().is_none()
            && self.asked.is_empty()
            && self.lost.is_none()
            && self.held_back == 0
            && self.resumed.is_none()
            && self.survived.is_none()
            && self.again.is_none()
    }
}

/// What is held of a stream, if anything is.
#[derive(Debug, Default)]
pub struct Behind(Option<Box<Held>>);

impl Behind {
    /// Of a stream that goes on at this number where another run was.
    pub fn resumed(next: u64) -> Self {
        Behind(Some(Box::new(Held { resumed: Some(next), ..Held::default() })))
    }

    /// Whether nothing is held.
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// To be looked at.
    pub fn get(&self) -> &Held {
        static EMPTY: Held = Held::EMPTY;
        self.0.as_deref().unwrap_or(&EMPTY)
    }

    /// To be changed; memory is taken for it.
    pub fn get_mut(&mut self) -> &mut Held {
        self.0.get_or_insert_default()
    }

    /// Gives the memory back, where nothing is held any longer.
    pub fn rest(&mut self) {
        if self.0.as_ref().is_some_and(|held| held.is_empty()) {
            self.0 = None;
        }
    }

    /// All of it.
    pub fn into_held(self) -> Held {
        self.0.map_or_else(Held::default, |held| *held)
    }
}
