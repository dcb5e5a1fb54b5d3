//! Page tables: everything mapped one to one, and every right that is not needed taken away.
//!
//! The boot code (boot/entry.s, or [`map_machine`]) fills [`ROOT_TABLE`], [`POINTER_TABLE`] and [`PAGE_DIRECTORIES`] with
//! 4 GiB of writable 2 MiB pages, and maps the kernel where it lies above. [`protect`] then splits what holds the kernel
//! into 4 KiB pages and sets: code readable and executable, constants readable, everything else writable and not
//! executable, page 0 and the stacks' guards absent.

mod check;
mod old;

pub use check::check;
pub use old::make_readable;

use super::stacks;
use core::arch::x86_64::__cpuid;
use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::{fmt, iter};
use x86_64::PhysAddr;
use x86_64::instructions::tlb;
use x86_64::registers::control::{Cr3, Cr3Flags, Cr4};
use x86_64::structures::paging::page_table::PageTableEntry;
use x86_64::structures::paging::{PageTable, PageTableFlags as Flags, PhysFrame};

pub const PAGE_BITS: u32 = 12;
pub const PAGE: u64 = 1 << PAGE_BITS;
const LARGE_PAGE: u64 = 2 << 20;
/// What the boot code maps.
pub const MAPPED_AT_BOOT: u64 = 4 << 30;
/// Where linker.ld links the kernel to.
const LINKED_TO: u64 = 1 << 20;
/// How many 2 MiB pages are split: the lowest one, which holds page 0, and those that hold the kernel, whose size
/// linker.ld bounds.
const SMALL_TABLES_COUNT: usize = 4;
/// How many tables there are for what lies above 4 GiB.
const SPARE_TABLES: usize = 16;
/// CR4's bit for five levels of tables (Intel SDM volume 3, section 2.5).
pub const CR4_FIVE_LEVELS: u32 = 1 << 12;

pub static mut ROOT_TABLE: PageTable = PageTable::new();
pub static mut POINTER_TABLE: PageTable = PageTable::new();
pub static mut PAGE_DIRECTORIES: [PageTable; 4] = [const { PageTable::new() }; 4];
/// The root above [`ROOT_TABLE`] where there are five levels.
static mut FIFTH_TABLE: PageTable = PageTable::new();
static mut SMALL_TABLES: [PageTable; SMALL_TABLES_COUNT] = [const { PageTable::new() }; SMALL_TABLES_COUNT];
static mut SPARES: [PageTable; SPARE_TABLES] = [const { PageTable::new() }; SPARE_TABLES];
/// How many of [`SPARES`] are in use.
static SPARES_TAKEN: AtomicUsize = AtomicUsize::new(0);

/// What linker.ld defines: addresses, never read through.
mod symbols {
    unsafe extern "C" {
        pub static image_start: u8;
        pub static text_end: u8;
        pub static rodata_end: u8;
        pub static image_end: u8;
        pub static persistent_end: u8;
    }
}

/// The rights of the page at `address`, by the part of the image that it belongs to.
fn rights(address: u64) -> Flags {
    let start = image_start();
    let text = (&raw const symbols::text_end).addr() as u64;
    let rodata = (&raw const symbols::rodata_end).addr() as u64;
    if (start..text).contains(&address) {
        Flags::PRESENT
    } else if (text..rodata).contains(&address) {
        Flags::PRESENT | Flags::NO_EXECUTE
    } else {
        Flags::PRESENT | Flags::WRITABLE | Flags::NO_EXECUTE
    }
}

/// The pages that are not mapped: page 0, and the stacks' guards.
fn absent_pages() -> impl Iterator<Item = u64> {
    iter::once(0).chain(stacks::places().into_iter().map(|stack| stack.guard))
}

/// The 2 MiB pages that hold the kernel, but for the lowest page of all: all of them, and maybe one more.
fn own_large_pages() -> [u64; SMALL_TABLES_COUNT - 1] {
    let first = (image_start() & !(LARGE_PAGE - 1)).max(LARGE_PAGE);
    core::array::from_fn(|number| first.wrapping_add(number as u64 * LARGE_PAGE))
}

