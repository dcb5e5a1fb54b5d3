//! A timer that wakes the CPU from `hlt`, and nothing else: the i8254's channel 0 on IRQ 0 through
//! the i8259. No driver uses interrupts; while the kernel serves, it looks at its devices after each
//! tick and sleeps in between.

use super::clock::{PIT_HZ, Ports};
use core::arch::global_asm;
use x86_64::instructions::interrupts;

/// The timer's vector: IRQ 0, with the i8259s moved behind the CPU's exceptions.
pub const VECTOR: usize = 0x20;
/// Ticks per second.
const HZ: u32 = 250;

const PIC1_COMMAND: u16 = 0x20;
const PIC1_DATA: u16 = 0x21;
const PIC2_COMMAND: u16 = 0xa0;
const PIC2_DATA: u16 = 0xa1;
/// i8259A datasheet, OCW2: non-specific end of interrupt.
const END_OF_INTERRUPT: u8 = 0x20;
/// i8254 datasheet, control word: channel 0, both bytes, mode 2 (rate generator).
const CHANNEL_0_RATE: u8 = 0x34;

global_asm!(
    include_str!("../../boot/timer.s"),
    END_OF_INTERRUPT = const END_OF_INTERRUPT,
    PIC_COMMAND = const PIC1_COMMAND,
);

unsafe extern "C" {
    fn timer_entry();
}

/// Where the timer's vector goes.
pub fn entry_address() -> u64 {
    timer_entry as *const () as u64
}

/// Starts the ticks. Interrupts stay off but for the moments in [`sleep`].
pub fn start() {
    let divisor = (PIT_HZ / HZ) as u16;
    let [low, high] = divisor.to_le_bytes();
    // i8259A datasheet, initialisation: ICW1 (edge, cascade, ICW4 follows), ICW2 (vectors), ICW3
    // (cascade on IRQ 2), ICW4 (8086 mode); then all masked but IRQ 0.
    for (port, value) in [
        (PIC1_COMMAND, 0x11),
        (PIC2_COMMAND, 0x11),
        (PIC1_DATA, VECTOR as u8),
        (PIC2_DATA, VECTOR as u8 + 8),
        (PIC1_DATA, 1 << 2),
        (PIC2_DATA, 2),
        (PIC1_DATA, 1),
        (PIC2_DATA, 1),
        (PIC1_DATA, !1),
        (PIC2_DATA, !0),
        (Ports::PIT_CONTROL, CHANNEL_0_RATE),
        (Ports::PIT_CHANNEL_0, low),
        (Ports::PIT_CHANNEL_0, high),
    ] {
        Ports::write(port, value);
    }
}

/// Sleeps until the next tick at the latest.
pub fn sleep() {
    interrupts::enable_and_hlt();
    interrupts::disable();
}
