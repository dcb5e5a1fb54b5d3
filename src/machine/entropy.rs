//! What makes this boot unlike any other: the CPU's random numbers where it has them, and the clocks.

use super::{clock, rtc};
use core::arch::asm;
use core::arch::x86_64::{__cpuid, __cpuid_count};
use netconsole::seal::BootId;

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
    let id = [random[0] ^ clock::ticks(), random[1] ^ rtc::unix_seconds().unwrap_or(0)];
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
