//! What each CPU was doing when the kernel died: the registers in its NT_PRSTATUS note.

use crate::memory::{Memory, field};
use crate::note::Note;

/// The note's type, and the name that Linux gives it.
const NT_PRSTATUS: u32 = 1;
const CORE: &[u8] = b"CORE";
/// Offsets in `struct elf_prstatus` on x86-64 (include/linux/elfcore.h): the process, and the registers.
const PID: usize = 32;
const REGISTERS: usize = 112;
const LEN: usize = REGISTERS + 27 * 8;

/// Registers, in the order of `struct user_regs_struct` (arch/x86/include/asm/user_64.h).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the register that its name says")]
pub struct Registers {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

/// A CPU that said what it was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// Its number: those that said nothing count too.
    pub number: usize,
    /// The process that ran on it; 0 is the idle one, or none.
    pub process: u32,
    /// Its registers.
    pub registers: Registers,
}

impl Cpu {
    /// What a note says, if it is of a CPU and whole. A CPU that never answered leaves an empty one, which is `None` too.
    pub(crate) fn read(memory: &impl Memory, number: usize, note: &Note) -> Option<Self> {
        if note.kind != NT_PRSTATUS || !note.is_called(CORE) || note.len < LEN as u64 {
            return None;
        }
        let mut bytes = [0; LEN];
        memory.read(note.at, &mut bytes).ok()?;
        let register = |number: usize| field(&bytes, number.checked_mul(8)?.checked_add(REGISTERS)?, 8);
        let registers = Registers {
            r15: register(0)?,
            r14: register(1)?,
            r13: register(2)?,
            r12: register(3)?,
            rbp: register(4)?,
            rbx: register(5)?,
            r11: register(6)?,
            r10: register(7)?,
            r9: register(8)?,
            r8: register(9)?,
            rax: register(10)?,
            rcx: register(11)?,
            rdx: register(12)?,
            rsi: register(13)?,
            rdi: register(14)?,
            // 15 is the number of a system call that was interrupted.
            rip: register(16)?,
            cs: register(17)?,
            rflags: register(18)?,
            rsp: register(19)?,
            ss: register(20)?,
        };
        let process = u32::try_from(field(&bytes, PID, 4)?).ok()?;
        Some(Self { number, process, registers })
    }
}
