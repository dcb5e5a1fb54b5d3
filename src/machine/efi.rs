//! The kernel's entry from UEFI (specification 2.10): takes from the firmware what [`BootInfo`] wants, ends its boot
//! services, and goes the way of all other loaders.
//!
//! bzimage/boot/efi.s has unpacked the kernel to memory that the firmware gave, and cleared the .bss. Until the services end,
//! stack, page tables, exceptions and interrupts are the firmware's. Its interrupt handlers use this stack, below the stack
//! pointer too, where leaf functions may have data (the red zone): so interrupts are off but for calls of the firmware,
//! which may turn them on.
//!
//! [`BootInfo`]: bootinfo::BootInfo

use bootinfo::{MAX_COMMAND_LINE, UefiInfo, magic};
use core::arch::asm;
use core::ffi::c_void;
use core::ptr::{null_mut, with_exposed_provenance, with_exposed_provenance_mut};

/// Appendix D.
type Status = usize;
const SUCCESS: Status = 0;
const LOAD_ERROR: Status = 1 << 63 | 1;

/// One of the firmware's structures. The invariant: the firmware gave its address, for a structure that the
/// specification describes, and its boot services have not ended.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Structure(usize);

/// Section 4.3, `EFI_SYSTEM_TABLE`.
const BOOT_SERVICES: usize = 0x60;

/// Section 4.4, `EFI_BOOT_SERVICES`.
mod service {
    pub const ALLOCATE_PAGES: usize = 0x28;
    pub const GET_MEMORY_MAP: usize = 0x38;
    pub const HANDLE_PROTOCOL: usize = 0x98;
    pub const EXIT_BOOT_SERVICES: usize = 0xe8;
}
type AllocatePages = extern "efiapi" fn(u32, u32, usize, &mut u64) -> Status;
type GetMemoryMap = extern "efiapi" fn(&mut usize, *mut c_void, &mut usize, &mut usize, &mut u32) -> Status;
type HandleProtocol = extern "efiapi" fn(*mut c_void, &[u8; 16], &mut *mut c_void) -> Status;
type ExitBootServices = extern "efiapi" fn(*mut c_void, usize) -> Status;

/// Section 7.2.1: `AllocateMaxAddress`, `EfiLoaderData`.
const BELOW: u32 = 1;
const LOADER_DATA: u32 = 2;

/// Section 9.1, `EFI_LOADED_IMAGE_PROTOCOL_GUID` as it is in memory, and offsets in what it gives.
const LOADED_IMAGE: [u8; 16] =
    [0xa1, 0x31, 0x1b, 0x5b, 0x62, 0x95, 0xd2, 0x11, 0x8e, 0x3f, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b];
const LOAD_OPTIONS_SIZE: usize = 0x30;
const LOAD_OPTIONS: usize = 0x38;

/// What is taken along lies in pages below 4 GiB: first an [`UefiInfo`], then the command line and the memory map.
const PAGES: usize = 24;
const COMMAND_LINE: usize = 0x100;
/// The longest command line and its zero.
const COMMAND_LINE_ROOM: usize = MAX_COMMAND_LINE + 1;
const MAP: usize = (COMMAND_LINE + COMMAND_LINE_ROOM).next_multiple_of(8);
const MAP_LENGTH: usize = PAGES * 4096 - MAP;

/// Called by boot/entry.s, interrupts off, with the handle that the firmware has for this program, and its system
/// table. Returns where the firmware refuses something.
pub extern "efiapi" fn enter(image: *mut c_void, system_table: Structure) -> Status {
    let services = Structure(system_table.field(BOOT_SERVICES));
    let mut block = u64::from(u32::MAX);
    let allocate: AllocatePages = services.field(service::ALLOCATE_PAGES);
    let status = call_firmware(|| allocate(BELOW, LOADER_DATA, PAGES, &mut block));
    let Ok(block) = usize::try_from(block) else { return LOAD_ERROR };
    if status != SUCCESS {
        return status;
    }
    copy_options(services, image, block.wrapping_add(COMMAND_LINE));
    let info = UefiInfo {
        command_line: block.wrapping_add(COMMAND_LINE) as u64,
        map: block.wrapping_add(MAP) as u64,
        system_table: system_table.0 as u64,
        ..UefiInfo::default()
    };
    // Section 7.4.6: where the map has changed meanwhile, once more.
    let mut status = LOAD_ERROR;
    for _ in 0..2 {
        status = exit(services, image, info, block);
        if status == SUCCESS {
            leave(block)
        }
    }
    status
}

