//! The chips that the driver knows, by PCI ids and by what they call themselves, and how they differ.

use core::fmt;

/// Chips that are driven alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// RTL8111B to F, RTL8168B to F, RTL8101 to RTL8106.
    Classic,
    /// RTL8168G, H and later: the firmware hands the chip over, the PHY has a bus of its own, and there is a gate before the MAC.
    Bus,
    /// RTL8125: as [`Bus`](Self::Bus), with interrupts and doorbell elsewhere.
    TwoAndAHalf,
}

/// What is known of a card by its PCI ids. [`Display`](fmt::Display) gives its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chip {
    /// Realtek's name.
    pub name: &'static str,
    /// Whether it is an RTL8125.
    pub is_8125: bool,
}

/// What the first RTL8168DP calls itself: the way to its PHY is another, and Linux gave it up as never sold.
pub(super) const FIRST_DP: u32 = 0x288;

impl Chip {
    /// How it is driven, given what it calls itself ([`super::registers::CHIP`], from bit 0 on). Those below 0x4c0 are older than
    /// the RTL8168G, and so are some from 0x780 on, which are still on PCI.
    pub(super) const fn family(self, chip: u32) -> Family {
        match chip {
            _ if self.is_8125 => Family::TwoAndAHalf,
            0x4c0..0x780 => Family::Bus,
            _ => Family::Classic,
        }
    }
}

impl fmt::Display for Chip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Realtek {} (driver written from public documents, not tried on a card)", self.name)
    }
}

/// The chip with these vendor and device ids. Panic-safe.
pub fn chip((vendor, device): (u16, u16)) -> Option<Chip> {
    let (name, is_8125) = match device {
        0x8136 => ("RTL8101", false),
        // The last three are sold as Killer E2500, E2600 and E3000.
        0x8161 | 0x8168 | 0x2502 | 0x2600 => ("RTL8168", false),
        0x8125 | 0x8162 | 0x3000 => ("RTL8125", true),
        _ => return None,
    };
    (vendor == 0x10ec).then_some(Chip { name, is_8125 })
}
