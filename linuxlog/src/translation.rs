//! From the dead kernel's virtual addresses to physical ones.

use crate::core_header::CoreHeader;
use crate::memory::{self, Memory, PAGE, Run, Unreadable};
use crate::vmcoreinfo::VmCoreInfo;

/// Where Linux maps its own text and data (`__START_KERNEL_map`, Documentation/arch/x86/x86_64/mm.rst).
const KERNEL_MAP: u64 = 0xffff_ffff_8000_0000;
/// The length of that mapping in bytes where VMCOREINFO does not say it.
const KERNEL_IMAGE_SIZE: u64 = 1 << 30;

/// Bits of a page table's entry (Intel SDM volume 3, section 4.5).
const PRESENT: u64 = 1;
const LARGE: u64 = 1 << 7;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// The dead kernel's memory, by its own addresses.
pub(crate) struct Translation<'m, M> {
    memory: &'m M,
    core: Option<CoreHeader>,
    phys_base: u64,
    kernel_image_size: u64,
    /// The top page table's physical address, and the number of levels.
    tables: Option<(u64, u32)>,
    /// The bits of page tables' entries that are an address: not the one that says that memory is encrypted.
    address: u64,
}

impl<'m, M: Memory> Translation<'m, M> {
    /// By the kernel's own mapping, then by what the core header says, if there is one, then by page tables.
    pub fn new(memory: &'m M, core: Option<CoreHeader>, info: &VmCoreInfo) -> Self {
        let phys_base = info.phys_base.unwrap_or(0);
        let address = ADDRESS & !info.sme_mask.unwrap_or(0);
        let kernel_image_size = info.kernel_image_size.unwrap_or(KERNEL_IMAGE_SIZE);
        let mut new = Self { memory, core, phys_base, kernel_image_size, tables: None, address };
        let levels = if info.five_levels == Some(1) { 5 } else { 4 };
        let top = info.init_top_pgt.or(info.swapper_pg_dir).and_then(|address| new.in_kernel_map(address));
        new.tables = top.map(|top| (top.physical, levels));
        new
    }

    /// Copies what the dead kernel had at a virtual address.
    pub fn read(&self, address: u64, to: &mut [u8]) -> Result<(), Unreadable> {
        match self.in_kernel_map(address) {
            Some(run) if to.len() as u64 <= run.len => self.memory.read(run.physical, to),
            _ => self.read_runs(address, to),
        }
    }

    /// The same of what lies elsewhere than in the kernel's own mapping, or across several runs.
    #[inline(never)]
    fn read_runs(&self, address: u64, to: &mut [u8]) -> Result<(), Unreadable> {
        let mut place = address;
        let mut rest = to;
        while !rest.is_empty() {
            let Run { physical, len } = self.run(place).ok_or(Unreadable { address: place })?;
            let len = usize::try_from(len).unwrap_or(usize::MAX).min(rest.len());
            let (now, later) = rest.split_at_mut_checked(len).ok_or(Unreadable { address })?;
            self.memory.read(physical, now)?;
            if later.is_empty() {
                break;
            }
            place = place.checked_add(len as u64).ok_or(Unreadable { address })?;
            rest = later;
        }
        Ok(())
    }

    /// Whether memory that was encrypted with this bit of page tables' entries is read decrypted.
    pub fn decrypts(&self, mask: u64) -> bool {
        self.memory.decrypts(mask)
    }

    /// The word at a virtual address.
    pub fn word(&self, address: u64) -> Result<u64, Unreadable> {
        let mut bytes = [0; 8];
        self.read(address, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// The 32-bit number at a virtual address.
    pub fn number(&self, address: u64) -> Result<u32, Unreadable> {
        let mut bytes = [0; 4];
        self.read(address, &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// What lies at a virtual address, and on from there without a gap.
    fn run(&self, address: u64) -> Option<Run> {
        if let Some(run) = self.in_kernel_map(address) {
            return Some(run);
        }
        let mapped = self.core.as_ref().and_then(|core| core.translate(self.memory, address));
        let by_tables = || {
            let physical = self.by_tables(address)?;
            Some(Run { physical, len: PAGE.saturating_sub(address & (PAGE - 1)) })
        };
        mapped.or_else(by_tables)
    }

    /// Of an address in the kernel's own mapping.
    fn in_kernel_map(&self, address: u64) -> Option<Run> {
        let offset = address.checked_sub(KERNEL_MAP)?;
        let len = self.kernel_image_size.checked_sub(offset).filter(|&len| len > 0)?;
        Some(Run { physical: offset.wrapping_add(self.phys_base), len })
    }

    /// Walks the page tables, which are four or five levels of 512 entries.
    fn by_tables(&self, address: u64) -> Option<u64> {
        let (mut table, levels) = self.tables?;
        for level in (0..levels).rev() {
            let shift = level.checked_mul(9)?.checked_add(12)?;
            let index = address.checked_shr(shift)? & 511;
            let entry = memory::word(self.memory, table.checked_add(index.checked_mul(8)?)?).ok()?;
            if entry & PRESENT == 0 {
                return None;
            }
            if level == 0 || level <= 2 && entry & LARGE != 0 {
                let within = 1_u64.checked_shl(shift)?.checked_sub(1)?;
                return Some(entry & self.address & !within | address & within);
            }
            table = entry & self.address;
        }
        None
    }
}
