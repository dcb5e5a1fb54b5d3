//! What is packed, and behind it a checksum of it, little-endian.
//!
//! CRC-32 (ISO 3309) finds any bit that has flipped, and any that lie within 32 of each other. It is that of the packed
//! bytes, and is looked at before anything is unpacked.

use crate::branches::make_relative;
use crate::inflate::inflate;
use crc::{CRC_32_ISO_HDLC, Crc, Table};

/// The checksum of a DEFLATE stream.
pub fn checksum(stream: &[u8]) -> [u8; 4] {
    const CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);
    CRC.checksum(stream).to_le_bytes()
}

/// Decompresses a stream with its checksum into `output`, which it is to fill. Whether all is well.
pub fn decompress(packed: &[u8], output: &mut [u8]) -> bool {
    let Some((stream, &sum)) = packed.split_last_chunk() else { return false };
    checksum(stream) == sum && inflate(stream, output).is_some_and(|(_, length)| length == output.len())
}

/// Unpacks a kernel into `image`, which it is to fill; its code is the first `text_size` bytes, whose branches were made
/// absolute. Whether all is well.
pub fn unpack(packed: &[u8], image: &mut [u8], text_size: usize) -> bool {
    let is_whole = decompress(packed, image);
    image.get_mut(..text_size).filter(|_| is_whole).map(make_relative).is_some()
}
