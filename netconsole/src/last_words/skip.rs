//! Which card is being looked after: where the panic path dies at one, its next start leaves that card alone.

use crate::memory::Memory;
use crate::platform::Platform;
use core::sync::atomic::{Ordering, compiler_fence};

/// Begins a start of the path: the card at which an earlier one was still is not touched again.
pub fn begin(memory: &Memory) {
    if let Some(place) = memory.panic.at_card.swap(0, Ordering::Relaxed).checked_sub(1) {
        memory.panic.deadly_cards.fetch_or(bit(place.into()), Ordering::Relaxed);
    }
}

/// Whether an earlier start has died at the card at `place`.
pub fn has_died_at(memory: &Memory, place: usize) -> bool {
    memory.panic.deadly_cards.load(Ordering::Relaxed) & bit(place) != 0
}

/// Does what may be deadly at the card at `place`.
#[inline(always)]
pub fn at<P: Platform, T>(place: usize, act: impl FnOnce() -> T) -> T {
    let mark = u8::try_from(place).unwrap_or(u8::MAX).saturating_add(1);
    P::memory().panic.at_card.store(mark, Ordering::Relaxed);
    // An exception must find it stored.
    compiler_fence(Ordering::SeqCst);
    let result = act();
    compiler_fence(Ordering::SeqCst);
    P::memory().panic.at_card.store(0, Ordering::Relaxed);
    result
}

fn bit(place: usize) -> u8 {
    u32::try_from(place).map_or(0, |place| 1_u8.unbounded_shl(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_card_at_which_a_start_has_died_is_known_to_all_later_ones() {
        static MEMORY: Memory = Memory::new();
        begin(&MEMORY);
        assert!((0..8).all(|place| !has_died_at(&MEMORY, place)));
        for (at, deadly) in [(3, &[2][..]), (0, &[2]), (1, &[0, 2]), (200, &[0, 2])] {
            MEMORY.panic.at_card.store(at, Ordering::Relaxed);
            begin(&MEMORY);
            assert!((0..8).all(|place| has_died_at(&MEMORY, place) == deadly.contains(&place)), "{at}");
        }
    }
}
