//! Waits on a device: each ends by the clock, for nobody knows how long a look at a device takes. Over a bus it is a tenth of
//! a microsecond, in a virtual machine several, and 50 ms where the device has gone and the bus waits for it.

/// At least so often is looked, however late it has become meanwhile: a hypervisor may let this CPU rest.
const LEAST_LOOKS: u32 = 3;
/// So often at most, should the clock stand still.
const MOST_LOOKS: u32 = 20_000_000;

/// How a driver waits. Panic-safe where its clock is.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    now: fn() -> u64,
    meanwhile: fn(),
}

impl Waits {
    /// Waits by this clock, which counts microseconds from any moment on and is good enough where it is three times wrong.
    /// It must not panic, block or take a lock.
    pub const fn new(now: fn() -> u64) -> Self {
        Self { now, meanwhile: || {} }
    }

    /// Has this done between the looks at a device, for what must go on while a driver waits. What it takes is part of the wait.
    pub const fn with(self, meanwhile: fn()) -> Self {
        Self { meanwhile, ..self }
    }

    /// The clock, in microseconds from any moment on.
    pub(super) fn now(self) -> u64 {
        (self.now)()
    }

    /// Looks until something is found, for `micros` at most.
    pub(super) fn until<T>(self, micros: u64, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        let begun = (self.now)();
        for looks in 1..=MOST_LOOKS {
            if let Some(found) = look() {
                return Some(found);
            }
            if looks >= LEAST_LOOKS && (self.now)().wrapping_sub(begun) >= micros {
                return None;
            }
            core::hint::spin_loop();
            (self.meanwhile)();
        }
        None
    }

    /// Leaves a device alone for `micros` µs.
    pub(super) fn pause(self, micros: u64) {
        let _: Option<()> = self.until(micros, || None);
    }
}

/// Waits by a clock on which each look takes a microsecond.
#[cfg(test)]
pub(crate) mod fake {
    use super::Waits;
    use std::cell::Cell;

    thread_local! {
        static NOW: Cell<u64> = const { Cell::new(0) };
    }

    pub fn now() -> u64 {
        NOW.set(NOW.get() + 1);
        NOW.get()
    }

    /// Lets time go by.
    pub fn pass(micros: u64) {
        NOW.set(NOW.get() + micros);
    }

    pub const WAITS: Waits = Waits::new(now);
}

#[cfg(test)]
mod tests {
    use super::fake::{WAITS, now, pass};
    use super::{LEAST_LOOKS, MOST_LOOKS, Waits};
    use std::cell::Cell;

    #[test]
    fn a_wait_ends_by_the_clock_whatever_a_look_takes() {
        for (a_look_takes, looks) in [(0, 1002), (9, 101), (400, LEAST_LOOKS), (50_000, LEAST_LOOKS)] {
            let mut count = 0;
            let begun = now();
            let found: Option<()> = WAITS.until(1000, || {
                count += 1;
                pass(a_look_takes);
                None
            });
            assert_eq!((found, count), (None, looks), "{a_look_takes} µs");
            assert!(now() - begun <= 1000 + u64::from(LEAST_LOOKS) * (a_look_takes + 2), "{a_look_takes} µs");
        }
        assert_eq!(WAITS.until(0, || Some(7)), Some(7));
    }

    #[test]
    fn a_clock_that_stands_still_ends_it_too() {
        let mut count = 0;
        let found: Option<()> = Waits::new(|| 5).until(1, || {
            count += 1;
            None
        });
        assert_eq!((found, count), (None, MOST_LOOKS));
    }

    #[test]
    fn what_must_go_on_does_between_the_looks() {
        thread_local! {
            static GONE_ON: Cell<u32> = const { Cell::new(0) };
        }
        let waits = WAITS.with(|| GONE_ON.set(GONE_ON.get() + 1));
        let mut looks = 0;
        let found = waits.until(1000, || {
            assert_eq!(GONE_ON.get(), looks);
            looks += 1;
            (looks == 10).then_some(())
        });
        assert_eq!((found, GONE_ON.get()), (Some(()), 9));
        waits.pause(1000);
        assert!(GONE_ON.get() > 400, "a pause is a wait");
    }
}
