//! Intel Virtualization Technology for Directed I/O, revision 4.1, chapter 11: one remapping unit.

use super::{Found, Registers, Stuck, is_present, wait_for};
use crate::nic::Waits;

/// All registers that are used lie below.
pub const LENGTH: u64 = 0x80;

/// Version, never 0 (section 11.4.1).
const VERSION: usize = 0x00;
/// Capabilities, the lower half (section 11.4.2).
const CAPABILITIES: usize = 0x08;
/// It needs its write buffer flushed before a change counts.
const NEEDS_FLUSH: u32 = 1 << 4;
/// It can protect a range of memory below 4 GiB, and one above.
const PROTECTED_MEMORY: u32 = 1 << 5 | 1 << 6;
/// Global command: one bit may be changed at once, the others being what the status says (section 11.4.4.1).
const COMMAND: usize = 0x18;
/// Global status (section 11.4.4.2): the same bits, set while that is so.
const STATUS: usize = 0x1c;
const TRANSLATION: u32 = 1 << 31;
const FLUSH_WRITE_BUFFER: u32 = 1 << 27;
const INTERRUPT_REMAPPING: u32 = 1 << 25;
/// The bits of the status that a command keeps; the others are commands that are done once.
const KEPT: u32 = 0x96ff_ffff;
/// Fault event control (section 11.4.7.4), and its interrupt mask.
const FAULT_CONTROL: usize = 0x38;
const FAULT_MASK: u32 = 1 << 31;
/// Protected memory enable (section 11.4.14): asked for, and so.
const PROTECTION: usize = 0x64;
const PROTECTION_ENABLE: u32 = 1 << 31;
const PROTECTION_IS_ON: u32 = 1 << 0;

pub fn is_on(registers: &impl Registers) -> bool {
    let status = registers.read(STATUS);
    is_present(registers.read(VERSION))
        && (status & (TRANSLATION | INTERRUPT_REMAPPING) != 0 || protects(registers))
}

fn protects(registers: &impl Registers) -> bool {
    registers.read(CAPABILITIES) & PROTECTED_MEMORY != 0
        && registers.read(PROTECTION) & (PROTECTION_ENABLE | PROTECTION_IS_ON) != 0
}

/// Interrupts first, so that none of its own comes while the rest goes; the translation; and then, as protected memory is
/// what is left where nothing is translated, that (section 10.5).
pub fn turn_off(registers: &mut impl Registers, waits: Waits) -> Result<Found, Stuck> {
    if !is_present(registers.read(VERSION)) {
        return Err(Stuck::Absent);
    }
    if !is_on(registers) {
        return Ok(Found::Off);
    }
    registers.write(FAULT_CONTROL, FAULT_MASK);
    if registers.read(CAPABILITIES) & NEEDS_FLUSH != 0 {
        command(registers, FLUSH_WRITE_BUFFER, true);
        let _ = wait_for(registers, STATUS, waits, |status| status & FLUSH_WRITE_BUFFER == 0);
    }
    for bit in [INTERRUPT_REMAPPING, TRANSLATION] {
        if registers.read(STATUS) & bit != 0 {
            command(registers, bit, false);
            if !wait_for(registers, STATUS, waits, |status| status & bit == 0) {
                return Err(Stuck::Translation);
            }
        }
    }
    if protects(registers) {
        registers.write(PROTECTION, 0);
        if !wait_for(registers, PROTECTION, waits, |protection| protection & PROTECTION_IS_ON == 0) {
            return Err(Stuck::ProtectedMemory);
        }
    }
    Ok(Found::TurnedOff)
}

/// Changes one bit of the command, and leaves the others as they are.
fn command(registers: &mut impl Registers, bit: u32, is_set: bool) {
    let others = registers.read(STATUS) & KEPT & !bit;
    registers.write(COMMAND, if is_set { others | bit } else { others });
}
