//! The PHY, by way of MDIC (8254x SDM, section 13.4.7).

use super::registers::{
    MDIC, MDIC_ADDRESS_SHIFT, MDIC_ERROR, MDIC_READ, MDIC_READY, MDIC_WRITE, PHY_CONTROL, PHY_ISOLATE,
    PHY_LOOPBACK, PHY_NEGOTIATE, PHY_NEGOTIATED, PHY_POWER_DOWN, PHY_RESET, PHY_RESTART_NEGOTIATION,
    PHY_STATUS, Registers, STATUS, STATUS_LINK_UP,
};
use crate::nic::Waits;

/// How long an access by MDIC may take, in µs; it is some tens of them.
const ACCESS_PATIENCE: u64 = 10_000;
/// How long the PHY may take to come out of reset, in µs (IEEE 802.3, section 22.2.4.1.1).
const RESET_PATIENCE: u64 = 500_000;

/// Resets a PHY that somebody has left powered down, isolated, in loopback, or with a fixed speed. One
/// that has negotiated is left alone: its link would be lost for seconds. One that has not, and has no link, is told to
/// begin again: the 82576's does not by itself. A PHY that does not answer shows by the link that never comes.
pub(super) fn wake<R: Registers>(waits: Waits, registers: &mut R, address: u32) {
    let _ = Phy { registers, waits, address }.wake();
}

/// The same for a PHY that the firmware has set up, which a reset would undo.
pub(super) fn wake_shared<R: Registers>(waits: Waits, registers: &mut R, address: u32) {
    let mut phy = Phy { registers, waits, address };
    if let Some(control) = phy.read(PHY_CONTROL)
        && !is_usual(control)
    {
        let _ = phy.negotiate();
    }
}

/// Whether a PHY is awake and negotiates.
const fn is_usual(control: u16) -> bool {
    control & (PHY_POWER_DOWN | PHY_ISOLATE | PHY_LOOPBACK | PHY_RESET | PHY_NEGOTIATE) == PHY_NEGOTIATE
}

/// The PHY at this address.
pub(super) struct Phy<'r, R> {
    pub registers: &'r mut R,
    pub waits: Waits,
    pub address: u32,
}

impl<R: Registers> Phy<'_, R> {
    fn wake(&mut self) -> Option<()> {
        let control = self.read(PHY_CONTROL)?;
        if is_usual(control) {
            let has_link = self.registers.read(STATUS) & STATUS_LINK_UP != 0;
            if has_link || self.read(PHY_STATUS)? & PHY_NEGOTIATED != 0 {
                return Some(());
            }
            return self.write(PHY_CONTROL, control | PHY_RESTART_NEGOTIATION);
        }
        self.write(PHY_CONTROL, PHY_RESET)?;
        let waits = self.waits;
        let is_over = || match self.read(PHY_CONTROL) {
            Some(control) => (control & PHY_RESET == 0).then_some(Some(())),
            None => Some(None),
        };
        waits.until(RESET_PATIENCE, is_over)??;
        self.negotiate()
    }

    fn negotiate(&mut self) -> Option<()> {
        self.write(PHY_CONTROL, PHY_NEGOTIATE | PHY_RESTART_NEGOTIATION)
    }

    /// A register; `None` where the PHY does not answer.
    pub fn read(&mut self, register: u32) -> Option<u16> {
        let [low, high, ..] = self.access(register << 16 | MDIC_READ)?.to_le_bytes();
        Some(u16::from_le_bytes([low, high]))
    }

    /// Writes a register.
    pub fn write(&mut self, register: u32, value: u16) -> Option<()> {
        self.access(register << 16 | MDIC_WRITE | u32::from(value)).map(drop)
    }

    /// One access; `None` where the PHY does not answer.
    fn access(&mut self, command: u32) -> Option<u32> {
        self.registers.write(MDIC, self.address << MDIC_ADDRESS_SHIFT | command);
        let registers = &*self.registers;
        let ready = || Some(registers.read(MDIC)).filter(|mdic| mdic & MDIC_READY != 0);
        self.waits.until(ACCESS_PATIENCE, ready).filter(|mdic| mdic & MDIC_ERROR == 0)
    }
}
