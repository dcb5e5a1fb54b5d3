//! The Internet checksum (RFC 1071): the one's complement of the one's complement sum of 16-bit words.

use crate::partial_word::partial_word;

/// A one's complement sum under way.
///
/// It is kept little-endian and 64 bits wide: RFC 1071, section 2, shows that neither the byte order
/// nor the width of the words changes the result, if it is stored in the order that it was read in.
/// So parts that don't change can be summed once and kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum(u64);

impl Sum {
    /// The sum of nothing.
    pub const ZERO: Self = Self(0);

    /// Adds `bytes`, which begin at an even offset of what is summed; an odd last byte counts as if
    /// a zero byte followed, so nothing may be added after it that directly follows it.
    #[must_use]
    #[inline(always)]
    pub fn add_bytes(self, bytes: &[u8]) -> Self {
        let (words, tail) = bytes.as_chunks::<8>();
        let mut sum = self;
        for word in words {
            sum = sum.add_word(u64::from_le_bytes(*word));
        }
        sum.add_word(partial_word(tail))
    }

    /// Adds a 16-bit field that is big-endian in the message.
    #[must_use]
    #[inline(always)]
    pub fn add_u16(self, field: u16) -> Self {
        self.add_u16s(field, 0)
    }

    /// Adds two such fields.
    #[must_use]
    #[inline(always)]
    pub fn add_u16s(self, first: u16, second: u16) -> Self {
        let word = |field: u16| u64::from(u16::from_le_bytes(field.to_be_bytes()));
        self.add_word(word(first).wrapping_add(word(second)))
    }

    /// Adds what was summed as if it began at offset 0, and begins at this `offset` of the whole: each byte is
    /// so much further on in its word (RFC 1071, section 2 (B)).
    #[must_use]
    #[inline(always)]
    pub fn add_at(self, offset: usize, sum: Self) -> Self {
        self.add_word(sum.0.rotate_left((offset % 8).wrapping_mul(8) as u32))
    }

    /// Adds eight bytes as a little-endian word, with end-around carry.
    #[must_use]
    #[inline(always)]
    pub fn add_word(self, word: u64) -> Self {
        let (sum, carry) = self.0.overflowing_add(word);
        Self(sum.wrapping_add(u64::from(carry)))
    }

    /// The checksum as its two bytes stand in a header. Over a message whose checksum field holds
    /// the right value already it gives zeros.
    pub fn checksum(self) -> [u8; 2] {
        self.complement().to_le_bytes()
    }

    /// As [`checksum`](Self::checksum), but zero, which UDP has for "none", is written in the other way that
    /// it has in one's complement (RFC 768).
    #[inline(always)]
    pub fn udp_checksum(self) -> [u8; 2] {
        match self.complement() {
            0 => [0xff, 0xff],
            checksum => checksum.to_le_bytes(),
        }
    }

    #[inline(always)]
    fn complement(self) -> u16 {
        // Halved twice, each time with end-around carry.
        let (low, high) = (self.0 as u32, (self.0 >> 32) as u32);
        let (sum, carry) = low.overflowing_add(high);
        let sum = sum.wrapping_add(u32::from(carry));
        let (low, high) = (sum as u16, (sum >> 16) as u16);
        let (sum, carry) = low.overflowing_add(high);
        !sum.wrapping_add(u16::from(carry))
    }

    /// Whether what was summed, checksum field included, is as it was sent.
    pub fn is_valid(self) -> bool {
        self.checksum() == [0, 0]
    }
}
