//! What wakes the CPU from `hlt`: a tick, proven before it is relied on. While the kernel serves, it looks at its devices
//! after each tick and sleeps in between.
//!
//! The local APIC's timer is tried first, since nothing of it lies outside of the CPU; then the i8254 on IRQ 0 through the
//! i8259s, which boards may gate or route elsewhere. Where neither ticks, the kernel never sleeps.

use super::clock::{Deadline, PIT_HZ, Ports};
use super::interrupts::{self, PIC_BASE};
use super::local_apic::LocalApic;
use super::pic;
use core::fmt;
use x86_64::instructions::interrupts as cpu;

/// Ticks per second.
const HZ: u32 = 250;
/// How long the local APIC's timer is compared with the time stamp counter, in µs.
const COMPARISON: u64 = 1_000;
/// How long ticks are waited for when they are proven, in µs: for ten.
const PATIENCE: u64 = 10 * 1_000_000 / HZ as u64;
/// How many ticks prove a source.
const PROOF: u32 = 2;
/// How long the kernel pauses where nothing ticks, in µs.
const PAUSE: u64 = 100;

/// i8254 datasheet, control word: channel 0, both bytes, mode 2 (rate generator).
const CHANNEL_0_RATE: u8 = 0x34;

/// Where the ticks come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// The local APIC's timer.
    LocalApic,
    /// The i8254.
    Pit,
    /// Nothing ticks.
    None,
}

impl fmt::Display for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LocalApic => "the local APIC ticks",
            Self::Pit => "the i8254 ticks",
            Self::None => "nothing ticks on this machine: the CPU never sleeps",
        })
    }
}

impl Timer {
    /// Starts the ticks. Interrupts stay off but for the moments in which a source is proven, and in
    /// [`sleep`](Self::sleep). The clock must have settled: this uses the i8254.
    pub fn start() -> Self {
        // The i8259s' lines all are masked; where one comes all the same, it must not look like an exception.
        pic::start(PIC_BASE, 0);
        let local = LocalApic::find();
        if let Some(apic) = local {
            apic.reset();
            start_local(apic);
            if is_proven() {
                return Self::LocalApic;
            }
            apic.stop();
            apic.let_pic_through();
        }
        start_pit();
        if is_proven() { Self::Pit } else { Self::None }
    }

    /// Sleeps until the next tick at the latest.
    pub fn sleep(self) {
        if self == Self::None {
            let deadline = Deadline::after(PAUSE);
            while !deadline.has_come() {
                core::hint::spin_loop();
            }
            return;
        }
        cpu::enable_and_hlt();
        cpu::disable();
    }
}

fn start_local(apic: LocalApic) {
    apic.begin_count();
    let deadline = Deadline::after(COMPARISON);
    while !deadline.has_come() {
        core::hint::spin_loop();
    }
    let per_tick = u64::from(apic.counted()) * (1_000_000 / u64::from(HZ)) / COMPARISON;
    // A timer that did not count is not proven either.
    apic.tick(u32::try_from(per_tick).unwrap_or(u32::MAX).max(1));
}

fn start_pit() {
    let divisor = (PIT_HZ / HZ) as u16;
    let [low, high] = divisor.to_le_bytes();
    Ports::write(Ports::PIT_CONTROL, CHANNEL_0_RATE);
    Ports::write(Ports::PIT_CHANNEL_0, low);
    Ports::write(Ports::PIT_CHANNEL_0, high);
    pic::start(PIC_BASE, 1);
}

/// Whether ticks come.
fn is_proven() -> bool {
    let before = interrupts::ticks();
    let deadline = Deadline::after(PATIENCE);
    cpu::enable();
    let mut has_ticked = false;
    while !has_ticked && !deadline.has_come() {
        core::hint::spin_loop();
        has_ticked = interrupts::ticks().wrapping_sub(before) >= PROOF;
    }
    cpu::disable();
    has_ticked
}
