//! Static memory that is handed out once.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

/// A value that lies in a static and is handed out once, so that nobody shares it. It can be made in a constant; one of
/// zeros takes no room in the image.
pub struct TakeOnce<T> {
    is_taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached by one caller of `take` alone, or by those of `take_back`, who see to that themselves: it
// is moved between contexts, never shared.
unsafe impl<T: Send> Sync for TakeOnce<T> {}

impl<T> TakeOnce<T> {
    /// Holds `value` until somebody takes it.
    pub const fn new(value: T) -> Self {
        Self { is_taken: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// The value, the first time; `None` from then on. Panic-safe.
    #[expect(clippy::mut_from_ref, reason = "the flag sees to it that there is one reference")]
    pub fn take(&'static self) -> Option<&'static mut T> {
        // SAFETY: the flag lets one caller through, whose reference is then the only one.
        (!self.is_taken.swap(true, Ordering::Acquire)).then(|| unsafe { &mut *self.value.get() })
    }

    /// The value, whoever has taken it before; nobody else gets it from [`take`](Self::take) afterwards. Panic-safe.
    ///
    /// # Safety
    /// Nobody who has it, by this or by `take`, uses it again: what a panic interrupted never runs again, nor does an
    /// earlier start of the panic path. What the value holds, half-written perhaps, is valid for its type.
    #[expect(clippy::mut_from_ref, reason = "the caller vouches that there is no other reference")]
    pub unsafe fn take_back(&'static self) -> &'static mut T {
        self.is_taken.store(true, Ordering::Relaxed);
        // SAFETY: the caller vouches for it.
        unsafe { &mut *self.value.get() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_handed_out_once() {
        static VALUE: TakeOnce<u32> = TakeOnce::new(7);
        let value = VALUE.take().expect("it is there");
        *value += 1;
        assert_eq!(VALUE.take(), None);
        // SAFETY: `value` is not used again.
        assert_eq!(unsafe { *VALUE.take_back() }, 8);
        assert_eq!(VALUE.take(), None);
    }
}
