//! From ticks of the time stamp counter to microseconds.

/// Converts ticks to microseconds since a start, with a frequency that may become known, or better
/// known, later.
///
/// The first calibration holds for all ticks, for next to nothing was shown before it. A later one holds
/// from its own moment on: a record that has been shown shows the same time ever after, to every target
/// and when it is sent again. No calibration makes any tick's time smaller, so times that are shown in
/// the records' order never run backwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timebase {
    hz: u64,
    /// The ticks at time 0.
    start: u64,
    /// What holds for ticks before the last calibration, …
    earlier: Line,
    /// … and from it on.
    line: Line,
}

/// Time as a straight line over ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Line {
    /// The ticks at `base`.
    from: u64,
    /// Microseconds at `from` and before.
    base: u64,
    /// Microseconds per tick, times 2^[`Self::SHIFT`].
    factor: u64,
}

impl Line {
    /// At 1 MHz, the least, a factor has 61 bits with it; at 8 GHz it still has 48.
    const SHIFT: u32 = 60;

    const fn new(from: u64, base: u64, hz: u64) -> Self {
        // Rounded up, so that whole microseconds are not one less.
        Self { from, base, factor: (1_000_000_u128 << Self::SHIFT).div_ceil(hz as u128) as u64 }
    }

    #[inline(always)]
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "a product of 2^128 is never reached: ticks are below 2^64, and so is the factor"
    )]
    const fn micros(&self, ticks: u64) -> u64 {
        let elapsed = ticks.saturating_sub(self.from) as u128;
        // 2^64 microseconds are 584,000 years.
        (((elapsed * self.factor as u128) >> Self::SHIFT) as u64).saturating_add(self.base)
    }
}

impl Timebase {
    /// Slower counters than this are not believed.
    const MIN_HZ: u64 = 1_000_000;

    /// Before the frequency is known: faster than any counter, so that times are too small rather than
    /// too great and the first calibration can make them exact.
    const GUESS_HZ: u64 = 8_000_000_000;

    /// How many words [`to_words`](Self::to_words) gives.
    pub const WORDS: usize = 8;

    /// Time begins at `start` ticks; the frequency is not known yet, and times are too small.
    pub const fn new(start: u64) -> Self {
        let line = Line::new(start, 0, Self::GUESS_HZ);
        Self { hz: Self::GUESS_HZ, start, earlier: line, line }
    }

    /// From now on, `now` ticks, the frequency is known to be `hz`. Under 1 MHz it is ignored.
    pub const fn calibrate(&mut self, now: u64, hz: u64) {
        if hz < Self::MIN_HZ {
            return;
        }
        let shown = self.micros(now);
        if self.line.factor == Line::new(0, 0, Self::GUESS_HZ).factor {
            let exact = Line::new(self.start, 0, hz);
            let base = shown.saturating_sub(exact.micros(now));
            self.line = Line { base, ..exact };
            self.earlier = self.line;
        } else {
            self.earlier = self.line;
            self.line = Line::new(now, shown, hz);
        }
        self.hz = hz;
    }

    /// Microseconds from the start to `ticks`; 0 for ticks before the start.
    #[inline(always)]
    pub const fn micros(&self, ticks: u64) -> u64 {
        if ticks < self.line.from { self.earlier.micros(ticks) } else { self.line.micros(ticks) }
    }

    /// The frequency in Hz that is in force.
    pub const fn hz(&self) -> u64 {
        self.hz
    }

    /// The timebase as plain words, to be kept for the panic path.
    pub const fn to_words(&self) -> [u64; Self::WORDS] {
        let Self { hz, start, earlier, line } = *self;
        [hz, start, earlier.from, earlier.base, earlier.factor, line.from, line.base, line.factor]
    }

    /// What [`to_words`](Self::to_words) gave. Any words give a timebase, if a wrong one.
    pub const fn from_words(words: [u64; Self::WORDS]) -> Self {
        let [hz, start, earlier_from, earlier_base, earlier_factor, from, base, factor] = words;
        Self {
            hz,
            start,
            earlier: Line { from: earlier_from, base: earlier_base, factor: earlier_factor },
            line: Line { from, base, factor },
        }
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

    #[test]
    fn what_was_shown_stays_when_the_frequency_gets_more_exact() {
        let mut time = Timebase::new(0);
        time.calibrate(1_000_000, 2_000_000_000);
        let shown = [0, 500_000, 1_000_000, 40_000_000].map(|ticks| time.micros(ticks));
        time.calibrate(40_000_000, 2_010_000_000);
        assert_eq!([0, 500_000, 1_000_000, 40_000_000].map(|ticks| time.micros(ticks)), shown);
        assert_eq!(time.micros(40_000_000 + 2_010_000_000), shown[3] + 1_000_000);
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
                prop_assert!(time.micros(record) >= before);
                prop_assert_eq!(Timebase::from_words(time.to_words()), time);
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
