//! What the firmware left in memory: ACPI, SMBIOS and UEFI tables.

use crate::boot_info::Memory;
use bootinfo::PhysicalMemory;
use bootinfo::firmware::acpi::{self, Fixed, Root};
use bootinfo::firmware::smbios::EntryPoint;
use bootinfo::firmware::uefi::SystemTable;

/// Memory begins with whichever table it is; all that can be reached from it is read.
pub fn check(bytes: &[u8]) {
    let memory = Memory(bytes);
    if let Some(root) = Root::read(&memory, Memory::START) {
        read_acpi(root, &memory, bytes.len());
    }
    if let Some(entry) = EntryPoint::read(&memory, Memory::START) {
        read_smbios(&entry, &memory);
    }
    if let Some(system) = SystemTable::read(&memory, Memory::START)
        && let Some(entry) = system.smbios(&memory)
    {
        read_smbios(&entry, &memory);
    }
}

fn read_acpi(root: Root, memory: &dyn PhysicalMemory, bytes: usize) {
    let mut count = 0;
    for table in root.tables(memory) {
        count += 1;
        match table {
            Ok(table) => assert!(!table.signature.to_string().is_empty()),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    assert!(count <= 257, "no more than are looked at, and the root");
    if let Some(madt) = root.table(memory, b"APIC") {
        assert!(acpi::processors(&madt) <= bytes);
    }
    if let Some(fadt) = root.table(memory, b"FACP") {
        let fixed = Fixed::new(fadt);
        let _ = fixed.reset();
        if let Some(dsdt) = fixed.dsdt(memory) {
            let _ = fixed.power_off(&dsdt);
            assert!(acpi::virtio_mmio(&dsdt).count() <= bytes);
        }
    }
}

fn read_smbios(entry: &EntryPoint, memory: &dyn PhysicalMemory) {
    for structure in entry.structures(memory) {
        if let Some(description) = structure.description() {
            let text = description.to_string();
            assert!(text.chars().all(|c| c.is_ascii() && !c.is_ascii_control()), "{text:?}");
        }
    }
}
