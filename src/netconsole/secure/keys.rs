//! Where the key lies: in two checksummed copies, so that damaged memory is never taken for "no key".

use super::{BootId, Number, Protection, Sealer};
use crate::netconsole::snapshot::mix;
use crate::parameters::Key;
use core::sync::atomic::{AtomicU64, Ordering};

/// Whether there is a key, the key, and the boot id.
const WORDS: usize = 1 + 4 + 2;
const WITHOUT_KEY: u64 = 0;
const WITH_KEY: u64 = 1;
const UNREADABLE: u64 = 2;

struct Copy {
    words: [AtomicU64; WORDS],
    checksum: AtomicU64,
}

impl Copy {
    const fn new() -> Self {
        let mut sum = !0;
        let mut word = 0;
        while word < WORDS {
            sum = mix(sum, WITHOUT_KEY);
            word += 1;
        }
        Self { words: [const { AtomicU64::new(WITHOUT_KEY) }; WORDS], checksum: AtomicU64::new(sum) }
    }

    fn read(&self) -> Option<[u64; WORDS]> {
        let words = self.words.each_ref().map(|word| word.load(Ordering::Relaxed));
        (checksum(&words) == self.checksum.load(Ordering::Relaxed)).then_some(words)
    }
}

fn checksum(words: &[u64; WORDS]) -> u64 {
    words.iter().fold(!0, |sum, &word| mix(sum, word))
}

/// The key of this boot, if any, and the count of datagrams sealed with it.
pub struct KeyStore {
    copies: [Copy; 2],
    /// The count, and its complement, so that damage is found: a count that was set back would repeat.
    next: [AtomicU64; 2],
}

impl Default for KeyStore {
    fn default() -> Self {
        Self::new()
    }
}

impl KeyStore {
    /// Without a key.
    pub const fn new() -> Self {
        Self { copies: [const { Copy::new() }; 2], next: [AtomicU64::new(0), AtomicU64::new(!0)] }
    }

    /// From here on datagrams are sealed. To be called once, before the first one.
    pub fn set(&self, Key(key): &Key, BootId(boot_id): BootId) {
        let (key, _) = key.as_chunks::<8>();
        let (boot_id, _) = boot_id.as_chunks::<8>();
        let mut words = [WITH_KEY; WORDS];
        for (word, bytes) in words.iter_mut().skip(1).zip(key.iter().chain(boot_id)) {
            *word = u64::from_le_bytes(*bytes);
        }
        self.store(&words);
    }

    /// From here on nothing goes out: there is a key, but it can't be read.
    pub fn set_unreadable(&self) {
        self.store(&[UNREADABLE; WORDS]);
    }

    fn store(&self, words: &[u64; WORDS]) {
        for copy in &self.copies {
            for (to, &word) in copy.words.iter().zip(words) {
                to.store(word, Ordering::Relaxed);
            }
            copy.checksum.store(checksum(words), Ordering::Relaxed);
        }
    }

    /// How datagrams are protected. Panic-safe.
    pub fn protection(&self) -> Protection {
        let [first, second] = self.copies.each_ref().map(Copy::read);
        let Some([state, a, b, c, d, boot_id @ ..]) = first.or(second) else { return Protection::Lost };
        match state {
            WITHOUT_KEY => return Protection::Clear,
            WITH_KEY => {}
            _ => return Protection::Lost,
        }
        let mut key = [0; 32];
        for (to, from) in key.iter_mut().zip([a, b, c, d].iter().flat_map(|word| word.to_le_bytes())) {
            *to = from;
        }
        let [low, high] = boot_id.map(u128::from);
        Protection::Sealed(Sealer::new(Key(key), BootId((high << 64 | low).to_le_bytes())))
    }

    /// The number of normal running's next datagram; `None` where the count is damaged or at its end. For one
    /// context at a time.
    pub fn next_number(&self) -> Option<Number> {
        let [next, complement] = &self.next;
        let count = next.load(Ordering::Relaxed);
        let number = Number::counted(count).filter(|_| complement.load(Ordering::Relaxed) == !count)?;
        next.store(count.wrapping_add(1), Ordering::Relaxed);
        complement.store(!count.wrapping_add(1), Ordering::Relaxed);
        Some(number)
    }

    /// Overwrites it with `pattern`, as a stray pointer would.
    #[cfg(test)]
    pub(super) fn overwrite(&self, copy: usize, pattern: u64) {
        self.copies[copy].words.iter().for_each(|word| word.store(pattern, Ordering::Relaxed));
        self.copies[copy].checksum.store(pattern, Ordering::Relaxed);
        self.next.iter().for_each(|word| word.store(pattern, Ordering::Relaxed));
    }
}
