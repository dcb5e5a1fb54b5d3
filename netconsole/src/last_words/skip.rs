//! Which card's driver runs: where the panic path dies in it, its next start leaves that card alone. A death while a frame is
//! being written, or read, leaves every card to the next start.

use core::sync::atomic::{AtomicU8, Ordering, compiler_fence};

/// The cards at which starts of the path have died.
pub struct DeadlyCards {
    /// The place, plus 1, of the card whose driver runs; 0: none does.
    at: AtomicU8,
    /// The places at which one has died, a bit each.
    died_at: AtomicU8,
}

impl DeadlyCards {
    /// None has died.
    pub const fn new() -> Self {
        Self { at: AtomicU8::new(0), died_at: AtomicU8::new(0) }
    }

    /// Begins a start of the path: the card at which an earlier one was still is not touched again.
    pub fn begin(&self) {
        if let Some(place) = self.at.swap(0, Ordering::Relaxed).checked_sub(1) {
            self.died_at.fetch_or(bit(place.into()), Ordering::Relaxed);
        }
    }

    /// Whether an earlier start has died at the card at `place`.
    pub fn has_died_at(&self, place: usize) -> bool {
        self.died_at.load(Ordering::Relaxed) & bit(place) != 0
    }

    /// The mark of the card at `place`.
    pub fn mark(&'static self, place: usize) -> Mark {
        let value = u8::try_from(place).unwrap_or(u8::MAX).saturating_add(1);
        Mark { at_card: &self.at, value }
    }

    /// The place of the card that is marked.
    #[cfg(test)]
    pub fn marked(&self) -> Option<u8> {
        self.at.load(Ordering::Relaxed).checked_sub(1)
    }
}

/// By which the next start knows at which card one has died.
#[derive(Clone, Copy)]
pub struct Mark {
    at_card: &'static AtomicU8,
    value: u8,
}

impl Mark {
    /// Does what may be deadly at the card.
    #[inline(always)]
    pub fn at<T>(self, act: impl FnOnce() -> T) -> T {
        self.with(self.value, act)
    }

    /// Does, amid the former, what has nothing to do with any card.
    #[inline(always)]
    pub fn away<T>(self, act: impl FnOnce() -> T) -> T {
        self.with(0, act)
    }

    #[inline(always)]
    fn with<T>(self, value: u8, act: impl FnOnce() -> T) -> T {
        let before = self.at_card.load(Ordering::Relaxed);
        self.at_card.store(value, Ordering::Relaxed);
        // An exception must find it stored.
        compiler_fence(Ordering::SeqCst);
        let result = act();
        compiler_fence(Ordering::SeqCst);
        self.at_card.store(before, Ordering::Relaxed);
        result
    }
}

fn bit(place: usize) -> u8 {
    u32::try_from(place).map_or(0, |place| 1_u8.unbounded_shl(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_card_at_which_a_start_has_died_is_known_to_all_later_ones() {
        let cards = DeadlyCards::new();
        cards.begin();
        assert!((0..8).all(|place| !cards.has_died_at(place)));
        for (at, deadly) in [(3, &[2][..]), (0, &[2]), (1, &[0, 2]), (200, &[0, 2])] {
            cards.at.store(at, Ordering::Relaxed);
            cards.begin();
            assert!((0..8).all(|place| cards.has_died_at(place) == deadly.contains(&place)), "{at}");
        }
    }
}
