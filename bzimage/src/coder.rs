//! Arithmetic coding: an interval is cut at each bit by its probability, and shrinks to the part that the bit chooses. What
//! is written is a number within the last one.

/// Probabilities are in 2¹⁶.
pub const PROBABILITY_BITS: u32 = 16;
/// An interval below it takes four more bytes in.
const TOP: u64 = 1 << 32;

/// A stream ends with a bit of this probability, which is not set: else its last bytes would be those of a longer one, too.
const HALF: u16 = 1 << 15;

/// Either direction.
pub trait Coder {
    /// Codes a bit whose probability to be set is `probability`, neither never nor always. An encoder takes `bit` and
    /// returns it; a decoder does not look at it, and returns what was encoded.
    fn code(&mut self, probability: u16, bit: bool) -> bool;
}

/// Writes. What unpacks the kernel has no part of it.
pub struct Encoder<'o> {
    low: u64,
    range: u64,
    output: &'o mut [u8],
    at: usize,
}

impl<'o> Encoder<'o> {
    pub fn new(output: &'o mut [u8]) -> Self {
        Self { low: 0, range: u64::MAX, output, at: 0 }
    }

    /// How many bytes were written; none where there was no room for them.
    pub fn finish(mut self) -> Option<usize> {
        self.code(HALF, false);
        // As many as a decoder has read ahead: what it has left is 0 then.
        self.write_four();
        self.write_four();
        (self.at <= self.output.len()).then_some(self.at)
    }

    fn write_four(&mut self) {
        let end = self.at + 4;
        if let Some(bytes) = self.output.get_mut(self.at..end) {
            bytes.copy_from_slice(&((self.low >> 32) as u32).to_be_bytes());
        }
        self.at = end;
        self.low <<= 32;
    }
}

impl Coder for Encoder<'_> {
    fn code(&mut self, probability: u16, bit: bool) -> bool {
        if self.range < TOP {
            self.range <<= 32;
            self.write_four();
        }
        let cut = (self.range >> PROBABILITY_BITS) * u64::from(probability);
        if bit {
            self.range = cut;
        } else {
            self.range -= cut;
            let (low, carries) = self.low.overflowing_add(cut);
            self.low = low;
            if carries {
                let written = self.output.get_mut(..self.at).unwrap_or_default();
                for byte in written.iter_mut().rev() {
                    *byte = byte.wrapping_add(1);
                    if *byte != 0 {
                        break;
                    }
                }
            }
        }
        bit
    }
}

/// Reads.
pub struct Decoder<'i> {
    /// How far the number lies above the interval's low end.
    code: u64,
    range: u64,
    input: &'i [u8],
    at: usize,
}

impl<'i> Decoder<'i> {
    pub fn new(input: &'i [u8]) -> Self {
        let mut decoder = Self { code: 0, range: u64::MAX, input, at: 0 };
        decoder.read_four();
        decoder.read_four();
        decoder
    }

    /// Zeros behind the input's end, which [`rest`](Self::rest) finds.
    #[inline(always)]
    fn read_four(&mut self) {
        let bytes = self.input.get(self.at..).and_then(|rest| rest.first_chunk());
        self.code = self.code << 32 | u64::from(bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes)));
        self.at = self.at.wrapping_add(4);
    }

    /// The input behind the stream, which is over; none where it is cut off or not what an encoder ends with.
    pub fn rest(mut self) -> Option<&'i [u8]> {
        let goes_on = self.code(HALF, false);
        self.input.get(self.at..).filter(|_| !goes_on && self.code == 0)
    }
}

impl Coder for Decoder<'_> {
    #[inline(always)]
    fn code(&mut self, probability: u16, _: bool) -> bool {
        if self.range < TOP {
            self.range <<= 32;
            self.read_four();
        }
        let cut = (self.range >> PROBABILITY_BITS).wrapping_mul(probability.into());
        let bit = self.code < cut;
        if bit {
            self.range = cut;
        } else {
            self.range = self.range.wrapping_sub(cut);
            self.code = self.code.wrapping_sub(cut);
        }
        bit
    }
}
