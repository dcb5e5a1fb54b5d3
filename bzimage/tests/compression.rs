//! What is packed comes out again, and nothing else does: with whole streams, damaged ones, and any bytes.

use netconsole_bzimage::compression::{compress, decompress};
use netconsole_bzimage::model::Model;
use proptest::collection::vec;
use proptest::prelude::*;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Text with repetitions near and far, of few values and of many; and instructions.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        vec(any::<u8>(), 0..600),
        vec(0u8..4, 0..3000),
        vec((0u8..20).prop_map(|number| [0x48, 0x8b, number, 0]), 0..500).prop_map(|words| words.concat()),
        (any::<u8>(), 0usize..20_000).prop_map(|(byte, length)| vec![byte; length]),
    ];
    vec(part, 1..6).prop_map(|parts| [parts.concat(), parts.concat()].concat())
}

/// The same for all tests, whatever the others have left in it.
fn model() -> MutexGuard<'static, Model> {
    static MODEL: Mutex<Model> = Mutex::new(Model::ZEROS);
    MODEL.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pack(text: &[u8], code_size: usize) -> Vec<u8> {
    let mut packed = vec![0; 2 * text.len() + 100];
    let size = compress(&mut text.to_vec(), code_size, &mut model(), &mut packed);
    packed.truncate(size.expect("there is room"));
    packed
}

/// What comes out, of that length, and what is left of the input.
fn unpack(packed: &[u8], length: usize, code_size: usize) -> Option<(Vec<u8>, &[u8])> {
    let mut output = vec![0xa5; length];
    let rest = decompress(packed, &mut output, code_size, &mut model())?;
    Some((output, rest))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn what_is_compressed_comes_out_again(
        text in text(),
        code_size: prop::sample::Index,
        behind in vec(any::<u8>(), 0..9),
    ) {
        let code_size = code_size.index(text.len() + 1);
        let packed = pack(&text, code_size);
        let with_rest = [packed, behind.clone()].concat();
        prop_assert_eq!(unpack(&with_rest, text.len(), code_size), Some((text, &behind[..])));
    }

    /// Any bytes, and those of a stream with bits flipped: what is taken is what the compressor makes of it, to the last bit.
    #[test]
    fn what_is_damaged(text in text(), flips in vec(any::<prop::sample::Index>(), 1..4), lost in 0usize..4) {
        let mut packed = pack(&text, text.len());
        for flip in flips {
            let bit = flip.index(packed.len() * 8);
            packed[bit / 8] ^= 1 << (bit % 8);
        }
        packed.truncate(packed.len() - lost);
        if let Some((unpacked, rest)) = unpack(&packed, text.len(), text.len()) {
            prop_assert_eq!(&packed[..packed.len() - rest.len()], pack(&unpacked, text.len()));
        }
    }

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..400), length in 0usize..5000) {
        let first = unpack(&bytes, length, length / 2);
        if let Some((output, rest)) = &first {
            prop_assert_eq!(&bytes[..bytes.len() - rest.len()], pack(output, length / 2));
        }
        prop_assert_eq!(unpack(&bytes, length, length / 2), first);
    }

    #[test]
    fn what_is_cut_off_is_refused(text in vec(0u8..20, 1..300), at: prop::sample::Index) {
        let packed = pack(&text, 100);
        prop_assert_eq!(unpack(&packed[..at.index(packed.len())], text.len(), 100), None);
    }
}

/// The interval's low end passes what was written already: as the sum of a written 0xff and a bit that was not expected.
#[test]
fn a_carry_runs_through_what_was_written() {
    let text: Vec<u8> = (0u32..40_000).map(|n| (n.wrapping_mul(0x9e37_79b1) >> 24) as u8).collect();
    let packed = pack(&text, 0);
    assert_eq!(unpack(&packed, text.len(), 0), Some((text, &[][..])));
}

#[test]
fn without_room_nothing_is_packed() {
    assert_eq!(compress(&mut [7; 100], 0, &mut model(), &mut [0; 7]), None);
}

/// It is worth its time: what came before costs next to nothing, and code less than as data.
#[test]
fn what_came_before_and_where_the_instructions_are_is_made_use_of() {
    let words: Vec<u8> = (0u32..4096).flat_map(|n| (n.wrapping_mul(0x9e37_79b1)).to_le_bytes()).collect();
    let once = pack(&words, 0).len();
    let twice = pack(&[&words[..], &words].concat(), 0).len();
    assert!(twice - once < words.len() / 16, "{once}, {twice}");

    // ADD and XOR of registers, MOV of a constant of 8 bits into memory, in an order without a pattern.
    let kind = |n: u32| n.wrapping_mul(0x9e37_79b1) >> 16;
    let code = |n: u32| match kind(n) % 3 {
        0 => vec![0x01, 0xc0 | (kind(n) >> 4) as u8 & 0x3f],
        1 => vec![0x31, 0xc0 | (kind(n) >> 4) as u8 & 0x3f],
        _ => vec![0xc6, 0x40, (kind(n) >> 8) as u8 & 0x38, (kind(n) >> 4) as u8 & 3],
    };
    let code: Vec<u8> = (0..10_000).flat_map(code).collect();
    let (as_code, as_data) = (pack(&code, code.len()).len(), pack(&code, 0).len());
    assert!(as_code * 10 < as_data * 9, "{as_code}, {as_data}");
}
