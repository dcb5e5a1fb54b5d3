//! A card's link: in words, and what a look at it can find.

use crate::nic::LinkMode;
use core::fmt;

/// A link in words: `down`, `up`, or `up, 1000 Mbit/s, full duplex` where the card tells.
pub struct Link {
    /// Whether the cable is connected.
    pub is_up: bool,
    /// Its speed, where the card tells.
    pub mode: Option<LinkMode>,
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_up { "up" } else { "down" })?;
        self.mode.map_or(Ok(()), |mode| write!(f, ", {mode}"))
    }
}

/// What a look at a card's cable found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum LinkLook {
    /// It was up before and is up now: what the card has taken is on the wire.
    StillUp,
    /// It was pulled, if only for a moment: frames under way are gone.
    Lost,
    /// It was down before.
    OfNoMatter,
}
