//! The vectors from 32 on: the timer's ticks, and whatever else comes. They are let in only while the kernel sleeps, one
//! each time.
//!
//! No device of this kernel interrupts. But a machine may have one that does: left running by firmware, by a Linux that
//! crashed, or a controller's spurious vector. Such an interrupt is ended where its controller waits for that, and
//! counted; it harms nothing.

use super::{local_apic, pic};
use core::arch::global_asm;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The first vector that is no exception.
pub const FIRST: usize = 32;
/// The vectors of the i8259s' sixteen lines, of which IRQ 0 is the i8254's.
pub const PIC_BASE: u8 = 0x20;

/// Each entry's size in boot/interrupts.s, in bytes.
const ENTRY_SIZE: u64 = 16;
/// RFLAGS, all but the interrupt flag.
const WITHOUT_INTERRUPTS: i32 = !(1 << 9);
/// What FXSAVE writes, in bytes (Intel SDM volume 1, section 10.5.1).
const FXSAVE_SIZE: usize = 512;

global_asm!(
    include_str!("../../boot/registers.s"),
    include_str!("../../boot/interrupts.s"),
    FXSAVE_SIZE = const FXSAVE_SIZE,
    WITHOUT_INTERRUPTS = const WITHOUT_INTERRUPTS,
    interrupt = sym interrupt,
);

unsafe extern "C" {
    fn interrupt_entries();
}

static TICKS: AtomicU32 = AtomicU32::new(0);
static STRAYS: AtomicU64 = AtomicU64::new(0);
static LAST_STRAY: AtomicU32 = AtomicU32::new(0);

/// Where the vector's entry lies; `vector` is at least [`FIRST`].
pub fn entry_address(vector: usize) -> u64 {
    interrupt_entries as *const () as u64 + (vector - FIRST) as u64 * ENTRY_SIZE
}

extern "C" fn interrupt(vector: u64) {
    let vector = vector as u8;
    if vector == local_apic::TIMER_VECTOR || vector == PIC_BASE {
        TICKS.fetch_add(1, Ordering::Relaxed);
    } else {
        STRAYS.fetch_add(1, Ordering::Relaxed);
        LAST_STRAY.store(vector.into(), Ordering::Relaxed);
    }
    match vector.checked_sub(PIC_BASE) {
        Some(line) if line < pic::LINES => pic::end(line),
        _ => local_apic::end(vector),
    }
}

/// The timer's ticks so far; wraps.
pub fn ticks() -> u32 {
    TICKS.load(Ordering::Relaxed)
}

/// How often interrupts that nobody asked for are told of, in µs.
const REPORT_INTERVAL: u64 = 60_000_000;

/// Tells of interrupts that nobody asked for.
pub struct Strays {
    told: u64,
    tell_at: u64,
}

impl Strays {
    /// None told of yet.
    pub const fn new() -> Self {
        Self { told: 0, tell_at: 0 }
    }

    /// Logs what came since the last line, one line a minute at most.
    pub fn report(&mut self, now: u64) {
        let strays = STRAYS.load(Ordering::Relaxed);
        if strays != self.told && now >= self.tell_at {
            let (new, last) = (strays.wrapping_sub(self.told), LAST_STRAY.load(Ordering::Relaxed));
            log::warn!("interrupts: {new} that nothing here asked for, the last one of vector {last:#04x}");
            (self.told, self.tell_at) = (strays, now.saturating_add(REPORT_INTERVAL));
        }
    }
}
