//! What only a MAC in a chipset has: rings that must be emptied, a flag, a management engine, and a PHY that sleeps.

use super::{Device, TAIL, TX, word};
use crate::nic::waits::fake::now;

/// How far a chip is in being emptied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Emptied {
    #[default]
    Not,
    /// A descriptor that pushes was there at this time.
    Sending(u64),
    /// Receiving was on at this time, as it must be for it.
    Receiving(u64),
}

/// Its state. What is `pub` may be set.
#[derive(Clone, Debug, Default)]
pub struct Chipset {
    /// There are descriptors in the rings: a reset would hang it.
    pub must_be_emptied: bool,
    /// And not only in the one for sending.
    pub receive_ring_too: bool,
    /// The firmware never gives the flag away.
    pub firmware_has_flag: bool,
    /// The PHY is in ultra low power.
    pub sleeps: bool,
    /// It is reached by the SMBus alone.
    pub is_behind_smbus: bool,
    /// There is a management engine, which wakes it.
    pub has_engine: bool,
    /// What brings the PHY to sleep, as it was set last.
    pub causes: u16,
    emptied: Emptied,
    page: u16,
    engine_reads: u32,
    has_no_power: bool,
}

impl Chipset {
    pub fn is_awake(&self) -> bool {
        !self.sleeps && !self.is_behind_smbus
    }
}

impl Device {
    pub(super) fn assert_has_flag(&self) {
        let needs = self.kind.mac.has_flag() && !self.chipset.firmware_has_flag && !self.has_lied;
        assert!(!needs || self.get(0x0f00) & 1 << 5 != 0, "EXTCNF_CTRL.SWFLAG is not held");
    }

    pub(super) fn assert_is_empty(&self) {
        assert!(
            !self.chipset.must_be_emptied || self.has_lied,
            "descriptors in its rings hang it at a reset"
        );
    }

    /// The word at 0xe4 of configuration space.
    pub(super) fn ring_status(&mut self) -> u32 {
        if let Emptied::Sending(at) = self.chipset.emptied
            && now() - at >= 200
            && !self.chipset.receive_ring_too
        {
            (self.chipset.must_be_emptied, self.chipset.emptied) = (false, Emptied::Not);
        }
        // Reserved bits are anything.
        0xa5a5_04ff & !0x100 | u32::from(self.chipset.must_be_emptied) << 8
    }

    /// A tail was set: the device has descriptors, or is pushed empty by one.
    pub(super) fn is_told(&mut self, is_transmit: bool) {
        if !self.kind.mac.hangs() {
            return;
        }
        if is_transmit && self.chipset.must_be_emptied && self.get(0x400) & 2 != 0 && self.pushes() {
            self.chipset.emptied = Emptied::Sending(now());
        } else if self.get(0x400) & 2 != 0 && self.get(0x100) & 2 != 0 {
            self.chipset.must_be_emptied = true;
        }
    }

    /// Whether the descriptor before the tail is the one that empties the ring: 512 bytes, with a check sequence and no end.
    fn pushes(&self) -> bool {
        let (base, size) = (self.base(TX), self.size(TX));
        if !self.is_inside(base, u64::from(size) * 16) || size == 0 {
            return false;
        }
        let last = (self.get(TX + TAIL) + size - 1) % size;
        let at = base + 16 * u64::from(last);
        let (address, fields) = (word(at).load(super::SeqCst), word(at + 8).load(super::SeqCst));
        if fields != 512 | 1 << 25 {
            return false;
        }
        if !self.has_lied {
            assert!(self.is_inside(address, 512), "outside the memory");
            assert_eq!(self.get(0) & 4, 0, "it must reach memory");
            assert_ne!(self.get(0x5bbc) & 1 << 13, 0, "FEXTNVM11: no multiple reads");
        }
        true
    }

    /// RCTL is set: of a ring for receiving, too, is let go what it has fetched.
    pub(super) fn receives_for_a_moment(&mut self, rctl: u32) {
        match self.chipset.emptied {
            Emptied::Sending(at) if rctl & 2 != 0 && now() - at >= 200 => {
                assert_eq!(self.get(0x2828) & 0x0100_3fff, 0x0100_011f, "RXDCTL: 31 and 1 descriptors");
                self.chipset.emptied = Emptied::Receiving(now());
            }
            Emptied::Receiving(at) if rctl & 2 == 0 && now() - at >= 100 => {
                (self.chipset.must_be_emptied, self.chipset.emptied) = (false, Emptied::Not);
            }
            _ => {}
        }
    }

    pub(super) fn reaches_phy(&self) -> bool {
        let by_smbus = self.get(0x18) & 1 << 11 != 0;
        !self.chipset.sleeps && (!self.chipset.is_behind_smbus || by_smbus)
    }

    /// A register of a page from 768 on, at address 1.
    pub(super) fn access_page(&mut self, is_write: bool, register: u32, value: u16) -> u16 {
        let chipset = &mut self.chipset;
        match (chipset.page, register, is_write) {
            (_, 31, true) => chipset.page = value >> 5,
            (769, 23, true) => chipset.is_behind_smbus &= value & 1 != 0,
            (769, 23, false) => return 0x0080 | u16::from(chipset.is_behind_smbus),
            (779, 16, true) => chipset.causes = value,
            (779, 16, false) => return chipset.causes,
            access => panic!("not the driver's business: {access:?}"),
        }
        value
    }

    pub(super) fn access_kumeran(&mut self, value: u32) {
        self.assert_has_flag();
        assert_eq!(value >> 16 & 0x1f, 7, "K1");
        if value & 1 << 21 == 0 {
            self.kumeran_k1 = value & 0xffff;
        }
        self.set(0x34, self.kumeran_k1);
    }

    /// CTRL is set: LANPHYPC.
    pub(super) fn power_phy(&mut self, control: u32) {
        match control >> 16 & 3 {
            1 => self.chipset.has_no_power = true,
            0 | 2 if self.chipset.has_no_power && self.kind.mac.is_chipset() => {
                (self.chipset.has_no_power, self.chipset.sleeps) = (false, false);
                let extended = self.get(0x18);
                self.set(0x18, extended | 1 << 2);
            }
            _ => {}
        }
    }

    /// H2ME is set.
    pub(super) fn tell_engine(&mut self, value: u32) {
        self.set(0x5b50, value);
        if self.chipset.has_engine && value >> 11 & 3 == 0b10 {
            self.chipset.engine_reads = 50;
        }
    }

    /// CTRL_EXT and FWSM.
    pub(super) fn read_of_phy(&mut self, register: usize) -> u32 {
        if register != 0x5b54 || !self.chipset.has_engine {
            return self.get(register);
        }
        match self.chipset.engine_reads {
            0 => {}
            1 => (self.chipset.sleeps, self.chipset.engine_reads) = (false, 0),
            reads => self.chipset.engine_reads = reads - 1,
        }
        1 << 15 | u32::from(self.chipset.sleeps) << 10
    }
}
