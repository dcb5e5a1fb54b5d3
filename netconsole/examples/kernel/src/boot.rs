//! The first instructions of both processors: boot/boot.s, and what it needs of Rust.

use crate::cpus;
use core::arch::global_asm;

const FIRST_STACK_SIZE: usize = 1 << 20;

#[repr(C, align(16))]
struct Stack([u8; FIRST_STACK_SIZE]);
static mut FIRST_STACK: Stack = Stack([0; FIRST_STACK_SIZE]);

global_asm!(
    include_str!("../boot/boot.s"),
    // Intel SDM volume 3, chapters 2 and 4: present, writable; and a page of 2 MiB.
    TABLE = const 3,
    LARGE_PAGE = const 0x83,
    // PAE, OSFXSR, OSXMMEXCPT: Rust's core uses SSE.
    CR4 = const 1 << 5 | 1 << 9 | 1 << 10,
    EFER = const 0xc000_0080_u32,
    // LME, NXE.
    LONG_MODE = const 1 << 8 | 1 << 11,
    // PE, MP, ET, NE, WP, PG.
    CR0 = const 0x8001_0033_u32,
    first_stack = sym FIRST_STACK,
    FIRST_STACK_SIZE = const FIRST_STACK_SIZE,
    first_main = sym crate::first_main,
    second_stack = sym cpus::SECOND_STACK,
    second_main = sym cpus::second_main,
);

// The compiler calls memcpy and its kin, which no C library supplies here.
global_asm!(include_str!("../../../../boot/memory.s"));
