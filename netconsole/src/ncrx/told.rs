//! What receivers were told of records that were held back, so that a record says the same when it goes out again.

/// How many such records are remembered.
const REMEMBERED: usize = 64;

/// A record that was sent with the number of those that were held back directly before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    sequence: u64,
    held: u64,
}

/// The last of these records, in order, in a ring of which `newest` is the last one. Between two of them are only records
/// with none held back before them.
#[derive(Clone, Debug)]
pub(super) struct Told {
    runs: [Run; REMEMBERED],
    newest: usize,
    len: usize,
}

impl Told {
    pub(super) const fn new() -> Self {
        Self { runs: [Run { sequence: 0, held: 0 }; REMEMBERED], newest: 0, len: 0 }
    }

    /// Record `sequence` was sent for the first time. Where that is before what is remembered, the sender went back: all
    /// from there on is forgotten.
    pub(super) fn remember(&mut self, sequence: u64, held: u64) {
        while self.newest().is_some_and(|run| run.sequence >= sequence) {
            self.newest = self.newest.wrapping_sub(1) % REMEMBERED;
            self.len = self.len.saturating_sub(1);
        }
        // The very first shows from where on everything is remembered.
        if held == 0 && self.len > 0 {
            return;
        }
        self.newest = self.newest.wrapping_add(1) % REMEMBERED;
        self.len = self.len.saturating_add(1).min(REMEMBERED);
        if let Some(run) = self.runs.get_mut(self.newest) {
            *run = Run { sequence, held };
        }
    }

    /// How many records the receiver was told to be held back directly before this one; `None` where that is not
    /// remembered.
    pub(super) fn held_before(&self, sequence: u64) -> Option<u64> {
        let places = (0..self.len).map(|back| self.newest.wrapping_sub(back) % REMEMBERED);
        let mut runs = places.filter_map(|place| self.runs.get(place));
        let run = runs.find(|run| run.sequence <= sequence)?;
        Some(if run.sequence == sequence { run.held } else { 0 })
    }

    fn newest(&self) -> Option<&Run> {
        self.runs.get(self.newest).filter(|_| self.len > 0)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// Compared with a map that forgets nothing: what is said is right, and what was sent last is known.
        #[test]
        fn says_again_what_was_said(
            steps in proptest::collection::vec((prop_oneof![3 => Just(0u64), 2 => 1u64..5, 1 => 1000u64..9000], 0u64..40), 1..400),
        ) {
            let (mut told, mut model, mut next) = (Told::new(), BTreeMap::new(), 0u64);
            for (held, back) in steps {
                if back == 0 {
                    next = next.saturating_sub(held);
                    model.retain(|&sequence, _| sequence < next);
                }
                next += held;
                told.remember(next, held);
                model.insert(next, held);
                next += 1;
            }
            for (place, (&sequence, &held)) in model.iter().rev().enumerate() {
                let said = told.held_before(sequence);
                prop_assert!(said == Some(held) || said.is_none() && place >= REMEMBERED, "{sequence}: {said:?}");
            }
        }
    }

    #[test]
    fn what_nobody_told_is_not_known() {
        assert_eq!(Told::new().held_before(7), None);
    }
}
