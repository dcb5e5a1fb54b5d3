//! Which MAC a chip has, and what its specification update wants of a driver, spelled out.

use super::Device;

/// The MACs, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mac {
    Pci,
    E82571,
    E82573,
    E82574,
    Ich8,
    Ich9,
    Pch,
    Pch2,
    Lpt,
    LptLowPower,
    Spt,
    Cnp,
    Mtp,
    Igb,
    I210,
    Igc,
}

impl Mac {
    pub fn is_chipset(self) -> bool {
        (Self::Ich8..=Self::Mtp).contains(&self)
    }

    /// EXTCNF_CTRL says who may use the PHY, and reset.
    pub fn has_flag(self) -> bool {
        (Self::E82573..=Self::Mtp).contains(&self)
    }

    /// Descriptors in the rings hang it at a reset.
    pub fn hangs(self) -> bool {
        (Self::Spt..=Self::Mtp).contains(&self)
    }

    /// Its PHY's address.
    pub fn phy(self) -> u32 {
        if self.is_chipset() { 2 } else { 1 }
    }
}

/// What a register has after power on or a reset, where it must be changed.
pub fn defaults(mac: Mac) -> &'static [(usize, u32)] {
    match mac {
        Mac::E82573 | Mac::E82574 => &[(0x3840, 0xf << 27), (0x18, 1 << 23)],
        Mac::E82571 => &[(0x3840, 0xf << 27)],
        // The clock may stop, says one of two.
        Mac::Spt => &[(0x3840, 3 << 28), (0x10, 1 << 31)],
        Mac::Mtp => &[(0x5bc0, 1 << 22)],
        _ => &[],
    }
}

/// Looks whether a running card has all that it needs.
pub fn assert_fixed(device: &Device) {
    let mac = device.kind.mac;
    let has = |register: usize, cleared: u32, set: u32| {
        let value = device.get(register);
        assert_eq!(value & (cleared | set), set, "{mac:?}: {register:#x} is {value:#x}");
    };
    match mac {
        Mac::Pci => {}
        Mac::E82573 => has(0x5b50, 0, 1 << 3),
        _ => has(0x18, 0, 1 << 28),
    }
    match mac {
        Mac::E82571 => has(0x3840, 0xf << 27, 0xf << 23),
        Mac::E82573 => has(0x3840, 0xf << 27, 0),
        Mac::E82574 => {
            has(0x3840, 0xf << 27, 1 << 26);
            has(0x5b00, 0, 1 << 22);
            has(0x5b64, 0, 1);
        }
        Mac::Ich8 => {
            has(0x3840, 0, 0x3d80_0000 & !(1 << 26) | 1 << 26);
            assert_eq!(device.buffers, [8, 16], "PBA and PBS");
        }
        Mac::Pch => has(0x5f50, 0, 0x6565_6565),
        Mac::Pch2 => has(0x3c, 1 << 26, 1 << 27),
        Mac::Spt => {
            has(0x0f28, 0, 1 << 16);
            has(0x3840, 1 << 28, 1 << 29);
            has(0x10, 1 << 31, 0);
        }
        Mac::Mtp => has(0x5bc0, 1 << 22, 1 << 23),
        Mac::I210 | Mac::Igc => assert_eq!(device.buffers, [0xa2, 0x0400_0014], "RXPBS and TXPBS"),
        _ => {}
    }
    if matches!(mac, Mac::E82573 | Mac::E82574) {
        has(0x18, 1 << 23, 1 << 22);
        has(0x00, 1 << 29, 0);
    }
    if (Mac::E82571..=Mac::Mtp).contains(&mac) {
        has(0x3828, 0, 1 << 22);
    }
    if mac.is_chipset() {
        has(0x18, 0, 1 << 22);
        has(0x3840, 0, 1 << 23 | 1 << 24 | 1 << 26 | 1 << 27);
        has(0x3004, 0, 0x0005_0000);
    }
    if mac.hangs() {
        has(0x5bbc, 0, 1 << 13);
    }
    if (Mac::Pch..=Mac::Mtp).contains(&mac) {
        assert_eq!(device.kumeran_k1 & 2, 0, "K1 saves power");
    }
    if mac.has_flag() {
        has(0x0f00, 1 << 5, 0);
    }
}
