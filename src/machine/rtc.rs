//! The real-time clock, read once at the boot: ports 0x70 (which register) and 0x71 (its value).

use bootinfo::rtc::Registers;
use x86_64::instructions::port::Port;

const INDEX: u16 = 0x70;
const DATA: u16 = 0x71;
/// Bit 7 of the index turns NMIs off on many machines; it stays 0.
const STATUS_A: u8 = 0x0a;
const STATUS_B: u8 = 0x0b;
const CENTURY: u8 = 0x32;
/// Register A: the time is about to change; within 244 µs before that it is 1 (MC146818A datasheet).
const UPDATE_IN_PROGRESS: u8 = 1 << 7;
/// How often a time is read until two are the same: a change takes 2 ms, each read a microsecond.
const TRIES: u32 = 10_000;

/// Seconds since 1970, the clock taken for UTC; `None` where there is none or it tells no time.
pub fn unix_seconds() -> Option<u64> {
    let mut before = None;
    for _ in 0..TRIES {
        if read(STATUS_A) & UPDATE_IN_PROGRESS != 0 {
            continue;
        }
        let registers = Registers {
            seconds: read(0),
            minutes: read(2),
            hours: read(4),
            day: read(7),
            month: read(8),
            year: read(9),
            century: read(CENTURY),
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
