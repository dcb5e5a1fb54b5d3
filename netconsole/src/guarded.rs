//! Words in memory that know when they are damaged: a panic reads them after anything may have been written anywhere.
//!
//! Any content is survived; what was not stored here is `None`. One context at a time may store, any may read.

#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicU64, Ordering, fence};

/// One step of a checksum that any single changed bit changes.
pub(crate) const fn mix(sum: u64, word: u64) -> u64 {
    (sum.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A number of 36 bits, above 28 bits of checksum: one word, so that no interruption leaves it half-written.
pub struct Word(AtomicU64);

impl Word {
    const CHECK_BITS: u32 = 28;
    /// Memory of zeros, which is no number.
    pub const fn unset() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Holds `number`, modulo 2^36.
    pub const fn new(number: u64) -> Self {
        Self(AtomicU64::new(Self::word(number)))
    }

    /// Stores `number`, modulo 2^36. Whoever sees it sees what was stored before it. Panic-safe.
    #[inline]
    pub fn set(&self, number: u64) {
        self.0.store(Self::word(number), Ordering::Release);
    }

    /// Has it hold no number. Panic-safe.
    pub fn clear(&self) {
        self.0.store(0, Ordering::Release);
    }

    /// The number; `None` where there is none or it is damaged. Panic-safe.
    #[inline]
    pub fn get(&self) -> Option<u64> {
        let word = self.0.load(Ordering::Acquire);
        let number = word >> Self::CHECK_BITS;
        (word == Self::word(number)).then_some(number)
    }

    /// Its place in memory, for a kernel that writes a cache's line back: what is in it is this type's own. Panic-safe.
    pub const fn as_atomic(&self) -> &AtomicU64 {
        &self.0
    }

    const fn word(number: u64) -> u64 {
        let shifted = number << Self::CHECK_BITS;
        shifted | mix(!0, shifted) >> const { u64::BITS - Self::CHECK_BITS }
    }

    /// Overwrites it with `pattern`, as a stray pointer would: for provoking that crash.
    #[cfg(any(test, feature = "test-hooks"))]
    pub fn overwrite(&self, pattern: u64) {
        self.0.store(pattern, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(crate) fn flip(&self, bits: u64) {
        self.0.fetch_xor(bits, Ordering::Relaxed);
    }
}

/// `N` words and their checksum. A crash amid storing them leaves none.
pub struct Words<const N: usize> {
    words: [AtomicU64; N],
    checksum: AtomicU64,
}

impl<const N: usize> Words<N> {
    /// Memory of zeros, which holds no words.
    pub const fn unset() -> Self {
        Self { words: [const { AtomicU64::new(0) }; N], checksum: AtomicU64::new(0) }
    }

    /// Stores the words. Panic-safe.
    pub fn set(&self, words: &[u64; N]) {
        for (to, &word) in self.words.iter().zip(words) {
            to.store(word, Ordering::Relaxed);
        }
        self.checksum.store(checksum(!0, *words), Ordering::Release);
    }

    /// The words; `None` where there are none or they are damaged. Panic-safe.
    pub fn get(&self) -> Option<[u64; N]> {
        let sum = self.checksum.load(Ordering::Acquire);
        let words = self.words.each_ref().map(|word| word.load(Ordering::Relaxed));
        (checksum(!0, words) == sum).then_some(words)
    }

    /// Whether it is memory of zeros: nothing was stored, or it was zeroed.
    pub fn is_unset(&self) -> bool {
        self.words.iter().chain([&self.checksum]).all(|word| word.load(Ordering::Relaxed) == 0)
    }

    /// Overwrites them with `pattern`, as a stray pointer would: for provoking that crash.
    #[cfg(any(test, feature = "test-hooks"))]
    pub fn overwrite(&self, pattern: u64) {
        self.words.iter().chain([&self.checksum]).for_each(|word| word.store(pattern, Ordering::Relaxed));
    }
}

fn checksum(start: u64, words: impl IntoIterator<Item = u64>) -> u64 {
    words.into_iter().fold(start, mix)
}

/// `N` words in two copies, each with a checksum, of which one is whole at any moment: the older one is replaced.
pub struct TwoCopies<const N: usize> {
    copies: [Copy<N>; 2],
}

struct Copy<const N: usize> {
    /// Higher is newer; 0 was never complete.
    generation: AtomicU64,
    words: [AtomicU64; N],
    checksum: AtomicU64,
}

impl<const N: usize> Copy<N> {
    const fn unset() -> Self {
        Self {
            generation: AtomicU64::new(0),
            words: [const { AtomicU64::new(0) }; N],
            checksum: AtomicU64::new(0),
        }
    }

    /// The copy's generation where it is whole, else 0.
    fn whole(&self) -> u64 {
        let generation = self.generation.load(Ordering::Acquire);
        let sum = checksum(mix(0, generation), self.words.iter().map(|word| word.load(Ordering::Relaxed)));
        if sum == self.checksum.load(Ordering::Relaxed) { generation } else { 0 }
    }
}

impl<const N: usize> TwoCopies<N> {
    /// Memory of zeros, which holds no words.
    pub const fn unset() -> Self {
        Self { copies: [const { Copy::unset() }; 2] }
    }

    /// Replaces the older copy; zeros where there are fewer words. Twice the same words are in both: then one of them may be damaged.
    pub fn set(&self, words: impl IntoIterator<Item = u64>) {
        let [first, second] = &self.copies;
        let (older, newest) = match (first.whole(), second.whole()) {
            (a, b) if a <= b => (first, b),
            (a, _) => (second, a),
        };
        older.generation.store(0, Ordering::Relaxed);
        fence(Ordering::Release);
        let generation = newest.saturating_add(1);
        let mut sum = mix(0, generation);
        for (to, word) in older.words.iter().zip(words.into_iter().chain(core::iter::repeat(0))) {
            to.store(word, Ordering::Relaxed);
            sum = mix(sum, word);
        }
        older.checksum.store(sum, Ordering::Relaxed);
        older.generation.store(generation, Ordering::Release);
    }

    /// The newest whole copy, where it lies; `None` where both are damaged or none was ever complete. Panic-safe.
    pub fn newest(&self) -> Option<&[AtomicU64; N]> {
        let [first, second] = &self.copies;
        // The one that says that it is newer, where it is whole, need not be compared with the other.
        let claimed = |copy: &Copy<N>| copy.generation.load(Ordering::Acquire);
        let order = if claimed(first) >= claimed(second) { [first, second] } else { [second, first] };
        order.into_iter().find(|copy| copy.whole() != 0).map(|copy| &copy.words)
    }

    /// The words of the newest whole copy. Panic-safe.
    pub fn get(&self) -> Option<[u64; N]> {
        Some(self.newest()?.each_ref().map(|word| word.load(Ordering::Relaxed)))
    }

    /// Whether it is memory of zeros: nothing was stored, or it was zeroed.
    pub fn is_unset(&self) -> bool {
        self.copies.iter().flat_map(Copy::all).all(|word| word.load(Ordering::Relaxed) == 0)
    }

    /// Overwrites both copies with `pattern`, as a stray pointer would: for provoking that crash.
    #[cfg(any(test, feature = "test-hooks"))]
    pub fn overwrite(&self, pattern: u64) {
        (0..2).for_each(|copy| self.overwrite_copy(copy, pattern));
    }

    /// Overwrites one of the copies.
    #[cfg(any(test, feature = "test-hooks"))]
    pub(crate) fn overwrite_copy(&self, copy: usize, pattern: u64) {
        self.copies
            .get(copy)
            .into_iter()
            .flat_map(Copy::all)
            .for_each(|word| word.store(pattern, Ordering::Relaxed));
    }
}

impl<const N: usize> Copy<N> {
    fn all(&self) -> impl Iterator<Item = &AtomicU64> {
        self.words.iter().chain([&self.generation, &self.checksum])
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const N: usize = 5;

    proptest! {
        #[test]
        fn a_damaged_word_is_found(number in 0u64..1 << 36, bit in 0u32..64) {
            let word = Word::new(0);
            prop_assert_eq!(word.get(), Some(0));
            word.set(number);
            prop_assert_eq!(word.get(), Some(number));
            word.flip(1 << bit);
            prop_assert_eq!(word.get(), None);
            word.clear();
            prop_assert_eq!(word.get(), None);
        }

        #[test]
        fn damaged_words_are_found(values: [u64; N], at in 0..=N, flip in 1u64..) {
            let words = Words::unset();
            prop_assert_eq!(words.get(), None);
            words.set(&values);
            prop_assert_eq!(words.get(), Some(values));
            words.words.get(at).unwrap_or(&words.checksum).fetch_xor(flip, Ordering::Relaxed);
            prop_assert_eq!(words.get(), None);
        }

        #[test]
        fn the_newest_copy_counts(values in proptest::collection::vec(any::<[u64; N]>(), 1..5)) {
            let copies = TwoCopies::unset();
            prop_assert_eq!(copies.get(), None);
            for values in values {
                copies.set(values);
                prop_assert_eq!(copies.get(), Some(values));
            }
        }

        /// Damage gives the older words or none, never others.
        #[test]
        fn damage_of_copies_is_found(
            old: [u64; N], new: [u64; N],
            damage in proptest::collection::vec((0usize..2, 0usize..N + 2, 1u64..), 1..8),
        ) {
            let copies = TwoCopies::unset();
            copies.set(old);
            copies.set(new);
            for (copy, word, flip) in damage {
                let word = copies.copies[copy].all().nth(word).expect("a word");
                word.fetch_xor(flip, Ordering::Relaxed);
            }
            if let Some(words) = copies.get() {
                prop_assert!(words == old || words == new);
            }
        }

        /// Any bytes anywhere are survived, and what is stored afterwards is there.
        #[test]
        fn any_bytes_are_survived(
            values: [u64; N], pattern: u64, bytes in proptest::collection::vec(any::<u64>(), 2 * (N + 2)),
        ) {
            let copies = TwoCopies::unset();
            copies.overwrite(pattern);
            prop_assert_eq!(copies.get(), None);
            copies.copies.iter().flat_map(Copy::all).zip(bytes).for_each(|(to, word)| to.store(word, Ordering::Relaxed));
            prop_assert_eq!(copies.get(), None);
            copies.set(values);
            prop_assert_eq!(copies.get(), Some(values));
        }

        /// The same words in both copies outlive the loss of one.
        #[test]
        fn one_copy_is_enough(values: [u64; N], pattern: u64, lost in 0usize..2) {
            let copies = TwoCopies::unset();
            copies.set(values);
            copies.set(values);
            copies.overwrite_copy(lost, pattern);
            prop_assert_eq!(copies.get(), Some(values));
            copies.overwrite_copy(1 - lost, pattern);
            prop_assert_eq!(copies.get(), None);
        }
    }

    #[test]
    fn what_was_never_stored_is_told_from_what_is_damaged() {
        let (words, copies) = (Words::<N>::unset(), TwoCopies::<N>::unset());
        assert!(words.is_unset() && copies.is_unset());
        words.set(&[0; N]);
        copies.set([0; N]);
        assert!(!words.is_unset() && !copies.is_unset());
        assert_eq!((words.get(), copies.get()), (Some([0; N]), Some([0; N])));
        words.overwrite(0xa5);
        copies.overwrite(0xa5);
        assert!(!words.is_unset() && !copies.is_unset());
        assert_eq!((words.get(), copies.get()), (None, None));
    }

    #[test]
    fn patterns_are_no_values() {
        for pattern in (0..=u8::MAX).map(|byte| u64::from_ne_bytes([byte; 8])) {
            let (word, words, one) = (Word::new(7), Words::<N>::unset(), Words::<1>::unset());
            word.overwrite(pattern);
            words.overwrite(pattern);
            one.overwrite(pattern);
            assert_eq!((word.get(), words.get(), one.get()), (None, None, None), "{pattern:#x}");
        }
    }
}
