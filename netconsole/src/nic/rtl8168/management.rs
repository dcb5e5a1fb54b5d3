//! The firmware in the RTL8168DP, EP and FP, which manages a machine from afar over the same cable (ASF, DASH): a driver tells it
//! that it has begun, and where that goes through the chip. As Linux and Realtek's own driver have it; there is no datasheet.

use super::registers::*;
use crate::nic::{Waits, Width};

/// How long an access may take, in µs.
const PATIENCE: u64 = 10_000;
/// How long the firmware may take to hear of the driver, in µs, and how often that is looked at.
const HEARING_PATIENCE: u64 = 300_000;
const HEARING_LOOK: u64 = 10_000;
/// How long a transfer between it and the driver before may take to end, in µs.
const CHANNEL_PATIENCE: u64 = 50_000;

/// How a chip's firmware is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Management {
    /// The chip has none.
    None,
    /// RTL8168DP: by a bus, on which this register is its state.
    Dp { state: u32 },
    /// RTL8168EP and FP: by the extended registers, beside these bits.
    Ep { place: u32 },
}

impl Management {
    /// That of the chip that calls itself so ([`CHIP`], from bit 0 on).
    pub const fn of(chip: u32) -> Self {
        match chip {
            0x28a => Self::Dp { state: 0x10 },
            0x28b => Self::Dp { state: 0xb8 },
            0x500..=0x502 => Self::Ep { place: 0 },
            0x54a | 0x54b => Self::Ep { place: EXTENDED_FP },
            _ => Self::None,
        }
    }

    /// Ends what the firmware and a driver before may still have to say to each other through memory. To be called before a
    /// reset.
    pub fn close_channel<R: Registers>(self, waits: Waits, registers: &mut R) {
        if !matches!(self, Self::Ep { .. }) {
            return;
        }
        let sends = registers.read(CHANNEL_SENDS, Width::Byte);
        if sends & CHANNEL_ON != 0 {
            registers.write(CHANNEL_SENDS, Width::Byte, sends & !CHANNEL_ON);
            let has_ended =
                || (registers.read(CHANNEL_STATUS, Width::Byte) & CHANNEL_SENT != 0).then_some(());
            // One that never ends is cut off by the reset.
            let _ = waits.until(CHANNEL_PATIENCE, has_ended);
            registers.write(CHANNEL_STATUS, Width::Byte, CHANNEL_SENT);
        }
        let receives = registers.read(CHANNEL_RECEIVES, Width::Byte);
        registers.write(CHANNEL_RECEIVES, Width::Byte, receives & !CHANNEL_ON);
    }

    /// Tells the firmware, where there is one, that a driver has begun, and waits until it has heard. One that does not hear
    /// keeps nothing from working.
    pub fn announce<R: Registers>(self, waits: Waits, registers: &mut R) {
        if !self.state(waits, registers).is_some_and(|state| state.is_there) {
            return;
        }
        match self {
            Self::None => return,
            Self::Dp { .. } => {
                write_extended(waits, registers, EXTENDED_COMMAND_DP, DRIVER_BEGINS);
                registers.write(MANAGEMENT_DATA, Width::Word, 1);
                let doorbell = ACCESS_FLAG | ACCESS_BYTE | MANAGEMENT_DOORBELL;
                registers.write(MANAGEMENT_ACCESS, Width::Word, doorbell);
                let _ = await_flag(waits, registers, MANAGEMENT_ACCESS, 0);
            }
            Self::Ep { place } => {
                let place = place | EXTENDED_MANAGEMENT;
                write_extended(waits, registers, place | EXTENDED_COMMAND, DRIVER_BEGINS);
                let bell = read_extended(waits, registers, place | MANAGEMENT_DOORBELL).unwrap_or(0);
                write_extended(waits, registers, place | MANAGEMENT_DOORBELL, bell | 1);
            }
        }
        let has_heard = || {
            waits.pause(HEARING_LOOK);
            self.state(waits, registers).is_none_or(|state| state.has_heard).then_some(())
        };
        let _ = waits.until(HEARING_PATIENCE, has_heard);
    }

    /// Has the driver use the PHY's registers where the firmware has them; what [`PHY_USER`] was then, to be given back.
    pub fn borrow_phy<R: Registers>(self, registers: &mut R) -> Option<u32> {
        let Self::Dp { .. } = self else { return None };
        let user = registers.read(PHY_USER, Width::Word);
        registers.write(PHY_USER, Width::Word, user & !PHY_USER_FIRMWARE);
        Some(user)
    }

    /// What the firmware says of itself; `None` where it says nothing.
    fn state<R: Registers>(self, waits: Waits, registers: &mut R) -> Option<State> {
        match self {
            Self::None => None,
            Self::Dp { state } => {
                registers.write(MANAGEMENT_ACCESS, Width::Word, ACCESS_WORD | state);
                await_flag(waits, registers, MANAGEMENT_ACCESS, ACCESS_FLAG)?;
                let state = registers.read(MANAGEMENT_DATA, Width::Word);
                let has = |bit: u32| state != u32::MAX && state & bit != 0;
                Some(State { is_there: has(1 << 15), has_heard: has(1 << 11) })
            }
            Self::Ep { place } => {
                let mut has = |register| {
                    let value = read_extended(waits, registers, place | EXTENDED_MANAGEMENT | register)?;
                    Some(value != u32::MAX && value & 1 != 0)
                };
                Some(State { is_there: has(EXTENDED_IS_THERE)?, has_heard: has(EXTENDED_HAS_HEARD)? })
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    is_there: bool,
    has_heard: bool,
}

/// Reads an extended register; `None` where it does not answer.
fn read_extended<R: Registers>(waits: Waits, registers: &mut R, register: u32) -> Option<u32> {
    registers.write(EXTENDED_ACCESS, Width::Word, ACCESS_WORD | register);
    await_flag(waits, registers, EXTENDED_ACCESS, ACCESS_FLAG)?;
    Some(registers.read(EXTENDED_DATA, Width::Word))
}

/// Writes the lowest byte of an extended register.
fn write_extended<R: Registers>(waits: Waits, registers: &mut R, register: u32, value: u32) {
    registers.write(EXTENDED_DATA, Width::Word, value);
    registers.write(EXTENDED_ACCESS, Width::Word, ACCESS_FLAG | ACCESS_BYTE | register);
    let _ = await_flag(waits, registers, EXTENDED_ACCESS, 0);
}

/// Waits until an access by this register is over: its flag is then as `flag` has it.
fn await_flag<R: Registers>(waits: Waits, registers: &mut R, register: u16, flag: u32) -> Option<()> {
    waits.until(PATIENCE, || (registers.read(register, Width::Word) & ACCESS_FLAG == flag).then_some(()))
}
