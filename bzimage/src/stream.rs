//! What is packed: a compressed image, the places of the kernel's own addresses in it ([`relocations`]), and a checksum of
//! both, little-endian.
//!
//! CRC-32 (ISO 3309) finds any bit that has flipped, and any that lie within 32 of each other. It is that of the packed
//! bytes, and is looked at before anything is unpacked.

use crate::branches::make_relative;
use crate::model::Model;
use crate::{compression, relocations};
use crc::{CRC_32_ISO_HDLC, Crc, NoTable};

/// The checksum of what is packed.
pub fn checksum(packed: &[u8]) -> [u8; 4] {
    // A table would be a kilobyte of the image.
    const CRC: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);
    CRC.checksum(packed).to_le_bytes()
}

/// Decompresses a stream into `output`, which it is to fill and whose first `code_size` bytes are code, and returns what
/// lies between it and the checksum. None where something is wrong.
pub fn decompress<'a>(
    packed: &'a [u8],
    output: &mut [u8],
    code_size: usize,
    model: &mut Model,
) -> Option<&'a [u8]> {
    let (packed, &sum) = packed.split_last_chunk()?;
    if checksum(packed) != sum {
        return None;
    }
    compression::decompress(packed, output, code_size, model)
}

/// Unpacks a kernel into `image`, which it is to fill, to run `offset` bytes above where it is linked to. Its code is the
/// first `text_size` bytes, whose operands that lead into the first `reach` bytes were made absolute. Whether all is well.
pub fn unpack(
    packed: &[u8],
    image: &mut [u8],
    model: &mut Model,
    text_size: usize,
    reach: u32,
    offset: u64,
) -> bool {
    let places = decompress(packed, image, text_size, model)
        .filter(|_| image.get_mut(..text_size).map(|code| make_relative(code, reach)).is_some());
    places.and_then(|places| relocations::apply(places, image, offset)).is_some()
}