/// Takes the memory map and ends the firmware's boot services.
fn exit(services: Structure, image: *mut c_void, info: UefiInfo, block: usize) -> Status {
    let (mut length, mut key, mut descriptor, mut version) = (MAP_LENGTH, 0, 0, 0);
    let get: GetMemoryMap = services.field(service::GET_MEMORY_MAP);
    let map = with_exposed_provenance_mut(block.wrapping_add(MAP));
    let status = call_firmware(|| get(&mut length, map, &mut key, &mut descriptor, &mut version));
    if status != SUCCESS {
        return status;
    }
    let info = UefiInfo { map_length: length as u64, descriptor_length: descriptor as u64, ..info };
    // SAFETY: the block was allocated for this, and is as aligned as a page.
    unsafe { with_exposed_provenance_mut::<UefiInfo>(block).write(info) };
    let exit: ExitBootServices = services.field(service::EXIT_BOOT_SERVICES);
    call_firmware(|| exit(image, key))
}

/// Writes the program's load options, UTF-16, to `to` as a command line, UTF-8, with a zero behind it.
fn copy_options(services: Structure, image: *mut c_void, to: usize) {
    let mut loaded = null_mut();
    let handle: HandleProtocol = services.field(service::HANDLE_PROTOCOL);
    let status = call_firmware(|| handle(image, &LOADED_IMAGE, &mut loaded));
    let (size, options): (u32, usize) = if status == SUCCESS {
        let loaded = Structure(loaded.expose_provenance());
        (loaded.field(LOAD_OPTIONS_SIZE), loaded.field(LOAD_OPTIONS))
    } else {
        (0, 0)
    };
    let units = size as usize / size_of::<u16>();
    let units = (0..units).map(|unit| Structure(options).field(unit.wrapping_mul(size_of::<u16>())));
    let units = units.take_while(|&unit: &u16| unit != 0);
    // SAFETY: the block was allocated for this, and nothing else refers to it yet.
    let line =
        unsafe { core::slice::from_raw_parts_mut(with_exposed_provenance_mut::<u8>(to), COMMAND_LINE_ROOM) };
    line.fill(0);
    let mut end = 0usize;
    for character in char::decode_utf16(units) {
        let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
        let mut bytes = [0; 4];
        let bytes = character.encode_utf8(&mut bytes).as_bytes();
        let next = end.wrapping_add(bytes.len());
        match line.get_mut(end..next) {
            Some(place) if next < COMMAND_LINE_ROOM => place.copy_from_slice(bytes),
            // A line that has no end here is one without an end to who reads it.
            _ => return line.get_mut(end..).into_iter().for_each(|rest| rest.fill(b' ')),
        }
        end = next;
    }
}

impl Structure {
    /// The field at `offset`, where the specification has one of the type `T`: an integer, or one of the functions
    /// above.
    fn field<T: Copy>(self, offset: usize) -> T {
        // SAFETY: the structure's invariant.
        unsafe { with_exposed_provenance::<T>(self.0.wrapping_add(offset)).read_unaligned() }
    }
}

/// Calls the firmware, whose services may turn interrupts on, and turns them off again.
fn call_firmware(call: impl FnOnce() -> Status) -> Status {
    let status = call();
    x86_64::instructions::interrupts::disable();
    status
}

/// Goes to the kernel's entry as every other loader does.
fn leave(block: usize) -> ! {
    // SAFETY: the firmware has ended and nothing of it is needed any more; the code there (boot/entry.s) takes the
    // machine over from this state, and does not come back.
    unsafe {
        asm!(
            "jmp entry_64",
            in("edi") magic::UEFI,
            in("rsi") block,
            options(noreturn)
        )
    }
}
