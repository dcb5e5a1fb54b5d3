//! A filter for x86-64 machine code: makes the operands of CALL, JMP and Jcc absolute, and those in memory that are
//! relative to the instruction's address, of LEA, MOV, indirect calls and most instructions of two bytes. Calls of the same function are then the same bytes, wherever they stand, and
//! compress better. Operands are stored with their high byte first, for it is what neighbours share.
//!
//! A byte that looks like an opcode need not be one. So an operand is changed only where it leads into the program, and
//! the change is one to one: of all 2³² operands, as many lead into the program as look like an address in it. The
//! former become the latter. Those that look so without leading into the program take the places that are left: each the
//! one that it comes to by going back from address to operand as often as it can.

/// CALL and JMP with an operand of 32 bits (Intel SDM, volume 2).
const CALL: u8 = 0xe8;
const JMP: u8 = 0xe9;
/// The first byte of Jcc with such an operand, and the upper half of the second.
const TWO_BYTES: u8 = 0x0f;
const JCC: u8 = 0x80;
/// MOV from a register and to one, of a byte and of more, LEA, and three that are rare; CALL and JMP through memory. Such
/// an operand follows a byte ModRM that says so, here as in most instructions of two bytes.
const MOVES: u8 = 0x88;
const MOVES_MASK: u8 = 0b1111_1000;
const INDIRECT: u8 = 0xff;
const MOD_RM: u8 = 0b11_000_111;
const RELATIVE: u8 = 0b00_000_101;

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

/// Replaces each operand by what `change` makes of it and of its end. Opcodes are not changed, and are not looked for in
/// operands, so both directions find the same ones: no byte decides that another one would take for its operand.
fn each_operand(code: &mut [u8], change: impl Fn(u32, u32) -> u32) {
    if u32::try_from(code.len()).is_err() {
        return;
    }
    let mut at = 0usize;
    while let Some(opcode) = next_opcode(code, at) {
        let behind = |bytes| code.get(opcode.wrapping_add(bytes)).copied().unwrap_or_default();
        let (second, third) = (behind(1), behind(2));
        let length = match code.get(opcode) {
            Some(&(CALL | JMP)) => 1,
            Some(&TWO_BYTES) if second & 0xf0 == JCC => 2,
            Some(&TWO_BYTES) if !matches!(second, CALL | JMP) && third & MOD_RM == RELATIVE => 3,
            Some(&first) if is_move(first) && second & MOD_RM == RELATIVE => 2,
            _ => {
                at = opcode.wrapping_add(1);
                continue;
            }
        };
        at = opcode.wrapping_add(length);
        let Some(operand) = code.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) else { return };
        at = at.wrapping_add(4);
        // No more than the code's length, which fits.
        *operand = change(u32::from_le_bytes(*operand), at as u32).to_le_bytes();
    }
}

const fn is_move(first: u8) -> bool {
    first & MOVES_MASK == MOVES || first == INDIRECT
}

/// Where the next byte is that may begin such an instruction, eight bytes at a time.
fn next_opcode(code: &[u8], mut from: usize) -> Option<usize> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const TWO_BYTES_EACH: u64 = EACH * TWO_BYTES as u64;
    const CALL_EACH: u64 = EACH * CALL as u64;
    const MOVES_EACH: u64 = EACH * MOVES as u64;
    const MOVES_MASK_EACH: u64 = EACH * MOVES_MASK as u64;
    // The highest bit of each byte that is zero, and maybe of some above it.
    let zeros = |bytes: u64| bytes.wrapping_sub(EACH) & !bytes & EACH << 7;
    while let Some(&bytes) = code.get(from..).and_then(|rest| rest.first_chunk()) {
        let bytes = u64::from_le_bytes(bytes);
        // CALL and JMP differ in the lowest bit.
        let found = zeros(bytes ^ TWO_BYTES_EACH)
            | zeros(bytes & !EACH ^ CALL_EACH)
            | zeros(bytes & MOVES_MASK_EACH ^ MOVES_EACH)
            | zeros(!bytes);
        if found != 0 {
            return Some(from.wrapping_add(found.trailing_zeros() as usize / 8));
        }
        from = from.wrapping_add(8);
    }
    let rest = code.get(from..)?;
    rest.iter()
        .position(|&byte| matches!(byte, TWO_BYTES | CALL | JMP) || is_move(byte))
        .map(|at| from.wrapping_add(at))
}
