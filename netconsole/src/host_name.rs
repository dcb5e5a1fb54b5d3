//! A host's name: 1 to 63 letters, digits, hyphens and dots (RFC 1123, section 2.1).

#![forbid(unsafe_code)]

use crate::text::Text;
use core::fmt;

/// A host's name, which has been checked to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostName(Text<{ Self::MAX }>);

impl HostName {
    /// The longest name in bytes.
    pub const MAX: usize = 63;

    /// The name, or `None` where it is none. Panic-safe.
    pub fn new(name: &[u8]) -> Option<Self> {
        let is_valid = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-' || *byte == b'.';
        let name =
            Some(name).filter(|name| (1..=Self::MAX).contains(&name.len()) && name.iter().all(is_valid));
        name.map(|name| Self(Text::of_bytes(name)))
    }

    /// The name's bytes, which are ASCII. Panic-safe.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The name's text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
