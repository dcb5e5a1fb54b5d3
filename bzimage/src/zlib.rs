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

/// Section 8.2, eight bytes at a time: the even ones and the odd ones in lanes of 16 bits. A multiplication adds lanes,
/// each with its factor, up in the highest.
fn adler32(bytes: &[u8]) -> u32 {
    const MODULUS: u64 = 65521;
    const LANES: u64 = 0x00ff_00ff_00ff_00ff;
    const ONCE: u64 = 0x0001_0001_0001_0001;
    // How often each byte counts in the second sum: the first of eight eight times.
    const EVEN: u64 = 0x0008_0006_0004_0002;
    const ODD: u64 = 0x0007_0005_0003_0001;
    // So many bytes do not overflow the sums by far, and are a multiple of eight.
    const AT_ONCE: usize = 1 << 16;
    let (mut low, mut high) = (1u64, 0u64);
    for bytes in bytes.chunks(AT_ONCE) {
        let (eights, rest) = bytes.as_chunks();
        for &eight in eights {
            let eight = u64::from_le_bytes(eight);
            let (even, odd) = (eight & LANES, eight >> 8 & LANES);
            let weighted = even.wrapping_mul(EVEN).wrapping_add(odd.wrapping_mul(ODD)) >> 48;
            high = high.wrapping_add(low << 3).wrapping_add(weighted);
            low = low.wrapping_add(even.wrapping_add(odd).wrapping_mul(ONCE) >> 48);
        }
        for &byte in rest {
            low = low.wrapping_add(byte.into());
            high = high.wrapping_add(low);
        }
        low %= MODULUS;
        high %= MODULUS;
    }
    (high << 16 | low) as u32
}
