//! The CPU's exceptions: their entries (boot/exceptions.s), the registers that they save, and their
//! names for the crash report (Intel SDM volume 3, chapter 6).

use super::paging;
use core::arch::global_asm;
use core::fmt;
use x86_64::registers::control::{Cr0, Cr2, Cr3, Cr4};

global_asm!(include_str!("../../boot/exceptions.s"), exception = sym crate::panic::exception);

/// Each entry's size in boot/exceptions.s, in bytes.
const ENTRY_SIZE: u64 = 16;

unsafe extern "C" {
    fn exception_entries();
}

/// Where the vector's entry lies.
pub fn entry_address(vector: usize) -> u64 {
    exception_entries as *const () as u64 + vector as u64 * ENTRY_SIZE
}

/// The interrupted code's registers, as boot/exceptions.s and the CPU leave them on the stack.
#[repr(C)]
pub struct Frame {
    r15: u64,
    r14: u64,
    r13: u64,
    r12: u64,
    r11: u64,
    r10: u64,
    r9: u64,
    r8: u64,
    /// The frame pointer: where the backtrace begins.
    pub rbp: u64,
    rdi: u64,
    rsi: u64,
    rdx: u64,
    rcx: u64,
    rbx: u64,
    rax: u64,
    vector: u64,
    error: u64,
    /// The instruction that was interrupted.
    pub rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,
}

const PAGE_FAULT: u64 = 14;

/// Names by vector.
const NAMES: [&str; 22] = [
    "divide error",
    "debug",
    "NMI",
    "breakpoint",
    "overflow",
    "bound range exceeded",
    "invalid opcode",
    "device not available",
    "double fault",
    "coprocessor segment overrun",
    "invalid TSS",
    "segment not present",
    "stack segment fault",
    "general protection fault",
    "page fault",
    "reserved",
    "x87 floating-point error",
    "alignment check",
    "machine check",
    "SIMD floating-point error",
    "virtualization exception",
    "control protection exception",
];

impl Frame {
    /// What happened, in one line.
    pub fn cause(&self) -> Cause<'_> {
        Cause(self)
    }

    /// All registers, in lines.
    pub fn registers(&self) -> Registers<'_> {
        Registers(self)
    }
}

/// Shows what happened: the vector by name, the error code decoded, a page fault's address.
pub struct Cause<'f>(&'f Frame);

impl fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Frame { vector, error, .. } = *self.0;
        match usize::try_from(vector).ok().and_then(|vector| NAMES.get(vector)) {
            Some(name) => f.write_str(name)?,
            None => write!(f, "unexpected interrupt")?,
        }
        write!(f, " (vector {vector}, error code {error:#x})")?;
        if vector == PAGE_FAULT {
            // SDM volume 3, figure 4-12: bit 0 protection, bit 1 write, bit 4 instruction fetch.
            let action = match (error & 1 << 4 != 0, error & 1 << 1 != 0) {
                (true, _) => "executing",
                (false, true) => "writing",
                (false, false) => "reading",
            };
            let address = Cr2::read_raw();
            let why = if error & 1 != 0 { "not allowed" } else { "not mapped" };
            write!(f, ": {action} {address:#018x}, {why}: {}", paging::describe(address))?;
        }
        Ok(())
    }
}

/// Shows the registers as Linux's report does, four to a line.
pub struct Registers<'f>(&'f Frame);

impl fmt::Display for Registers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let r = self.0;
        writeln!(
            f,
            "RIP: {:04x}:{:016x} RSP: {:04x}:{:016x} RFLAGS: {:08x}",
            r.cs, r.rip, r.ss, r.rsp, r.rflags
        )?;
        writeln!(f, "RAX: {:016x} RBX: {:016x} RCX: {:016x} RDX: {:016x}", r.rax, r.rbx, r.rcx, r.rdx)?;
        writeln!(f, "RSI: {:016x} RDI: {:016x} RBP: {:016x} R08: {:016x}", r.rsi, r.rdi, r.rbp, r.r8)?;
        writeln!(f, "R09: {:016x} R10: {:016x} R11: {:016x} R12: {:016x}", r.r9, r.r10, r.r11, r.r12)?;
        writeln!(f, "R13: {:016x} R14: {:016x} R15: {:016x}", r.r13, r.r14, r.r15)?;
        write!(
            f,
            "CR0: {:016x} CR2: {:016x} CR3: {:016x} CR4: {:016x}",
            Cr0::read_raw(),
            Cr2::read_raw(),
            Cr3::read().0.start_address(),
            Cr4::read_raw()
        )
    }
}
