//! The CPU's exceptions: where their entries lie (boot/exceptions.s, which src/panic/entries.rs assembles), the registers that they save, and their
//! names for the crash report (Intel SDM volume 3, chapter 6).

/// Each entry's size in boot/exceptions.s, in bytes.
const ENTRY_SIZE: u64 = 16;

unsafe extern "C" {
    fn exception_entries();
    fn panic_entries();
    fn firmware_entries();
    fn ignore_nmi();
}

/// Where the vector's entry for normal running lies.
pub fn entry_address(vector: usize) -> u64 {
    exception_entries as *const () as u64 + vector as u64 * ENTRY_SIZE
}

/// Where the vector's entry for while the panic path runs lies.
pub fn panic_entry_address(vector: usize) -> u64 {
    if vector as u64 == NMI {
        return ignore_nmi as *const () as u64;
    }
    panic_entries as *const () as u64 + vector as u64 * ENTRY_SIZE
}

/// Where the entry lies of one of the CPU's own exceptions, those below 32, while the CPU is the firmware's.
pub fn firmware_entry_address(vector: u8) -> u64 {
    firmware_entries as *const () as u64 + u64::from(vector) * ENTRY_SIZE
}

/// Where the NMI's entry lies that counts it and changes nothing else.
pub fn counting_entry_address() -> u64 {
    ignore_nmi as *const () as u64
}

/// The interrupted code's registers, as boot/exceptions.s and the CPU leave them on the stack.
#[repr(C)]
#[derive(Clone, Copy, Default)]
#[allow(missing_docs, reason = "the registers' own names")]
pub struct Frame {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rbp: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rdx: u64,
    pub rcx: u64,
    pub rbx: u64,
    pub rax: u64,
    pub vector: u64,
    pub error: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

/// The general protection fault's vector.
pub const GENERAL_PROTECTION: u64 = 13;
/// The machine check's vector.
pub const MACHINE_CHECK: u64 = 18;
/// The page fault's vector.
pub const PAGE_FAULT: u64 = 14;
/// The non-maskable interrupt's vector.
pub const NMI: u64 = 2;

/// A descriptor that an error code names.
pub struct Selector {
    /// The table.
    pub table: &'static str,
    /// Its number there; in the IDT that is a vector.
    pub index: u64,
    /// Whether it was an event from outside that was being delivered.
    pub external: bool,
}

impl Frame {
    /// The vector's name. Panic-safe.
    pub fn name(&self) -> &'static str {
        match self.vector {
            0 => "divide error",
            1 => "debug exception",
            2 => "non-maskable interrupt",
            3 => "breakpoint",
            4 => "overflow",
            5 => "bound range exceeded",
            6 => "invalid opcode",
            7 => "device not available",
            8 => "double fault",
            9 => "coprocessor segment overrun",
            10 => "invalid TSS",
            11 => "segment not present",
            12 => "stack segment fault",
            13 => "general protection fault",
            14 => "page fault",
            16 => "x87 floating-point error",
            17 => "alignment check",
            18 => "machine check",
            19 => "SIMD floating-point error",
            20 => "virtualization exception",
            21 => "control protection exception",
            _ => "unexpected interrupt",
        }
    }

    /// What the error code of the faults of segments says (SDM volume 3, section 6.13): vectors 10 to 13,
    /// where it is not 0. Panic-safe.
    pub fn selector(&self) -> Option<Selector> {
        let names_one = (10..=13).contains(&self.vector) && self.error != 0;
        let table = match self.error >> 1 & 0b11 {
            0b00 => "GDT",
            0b10 => "LDT",
            _ => "IDT",
        };
        names_one.then_some(Selector {
            table,
            index: self.error >> 3 & 0x1fff,
            external: self.error & 1 != 0,
        })
    }

    /// What a page fault's error code says (SDM volume 3, figure 4-12): bit 0 protection, bit 1 write,
    /// bit 3 reserved bit, bit 4 instruction fetch. Panic-safe.
    pub fn page_fault(&self) -> (&'static str, &'static str) {
        let bit = |number: u32| self.error & 1 << number != 0;
        let action = match (bit(4), bit(1)) {
            (true, _) => "executing",
            (false, true) => "writing",
            (false, false) => "reading",
        };
        let why = match (bit(3), bit(0)) {
            (true, _) => "a reserved bit is set in the page tables",
            (false, true) => "the page does not allow it",
            (false, false) => "no page is mapped there",
        };
        (action, why)
    }
}
