//! Which byte comes next, by what came the last time: behind the same three bytes, which may go on for long, else behind
//! the same two at such a place.

/// Longer matches are all alike.
pub const LONGEST: usize = 15;
const SHORTEST: usize = 3;
const TABLE_BITS: u32 = 15;
const CANDIDATE_BITS: u32 = 15;
/// Kinds of guesses, of up to 16 lengths or counts in up to 16 fields.
const RATES: usize = 1024;
/// How fast it is learnt how often a guess is right.
const SHIFT: u32 = 5;

/// What came, and how often it was right to expect it.
pub struct Matches {
    /// Behind where three bytes came last, by their hash.
    places: [u32; 1 << TABLE_BITS],
    /// What is expected next lies here.
    at: usize,
    /// How many bytes before it are those that came; 0 where nothing is expected.
    length: usize,
    /// By two bytes and a place: what came there, and how many times in a row.
    candidates: [[u8; 2]; 1 << CANDIDATE_BITS],
    /// How often a guess was right, in 2¹⁶.
    rates: [u16; RATES],
}

/// What may come.
pub struct Guess {
    /// How long the match is; 0 where there is none.
    pub length: usize,
    /// And what went on there.
    pub matched: u8,
    /// What is likeliest: that or the candidate.
    pub byte: u8,
    /// How often such a guess was right, in 2¹⁶.
    pub rate: u16,
    rated: usize,
    candidate: usize,
}

impl Matches {
    pub const ZEROS: Self = Self {
        places: [0; 1 << TABLE_BITS],
        at: 0,
        length: 0,
        candidates: [[0; 2]; 1 << CANDIDATE_BITS],
        rates: [0; RATES],
    };

    pub fn reset(&mut self) {
        self.places.fill(0);
        (self.at, self.length) = (0, 0);
        self.candidates.fill([0; 2]);
        self.rates.fill(1 << 15);
    }

    /// What may come behind `before`, which has a byte more each time and ends with `last`, at this place, of this field.
    pub fn guess(&mut self, before: &[u8], last: u32, place: u32, field: usize) -> Guess {
        let hash = (last << 8).wrapping_mul(0x9e37_79b1) >> (32 - TABLE_BITS);
        let known = &mut self.places[hash as usize];
        if self.length == 0 {
            self.at = *known as usize;
            self.length = alike(before.get(..self.at).unwrap_or_default(), before);
        }
        *known = before.len() as u32;

        let hash = (last << 16).wrapping_add(place).wrapping_mul(0x9e37_79b1);
        let candidate = (hash.wrapping_mul(0x9e37_79b1) ^ hash) >> (32 - CANDIDATE_BITS);
        let candidate = candidate as usize;
        let [byte, count] = self.candidates[candidate];
        let matched = before.get(self.at).copied().unwrap_or_default();
        let (byte, kind) = if self.length > 0 {
            (matched, (1 + usize::from(byte == matched)) * 16 + self.length)
        } else {
            (byte, usize::from(count))
        };
        let rated = (kind * 16 + field) & (RATES - 1);
        Guess { length: self.length, matched, byte, rate: self.rates[rated], rated, candidate }
    }

    /// This came.
    #[inline(always)]
    pub fn learn(&mut self, guess: &Guess, byte: u8) {
        self.at = self.at.wrapping_add(1);
        let goes_on = guess.length > 0 && guess.matched == byte;
        self.length = if goes_on { (guess.length + 1).min(LONGEST) } else { 0 };

        // It never gets to 0 or to 1.
        let rate = &mut self.rates[guess.rated & (RATES - 1)];
        *rate =
            if guess.byte == byte { *rate + ((u16::MAX - *rate) >> SHIFT) } else { *rate - (*rate >> SHIFT) };

        let [candidate, count] = &mut self.candidates[guess.candidate & ((1 << CANDIDATE_BITS) - 1)];
        if *candidate == byte {
            *count = (*count + 1).min(15);
        } else if *count > 1 {
            *count /= 2;
        } else {
            (*candidate, *count) = (byte, 1);
        }
    }
}

/// How many bytes at the end of both are the same, up to 8; 0 where they are less than [`SHORTEST`].
fn alike(there: &[u8], here: &[u8]) -> usize {
    let (Some(there), Some(here)) = (there.last_chunk(), here.last_chunk()) else { return 0 };
    let differ = u64::from_le_bytes(*there) ^ u64::from_le_bytes(*here);
    let alike = differ.leading_zeros() as usize / 8;
    if alike < SHORTEST { 0 } else { alike }
}
