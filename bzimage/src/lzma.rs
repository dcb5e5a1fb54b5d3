//! Decompresses LZMA: a match finder's output, each bit of it arithmetically coded by how often it was 0 before in such a
//! place. The format is that of the LZMA SDK's `lzma-specification.txt`, without header and end marker: the size is known,
//! and so are the parameters [`LITERAL_CONTEXT_BITS`] and, both 0, the literal position bits and the position bits.
//!
//! Written to be small, for it lies in the image unpacked: no crate that decompresses LZMA does so without a heap and
//! without panics. The tests compare it with `lzma-rust2`.

/// LZMA's `lc`: how many bits of the byte before choose a literal's probabilities.
pub const LITERAL_CONTEXT_BITS: u32 = 4;

/// Probabilities have 11 bits, and come nearer to what was seen by a 32nd.
const PROBABILITY_BITS: u32 = 11;
const CERTAIN: u16 = 1 << PROBABILITY_BITS;
const EVEN: u16 = CERTAIN / 2;
const MOVE_BITS: u32 = 5;
/// Below it the range takes another byte in.
const TOP: u32 = 1 << 24;

/// States above are those after something that is no literal.
const LITERAL_STATES: usize = 7;
const STATES: usize = 12;
/// The shortest match.
const SHORTEST: usize = 2;
/// Distances from this slot on have their middle bits as they are, and from the other on they do not fit.
const DIRECT_SLOT: usize = 14;
const ALIGN_BITS: u32 = 4;

// Where the probabilities of each kind begin.
const IS_MATCH: usize = 0;
const IS_REPEATED: usize = IS_MATCH + STATES;
const IS_OLDER: usize = IS_REPEATED + STATES;
const IS_OLDER_THAN_1: usize = IS_OLDER + STATES;
const IS_OLDER_THAN_2: usize = IS_OLDER_THAN_1 + STATES;
const IS_LONG: usize = IS_OLDER_THAN_2 + STATES;
const SLOTS: usize = IS_LONG + STATES;
const DISTANCES: usize = SLOTS + 4 * 64;
const ALIGN: usize = DISTANCES + 115;
const LENGTHS: usize = ALIGN + 16;
const REPEATED_LENGTHS: usize = LENGTHS + LENGTHS_SIZE;
const LITERALS: usize = REPEATED_LENGTHS + LENGTHS_SIZE;
const COUNT: usize = LITERALS + (LITERALS_SIZE << LITERAL_CONTEXT_BITS);

// And those within the lengths' and the literals'.
const SHORT_LENGTHS: usize = 2;
const MIDDLE_LENGTHS: usize = SHORT_LENGTHS + 8;
const LONG_LENGTHS: usize = MIDDLE_LENGTHS + 8;
const LENGTHS_SIZE: usize = LONG_LENGTHS + 256;
const LITERALS_SIZE: usize = 0x300;

/// Decompresses the stream that `input` begins with into `output`, which it fills. Returns what comes behind the stream;
/// nothing where it is damaged or ends early. Takes 27 KiB of stack.
pub fn decompress<'a>(input: &'a [u8], output: &mut [u8]) -> Option<&'a [u8]> {
    let mut probabilities = [EVEN; COUNT];
    let mut bits = Bits { input, at: 0, range: u32::MAX, code: 0, probabilities: &mut probabilities };
    for _ in 0..5 {
        bits.take_byte();
    }
    let (mut state, mut distances, mut at) = (0usize, [0usize; 4], 0usize);
    while at < output.len() {
        if bits.next(IS_MATCH.wrapping_add(state)) == 0 {
            let before = output.get(at.wrapping_sub(1)).copied().unwrap_or_default();
            let matched = match state {
                ..LITERAL_STATES => None,
                _ => Some(*output.get(at.wrapping_sub(distances[0]).wrapping_sub(1))?),
            };
            *output.get_mut(at)? = bits.literal(before, matched);
            at = at.wrapping_add(1);
            state = match state {
                ..4 => 0,
                4..10 => state.wrapping_sub(3),
                _ => state.wrapping_sub(6),
            };
            continue;
        }
        let after_literal = state < LITERAL_STATES;
        let length = if bits.next(IS_REPEATED.wrapping_add(state)) == 0 {
            let length = bits.length(LENGTHS);
            let [first, second, third, _] = distances;
            distances = [bits.distance(length), first, second, third];
            state = if after_literal { 7 } else { 10 };
            length
        } else {
            let [first, second, third, fourth] = distances;
            let is_long = if bits.next(IS_OLDER.wrapping_add(state)) == 0 {
                bits.next(IS_LONG.wrapping_add(state)) != 0
            } else {
                distances = if bits.next(IS_OLDER_THAN_1.wrapping_add(state)) == 0 {
                    [second, first, third, fourth]
                } else if bits.next(IS_OLDER_THAN_2.wrapping_add(state)) == 0 {
                    [third, first, second, fourth]
                } else {
                    [fourth, first, second, third]
                };
                true
            };
            if is_long {
                state = if after_literal { 8 } else { 11 };
                bits.length(REPEATED_LENGTHS)
            } else {
                state = if after_literal { 9 } else { 11 };
                1
            }
        };
        let end = at.wrapping_add(length);
        repeat(output.get_mut(..end)?, at, distances[0].wrapping_add(1))?;
        at = end;
    }
    bits.rest()
}

