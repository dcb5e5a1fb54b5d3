//! NMIs that a dead kernel has left: one may be pending, or all may be blocked until an `iretq` where the kernel died in one.
//! They are let in and counted.

use super::descriptors;
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

/// How many were counted, by boot/exceptions.s; in the panic path, too.
pub static COUNT: AtomicU64 = AtomicU64::new(0);

/// From here on an NMI is counted and changes nothing else. Those that were blocked come now.
pub fn count() {
    descriptors::count_nmis();
    // SAFETY: it returns to the next instruction with the stack, the segments and the flags as they are (Intel SDM volume
    // 3, section 6.7.1: IRET lets NMIs in again). The stack is used as a call would use it.
    unsafe {
        asm!(
            "mov {stack}, rsp",
            "mov {word:e}, ss",
            "push {word}",
            "push {stack}",
            "pushfq",
            "mov {word:e}, cs",
            "push {word}",
            "lea {word}, [rip + 2f]",
            "push {word}",
            "iretq",
            "2:",
            stack = out(reg) _,
            word = out(reg) _,
        );
    }
}

/// Says how many have come since it was said last, if any have.
pub fn tell() {
    static TOLD: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.load(Ordering::Relaxed);
    let new = count.wrapping_sub(TOLD.swap(count, Ordering::Relaxed));
    if new > 0 {
        log::warn!(
            "cpu: non-maskable interrupts: {new}, counted and no more: Linux or the board has left them"
        );
    }
}
