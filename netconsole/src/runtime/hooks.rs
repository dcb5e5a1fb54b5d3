//! Hooks for tests that provoke a crash (feature `test-hooks`).

use super::Netconsole;
use crate::nic;
use crate::plan::MAX_NICS;
use crate::platform::Platform;

impl<P: Platform> Netconsole<P> {
    /// Stops every card behind its driver's back, for provoking that crash.
    pub fn hang_cards(&mut self) {
        for card in self.state.cards.iter().flatten() {
            nic::hang(&mut P::pci(), &P::access().addresses, card.place);
        }
    }

    /// Overwrites all that the drivers know, as a stray pointer would, for provoking that crash.
    ///
    /// # Safety
    ///
    /// The caller panics at once: neither this nor a driver is used again.
    pub unsafe fn overwrite_cards(&mut self, pattern: u8) {
        // SAFETY: as the caller promises.
        unsafe {
            overwrite(&mut self.state.cards, pattern);
            for room in (0..MAX_NICS).filter_map(P::card_room) {
                overwrite(room.normal.take_back(), pattern);
            }
        }
    }

    /// Overwrites all that is known of the targets, as a stray pointer would, for provoking that crash.
    ///
    /// # Safety
    ///
    /// The caller panics at once: this is not used again.
    pub unsafe fn overwrite_targets(&mut self, pattern: u8) {
        // SAFETY: as the caller promises.
        unsafe { overwrite(&mut self.state.targets, pattern) }
    }
}

/// Fills a value with a pattern.
///
/// # Safety
///
/// Nothing looks at it any more.
unsafe fn overwrite<T>(value: &mut T, pattern: u8) {
    // SAFETY: the bytes lie in the value, and nothing looks at it any more, as the caller promises.
    unsafe { core::ptr::from_mut(value).cast::<u8>().write_bytes(pattern, size_of::<T>()) }
}
