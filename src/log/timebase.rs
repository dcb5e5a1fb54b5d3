//! From ticks of the time stamp counter to microseconds.

/// Converts ticks to microseconds since a start, with a frequency that may become known, or better
/// known, later.
///
/// The invariant: no calibration makes the time of any tick up to that moment smaller. So times that are
/// shown in the records' order never run backwards.
#[derive(Clone, Copy, Debug)]
pub struct Timebase {
    /// The ticks at time 0.
    start: u64,
    hz: u64,
    /// Microseconds per tick, times 2^[`Self::SHIFT`].
    factor: u64,
    /// Microseconds by which all times are too great, from an earlier frequency that was too low.
    offset: u64,
}

impl Timebase {
    /// At 1 MHz, the least, a factor has 61 bits with it; at 8 GHz it still has 48.
    const SHIFT: u32 = 60;

    /// Slower counters than this are not believed.
    const MIN_HZ: u64 = 1_000_000;

    /// Before the frequency is known: faster than any counter, so that times are too small rather than
    /// too great and the first calibration can make them exact.
    const GUESS_HZ: u64 = 8_000_000_000;

    /// Time begins at `start` ticks; the frequency is not known yet, and times are too small.
    pub const fn new(start: u64) -> Self {
        Self { start, hz: Self::GUESS_HZ, factor: Self::factor(Self::GUESS_HZ), offset: 0 }
    }

    /// From now on, `now` ticks, the frequency is known to be `hz`. Under 1 MHz it is ignored.
    pub const fn calibrate(&mut self, now: u64, hz: u64) {
        if hz < Self::MIN_HZ {
            return;
        }
        let shown = self.micros(now);
        self.hz = hz;
        self.factor = Self::factor(hz);
        // Both lines are straight, so with the new one not below the old at the start (the offset never
        // shrinks) and not below it now, it is not below it in between.
        self.offset = self.offset.saturating_add(shown.saturating_sub(self.micros(now)));
    }

    /// Microseconds from the start to `ticks`; 0 for ticks before the start.
    pub const fn micros(&self, ticks: u64) -> u64 {
        let elapsed = ticks.saturating_sub(self.start) as u128;
        // A product of 2^128 is never reached, and 2^64 microseconds are 584,000 years.
        (((elapsed * self.factor as u128) >> Self::SHIFT) as u64).saturating_add(self.offset)
    }

    /// The frequency in Hz that is in force.
    pub const fn hz(&self) -> u64 {
        self.hz
    }

    const fn factor(hz: u64) -> u64 {
        // Rounded up, so that whole microseconds are not one less.
        (1_000_000_u128 << Self::SHIFT).div_ceil(hz as u128) as u64
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Timebase;
    use proptest::prelude::*;

    #[test]
    fn a_known_frequency_is_exact() {
        let mut time = Timebase::new(1000);
        time.calibrate(1000, 3_000_000_000);
        assert_eq!(time.micros(0), 0);
        assert_eq!(time.micros(1000), 0);
        assert_eq!(time.micros(1000 + 3_000_001), 1000);
        // A day; the error is below a microsecond.
        assert_eq!(time.micros(1000 + 86_400 * 3_000_000_000 + 1), 86_400_000_000);
        assert_eq!(time.hz(), 3_000_000_000);
    }

    #[test]
    fn a_frequency_found_later_makes_times_exact() {
        let mut time = Timebase::new(0);
        assert!(time.micros(2_500_000) < 1000);
        time.calibrate(2_500_000, 2_500_000_000);
        assert_eq!(time.micros(2_500_100), 1000);
        // And a counter that nothing is known of any more is left alone.
        time.calibrate(5_000_000, 0);
        assert_eq!(time.micros(5_000_100), 2000);
    }

    proptest! {
        #[test]
        fn no_shown_time_is_ever_taken_back(
            steps in prop::collection::vec((0..10_000_000_000u64, 0..10_000_000_000u64), 1..10),
            earlier in any::<prop::sample::Index>(),
        ) {
            let (mut now, mut shown) = (12345, 0);
            let mut time = Timebase::new(now);
            for (elapsed, hz) in steps {
                now += elapsed;
                let record = 12345 + earlier.index((now - 12345) as usize + 1) as u64;
                let before = time.micros(record);
                prop_assert!(time.micros(now) >= shown);
                shown = time.micros(now);
                time.calibrate(now, hz);
                prop_assert!(time.micros(now) >= shown);
                prop_assert!(time.micros(record) + 1 >= before, "rounding aside");
            }
        }

        #[test]
        fn no_number_overflows(start: u64, now: u64, hz: u64, ticks: u64) {
            let mut time = Timebase::new(start);
            time.calibrate(now, hz);
            time.micros(ticks);
        }
    }
}
