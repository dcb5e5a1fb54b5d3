//! Time: the time stamp counter, and how fast it runs.
//!
//! Records keep raw ticks; the frequency is applied when one is shown. It comes from CPUID where the
//! CPU or hypervisor says it, else it is measured against the i8254 while the boot goes on: channel 0
//! counts down once, and whenever somebody needs the time the ticks since then are compared. (Channel 2
//! would be free of the timer, but microVMs have no port for its gate.)

use core::arch::x86_64::{__cpuid, _rdtsc};
use netconsole::ring::{PublishedTimebase, Timebase};
use x86_64::instructions::port::Port;

/// The i8254's input clock in Hz.
pub const PIT_HZ: u32 = 1_193_182;

/// The time stamp counter, in ticks since the machine's reset or so. Panic-safe.
#[inline]
pub fn ticks() -> u64 {
    // SAFETY: RDTSC exists on every 64-bit CPU and nothing forbids it in ring 0.
    unsafe { _rdtsc() }
}

/// The timebase in force, for the panic path.
static PUBLISHED: PublishedTimebase = PublishedTimebase::new();

/// The timebase as last published, whatever the interrupted code was doing. Panic-safe.
pub fn published() -> Timebase {
    PUBLISHED.read()
}

/// µs since the kernel's entry, by the timebase as last published. Panic-safe.
pub fn micros() -> u64 {
    published().micros(ticks())
}

/// A moment in the future. Panic-safe.
pub struct Deadline(u64);

impl Deadline {
    /// `micros` from now, by the published frequency.
    pub fn after(micros: u64) -> Self {
        let hz = published().hz().max(1_000_000);
        Self(ticks().saturating_add(micros.saturating_mul(hz / 1_000_000)))
    }

    /// Whether it has come.
    pub fn has_come(&self) -> bool {
        ticks() >= self.0
    }
}

/// The ports that this kernel's clock and timer use.
pub struct Ports;

impl Ports {
    /// i8254 channel 0: the timer's.
    pub const PIT_CHANNEL_0: u16 = 0x40;
    /// i8254 control word.
    pub const PIT_CONTROL: u16 = 0x43;

    /// Writes one byte to a port of the i8254 or the i8259s.
    pub fn write(port: u16, value: u8) {
        // SAFETY: callers are clock.rs and timer.rs, which own these chips; no memory is involved.
        unsafe { Port::new(port).write(value) }
    }

    fn read(port: u16) -> u8 {
        // SAFETY: as above.
        unsafe { Port::new(port).read() }
    }
}

/// The time since the kernel's entry, with a frequency that gets better while the boot goes on.
pub struct Clock {
    timebase: Timebase,
    measurement: Option<Measurement>,
    /// Gets each new timebase.
    keep: fn(&Timebase, Option<u64>),
}

/// The counts of both counters at one moment, as nearly as an interrupted CPU can tell: a hypervisor may
/// run others at any instruction, for longer than the whole measurement.
#[derive(Clone, Copy)]
struct Look {
    /// The i8254's, which runs down.
    count: u16,
    /// The time stamp counter's before and after that was read.
    before: u64,
    after: u64,
}

impl Look {
    /// Reads both; `None` once the i8254's count has ended.
    fn take() -> Option<Self> {
        // i8254 datasheet, read-back command: latch status and count of channel 0.
        const READ_BACK: u8 = 0xc2;
        const OUTPUT: u8 = 1 << 7;
        const NOT_LOADED: u8 = 1 << 6;
        let before = ticks();
        Ports::write(Ports::PIT_CONTROL, READ_BACK);
        let after = ticks();
        let [status, low, high] = [(); 3].map(|()| Ports::read(Ports::PIT_CHANNEL_0));
        if status & OUTPUT != 0 {
            return None;
        }
        let count = if status & NOT_LOADED != 0 { u16::MAX } else { u16::from_le_bytes([low, high]) };
        Some(Self { count, before, after })
    }

    /// By how many ticks it may be wrong.
    fn doubt(&self) -> u64 {
        self.after.wrapping_sub(self.before)
    }
}

/// A countdown of channel 0 from 0xffff (55 ms), and the look at it that later ones are compared with.
struct Measurement {
    base: Option<Look>,
    provisional: bool,
}

impl Measurement {
    /// The shortest time, in PIT ticks (0.1 ms), that gives a frequency good enough for first use: the
    /// first frame may leave soon after, and no time is shown differently later.
    const SHORTEST: u16 = 119;
    /// The time after which the figure is final (20 ms: one PIT tick in 24,000).
    const LONG_ENOUGH: u16 = 23864;
    /// How much longer than the looks' doubt the time between them must be, for first use and in the end.
    const CERTAINTY: u64 = 16;
    const LAST_CERTAINTY: u64 = 256;

