//! The chips that the driver knows, by PCI device id, and how their families differ. Copper only.
//!
//! The ids are those of the chips' specification updates and datasheets. In QEMU the 82540EM, 82544GC,
//! 82545EM, 82574L and 82576 are tested; everything else is written from the datasheets and was not tried on a card.

use super::registers::{
    ADVANCED_RECEIVE, ADVANCED_TRANSMIT, LEGACY_RECEIVE, LEGACY_TRANSMIT, ReceiveFormat, TransmitFormat,
};
use core::fmt;

/// Intel's vendor id.
pub const VENDOR: u16 = 0x8086;

/// Chips that are driven alike, in the order in which they came: of what several need, the first and the last are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// 82544, on PCI and PCI-X: as [`Pci`](Self::Pci), but its EEPROM is read by its clock and data
    /// lines alone (8254x SDM, section 5.3.1), which is not done here.
    Pci82544,
    /// 82540, 82545 and 82546, on PCI and PCI-X.
    Pci,
    /// 82541 and 82547: as [`Pci`](Self::Pci), with another layout of EERD (8254x SDM, table 13-8).
    Pci82541,
    /// 82571 and 82572, the first on PCI Express.
    Express82571,
    /// 82573: its firmware has another register for who uses it.
    Express82573,
    /// 82574 and 82583.
    Express,
    /// 82567V-3, and all others down to [`MeteorPoint`](Self::MeteorPoint): the MAC is in the chipset, here in an ICH8. The
    /// management engine uses their PHY as well, and the firmware sets it up. The address is in the chipset's flash.
    Ich8,
    /// 82566 and 82567 in an ICH9 or ICH10.
    Ich9,
    /// 82577 and 82578.
    IbexPeak,
    /// 82579.
    CougarPoint,
    /// I217, and those I218 that have no ultra low power mode.
    LynxPoint,
    /// The other I218.
    LynxPointLowPower,
    /// The first I219, which must not be reset with descriptors in its rings.
    SunrisePoint,
    /// I219 from the sixth on.
    CannonPoint,
    /// I219 from the eighteenth on.
    MeteorPoint,
    /// 82575 and later: several queues, each to be enabled, and advanced descriptors. The chip reads its address by itself.
    Queues,
    /// I210: as [`Queues`](Self::Queues), but its packet buffers keep their sizes over a reset.
    I210,
    /// I225 and I226: as [`I210`](Self::I210), with 2.5 Gbit/s.
    TwoAndAHalf,
}

/// How EERD gives a word of the EEPROM: bits of the address and of "done".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EepromRead {
    /// How far the word's number is shifted.
    pub address_shift: u32,
    /// The bit that says that the word is there.
    pub done: u32,
}

impl Family {
    /// How the EEPROM is read where the chip did not do it.
    pub const fn eeprom_read(self) -> Option<EepromRead> {
        match self {
            Self::Pci => Some(EepromRead { address_shift: 8, done: 1 << 4 }),
            Self::Pci82541 | Self::Express82571 | Self::Express82573 | Self::Express => {
                Some(EepromRead { address_shift: 2, done: 1 << 1 })
            }
            _ => None,
        }
    }

    /// Whether it is on PCI or PCI-X, as the 8254x SDM describes it.
    pub const fn is_pci(self) -> bool {
        matches!(self, Self::Pci82544 | Self::Pci | Self::Pci82541)
    }

    /// Whether its MAC is in the chipset.
    pub fn is_chipset(self) -> bool {
        (Self::Ich8..=Self::MeteorPoint).contains(&self)
    }

    /// Whether it has several queues.
    pub const fn has_queues(self) -> bool {
        matches!(self, Self::Queues | Self::I210 | Self::TwoAndAHalf)
    }

    /// How its descriptors are laid out.
    pub const fn formats(self) -> (TransmitFormat, ReceiveFormat) {
        if self.has_queues() {
            (ADVANCED_TRANSMIT, ADVANCED_RECEIVE)
        } else {
            (LEGACY_TRANSMIT, LEGACY_RECEIVE)
        }
    }

    /// How long it is left alone after a reset, in µs. It must be 1 (section 13.4.1); while a chipset's MAC comes up, any access
    /// may hang it (I219 datasheet, section 9.5.1.1).
    pub fn reset_pause(self) -> u64 {
        if self.is_chipset() { 20_000 } else { 10 }
    }

    /// Whether software and firmware take turns by the flag in EXTCNF_CTRL, and it must be held for a reset.
    pub fn has_software_flag(self) -> bool {
        (Self::Express82573..=Self::MeteorPoint).contains(&self)
    }

    /// Whether a reset hangs it while there are descriptors in its rings.
    pub fn must_be_emptied(self) -> bool {
        (Self::SunrisePoint..=Self::MeteorPoint).contains(&self)
    }

    /// Whether its PHY may be in a power state in which it does not answer.
    pub fn has_ultra_low_power(self) -> bool {
        (Self::LynxPointLowPower..=Self::MeteorPoint).contains(&self)
    }

    /// Whether MAC and PHY save power between frames (K1), which has lost frames on each of these chips.
    pub fn saves_power(self) -> bool {
        (Self::IbexPeak..=Self::MeteorPoint).contains(&self)
    }

    /// The PHY's address, where the driver may use it. The older chipsets' PHYs have different ones.
    pub fn phy_address(self) -> Option<u32> {
        match self {
            Self::Ich8 | Self::Ich9 => None,
            _ if self.is_chipset() => Some(2),
            _ => Some(1),
        }
    }
}

