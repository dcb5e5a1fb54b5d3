//! The boot code's constants and symbols, for boot/entry.s.

use crate::machine::{efi, long_mode, paging, stacks};
use core::arch::global_asm;

/// Multiboot 1 specification, section 3.1.1: what a loader searches for.
const HEADER_MAGIC: u32 = 0x1bad_b002;
/// Section 3.1.1: modules page-aligned (bit 0), memory map wanted (bit 1), address fields valid (bit 16).
const HEADER_FLAGS: u32 = 1 << 0 | 1 << 1 | 1 << 16;
/// Multiboot 2 specification, section 3.1.2, and the tags of sections 3.1.3, 3.1.5 and 3.1.6.
const HEADER2_MAGIC: u32 = 0xe852_50d6;
const TAG_END: u16 = 0;
const TAG_ADDRESS: u16 = 2;
const TAG_ENTRY: u16 = 3;
/// Xen, public/elfnote.h.
const XEN_ELFNOTE_PHYS32_ENTRY: u32 = 18;
/// As [`long_mode::CPUID_LONG_MODE`], and no-execute.
const CPUID_NEEDED: u32 = long_mode::CPUID_LONG_MODE | 1 << 20;
/// Write-protect in ring 0 too.
const CR0_FLAGS: u32 = long_mode::CR0_FLAGS | 1 << 16;
/// No-execute.
const EFER_FLAGS: u32 = long_mode::EFER_LONG_MODE | 1 << 11;

/// Flat segments of 4 GiB in ring 0, for the way from UEFI: code, readable, 32 bits; data, writable.
const CODE_SEGMENT_32: u64 = 0x00cf_9b00_0000_ffff;
const DATA_SEGMENT_32: u64 = 0x00cf_9300_0000_ffff;
const CODE_32_SELECTOR: u32 = 16;
const DATA_32_SELECTOR: u32 = 24;
const CR0_WITHOUT_PAGING: u32 = !(1 << 31);
const EFER_WITHOUT_LONG_MODE: u32 = !long_mode::EFER_LONG_MODE;

global_asm!(
    include_str!("../boot/entry.s"),
    include_str!("../boot/long_mode.s"),
    HEADER_MAGIC = const HEADER_MAGIC,
    HEADER_FLAGS = const HEADER_FLAGS,
    HEADER2_MAGIC = const HEADER2_MAGIC,
    TAG_END = const TAG_END,
    TAG_ADDRESS = const TAG_ADDRESS,
    TAG_ENTRY = const TAG_ENTRY,
    XEN_ELFNOTE_PHYS32_ENTRY = const XEN_ELFNOTE_PHYS32_ENTRY,
    PVH_MAGIC = const bootinfo::magic::PVH,
    LINUX_MAGIC = const bootinfo::magic::LINUX,
    CPUID_NEEDED = const CPUID_NEEDED,
    PRESENT_WRITABLE = const long_mode::PRESENT_WRITABLE,
    PRESENT_WRITABLE_LARGE = const long_mode::PRESENT_WRITABLE_LARGE,
    CR4_FLAGS = const long_mode::CR4_FLAGS,
    CR0_FLAGS = const CR0_FLAGS,
    EFER = const long_mode::EFER,
    EFER_FLAGS = const EFER_FLAGS,
    CODE_SEGMENT = const long_mode::CODE_SEGMENT,
    CODE_SEGMENT_32 = const CODE_SEGMENT_32,
    DATA_SEGMENT_32 = const DATA_SEGMENT_32,
    CODE_32_SELECTOR = const CODE_32_SELECTOR,
    DATA_32_SELECTOR = const DATA_32_SELECTOR,
    CR0_WITHOUT_PAGING = const CR0_WITHOUT_PAGING,
    EFER_WITHOUT_LONG_MODE = const EFER_WITHOUT_LONG_MODE,
    efi_enter = sym efi::enter,
    main_stack = sym stacks::MAIN,
    MAIN_STACK_END = const size_of::<stacks::MainStack>(),
    root_table = sym paging::ROOT_TABLE,
    pointer_table = sym paging::POINTER_TABLE,
    page_directories = sym paging::PAGE_DIRECTORIES,
    kernel_main = sym crate::kernel_main,
);
global_asm!(include_str!("../boot/say.s"));
global_asm!(include_str!("../boot/memory.s"));
