//! What a link's two ends have agreed on.

use core::fmt;

/// How fast a link is. [`Display`](fmt::Display) gives `1000 Mbit/s, full duplex`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkMode {
    /// The speed in units of 1,000,000 bits a second.
    pub megabits: u32,
    /// Who may send when, where the card tells.
    pub duplex: Option<Duplex>,
}

/// Whether both ends of a link may send at once (IEEE 802.3, section 1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplex {
    /// One after the other.
    Half,
    /// Both at once.
    Full,
}

impl fmt::Display for LinkMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let duplex = match self.duplex {
            None => "",
            Some(Duplex::Half) => ", half duplex",
            Some(Duplex::Full) => ", full duplex",
        };
        write!(f, "{} Mbit/s{duplex}", self.megabits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_in_words() {
        for (megabits, duplex, words) in [
            (10, Some(Duplex::Half), "10 Mbit/s, half duplex"),
            (1000, Some(Duplex::Full), "1000 Mbit/s, full duplex"),
            (100_000, None, "100000 Mbit/s"),
        ] {
            assert_eq!(LinkMode { megabits, duplex }.to_string(), words);
        }
    }
}
