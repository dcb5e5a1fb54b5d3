//! What makes this boot unlike any other: the CPU's random numbers where it has them, and the clocks.

use super::{clock, rtc};
use core::arch::asm;
use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::sync::atomic::{AtomicBool, Ordering};
use netconsole::seal::{BootId, draw};

/// How often an instruction is asked for a number that it does not have yet (Intel SDM volume 1, section
/// 7.3.17.1, advises ten tries).
const TRIES: usize = 10;

/// The CPU's source of random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Rdseed,
    Rdrand,
}

/// Those that this CPU has: CPUID, leaf 7, EBX bit 18 and leaf 1, ECX bit 30.
fn sources() -> impl Iterator<Item = Source> {
    let has_rdseed = __cpuid(0).eax >= 7 && __cpuid_count(7, 0).ebx & 1 << 18 != 0;
    let has_rdrand = __cpuid(1).ecx & 1 << 30 != 0;
    [has_rdseed.then_some(Source::Rdseed), has_rdrand.then_some(Source::Rdrand)].into_iter().flatten()
}

/// Whether random numbers went into the boot id.
static IS_RANDOM: AtomicBool = AtomicBool::new(false);

/// Whether the boot id is of the CPU's random numbers. Where it has none, or gave none, the id tells boots apart by the
/// clocks alone.
pub fn is_random() -> bool {
    IS_RANDOM.load(Ordering::Relaxed)
}

/// An id that no other boot has had: 128 random bits, with the time stamp counter and the real-time clock
/// XORed into them, so that it is at least as different as each of these is.
pub fn boot_id() -> BootId {
    let random = [random(), random()];
    IS_RANDOM.store(random.iter().all(Option::is_some), Ordering::Relaxed);
    let [first, second] = random.map(Option::unwrap_or_default);
    let id = [first ^ clock::ticks(), second ^ rtc::unix_seconds(None).unwrap_or(0)];
    BootId((u128::from(id[0]) << 64 | u128::from(id[1])).to_le_bytes())
}

/// A number that no other machine and no other boot has.
pub fn number() -> u64 {
    random().unwrap_or(0) ^ clock::ticks()
}

/// A random number, of the first source that gives one.
fn random() -> Option<u64> {
    draw(sources(), TRIES, ask)
}

/// Asks a source for a number; `None` where it has none now.
fn ask(source: Source) -> Option<u64> {
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
    core::hint::spin_loop();
    (is_valid != 0).then_some(number)
}
