//! How long a thread that takes datagrams rests between two times, where very many come: what comes meanwhile is taken at once. To
//! be woken for each datagram, and to wake who shows it, takes more time than to take it; cards moderate their
//! interrupts likewise.

use std::time::Duration;

use crate::limits;

/// So far is looked back for how fast datagrams come.
const WINDOW: Duration = Duration::from_millis(10);
/// The longest rest: nobody sees a line come later by so much.
const REST_MOST: Duration = Duration::from_micros(400);
/// In a rest no more than so many are to come: the smallest socket buffer that hosts give has room for them.
const GATHERED: u32 = limits::BATCH as u32 / 2;
/// That many must come in a rest that it saves anything: from 10,000 datagrams a second on.
const WORTH: u32 = 4;

/// How fast datagrams come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    /// Since then so many have come, and so many in the window before.
    since: Duration,
    count: u32,
    before: u32,
}

impl Pace {
    /// So many were taken at this time.
    pub fn took(&mut self, count: usize, at: Duration) {
        let passed = at.saturating_sub(self.since);
        if passed >= WINDOW {
            self.before = if passed < WINDOW * 2 { self.count } else { 0 };
            (self.since, self.count) = (at, 0);
        }
        self.count = self.count.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
    }

    /// How long to rest after so many were taken, where that saves anything. Where they are as many as can be taken at
    /// once, the next ones are there already.
    pub fn rest(&self, taken: usize) -> Option<Duration> {
        let in_window = self.before.max(self.count).max(1);
        let time_of = |count: u32| WINDOW * count / in_window;
        let rest = time_of(GATHERED).min(REST_MOST);
        (taken < limits::BATCH && rest >= time_of(WORTH)).then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rest after so many datagrams each millisecond, for a while.
    fn rest(each: usize) -> Option<Duration> {
        let mut pace = Pace::default();
        (1..=50).for_each(|millis| pace.took(each, Duration::from_millis(millis)));
        pace.rest(each)
    }

    /// What comes now and then is taken as it comes.
    #[test]
    fn only_of_much_that_comes_more_is_waited_for() {
        assert_eq!([1, 9].map(rest), [None, None]);
        assert_eq!([10, 100].map(rest), [Some(REST_MOST); 2]);
        assert_eq!(rest(127), Some(REST_MOST));
        assert_eq!(rest(128), None, "the next ones are there already");
    }

    /// The faster they come, the shorter is the rest in which half a batch comes.
    #[test]
    fn a_rest_gathers_half_a_batch_at_most() {
        let mut pace = Pace::default();
        (1..=5000).for_each(|time| pace.took(5, Duration::from_micros(time * 10)));
        let rest = pace.rest(5).expect("500,000 a second");
        assert!((120..=140).contains(&rest.as_micros()), "{rest:?}");
    }

    #[test]
    fn after_a_silence_the_next_one_is_taken_as_it_comes() {
        let mut pace = Pace::default();
        (1..=50).for_each(|millis| pace.took(100, Duration::from_millis(millis)));
        pace.took(1, Duration::from_millis(65));
        assert_eq!(pace.rest(1), Some(REST_MOST));
        pace.took(1, Duration::from_millis(85));
        assert_eq!(pace.rest(1), None);
    }
}
