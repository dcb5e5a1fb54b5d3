//! Where the key lies: in two checksummed copies, so that damaged memory is never taken for "no key". Until somebody has
//! decided whether there is one, nothing goes out.

use super::{BootId, Number, Protection, Sealer};
use crate::guarded::{TwoCopies, Words};
use crate::ring::Audience;
use crate::seal::{Key, Secrecy};

/// Whether there is a key, the key, and the boot id.
const WORDS: usize = 1 + 4 + 2;
const WITHOUT_KEY: u64 = 1;
const WITH_KEY: u64 = 2;
const UNREADABLE: u64 = 3;

/// The key of this boot, if any, and the count of datagrams sealed with it.
pub struct KeyStore {
    /// In both copies the same.
    decided: TwoCopies<WORDS>,
    /// The count, in which damage is found: one that was set back would repeat. There is none
    /// before there is a key.
    next: Words<1>,
}

impl Default for KeyStore {
    fn default() -> Self {
        Self::new()
    }
}

impl KeyStore {
    /// Nobody has decided yet: nothing goes out. All zero, so that a static one takes no place in an image.
    pub const fn new() -> Self {
        Self { decided: TwoCopies::unset(), next: Words::unset() }
    }

    /// Decides how datagrams are protected from here on: as the command line asks (`netconsole.key=`).
    /// To be called once, before the first one.
    /// `boot_id` is asked where there is a key, and must give one that was never used with that key before.
    pub fn decide(&self, secrecy: &Secrecy, boot_id: impl FnOnce() -> BootId) {
        match secrecy {
            Secrecy::Clear => self.store(&[WITHOUT_KEY; WORDS]),
            Secrecy::Sealed(key) => self.set(key, boot_id()),
            Secrecy::Silent => self.store(&[UNREADABLE; WORDS]),
        }
    }

    /// Whether what was decided is what `secrecy` asks for, or more.
    pub fn keeps(&self, secrecy: &Secrecy) -> bool {
        match (secrecy, self.protection()) {
            (Secrecy::Clear, Protection::Clear | Protection::Sealed(_)) => true,
            (Secrecy::Sealed(key), Protection::Sealed(sealer)) => sealer.key == *key,
            (Secrecy::Silent, Protection::Lost) => true,
            _ => false,
        }
    }

    /// Whom the records of this boot may leave the machine for, which the log ring is to know
    /// ([`Ring::recover`](crate::ring::Ring::recover)).
    pub fn audience(&self) -> Audience {
        match self.protection() {
            Protection::Clear => Audience::Everybody,
            Protection::Sealed(sealer) => sealer.key_id().map_or(Audience::Nobody, Audience::Holders),
            Protection::Lost | Protection::Undecided => Audience::Nobody,
        }
    }

    fn set(&self, Key(key): &Key, BootId(boot_id): BootId) {
        let (key, _) = key.as_chunks::<8>();
        let (boot_id, _) = boot_id.as_chunks::<8>();
        let mut words = [WITH_KEY; WORDS];
        for (word, bytes) in words.iter_mut().skip(1).zip(key.iter().chain(boot_id)) {
            *word = u64::from_le_bytes(*bytes);
        }
        self.store(&words);
        // The count begins, unless it has.
        if self.next.is_unset() {
            self.next.set(&[0]);
        }
    }

    fn store(&self, words: &[u64; WORDS]) {
        self.decided.set(*words);
        self.decided.set(*words);
    }

    /// How datagrams are protected. Panic-safe.
    pub fn protection(&self) -> Protection {
        let Some([state, a, b, c, d, boot_id @ ..]) = self.decided.get() else {
            return if self.decided.is_unset() { Protection::Undecided } else { Protection::Lost };
        };
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
        let [count] = self.next.get()?;
        let number = Number::counted(count)?;
        self.next.set(&[count.wrapping_add(1)]);
        Some(number)
    }

    /// Overwrites it with `pattern`, as a stray pointer would.
    #[cfg(test)]
    pub(super) fn overwrite(&self, copy: usize, pattern: u64) {
        self.decided.overwrite_copy(copy, pattern);
        self.next.overwrite(pattern);
    }
}
