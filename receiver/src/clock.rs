//! One clock for everything: time since the Unix epoch that never goes back.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The wall's time at the start, carried on by the monotonic clock, so that a step of the wall's does not
/// disturb what waits.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall: Duration,
    start: Instant,
}

impl Clock {
    /// A clock that starts from the wall's time now.
    pub fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock { wall, start: Instant::now() }
    }

    /// Time since the Unix epoch.
    pub fn now(&self) -> Duration {
        self.wall.saturating_add(self.start.elapsed())
    }
}
