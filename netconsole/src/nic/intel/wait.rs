//! Waits for what a register is to show.

use super::registers::Registers;
use crate::nic::Waits;

/// What a device that does not answer reads as.
pub(super) const ABSENT: u32 = u32::MAX;

/// Reads `register` until `is_done`, for `patience` µs at most.
pub(super) fn wait_for<R: Registers>(
    waits: Waits,
    registers: &R,
    register: usize,
    is_done: impl Fn(u32) -> bool,
    patience: u64,
) -> Option<u32> {
    waits
        .until(patience, || Some(registers.read(register)).filter(|&value| value != ABSENT && is_done(value)))
}
