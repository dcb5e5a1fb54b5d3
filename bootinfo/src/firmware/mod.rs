//! What the firmware says about the machine: ACPI's, SMBIOS's and UEFI's tables. They are foreign bytes: a
//! table counts only where it is readable memory, as long as it says, and of the right checksum, and
//! every walk is bounded. Nothing is interpreted that needs an interpreter.
//!
//! It knows nothing of `parameters`.

#![forbid(unsafe_code)]

pub mod acpi;
pub mod iommu;
pub mod pci;
pub mod smbios;
pub mod uefi;

#[cfg(test)]
mod tests;

/// Where a PC's BIOS leaves its entry points (ACPI 6.5, section 5.2.5.1; SMBIOS 3.7, section 5.2).
const BIOS_AREA: core::ops::Range<u64> = 0xe_0000..0x10_0000;
/// Their alignment.
const PARAGRAPH: usize = 16;

/// Whether all bytes add up to 0, as the checksum of every table here makes them.
fn sums_to_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) == 0
}
