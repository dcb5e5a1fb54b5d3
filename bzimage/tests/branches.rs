//! The filter: one to one, and for what.

use netconsole_bzimage::branches::{make_absolute, make_relative};
use proptest::collection::vec;
use proptest::prelude::*;

/// Code with many opcodes, and operands that lead into it or look so.
fn code() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        vec(any::<u8>(), 1..6),
        vec(
            prop::sample::select(&[0xe8, 0xe9, 0x0f, 0x85, 0x10, 0x8d, 0x8b, 0x8a, 0xff, 0x0d, 0x15][..]),
            1..3
        ),
        (-300i32..300).prop_map(|operand| operand.to_le_bytes().to_vec()),
        (0u32..600).prop_map(|address| address.to_be_bytes().to_vec()),
        // What both leads into the code and looks like an address in it.
        Just(vec![0; 4]),
    ];
    vec(piece, 0..120).prop_map(|pieces| pieces.concat())
}

/// What follows two bytes that may be an opcode, of which the second may be a call, is that call's operand.
#[test]
fn a_call_behind_a_two_byte_opcode_s_first_byte_comes_back() {
    for call in [0xe8, 0xe9] {
        let mut code = vec![0x0f, call, 0, 0, 0x10, 0x0b];
        code.resize(64, 0x90);
        let mut changed = code.clone();
        make_absolute(&mut changed, 0x4_0000);
        make_relative(&mut changed, 0x4_0000);
        assert_eq!(changed, code);
    }
}

proptest! {
    #[test]
    fn both_directions_are_inverse(code in code(), beyond in 0u32..300) {
        let reach = code.len() as u32 + beyond;
        let mut changed = code.clone();
        make_absolute(&mut changed, reach);
        make_relative(&mut changed, reach);
        prop_assert_eq!(&changed, &code);
        make_relative(&mut changed, reach);
        make_absolute(&mut changed, reach);
        prop_assert_eq!(&changed, &code);
    }

    #[test]
    fn calls_of_one_function_are_the_same_bytes(gap in 0usize..100) {
        let call = |at: usize, to: usize| {
            let operand = i32::try_from(to as i64 - (at as i64 + 5)).expect("a short way");
            [&[0xe8][..], &operand.to_le_bytes()].concat()
        };
        let mut code = call(0, 0x10);
        code.resize(5 + gap, 0x90);
        code.extend(call(5 + gap, 0x10));
        code.resize(0x200, 0x90);
        make_absolute(&mut code, 0x200);
        prop_assert_eq!(&code[..5], &[0xe8, 0, 0, 0, 0x10]);
        prop_assert_eq!(&code[5 + gap..10 + gap], &[0xe8, 0, 0, 0, 0x10]);
    }
}

/// LEA and MOV of one address behind the code, into different registers.
#[test]
fn addresses_of_one_constant_are_the_same_bytes() {
    let mut code = [0x48, 0x8d, 0x05, 0xf9, 0x0f, 0, 0, 0x4c, 0x8b, 0x0d, 0xf2, 0x0f, 0, 0];
    make_absolute(&mut code, 0x2000);
    assert_eq!(code, [0x48, 0x8d, 0x05, 0, 0, 0x10, 0, 0x4c, 0x8b, 0x0d, 0, 0, 0x10, 0]);
}

/// CALL through the table of addresses, MOV of a byte, MOVUPS: each operand leads to 0x1000.
#[test]
fn operands_in_memory_are_found_in_longer_instructions() {
    let mut code =
        [0xff, 0x15, 0xfa, 0x0f, 0, 0, 0x8a, 0x05, 0xf4, 0x0f, 0, 0, 0x0f, 0x10, 0x05, 0xed, 0x0f, 0, 0];
    make_absolute(&mut code, 0x2000);
    assert_eq!(code, [0xff, 0x15, 0, 0, 0x10, 0, 0x8a, 0x05, 0, 0, 0x10, 0, 0x0f, 0x10, 0x05, 0, 0, 0x10, 0]);
}

#[test]
fn what_leads_out_of_the_code_stays() {
    let code = [0xe9, 0x78, 0x56, 0x34, 0x12, 0x0f, 0x84, 0xff, 0xff, 0xff, 0x7f, 0xe8, 1, 2];
    let mut changed = code;
    make_absolute(&mut changed, 14);
    assert_eq!(changed, code);
}