/// Fills `output` from `at` on with what is `distance` back.
fn repeat(output: &mut [u8], at: usize, distance: usize) -> Option<()> {
    let window = output.get_mut(at.checked_sub(distance)?..)?;
    for at in distance..window.len() {
        *window.get_mut(at)? = *window.get(at.wrapping_sub(distance))?;
    }
    Some(())
}

/// The stream, bit by bit (the specification's "range decoder"), and what is known of its bits.
struct Bits<'a, 'p> {
    input: &'a [u8],
    at: usize,
    range: u32,
    code: u32,
    /// Not of its own: as it is moved into place they would be on the stack twice.
    probabilities: &'p mut [u16; COUNT],
}

impl<'a> Bits<'a, '_> {
    /// Zeros behind the input's end, which [`rest`](Self::rest) finds.
    #[inline(always)]
    fn take_byte(&mut self) {
        self.code = self.code << 8 | u32::from(self.input.get(self.at).copied().unwrap_or_default());
        self.at = self.at.wrapping_add(1);
    }

    #[inline(always)]
    fn normalize(&mut self) {
        if self.range < TOP {
            self.range <<= 8;
            self.take_byte();
        }
    }

    /// The input behind the stream, which is over; none where it is cut off or not what a compressor ends with.
    fn rest(&mut self) -> Option<&'a [u8]> {
        self.normalize();
        self.input.get(self.at..).filter(|_| self.code == 0)
    }

    /// The next bit, by the probability at `place`. There always is one.
    #[inline(always)]
    fn next_inlined(&mut self, place: usize) -> usize {
        self.normalize();
        let Some(probability) = self.probabilities.get_mut(place) else { return 0 };
        let bound = (self.range >> PROBABILITY_BITS).wrapping_mul((*probability).into());
        if self.code < bound {
            self.range = bound;
            *probability = probability.wrapping_add(CERTAIN.wrapping_sub(*probability) >> MOVE_BITS);
            0
        } else {
            self.range = self.range.wrapping_sub(bound);
            self.code = self.code.wrapping_sub(bound);
            *probability = probability.wrapping_sub(*probability >> MOVE_BITS);
            1
        }
    }

    /// The same, called.
    #[inline(never)]
    fn next(&mut self, place: usize) -> usize {
        self.next_inlined(place)
    }

    /// A number of bits, the highest first, by a tree of probabilities: the bits before choose the next one's.
    #[inline(never)]
    fn tree(&mut self, first: usize, bits: u32) -> usize {
        let (mut node, end) = (1usize, 1 << bits);
        while node < end {
            node = node << 1 | self.next_inlined(first.wrapping_add(node));
        }
        node.wrapping_sub(end)
    }

    /// The same with the lowest bit first.
    #[inline(never)]
    fn reverse_tree(&mut self, first: usize, bits: u32) -> usize {
        let (mut node, mut number) = (1usize, 0);
        for bit in 0..bits {
            let next = self.next(first.wrapping_add(node));
            node = node << 1 | next;
            number |= next << bit;
        }
        number
    }

    /// A byte behind `before`. Directly behind a match it is likely that it differs from the one that went on there.
    fn literal(&mut self, before: u8, matched: Option<u8>) -> u8 {
        let context = usize::from(before >> (8 - LITERAL_CONTEXT_BITS));
        let first = context.wrapping_mul(LITERALS_SIZE).wrapping_add(LITERALS);
        // The second is 0x100 as long as the bits are those of the other byte.
        let (mut matched, mut same) = matched.map_or((0, 0), |byte| (usize::from(byte), 0x100));
        let mut symbol = 1usize;
        while symbol < 0x100 {
            matched <<= 1;
            let other = matched & same;
            let bit = self.next_inlined(first.wrapping_add(same).wrapping_add(other).wrapping_add(symbol));
            symbol = symbol << 1 | bit;
            same &= if bit == 0 { !other } else { other };
        }
        symbol as u8
    }

    #[inline(never)]
    fn length(&mut self, first: usize) -> usize {
        if self.next(first) == 0 {
            self.tree(first.wrapping_add(SHORT_LENGTHS), 3).wrapping_add(SHORTEST)
        } else if self.next(first.wrapping_add(1)) == 0 {
            self.tree(first.wrapping_add(MIDDLE_LENGTHS), 3).wrapping_add(SHORTEST + 8)
        } else {
            self.tree(first.wrapping_add(LONG_LENGTHS), 8).wrapping_add(SHORTEST + 16)
        }
    }

    /// The distance of a match of this length, less 1: a number in floating point, of two bits with others behind them.
    fn distance(&mut self, length: usize) -> usize {
        let lengths = length.wrapping_sub(SHORTEST).min(3);
        let slot = self.tree(SLOTS.wrapping_add(lengths << 6), 6);
        if slot < 4 {
            return slot;
        }
        let bits = (slot as u32 >> 1).wrapping_sub(1);
        let begin = (2 | slot & 1).wrapping_shl(bits);
        if slot < DIRECT_SLOT {
            let first = DISTANCES.wrapping_add(begin).wrapping_sub(slot);
            return begin.wrapping_add(self.reverse_tree(first, bits));
        }
        let mut middle = 0usize;
        for _ in ALIGN_BITS..bits {
            self.normalize();
            self.range >>= 1;
            let bit = usize::from(self.code >= self.range);
            if bit != 0 {
                self.code = self.code.wrapping_sub(self.range);
            }
            middle = middle << 1 | bit;
        }
        let end = self.reverse_tree(ALIGN, ALIGN_BITS);
        begin.wrapping_add(middle << ALIGN_BITS).wrapping_add(end)
    }
}
