//! A datagram under way.

use super::MAX_DATAGRAM;
use crate::log::Record;

/// Fills a buffer from its start; what does not fit is dropped.
pub(super) struct Output<'b> {
    buffer: &'b mut [u8],
    len: usize,
    is_full: bool,
}

impl<'b> Output<'b> {
    pub(super) fn new(buffer: &'b mut [u8]) -> Self {
        let room = buffer.len().min(MAX_DATAGRAM);
        Self { buffer: buffer.get_mut(..room).unwrap_or_default(), len: 0, is_full: false }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn written(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }

    /// How many bytes still fit.
    pub(super) fn room(&self) -> usize {
        self.buffer.len().saturating_sub(self.len)
    }

    /// Whether something was dropped since the last [`truncate`](Self::truncate).
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// Takes back what was written from `len` on.
    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        self.is_full = false;
    }

    /// Writes as much of `bytes` as fits.
    #[inline]
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        match self.place(bytes.len()) {
            Some(place) => place.copy_from_slice(bytes),
            None => self.fill_up(bytes),
        }
    }

    #[cold]
    fn fill_up(&mut self, bytes: &[u8]) {
        let room = self.room();
        if let (Some(place), Some(fitting)) = (self.place(room), bytes.get(..room)) {
            place.copy_from_slice(fitting);
        }
        self.is_full = true;
    }

    /// Writes one byte.
    pub(super) fn byte(&mut self, byte: u8) {
        if let Some(place) = self.place(1) {
            place.fill(byte);
        }
    }

    /// Writes a number in decimal.
    pub(super) fn decimal(&mut self, number: u64) {
        self.right_aligned(number, 1);
    }

    /// Writes a number in decimal, with blanks before it where it has less than `width` digits.
    pub(super) fn right_aligned(&mut self, number: u64, width: usize) {
        let digits = number.checked_ilog10().map_or(1, |log| log.saturating_add(1));
        let digits = usize::try_from(digits).unwrap_or(0);
        let Some(place) = self.place(digits.max(width)) else { return };
        let mut rest = number;
        // What is left modulo 10 fits a byte.
        for (index, byte) in place.iter_mut().rev().enumerate() {
            *byte = if index < digits { b'0' | (rest % 10) as u8 } else { b' ' };
            rest /= 10;
        }
    }

    /// Writes the last `WIDTH` digits of a number, zeros before it included.
    pub(super) fn digits<const WIDTH: usize>(&mut self, number: u32) {
        let mut digits = [0; WIDTH];
        let mut rest = number;
        for byte in digits.iter_mut().rev() {
            *byte = b'0' | (rest % 10) as u8; // less than 10, so nothing is lost
            rest /= 10;
        }
        self.bytes(&digits);
    }

    /// Copies as much of the record's text from `offset` on as fits, and returns it.
    pub(super) fn text(&mut self, record: &Record<'_>, offset: usize) -> &[u8] {
        let start = self.len;
        let count = record.copy_text(offset, self.buffer.get_mut(start..).unwrap_or_default());
        self.len = start.saturating_add(count).min(self.buffer.len());
        self.is_full |= offset.saturating_add(count) < record.len();
        self.buffer.get(start..self.len).unwrap_or_default()
    }

    /// The next `len` bytes of the buffer, which are all written afterwards; `None` where they don't fit.
    fn place(&mut self, len: usize) -> Option<&mut [u8]> {
        let end = self.len.checked_add(len).filter(|&end| end <= self.buffer.len());
        let Some(end) = end else {
            self.is_full = true;
            return None;
        };
        let place = self.buffer.get_mut(self.len..end)?;
        self.len = end;
        Some(place)
    }
}
