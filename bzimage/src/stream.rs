//! What a bzImage's payload is, little-endian: its [kind](Kind), a [`Header`], a compressed image, the places of the
//! kernel's own addresses in it ([`relocations`](crate::relocations)), and a checksum of all but the kind.
//!
//! Who loads the image with time to spare stores the kernel behind it, too ([`stored`](crate::stored)): the unpacked
//! image and the same places. It is taken where it is whole, and unpacked where it is not.
//!
//! CRC-32 (ISO 3309) finds any bit that has flipped, and any that lie within 32 of each other. It is looked at before
//! anything is unpacked or copied.

use crate::branches::make_relative;
use crate::compression;
use crate::model::Model;
use core::array;

/// The first four bytes of a payload.
pub type Kind = [u8; 4];
/// The kernel is packed, and nowhere else.
pub const PACKED: Kind = *b"NcP1";
/// It is stored as well, where the header says.
pub const STORED: Kind = *b"NcS1";

/// What there is to know about the kernel, behind the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// How many bytes of the image, from its first one on, are code.
    pub text_size: u32,
    /// Operands that lead into so many bytes from the image's begin were made absolute.
    pub reach: u32,
    /// The unpacked image, in bytes.
    pub image_size: u32,
    /// Where a stored kernel lies, from where the unpacker is loaded to on.
    pub stored_at: u32,
    /// The stored kernel with the places of its addresses, in bytes.
    pub stored_size: u32,
    /// The checksum of these bytes.
    pub stored_sum: u32,
}

impl Header {
    /// In bytes.
    pub const SIZE: usize = 24;

    /// As it is in a payload.
    pub fn bytes(&self) -> [u8; Self::SIZE] {
        let Self { text_size, reach, image_size, stored_at, stored_size, stored_sum } = *self;
        let mut bytes = [0; Self::SIZE];
        let words = [text_size, reach, image_size, stored_at, stored_size, stored_sum];
        for (place, word) in bytes.as_chunks_mut().0.iter_mut().zip(words) {
            *place = word.to_le_bytes();
        }
        bytes
    }

    /// The header that `bytes` begin with, and what follows it.
    pub fn split(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (header, rest) = bytes.split_first_chunk::<{ Self::SIZE }>()?;
        let [text_size, reach, image_size, stored_at, stored_size, stored_sum] = *header.as_chunks().0 else {
            return None;
        };
        let [text_size, reach, image_size] = [text_size, reach, image_size].map(u32::from_le_bytes);
        let [stored_at, stored_size, stored_sum] =
            [stored_at, stored_size, stored_sum].map(u32::from_le_bytes);
        Some((Self { text_size, reach, image_size, stored_at, stored_size, stored_sum }, rest))
    }
}

/// The polynomial, with the highest power in the lowest bit.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// CRC-32 (ISO 3309), by a table of what each byte does. It is made at each call: kept, it would be a kilobyte of the image.
pub fn checksum(bytes: &[u8]) -> u32 {
    let shift = |sum: u32, _| (sum >> 1) ^ (POLYNOMIAL & (sum & 1).wrapping_neg());
    let table: [u32; 256] = array::from_fn(|byte| (0..8).fold(byte as u32, shift));
    let add = |sum: u32, &byte: &u8| (sum >> 8) ^ table[usize::from(sum as u8 ^ byte)];
    !bytes.iter().fold(!0, add)
}

/// What the checksum of a payload, of whichever kind, covers. None where it is another one.
pub fn checked(payload: &[u8]) -> Option<&[u8]> {
    let (_, checked) = payload.split_first_chunk::<{ size_of::<Kind>() }>()?;
    let (checked, sum) = checked.split_last_chunk()?;
    (checksum(checked) == u32::from_le_bytes(*sum)).then_some(checked)
}

/// Unpacks the kernel of a payload, of whichever kind, into `image`, which it is to fill, and returns the places of its
/// addresses. None where something is wrong.
pub fn unpack<'p>(payload: &'p [u8], image: &mut [u8], model: &mut Model) -> Option<&'p [u8]> {
    let (header, packed) = Header::split(checked(payload)?)?;
    let text_size = usize::try_from(header.text_size).ok()?;
    let places = compression::decompress(packed, image, text_size, model)?;
    make_relative(image.get_mut(..text_size)?, header.reach);
    Some(places)
}

/// Copies the kernel that is stored for this payload into `image`, which it is to fill, and returns the places of its
/// addresses. None where the payload says that none is stored, or it is damaged.
pub fn take<'s>(payload: &[u8], stored: &'s [u8], image: &mut [u8]) -> Option<&'s [u8]> {
    let (header, _) = Header::split(payload.strip_prefix(&STORED)?)?;
    if checksum(stored) != header.stored_sum {
        return None;
    }
    let (kernel, places) = stored.split_at_checked(image.len())?;
    image.copy_from_slice(kernel);
    Some(places)
}
