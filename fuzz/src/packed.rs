//! A packed kernel, damaged or not.

use lzma_rust2::LzmaReader;
use netconsole_bzimage::{lzma, stream};
use std::io::Read;

/// What a stream is unpacked to, in bytes.
const ROOM: usize = 4096;

/// What is taken is what `lzma-rust2` makes of it, and what was unpacked is moved and filtered without harm, whatever it is.
pub fn check(bytes: &[u8]) {
    let mut output = [0; ROOM];
    if let Some(rest) = lzma::decompress(bytes, &mut output) {
        let used = &bytes[..bytes.len() - rest.len()];
        // The first byte has no part in it, but lzma-rust2 wants it to be 0.
        let used = [&[0], used.get(1..).unwrap_or_default()].concat();
        let contexts = lzma::LITERAL_CONTEXT_BITS;
        let mut reference = Vec::new();
        let reader = LzmaReader::new(&used[..], ROOM as u64, contexts, 0, 0, 1 << 16, None);
        let length = reader.expect("good parameters").read_to_end(&mut reference).expect("a good stream");
        assert!(length == ROOM && reference == output);
    }
    let packed = [bytes, &stream::checksum(bytes)].concat();
    for room in [ROOM, bytes.len() % ROOM] {
        let image = &mut output[..room];
        stream::unpack(&packed, image, room / 2, 2 * ROOM as u32, 0x1000);
    }
}
