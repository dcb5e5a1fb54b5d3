//! The file `target/netconsole.bzimage`: the packed kernel, and before it what loaders of Linux and UEFI firmware enter
//! (boot/), and what unpacks it.
#![no_std]
#![no_main]

#[path = "../../src/machine/long_mode.rs"]
mod long_mode;

use core::arch::global_asm;
use core::panic::PanicInfo;
use core::ptr::{with_exposed_provenance, with_exposed_provenance_mut};
use netconsole_bzimage::model::Model;
use netconsole_bzimage::{relocations, stream};

// The kernel's addresses.
include!(concat!(env!("OUT_DIR"), "/kernel.rs"));
const PAYLOAD_SIZE: usize = include_bytes!(concat!(env!("OUT_DIR"), "/kernel")).len();
/// The packed kernel. Its kind may be another one when this runs (`stored.rs`), so that only the assembly names it.
static PAYLOAD: [u8; PAYLOAD_SIZE] = *include_bytes!(concat!(env!("OUT_DIR"), "/kernel"));

const IMAGE_SIZE: usize = DATA_END - IMAGE_START;
/// All that the kernel uses when it starts, and this program behind it; all that is used here lies within.
const MEMORY_SIZE: usize = MOVE + UNPACKER_SIZE;
/// How far this program moves itself away from where the kernel belongs: behind all that the kernel has.
const MOVE: usize = PERSISTENT_END - IMAGE_START;
/// How far behind the kernel's begin its .bss begins, where there is room for what is known of the kernel while it is unpacked.
/// Nothing has cleared it, which that does not need.
const BSS: usize = DATA_END - IMAGE_START;
const _: () = assert!(
    size_of::<Model>() <= IMAGE_END - DATA_END,
    "the kernel's .bss has no room for the model: ../linker.ld is to give it more"
);
/// How far behind the kernel's begin its .bss ends, where 16 KiB are free for page tables.
const TABLES: usize = IMAGE_END - IMAGE_START;

/// The boot protocol's XLF_KERNEL_64, XLF_CAN_BE_LOADED_ABOVE_4G, XLF_5LEVEL and XLF_5LEVEL_ENABLED.
const XLOADFLAGS: u16 = 1 << 0 | 1 << 1 | 1 << 5 | 1 << 6;

/// SSE is not emulated, nor are its registers saved by a trap (Intel SDM, volume 3, section 2.5).
const CR0_WITHOUT_EMULATION: u32 = !(1 << 2 | 1 << 3);

/// UEFI specification 2.10, appendix D.
const EFI_CRC_ERROR: u64 = 1 << 63 | 27;

/// A call of [`unpack`] takes less than 4 KiB.
#[repr(C, align(16))]
struct Stack([u8; 16384]);
#[unsafe(link_section = ".bss.stack")]
static mut STACK: Stack = Stack([0; 16384]);

// For the firmware's console: UTF-16, with a zero at the end.
static NO_MEMORY_TEXT: [u16; NO_MEMORY.len() + 1] = utf16(NO_MEMORY);
static DAMAGED_TEXT: [u16; DAMAGED.len() + 1] = utf16(DAMAGED);
const NO_MEMORY: &str = "netconsole: the firmware has no memory for the kernel\r\n";
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
    DATA_END = const DATA_END,
    MEMORY_SIZE = const MEMORY_SIZE,
    XLOADFLAGS = const XLOADFLAGS,
    MOVE = const MOVE,
    BSS = const BSS,
    TABLES = const TABLES,
    ENTRY_EFI = const ENTRY_EFI - IMAGE_START,
    ENTRY_UNPACKED = const ENTRY_UNPACKED - IMAGE_START,
    CPUID_NEEDED = const long_mode::CPUID_LONG_MODE,
    PRESENT_WRITABLE = const long_mode::PRESENT_WRITABLE,
    PRESENT_WRITABLE_LARGE = const long_mode::PRESENT_WRITABLE_LARGE,
    CR4_FLAGS = const long_mode::CR4_FLAGS,
    CR0_WITHOUT_EMULATION = const CR0_WITHOUT_EMULATION,
    CR0_FLAGS = const long_mode::CR0_FLAGS,
    EFER = const long_mode::EFER,
    EFER_FLAGS = const long_mode::EFER_LONG_MODE,
    CODE_SEGMENT = const long_mode::CODE_SEGMENT,
    EFI_CRC_ERROR = const EFI_CRC_ERROR,
    STACK_SIZE = const size_of::<Stack>(),
    PAYLOAD_SIZE = const PAYLOAD_SIZE,
    payload = sym PAYLOAD,
    stack = sym STACK,
    no_memory_text = sym NO_MEMORY_TEXT,
    damaged_text = sym DAMAGED_TEXT,
    unpack = sym unpack,
);

/// Copies the stored kernel to `start`, or unpacks the packed one. False where that is damaged: what is there then is not to
/// be entered.
///
/// It keeps the registers that the firmware wants to be kept, SSE's among them.
extern "efiapi" fn unpack(start: usize, payload: &'static [u8; PAYLOAD_SIZE]) -> bool {
    // SAFETY: called once, by the assembly, which has moved this program and the packed kernel out of that memory and
    // owns it: by the boot protocol, or because the firmware gave it.
    let image =
        unsafe { core::slice::from_raw_parts_mut(with_exposed_provenance_mut::<u8>(start), IMAGE_SIZE) };
    let stored = with_exposed_provenance::<u8>(start.wrapping_add(STORED_AT));
    // SAFETY: the same memory's, behind the image (linker.ld). Any content is valid. It lasts as long as the model, which lies
    // there, is not made.
    let stored = unsafe { core::slice::from_raw_parts(stored, STORED_SIZE) };
    let places = stream::take(payload, stored, image).or_else(|| {
        let model = with_exposed_provenance_mut::<Model>(start.wrapping_add(BSS));
        // SAFETY: the same memory's, as aligned as a page, and nobody else has it: the stored kernel is no use. Any content is
        // valid.
        let model = unsafe { &mut *model };
        stream::unpack(payload, image, model)
    });
    let offset = start.wrapping_sub(IMAGE_START) as u64;
    places.and_then(|places| relocations::apply(places, image, offset)).is_some()
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
