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
    /// At 1 MHz a factor has 64 bits with it, at 10 GHz still 31.
    const SHIFT: u32 = 44;

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
        ((1_000_000_u128 << Self::SHIFT) / hz as u128) as u64
    }
}
