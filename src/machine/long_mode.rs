//! What 64-bit mode needs, for boot/long_mode.s: of the kernel, and of the program that unpacks it (bzimage/).

/// Intel SDM, volume 2, CPUID, leaf 0x8000_0001, EDX.
pub const CPUID_LONG_MODE: u32 = 1 << 29;
/// Volume 3, section 4.5: present and writable; bit 7: a 2 MiB page.
pub const PRESENT_WRITABLE: u32 = 0b11;
/// As it says.
pub const PRESENT_WRITABLE_LARGE: u32 = PRESENT_WRITABLE | 1 << 7;
/// Volume 3, section 2.5: PAE, and SSE for Rust's core (OSFXSR, OSXMMEXCPT).
pub const CR4_FLAGS: u32 = 1 << 5 | 1 << 9 | 1 << 10;
/// Protection, coprocessor monitored, numeric error, paging.
pub const CR0_FLAGS: u32 = 1 << 0 | 1 << 1 | 1 << 4 | 1 << 5 | 1 << 31;
/// The register that turns it on, and by which bit.
pub const EFER: u32 = 0xc000_0080;
/// As it says.
pub const EFER_LONG_MODE: u32 = 1 << 8;
/// A 64-bit code segment of ring 0: present, code, readable, long.
pub const CODE_SEGMENT: u64 = 1 << 53 | 1 << 47 | 1 << 44 | 1 << 43 | 1 << 41;