/// The page tables, once protected: the only way to map devices.
pub struct AddressSpace(());

/// Why a range could not be mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// It lies beyond what the CPU addresses, with this many bits, or wraps.
    OutOfReach(u8),
    /// All tables for ranges above 4 GiB are in use.
    NoTableLeft,
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfReach(bits) => {
                write!(f, "it lies beyond the {bits} bits of address that this CPU has")
            }
            Self::NoTableLeft => write!(f, "all {SPARE_TABLES} page tables for such ranges are in use"),
        }
    }
}

/// Fills the page tables as boot/entry.s does before 64-bit mode, maps the kernel where it lies above 4 GiB, and goes over
/// to them from the loader's. Called by boot/entry.s, once, before anything else.
pub extern "C" fn map_machine() {
    // SAFETY: this runs once, on the only CPU, with interrupts off, on the loader's page tables; nobody else refers to these.
    let (root, pointers, directories, fifth) = unsafe {
        (
            (&raw mut ROOT_TABLE).as_mut_unchecked(),
            (&raw mut POINTER_TABLE).as_mut_unchecked(),
            (&raw mut PAGE_DIRECTORIES).as_mut_unchecked(),
            (&raw mut FIFTH_TABLE).as_mut_unchecked(),
        )
    };
    let table = Flags::PRESENT | Flags::WRITABLE;
    root[0].set_addr(table_address(pointers), table);
    for (directory, entry) in directories.iter().zip(pointers.iter_mut()) {
        entry.set_addr(table_address(directory), table);
    }
    let entries = directories.iter_mut().flat_map(|table| table.iter_mut());
    for (address, entry) in (0..).step_by(LARGE_PAGE as usize).zip(entries) {
        entry.set_addr(PhysAddr::new(address), table | Flags::HUGE_PAGE);
    }
    for page in own_large_pages() {
        if (MAPPED_AT_BOOT..persistent_end()).contains(&page) {
            // There are tables enough, for these are the first.
            _ = map_large(page, table | Flags::HUGE_PAGE);
        }
    }
    fifth[0].set_addr(table_address(root), table);
    let top = if Cr4::read_raw() & u64::from(CR4_FIVE_LEVELS) != 0 { fifth } else { root };
    // SAFETY: the tables map the code that runs, its stack and its data where they are, with all rights, as the loader's did.
    unsafe { Cr3::write(PhysFrame::containing_address(table_address(top)), Cr3Flags::empty()) };
}

/// Takes away every right that is not needed. To be called once, before anything else is mapped.
pub fn protect() -> AddressSpace {
    // SAFETY: this runs once, on the only CPU, with interrupts off; no other reference to the tables
    // exists (the boot code used them before), so these are exclusive.
    let small = unsafe { (&raw mut SMALL_TABLES).as_mut_unchecked() };
    let [first, second, third] = own_large_pages();
    for (large, table) in [0, first, second, third].into_iter().zip(small) {
        for (address, entry) in (large..).step_by(PAGE as usize).zip(table.iter_mut()) {
            entry.set_addr(PhysAddr::new(address), rights(address));
        }
        for page in absent_pages().filter(|page| page & !(LARGE_PAGE - 1) == large) {
            if let Some(entry) = table.iter_mut().nth(((page - large) / PAGE) as usize) {
                entry.set_unused();
            }
        }
        if large < MAPPED_AT_BOOT || large < persistent_end() {
            // It is mapped already, so no table is needed.
            if let Ok(entry) = directory_entry(large) {
                entry.set_addr(table_address(table), Flags::PRESENT | Flags::WRITABLE);
            }
        }
    }
    // SAFETY: as above, and the entries that were lent before are not in use any more.
    let directories = unsafe { (&raw mut PAGE_DIRECTORIES).as_mut_unchecked() };
    for entry in directories.iter_mut().flat_map(|table| table.iter_mut()) {
        if entry.flags().contains(Flags::HUGE_PAGE) {
            entry.set_flags(entry.flags() | Flags::NO_EXECUTE);
        }
    }
    tlb::flush_all();
    AddressSpace(())
}

