//! The file `target/netconsole.bzimage`: the packed kernel, and before it what loaders of Linux and UEFI firmware enter
//! (boot/), and what unpacks it.
#![no_std]
#![no_main]

#[path = "../../src/machine/long_mode.rs"]
mod long_mode;

use core::arch::global_asm;
use core::panic::PanicInfo;
use core::ptr::with_exposed_provenance_mut;
use netconsole_bzimage::stream;

// The kernel's addresses.
include!(concat!(env!("OUT_DIR"), "/kernel.rs"));
static KERNEL: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/kernel"));

const IMAGE_SIZE: usize = DATA_END - IMAGE_START;
const TEXT_SIZE: usize = TEXT_END - IMAGE_START;
/// All that the kernel uses when it starts; all that is used here lies within.
const MEMORY_SIZE: usize = PERSISTENT_END - IMAGE_START;

/// UEFI specification 2.10, appendix D.
const EFI_CRC_ERROR: u64 = 1 << 63 | 27;

/// Page tables of the three upper levels, one each.
#[repr(C, align(4096))]
struct Tables([[u64; 512]; 3]);
static mut TABLES: Tables = Tables([[0; 512]; 3]);
/// A call of [`unpack`] takes some 10 KiB.
#[repr(C, align(16))]
struct Stack([u8; 16384]);
static mut STACK: Stack = Stack([0; 16384]);

// For the firmware's console: UTF-16, with a zero at the end.
static IN_USE_TEXT: [u16; IN_USE.len() + 1] = utf16(IN_USE);
static DAMAGED_TEXT: [u16; DAMAGED.len() + 1] = utf16(DAMAGED);
const IN_USE: &str = "netconsole: the firmware uses the memory at 1 MiB; load the kernel by GRUB\r\n";
const DAMAGED: &str = "netconsole: the packed kernel is damaged\r\n";

global_asm!(
    include_str!("../boot/setup.s"),
    include_str!("../boot/unpacker.s"),
    include_str!("../boot/efi.s"),
    include_str!("../../boot/long_mode.s"),
    include_str!("../../boot/say.s"),
    include_str!("../../boot/memory.s"),
    IMAGE_START = const IMAGE_START,
    IMAGE_END = const IMAGE_END,
    MEMORY_SIZE = const MEMORY_SIZE,
    ENTRY_EFI = const ENTRY_EFI,
    LEAVE_LONG_MODE = const LEAVE_LONG_MODE,
    CPUID_NEEDED = const long_mode::CPUID_LONG_MODE,
    PRESENT_WRITABLE = const long_mode::PRESENT_WRITABLE,
    PRESENT_WRITABLE_LARGE = const long_mode::PRESENT_WRITABLE_LARGE,
    CR4_FLAGS = const long_mode::CR4_FLAGS,
    CR0_FLAGS = const long_mode::CR0_FLAGS,
    EFER = const long_mode::EFER,
    EFER_FLAGS = const long_mode::EFER_LONG_MODE,
    CODE_SEGMENT = const long_mode::CODE_SEGMENT,
    EFI_CRC_ERROR = const EFI_CRC_ERROR,
    TABLES_SIZE = const size_of::<Tables>(),
    STACK_SIZE = const size_of::<Stack>(),
    root_table = sym TABLES,
    stack = sym STACK,
    in_use_text = sym IN_USE_TEXT,
    damaged_text = sym DAMAGED_TEXT,
    unpack = sym unpack,
);

/// Unpacks the kernel to where it belongs. False where it is damaged: what is there then is not to be entered.
///
/// It keeps the registers that the firmware wants to be kept, SSE's among them.
extern "efiapi" fn unpack() -> bool {
    // SAFETY: called once, by the assembly, which has moved this program and the packed kernel out of that memory and
    // owns it: by the boot protocol, or because the firmware gave it.
    let image = unsafe {
        core::slice::from_raw_parts_mut(with_exposed_provenance_mut::<u8>(IMAGE_START), IMAGE_SIZE)
    };
    stream::unpack(KERNEL, image, TEXT_SIZE)
}

/// A text of ASCII characters as UEFI wants it.
const fn utf16<const LENGTH: usize>(text: &str) -> [u16; LENGTH] {
    let mut units = [0; LENGTH];
    let mut at = 0;
    while at < text.len() {
        units[at] = text.as_bytes()[at] as u16;
        at += 1;
    }
    units
}

/// Nothing panics: where the compiler can't prove that, this is linked in, and linking fails.
#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    unsafe extern "C" {
        safe fn the_unpacker_can_panic() -> !;
    }
    the_unpacker_can_panic()
}
