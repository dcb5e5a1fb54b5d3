//! Where the IOMMUs are, which may keep devices from memory: `DMAR` (Intel Virtualization Technology for Directed I/O 4.1,
//! chapter 8), `IVRS` (AMD I/O Virtualization Technology 3.09, section 5.2) and `VIOT` (ACPI 6.5, section 5.2.33).

use super::acpi::Table;
use crate::Fields;
use core::fmt;

/// An IOMMU, and where its registers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Iommu {
    /// Intel's VT-d, by the physical address.
    IntelVtd(u64),
    /// AMD-Vi, by the physical address.
    AmdVi(u64),
    /// A virtio-iommu on the PCI bus: bus, device and function as PCI's configuration address has them.
    VirtioPci(u16),
    /// A virtio-iommu over MMIO, by the physical address.
    VirtioMmio(u64),
}

impl fmt::Display for Iommu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::IntelVtd(address) => write!(f, "VT-d at {address:#x}"),
            Self::AmdVi(address) => write!(f, "AMD-Vi at {address:#x}"),
            Self::VirtioPci(place) => {
                write!(f, "virtio-iommu at {:02x}:{:02x}.{}", place >> 8, place >> 3 & 0x1f, place & 7)
            }
            Self::VirtioMmio(address) => write!(f, "virtio-iommu at {address:#x}"),
        }
    }
}

/// More structures than any table has.
const MAX_STRUCTURES: usize = 1024;

/// The IOMMUs that a table names; none where it is no table of IOMMUs. Each unit is named once where its structures
/// follow one another, as they do.
pub fn iommus<'t>(table: &Table<'t>) -> impl Iterator<Item = Iommu> + use<'t> {
    let bytes = table.bytes();
    let kind = Kind::of(table);
    let mut rest = kind.and_then(|kind| bytes.get(kind.first_structure(bytes)?..)).unwrap_or_default();
    let mut last = None;
    let structures = core::iter::from_fn(move || {
        let kind = kind?;
        let length = kind.length(rest)?;
        let (structure, following) = rest.split_at_checked(length).filter(|_| length >= 4)?;
        rest = following;
        Some(kind.unit(structure))
    });
    structures.take(MAX_STRUCTURES).flatten().filter(move |unit| last.replace(*unit) != Some(*unit))
}

#[derive(Clone, Copy)]
enum Kind {
    Dmar,
    Ivrs,
    Viot,
}

impl Kind {
    fn of(table: &Table<'_>) -> Option<Self> {
        match &table.signature.0 {
            b"DMAR" => Some(Self::Dmar),
            b"IVRS" => Some(Self::Ivrs),
            b"VIOT" => Some(Self::Viot),
            _ => None,
        }
    }

    fn first_structure(self, table: &[u8]) -> Option<usize> {
        match self {
            Self::Dmar | Self::Ivrs => Some(48),
            Self::Viot => Fields(table).u16(38).map(usize::from),
        }
    }

    /// The length of the structure that `rest` begins with. DMAR's have a type of 16 bits before it, the others one of 8
    /// and a byte.
    fn length(self, rest: &[u8]) -> Option<usize> {
        Fields(rest).u16(2).map(usize::from)
    }

    /// The unit that a structure describes, if it does describe one.
    fn unit(self, structure: &[u8]) -> Option<Iommu> {
        let fields = Fields(structure);
        let kind = fields.u8(0)?;
        let address = || fields.u64(8).filter(|&address| address != 0);
        match (self, kind) {
            // DRHD, the type's upper byte being 0.
            (Self::Dmar, 0) if fields.u8(1) == Some(0) => address().map(Iommu::IntelVtd),
            // IVHD in its three forms.
            (Self::Ivrs, 0x10 | 0x11 | 0x40) => address().map(Iommu::AmdVi),
            (Self::Viot, 3) => fields.u16(6).filter(|_| fields.u16(4) == Some(0)).map(Iommu::VirtioPci),
            (Self::Viot, 4) => address().map(Iommu::VirtioMmio),
            _ => None,
        }
    }
}
