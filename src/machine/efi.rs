//! The kernel's entry from UEFI (specification 2.10): takes from the firmware what [`BootInfo`] wants, ends its boot
//! services, and goes the way of all other loaders.
//!
//! bzimage/boot/efi.s has unpacked the kernel to memory that the firmware gave, and cleared the .bss. Until the services end,
//! stack, page tables, exceptions and interrupts are the firmware's. Its interrupt handlers use this stack, below the stack
//! pointer too, where leaf functions may have data (the red zone): so interrupts are off but for calls of the firmware,
//! which may turn them on.
//!
//! [`BootInfo`]: bootinfo::BootInfo

use super::firmware::cards::Services;
use super::firmware::structure::{LOAD_ERROR, SUCCESS, Status, Structure, call_firmware};
use super::firmware::{gate, services};
use super::iommu::one_that_is_on;
use super::paging;
use bootinfo::firmware::uefi::SystemTable;
use bootinfo::parameters::Parameters;
use bootinfo::{MAX_COMMAND_LINE, PhysicalMemory, UefiInfo, magic};
use core::arch::asm;
use core::ffi::c_void;
use core::ptr::{NonNull, null, null_mut, with_exposed_provenance, with_exposed_provenance_mut};
use netconsole::nic::Addresses;

/// Section 4.3, `EFI_SYSTEM_TABLE`.
const BOOT_SERVICES: usize = 0x60;

/// Section 4.4, `EFI_BOOT_SERVICES`.
mod service {
    pub const ALLOCATE_PAGES: usize = 0x28;
    pub const GET_MEMORY_MAP: usize = 0x38;
    pub const HANDLE_PROTOCOL: usize = 0x98;
    pub const EXIT_BOOT_SERVICES: usize = 0xe8;
    pub const SET_WATCHDOG_TIMER: usize = 0x100;
}
type AllocatePages = extern "efiapi" fn(u32, u32, usize, &mut u64) -> Status;
type GetMemoryMap = extern "efiapi" fn(&mut usize, *mut c_void, &mut usize, &mut usize, &mut u32) -> Status;
type HandleProtocol = extern "efiapi" fn(*mut c_void, &[u8; 16], &mut *mut c_void) -> Status;
type SetWatchdogTimer = extern "efiapi" fn(usize, u64, usize, *const c_void) -> Status;
type ExitBootServices = extern "efiapi" fn(*mut c_void, usize) -> Status;

/// Section 7.2.1: `AllocateMaxAddress`, `AllocateAddress`, `EfiLoaderData`.
const BELOW: u32 = 1;
const AT: u32 = 2;
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
/// The size of an `EFI_MEMORY_DESCRIPTOR`.
const MAP_ENTRY: usize = size_of::<[u64; 5]>();

/// What this kernel has to have of the firmware's memory where that goes on.
pub struct Wanted {
    /// The pages in which the kernel notes the log's place for the next boot, if it may.
    pub notes: &'static [u64],
    /// Where the log of the boot before lies, as its note in one of these pages has it: the address, and how many pages.
    pub last_log: fn(note: u64) -> Option<[u64; 2]>,
    /// How many cards' rooms, and how many pages each has. With fewer there are fewer cards.
    pub rooms: usize,
    pub room_pages: usize,
}

