//! What ACPI says of PCI: where configuration space lies in memory (PCI Firmware Specification 3.3, section 4.1.2, `MCFG`),
//! and the host bridges that the byte code declares.

use super::acpi::{Table, integer};
use crate::Fields;

/// A range of buses whose configuration space lies in memory, 1 MiB a bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where bus 0's begins, or would.
    pub address: u64,
    /// The segment group's number; 0 is what the ports reach.
    pub group: u16,
    /// The first bus.
    pub first: u8,
    /// The last bus.
    pub last: u8,
}

/// The segments of an MCFG.
pub fn segments<'t>(mcfg: &Table<'t>) -> impl Iterator<Item = Segment> + use<'t> {
    const HEADER: usize = 44;
    const ENTRY: usize = 16;
    let entries = mcfg.bytes().get(HEADER..).unwrap_or_default().chunks_exact(ENTRY).map(Fields);
    entries.filter_map(|entry| {
        let (first, last) = (entry.u8(10)?, entry.u8(11)?);
        let segment = Segment { address: entry.u64(0)?, group: entry.u16(8)?, first, last };
        // A megabyte a bus, as the bus's number takes the bits from 20 on.
        (segment.address != 0 && segment.address & 0xf_ffff == 0 && first <= last).then_some(segment)
    })
}

/// What byte code says of host bridges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostBridges {
    /// How many it declares.
    pub count: usize,
    /// How many of them have a bus number that is written down, and not found out by running the code.
    pub numbered: usize,
    /// Where the first one's configuration space lies in memory (`_CBA`), where the firmware has no MCFG.
    pub configuration: Option<u64>,
    /// Ranges of addresses below 4 GiB that are written down as the first one's to give to devices, in the byte code's order:
    /// the first address and the last. Configuration space may be among them, for it is declared in the same way.
    pub windows: [Option<(u64, u64)>; MAX_WINDOWS],
}

/// How many ranges are kept.
pub const MAX_WINDOWS: usize = 4;

impl HostBridges {
    /// Notes a range that was found, if there is room and it is new.
    pub fn add_window(&mut self, window: (u64, u64)) {
        if !self.windows.contains(&Some(window))
            && let Some(place) = self.windows.iter_mut().find(|place| place.is_none())
        {
            *place = Some(window);
        }
    }
}

/// Finds the host bridges in a DSDT or SSDT without running it, and calls `root` with each bus number that is written
/// down. `_BBN` (ACPI 6.5, section 6.5.5) and `_CBA` (PCI Firmware Specification 3.3, section 4.1.3) are understood as
/// names, and as methods that do nothing but return a number.
pub fn host_bridges(table: &Table<'_>, mut root: impl FnMut(u8)) -> HostBridges {
    const NAME: u8 = 0x08;
    const DWORD: u8 = 0x0c;
    /// EISAID("PNP0A0") before its last digit.
    const PCI_ROOT: &[u8] = &[DWORD, 0x41, 0xd0, 0x0a];
    /// The same as text.
    const PCI_ROOT_TEXT: &[u8] = b"\x0dPNP0A0";
    let code = table.body();
    let mut found = HostBridges::default();
    for (at, _) in code.iter().enumerate().filter(|(_, byte)| **byte == b'_') {
        let (before, rest) = code.split_at_checked(at).unwrap_or_default();
        let is_name = before.last() == Some(&NAME);
        match rest {
            [b'_', b'C', b'R', b'S', resources @ ..] if found.count > 0 => {
                windows(resources).for_each(|window| found.add_window(window));
            }
            [b'_', b'H', b'I', b'D', id @ ..] if is_name => {
                let is_root = matches!(id.strip_prefix(PCI_ROOT), Some([3 | 8, ..]))
                    || matches!(id.strip_prefix(PCI_ROOT_TEXT), Some([b'3' | b'8', 0, ..]));
                found.count = found.count.saturating_add(usize::from(is_root));
            }
            [b'_', b'B', b'B', b'N', value @ ..] => {
                if let Some(bus) = number(is_name, value).and_then(|bus| u8::try_from(bus).ok()) {
                    found.numbered = found.numbered.saturating_add(1);
                    root(bus);
                }
            }
            [b'_', b'C', b'B', b'A', value @ ..] if found.configuration.is_none() => {
                found.configuration = number(is_name, value).filter(|&address| address != 0);
            }
            _ => {}
        }
    }
    found
}

/// The ranges of memory that a bridge hands on, in the resources that follow (ACPI 6.5, section 6.4.3.5.2: a double
/// word's address space descriptor, of memory, produced, as it is on the other side). What lies below 1 MiB is the PC's own.
fn windows(resources: &[u8]) -> impl Iterator<Item = (u64, u64)> {
    const MAX_RESOURCES: usize = 512;
    const MEMORY: [u8; 4] = [0x87, 0x17, 0, 0];
    let resources = resources.get(..MAX_RESOURCES).unwrap_or(resources);
    resources.windows(26).filter(|bytes| bytes.starts_with(&MEMORY)).filter_map(|bytes| {
        let fields = Fields(bytes);
        let (min, max) = (fields.u32(10)?, fields.u32(14)?);
        let is_whole = max.checked_sub(min)?.checked_add(1)? == fields.u32(22)?;
        let is_produced = fields.u8(4)? & 1 == 0 && fields.u32(18)? == 0;
        (is_whole && is_produced && min >= 1 << 20).then(|| (min.into(), max.into()))
    })
}

/// The number behind a name, or that a method of that name returns: its flags come first, then its code.
fn number(is_name: bool, value: &[u8]) -> Option<u64> {
    const RETURN: u8 = 0xa4;
    let mut value = match value {
        value if is_name => value,
        [_, RETURN, value @ ..] => value,
        _ => return None,
    };
    integer(&mut value)
}
