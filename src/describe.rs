//! What the machine is, told in the log: nobody sees a screen. It is told after the targets have started,
//! so that the first frame does not wait for it.

use crate::machine::clock::{Counter, Hpet, Others};
use crate::machine::{cpu, io_apic, physical::Physical, power};
use crate::start;
use bootinfo::BootInfo;
use bootinfo::firmware::acpi::{self, Fixed, Root, Table};
use bootinfo::firmware::smbios::{EntryPoint, Label};
use bootinfo::firmware::uefi::SystemTable;
use netconsole::nic::BusAddress;
use netconsole::targets::path_name::Labels;
use spin::Once;

/// Logs what firmware, SMBIOS, CPU and ACPI say, and tells [`power`] of ACPI's ways to end the machine.
pub fn machine(boot: &BootInfo) {
    let memory = Physical::now();
    let uefi = uefi(boot, &memory);
    let entry = smbios(boot, &memory);
    let acpi = root(boot, &memory);
    match &uefi {
        Some(table) => log::info!("firmware: UEFI {}.{}", table.revision.0, table.revision.1 / 10),
        None if boot.uefi.is_some() => log::info!("firmware: UEFI"),
        // A BIOS leaves its tables where they are looked for.
        None if entry.is_some() || acpi.is_some() => log::info!("firmware: BIOS"),
        None => log::info!("firmware: none found"),
    }
    for structure in entry.iter().flat_map(|entry| entry.structures(&memory)) {
        if let Some(description) = structure.description() {
            log::info!("{description}");
        }
    }
    cpu::describe();
    match acpi {
        Some(root) => describe_acpi(root, &memory),
        None => log::info!("acpi: no tables found"),
    }
}

fn uefi(boot: &BootInfo, memory: &Physical) -> Option<SystemTable> {
    boot.uefi.and_then(|address| SystemTable::read(memory, address))
}

fn smbios(boot: &BootInfo, memory: &Physical) -> Option<EntryPoint> {
    uefi(boot, memory).and_then(|table| table.smbios(memory)).or_else(|| EntryPoint::find(memory))
}

/// What SMBIOS calls the place of a card.
pub fn labels(boot: &BootInfo, place: BusAddress) -> Labels {
    let memory = Physical::now();
    let mut labels = Labels::default();
    let BusAddress::Pci(card) = place else { return labels };
    let entry = smbios(boot, &memory);
    for label in
        entry.iter().flat_map(|entry| entry.structures(&memory)).filter_map(|structure| structure.label())
    {
        match label {
            Label::Slot { number, bus, device } if (bus, device) == (card.bus, card.device) => {
                labels.slot = Some(number);
            }
            Label::Ethernet { number, bus, device, function }
                if (bus, device, function) == (card.bus, card.device, card.function) =>
            {
                labels.onboard = Some(number);
            }
            _ => {}
        }
    }
    labels
}

/// ACPI's table of tables, as the loader or the BIOS gives it; a BIOS's is looked for once.
pub fn root(boot: &BootInfo, memory: &Physical) -> Option<Root> {
    static FOUND: Once<Option<Root>> = Once::new();
    boot.acpi.or_else(|| *FOUND.call_once(|| Root::find(memory)))
}

fn fixed<'m>(boot: &BootInfo, memory: &'m Physical) -> Option<Fixed<'m>> {
    root(boot, memory).and_then(|root| root.table(memory, b"FACP")).map(Fixed::new)
}

/// The counters of known frequency that ACPI names.
pub fn counters() -> Others {
    let memory = Physical::now();
    let Some(boot) = start::boot_info() else { return [None; 2] };
    let table = root(boot, &memory).and_then(|root| root.table(&memory, b"HPET"));
    let hpet = table.and_then(|table| acpi::event_timer(&table)).and_then(Hpet::at);
    let timer = fixed(boot, &memory).and_then(|fixed| fixed.power_timer());
    [hpet.map(Counter::Hpet), timer.map(Counter::Acpi)]
}

/// Holds back what the I/O APICs may bring that ACPI names.
pub fn hold_back_interrupts(boot: &BootInfo) {
    let memory = Physical::now();
    let madt = root(boot, &memory).and_then(|root| root.table(&memory, b"APIC"));
    madt.iter().flat_map(acpi::io_apics).for_each(io_apic::hold_back);
}

/// Which register of the real-time clock holds the year's first two digits, says ACPI.
pub fn century(boot: &BootInfo) -> Option<u8> {
    fixed(boot, &Physical::now())?.century()
}

fn describe_acpi(root: Root, memory: &Physical) {
    for table in root.tables(memory) {
        match table {
            Ok(table) => {
                log::info!("acpi: {table}");
                if table.signature.0 == *b"APIC" {
                    let count = acpi::processors(&table);
                    let plural = if count == 1 { "" } else { "s" };
                    log::info!("cpu: {count} processor{plural}, says ACPI");
                }
            }
            Err(error) => log::warn!("acpi: {error}"),
        }
    }
    if let Some(fixed) = root.table(memory, b"FACP").map(Fixed::new) {
        let off = fixed.dsdt(memory).and_then(|dsdt| fixed.power_off(&dsdt));
        power::use_acpi(off, fixed.reset());
    }
}

/// Calls `visit` with the address of each virtio device over MMIO that ACPI names.
pub fn virtio_mmio(boot: &BootInfo, visit: impl FnMut(u64)) {
    let memory = Physical::now();
    dsdt(boot, &memory).iter().flat_map(acpi::virtio_mmio).for_each(visit);
}

/// The DSDT.
pub fn dsdt<'m>(boot: &BootInfo, memory: &'m Physical) -> Option<Table<'m>> {
    fixed(boot, memory).and_then(|fixed| fixed.dsdt(memory))
}
