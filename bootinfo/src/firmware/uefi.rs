//! The UEFI system table, as far as it says what the firmware is and where SMBIOS and ACPI are (UEFI
//! specification 2.10, section 4.3).

use super::acpi::Root;
use super::smbios::EntryPoint;
use crate::{Fields, PhysicalMemory};

/// Offsets in `EFI_SYSTEM_TABLE` on a 64-bit machine.
mod field {
    pub const SIGNATURE: usize = 0;
    pub const REVISION: usize = 8;
    pub const TABLE_COUNT: usize = 104;
    pub const TABLES: usize = 112;
    pub const LENGTH: usize = 120;
}
/// "IBI SYST".
const SIGNATURE: u64 = u64::from_le_bytes(*b"IBI SYST");
/// `EFI_CONFIGURATION_TABLE`: a GUID and an address.
const TABLE_LENGTH: usize = 24;
/// More than any firmware has.
const MAX_TABLES: u64 = 256;

/// Section 4.6.1: `SMBIOS3_TABLE_GUID`, `SMBIOS_TABLE_GUID`.
const SMBIOS3: [u8; 16] = 0xf2fd_1544_9794_4a2c_992e_e5bb_cf20_e394_u128.to_be_bytes();
const SMBIOS: [u8; 16] = 0xeb9d_2d31_2d88_11d3_9a16_0090_273f_c14d_u128.to_be_bytes();
/// Section 4.6.1: `ACPI_20_TABLE_GUID`, `ACPI_TABLE_GUID`.
const ACPI_2: [u8; 16] = 0x8868_e871_e4f1_11d3_bc22_0080_c73c_8881_u128.to_be_bytes();
const ACPI: [u8; 16] = 0xeb9d_2d30_2d88_11d3_9a16_0090_273f_c14d_u128.to_be_bytes();

/// The system table of the firmware that started this machine.
pub struct SystemTable {
    /// The specification's version that it keeps to.
    pub revision: (u16, u16),
    tables: u64,
    count: u64,
}

impl SystemTable {
    /// The table at the physical address `address`.
    pub fn read(memory: &dyn PhysicalMemory, address: u64) -> Option<Self> {
        let table = Fields::read(memory, address, field::LENGTH)?;
        if table.u64(field::SIGNATURE)? != SIGNATURE {
            return None;
        }
        Some(Self {
            revision: (table.u16(field::REVISION.checked_add(2)?)?, table.u16(field::REVISION)?),
            tables: table.u64(field::TABLES)?,
            count: table.u64(field::TABLE_COUNT)?.min(MAX_TABLES),
        })
    }

    /// SMBIOS's entry point, the newer form where there is one.
    pub fn smbios(&self, memory: &dyn PhysicalMemory) -> Option<EntryPoint> {
        let find = |guid| self.find(memory, guid).and_then(|address| EntryPoint::read(memory, address));
        find(SMBIOS3).or_else(|| find(SMBIOS))
    }

    /// ACPI's table of tables, by the newer form of the root pointer where there is one.
    pub fn acpi(&self, memory: &dyn PhysicalMemory) -> Option<Root> {
        let find = |guid| self.find(memory, guid).and_then(|address| Root::read(memory, address));
        find(ACPI_2).or_else(|| find(ACPI))
    }

    /// The address that the firmware gives for this GUID.
    fn find(&self, memory: &dyn PhysicalMemory, guid: [u8; 16]) -> Option<u64> {
        (0..self.count).find_map(|index| {
            let address = self.tables.checked_add(index.checked_mul(24)?)?;
            let entry = Fields::read(memory, address, TABLE_LENGTH)?;
            let is_it = entry.0.first_chunk() == Some(&in_memory(guid));
            is_it.then(|| entry.u64(16))?
        })
    }
}

/// A GUID's bytes as a structure has them (appendix A): the first three fields are little-endian.
const fn in_memory(guid: [u8; 16]) -> [u8; 16] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = guid;
    [d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p]
}
