//! How likely the next bit is to be set: what came before in two contexts, and where the last bytes came before, added up
//! with weights that are learnt from bit to bit (a logistic mix of contexts, as the paq family's). The contexts are those
//! of machine code: each byte's place in its instruction, and what decides most about such a byte. That is worth a seventh
//! of the packed kernel; a third context would be worth 2 % more, and take a quarter more time.

use crate::coder::Coder;
use crate::counters::{self, Counters};
use crate::instructions::{Field, Instructions};
use crate::matches::{LONGEST, Matches};
use crate::odds::{MOST, Odds};

const SLOT_BITS: u32 = 19;
/// Fields, and places in them.
const PLACES: usize = 512;

/// Weights are in 2¹⁶; these are 0.35 of each context and all of the match.
const FIRST_WEIGHTS: [i32; 3] = [22_938, 22_938, 65_536];
/// The odds of what a match says: how much that is worth is in the weights alone.
const EXPECTED: i32 = 256;
/// Nothing is learnt for the weights from an error below it, in 2¹⁶: that takes time and is worth nothing.
const SMALL: i32 = 2048;
/// A guess that is right so often, in 2¹⁶, is asked for first. It is one bit in place of eight.
const SURE: u16 = 40_000;

/// What is known so far. It holds nothing that outlives its next use: any content is valid before.
pub struct Model {
    odds: Odds,
    counters: Counters,
    /// By context and the byte's bits before. Contexts may share one.
    slots: [u8; 1 << SLOT_BITS],
    matches: Matches,
    /// By the byte's place in its instruction, and by the length of the match.
    weights: [[[i32; 3]; LONGEST + 1]; PLACES],
    /// The last four bytes, the last one lowest.
    last: u32,
}

impl Model {
    /// Memory for it.
    pub const ZEROS: Self = Self {
        odds: Odds::ZEROS,
        counters: Counters::ZEROS,
        slots: [0; 1 << SLOT_BITS],
        matches: Matches::ZEROS,
        weights: [[[0; 3]; LONGEST + 1]; PLACES],
        last: 0,
    };

    /// Has it know nothing.
    pub(crate) fn reset(&mut self) {
        self.odds.fill();
        self.counters.fill(&self.odds);
        self.slots.fill(counters::NEW);
        self.matches.reset();
        self.weights.as_flattened_mut().fill(FIRST_WEIGHTS);
        self.last = 0;
    }

    /// Codes the byte behind `before`, whose place is that of `instructions`, and learns it.
    pub(crate) fn code(
        &mut self,
        coder: &mut impl Coder,
        instructions: &Instructions,
        before: &[u8],
        byte: u8,
    ) -> u8 {
        let place = u32::from(instructions.size + instructions.left) | (instructions.field as u32) << 5;
        let guess = self.matches.guess(before, self.last, place, instructions.field as usize);
        let byte = if guess.rate >= SURE && coder.code(guess.rate, byte == guess.byte) {
            guess.byte
        } else {
            let contexts = contexts(instructions, self.last).map(|context| hash(context, place));
            let matched = (guess.length, guess.matched);
            self.code_bits(coder, contexts, place, matched, byte)
        };
        self.matches.learn(&guess, byte);
        self.last = self.last << 8 | u32::from(byte);
        byte
    }

    /// Codes a byte bit by bit, the highest first. This takes nearly all of the time: no loops but the one, and each bit
    /// has a copy of what is learnt from it.
    #[inline(always)]
    fn code_bits(
        &mut self,
        coder: &mut impl Coder,
        [context0, context1]: [u32; 2],
        place: u32,
        (length, mut matched): (usize, u8),
        mut byte: u8,
    ) -> u8 {
        let weights = &mut self.weights[place as usize & (PLACES - 1)][length & LONGEST];
        // Nothing, as soon as a bit was another one.
        let mut match_says = if length > 0 { EXPECTED } else { 0 };
        // The bits that are known, with a 1 in front of them.
        let mut node = 1u32;
        while node < 0x100 {
            let spread = node.wrapping_mul(0x85eb_ca6b);
            let slot0 = ((context0 ^ spread) >> (32 - SLOT_BITS)) as usize;
            let slot1 = ((context1 ^ spread) >> (32 - SLOT_BITS)) as usize;
            let (counter0, counter1) = (self.slots[slot0], self.slots[slot1]);
            let (input0, input1) = (self.counters.odds(counter0), self.counters.odds(counter1));
            let expects = matched & 0x80 != 0;
            let input2 = if expects { match_says } else { -match_says };
            let odds = weights[0]
                .wrapping_mul(input0)
                .wrapping_add(weights[1].wrapping_mul(input1))
                .wrapping_add(weights[2].wrapping_mul(input2));
            let probability = self.odds.probability((odds >> 16).clamp(-MOST, MOST));
            let bit = coder.code(probability, byte & 0x80 != 0);

            let probability = i32::from(probability);
            let mut adjust = |error: i32| {
                weights[0] = weights[0].wrapping_add((input0 * error) >> 15);
                weights[1] = weights[1].wrapping_add((input1 * error) >> 15);
                weights[2] = weights[2].wrapping_add((input2 * error) >> 15);
            };
            if bit {
                if probability < 65_536 - SMALL {
                    adjust(65_536 - probability);
                }
                self.slots[slot0] = self.counters.next(counter0, true);
                self.slots[slot1] = self.counters.next(counter1, true);
                node = node << 1 | 1;
                if !expects {
                    match_says = 0;
                }
            } else {
                if probability > SMALL {
                    adjust(-probability);
                }
                self.slots[slot0] = self.counters.next(counter0, false);
                self.slots[slot1] = self.counters.next(counter1, false);
                node <<= 1;
                if expects {
                    match_says = 0;
                }
            }
            (matched, byte) = (matched << 1, byte << 1);
        }
        node as u8
    }
}

/// What decides most about a byte, beside its place: in its own instruction, and next to it.
fn contexts(code: &Instructions, last: u32) -> [u32; 2] {
    let prefixes = u32::from(code.prefixes);
    let opcode = u32::from(code.opcode);
    let own = if code.size > 1 || code.field == Field::Data { 0 } else { prefixes | opcode << 16 };
    let near = match code.field {
        Field::Opcode | Field::SecondOpcode | Field::ThirdOpcode => {
            prefixes | u32::from(code.last_opcode) << 16
        }
        Field::ModRm => opcode | u32::from(code.last_mod_rm) << 16,
        Field::Sib | Field::Displacement => code.base().into(),
        // The field's bytes so far, or the one before it.
        Field::Address | Field::Branch | Field::Immediate | Field::Data => {
            let count = u32::from(code.size - code.left).clamp(1, 4);
            last & u32::MAX >> (32 - 8 * count)
        }
    };
    // No context of one kind is one of the other.
    [own, near.wrapping_add(0x5bd1_e995)]
}

/// Its high bits depend on every bit of both.
fn hash(context: u32, place: u32) -> u32 {
    context.wrapping_mul(0x2c1b_3c6d).wrapping_add(place).wrapping_mul(0x9e37_79b1)
}
