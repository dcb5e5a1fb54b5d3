//! What came in a context so far, in a byte: the first five bits themselves, and from the sixth on how likely it is by then
//! that a bit is set, in 192 levels. What came lately counts more.

use crate::odds::{MOST, Odds};

/// Nothing came. The first bits are kept with a 1 in front of them.
pub const NEW: u8 = 1;
/// From here on levels are kept.
const HISTORIES: usize = 64;
const LEVELS: usize = 256 - HISTORIES;
/// How far the n-th bit changes the probability, in 2¹⁴: 1 / (n + 0.4). The last one is for all that follow.
const RATES: [i32; 7] = [11_703, 6827, 4819, 3724, 3034, 2560, 2214];

/// What each counter says, and what becomes of it, as tables.
pub struct Counters {
    odds: [i16; 256],
    next: [[u8; 256]; 2],
}

impl Counters {
    pub const ZEROS: Self = Self { odds: [0; 256], next: [[0; 256]; 2] };

    /// Fills the tables.
    pub fn fill(&mut self, odds: &Odds) {
        // Of the bits that are kept, in 2¹⁶. Each follows from shorter ones, which come before it.
        let mut probabilities = [1i32 << 15; HISTORIES];
        for counter in 1..256usize {
            let (probability, own) = match probabilities.get(counter) {
                Some(&probability) => (probability, odds.odds(probability as u16)),
                None => {
                    let middle = (2 * (counter - HISTORIES) + 1) * (Odds::STEPS / 2) / LEVELS;
                    let own = (middle as i32 - MOST - 1).clamp(-MOST, MOST);
                    (odds.probability(own).into(), own)
                }
            };
            self.odds[counter] = own as i16;
            let rate = RATES[(counter.ilog2() as usize).min(6)];
            for (bit, next) in self.next.iter_mut().enumerate() {
                let certain = if bit == 0 { 0 } else { 65_535 };
                let probability = probability + (((certain - probability) * rate) >> 14);
                let history = counter * 2 + bit;
                next[counter] = match probabilities.get_mut(history) {
                    Some(place) => {
                        *place = probability;
                        history as u8
                    }
                    None => {
                        let level = odds.index(probability as u16) * LEVELS / Odds::STEPS;
                        (HISTORIES + level.min(LEVELS - 1)) as u8
                    }
                };
            }
        }
    }

    /// The odds that the next bit is set.
    #[inline(always)]
    pub fn odds(&self, counter: u8) -> i32 {
        self.odds[usize::from(counter)].into()
    }

    /// What it becomes with this bit.
    #[inline(always)]
    pub fn next(&self, counter: u8, bit: bool) -> u8 {
        self.next[usize::from(bit)][usize::from(counter)]
    }
}
