//! What a dead kernel left beyond the first 4 GiB, or encrypted: mapped to be read alone, in pages of 2 MiB as they are
//! needed, one to one or, where it is to be decrypted, where [`Encryption`] has its place. There are a few tables for it, and
//! the one that has been in use for longest serves for the next GiB.

use super::{LARGE_PAGE, MAPPED_AT_BOOT, ROOT_TABLE, table_address};
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use linuxlog::Encryption;
use x86_64::PhysAddr;
use x86_64::instructions::tlb;
use x86_64::structures::paging::page_table::PageTableEntry;
use x86_64::structures::paging::{PageTable, PageTableFlags as Flags};

/// How many GiB are mapped at the same time: a log's descriptors, their data and the texts may be far apart.
const DIRECTORIES: usize = 4;
/// What a table of the second and of the third level maps.
const ROOT_ENTRY: u64 = 1 << 39;
const GIB: u64 = 1 << 30;
const NONE: u64 = u64::MAX;

static mut POINTERS: PageTable = PageTable::new();
static mut PAGE_DIRECTORIES: [PageTable; DIRECTORIES] = [const { PageTable::new() }; DIRECTORIES];
/// Which 512 GiB [`POINTERS`] is for, and which GiB each of [`PAGE_DIRECTORIES`] is for.
static POINTERS_FOR: AtomicU64 = AtomicU64::new(NONE);
static FOR: [AtomicU64; DIRECTORIES] = [const { AtomicU64::new(NONE) }; DIRECTORIES];
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Has `length` bytes from the physical `address` on mapped, at least to be read, and gives the virtual address; `None`
/// where no page table reaches them. What is mapped for it may go again with the next call. Panic-safe.
#[inline(never)]
pub fn make_readable(address: u64, length: u64, encryption: Encryption) -> Option<u64> {
    let place = encryption.place(address, length)?;
    let end = place.checked_add(length)?;
    let mut page = place & !(LARGE_PAGE - 1);
    while page < end {
        if page >= MAPPED_AT_BOOT {
            map(page, encryption);
        }
        page = page.wrapping_add(LARGE_PAGE);
    }
    Some(place)
}

/// Takes all of it out of the tables again, so that none of its tables serves for what is to stay: it is mapped again
/// when it is needed.
pub(super) fn unmap_all() {
    (0..DIRECTORIES).for_each(unlink);
    take_pointers(NONE);
}

fn index(address: u64, shift: u32) -> usize {
    (address >> shift) as usize & 0x1ff
}

fn map(page: u64, encryption: Encryption) {
    // SAFETY: this is the only CPU, and nobody else holds a reference to a table now: `AddressSpace` hands none out. The
    // panic path may come in between; it finds each table either linked and in order or not linked.
    let root = unsafe { (&raw mut ROOT_TABLE).as_mut_unchecked() };
    let root_entry = &mut root[index(page, 39)];
    if root_entry.is_unused() {
        take_pointers(page / ROOT_ENTRY);
        // SAFETY: as above; `take_pointers` has let go of it.
        let pointers = unsafe { (&raw mut POINTERS).as_mut_unchecked() };
        root_entry.set_addr(table_address(pointers), Flags::PRESENT | Flags::WRITABLE);
    }
    let pointer_entry = &mut behind(root_entry)[index(page, 30)];
    if pointer_entry.is_unused() {
        let number = NEXT.load(Ordering::Relaxed) % DIRECTORIES;
        NEXT.store(number.wrapping_add(1), Ordering::Relaxed);
        unlink(number);
        // SAFETY: as above; no entry leads to it any more.
        let directory = unsafe { &mut (&raw mut PAGE_DIRECTORIES).as_mut_unchecked()[number % DIRECTORIES] };
        directory.zero();
        pointer_entry.set_addr(table_address(directory), Flags::PRESENT | Flags::WRITABLE);
        FOR[number % DIRECTORIES].store(page / GIB, Ordering::Relaxed);
    }
    let entry = &mut behind(pointer_entry)[index(page, 21)];
    if entry.is_unused() {
        entry.set_addr(
            PhysAddr::new_truncate(encryption.entry(page)),
            Flags::PRESENT | Flags::NO_EXECUTE | Flags::HUGE_PAGE,
        );
        // An absent entry is never cached, so nothing is to be flushed (SDM volume 3, 4.10.2.3).
    }
}

/// The table that a used entry above the last level leads to.
fn behind(entry: &mut PageTableEntry) -> &'static mut PageTable {
    // SAFETY: it is one of this module's or of paging.rs's tables, which are static and mapped one to one, and this is the
    // only CPU.
    unsafe { &mut *core::ptr::with_exposed_provenance_mut(entry.addr().as_u64() as usize) }
}

/// Has the table of the second level serve for these 512 GiB, and no others; for none where that is [`NONE`].
fn take_pointers(which: u64) {
    let before = POINTERS_FOR.swap(which, Ordering::Relaxed);
    if before == NONE {
        return;
    }
    (0..DIRECTORIES)
        .filter(|&number| FOR[number].load(Ordering::Relaxed) / (ROOT_ENTRY / GIB) == before)
        .for_each(unlink);
    // SAFETY: as in `map`.
    let (root, pointers) =
        unsafe { ((&raw mut ROOT_TABLE).as_mut_unchecked(), (&raw mut POINTERS).as_mut_unchecked()) };
    root[index(before.wrapping_mul(ROOT_ENTRY), 39)].set_unused();
    pointers.zero();
    tlb::flush_all();
}

/// Takes a directory of pages out of the tables.
fn unlink(number: usize) {
    let Some(gib) = FOR.get(number).map(|gib| gib.swap(NONE, Ordering::Relaxed)).filter(|&gib| gib != NONE)
    else {
        return;
    };
    let address = gib.wrapping_mul(GIB);
    // SAFETY: as in `map`.
    let root_entry = unsafe { &mut (&raw mut ROOT_TABLE).as_mut_unchecked()[index(address, 39)] };
    if !root_entry.is_unused() {
        behind(root_entry)[index(address, 30)].set_unused();
    }
    tlb::flush_all();
}
