//! When each sender is next to be looked at, so that no tick walks over all of them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::nanos::Nanos;

/// Entries whose memory is kept.
const FEW: usize = 1 << 10;

/// The times of the senders of which time alone may change something, the next one first.
#[derive(Debug, Default)]
pub struct Due(BinaryHeap<Reverse<(Nanos, u32)>>);

impl Due {
    /// A sender is to be looked at then. One that is there with another time stays there with that, too: who takes it
    /// out tells the time that counts.
    pub fn at(&mut self, time: Duration, sender: u32) {
        self.0.push(Reverse((time.into(), sender)));
    }

    /// The next time, if any.
    pub fn next(&self) -> Option<Duration> {
        self.0.peek().map(|Reverse((time, _))| time.get())
    }

    /// Takes out one of which the time has come.
    pub fn pop(&mut self, now: Duration) -> Option<(Duration, u32)> {
        self.0.peek().filter(|Reverse((time, _))| time.get() <= now)?;
        let entry = self.0.pop().map(|Reverse((time, sender))| (time.get(), sender));
        // At some times all senders are in it, mostly few.
        if self.0.capacity() > FEW && self.0.len() < self.0.capacity() / 4 {
            self.0.shrink_to(self.0.len().saturating_mul(2));
        }
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_one_is_first_and_none_before_its_time() {
        let second = Duration::from_secs(1);
        let mut due = Due::default();
        due.at(second * 3, 1);
        due.at(second, 2);
        due.at(second, 3);
        assert_eq!((due.next(), due.pop(second / 2)), (Some(second), None));
        assert_eq!(
            (due.pop(second), due.pop(second), due.pop(second)),
            (Some((second, 2)), Some((second, 3)), None)
        );
        assert_eq!(due.pop(second * 9), Some((second * 3, 1)));
        assert_eq!(due.next(), None);
    }
}
