//! IOMMUs that UEFI firmware has a driver of, where the firmware goes on beside this kernel: whether one is on.

use bootinfo::PhysicalMemory;
use bootinfo::firmware::acpi::Root;
use bootinfo::firmware::iommu::{Iommu, iommus};
use netconsole::nic::Addresses;
use netconsole::nic::iommu::{Kind, Unit};

/// What kind it is, and where its registers lie, but for virtio's.
pub fn kind(iommu: Iommu) -> Option<(Kind, u64)> {
    match iommu {
        Iommu::IntelVtd(address) => Some((Kind::IntelVtd, address)),
        Iommu::AmdVi(address) => Some((Kind::AmdVi, address)),
        Iommu::VirtioPci(_) | Iommu::VirtioMmio(_) => None,
    }
}

/// One that is on, of those that ACPI names. Their registers are reached by `addresses` once `map` has mapped them.
#[inline(never)]
pub fn one_that_is_on(
    acpi: Root,
    memory: &dyn PhysicalMemory,
    addresses: &Addresses,
    map: &mut dyn FnMut(u64, u64) -> bool,
) -> Option<Iommu> {
    let mut is_on = |iommu: &Iommu| {
        kind(*iommu).is_some_and(|(kind, address)| {
            map(address, kind.length()) && Unit::at(kind, address, addresses).is_ok_and(|unit| unit.is_on())
        })
    };
    let find = |name| iommus(&acpi.table(memory, name)?).find(&mut is_on);
    [b"DMAR", b"IVRS"].into_iter().find_map(find)
}