    fn begin(provisional: bool) -> Self {
        // i8254 datasheet: channel 0, both bytes, mode 0 (the output rises at the end of the count).
        Ports::write(Ports::PIT_CONTROL, 0x30);
        Ports::write(Ports::PIT_CHANNEL_0, 0xff);
        Ports::write(Ports::PIT_CHANNEL_0, 0xff);
        Self { base: Look::take(), provisional }
    }

    /// The PIT ticks and the time stamp counter's between the base and `look`, where they are certain
    /// enough; else the more certain of the two looks becomes the base.
    fn compare(&mut self, look: Look) -> Option<(u16, u64)> {
        let base = *self.base.get_or_insert(look);
        let ticks = look.before.wrapping_sub(base.before);
        let doubt = base.doubt().saturating_add(look.doubt());
        let certainty = if self.provisional { Self::LAST_CERTAINTY } else { Self::CERTAINTY };
        if doubt.saturating_mul(certainty) > ticks {
            if look.doubt() < base.doubt() {
                self.base = Some(look);
            }
            return None;
        }
        Some((base.count.wrapping_sub(look.count), ticks))
    }
}

impl Clock {
    /// The clock, counting from `start` ticks: the kernel's entry. `keep` gets each timebase, and the frequency in Hz
    /// once one was found: for the library, and the boots to come.
    pub fn new(start: u64, keep: fn(&Timebase, Option<u64>)) -> Self {
        let mut clock = Self { timebase: Timebase::new(start), measurement: None, keep };
        match frequency_by_cpuid() {
            Some(hz) => {
                log::info!("clock: {} MHz, says the CPU", hz / 1_000_000);
                clock.calibrate(start, hz);
            }
            None => {
                PUBLISHED.publish(&clock.timebase);
                keep(&clock.timebase, None);
                clock.measurement = Some(Measurement::begin(false));
            }
        }
        clock
    }

    /// Takes a frequency from `now` ticks on, for this boot, the panic path and the boots to come.
    fn calibrate(&mut self, now: u64, hz: u64) {
        self.timebase.calibrate(now, hz);
        PUBLISHED.publish(&self.timebase);
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
    /// where the i8254 does not count), so that channel 0 is free for the timer.
    pub fn settle(&mut self) {
        let deadline = Deadline::after(5 * u64::from(Measurement::LONG_ENOUGH));
        while self.measurement.is_some() && !deadline.has_come() {
            self.measure();
        }
        self.measurement = None;
    }

    /// Compares both counters if that improves the frequency now. Never waits.
    fn measure(&mut self) {
        let Some(measurement) = &mut self.measurement else { return };
        let Some(look) = Look::take() else {
            // Nobody looked for 55 ms: begin anew. What was found before stays in force.
            *measurement = Measurement::begin(measurement.provisional);
            return;
        };
        let Some((elapsed, ticks)) = measurement.compare(look) else { return };
        let finished = measurement.provisional && elapsed >= Measurement::LONG_ENOUGH;
        if !finished && (elapsed < Measurement::SHORTEST || measurement.provisional) {
            return;
        }
        measurement.provisional = true;
        let hz = ticks.saturating_mul(PIT_HZ.into()) / u64::from(elapsed);
        self.calibrate(look.before, hz);
        if finished {
            self.measurement = None;
            log::info!("clock: {} MHz, measured", hz / 1_000_000);
        }
    }
}

/// The counter's frequency in Hz where CPUID tells it: leaves 0x15 and 0x16 (Intel SDM volume 2), or the
/// hypervisors' leaf 0x4000_0010 (kHz).
fn frequency_by_cpuid() -> Option<u64> {
    const HYPERVISOR: u32 = 1 << 31;
    let highest = __cpuid(0).eax;
    if highest >= 0x15 {
        let leaf = __cpuid(0x15);
        let (denominator, numerator, crystal) =
            (u64::from(leaf.eax), u64::from(leaf.ebx), u64::from(leaf.ecx));
        if denominator != 0 && numerator != 0 && crystal != 0 {
            return Some(crystal * numerator / denominator);
        }
        // Where the crystal is not told, the counter runs at the base frequency, in MHz.
        if denominator != 0 && numerator != 0 && highest >= 0x16 {
            let mhz = u64::from(__cpuid(0x16).eax & 0xffff);
            if mhz != 0 {
                return Some(mhz * 1_000_000);
            }
        }
    }
    if __cpuid(1).ecx & HYPERVISOR != 0 && __cpuid(0x4000_0000).eax >= 0x4000_0010 {
        let khz = u64::from(__cpuid(0x4000_0010).eax);
        if khz != 0 {
            return Some(khz * 1000);
        }
    }
    None
}
