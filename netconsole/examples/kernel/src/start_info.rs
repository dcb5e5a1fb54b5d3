//! What the loader says: PVH's structures (Xen, xen/include/public/arch-x86/hvm/start_info.h).

use crate::addresses::at;

/// hvm_start_info.
#[repr(C)]
pub struct StartInfo {
    magic: u32,
    version: u32,
    flags: u32,
    modules: u32,
    module_list: u64,
    command_line: u64,
    acpi: u64,
    memory_map: u64,
    memory_map_entries: u32,
}

/// hvm_memmap_table_entry.
#[repr(C)]
pub struct Region {
    /// Where it begins, a physical address.
    pub start: u64,
    /// Its length in bytes.
    pub length: u64,
    kind: u32,
    reserved: u32,
}

impl Region {
    /// Whether it is memory that the kernel may use.
    pub fn is_usable(&self) -> bool {
        self.kind == 1
    }

    /// The physical address after it.
    pub fn end(&self) -> u64 {
        self.start + self.length
    }
}

impl StartInfo {
    const MAGIC: u32 = 0x336e_c578;

    /// What lies at the physical address that the loader gave. It stays: this kernel uses no memory below its image.
    ///
    /// # Safety
    ///
    /// The address is the loader's.
    pub unsafe fn read(physical: u64) -> &'static Self {
        // SAFETY: the loader left the structure there, and nothing writes to it.
        let info = unsafe { &*at(physical).cast::<Self>() };
        assert!(info.magic == Self::MAGIC && info.version >= 1, "PVH: version 1 or newer is needed");
        info
    }

    /// The kernel's parameters.
    pub fn command_line(&self) -> &'static str {
        const LONGEST: usize = 4096;
        let text = at(self.command_line);
        // SAFETY: as in `read`; the text ends with a zero.
        let bytes = unsafe {
            let length = (0..LONGEST).find(|&index| *text.add(index) == 0).unwrap_or(0);
            core::slice::from_raw_parts(text, length)
        };
        str::from_utf8(bytes).unwrap_or_default()
    }

    /// What of the physical addresses is memory.
    pub fn memory_map(&self) -> &'static [Region] {
        // SAFETY: as in `read`; the loader says how many there are.
        unsafe {
            let first = at(self.memory_map).cast();
            core::slice::from_raw_parts(first, self.memory_map_entries as usize)
        }
    }
}
