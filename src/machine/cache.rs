//! The CPU's caches: what is to outlive a reset is written back to memory, since RESET throws them away (Intel SDM volume
//! 3, table 10-1). In a virtual machine nothing is lost, and a record is not written back: its memory is the host's.
//!
//! The log is written back line by line, each as a record is done. A log that is mapped write-through would have each of
//! its stores written to memory, about eight times as slow (bench/benches/ring/write_back.rs), and each of its locked
//! instructions, two a record, would lock the whole bus (SDM volume 3, section 9.1.4).

use super::cpu;
use core::arch::asm;
use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// The size of a cache's line on every CPU with 64-bit mode, in bytes.
const LINE: usize = 64;

/// By which instruction a line is written back: [`CLFLUSH`] until [`choose`] has looked.
static BY: AtomicU8 = AtomicU8::new(CLFLUSH);
/// By none.
const NOT: u8 = 0;
/// Waits for the line before, and throws it away.
const CLFLUSH: u8 = 1;
/// Throws it away.
const CLFLUSHOPT: u8 = 2;
/// Keeps it, so that the next access to it is as fast as ever.
const CLWB: u8 = 3;

/// Chooses the best of this CPU's instructions (Intel SDM volume 2, CPUID, leaf 7, EBX bits 23 and 24).
pub fn choose() {
    let features = if __cpuid(0).eax >= 7 { __cpuid_count(7, 0).ebx } else { 0 };
    let by = match (features & 1 << 24 != 0, features & 1 << 23 != 0) {
        _ if cpu::is_virtual() => NOT,
        (true, _) => CLWB,
        (false, true) => CLFLUSHOPT,
        (false, false) => CLFLUSH,
    };
    BY.store(by, Ordering::Relaxed);
}

/// Has the lines of these words written back, soon, where a reset would throw them away. Panic-safe.
#[inline]
pub fn write_back(record: &[AtomicU64], entry: &AtomicU64) {
    let by = BY.load(Ordering::Relaxed);
    if by != NOT {
        write_lines_back(by, record, entry);
    }
}

#[inline(never)]
fn write_lines_back(by: u8, record: &[AtomicU64], entry: &AtomicU64) {
    // SAFETY, for all three: the line is that of one of the words, so that it is mapped. Nothing changes by this that can be
    // seen, and `choose` saw that the CPU has the instruction.
    match by {
        // SAFETY: as above.
        CLWB => each(record, entry, |line| unsafe {
            asm!("clwb [{}]", in(reg) line, options(nostack, preserves_flags));
        }),
        // SAFETY: as above.
        CLFLUSHOPT => each(record, entry, |line| unsafe {
            asm!("clflushopt [{}]", in(reg) line, options(nostack, preserves_flags));
        }),
        // SAFETY: as above.
        _ => each(record, entry, |line| unsafe {
            asm!("clflush [{}]", in(reg) line, options(nostack, preserves_flags));
        }),
    }
}

/// Calls `flush` with an address in each line.
#[inline(always)]
fn each(record: &[AtomicU64], entry: &AtomicU64, flush: impl Fn(usize)) {
    let range = record.as_ptr_range();
    let (mut line, end) = (range.start.addr() & !(LINE - 1), range.end.addr());
    while line < end {
        flush(line);
        line = line.wrapping_add(LINE);
    }
    flush(core::ptr::from_ref(entry).addr());
}

/// Writes all caches back. It takes some milliseconds on a large CPU. Panic-safe.
pub fn write_back_all() {
    // SAFETY: it changes nothing that can be seen; ring 0 may.
    unsafe { asm!("wbinvd", options(nostack, preserves_flags)) };
}
