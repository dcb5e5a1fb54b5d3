//! The boot code's constants and symbols, for boot/entry.s.

use crate::last_log;
use crate::log;
use crate::machine::efi::{self, Wanted};
use crate::machine::firmware::structure::{Status, Structure};
use crate::machine::{long_mode, paging, stacks};
use crate::memory::CARD_ROOM;
use core::arch::global_asm;
use core::ffi::c_void;
use netconsole::plan::MAX_NICS;

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

/// Five levels of page tables.
const CR4_FIVE_LEVELS: u32 = paging::CR4_FIVE_LEVELS;

/// Where boot/entry.s arrives from UEFI.
extern "efiapi" fn enter_from_uefi(image: *mut c_void, system_table: Structure) -> Status {
    let room_pages = (CARD_ROOM / paging::PAGE) as usize;
    let wanted =
        Wanted { notes: &last_log::PLACES, last_log: log::place_noted_in, rooms: MAX_NICS, room_pages };
    efi::enter(image, system_table, &wanted)
}

global_asm!(
    include_str!("../boot/long_mode.s"),
    include_str!("../boot/entry.s"),
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
    CR4_FIVE_LEVELS = const CR4_FIVE_LEVELS,
    efi_enter = sym enter_from_uefi,
    main_stack = sym stacks::MAIN,
    MAIN_STACK_END = const size_of::<stacks::MainStack>(),
    root_table = sym paging::ROOT_TABLE,
    pointer_table = sym paging::POINTER_TABLE,
    page_directories = sym paging::PAGE_DIRECTORIES,
    map_machine = sym paging::map_machine,
    kernel_main = sym crate::kernel_main,
);
global_asm!(include_str!("../boot/say.s"));
global_asm!(include_str!("../boot/memory.s"));
