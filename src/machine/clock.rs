//! Time: the time stamp counter, and how fast it runs.
//!
//! Records keep raw ticks; the frequency is applied when one is shown. It comes from the CPU or the hypervisor where
//! they tell it, else it is measured while the boot goes on: whenever somebody needs the time, the ticks are compared with
//! those of a counter whose frequency is known. That is the i8254's channel 0, which counts down once (channel 2 would be
//! free of the timer, but microVMs have no port for its gate); where it is absent or does not count, the HPET or ACPI's
//! timer. Where none of them counts, the time is a guess, and the log says so.

mod counter;
mod told;

pub use counter::{Counter, Hpet, PIT_HZ, Ports};

use super::firmware;
use core::arch::x86_64::_rdtsc;
use counter::Reading;
use netconsole::guarded::Word;
use netconsole::ring::Timebase;

/// The time stamp counter, in ticks since the machine's reset or so. Panic-safe.
#[inline]
pub fn ticks() -> u64 {
    // SAFETY: RDTSC exists on every 64-bit CPU and nothing forbids it in ring 0.
    unsafe { _rdtsc() }
}

/// The counter's frequency in Hz, as far as it is known: all that a deadline needs. The timebase is kept by whom
/// [`Clock::new`] is given.
static HZ: Word = Word::unset();

/// How many ticks a µs has, as far as it is known: before the clock was begun so many that no wait is too short.
fn ticks_a_micro() -> u64 {
    HZ.get().unwrap_or(Timebase::new(0).hz()) / 1_000_000
}

/// A time in µs that waits are measured by, also before there is a [`Clock`]. Panic-safe.
pub fn micros() -> u64 {
    ticks().checked_div(ticks_a_micro()).unwrap_or(0)
}

/// A moment in the future. Panic-safe.
pub struct Deadline(u64);

impl Deadline {
    /// `micros` from now, by the frequency as far as it is known.
    pub fn after(micros: u64) -> Self {
        Self(ticks().saturating_add(micros.saturating_mul(ticks_a_micro().max(1))))
    }

    /// Whether it has come.
    pub fn has_come(&self) -> bool {
        ticks() >= self.0
    }
}

/// The counters that ACPI names, to be asked for where the i8254 does not count: in the order in which they are tried.
pub type Others = [Option<Counter>; 2];

/// The time since the kernel's entry, with a frequency that gets better while the boot goes on.
pub struct Clock {
    timebase: Timebase,
    measurement: Option<Measurement>,
    /// How many of the other counters were tried.
    tried: usize,
    others: fn() -> Others,
    /// Gets each new timebase.
    keep: fn(&Timebase, Option<u64>),
}

/// The counts of both counters at one moment, as nearly as an interrupted CPU can tell: a hypervisor may
/// run others at any instruction, for longer than the whole measurement.
#[derive(Clone, Copy)]
struct Look {
    count: u32,
    /// The time stamp counter's before and after the count was taken.
    before: u64,
    after: u64,
}

impl Look {
    /// By how many ticks it may be wrong.
    fn doubt(&self) -> u64 {
        self.after.wrapping_sub(self.before)
    }
}

/// A counter, and the look at it that later ones are compared with.
struct Measurement {
    counter: Counter,
    base: Option<Look>,
    provisional: bool,
}

/// What a look at the counter brought.
enum Progress {
    /// Nothing yet.
    Open,
    /// The frequency in Hz, from these ticks on.
    Found { at: u64, hz: u64, is_final: bool },
    /// The counter does not count, or is not there.
    Dead,
}

impl Measurement {
    /// The part of a second that gives a frequency good enough for first use (0.1 ms): the
    /// first frame may leave soon after, and no time is shown differently later.
    const SHORTEST: u64 = 10_000;
    /// The part of a second after which the figure is final (20 ms: one PIT tick in 24,000).
    const LONG_ENOUGH: u64 = 50;
    /// How much longer than the looks' doubt the time between them must be, for first use and in the end.
    const CERTAINTY: u64 = 16;
    const LAST_CERTAINTY: u64 = 256;
    /// A counter that is the same after this many ticks does not count: 130 µs at 8 GHz.
    const STANDSTILL: u64 = 1 << 20;
    /// The most ticks that are compared, far less than ACPI's timer takes for a lap (4.7 s).
    const LONGEST: u64 = 1 << 30;

    fn begin(counter: Counter, provisional: bool) -> Self {
        counter.start();
        Self { counter, base: None, provisional }
    }

    /// Looks at both counters.
    fn look(&mut self) -> Progress {
        let (before, mut after) = (ticks(), 0);
        match self.counter.read(|| after = ticks()) {
            Reading::At(count) => self.compare(Look { count, before, after }),
            Reading::Absent => Progress::Dead,
            Reading::Ended => {
                // Nobody looked for 55 ms: begin again. What was found before stays in force.
                *self = Self::begin(self.counter, self.provisional);
                Progress::Open
            }
        }
    }

