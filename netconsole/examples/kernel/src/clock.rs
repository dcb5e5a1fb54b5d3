//! Time: the time stamp counter, measured once against the i8254; and the date, so that no two boots are the same.

use core::arch::x86_64::_rdtsc;
use core::sync::atomic::{AtomicU64, Ordering};
use x86_64::instructions::port::Port;

static TICKS_PER_SECOND: AtomicU64 = AtomicU64::new(0);

/// The time stamp counter.
pub fn ticks() -> u64 {
    // SAFETY: every 64-bit processor has it.
    unsafe { _rdtsc() }
}

/// How fast it runs, as [`measure`] has found.
pub fn ticks_per_second() -> u64 {
    TICKS_PER_SECOND.load(Ordering::Relaxed)
}

/// Has channel 2 of the i8254 count 10 ms, and looks how far the time stamp counter comes meanwhile: its ticks per second.
pub fn measure() -> u64 {
    const HZ: u32 = 1_193_182;
    const OUTPUT: u8 = 1 << 5;
    let [low, high, ..] = (HZ / 100).to_le_bytes();
    let (mut gate, mut control, mut count) =
        (Port::<u8>::new(0x61), Port::<u8>::new(0x43), Port::<u8>::new(0x42));
    // SAFETY: the ports are the i8254's and its gate's, which nothing else uses.
    let ticks = unsafe {
        gate.write(1); // it counts, and the speaker is off
        control.write(0xb0); // channel 2, both bytes, mode 0: the output rises at the end
        count.write(low);
        count.write(high);
        let start = ticks();
        while gate.read() & OUTPUT == 0 {}
        ticks() - start
    };
    TICKS_PER_SECOND.store(ticks * 100, Ordering::Relaxed);
    ticks * 100
}

/// The date and the time of day to a second, as the real-time clock has them, and the time stamp counter: what no
/// other boot has. A kernel with a source of random numbers takes those.
pub fn boot_id() -> [u8; 16] {
    let mut id = [0; 16];
    for (byte, register) in id.iter_mut().zip([0, 2, 4, 7, 8, 9, 0x32]) {
        // SAFETY: a look at the real-time clock changes nothing.
        *byte = unsafe {
            Port::<u8>::new(0x70).write(register);
            Port::new(0x71).read()
        };
    }
    id[8..].copy_from_slice(&ticks().to_le_bytes());
    id
}

/// Waits.
pub fn wait(duration: u64) {
    let start = ticks();
    while ticks() - start < duration {
        core::hint::spin_loop();
    }
}
