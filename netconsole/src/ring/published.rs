//! The timebase in force, for whoever has interrupted the clock.

use super::Timebase;
use crate::guarded::TwoCopies;

/// A [`Timebase`] that any context may read, in which damage is found. All zero at first.
pub struct PublishedTimebase(TwoCopies<{ Timebase::WORDS }>);

impl Default for PublishedTimebase {
    fn default() -> Self {
        Self::new()
    }
}

impl PublishedTimebase {
    /// None was published.
    pub const fn new() -> Self {
        Self(TwoCopies::unset())
    }

    /// The timebase as last published, whatever the interrupted code was doing; one whose times are too small where there
    /// is none, or it is damaged. Panic-safe.
    pub fn read(&self) -> Timebase {
        self.0.get().map_or(Timebase::new(0), Timebase::from_words)
    }

    /// Replaces it. Not for several contexts at once.
    pub fn publish(&self, timebase: &Timebase) {
        self.0.set(timebase.to_words());
    }
}
