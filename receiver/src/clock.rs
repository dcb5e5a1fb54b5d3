//! One clock for everything: time since the Unix epoch that never goes back. What is shown follows the system's.

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

/// The system's clock for the outputs. What was set since the start, by hand or by NTP, is followed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wall {
    /// The system's clock is ahead of [`Clock`] by the first, and behind it by the second; one is zero.
    ahead: Duration,
    behind: Duration,
}

/// Smaller differences are only what passes between two looks.
const STEP: Duration = Duration::from_millis(5);

impl Wall {
    /// Looks how far the two are apart by now.
    pub fn follow(&mut self, clock: Clock) {
        let before = clock.now();
        let system = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.compare(before, system, clock.now());
    }

    fn compare(&mut self, before: Duration, system: Duration, after: Duration) {
        // The program may have had to wait in between: then the next look tells.
        if after.saturating_sub(before) < STEP && self.shown(before).abs_diff(system) >= STEP {
            self.ahead = system.saturating_sub(before);
            self.behind = before.saturating_sub(system);
        }
    }

    /// What the system's clock showed at a time of [`Clock`].
    pub fn shown(&self, at: Duration) -> Duration {
        at.saturating_add(self.ahead).saturating_sub(self.behind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_follows_the_system() {
        let seconds = Duration::from_secs;
        let mut wall = Wall::default();
        assert_eq!(wall.shown(seconds(9)), seconds(9));
        // A board without a battery gets its time.
        wall.compare(seconds(10), seconds(1_795_555_343), seconds(10));
        assert_eq!(wall.shown(seconds(12)), seconds(1_795_555_345));
        // An hour back.
        wall.compare(seconds(20), seconds(1_795_551_753), seconds(20));
        assert_eq!(wall.shown(seconds(21)), seconds(1_795_551_754));
        // Small differences are none, nor what is seen after a pause.
        wall.compare(seconds(30), seconds(1_795_551_763) + STEP / 2, seconds(30));
        wall.compare(seconds(30), seconds(1_795_551_770), seconds(38));
        assert_eq!(wall.shown(seconds(31)), seconds(1_795_551_764));
        // Behind the program's own.
        wall.compare(seconds(40), seconds(30), seconds(40));
        assert_eq!(wall.shown(seconds(41)), seconds(31));
        let mut live = Wall::default();
        live.follow(Clock::start());
        assert!(live.ahead < seconds(1) && live.behind < seconds(1));
    }
}
