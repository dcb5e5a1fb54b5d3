//! Copies of the loader's strings, which may lie where the kernel will write later.

use crate::PhysicalMemory;
use core::fmt::{self, Write};

/// A copy of a string of the loader's: up to `N` bytes without a zero among them, not always UTF-8.
#[derive(Clone, PartialEq, Eq)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

/// A string's end, the terminating zero, could not be reached: the memory ended before it. What could
/// be read is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unterminated;

impl<const N: usize> Text<N> {
    /// The empty string.
    pub(super) const EMPTY: Self = Self { bytes: [0; N], len: 0 };

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// The bytes, to take something out.
    pub fn as_bytes_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.len).unwrap_or_default()
    }

    /// Copies the string at `address`, up to its zero; what does not fit is left away.
    pub(super) fn copy(&mut self, memory: &dyn PhysicalMemory, address: u64) -> Result<(), Unterminated> {
        *self = Self::EMPTY;
        // One by one: how long the string is shows only at its end, and behind that may be nothing.
        for offset in 0.. {
            let byte = address.checked_add(offset).and_then(|address| memory.read(address, 1));
            match byte.and_then(<[u8]>::first) {
                None => return Err(Unterminated),
                Some(0) => break,
                Some(&byte) => {
                    if !self.push(byte) {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Replaces the string by a part of `bytes`: up to the first zero, and as much as fits.
    pub(super) fn set(&mut self, bytes: &[u8]) {
        *self = Self::EMPTY;
        _ = bytes.iter().take_while(|&&byte| byte != 0).all(|&byte| self.push(byte));
    }

    /// Takes out each backslash that stands before a quotation mark, an apostrophe or a backslash.
    pub(super) fn unescape(&mut self) {
        let escaped = self.clone();
        self.len = 0;
        let mut bytes = escaped.as_bytes().iter().copied().peekable();
        while let Some(byte) = bytes.next() {
            let meant = match (byte, bytes.peek()) {
                (b'\\', Some(b'"' | b'\'' | b'\\')) => bytes.next().unwrap_or(byte),
                _ => byte,
            };
            self.push(meant);
        }
    }

    /// Adds a byte; false where there is no room.
    pub(super) fn push(&mut self, byte: u8) -> bool {
        match self.bytes.get_mut(self.len) {
            None => false,
            Some(slot) => {
                *slot = byte;
                self.len = self.len.saturating_add(1);
                true
            }
        }
    }

    /// Makes it empty.
    pub(super) fn clear(&mut self) {
        *self = Self::EMPTY;
    }

    /// Adds `bytes`, all or none; false where there is no room.
    pub(super) fn append(&mut self, bytes: &[u8]) -> bool {
        let room = N.saturating_sub(self.len);
        bytes.len() <= room && bytes.iter().all(|&byte| self.push(byte))
    }

    /// Keeps the first `len` bytes.
    pub(super) fn shorten(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}

/// As it is, but for control characters and what is not UTF-8, which are escaped.
impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.as_bytes().utf8_chunks() {
            for character in chunk.valid().chars() {
                if character.is_control() {
                    character.escape_default().fmt(f)?;
                } else {
                    f.write_char(character)?;
                }
            }
            chunk.invalid().escape_ascii().fmt(f)?;
        }
        Ok(())
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}
