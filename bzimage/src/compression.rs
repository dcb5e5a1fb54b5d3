//! Compresses machine code to a seventh less than LZMA does: each bit is predicted by what came in the same contexts before
//! ([`model`](crate::model)), and coded arithmetically, in as much room as it surprises (`coder.rs`). Both directions are
//! the same loop, and need the same memory.

use crate::coder::{Coder, Decoder, Encoder};
use crate::instructions::Instructions;
use crate::model::Model;

/// Compresses `input`, whose first `code_size` bytes are code, into `output`.
pub fn compress(input: &mut [u8], code_size: usize, model: &mut Model, output: &mut [u8]) -> Option<usize> {
    let mut encoder = Encoder::new(output);
    code(input, code_size, model, &mut encoder);
    encoder.finish()
}

/// Decompresses the stream that `input` begins with into `output`, which it fills. Returns what comes behind the stream;
/// nothing where it is damaged or ends early.
pub fn decompress<'a>(
    input: &'a [u8],
    output: &mut [u8],
    code_size: usize,
    model: &mut Model,
) -> Option<&'a [u8]> {
    let mut decoder = Decoder::new(input);
    code(output, code_size, model, &mut decoder);
    decoder.rest()
}

/// Codes all `bytes`. Those that a decoder is given are overwritten by what they are.
fn code(bytes: &mut [u8], code_size: usize, model: &mut Model, coder: &mut impl Coder) {
    model.reset();
    let mut instructions = Instructions::CODE;
    for at in 0..bytes.len() {
        if at == code_size {
            instructions = Instructions::DATA;
        }
        let Some((before, [byte, ..])) = bytes.split_at_mut_checked(at) else { return };
        *byte = model.code(coder, &instructions, before, *byte);
        instructions.follow(*byte);
    }
}
