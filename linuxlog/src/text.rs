//! A short text out of a dead kernel's memory.

use core::fmt;

/// Printable ASCII, of 79 bytes at most.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text {
    bytes: [u8; 79],
    len: u8,
}

impl Text {
    pub(crate) const EMPTY: Self = Self { bytes: [0; 79], len: 0 };

    /// Keeps what fits, up to the first byte that is not printable ASCII.
    pub(crate) fn of(value: &[u8]) -> Self {
        let mut text = Self::EMPTY;
        let _ = value.iter().all(|&byte| text.push(byte));
        text
    }

    /// Adds a byte; false where it is not printable ASCII or has no room.
    pub(crate) fn push(&mut self, byte: u8) -> bool {
        let room = self.bytes.get_mut(usize::from(self.len));
        let Some(to) = room.filter(|_| (b' '..=b'~').contains(&byte)) else { return false };
        *to = byte;
        self.len = self.len.saturating_add(1);
        true
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
