//! A time in eight bytes, where a [`Duration`] takes sixteen: of each sender several are kept.

use std::time::Duration;

/// Nanoseconds, up to 584 years: a time between two moments, or since the Unix epoch. Longer ones are that long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanos(u64);

impl Nanos {
    /// The longest.
    pub const MAX: Nanos = Nanos(u64::MAX);
    /// None.
    pub const ZERO: Nanos = Nanos(0);

    /// As a duration.
    pub fn get(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// After a further time.
    pub fn after(self, time: Duration) -> Duration {
        self.get().saturating_add(time)
    }
}

impl From<Duration> for Nanos {
    fn from(time: Duration) -> Self {
        Nanos(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
    }
}
