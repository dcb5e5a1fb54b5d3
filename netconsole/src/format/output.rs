//! A datagram under way.

use super::log::LogRecord;
use core::net::IpAddr;
use core::ops::Range;

/// The longest payload in bytes, as Linux's (`MAX_PRINT_CHUNK`): with all headers it fits any MTU that
/// IPv6 allows.
pub const MAX_DATAGRAM: usize = 1000;

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

    /// What is not written yet.
    pub(super) fn rest(&mut self) -> &mut [u8] {
        self.buffer.get_mut(self.len..).unwrap_or_default()
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
        match self.buffer.get_mut(self.len) {
            Some(place) => {
                *place = byte;
                self.len = self.len.wrapping_add(1); // an index is less than the greatest number
            }
            None => self.is_full = true,
        }
    }

    /// Writes a number in decimal.
    pub(super) fn decimal(&mut self, number: u64) {
        if number < END_OF_EIGHT.into() {
            let digits = eight_digits(number as u32); // it fits, as just compared
            let zeros = (digits.trailing_zeros() / 8).min(7);
            self.word((digits | ZEROS) >> zeros.wrapping_mul(8), 8_usize.wrapping_sub(zeros as usize));
        } else {
            const END: u64 = END_OF_EIGHT as u64;
            self.decimal(number / END);
            self.word(eight_digits((number % END) as u32) | ZEROS, 8);
        }
    }

    /// Writes who logged a record: `T` and a thread's number, or with the top bit set `C` and a CPU's.
    pub(super) fn caller(&mut self, caller: u32) {
        const CPU: u32 = 1 << 31;
        self.byte(if caller & CPU == 0 { b'T' } else { b'C' });
        self.decimal((caller & !CPU).into());
    }

    /// Writes the last `WIDTH` digits of a number, at most 8, zeros before it included.
    pub(super) fn digits<const WIDTH: usize>(&mut self, number: u32) {
        let digits = eight_digits(number % END_OF_EIGHT) | ZEROS;
        self.word(digits >> const { (8 - WIDTH) * 8 }, WIDTH);
    }

    /// Writes an address; an IPv6 one as RFC 5952 wants it, its longest run of zeros left out.
    pub(super) fn address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(ip) => {
                for (before, byte) in [b'\0', b'.', b'.', b'.'].into_iter().zip(ip.octets()) {
                    self.separator(before);
                    self.decimal(byte.into());
                }
            }
            IpAddr::V6(ip) => {
                let groups = ip.segments();
                let zeros = longest_zeros(&groups);
                for (place, group) in groups.into_iter().enumerate() {
                    if zeros.contains(&place) {
                        if place == zeros.start {
                            self.bytes(b"::");
                        }
                    } else {
                        self.separator(if place == 0 || place == zeros.end { b'\0' } else { b':' });
                        self.hexadecimal(group);
                    }
                }
            }
        }
    }

    /// Writes a separator, of which `\0` is none.
    fn separator(&mut self, byte: u8) {
        if byte != b'\0' {
            self.byte(byte);
        }
    }

    /// Writes a number in hexadecimal.
    fn hexadecimal(&mut self, number: u16) {
        let digits = [number >> 12, number >> 8 & 0xf, number >> 4 & 0xf, number & 0xf];
        let zeros = digits.iter().take_while(|&&digit| digit == 0).count().min(3);
        for &digit in digits.iter().skip(zeros) {
            let digit = digit as u8; // below 16
            self.byte(digit.wrapping_add(if digit < 10 { b'0' } else { b'a' - 10 }));
        }
    }

    /// Writes the first `len` bytes of a little-endian word.
    pub(super) fn word(&mut self, word: u64, len: usize) {
        let bytes = word.to_le_bytes();
        match self.buffer.get_mut(self.len..).and_then(|rest| rest.first_chunk_mut()) {
            // Whole, which is one store; the surplus is overwritten by what follows or never sent.
            Some(place) => {
                *place = bytes;
                self.len = self.len.wrapping_add(len); // at most 8
            }
            None => self.bytes(bytes.get(..len).unwrap_or_default()),
        }
    }

    /// Copies as much of the record's text from `offset` on as fits, and returns it.
    pub(super) fn text(&mut self, record: &impl LogRecord, offset: usize) -> &[u8] {
        let start = self.len;
        let count = record.copy_text(offset, self.rest());
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

/// The first of the longest runs of zeros in an IPv6 address; one alone is none (RFC 5952, section 4.2).
fn longest_zeros(groups: &[u16; 8]) -> Range<usize> {
    let mut longest = 0..0;
    let mut run = 0..0;
    for (place, &group) in groups.iter().enumerate() {
        let end = place.saturating_add(1);
        run = if group == 0 { run.start..end } else { end..end };
        if run.len() > longest.len().max(1) {
            longest = run.clone();
        }
    }
    longest
}

const END_OF_EIGHT: u32 = 100_000_000;

/// What makes eight digits characters.
pub(super) const ZEROS: u64 = 0x3030_3030_3030_3030;

/// The eight decimal digits of a number below 10^8, the first in the lowest byte. All are found at once:
/// halved by 10^4, each half by 100, each quarter by 10, with multiplications in place of divisions
/// that are exact for numbers so small.
#[inline(always)]
pub(super) const fn eight_digits(number: u32) -> u64 {
    let number = number as u64;
    let halves = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = (halves.wrapping_mul(10_486) >> 20) & 0x7f_0000_007f;
    let quarters = hundreds | (halves.wrapping_sub(hundreds.wrapping_mul(100)) << 16);
    let tens = (quarters.wrapping_mul(103) >> 10) & 0x000f_000f_000f_000f;
    tens | (quarters.wrapping_sub(tens.wrapping_mul(10)) << 8)
}

#[cfg(test)]
mod tests {
    use super::{ZEROS, eight_digits};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_digits_are_those_that_core_writes(number in 0u32..100_000_000) {
            let bytes = (eight_digits(number) | ZEROS).to_le_bytes();
            let expected = format!("{number:08}");
            prop_assert_eq!(bytes.as_slice(), expected.as_bytes());
        }
    }
}
