//! Predictions are added up as logarithms of odds, in 256ths: the logistic function, which makes probabilities of them.

use crate::coder::PROBABILITY_BITS;

/// Beyond it, either way, everything is as good as certain: 1 in 3,000.
pub const MOST: i32 = 2047;

/// The function as a table: probabilities in 2¹⁶ by odds from -2048 on.
pub struct Odds([u16; Odds::STEPS]);

impl Odds {
    pub const STEPS: usize = 2 * Self::EVEN;
    /// Where the odds are 0.
    const EVEN: usize = MOST as usize + 1;
    pub const ZEROS: Self = Self([0; Self::STEPS]);

    /// Fills the table. The function's slope is p · (1 - p), which leads from each value to the next.
    pub fn fill(&mut self) {
        let mut p = 1u32 << 31;
        for distance in 0..Self::EVEN {
            let value = (p >> (32 - PROBABILITY_BITS)) as u16;
            self.0[Self::EVEN + distance] = value;
            self.0[Self::EVEN - distance] = value.wrapping_neg();
            let rest = u64::from(p.wrapping_neg());
            p = p.wrapping_add(((u64::from(p) * rest) >> 40) as u32);
        }
    }

    /// The probability of what has these odds, which are within [`MOST`].
    #[inline(always)]
    pub fn probability(&self, odds: i32) -> u16 {
        self.0[(odds + Self::EVEN as i32) as usize]
    }

    /// Where the table reaches this probability; its length where it does not.
    pub fn index(&self, probability: u16) -> usize {
        self.0.partition_point(|&other| other < probability)
    }

    /// The odds of what has this probability, within [`MOST`].
    pub fn odds(&self, probability: u16) -> i32 {
        (self.index(probability) as i32 - Self::EVEN as i32).clamp(-MOST, MOST)
    }
}
