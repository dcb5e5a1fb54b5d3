//! Decompresses and checks the format zlib (RFC 1950).

use crate::inflate::inflate;

/// Section 2.2: the compression method, "deflate", in the low four bits of the first byte; a preset dictionary in the
/// second.
const METHOD: u8 = 0x0f;
const DEFLATE: u8 = 8;
const DICTIONARY: u8 = 1 << 5;

/// Decompresses `input` into `output`, which it is to fill; bytes behind the stream do not matter. Whether all is well:
/// the stream is whole, and what came out is what its checksum says.
pub fn decompress(input: &[u8], output: &mut [u8]) -> bool {
    let Some((&[method, flags], stream)) = input.split_first_chunk() else { return false };
    if method & METHOD != DEFLATE || u16::from_be_bytes([method, flags]) % 31 != 0 || flags & DICTIONARY != 0
    {
        return false;
    }
    let Some((rest, length)) = inflate(stream, output) else { return false };
    let Some(&checksum) = rest.first_chunk() else { return false };
    length == output.len() && adler32(output) == u32::from_be_bytes(checksum)
}

/// Section 8.2.
fn adler32(bytes: &[u8]) -> u32 {
    const MODULUS: u32 = 65521;
    // So many bytes do not overflow the sums.
    const AT_ONCE: usize = 5552;
    let (mut low, mut high) = (1u32, 0u32);
    for bytes in bytes.chunks(AT_ONCE) {
        // Four steps in one: there are 400,000.
        let (fours, rest) = bytes.as_chunks();
        for four in fours {
            let [a, b, c, d] = four.map(u32::from);
            high = high.wrapping_add((low << 2).wrapping_add((a << 2) + (b << 1) + b + (c << 1) + d));
            low = low.wrapping_add(a + b + c + d);
        }
        for &byte in rest {
            low = low.wrapping_add(byte.into());
            high = high.wrapping_add(low);
        }
        low %= MODULUS;
        high %= MODULUS;
    }
    high << 16 | low
}