fn table_address(table: &PageTable) -> PhysAddr {
    PhysAddr::new(core::ptr::from_ref(table).addr() as u64)
}

impl AddressSpace {
    /// Maps `length` bytes of a device's registers at `address`, writable and not cached.
    /// Below 4 GiB all is mapped already, and the firmware's MTRRs keep devices uncached.
    pub fn map_device(&mut self, address: u64, length: u64) -> Result<(), MapError> {
        map_above(address, length, Flags::WRITABLE | Flags::NO_CACHE | Flags::WRITE_THROUGH)
    }
}

/// Maps memory to be read, wherever it lies. Not for the panic path.
pub fn map_to_read(address: u64, length: u64) -> Result<(), MapError> {
    map_above(address, length, Flags::empty())
}

/// Maps memory to be read and written, wherever it lies. Not for the panic path.
pub fn map_to_write(address: u64, length: u64) -> Result<(), MapError> {
    map_above(address, length, Flags::WRITABLE)
}

/// Maps with these rights what of a range lies above 4 GiB and is not mapped yet.
fn map_above(address: u64, length: u64, rights: Flags) -> Result<(), MapError> {
    let bits = address_bits();
    let end = address.checked_add(length).filter(|&end| end <= 1 << bits);
    let end = end.ok_or(MapError::OutOfReach(bits))?;
    let mut page = (address & !(LARGE_PAGE - 1)).max(MAPPED_AT_BOOT);
    while page < end {
        map_large(page, Flags::PRESENT | Flags::NO_EXECUTE | Flags::HUGE_PAGE | rights)?;
        page += LARGE_PAGE;
    }
    Ok(())
}

/// Maps the 2 MiB page at `address`, which lies above 4 GiB. One that is mapped already gets the rights that it has not,
/// as where it was a dead kernel's, to be read.
fn map_large(address: u64, flags: Flags) -> Result<(), MapError> {
    let entry = directory_entry(address)?;
    if entry.is_unused() {
        entry.set_addr(PhysAddr::new(address), flags);
        // An absent entry is never cached, so nothing is to be flushed (SDM volume 3, 4.10.2.3).
    } else if entry.flags().contains(Flags::HUGE_PAGE) && !entry.flags().contains(flags) {
        entry.set_flags(entry.flags() | flags);
        tlb::flush_all();
    }
    Ok(())
}

/// The entry for the 2 MiB at `address`, below 2^47, in a table that stays. Whoever calls it lets go of it before the
/// next call.
fn directory_entry(address: u64) -> Result<&'static mut PageTableEntry, MapError> {
    old::unmap_all();
    let index = |shift: u32| (address >> shift) as usize & 0x1ff;
    // SAFETY: all tables are static and mapped one to one. They change here and in the callers alone, in normal running on
    // the only CPU, none of which keeps a reference.
    let root = unsafe { (&raw mut ROOT_TABLE).as_mut_unchecked() };
    let pointers = next_table(&mut root[index(39)])?;
    let directory = next_table(&mut pointers[index(30)])?;
    Ok(&mut directory[index(21)])
}

/// The table behind `entry`, a spare one where there is none yet.
fn next_table(entry: &mut PageTableEntry) -> Result<&'static mut PageTable, MapError> {
    if entry.is_unused() {
        let number = SPARES_TAKEN.load(Ordering::Relaxed);
        // SAFETY: as for the root.
        let spares = unsafe { (&raw mut SPARES).as_mut_unchecked() };
        let spare = spares.get_mut(number).ok_or(MapError::NoTableLeft)?;
        SPARES_TAKEN.store(number.wrapping_add(1), Ordering::Relaxed);
        entry.set_addr(table_address(spare), Flags::PRESENT | Flags::WRITABLE);
    }
    // SAFETY: a used entry above the last level points to one of this module's tables, and as for the root.
    Ok(unsafe { &mut *core::ptr::with_exposed_provenance_mut(entry.addr().as_u64() as usize) })
}

