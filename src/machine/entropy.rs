//! What makes this boot unlike any other: the CPU's random numbers where it has them, and the clocks.

use super::clock;
use core::arch::asm;
use core::arch::x86_64::{__cpuid, __cpuid_count};
use netconsole::netconsole::secure::BootId;
use x86_64::instructions::port::Port;

/// How often an instruction is asked for a number that it does not have yet (Intel SDM volume 1, section
/// 7.3.17.1, advises ten tries).
const TRIES: usize = 10;

/// The CPU's source of random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Rdseed,
    Rdrand,
}

/// CPUID, leaf 7, EBX bit 18 and leaf 1, ECX bit 30.
fn source() -> Option<Source> {
    if __cpuid(0).eax >= 7 && __cpuid_count(7, 0).ebx & 1 << 18 != 0 {
        Some(Source::Rdseed)
    } else if __cpuid(1).ecx & 1 << 30 != 0 {
        Some(Source::Rdrand)
    } else {
        None
    }
}

/// Whether the CPU has random numbers. Without, a boot id tells boots apart by the clocks alone.
pub fn is_random() -> bool {
    source().is_some()
}

/// An id that no other boot has had: 128 random bits, with the time stamp counter and the real-time clock
/// XORed into them, so that it is at least as different as each of these is.
pub fn boot_id() -> BootId {
    let random = [random(), random()];
    let id = [random[0] ^ clock::ticks(), random[1] ^ real_time()];
    BootId((u128::from(id[0]) << 64 | u128::from(id[1])).to_le_bytes())
}

/// A random number; 0 where there is none.
fn random() -> u64 {
    let Some(source) = source() else { return 0 };
    for _ in 0..TRIES {
        let (number, is_valid): (u64, u8);
        // SAFETY: CPUID has the instruction, which only writes a register and the carry flag.
        unsafe {
            match source {
                Source::Rdseed => {
                    asm!("rdseed {}", "setc {}", out(reg) number, out(reg_byte) is_valid, options(nomem, nostack))
                }
                Source::Rdrand => {
                    asm!("rdrand {}", "setc {}", out(reg) number, out(reg_byte) is_valid, options(nomem, nostack))
                }
            }
        }
        if is_valid != 0 {
            return number;
        }
        core::hint::spin_loop();
    }
    0
}

/// Index and data port of the MC146818's registers.
const CMOS_INDEX: u16 = 0x70;
const CMOS_DATA: u16 = 0x71;
/// Seconds, minutes, hours, day, month, year.
const CLOCK_REGISTERS: [u8; 6] = [0, 2, 4, 7, 8, 9];
/// How often the clock is read until it is the same twice, which it is not while it ticks.
const READS: usize = 100;

/// The real-time clock's registers as they are, as one number.
fn real_time() -> u64 {
    let read = || {
        CLOCK_REGISTERS.iter().fold(0, |time, &register| {
            // SAFETY: only this function, in the boot, uses these ports; reading has no side effect.
            let byte: u8 = unsafe {
                Port::new(CMOS_INDEX).write(register);
                Port::new(CMOS_DATA).read()
            };
            time << 8 | u64::from(byte)
        })
    };
    let mut last = read();
    for _ in 0..READS {
        let time = read();
        if time == last {
            break;
        }
        last = time;
    }
    last
}
