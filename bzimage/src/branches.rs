//! A filter for x86-64 machine code: makes the operands of CALL, JMP and Jcc absolute, and those in memory that are
//! relative to the instruction's address. Calls of the same function are then the same bytes, wherever they stand, and
//! compress better. Operands are stored with their high byte first, for it is what neighbours share.
//!
//! What looks like an operand need not be one. So it is changed only where it leads into the program, and
//! the change is one to one: of all 2³² operands, as many lead into the program as look like an address in it. The
//! former become the latter. Those that look so without leading into the program take the places that are left: each the
//! one that it comes to by going back from address to operand as often as it can.

use crate::instructions::Instructions;

/// Makes the operands absolute that lead into the program: its `length` bytes from the begin of `code` on. Code of 4 GiB
/// and more is left as it is.
pub fn make_absolute(code: &mut [u8], length: u32) {
    each_operand(code, |operand, end| {
        if to_address(operand, end) < length {
            return to_address(operand, end).swap_bytes();
        }
        let mut operand = operand;
        while operand.swap_bytes() < length {
            operand = from_address(operand.swap_bytes(), end);
        }
        operand
    });
}

/// Makes them relative again: the inverse of [`make_absolute`].
pub fn make_relative(code: &mut [u8], length: u32) {
    each_operand(code, |operand, end| {
        if operand.swap_bytes() < length {
            return from_address(operand.swap_bytes(), end);
        }
        let mut operand = operand;
        while to_address(operand, end) < length {
            operand = to_address(operand, end).swap_bytes();
        }
        operand
    });
}

/// Where a relative operand that ends at `end` leads to, and back.
fn to_address(operand: u32, end: u32) -> u32 {
    operand.wrapping_add(end)
}
fn from_address(address: u32, end: u32) -> u32 {
    address.wrapping_sub(end)
}

/// Replaces each operand by what `change` makes of it and of its end. No operand decides what the bytes behind it are, so
/// both directions find the same ones.
fn each_operand(code: &mut [u8], change: impl Fn(u32, u32) -> u32) {
    if u32::try_from(code.len()).is_err() {
        return;
    }
    let (mut instructions, mut at) = (Instructions::CODE, 0usize);
    while let Some(&byte) = code.get(at) {
        if !instructions.is_at_relative() {
            instructions.follow(byte);
            at = at.wrapping_add(1);
            continue;
        }
        let Some(operand) = code.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) else { return };
        at = at.wrapping_add(4);
        // No more than the code's length, which fits.
        *operand = change(u32::from_le_bytes(*operand), at as u32).to_le_bytes();
        for byte in *operand {
            instructions.follow(byte);
        }
    }
}