/// Called by boot/entry.s, interrupts off, with the handle that the firmware has for this program, and its system
/// table. Returns where the firmware refuses something.
pub fn enter(image: *mut c_void, system_table: Structure, wanted: &Wanted) -> Status {
    let services = Structure(system_table.field(BOOT_SERVICES));
    // Section 7.5: after five minutes the firmware would start the machine again.
    let set_watchdog: SetWatchdogTimer = services.field(service::SET_WATCHDOG_TIMER);
    call_firmware(|| set_watchdog(0, 0, 0, null()));
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
    // SAFETY: it was written above, within the block.
    let line = unsafe {
        let line = with_exposed_provenance_mut::<u8>(block.wrapping_add(COMMAND_LINE));
        core::slice::from_raw_parts(line, COMMAND_LINE_ROOM)
    };
    let line = line.split(|&byte| byte == 0).next().unwrap_or_default();
    let by_firmware = Parameters::read_firmware_cards(line);
    let only_its_own = || iommu_is_on(system_table);
    if by_firmware != Some(false)
        && (Services { services, image }).choose_cards(by_firmware == Some(true), only_its_own)
    {
        services::note(image, system_table);
        stay(services, info, block, wanted)
    }
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

/// Goes on beside the firmware. All memory that is not this program's stays its own, so that the map has nothing else; the log
/// of the boot before is this program's where the firmware has nothing there.
fn stay(services: Structure, info: UefiInfo, block: usize, wanted: &Wanted) -> ! {
    let allocate: AllocatePages = services.field(service::ALLOCATE_PAGES);
    let mut length = 0;
    let mut add = |[start, pages]: [u64; 2]| {
        let entry = with_exposed_provenance_mut::<[u64; 5]>(block.wrapping_add(MAP).wrapping_add(length));
        // SAFETY: the block was allocated for this, and is as aligned as a page.
        unsafe { entry.write([LOADER_DATA.into(), start, 0, pages, 0]) };
        length = length.wrapping_add(MAP_ENTRY);
    };
    let take = |[start, pages]: [u64; 2]| {
        let (mut start, pages) = (start, usize::try_from(pages).unwrap_or(usize::MAX));
        call_firmware(|| allocate(AT, LOADER_DATA, pages, &mut start)) == SUCCESS
    };
    let mut log = None;
    for place in wanted.notes.iter().copied().filter(|&place| take([place, 1])) {
        add([place, 1]);
        log = log.or_else(|| (wanted.last_log)(place));
    }
    // Within the image it is not to be had a second time.
    log.into_iter().filter(|&place| take(place)).for_each(&mut add);
    let own = paging::own();
    add([own.start, (own.end - own.start) / 4096]);
    for _ in 0..wanted.rooms {
        let mut start = u64::from(u32::MAX);
        if call_firmware(|| allocate(BELOW, LOADER_DATA, wanted.room_pages, &mut start)) == SUCCESS {
            add([start, wanted.room_pages as u64]);
        }
    }
    let info = UefiInfo { map_length: length as u64, descriptor_length: MAP_ENTRY as u64, ..info };
    // SAFETY: as above.
    unsafe { with_exposed_provenance_mut::<UefiInfo>(block).write(info) };
    gate::open();
    leave(block)
}

/// Memory as the firmware's page tables have it: one to one.
struct FirmwareMemory;

impl PhysicalMemory for FirmwareMemory {
    fn read(&self, address: u64, length: usize) -> Option<&[u8]> {
        // SAFETY: only the firmware's own tables are read, where its own structures say that they lie.
        (address != 0).then(|| unsafe {
            core::slice::from_raw_parts(with_exposed_provenance(address as usize), length)
        })
    }
}

/// Whether ACPI names an IOMMU that is on. One whose registers lie above 4 GiB, where the firmware may map nothing, is not
/// looked at.
fn iommu_is_on(system_table: Structure) -> bool {
    let place = |address, _| NonNull::new(with_exposed_provenance_mut(usize::try_from(address).ok()?));
    // SAFETY: this is used for the registers of IOMMUs below 4 GiB, which all firmware maps, and are only read.
    let addresses = unsafe { Addresses::new(|_| None, place) };
    let mut is_mapped =
        |address: u64, length| address.checked_add(length).is_some_and(|end| end <= paging::MAPPED_AT_BOOT);
    SystemTable::read(&FirmwareMemory, system_table.0 as u64)
        .and_then(|table| table.acpi(&FirmwareMemory))
        .and_then(|root| one_that_is_on(root, &FirmwareMemory, &addresses, &mut is_mapped))
        .is_some()
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
