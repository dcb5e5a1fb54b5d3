//! The PHY that a chipset's MAC shares with the management engine: whose turn it is, how it is woken, and that no power is saved
//! between the two. From Intel's datasheets, and what Linux, FreeBSD and OpenBSD do.

use super::chips::Family;
use super::errata::change;
use super::phy::Phy;
use super::registers::*;
use super::wait::wait_for;
use crate::nic::Waits;

/// How long the management engine may take to wake the PHY, in µs.
const ENGINE_PATIENCE: u64 = 300_000;
/// How long the PHY's power cycle may take, in µs, and how long it is left alone then.
const CYCLE_PATIENCE: u64 = 100_000;
const CYCLE_PAUSE: u64 = 30_000;
/// How long the way to the PHY takes to change, in µs.
const SMBUS_PAUSE: u64 = 50_000;
/// How long the link between MAC and PHY takes for an access, in µs, and to follow.
const KUMERAN_PAUSE: u64 = 2;
const K1_PAUSE: u64 = 20;

/// Takes the software's flag. It is set already where the software crashed that had it. Where the firmware does not give it, the
/// card is used all the same: better with a PHY in disorder than not at all.
pub(super) fn take_flag<R: Registers>(waits: Waits, registers: &mut R) {
    let look = || {
        change(registers, EXTCNF_CTRL, 0, EXTCNF_SOFTWARE_FLAG);
        (registers.read(EXTCNF_CTRL) & EXTCNF_SOFTWARE_FLAG != 0).then_some(())
    };
    let _ = waits.until(super::gigabit::PATIENCE, look);
}

/// Gives it back.
pub(super) fn give_flag_back<R: Registers>(registers: &mut R) {
    change(registers, EXTCNF_CTRL, EXTCNF_SOFTWARE_FLAG, 0);
}

/// Wakes a PHY that is in ultra low power, in which it does not answer: the management engine is asked to, where there is one.
/// One that answers is left alone, for its link would be lost. The flag must be held.
pub(super) fn leave_ultra_low_power<R: Registers>(waits: Waits, registers: &mut R, address: u32) {
    let answers = |status: u16| !matches!(status, 0 | u16::MAX);
    if registers.read(STATUS) & STATUS_LINK_UP != 0
        || (Phy { registers, waits, address }).read(PHY_STATUS).is_some_and(answers)
    {
        return;
    }
    if registers.read(FWSM) & FWSM_VALID != 0 {
        change(registers, H2ME, H2ME_ULTRA_LOW_POWER, H2ME_ENFORCE);
        let is_done = || (registers.read(FWSM) & FWSM_ULTRA_LOW_POWER == 0).then_some(());
        let _ = waits.until(ENGINE_PATIENCE, is_done);
        change(registers, H2ME, H2ME_ENFORCE, 0);
        return;
    }
    // Its power is taken away and given back.
    change(registers, FEXTNVM3, FEXTNVM3_TIME, FEXTNVM3_50_MS);
    change(registers, CTRL, CTRL_POWER_VALUE, CTRL_POWER_OVERRIDE);
    waits.pause(1000);
    change(registers, CTRL, CTRL_POWER_OVERRIDE, 0);
    let _ = wait_for(
        waits,
        registers,
        CTRL_EXT,
        |control| control & CTRL_EXT_POWER_CYCLE_DONE != 0,
        CYCLE_PATIENCE,
    );
    waits.pause(CYCLE_PAUSE);
    // It may be behind the SMBus.
    if change_page(waits, registers, PHY_SMBUS, PHY_FORCE_SMBUS, 0).is_none() {
        change(registers, CTRL_EXT, 0, CTRL_EXT_FORCE_SMBUS);
        waits.pause(SMBUS_PAUSE);
        let _ = change_page(waits, registers, PHY_SMBUS, PHY_FORCE_SMBUS, 0);
        change(registers, CTRL_EXT, CTRL_EXT_FORCE_SMBUS, 0);
    }
    for (cleared, set) in [(PHY_ULTRA_LOW_POWER_CAUSES, 0), (0, PHY_ULTRA_LOW_POWER_START)] {
        let _ = change_page(waits, registers, PHY_ULTRA_LOW_POWER, cleared, set);
    }
    change(registers, FEXTNVM7, FEXTNVM7_NO_SMBUS_RELEASE, 0);
}

/// Clears and sets bits of a register on one of the PHY's pages from 768 on, which have an address of their own.
fn change_page<R: Registers>(
    waits: Waits,
    registers: &mut R,
    (page, register): (u32, u32),
    cleared: u16,
    set: u16,
) -> Option<()> {
    let mut phy = Phy { registers, waits, address: 1 };
    phy.write(PHY_PAGE, u16::try_from(page.wrapping_mul(32)).ok()?)?;
    let value = phy.read(register)?;
    phy.write(register, value & !cleared | set)
}

/// Has MAC and PHY save no power between frames. The flag must be held.
pub(super) fn stop_saving<R: Registers>(waits: Waits, registers: &mut R, family: Family) {
    if !family.saves_power() {
        return;
    }
    registers.write(KMRNCTRLSTA, KUMERAN_K1 | KUMERAN_READ);
    waits.pause(KUMERAN_PAUSE);
    let k1 = registers.read(KMRNCTRLSTA) & 0xffff & !KUMERAN_K1_ENABLE;
    registers.write(KMRNCTRLSTA, KUMERAN_K1 | k1);
    waits.pause(K1_PAUSE);
    // It counts once the speed is forced for a moment.
    let (control, extended) = (registers.read(CTRL), registers.read(CTRL_EXT));
    registers.write(CTRL, control & !CTRL_SPEED | CTRL_FORCE_SPEED);
    registers.write(CTRL_EXT, extended | CTRL_EXT_SPEED_BYPASS);
    waits.pause(K1_PAUSE);
    registers.write(CTRL, control);
    registers.write(CTRL_EXT, extended);
    waits.pause(K1_PAUSE);
}
