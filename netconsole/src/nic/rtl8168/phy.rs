//! The PHY inside the chip, and the MAC's own bus.

use super::chips::Family;
use super::registers::*;
use crate::nic::{Waits, Width};

/// How long an access may take, in µs; it is some tens of them.
const PATIENCE: u64 = 2_000;

/// Wakes a PHY that somebody has left powered down, isolated or with a fixed speed, and has it negotiate. One that negotiates is
/// left alone: its link would be lost for seconds. A PHY that does not answer shows by the link that never comes.
pub(super) fn wake<R: Registers>(waits: Waits, registers: &mut R, family: Family) {
    let Some(control) = read(waits, registers, family, PHY_CONTROL) else { return };
    let is_off = control & (PHY_POWER_DOWN | PHY_ISOLATE) != 0;
    if is_off || control & PHY_NEGOTIATE == 0 {
        write(waits, registers, family, PHY_CONTROL, PHY_NEGOTIATE | PHY_RESTART_NEGOTIATION);
    }
}

/// The register for accesses, and how it names one of the PHY's.
const fn way(family: Family, register: u32) -> (u16, u32) {
    match family {
        Family::Classic => (PHY_ACCESS, register << 16),
        // Bits 30 to 15 are the address, of which the lowest is always 0.
        Family::Bus | Family::TwoAndAHalf => {
            (PHY_BUS, PHY_BUS_BASE.wrapping_add(register.wrapping_mul(2)) << 15)
        }
    }
}

fn read<R: Registers>(waits: Waits, registers: &mut R, family: Family, register: u32) -> Option<u32> {
    let (by, name) = way(family, register);
    registers.write(by, Width::Word, name);
    let answer = || Some(registers.read(by, Width::Word)).filter(|answer| answer & ACCESS_FLAG != 0);
    let answer = waits.until(PATIENCE, answer).filter(|&answer| answer != u32::MAX)?;
    Some(answer & 0xffff)
}

fn write<R: Registers>(waits: Waits, registers: &mut R, family: Family, register: u32, value: u32) {
    let (by, name) = way(family, register);
    registers.write(by, Width::Word, ACCESS_FLAG | name | value);
    let _ = waits.until(PATIENCE, || (registers.read(by, Width::Word) & ACCESS_FLAG == 0).then_some(()));
}

/// Takes the chip over from its firmware, which has it while the machine is off or asleep.
pub(super) fn take_over<R: Registers>(waits: Waits, registers: &mut R) {
    let owner = registers.read(OWNER, Width::Byte);
    if owner & OWNER_FIRMWARE == 0 {
        return;
    }
    registers.write(OWNER, Width::Byte, owner & !OWNER_FIRMWARE);
    // Where the list never becomes ready, the link shows what works.
    for (cleared, set) in [(MAC_LIST_FIRMWARE, 0), (0, MAC_LIST_NEW)] {
        change(registers, MAC_LIST, cleared, set);
        let is_ready = || (registers.read(OWNER, Width::Byte) & OWNER_LIST_READY != 0).then_some(());
        let _ = waits.until(PATIENCE, is_ready);
    }
}

/// Changes bits on the MAC's bus, which answers at once.
pub(super) fn change<R: Registers>(registers: &mut R, register: u32, cleared: u32, set: u32) {
    registers.write(MAC_BUS, Width::Word, register << 15);
    let value = registers.read(MAC_BUS, Width::Word) & 0xffff & !cleared | set;
    registers.write(MAC_BUS, Width::Word, ACCESS_FLAG | register << 15 | value);
}
