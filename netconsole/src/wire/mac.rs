//! Ethernet addresses (IEEE 802.3, section 3.2.3).

use core::fmt;
use core::str::FromStr;

/// An Ethernet address, in transmission order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// Every station on the segment.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Whether it names a group of stations (the broadcast address included), not one.
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// Whether it can be a station's own address: not a group's, not all zero.
    pub const fn is_unicast(self) -> bool {
        !self.is_multicast() && !matches!(self.0, [0, 0, 0, 0, 0, 0])
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// Why a text is no Ethernet address; `at` is the byte offset in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacAddrError {
    /// The text ended early.
    Ended,
    /// A character that does not belong there.
    Unexpected {
        /// The character found.
        found: char,
        /// Its byte offset in the text.
        at: usize,
    },
}

impl fmt::Display for MacAddrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => write!(f, "it ended early"),
            Self::Unexpected { found, at } => {
                write!(f, "unexpected '{found}' at character {}", at.saturating_add(1))
            }
        }
    }
}

impl FromStr for MacAddr {
    type Err = MacAddrError;

    /// Six pairs of hexadecimal digits with colons between them, as Linux's `mac_pton` takes it.
    fn from_str(text: &str) -> Result<Self, MacAddrError> {
        let mut chars = text.char_indices();
        let digit = |chars: &mut core::str::CharIndices<'_>| match chars.next() {
            None => Err(MacAddrError::Ended),
            Some((at, found)) => match found.to_digit(16).map(u8::try_from) {
                Some(Ok(value)) => Ok(value),
                _ => Err(MacAddrError::Unexpected { found, at }),
            },
        };
        let mut octets = [0; 6];
        for (index, octet) in octets.iter_mut().enumerate() {
            if index > 0 {
                match chars.next() {
                    Some((_, ':')) => {}
                    Some((at, found)) => return Err(MacAddrError::Unexpected { found, at }),
                    None => return Err(MacAddrError::Ended),
                }
            }
            *octet = digit(&mut chars)? << 4 | digit(&mut chars)?;
        }
        match chars.next() {
            None => Ok(Self(octets)),
            Some((at, found)) => Err(MacAddrError::Unexpected { found, at }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_it_prints() {
        let mac: MacAddr = "12:34:56:78:9A:bc".parse().expect("an address");
        assert_eq!(mac, MacAddr([0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc]));
        assert_eq!(mac.to_string().parse(), Ok(mac));
    }

    #[test]
    fn names_the_character_that_is_wrong() {
        let parse = |text: &str| text.parse::<MacAddr>();
        assert_eq!(parse("00:13:32:20:r9:a5"), Err(MacAddrError::Unexpected { found: 'r', at: 12 }));
        assert_eq!(parse("00-13"), Err(MacAddrError::Unexpected { found: '-', at: 2 }));
        assert_eq!(parse("00:13:32:20:a9:a5:"), Err(MacAddrError::Unexpected { found: ':', at: 17 }));
        assert_eq!(parse("00:13:32:20:a9:a"), Err(MacAddrError::Ended));
        assert_eq!(parse(""), Err(MacAddrError::Ended));
    }
}
