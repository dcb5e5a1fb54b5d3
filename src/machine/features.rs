//! What the CPU itself can refuse ring 0, turned on where it has it (Intel SDM volume 3, section 2.5).

use core::arch::x86_64::__cpuid_count;
use x86_64::registers::control::{Cr4, Cr4Flags};

/// Each protection: its name, its bit in CR4, and whether CPUID's leaf 7 has it, in EBX and ECX.
const PROTECTIONS: [(&str, Cr4Flags, u32, u32); 3] = [
    ("SMEP", Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION, 1 << 7, 0),
    ("SMAP", Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION, 1 << 20, 0),
    ("UMIP", Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION, 0, 1 << 2),
];

/// CPUID's leaf of structured extended features.
const EXTENDED_FEATURES: u32 = 7;

/// Turns on what this CPU has of supervisor-mode execution and access prevention, and of user-mode
/// instruction prevention. No page of this kernel is open to ring 3 and nothing runs there: these hold
/// should a damaged page table or a stray return ever say otherwise.
pub fn turn_on_protections() {
    let (leaves, features) = (__cpuid_count(0, 0).eax, __cpuid_count(EXTENDED_FEATURES, 0));
    if leaves < EXTENDED_FEATURES {
        return;
    }
    let mut flags = Cr4::read();
    for (_, flag, ebx, ecx) in PROTECTIONS {
        if features.ebx & ebx != 0 || features.ecx & ecx != 0 {
            flags |= flag;
        }
    }
    // SAFETY: the CPU has every bit that is added, and all that they forbid is the use of ring 3's pages
    // and ring 3 itself, of which this kernel has none.
    unsafe { Cr4::write(flags) };
}

/// The names of the protections that are on.
pub fn protections() -> impl Iterator<Item = &'static str> {
    let flags = Cr4::read();
    PROTECTIONS.iter().filter(move |(_, flag, ..)| flags.contains(*flag)).map(|(name, ..)| *name)
}
