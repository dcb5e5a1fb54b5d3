//! Whom the records of a boot may leave the machine for, and which boots' records may leave it now.
//!
//! The ring survives a reset, and the next boot may have another key, or none. What was logged by a boot with a key then
//! stays where it is. Each record says in its header whether its boot had one; which one is in the ring's header, per
//! boot. Where that is damaged, a record of a boot with a key does not leave.

use crate::guarded::Word;

/// An id of a key. It must not tell more of the key than whether it is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyId(u64);

impl KeyId {
    /// The id that these bits make.
    pub const fn new(bits: u64) -> Self {
        // The lower ones stand for no key.
        Self(if bits < 2 { bits | 2 } else { bits })
    }
}

/// Whom the records of a boot may leave the machine for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Anybody: the boot has no key.
    Everybody,
    /// Those who hold this key, so that the records leave only sealed with it.
    Holders(KeyId),
    /// Nobody: the boot has a key that can't be read.
    Nobody,
}

impl Audience {
    pub(super) const fn to_word(self) -> u64 {
        match self {
            Self::Everybody => 0,
            Self::Nobody => 1,
            Self::Holders(KeyId(bits)) => bits,
        }
    }

    pub(super) const fn from_word(word: u64) -> Self {
        match word {
            0 => Self::Everybody,
            1 => Self::Nobody,
            bits => Self::Holders(KeyId(bits)),
        }
    }

    /// Whether its records say in their headers that they are not for everybody.
    pub(super) const fn is_limited(self) -> bool {
        !matches!(self, Self::Everybody)
    }
}

/// Which boots' records may leave the machine in this boot. It does not survive a reset: until the ring was recovered,
/// no record of a boot with a key may.
pub(super) struct Access(Word);

impl Access {
    /// No record of a boot with a key may leave.
    pub(super) const fn new() -> Self {
        Self(Word::new(0))
    }

    /// `open` and `closed` have a bit for each boot's number: its records may leave, although they are not for
    /// everybody, and they may not, although their own headers do not say so.
    pub(super) fn set(&self, open: u16, closed: u16) {
        self.0.set(u64::from(open) | u64::from(closed) << 16);
    }

    /// Whether a record may leave, by the number of its boot and what its header says. Panic-safe.
    pub(super) fn admits(&self, boot: u64, is_limited: bool) -> bool {
        // Where the word is damaged, what a record says of itself counts alone.
        let masks = self.0.get().unwrap_or(0);
        let has_bit = |mask: u64| mask >> (boot & 15) & 1 != 0;
        has_bit(masks & 0xffff) || !is_limited && !has_bit(masks >> 16)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_audience_has_a_word_of_its_own() {
        for audience in [Audience::Everybody, Audience::Nobody]
            .into_iter()
            .chain([0, 1, 2, 3, u64::MAX].map(|bits| Audience::Holders(KeyId::new(bits))))
        {
            assert_eq!(Audience::from_word(audience.to_word()), audience);
        }
    }

    #[test]
    fn damage_opens_nothing() {
        let access = Access::new();
        access.set(1 << 3, 1 << 4);
        assert!(access.admits(3, true) && access.admits(3, false) && access.admits(5, false));
        assert!(!access.admits(4, false) && !access.admits(5, true));
        for bit in 0..64 {
            access.set(1 << 3, 1 << 4);
            access.0.flip(1 << bit);
            for boot in 0..16 {
                assert!(!access.admits(boot, true), "bit {bit}, boot {boot}");
            }
        }
    }
}
