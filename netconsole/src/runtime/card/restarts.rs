//! When a card is restarted that finishes no frame or is broken, and how long it then is left alone.

/// A card that has not finished a frame for so long, in µs, is restarted.
const STUCK_AFTER: u64 = 1_000_000;
/// How long after a restart the next one may be, in µs; after each that did not help it is twice as long, so
/// that what is logged of a card that breaks the rules for ever does not take the log's place.
const INTERVAL: u64 = 1_000_000;
/// The longest that this gets, in µs.
const MAX_INTERVAL: u64 = 64_000_000;

/// A card's restarts.
pub struct Restarts {
    /// Since when frames have been waiting for the card to finish one.
    waiting_since: Option<u64>,
    /// Whether it has frames, and whether it has finished some since the last restart.
    is_sending: bool,
    has_sent: bool,
    /// When the next one may be, and how long after that again.
    next_at: u64,
    interval: u64,
}

impl Restarts {
    /// Of a card that was not restarted yet.
    pub const fn new() -> Self {
        Self { waiting_since: None, is_sending: false, has_sent: false, next_at: 0, interval: INTERVAL }
    }

    /// Whether the card has had frames for too long without finishing one; to be asked in every turn, with whether it has
    /// taken one in this turn, and whether it has finished all.
    pub fn are_due(&mut self, now: u64, has_taken: bool, is_drained: bool) -> bool {
        self.is_sending |= has_taken || !is_drained;
        if is_drained && core::mem::take(&mut self.is_sending) {
            self.has_sent = true;
        }
        if has_taken || is_drained {
            self.waiting_since = None;
            return false;
        }
        now.saturating_sub(*self.waiting_since.get_or_insert(now)) >= STUCK_AFTER
    }

    /// Whether the last one is long enough ago.
    pub fn are_allowed(&self, now: u64) -> bool {
        self.next_at <= now
    }

    /// One begins at `now`.
    pub fn begin(&mut self, now: u64) {
        (self.waiting_since, self.is_sending, self.has_sent) = (None, false, false);
        self.next_at = now.saturating_add(self.interval);
        self.interval = self.interval.saturating_mul(2).min(MAX_INTERVAL);
    }

    /// The card has a link: where it has finished frames, too, it works, and the next one need not wait for long.
    pub fn may_have_helped(&mut self) {
        if core::mem::take(&mut self.has_sent) {
            self.interval = INTERVAL;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_stuck_after_a_second_without_a_finished_frame() {
        let mut restarts = Restarts::new();
        assert!(!restarts.are_due(5, false, false));
        assert!(!restarts.are_due(5 + STUCK_AFTER - 1, false, false));
        assert!(restarts.are_due(5 + STUCK_AFTER, false, false));
        assert!(!restarts.are_due(6 + STUCK_AFTER, true, false));
        assert!(!restarts.are_due(7 + STUCK_AFTER, false, false));
        assert!(!restarts.are_due(7 + 3 * STUCK_AFTER, false, true));
    }

    #[test]
    fn restarts_that_do_not_help_become_rarer() {
        let (mut restarts, mut now) = (Restarts::new(), 0);
        for seconds in [1, 2, 4, 8, 16, 32, 64, 64] {
            assert!(restarts.are_allowed(now));
            restarts.begin(now);
            now += seconds * 1_000_000;
            assert!(!restarts.are_allowed(now - 1), "{seconds}");
        }
        // A link alone is no sign, nor is a frame that the card has taken and not finished.
        restarts.begin(now);
        assert!(!restarts.are_due(now, true, false));
        restarts.may_have_helped();
        restarts.begin(now);
        assert!(!restarts.are_allowed(now + INTERVAL));
        assert!(!restarts.are_due(now, true, true));
        restarts.may_have_helped();
        restarts.begin(now);
        assert!(restarts.are_allowed(now + INTERVAL));
    }
}
