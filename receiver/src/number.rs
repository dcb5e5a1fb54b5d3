//! Numbers that there may be, in fewer bytes than an `Option` takes: of each sender several are kept.

use std::num::NonZeroU64;

/// A record's number, or none, in eight bytes where an `Option<u64>` takes sixteen. All that records have are below `u64::MAX`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Number(Option<NonZeroU64>);

impl Number {
    /// The number; [`u64::MAX`] is none.
    pub fn new(number: u64) -> Self {
        Number(NonZeroU64::new(number.wrapping_add(1)))
    }

    /// It, if there is one.
    pub fn get(self) -> Option<u64> {
        self.0.map(|next| next.get().wrapping_sub(1))
    }
}

impl From<Option<u64>> for Number {
    fn from(number: Option<u64>) -> Self {
        Number::new(number.unwrap_or(u64::MAX))
    }
}

/// A message id, or none, in five bytes where an `Option<u32>` takes eight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Id {
    id: [u8; 4],
    is_there: bool,
}

impl Id {
    /// The id, if there is one.
    pub fn get(self) -> Option<u32> {
        self.is_there.then_some(u32::from_ne_bytes(self.id))
    }
}

impl From<Option<u32>> for Id {
    fn from(id: Option<u32>) -> Self {
        Id { id: id.unwrap_or_default().to_ne_bytes(), is_there: id.is_some() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_there_or_not_in_eight_bytes() {
        assert_eq!(size_of::<Number>(), 8);
        for number in [0, 1, u64::MAX - 1] {
            assert_eq!(Number::new(number).get(), Some(number));
            assert_eq!(Number::from(Some(number)), Number::new(number));
        }
        assert_eq!([Number::default(), Number::from(None)].map(Number::get), [None, None]);
    }

    #[test]
    fn a_message_id_is_there_or_not_in_five_bytes() {
        assert_eq!(size_of::<Id>(), 5);
        for id in [None, Some(0), Some(1), Some(u32::MAX)] {
            assert_eq!(Id::from(id).get(), id);
        }
    }
}
