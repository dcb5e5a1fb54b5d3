//! What a record of a flood costs: what a longer flood takes more than a short one, so without the boot.

use crate::append::{flood, targets};
use crate::boot::Boot;
use crate::symbols::Symbols;

/// The records of both.
pub const FLOODS: [u32; 2] = [64, 320];

/// Two floods, otherwise the same.
pub struct Floods([Boot; 2]);

impl Floods {
    /// Boots with floods to `count` targets, and with `more` kernel parameters.
    pub fn observe(symbols: &Symbols, count: usize, more: &str) -> Result<Self, String> {
        let name = format!("flood{count}");
        let [few, many] = FLOODS.map(|records| {
            Boot::observe(symbols, &name, &format!("{} {more}", flood(records, &targets(count))))
        });
        Ok(Self([few?, many?]))
    }

    /// What a record adds to this count.
    pub fn per_record(&self, of: impl Fn(&Boot) -> u64) -> f64 {
        let [few, many] = self.0.each_ref().map(|boot| of(boot) as f64);
        (many - few) / f64::from(FLOODS[1] - FLOODS[0])
    }

    /// Its instructions, but for making its text, which is the flood's own affair.
    pub fn cost(&self) -> f64 {
        self.per_record(|boot| boot.instructions - boot.flooding)
    }
}