    /// Compares a look with the base, where they are certain enough; else the more certain of the two becomes the base.
    fn compare(&mut self, look: Look) -> Progress {
        let base = *self.base.get_or_insert(look);
        let ticks = look.before.wrapping_sub(base.before);
        let doubt = base.doubt().saturating_add(look.doubt());
        let certainty = if self.provisional { Self::LAST_CERTAINTY } else { Self::CERTAINTY };
        if ticks > Self::LONGEST || doubt.saturating_mul(certainty) > ticks {
            if ticks > Self::LONGEST || look.doubt() < base.doubt() {
                self.base = Some(look);
            }
            return Progress::Open;
        }
        let elapsed = u64::from(self.counter.between(base.count, look.count));
        if elapsed == 0 {
            return if ticks > Self::STANDSTILL { Progress::Dead } else { Progress::Open };
        }
        let counter_hz = self.counter.hz();
        let is_final = self.provisional && elapsed >= counter_hz / Self::LONG_ENOUGH;
        if !is_final && (elapsed < counter_hz / Self::SHORTEST || self.provisional) {
            return Progress::Open;
        }
        self.provisional = true;
        Progress::Found { at: look.before, hz: ticks.saturating_mul(counter_hz) / elapsed, is_final }
    }
}

impl Clock {
    /// The clock, counting from `start` ticks: the kernel's entry. `keep` gets each timebase, and the frequency in Hz
    /// once one was found: for the library, and the boots to come. `others` tells what may be measured by beside the
    /// i8254.
    pub fn new(start: u64, keep: fn(&Timebase, Option<u64>), others: fn() -> Others) -> Self {
        let mut clock = Self { timebase: Timebase::new(start), measurement: None, tried: 0, others, keep };
        match told::frequency() {
            Some((hz, teller)) => {
                log::info!("clock: {} MHz, {teller}", hz / 1_000_000);
                clock.calibrate(start, hz);
            }
            None => {
                keep(&clock.timebase, None);
                // The i8254 may be the firmware's.
                let first = if firmware::stays() { clock.next_counter() } else { Some(Counter::Pit) };
                clock.measurement = first.map(|counter| Measurement::begin(counter, false));
                clock.measure();
            }
        }
        clock
    }

    /// Takes a frequency from `now` ticks on, for this boot, the panic path and the boots to come.
    fn calibrate(&mut self, now: u64, hz: u64) {
        self.timebase.calibrate(now, hz);
        HZ.set(self.timebase.hz());
        (self.keep)(&self.timebase, Some(hz));
    }

    /// Microseconds since the kernel's entry.
    pub fn now(&mut self) -> u64 {
        self.measure();
        self.timebase.micros(ticks())
    }

    /// What converts a record's ticks.
    pub fn timebase(&mut self) -> &Timebase {
        self.measure();
        &self.timebase
    }

    /// Waits until the frequency is final (20 ms after the boot's first look at the clock, or 100 ms
    /// where no counter counts), so that channel 0 is free for the timer.
    pub fn settle(&mut self) {
        let deadline = Deadline::after(5 * 1_000_000 / Measurement::LONG_ENOUGH);
        while self.measurement.is_some() && !deadline.has_come() {
            self.measure();
        }
        if let Some(measurement) = self.measurement.take()
            && !measurement.provisional
        {
            self.give_up();
        }
    }

    /// Compares both counters if that improves the frequency now. Never waits.
    fn measure(&mut self) {
        let Some(measurement) = &mut self.measurement else { return };
        match measurement.look() {
            Progress::Open => {}
            Progress::Found { at, hz, is_final } => {
                let counter = measurement.counter;
                self.calibrate(at, hz);
                if is_final {
                    self.measurement = None;
                    log::info!("clock: {} MHz, measured by {counter}", hz / 1_000_000);
                }
            }
            Progress::Dead => {
                let provisional = measurement.provisional;
                let next = self.next_counter();
                self.measurement = next.map(|counter| Measurement::begin(counter, provisional));
                if next.is_none() && !provisional {
                    self.give_up();
                }
            }
        }
    }

    /// The next counter beside the i8254. Of those the HPET may be the firmware's, too.
    fn next_counter(&mut self) -> Option<Counter> {
        let is_free = |counter: &Counter| !firmware::stays() || matches!(counter, Counter::Acpi(_));
        let next = (self.others)().into_iter().flatten().filter(is_free).nth(self.tried);
        self.tried += 1;
        next
    }

    fn give_up(&self) {
        log::warn!(
            "clock: nothing tells how fast the time stamp counter runs: times are by a guess, {} MHz, and may be too short",
            self.timebase.hz() / 1_000_000
        );
    }
}
