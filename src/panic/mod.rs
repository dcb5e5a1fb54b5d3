//! The last words: one path for `panic!`, every exception, NMI and stack overflow.
//!
//! It runs on stacks of its own with interrupts off and with exception entries of its own. It takes no
//! lock, allocates nothing, waits for nothing without a deadline, and trusts nothing that the
//! interrupted code may have left half-written: the log ring checks each record, the targets come from
//! a checksummed snapshot, and the network card is reset and driven through memory kept for this alone.
//!
//! When something here fails in turn, the path starts anew with a shorter report; the fourth start
//! sends one fixed line, and a fifth only ends the machine.

mod ending;
mod line;
mod report;
mod ship;

pub use ending::Policy;

use crate::crash::{self, Armed};
use crate::machine::exceptions::{Frame, NMI};
use crate::machine::{descriptors, stacks};
use crate::memory;
use core::arch::asm;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use x86_64::instructions::interrupts;

/// Why the kernel died.
enum Cause<'a> {
    Panic { info: &'a PanicInfo<'a>, frame: Frame },
    Exception(&'a Frame),
}

impl Cause<'_> {
    fn frame(&self) -> &Frame {
        match self {
            Self::Panic { frame, .. } => frame,
            Self::Exception(frame) => frame,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Panic { .. } => "panic",
            Self::Exception(frame) => frame.name(),
        }
    }
}

/// How often the path has been entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    First,
    Second,
    Third,
    /// Only the fixed line.
    Fourth,
}

static ENTRIES: AtomicU32 = AtomicU32::new(0);
/// The sequence number of the report's first record, plus 1; 0 before there is one.
static REPORT: AtomicU64 = AtomicU64::new(0);

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let frame = registers_here();
    begin(&Cause::Panic { info, frame })
}

/// Where exceptions arrive in normal running (boot/exceptions.s).
pub extern "C" fn exception(frame: &Frame) -> ! {
    begin(&Cause::Exception(frame))
}

/// Where exceptions arrive while the panic path runs. A second NMI then (a watchdog that goes on
/// barking) is no failure of the path, but there is no way back from its entry either.
pub extern "C" fn exception_in_panic(frame: &Frame) -> ! {
    begin(&Cause::Exception(frame))
}

fn begin(cause: &Cause<'_>) -> ! {
    interrupts::disable();
    descriptors::enter_panic();
    let entries = ENTRIES.fetch_add(1, Ordering::Relaxed);
    let [first, second, third, fourth] = &stacks::PANIC;
    let stack = match entries {
        0 => first,
        1 => second,
        2 => third,
        3 => fourth,
        _ => ending::end(),
    };
    // The cause stays where it is, on a stack that nothing runs on any more.
    stacks::run_on(stack.end(), last_words, core::ptr::from_ref(cause).expose_provenance() as u64)
}

extern "C" fn last_words(cause: u64) -> ! {
    // SAFETY: `begin` passed this reference, and its stack is left for good, so that it stays valid.
    let cause = unsafe { &*core::ptr::with_exposed_provenance::<Cause<'static>>(cause as usize) };
    let depth = match ENTRIES.load(Ordering::Relaxed) {
        0 | 1 => Depth::First,
        2 => Depth::Second,
        3 => Depth::Third,
        _ => Depth::Fourth,
    };
    if REPORT.load(Ordering::Relaxed) == 0 {
        REPORT.store(memory::ring().end().wrapping_add(1), Ordering::Relaxed);
    }
    if depth == Depth::Fourth {
        ship::fixed_line(cause);
        ending::end()
    }
    report::write(cause, depth);
    if depth == Depth::First {
        crash::here(Armed::Panic);
    }
    if depth != Depth::Third {
        crash::here(Armed::PanicTwice);
    }
    let cards = ship::everything();
    ending::after_the_last_words(cards)
}

/// The sequence number of the report's first record.
fn report_begins() -> u64 {
    REPORT.load(Ordering::Relaxed).saturating_sub(1)
}

/// The registers that a `panic!` can still tell: those that calls keep, and where it came from.
#[inline(always)]
fn registers_here() -> Frame {
    let (rbx, rbp, rsp, rip, r12, r13, r14, r15, rflags): (u64, u64, u64, u64, u64, u64, u64, u64, u64);
    // SAFETY: only reads registers; the pushed flags are popped again.
    unsafe {
        asm!(
            "mov {rbx}, rbx", "mov {rbp}, rbp", "mov {rsp}, rsp", "lea {rip}, [rip]",
            "pushfq", "pop {rflags}",
            rbx = out(reg) rbx, rbp = out(reg) rbp, rsp = out(reg) rsp, rip = out(reg) rip,
            rflags = out(reg) rflags,
        );
        asm!(
            "mov {r12}, r12", "mov {r13}, r13", "mov {r14}, r14", "mov {r15}, r15",
            r12 = out(reg) r12, r13 = out(reg) r13, r14 = out(reg) r14, r15 = out(reg) r15,
        );
    }
    Frame {
        r15,
        r14,
        r13,
        r12,
        r11: 0,
        r10: 0,
        r9: 0,
        r8: 0,
        rbp,
        rdi: 0,
        rsi: 0,
        rdx: 0,
        rcx: 0,
        rbx,
        rax: 0,
        vector: NMI,
        error: 0,
        rip,
        cs: 8,
        rflags,
        rsp,
        ss: 0,
    }
}
