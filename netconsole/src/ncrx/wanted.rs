//! The records that a receiver asked for: a set of sequence numbers that lie near each other.

const BITS: u64 = u64::BITS as u64;
const WORDS: u64 = 32;

/// A bit for each number of a window of 2048, of which the lowest number in the set says where it begins.
///
/// Invariant: unless the set is empty, its lowest number is in the word of `base`, and all others are within
/// `WORDS` words from there. A word's place in the array is its own number modulo `WORDS`.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    words: [u64; WORDS as usize],
    /// The lowest number, in words.
    base: u64,
    len: u64,
}

impl Wanted {
    pub(super) const fn new() -> Self {
        Self { words: [0; WORDS as usize], base: 0, len: 0 }
    }

    /// Puts a number into the set. Returns how many numbers have no place: this one where it is too far above
    /// the lowest, others where it is too far below them; the lower one is what the receiver waits for.
    pub(super) fn add(&mut self, number: u64) -> u64 {
        let word = number / BITS;
        if self.len == 0 {
            self.base = word;
        }
        if word >= self.base.saturating_add(WORDS) {
            return 1;
        }
        let before = self.len;
        if self.base.saturating_sub(word) >= WORDS {
            *self = Self { base: word, ..Self::new() };
        }
        while self.base > word {
            // The word's place is that of the one that is now beyond the window's end.
            self.base = self.base.saturating_sub(1);
            if let Some(bits) = self.word_mut(self.base) {
                let dropped = u64::from(core::mem::take(bits).count_ones());
                self.len = self.len.saturating_sub(dropped);
            }
        }
        let dropped = before.saturating_sub(self.len);
        let mask = 1 << (number % BITS);
        if let Some(bits) = self.word_mut(word).filter(|bits| **bits & mask == 0) {
            *bits |= mask;
            self.len = self.len.saturating_add(1);
        }
        dropped
    }

    /// The lowest number.
    pub(super) fn first(&self) -> Option<u64> {
        let bits = self.word(self.base);
        (bits != 0).then(|| self.base.saturating_mul(BITS).saturating_add(bits.trailing_zeros().into()))
    }

    /// Takes a number out of the set.
    pub(super) fn remove(&mut self, number: u64) {
        let word = number / BITS;
        let mask = 1 << (number % BITS);
        if !(self.base..self.base.saturating_add(WORDS)).contains(&word) {
            return;
        }
        if let Some(bits) = self.word_mut(word).filter(|bits| **bits & mask != 0) {
            *bits &= !mask;
            self.len = self.len.saturating_sub(1);
        }
        // There is a number within the window, so it ends.
        while self.len > 0 && self.word(self.base) == 0 {
            self.base = self.base.saturating_add(1);
        }
    }

    fn word(&self, word: u64) -> u64 {
        self.words.get(Self::place(word)).copied().unwrap_or(0)
    }

    fn word_mut(&mut self, word: u64) -> Option<&mut u64> {
        self.words.get_mut(Self::place(word))
    }

    const fn place(word: u64) -> usize {
        (word % WORDS) as usize
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// Compared with a set without a window: what is kept is what fits above the lowest, and what is dropped
        /// is counted.
        #[test]
        fn keeps_the_lowest_and_counts_what_is_dropped(
            base in prop_oneof![Just(0), Just(u64::MAX - 9000), any::<u64>()],
            steps in proptest::collection::vec((0u64..9000, any::<bool>()), 1..200),
        ) {
            let (mut wanted, mut model) = (Wanted::new(), BTreeSet::new());
            for (offset, adds) in steps {
                let number = base.saturating_add(offset);
                if adds {
                    let before = model.len() as u64 + u64::from(!model.contains(&number));
                    model.insert(number);
                    let lowest = model.first().expect("not empty") / BITS;
                    model.retain(|number| number / BITS - lowest < WORDS);
                    prop_assert_eq!(wanted.add(number), before - model.len() as u64);
                } else {
                    let number = if offset % 2 == 0 { wanted.first().unwrap_or(number) } else { number };
                    model.remove(&number);
                    wanted.remove(number);
                }
                prop_assert_eq!(wanted.first(), model.first().copied());
                prop_assert_eq!(wanted.len, model.len() as u64);
            }
            while let Some(number) = model.pop_first() {
                prop_assert_eq!(wanted.first(), Some(number));
                wanted.remove(number);
            }
            prop_assert_eq!(wanted.first(), None);
        }
    }
}
