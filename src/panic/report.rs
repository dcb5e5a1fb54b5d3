//! The crash report: what happened, where, and how the code got there, as records of level 0 and 1.
//!
//! Only the message of a `panic!` is formatted by code that is not this module's own; everything else
//! is put together by [`Line`], which cannot panic.

use super::cause::Cause;
use super::line::Line;
use crate::log::ring;
use crate::machine::exceptions::{Frame, MACHINE_CHECK, PAGE_FAULT};
use crate::machine::firmware::gate;
use crate::machine::paging::{self, Meaning};
use crate::machine::{build, clock, machine_check, stacks};
use crate::memory::memory;
use core::panic::PanicInfo;
use netconsole::ring::Level;
use x86_64::registers::control::{Cr0, Cr2, Cr3, Cr4};

/// The most callers that the backtrace names.
const MAX_CALLERS: usize = 32;

/// The module that the report's records name.
const MODULE: &str = "panic";

/// How often the panic path has been entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    First,
    Second,
    Third,
    /// Only the fixed frame.
    Fourth,
}

impl Depth {
    /// How deep this start of the path is.
    pub fn of(start: u8) -> Self {
        match start {
            0 | 1 => Self::First,
            2 => Self::Second,
            3 => Self::Third,
            _ => Self::Fourth,
        }
    }
}

/// Writes the report into the log ring: the whole at first, less each time that writing it failed.
pub fn write(cause: &Cause<'_>, depth: Depth) {
    let last = ring().end().checked_sub(1);
    what(cause);
    if let Some(call) = gate::under_way() {
        let mut line = Line::new("firmware: inside of its ");
        line.text(call.name()).text(": it is called no more");
        alert(&line);
    }
    if depth == Depth::First {
        let mut line = Line::new("netconsole ");
        line.text(build::RELEASE).text(", build id ").text(build::id().as_str());
        line.text(", uptime ").decimal(memory().timebase().read().micros(clock::ticks())).text(" us");
        match last {
            Some(last) => line.text(", last record before this report ").decimal(last),
            None => line.text(", no record before this report"),
        };
        alert(&line);
        offset();
    }
    if depth != Depth::Third {
        instruction(cause.frame());
    }
    if depth == Depth::First {
        registers(cause.frame());
        backtrace(cause.frame());
    }
    let mut end = Line::new("---[ end Kernel panic - not syncing: ");
    end.text(cause.name()).text(" ]---");
    emergency(&end);
}

/// What happened, in one line, and `when`: for when writing the report failed time and again, or there is no log yet.
pub fn fixed(cause: &Cause<'_>, when: &str) -> Line {
    let mut text = Line::new("Kernel panic - not syncing: ");
    text.text(when).text(": ").text(cause.name()).text(" at ");
    match cause.location() {
        Some(location) => text.text(location.file()).text(":").decimal(location.line().into()),
        None => text.text("0x").hex(paging::linked(cause.frame().rip), 16),
    };
    text
}

fn alert(line: &Line) {
    ring().append_str(Level::Alert, MODULE, clock::ticks(), line.as_str());
}

/// A record of level 0.
pub fn emergency(line: &Line) {
    ring().append_str(Level::Emergency, MODULE, clock::ticks(), line.as_str());
}

/// What happened, in one or two lines.
fn what(cause: &Cause<'_>) {
    match cause {
        Cause::Panic { info, .. } => {
            if let Some(location) = cause.location() {
                let mut line = Line::new("Kernel panic at ");
                line.text(location.file()).text(":").decimal(location.line().into());
                line.text(":").decimal(location.column().into());
                alert(&line);
            }
            write_message(info);
        }
        Cause::Exception(frame) => {
            let mut line = Line::new("BUG: ");
            line.text(frame.name()).text(" (vector ").decimal(frame.vector);
            line.text(", error code 0x").hex(frame.error, 4).text(")");
            match frame.vector {
                PAGE_FAULT => page_fault(&mut line, frame),
                _ => selector(&mut line, frame),
            }
            alert(&line);
            if frame.vector == MACHINE_CHECK {
                machine_checks();
            }
            let mut line = Line::new("Kernel panic - not syncing: Fatal exception: ");
            line.text(frame.name());
            emergency(&line);
        }
    }
}

/// The one place where foreign code runs: what a `panic!` says is formatted, straight into the ring. When that
/// fails, what there is of it stays there as a record that was cut, and the path starts again. Not inlined,
/// so that tests/panic_path.rs knows it.
#[inline(never)]
fn write_message(info: &PanicInfo<'_>) {
    ring().append(
        Level::Emergency,
        MODULE,
        clock::ticks(),
        format_args!("Kernel panic - not syncing: {}", info.message()),
    );
}

