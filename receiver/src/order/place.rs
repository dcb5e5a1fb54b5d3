//! What a datagram of the extended format is to a boot, and what became of it.

use std::time::Duration;

use crate::boot;
use crate::extended::{self, Header};

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
    /// It may have been had before, or was given up, but nothing is known that would repeat it now.
    Doubtful,
    /// It is not of this boot.
    Foreign,
}

impl Place {
    /// Whether the boot waits for it.
    pub fn is_awaited(self) -> bool {
        matches!(self, Place::Next | Place::Hole)
    }

    /// Whether it may be that the sender sends its log again, or that another boot begins with the same.
    pub fn is_undecided(self) -> bool {
        matches!(self, Place::Again | Place::Doubtful)
    }

    /// Whether the boot has room for it, if no other has a better claim.
    pub fn is_possible(self) -> bool {
        !matches!(self, Place::Again | Place::Doubtful | Place::Foreign)
    }
}

/// A datagram of the extended format, and when it came.
#[derive(Debug)]
pub struct Received<'b> {
    /// Its header.
    pub header: Header,
    /// What follows the header.
    pub body: &'b [u8],
    /// Where the body's text ends.
    end: usize,
    /// Since the Unix epoch.
    pub at: Duration,
}

impl<'b> Received<'b> {
    /// A datagram, taken apart, that came at this time.
    pub fn new(header: Header, body: &'b [u8], at: Duration) -> Self {
        Received { header, body, end: extended::text_end(body), at }
    }

    /// The body, and where its text ends.
    pub fn body_and_end(&self) -> (&'b [u8], usize) {
        (self.body, self.end)
    }

    /// What tells this record from one of another boot with the same number. A fragment has no text for it.
    pub fn digest(&self) -> u16 {
        let text = match self.header.fragment {
            None => self.body.get(..self.end),
            Some(_) => None,
        };
        boot::digest(self.header.timestamp, self.header.priority(), text.unwrap_or_default())
    }

    /// Whether the sender says that it is of the boot before, which its ring survived.
    pub fn is_of_boot_before(&self) -> bool {
        self.body.split(|&byte| byte == b'\n').skip(1).any(|line| line.starts_with(b" boot="))
    }
}
