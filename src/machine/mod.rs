//! The x86-64 machine under the kernel: how it starts, its memory rights, exceptions, time, serial
//! port, and how it ends. Everything here may assume one CPU, ring 0, physical = virtual addresses.

pub mod build;
pub mod clock;
pub mod descriptors;
pub mod entropy;
pub mod exceptions;
pub mod features;
pub mod paging;
pub mod pci;
pub mod physical;
pub mod power;
pub mod serial;
pub mod stacks;
pub mod timer;
pub mod watchdog;

use core::arch::global_asm;

/// Multiboot 1 specification, section 3.1.1: what a loader searches for.
const HEADER_MAGIC: u32 = 0x1bad_b002;
/// Section 3.1.1: modules page-aligned (bit 0), memory map wanted (bit 1), address fields valid (bit 16).
const HEADER_FLAGS: u32 = 1 << 0 | 1 << 1 | 1 << 16;
/// Intel SDM, volume 2, CPUID, leaf 0x8000_0001, EDX.
const CPUID_LONG_MODE: u32 = 1 << 29;
const CPUID_NO_EXECUTE: u32 = 1 << 20;
/// Volume 3, section 4.5: present and writable; bit 7: a 2 MiB page.
const PRESENT_WRITABLE: u32 = 0b11;
const PRESENT_WRITABLE_LARGE: u32 = PRESENT_WRITABLE | 1 << 7;
/// Volume 3, section 2.5: PAE, and SSE for Rust's core (OSFXSR, OSXMMEXCPT).
const CR4_FLAGS: u32 = 1 << 5 | 1 << 9 | 1 << 10;
/// Protection, coprocessor monitored, numeric error, write-protect in ring 0 too, paging.
const CR0_FLAGS: u32 = 1 << 0 | 1 << 1 | 1 << 4 | 1 << 5 | 1 << 16 | 1 << 31;
const EFER: u32 = 0xc000_0080;
/// Long mode, no-execute.
const EFER_FLAGS: u32 = 1 << 8 | 1 << 11;
/// A 64-bit code segment of ring 0: present, code, readable, long.
const CODE_SEGMENT: u64 = 1 << 53 | 1 << 47 | 1 << 44 | 1 << 43 | 1 << 41;

global_asm!(
    include_str!("../../boot/entry.s"),
    HEADER_MAGIC = const HEADER_MAGIC,
    HEADER_FLAGS = const HEADER_FLAGS,
    CPUID_LONG_MODE = const CPUID_LONG_MODE,
    CPUID_NO_EXECUTE = const CPUID_NO_EXECUTE,
    PRESENT_WRITABLE = const PRESENT_WRITABLE,
    PRESENT_WRITABLE_LARGE = const PRESENT_WRITABLE_LARGE,
    CR4_FLAGS = const CR4_FLAGS,
    CR0_FLAGS = const CR0_FLAGS,
    EFER = const EFER,
    EFER_FLAGS = const EFER_FLAGS,
    CODE_SEGMENT = const CODE_SEGMENT,
    main_stack = sym stacks::MAIN,
    MAIN_STACK_END = const size_of::<stacks::MainStack>(),
    root_table = sym paging::ROOT_TABLE,
    pointer_table = sym paging::POINTER_TABLE,
    page_directories = sym paging::PAGE_DIRECTORIES,
    kernel_main = sym crate::kernel_main,
);
global_asm!(include_str!("../../boot/memory.s"));
