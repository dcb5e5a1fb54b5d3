//! Decompresses DEFLATE (RFC 1951). Written to be small: of the 200 KiB that the packed kernel may take, this takes
//! four. The tests compare it with `miniz_oxide`.

/// Section 3.2.5: literals, the end of a block, lengths; distances.
const LITERALS: usize = 288;
const DISTANCES: usize = 32;
const END_OF_BLOCK: u16 = 256;
/// The longest length has a symbol of its own.
const LONGEST: u16 = 285;
/// Section 3.2.7: the lengths of the code for the lengths of codes stand in this order.
const LENGTHS_ORDER: [u8; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Decompresses the stream that `input` begins with into `output`. Returns what comes behind the stream, and how many
/// bytes were written; nothing where the stream is damaged, ends early or does not fit.
pub fn inflate<'a>(input: &'a [u8], output: &mut [u8]) -> Option<(&'a [u8], usize)> {
    let mut bits = Bits { input, at: 0, buffer: 0, count: 0 };
    let mut output = Output { bytes: output, length: 0 };
    let (mut literals, mut distances) = (Code::new(), Code::new());
    loop {
        bits.refill();
        let last = bits.take(1);
        match bits.take(2) {
            0 => stored(&mut bits, &mut output)?,
            kind @ (1 | 2) => {
                let lengths = if kind == 1 { fixed() } else { dynamic(&mut bits, &mut literals)? };
                let (of_literals, of_distances) = lengths.split_at(LITERALS);
                literals.set(of_literals)?;
                distances.set(of_distances)?;
                compressed(&mut bits, &mut output, &literals, &distances)?;
            }
            _ => return None,
        }
        if last == 1 {
            return Some((bits.rest()?, output.length));
        }
    }
}

/// Section 3.2.4.
fn stored(bits: &mut Bits, output: &mut Output) -> Option<()> {
    bits.take(bits.count & 7);
    bits.refill();
    let length = bits.take(16);
    if bits.take(16) ^ length != 0xffff {
        return None;
    }
    for _ in 0..length {
        bits.refill();
        output.push(bits.take(8).to_le_bytes()[0])?;
    }
    Some(())
}

/// The lengths of the codes of all literals, then of all distances.
type Lengths = [u8; LITERALS + DISTANCES];

/// Section 3.2.6.
fn fixed() -> Lengths {
    let mut lengths = [8; LITERALS + DISTANCES];
    for (symbol, length) in lengths.iter_mut().enumerate() {
        *length = match symbol {
            144..256 => 9,
            256..280 => 7,
            LITERALS.. => 5,
            _ => 8,
        };
    }
    lengths
}

/// Section 3.2.7. `code` becomes that of the lengths.
fn dynamic(bits: &mut Bits, code: &mut Code) -> Option<Lengths> {
    let literals = bits.take(5).wrapping_add(257) as usize;
    let distances = bits.take(5).wrapping_add(1) as usize;
    let count = bits.take(4).wrapping_add(4) as usize;
    let mut lengths = [0; LITERALS + DISTANCES];
    for &symbol in LENGTHS_ORDER.iter().take(count) {
        bits.refill();
        *lengths.get_mut(usize::from(symbol))? = bits.take(3).to_le_bytes()[0];
    }
    code.set(lengths.get(..LENGTHS_ORDER.len())?)?;
    lengths.fill(0);
    let (mut at, mut previous) = (0, 0);
    // The distances follow the literals without a gap: a repetition may reach from these into those.
    let end = literals.wrapping_add(distances);
    while at < end {
        bits.refill();
        let (length, repeat) = match code.symbol(bits)? {
            16 if at == 0 => return None,
            16 => (previous, bits.take(2).wrapping_add(3)),
            17 => (0, bits.take(3).wrapping_add(3)),
            18 => (0, bits.take(7).wrapping_add(11)),
            length => (length.to_le_bytes()[0], 1),
        };
        previous = length;
        for _ in 0..repeat {
            if at >= end {
                return None;
            }
            let place = if at < literals { at } else { at.wrapping_sub(literals).wrapping_add(LITERALS) };
            *lengths.get_mut(place)? = length;
            at = at.wrapping_add(1);
        }
    }
    Some(lengths)
}

/// Section 3.2.3, a block's contents.
fn compressed(bits: &mut Bits, output: &mut Output, literals: &Code, distances: &Code) -> Option<()> {
    loop {
        bits.refill();
        let symbol = literals.symbol(bits)?;
        if symbol < END_OF_BLOCK {
            output.push(symbol.to_le_bytes()[0])?;
            continue;
        }
        let length = match symbol {
            END_OF_BLOCK => return Some(()),
            LONGEST => 258,
            ..LONGEST => bits.number(symbol.wrapping_sub(END_OF_BLOCK + 1), 2).wrapping_add(3),
            _ => return None,
        };
        bits.refill();
        let distance = match distances.symbol(bits)? {
            symbol @ ..30 => bits.number(symbol, 1).wrapping_add(1),
            _ => return None,
        };
        output.repeat(distance as usize, length as usize)?;
    }
}

