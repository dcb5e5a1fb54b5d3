//! A filter for x86-64 machine code: makes the operands of CALL, JMP and Jcc absolute. Calls of the same function are
//! then the same bytes, wherever they stand, and compress better. Operands are stored with their high byte first, for
//! it is what neighbours share.
//!
//! A byte that looks like an opcode need not be one. So an operand is changed only where it leads into the code, and
//! the change is one to one: of all 2³² operands, as many lead into the code as look like an address in it. The
//! former become the latter. Those that look so without leading into the code take the places that are left: each the
//! one that it comes to by going back from address to operand as often as it can.

/// CALL and JMP with an operand of 32 bits (Intel SDM, volume 2).
const CALL: u8 = 0xe8;
const JMP: u8 = 0xe9;
/// The first byte of Jcc with such an operand, and the upper half of the second.
const TWO_BYTES: u8 = 0x0f;
const JCC: u8 = 0x80;

/// Makes the operands absolute. Code of 4 GiB and more is left as it is.
pub fn make_absolute(code: &mut [u8]) {
    each_operand(code, |operand, end, length| {
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
pub fn make_relative(code: &mut [u8]) {
    each_operand(code, |operand, end, length| {
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

/// Replaces each operand by what `change` makes of it, of its end and of the code's length. Opcodes are not changed,
/// and are not looked for in operands, so both directions find the same ones.
fn each_operand(code: &mut [u8], change: impl Fn(u32, u32, u32) -> u32) {
    let Ok(length) = u32::try_from(code.len()) else { return };
    let mut at = 0usize;
    while let Some(opcode) = next_opcode(code, at) {
        at = opcode.wrapping_add(1);
        if code.get(opcode) == Some(&TWO_BYTES) {
            if code.get(at).is_none_or(|second| second & 0xf0 != JCC) {
                continue;
            }
            at = at.wrapping_add(1);
        }
        let Some(operand) = code.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) else { return };
        at = at.wrapping_add(4);
        // No more than `length`, which fits.
        *operand = change(u32::from_le_bytes(*operand), at as u32, length).to_le_bytes();
    }
}

/// Where the next byte is that may begin a branch, eight bytes at a time.
fn next_opcode(code: &[u8], mut from: usize) -> Option<usize> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const TWO_BYTES_EACH: u64 = EACH * TWO_BYTES as u64;
    const CALL_EACH: u64 = EACH * CALL as u64;
    // The highest bit of each byte that is zero, and maybe of some above it.
    let zeros = |bytes: u64| bytes.wrapping_sub(EACH) & !bytes & EACH << 7;
    while let Some(&bytes) = code.get(from..).and_then(|rest| rest.first_chunk()) {
        let bytes = u64::from_le_bytes(bytes);
        // CALL and JMP differ in the lowest bit.
        let found = zeros(bytes ^ TWO_BYTES_EACH) | zeros(bytes & !EACH ^ CALL_EACH);
        if found != 0 {
            return Some(from.wrapping_add(found.trailing_zeros() as usize / 8));
        }
        from = from.wrapping_add(8);
    }
    let rest = code.get(from..)?;
    rest.iter().position(|&byte| matches!(byte, TWO_BYTES | CALL | JMP)).map(|at| from.wrapping_add(at))
}
