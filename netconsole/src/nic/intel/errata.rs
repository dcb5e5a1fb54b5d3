//! What the chips' specification updates and their other drivers ask for after each reset: bits, family by family.

use super::chips::Family::{self, *};
use super::registers::*;

/// From the first of these families to the last: the register, what is cleared in it, and what is set.
struct Fix(Family, Family, usize, u32, u32);

/// In the order in which it is done.
const FIXES: [Fix; 22] = [
    Fix(Express82571, Express82571, CTRL_EXT, 0, CTRL_EXT_DRIVER_LOADED),
    Fix(Express82573, Express82573, H2ME, 0, SWSM_DRIVER_LOADED),
    Fix(Express, TwoAndAHalf, CTRL_EXT, 0, CTRL_EXT_DRIVER_LOADED),
    Fix(Express82573, Express, CTRL_EXT, CTRL_EXT_MUST_BE_CLEAR, CTRL_EXT_MUST_BE_SET),
    Fix(Ich8, MeteorPoint, CTRL_EXT, 0, CTRL_EXT_MUST_BE_SET),
    Fix(Express82573, Express, CTRL, CTRL_82574_RESERVED, 0),
    Fix(Express82571, MeteorPoint, TXDCTL, 0, TXDCTL_COUNT_DESCRIPTORS),
    Fix(Express82571, Express, TARC0, 0b1111 << 27, 0),
    Fix(Express82571, Express82571, TARC0, 0, 0b1111 << 23),
    Fix(Express, Express, TARC0, 0, 1 << 26),
    Fix(Ich8, Ich8, TARC0, 0, 0b11 << 28),
    Fix(Ich8, MeteorPoint, TARC0, 0, 0b11 << 23 | 0b11 << 26),
    // Completions that are lost, above all with ASPM.
    Fix(Express, Express, GCR, 0, 1 << 22),
    Fix(Express, Express, GCR2, 0, 1 << 0),
    Fix(Ich8, MeteorPoint, RFCTL, 0, RFCTL_NO_NFS),
    Fix(Ich8, MeteorPoint, KABGTXD, 0, KABGTXD_BIAS),
    Fix(IbexPeak, IbexPeak, CRC_OFFSET, u32::MAX, CRC_OFFSET_FIX),
    Fix(CougarPoint, CougarPoint, FEXTNVM3, FEXTNVM3_TIME, FEXTNVM3_50_MS),
    // Damaged frames, and an overrun, of which the second comes of three reads under way: two do.
    Fix(SunrisePoint, SunrisePoint, IOSFPC, 0, IOSFPC_FIX),
    Fix(SunrisePoint, SunrisePoint, TARC0, 0b11 << 28, 0b10 << 28),
    // Else the next reset finds it hanging.
    Fix(SunrisePoint, MeteorPoint, FEXTNVM11, 0, FEXTNVM11_NO_MULTIPLE_READS),
    Fix(MeteorPoint, MeteorPoint, FEXTNVM12, FEXTNVM12_SLEEP, FEXTNVM12_P1),
];

/// Does what `family` needs once it was reset.
pub(super) fn after_reset<R: Registers>(registers: &mut R, family: Family) {
    for &Fix(first, last, register, cleared, set) in &FIXES {
        if (first..=last).contains(&family) {
            change(registers, register, cleared, set);
        }
    }
    if family == SunrisePoint {
        let is_off = registers.read(PCIEANACFG) & K1_OFF;
        change(registers, FEXTNVM6, K1_OFF, is_off);
    }
}

/// What must be so before a reset, for it makes that count: the sizes of the packet buffers, which some chips forget, and others
/// keep from whoever had them before.
pub(super) fn before_reset<R: Registers>(registers: &mut R, family: Family) {
    let sizes: &[(usize, u32)] = match family {
        Ich8 => &[(PBA, 8), (PBS, 16)],
        I210 | TwoAndAHalf => &[(RXPBS, RXPBS_USUAL), (TXPBS, TXPBS_USUAL)],
        _ => &[],
    };
    for &(register, value) in sizes {
        registers.write(register, value);
    }
}

/// Clears and sets bits of a register.
pub(super) fn change<R: Registers>(registers: &mut R, register: usize, cleared: u32, set: u32) {
    let value = registers.read(register);
    registers.write(register, value & !cleared | set);
}
