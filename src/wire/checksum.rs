//! The Internet checksum (RFC 1071): the one's complement of the one's complement sum of 16-bit words.

/// A one's complement sum under way.
///
/// It is kept little-endian and 64 bits wide: RFC 1071, section 2, shows that neither the byte order
/// nor the width of the words changes the result, if it is stored in the order that it was read in.
/// So parts that don't change can be summed once and kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum(u64);

impl Sum {
    /// The sum of nothing.
    pub const ZERO: Self = Self(0);

    /// Adds `bytes`, which begin at an even offset of what is summed; an odd last byte counts as if
    /// a zero byte followed, so nothing may be added after it that directly follows it.
    #[must_use]
    pub fn add_bytes(self, bytes: &[u8]) -> Self {
        let (blocks, rest) = bytes.as_chunks::<32>();
        let mut sum = self;
        for block in blocks {
            for word in block.as_chunks::<8>().0 {
                sum = sum.add_word(u64::from_le_bytes(*word));
            }
        }
        let (words, tail) = rest.as_chunks::<8>();
        for word in words {
            sum = sum.add_word(u64::from_le_bytes(*word));
        }
        sum.add_word(tail.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)))
    }

    /// Adds one 16-bit field that stands big-endian in the message.
    #[must_use]
    pub fn add_u16(self, field: u16) -> Self {
        self.add_word(u64::from(u16::from_le_bytes(field.to_be_bytes())))
    }

    /// Adds with end-around carry.
    fn add_word(self, word: u64) -> Self {
        let (sum, carry) = self.0.overflowing_add(word);
        Self(sum.wrapping_add(u64::from(carry)))
    }

    /// The checksum as its two bytes stand in a header. Over a message whose checksum field holds
    /// the right value already it gives zeros.
    pub fn checksum(self) -> [u8; 2] {
        // Each round adds the upper part to the lower; after four nothing is left above 16 bits.
        let mut sum = self.0;
        for bits in [32, 16, 16, 16] {
            let lower = (1 << bits) - 1;
            sum = (sum & lower) + (sum >> bits);
        }
        let [a, b, ..] = u64::to_le_bytes(sum);
        [!a, !b]
    }

    /// Whether what was summed, checksum field included, is as it was sent.
    pub fn is_valid(self) -> bool {
        self.checksum() == [0, 0]
    }
}
