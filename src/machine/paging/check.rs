//! Whether the page tables say what they should: walked as the CPU does, from CR3 down, without a look
//! at what wrote them.

use super::{image_start, symbols};
use crate::machine::stacks;
use core::fmt;
use x86_64::registers::control::{Cr3, Cr4};
use x86_64::structures::paging::page_table::PageTableEntry;
use x86_64::structures::paging::{PageTable, PageTableFlags as Flags};

/// What the tables map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mapped {
    /// Pages, of whatever size.
    pages: usize,
    /// Bytes of code.
    executable: u64,
    /// Bytes of constants.
    read_only: u64,
    /// Bytes of everything else.
    writable: u64,
}

impl fmt::Display for Mapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} pages: {} KiB code, {} KiB constants, else {} GiB of addresses for memory and devices; none both \
             writable and executable, no alias, page 0 and {} guards absent",
            self.pages,
            self.executable / 1024,
            self.read_only / 1024,
            self.writable.div_ceil(1 << 30),
            stacks::places().len()
        )
    }
}

/// A right that is there and should not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// The page at this address is writable and executable.
    WritableCode(u64),
    /// The page at this address is executable and not the kernel's code.
    StrayCode(u64),
    /// The page at this address is not at the same physical address: it may be an alias of another.
    Alias(u64),
    /// The page at this address is open to ring 3, where nothing runs.
    User(u64),
    /// Page 0 is mapped.
    Null,
    /// The guard of the stack of this name is mapped.
    Guard(&'static str),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WritableCode(address) => write!(f, "{address:#x} is writable and executable"),
            Self::StrayCode(address) => write!(f, "{address:#x} is executable, outside the kernel's code"),
            Self::Alias(address) => write!(f, "{address:#x} is mapped to another physical address"),
            Self::User(address) => write!(f, "{address:#x} is open to ring 3"),
            Self::Null => write!(f, "page 0 is mapped"),
            Self::Guard(stack) => write!(f, "the guard of the {stack} stack is mapped"),
        }
    }
}

/// Looks at every mapped page; gives the first thing that is wrong.
pub fn check() -> Result<Mapped, Violation> {
    let mut mapped = Mapped::default();
    let all = Flags::WRITABLE | Flags::USER_ACCESSIBLE;
    let five_levels = Cr4::read_raw() & u64::from(super::CR4_FIVE_LEVELS) != 0;
    let shift = if five_levels { 48 } else { 39 };
    walk(&mut mapped, Cr3::read().0.start_address().as_u64(), 0, shift, all)?;
    Ok(mapped)
}

/// Walks the table at `table`, whose first entry maps `start` and each entry `1 << shift` bytes, with the
/// `rights` that the levels above leave.
fn walk(mapped: &mut Mapped, table: u64, start: u64, shift: u32, rights: Flags) -> Result<(), Violation> {
    // SAFETY: CR3 and the present entries above the last level lead to tables, which lie in the image
    // and are identity-mapped; nothing changes them while this runs, on the only CPU.
    let table = unsafe { &*core::ptr::with_exposed_provenance::<PageTable>(table as usize) };
    for (index, entry) in (0u64..).zip(table.iter()) {
        let flags = entry.flags();
        if !flags.contains(Flags::PRESENT) {
            continue;
        }
        // A right needs every level's consent (SDM volume 3, section 4.6.1).
        let granted = Flags::WRITABLE | Flags::USER_ACCESSIBLE;
        let rights = rights & (flags | !granted) | flags & Flags::NO_EXECUTE;
        let address = start + (index << shift);
        if shift > 12 && !flags.contains(Flags::HUGE_PAGE) {
            walk(mapped, entry.addr().as_u64(), address, shift - 9, rights)?;
        } else {
            judge(mapped, address, 1 << shift, entry, rights)?;
        }
    }
    Ok(())
}

fn judge(
    mapped: &mut Mapped,
    address: u64,
    size: u64,
    entry: &PageTableEntry,
    rights: Flags,
) -> Result<(), Violation> {
    let page = address..address + size;
    let code = image_start()..(&raw const symbols::text_end).addr() as u64;
    let (writable, executable) = (rights.contains(Flags::WRITABLE), !rights.contains(Flags::NO_EXECUTE));
    if page.contains(&0) {
        return Err(Violation::Null);
    }
    if let Some(stack) = stacks::places().iter().find(|stack| page.contains(&stack.guard)) {
        return Err(Violation::Guard(stack.name));
    }
    if entry.addr().as_u64() != address {
        return Err(Violation::Alias(address));
    }
    if rights.contains(Flags::USER_ACCESSIBLE) {
        return Err(Violation::User(address));
    }
    let kind = match (writable, executable) {
        (true, true) => return Err(Violation::WritableCode(address)),
        (false, true) if !code.contains(&address) || page.end > code.end => {
            return Err(Violation::StrayCode(address));
        }
        (false, true) => &mut mapped.executable,
        (false, false) => &mut mapped.read_only,
        (true, false) => &mut mapped.writable,
    };
    *kind += size;
    mapped.pages += 1;
    Ok(())
}