/// The stream, bit by bit. The lowest `count` bits of `buffer` were read from before `at` and not taken yet; above
/// them it is zero.
struct Bits<'a> {
    input: &'a [u8],
    at: usize,
    buffer: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    /// Makes sure that 32 bits can be taken: zeros, behind the input's end.
    #[inline(always)]
    fn refill(&mut self) {
        if self.count < 32 {
            self.buffer |= u64::from(next_word(self.input, self.at)) << self.count;
            self.at = self.at.wrapping_add(4);
            self.count = self.count.wrapping_add(32);
        }
    }

    /// Takes `count` bits, up to 31; the buffer must have them.
    #[inline(always)]
    fn take(&mut self, count: u32) -> u32 {
        let bits = self.buffer as u32 & !(u32::MAX << count);
        self.buffer >>= count;
        self.count = self.count.wrapping_sub(count);
        bits
    }

    /// The tables of section 3.2.5: a symbol is a number of few bits in floating point, with `mantissa` bits behind its
    /// first one, and further bits follow.
    #[inline(always)]
    fn number(&mut self, symbol: u16, mantissa: u32) -> u32 {
        let (symbol, implied) = (u32::from(symbol), 1 << mantissa);
        if symbol < implied << 1 {
            return symbol;
        }
        let exponent = (symbol >> mantissa).wrapping_sub(1);
        ((symbol & (implied - 1) | implied) << exponent) | self.take(exponent)
    }

    /// The input behind the byte that the last bit was taken from.
    fn rest(&self) -> Option<&'a [u8]> {
        self.input.get(self.at.wrapping_sub((self.count >> 3) as usize)..)
    }
}

/// Four bytes of `input`, zeros behind its end.
#[inline(never)]
fn next_word(input: &[u8], at: usize) -> u32 {
    let rest = input.get(at..).unwrap_or_default();
    if let Some(&word) = rest.first_chunk() {
        return u32::from_le_bytes(word);
    }
    rest.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte))
}

/// What was decompressed.
struct Output<'a> {
    bytes: &'a mut [u8],
    length: usize,
}

impl Output<'_> {
    fn push(&mut self, byte: u8) -> Option<()> {
        *self.bytes.get_mut(self.length)? = byte;
        self.length = self.length.wrapping_add(1);
        Some(())
    }

    /// Repeats what is `distance` back.
    fn repeat(&mut self, distance: usize, length: usize) -> Option<()> {
        let from = self.length.checked_sub(distance)?;
        let end = self.length.wrapping_add(length);
        let window = self.bytes.get_mut(from..end)?;
        for at in distance..window.len() {
            *window.get_mut(at)? = *window.get(at.wrapping_sub(distance))?;
        }
        self.length = end;
        Some(())
    }
}

/// Section 3.2.2: a Huffman code, each code's first bit in the stream its highest.
struct Code {
    /// Indexed by the stream's next bits: symbol and, in the lowest four bits, the code's length; zero where the code is
    /// longer than the index.
    table: [u16; 1 << TABLE_BITS],
    /// How many codes there are of each length.
    counts: [u16; MAX_LENGTH + 1],
    /// The symbols in their codes' order.
    symbols: [u16; LITERALS],
}
const TABLE_BITS: u32 = 11;
const MAX_LENGTH: usize = 15;

impl Code {
    const fn new() -> Self {
        Self { table: [0; 1 << TABLE_BITS], counts: [0; MAX_LENGTH + 1], symbols: [0; LITERALS] }
    }

    /// Becomes the code whose symbols' codes have these lengths, zero for none. None where there are more codes than
    /// such lengths have room for.
    fn set(&mut self, lengths: &[u8]) -> Option<()> {
        self.table.fill(0);
        self.counts.fill(0);
        for &length in lengths {
            let count = self.counts.get_mut(usize::from(length))?;
            *count = count.wrapping_add(1);
        }
        self.counts[0] = 0;
        // The next code of each length, and its place in their order.
        let (mut codes, mut places) = ([0u16; MAX_LENGTH + 1], [0u16; MAX_LENGTH + 1]);
        let (mut code, mut place) = (0u32, 0u16);
        for (length, &count) in self.counts.iter().enumerate() {
            code <<= 1;
            codes[length] = code as u16;
            places[length] = place;
            code = code.wrapping_add(count.into());
            place = place.wrapping_add(count);
            if code > 1 << length {
                return None;
            }
        }
        for (symbol, &length) in lengths.iter().enumerate().filter(|(_, length)| **length != 0) {
            let symbol = symbol as u16;
            let (code, place) = (codes.get_mut(usize::from(length))?, places.get_mut(usize::from(length))?);
            *self.symbols.get_mut(usize::from(*place))? = symbol;
            let length = u32::from(length);
            if length <= TABLE_BITS {
                let first = u32::from(*code).reverse_bits() >> (32 - length);
                let entries = self.table.iter_mut().skip(first as usize).step_by(1 << length);
                entries.for_each(|entry| *entry = symbol << 4 | length as u16);
            }
            *code = code.wrapping_add(1);
            *place = place.wrapping_add(1);
        }
        Some(())
    }

    /// Takes a code and returns its symbol; none where no symbol has it.
    #[inline(always)]
    fn symbol(&self, bits: &mut Bits) -> Option<u16> {
        let entry = self.table[bits.buffer as usize & ((1 << TABLE_BITS) - 1)];
        let (symbol, length) = match entry {
            0 => self.long_symbol(bits.buffer)?,
            _ => (entry >> 4, u32::from(entry & 15)),
        };
        bits.take(length);
        Some(symbol)
    }

    /// The symbol of the code that `buffer` begins with, and the code's length, bit by bit.
    #[inline(never)]
    fn long_symbol(&self, mut buffer: u64) -> Option<(u16, u32)> {
        // The code's place among those of its length, and that of the first of them in the order.
        let (mut code, mut first) = (0u16, 0u16);
        for (length, &count) in (0..).zip(&self.counts).skip(1) {
            code = code << 1 | (buffer & 1) as u16;
            buffer >>= 1;
            if code < count {
                return Some((*self.symbols.get(usize::from(first.wrapping_add(code)))?, length));
            }
            code = code.wrapping_sub(count);
            first = first.wrapping_add(count);
        }
        None
    }
}
