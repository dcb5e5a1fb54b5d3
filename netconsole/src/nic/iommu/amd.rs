//! AMD I/O Virtualization Technology, revision 3.09, section 3.4: one IOMMU.

use super::{Found, Registers, Stuck, wait_for};
use crate::nic::Waits;

/// All registers that are used lie below.
pub const LENGTH: u64 = 0x2028;

/// Control, the lower half (MMIO offset 0018h).
const CONTROL: usize = 0x18;
const ENABLE: u32 = 1 << 0;
const EVENT_LOG: u32 = 1 << 2;
const EVENT_INTERRUPT: u32 = 1 << 3;
const COMMANDS: u32 = 1 << 12;
const REQUEST_LOG: u32 = 1 << 13;
const REQUEST_INTERRUPT: u32 = 1 << 14;
/// Everything by which it reads or writes memory by itself, or sends interrupts.
const ALL: u32 = ENABLE | EVENT_LOG | EVENT_INTERRUPT | COMMANDS | REQUEST_LOG | REQUEST_INTERRUPT;
/// Status (MMIO offset 2020h): the event log and the commands are being worked on.
const STATUS: usize = 0x2020;
const EVENT_LOG_RUNS: u32 = 1 << 3;
const COMMANDS_RUN: u32 = 1 << 4;

pub fn is_on(registers: &impl Registers) -> bool {
    let control = registers.read(CONTROL);
    control != u32::MAX && control & ALL != 0
}

/// The commands and the logs first, so that it touches no memory any more, then itself (section 2.3.2: without its
/// enable bit it lets all through).
pub fn turn_off(registers: &mut impl Registers, waits: Waits) -> Result<Found, Stuck> {
    if registers.read(CONTROL) == u32::MAX {
        return Err(Stuck::Absent);
    }
    if !is_on(registers) {
        return Ok(Found::Off);
    }
    let control = registers.read(CONTROL);
    registers.write(CONTROL, control & (!ALL | ENABLE));
    // Where they don't stop, disabling it stops them.
    let _ = wait_for(registers, STATUS, waits, |status| status & (EVENT_LOG_RUNS | COMMANDS_RUN) == 0);
    registers.write(CONTROL, control & !ALL);
    if wait_for(registers, CONTROL, waits, |control| control & ENABLE == 0) {
        Ok(Found::TurnedOff)
    } else {
        Err(Stuck::Translation)
    }
}
