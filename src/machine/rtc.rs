//! The real-time clock, read once at the boot: ports 0x70 (which register) and 0x71 (its value).

use super::clock::Deadline;
use bootinfo::rtc::Registers;
use x86_64::instructions::port::Port;

const INDEX: u16 = 0x70;
const DATA: u16 = 0x71;
/// Bit 7 of the index turns NMIs off on many machines; it stays 0.
const STATUS_A: u8 = 0x0a;
const STATUS_B: u8 = 0x0b;
/// Register A: the time is about to change; within 244 µs before that it is 1 (MC146818A datasheet).
const UPDATE_IN_PROGRESS: u8 = 1 << 7;
/// What register A reads as where there is no clock; it has no such divider.
const ABSENT: u8 = 0xff;
/// How long a time is read until two are the same, in µs: a change takes 2 ms; and how often at least, as a hypervisor may
/// let this rest for longer than that.
const PATIENCE: u64 = 10_000;
const LEAST_READS: u32 = 10;

/// Seconds since 1970, the clock taken for UTC; `None` where there is none or it tells no time. `century` is the register
/// that holds the year's first two digits, if ACPI names one.
pub fn unix_seconds(century: Option<u8>) -> Option<u64> {
    let deadline = Deadline::after(PATIENCE);
    let (mut before, mut reads) = (None, 0_u32);
    while reads < LEAST_READS || !deadline.has_come() {
        reads = reads.saturating_add(1);
        let status = read(STATUS_A);
        if status == ABSENT {
            return None;
        }
        if status & UPDATE_IN_PROGRESS != 0 {
            continue;
        }
        let registers = Registers {
            seconds: read(0),
            minutes: read(2),
            hours: read(4),
            day: read(7),
            month: read(8),
            year: read(9),
            century: century.map_or(0, read),
            status_b: read(STATUS_B),
        };
        // Twice the same was not read while it changed.
        if before == Some(registers) {
            return registers.unix_seconds();
        }
        before = Some(registers);
    }
    None
}

fn read(register: u8) -> u8 {
    // SAFETY: these ports reach the clock and nothing else, and only this module uses them.
    unsafe {
        Port::new(INDEX).write(register);
        Port::new(DATA).read()
    }
}
