//! Where the panic path is entered: from `panic!`, and from the exceptions' entries (boot/exceptions.s).

use super::cause::Cause;
use super::ending;
use super::report::{self, Depth};
use crate::machine::exceptions::{self, Frame};
use crate::machine::trap::{self, Place};
use crate::machine::{cache, descriptors, machine_check, nmi, power, stacks, watchdog};
use crate::platform::ThisKernel;
use crate::serial_console;
use core::arch::{asm, global_asm};
use core::mem::offset_of;
use core::panic::PanicInfo;
use netconsole::last_words::Report;
use x86_64::instructions::interrupts;

global_asm!(
    include_str!("../../boot/registers.s"),
    include_str!("../../boot/exceptions.s"),
    exception = sym exception,
    exception_in_panic = sym exception_in_panic,
    PAGE_FAULT = const exceptions::PAGE_FAULT,
    GENERAL_PROTECTION = const exceptions::GENERAL_PROTECTION,
    MACHINE_CHECK = const exceptions::MACHINE_CHECK,
    pass_over_machine_check = sym machine_check::pass_over,
    NMIS = sym nmi::COUNT,
);

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let frame = registers_here();
    begin(&Cause::Panic { info, frame })
}

/// Where exceptions arrive in normal running (boot/exceptions.s).
extern "C" fn exception(frame: &Frame) -> ! {
    begin(&Cause::Exception(frame))
}

/// Where exceptions arrive while the panic path runs, but for the NMI, which is then ignored.
extern "C" fn exception_in_panic(frame: &Frame) -> ! {
    begin(&Cause::Exception(frame))
}

fn begin(cause: &Cause<'_>) -> ! {
    interrupts::disable();
    descriptors::enter_panic();
    let [first, second, third, fourth] = &stacks::PANIC;
    let stack = match Report::begin::<ThisKernel>().start {
        0 | 1 => first,
        2 => second,
        3 => third,
        4 => fourth,
        5 => {
            serial_console::say("Kernel panic - not syncing: panic in panic, five times: this is the end");
            ending::end()
        }
        // Even the end failed.
        _ => power::halt(),
    };
    // The cause stays where it is, on a stack that nothing runs on any more.
    stacks::run_on(stack.end(), last_words, core::ptr::from_ref(cause).expose_provenance() as u64)
}

extern "C" fn last_words(cause: u64) -> ! {
    // SAFETY: `begin` passed this reference, and its stack is left for good, so that it stays valid.
    let cause = unsafe { &*core::ptr::with_exposed_provenance::<Cause<'static>>(cause as usize) };
    let depth = Depth::of(Report::under_way::<ThisKernel>().start);
    watchdog::give_time();
    if depth == Depth::Fourth {
        // First to serial and the network, put together from constants; then to the log, under the number that it was
        // sent with.
        let text = report::fixed(cause, "panic in panic");
        serial_console::say(text.as_str());
        ending::fixed_text(&text);
        report::emergency(&text);
        cache::write_back_all();
        ending::end()
    }
    report::write(cause, depth);
    // What a card or a reset does from here on, the report is in memory.
    cache::write_back_all();
    trap::probe(Place::Panic);
    ending::last_words(&report::fixed(cause, "before the log has begun"))
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
