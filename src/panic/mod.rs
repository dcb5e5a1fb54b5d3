//! The last words: one path for `panic!`, every exception, NMI and stack overflow.
//!
//! It runs on stacks of its own with interrupts off and with exception entries of its own. It takes no
//! lock, allocates nothing, waits for nothing without a deadline, and trusts nothing that the
//! interrupted code may have left half-written: the log ring checks each record, the targets come from
//! a checksummed snapshot, and the network card is reset and driven through memory kept for this alone.
//!
//! When something here fails in turn, the path starts anew with a shorter report; the fourth start
//! sends one fixed frame, and a fifth only ends the machine.
//!
//! Nothing here can panic (tests/panic_path.rs shows it by the machine code) but the message of a
//! `panic!`, which is formatted by whoever wrote it.

#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::todo,
    clippy::unimplemented,
    clippy::unreachable,
    clippy::unwrap_used
)]

mod card;
mod ending;
mod hear;
mod line;
mod load;
mod ncrx;
mod plan;
mod report;
mod ship;

pub use card::Card;
pub use ending::Policy;

use crate::crash::{self, Armed};
use crate::machine::exceptions::Frame;
use crate::machine::{clock, descriptors, power, stacks, watchdog};
use crate::memory;
use core::arch::asm;
use core::mem::offset_of;
use core::panic::{Location, PanicInfo};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use netconsole::seal::Numbers;
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

    /// Where in the source it was, if that is known.
    fn location(&self) -> Option<&Location<'_>> {
        match self {
            Self::Panic { info, .. } => info.location(),
            Self::Exception(_) => None,
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
    /// Only the fixed frame.
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

/// Where exceptions arrive while the panic path runs, but for the NMI, which is then ignored.
pub extern "C" fn exception_in_panic(frame: &Frame) -> ! {
    begin(&Cause::Exception(frame))
}

/// The numbers of what this start of the path seals.
fn numbers() -> Numbers<'static> {
    let start = u8::try_from(ENTRIES.load(Ordering::Relaxed)).unwrap_or(u8::MAX);
    Numbers::Panic { start, ticks: clock::ticks }
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
        4 => ending::end(),
        // Even the end failed.
        _ => power::halt(),
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
    watchdog::give_time();
    if REPORT.load(Ordering::Relaxed) == 0 {
        REPORT.store(memory::ring().end().wrapping_add(1), Ordering::Relaxed);
    }
    if depth == Depth::Fourth {
        // First to the network, put together from constants; then to the log, under the number that it was sent with.
        let text = report::fixed(cause);
        ending::fixed_text(&text);
        report::emergency(&text);
        ending::end()
    }
    report::write(cause, depth);
    crash::here(Armed::Panic);
    ending::last_words()
}

/// The sequence number of the report's first record.
fn report_begins() -> u64 {
    REPORT.load(Ordering::Relaxed).saturating_sub(1)
}

/// The registers as they are now, for a `panic!`, where no exception has saved them.
#[inline(always)]
fn registers_here() -> Frame {
    let mut frame = Frame { vector: u64::MAX, ..Frame::default() };
    // SAFETY: writes registers to the frame, at the fields' own offsets, and pops what it pushes.
    unsafe {
        asm!(
            "mov [{frame} + {R15}], r15", "mov [{frame} + {R14}], r14", "mov [{frame} + {R13}], r13",
            "mov [{frame} + {R12}], r12", "mov [{frame} + {R11}], r11", "mov [{frame} + {R10}], r10",
            "mov [{frame} + {R9}], r9", "mov [{frame} + {R8}], r8", "mov [{frame} + {RBP}], rbp",
            "mov [{frame} + {RDI}], rdi", "mov [{frame} + {RSI}], rsi", "mov [{frame} + {RDX}], rdx",
            "mov [{frame} + {RCX}], rcx", "mov [{frame} + {RBX}], rbx", "mov [{frame} + {RAX}], rax",
            "mov [{frame} + {RSP}], rsp", "mov [{frame} + {CS}], cs", "mov [{frame} + {SS}], ss",
            "pushfq", "pop [{frame} + {RFLAGS}]",
            "lea {scratch}, [rip]", "mov [{frame} + {RIP}], {scratch}",
            frame = in(reg) &raw mut frame,
            scratch = out(reg) _,
            R15 = const offset_of!(Frame, r15), R14 = const offset_of!(Frame, r14),
            R13 = const offset_of!(Frame, r13), R12 = const offset_of!(Frame, r12),
            R11 = const offset_of!(Frame, r11), R10 = const offset_of!(Frame, r10),
            R9 = const offset_of!(Frame, r9), R8 = const offset_of!(Frame, r8),
            RBP = const offset_of!(Frame, rbp), RDI = const offset_of!(Frame, rdi),
            RSI = const offset_of!(Frame, rsi), RDX = const offset_of!(Frame, rdx),
            RCX = const offset_of!(Frame, rcx), RBX = const offset_of!(Frame, rbx),
            RAX = const offset_of!(Frame, rax), RSP = const offset_of!(Frame, rsp),
            CS = const offset_of!(Frame, cs), SS = const offset_of!(Frame, ss),
            RFLAGS = const offset_of!(Frame, rflags), RIP = const offset_of!(Frame, rip),
        );
    }
    frame
}