/// What the CPU tells of a machine check, a line for each bank that has an error.
fn machine_checks() {
    if let Some(status) = machine_check::status() {
        let mut line = Line::new("machine check: status 0x");
        line.hex(status, 16);
        alert(&line);
    }
    for event in machine_check::events() {
        let mut line = Line::new("machine check: bank ");
        line.decimal(event.bank.into()).text(": status 0x").hex(event.status, 16);
        for (name, value) in [(", address 0x", event.address), (", misc 0x", event.other)] {
            if let Some(value) = value {
                line.text(name).hex(value, 16);
            }
        }
        alert(&line);
    }
    machine_check::end();
}

fn selector(line: &mut Line, frame: &Frame) {
    let Some(selector) = frame.selector() else { return };
    line.text(": ").text(selector.table).text(" entry ").decimal(selector.index);
    if selector.external {
        line.text(", while an interrupt was delivered");
    }
}

fn page_fault(line: &mut Line, frame: &Frame) {
    let address = Cr2::read_raw();
    let (action, why) = frame.page_fault();
    line.text(": ").text(action).text(" 0x").hex(address, 16).text(" (");
    match paging::meaning(address) {
        Meaning::Null => line.text("null pointer"),
        Meaning::Guard(stack) => line.text("guard page: the ").text(stack).text(" stack overflowed"),
        Meaning::Code => line.text("code"),
        Meaning::Constants => line.text("constants"),
        Meaning::Data => line.text("data"),
        Meaning::Unmapped => line.text("unmapped"),
    };
    line.text("): ").text(why);
}

/// Where the kernel lies, if that is not where the ELF file has it.
fn offset() {
    let offset = paging::offset();
    if offset != 0 {
        let mut line = Line::new("Kernel Offset: 0x");
        line.hex(offset, 16).text(", already subtracted from RIP and the call trace");
        alert(&line);
    }
}

/// Where the CPU was, as Linux's report shows it: the address that the ELF file has for it.
fn instruction(frame: &Frame) {
    let mut line = Line::new("RIP: ");
    line.hex(frame.cs, 4).text(":").hex(paging::linked(frame.rip), 16).text(" RSP: ").hex(frame.ss, 4);
    line.text(":").hex(frame.rsp, 16).text(" RFLAGS: ").hex(frame.rflags, 8);
    alert(&line);
}

/// The other registers.
fn registers(frame: &Frame) {
    for row in [
        [("RAX", frame.rax), ("RBX", frame.rbx), ("RCX", frame.rcx), ("RDX", frame.rdx)],
        [("RSI", frame.rsi), ("RDI", frame.rdi), ("RBP", frame.rbp), ("R08", frame.r8)],
        [("R09", frame.r9), ("R10", frame.r10), ("R11", frame.r11), ("R12", frame.r12)],
        [("R13", frame.r13), ("R14", frame.r14), ("R15", frame.r15), ("CR0", Cr0::read_raw())],
        [
            ("CR2", Cr2::read_raw()),
            ("CR3", Cr3::read_raw().0.start_address().as_u64()),
            ("CR4", Cr4::read_raw()),
            ("TSC", clock::ticks()),
        ],
    ] {
        let mut line = Line::new("");
        for (index, (name, value)) in row.into_iter().enumerate() {
            line.text(if index == 0 { "" } else { " " }).text(name).text(": ").hex(value, 16);
        }
        alert(&line);
    }
}

/// Who called, by the chain of frame pointers: each is checked to lie in a stack, above the one before,
/// before anything is read through it.
fn backtrace(frame: &Frame) {
    alert(&Line::new("Call Trace:"));
    caller(frame.rip);
    let mut pointer = frame.rbp;
    for _ in 0..MAX_CALLERS {
        let in_a_stack = stacks::places().iter().any(|stack| {
            let lowest = stack.guard.saturating_add(stacks::GUARD as u64);
            (lowest..stack.end.saturating_sub(15)).contains(&pointer)
        });
        if !in_a_stack || !pointer.is_multiple_of(8) {
            return;
        }
        let words: *const [u64; 2] = core::ptr::with_exposed_provenance(pointer as usize);
        // SAFETY: both words lie in one of the stacks, as checked above, which are always mapped; they
        // are read as plain numbers whatever they hold.
        let [next, return_address] = unsafe { words.read_volatile() };
        if return_address == 0 {
            return;
        }
        caller(return_address);
        if next <= pointer {
            return;
        }
        pointer = next;
    }
}

fn caller(address: u64) {
    let mut line = Line::new(" [<");
    line.hex(paging::linked(address), 16).text(">]");
    if paging::meaning(address) != Meaning::Code {
        line.text(" (not code)");
    }
    alert(&line);
}