/// What is known of a chip. [`Display`](fmt::Display) gives its name, and whether it was ever tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chip {
    /// Intel's name.
    pub name: &'static str,
    /// How it is driven.
    pub family: Family,
    /// Whether the driver has been run on it, in QEMU; else it is written from the datasheet.
    pub is_tested: bool,
}

impl fmt::Display for Chip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remark =
            if self.is_tested { "" } else { " (driver written from the datasheet, not tried on a card)" };
        write!(f, "Intel {}{remark}", self.name)
    }
}

/// The chip with these vendor and device ids. Panic-safe.
pub fn chip((vendor, device): (u16, u16)) -> Option<Chip> {
    use Family::*;
    let (name, family) = match device {
        0x1008 => ("82544EI", Pci82544),
        0x100c | 0x100d => ("82544GC", Pci82544),
        0x100e | 0x1015 => ("82540EM", Pci),
        0x1016 | 0x1017 | 0x101e => ("82540EP", Pci),
        0x100f => ("82545EM", Pci),
        0x1026 => ("82545GM", Pci),
        0x1010 | 0x101d => ("82546EB", Pci),
        0x1079 | 0x1099 | 0x10b5 => ("82546GB", Pci),
        0x1013 | 0x1018 => ("82541EI", Pci82541),
        0x1014 | 0x1078 => ("82541ER", Pci82541),
        0x1076 | 0x1077 => ("82541GI", Pci82541),
        0x107c => ("82541PI", Pci82541),
        0x1019 | 0x101a => ("82547EI", Pci82541),
        0x1075 => ("82547GI", Pci82541),
        0x105e | 0x10a4 | 0x10a0 | 0x10bc | 0x10d5 => ("82571EB", Express82571),
        0x107d | 0x10b9 => ("82572EI", Express82571),
        0x108b => ("82573V", Express82573),
        0x108c => ("82573E", Express82573),
        0x109a => ("82573L", Express82573),
        0x10d3 | 0x10f6 => ("82574L", Express),
        0x150c => ("82583V", Express),
        0x1501 => ("82567V-3", Ich8),
        0x10bd => ("82566DM-2", Ich9),
        0x294c => ("82566DC-2", Ich9),
        0x10f5 | 0x10cc | 0x10de | 0x10e5 => ("82567LM", Ich9),
        0x10bf | 0x10cd | 0x10df => ("82567LF", Ich9),
        0x10cb | 0x10ce | 0x1525 => ("82567V", Ich9),
        0x10ea => ("82577LM", IbexPeak),
        0x10eb => ("82577LC", IbexPeak),
        0x10ef => ("82578DM", IbexPeak),
        0x10f0 => ("82578DC", IbexPeak),
        0x1502 => ("82579LM", CougarPoint),
        0x1503 => ("82579V", CougarPoint),
        0x153a => ("I217-LM", LynxPoint),
        0x153b => ("I217-V", LynxPoint),
        0x15a0 => ("I218-LM", LynxPoint),
        0x15a1 => ("I218-V", LynxPoint),
        0x155a | 0x15a2 => ("I218-LM", LynxPointLowPower),
        0x1559 | 0x15a3 => ("I218-V", LynxPointLowPower),
        0x156f | 0x15b7 | 0x15b9 | 0x15d7 | 0x15e3 | 0x0d53 => ("I219-LM", SunrisePoint),
        0x1570 | 0x15b8 | 0x15d8 | 0x15d6 | 0x0d55 => ("I219-V", SunrisePoint),
        0x15bd | 0x15bb | 0x15df | 0x15e1 | 0x0d4e | 0x0d4c | 0x15fb | 0x15f9 | 0x15f4 | 0x1a1e | 0x1a1c
        | 0x550c | 0x0dc7 | 0x0dc5 => ("I219-LM", CannonPoint),
        0x15be | 0x15bc | 0x15e0 | 0x15e2 | 0x0d4f | 0x0d4d | 0x15fc | 0x15fa | 0x15f5 | 0x1a1f | 0x1a1d
        | 0x550d | 0x0dc8 | 0x0dc6 => ("I219-V", CannonPoint),
        0x550a | 0x550e | 0x5510 | 0x57a0 | 0x57b3 | 0x57b5 | 0x57b7 | 0x57b9 => ("I219-LM", MeteorPoint),
        0x550b | 0x550f | 0x5511 | 0x57a1 | 0x57b4 | 0x57b6 | 0x57b8 | 0x57ba => ("I219-V", MeteorPoint),
        0x10a7 => ("82575EB", Queues),
        0x10d6 => ("82575GB", Queues),
        0x10c9 | 0x10e8 | 0x1526 => ("82576", Queues),
        0x150a => ("82576NS", Queues),
        0x150e | 0x1516 => ("82580", Queues),
        0x1521 => ("I350", Queues),
        0x1533 | 0x157b => ("I210", I210),
        0x1539 => ("I211", Queues),
        0x1f41 => ("I354", Queues),
        0x15f2 | 0x15f3 | 0x15f8 | 0x0d9f | 0x3100 | 0x3101 | 0x5502 => ("I225", TwoAndAHalf),
        0x125b | 0x125c | 0x125d | 0x3102 | 0x5503 => ("I226", TwoAndAHalf),
        0x15f7 => ("I220-V", TwoAndAHalf),
        0x125e => ("I221-V", TwoAndAHalf),
        _ => return None,
    };
    let is_tested = matches!(device, 0x100c | 0x100e | 0x100f | 0x10c9 | 0x10d3);
    (vendor == VENDOR).then_some(Chip { name, family, is_tested })
}
