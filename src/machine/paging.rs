//! Page tables: everything mapped one to one, and every right that is not needed taken away.
//!
//! boot/entry.s fills [`ROOT_TABLE`], [`POINTER_TABLE`] and [`PAGE_DIRECTORIES`] with 4 GiB of
//! writable 2 MiB pages. [`protect`] then splits what holds the kernel into 4 KiB pages and sets:
//! code readable and executable, constants readable, everything else writable and not executable,
//! page 0 and the stacks' guards absent.

mod check;
mod old;

pub use check::check;
pub use old::make_readable;

use super::stacks;
use core::arch::x86_64::__cpuid;
use core::fmt;
use x86_64::PhysAddr;
use x86_64::instructions::tlb;
use x86_64::structures::paging::page_table::PageTableEntry;
use x86_64::structures::paging::{PageTable, PageTableFlags as Flags};

pub const PAGE: u64 = 4096;
const LARGE_PAGE: u64 = 2 << 20;
/// What the boot code maps.
pub const MAPPED_AT_BOOT: u64 = 4 << 30;
/// The lowest memory, in 4 KiB pages: it holds the kernel's image (linker.ld asserts that).
const SMALL_PAGES_END: u64 = 6 << 20;
/// How many tables there are for BARs above 4 GiB.
const SPARE_TABLES: usize = 8;

pub static mut ROOT_TABLE: PageTable = PageTable::new();
pub static mut POINTER_TABLE: PageTable = PageTable::new();
pub static mut PAGE_DIRECTORIES: [PageTable; 4] = [const { PageTable::new() }; 4];
static mut SMALL_TABLES: [PageTable; (SMALL_PAGES_END / LARGE_PAGE) as usize] =
    [const { PageTable::new() }; (SMALL_PAGES_END / LARGE_PAGE) as usize];
static mut SPARES: [PageTable; SPARE_TABLES] = [const { PageTable::new() }; SPARE_TABLES];

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

/// The rights of the page at `address`, which lies below [`SMALL_PAGES_END`].
fn rights(address: u64) -> Flags {
    let start = image_start();
    let text = (&raw const symbols::text_end).addr() as u64;
    let rodata = (&raw const symbols::rodata_end).addr() as u64;
    if address == 0 || stacks::places().iter().any(|stack| stack.guard == address) {
        Flags::empty()
    } else if (start..text).contains(&address) {
        Flags::PRESENT
    } else if (text..rodata).contains(&address) {
        Flags::PRESENT | Flags::NO_EXECUTE
    } else {
        Flags::PRESENT | Flags::WRITABLE | Flags::NO_EXECUTE
    }
}

/// The page tables, once protected: the only way to map more.
pub struct AddressSpace {
    spares: core::slice::IterMut<'static, PageTable>,
}

/// Why a range could not be mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// It lies beyond what the CPU addresses, with so many bits, or wraps.
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

/// Takes away every right that is not needed. To be called once, before anything else is mapped.
pub fn protect() -> AddressSpace {
    // SAFETY: this runs once, on the only CPU, with interrupts off; no other reference to the tables
    // exists (the boot code used them before), so these are exclusive.
    let (small, directories, spares) = unsafe {
        (
            (&raw mut SMALL_TABLES).as_mut_unchecked(),
            (&raw mut PAGE_DIRECTORIES).as_mut_unchecked(),
            (&raw mut SPARES).as_mut_unchecked(),
        )
    };
    let pages = small.iter_mut().flat_map(|table| table.iter_mut());
    for (address, entry) in (0u64..).step_by(PAGE as usize).zip(pages) {
        let rights = rights(address);
        if rights.contains(Flags::PRESENT) {
            entry.set_addr(PhysAddr::new(address), rights);
        }
    }
    let mut entries = directories.iter_mut().flat_map(|table| table.iter_mut());
    for (table, entry) in small.iter().zip(&mut entries) {
        entry.set_addr(table_address(table), Flags::PRESENT | Flags::WRITABLE);
    }
    for entry in entries {
        entry.set_flags(entry.flags() | Flags::NO_EXECUTE);
    }
    tlb::flush_all();
    AddressSpace { spares: spares.iter_mut() }
}

fn table_address(table: &PageTable) -> PhysAddr {
    PhysAddr::new(core::ptr::from_ref(table).addr() as u64)
}

impl AddressSpace {
    /// Maps `length` bytes of a device's registers at `address`, writable and not cached.
    /// Below 4 GiB all is mapped already, and the firmware's MTRRs keep devices uncached.
    pub fn map_device(&mut self, address: u64, length: u64) -> Result<(), MapError> {
        let bits = address_bits();
        let end = address.checked_add(length).filter(|&end| end <= 1 << bits);
        let end = end.ok_or(MapError::OutOfReach(bits))?;
        let mut page = address & !(LARGE_PAGE - 1);
        while page < end {
            if page >= MAPPED_AT_BOOT {
                self.map_large(page)?;
            }
            page += LARGE_PAGE;
        }
        Ok(())
    }

    /// Maps the 2 MiB page at `address`.
    fn map_large(&mut self, address: u64) -> Result<(), MapError> {
        let index = |shift: u32| (address >> shift) as usize & 0x1ff;
        // SAFETY: CR3 holds ROOT_TABLE, and `self` is the only way to the tables after `protect`.
        let root = unsafe { (&raw mut ROOT_TABLE).as_mut_unchecked() };
        let pointers = self.next_table(&mut root[index(39)])?;
        let directory = self.next_table(&mut pointers[index(30)])?;
        let entry = &mut directory[index(21)];
        if entry.is_unused() {
            let device = Flags::NO_CACHE | Flags::WRITE_THROUGH | Flags::HUGE_PAGE;
            entry.set_addr(
                PhysAddr::new(address),
                Flags::PRESENT | Flags::WRITABLE | Flags::NO_EXECUTE | device,
            );
            // An absent entry is never cached, so nothing is to be flushed (SDM volume 3, 4.10.2.3).
        }
        Ok(())
    }

    /// The table behind `entry`, a spare one where there is none yet.
    fn next_table(&mut self, entry: &mut PageTableEntry) -> Result<&'static mut PageTable, MapError> {
        if entry.is_unused() {
            let spare = self.spares.next().ok_or(MapError::NoTableLeft)?;
            entry.set_addr(table_address(spare), Flags::PRESENT | Flags::WRITABLE);
        }
        // SAFETY: a used entry above the last level points to one of this module's tables, which are
        // static and identity-mapped; `&mut self` makes the borrow exclusive while it is walked.
        Ok(unsafe { &mut *core::ptr::with_exposed_provenance_mut(entry.addr().as_u64() as usize) })
    }
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
    if address >= MAPPED_AT_BOOT {
        return Meaning::Unmapped;
    }
    match rights(page) {
        _ if page >= SMALL_PAGES_END => Meaning::Data,
        flags if flags.contains(Flags::WRITABLE) => Meaning::Data,
        flags if flags.contains(Flags::NO_EXECUTE) => Meaning::Constants,
        _ => Meaning::Code,
    }
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
