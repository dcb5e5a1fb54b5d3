//! A host's name: 1 to 63 letters, digits, hyphens and dots (RFC 1123, section 2.1).

#![forbid(unsafe_code)]

use core::fmt;

/// A host's name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HostName {
    bytes: [u8; Self::MAX],
    len: u8,
}

impl HostName {
    /// The longest name in bytes.
    pub const MAX: usize = 63;

    /// The name, or `None` where it is none. Panic-safe.
    pub fn new(name: &[u8]) -> Option<Self> {
        let is_valid = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-' || *byte == b'.';
        if name.is_empty() || !name.iter().all(is_valid) {
            return None;
        }
        let mut bytes = [0; Self::MAX];
        let len = u8::try_from(name.len()).ok()?;
        bytes.iter_mut().zip(name).for_each(|(to, &from)| *to = from);
        (name.len() <= Self::MAX).then_some(Self { bytes, len })
    }

    /// The name's bytes, which are ASCII. Panic-safe.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// The name's text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or("")
    }
}

impl fmt::Debug for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