/// How many bits a physical address has, at most what four levels of tables reach one to one (Intel SDM volume 3, section
/// 4.1.4). A table that names a higher address is a page fault at each access.
fn address_bits() -> u8 {
    const HIGHEST_LEAF: u32 = 0x8000_0000;
    const SIZES: u32 = 0x8000_0008;
    let bits = if __cpuid(HIGHEST_LEAF).eax >= SIZES { __cpuid(SIZES).eax.to_le_bytes()[0] } else { 36 };
    bits.clamp(32, 47)
}

/// Whether all of a range is mapped. Panic-safe.
pub fn is_mapped(address: u64, length: u64) -> bool {
    let Some(end) = address.checked_add(length).filter(|&end| end <= 1 << 47) else { return false };
    let mut page = address & !(LARGE_PAGE - 1);
    while page < end {
        if page >= MAPPED_AT_BOOT && !is_large_page_mapped(page) {
            return false;
        }
        page = page.wrapping_add(LARGE_PAGE);
    }
    true
}

fn is_large_page_mapped(address: u64) -> bool {
    let mut table = &raw const ROOT_TABLE;
    for shift in [39, 30, 21] {
        let index = (address >> shift) as usize & 0x1ff;
        // SAFETY: the table is ROOT_TABLE, or one that an entry of this module's tables names: static, and mapped one to
        // one. On the only CPU nothing writes it meanwhile.
        let entry = unsafe { &(&*table)[index] };
        if entry.is_unused() {
            return false;
        }
        table = core::ptr::with_exposed_provenance(entry.addr().as_u64() as usize);
    }
    true
}

/// What lies at an address, for the crash report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Page 0, never mapped.
    Null,
    /// The guard page under the stack of this name: it overflowed.
    Guard(&'static str),
    /// The kernel's code.
    Code,
    /// The kernel's constants.
    Constants,
    /// Mapped, writable, not executable.
    Data,
    /// Not mapped.
    Unmapped,
}

/// What lies at `address`, by the image's layout alone. Panic-safe.
pub fn meaning(address: u64) -> Meaning {
    let page = address & !(PAGE - 1);
    if page == 0 {
        return Meaning::Null;
    }
    for stack in stacks::places() {
        if stack.guard == page {
            return Meaning::Guard(stack.name);
        }
    }
    if address >= MAPPED_AT_BOOT && !is_own(address) && !is_mapped(address, 1) {
        return Meaning::Unmapped;
    }
    match rights(page) {
        flags if flags.contains(Flags::WRITABLE) => Meaning::Data,
        flags if flags.contains(Flags::NO_EXECUTE) => Meaning::Constants,
        _ => Meaning::Code,
    }
}

/// Whether an address lies in the image. Panic-safe.
pub fn is_own(address: u64) -> bool {
    own().contains(&address)
}

/// By how much the image lies above where it is linked to; wraps. Panic-safe.
pub fn offset() -> u64 {
    image_start().wrapping_sub(LINKED_TO)
}

/// The address that the ELF file has for one in the image; any other stays as it is. Panic-safe.
pub fn linked(address: u64) -> u64 {
    if is_own(address) { address.wrapping_sub(offset()) } else { address }
}

/// Everything that linker.ld lays out. Panic-safe.
pub fn own() -> Range<u64> {
    image_start()..persistent_end()
}

/// Where the image begins.
pub fn image_start() -> u64 {
    (&raw const symbols::image_start).addr() as u64
}

/// The address above what the multiboot header declares: the loader leaves nothing below it.
pub fn declared_end() -> u64 {
    (&raw const symbols::image_end).addr() as u64
}

/// The address above everything that linker.ld lays out.
pub fn persistent_end() -> u64 {
    (&raw const symbols::persistent_end).addr() as u64
}

/// The size of everything that linker.ld lays out, in bytes.
pub fn image_size() -> usize {
    (persistent_end() - image_start()) as usize
}
