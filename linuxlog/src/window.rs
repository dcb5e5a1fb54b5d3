//! The dead kernel's memory a byte at a time, read in pieces.

use crate::memory::Memory;
use crate::translation::Translation;

/// Bytes of a piece; pieces begin at multiples of it, so that none goes across pages.
const LEN: u64 = 256;

/// The piece that was read last.
pub(crate) struct Window<'t, M> {
    translation: &'t Translation<'t, M>,
    start: Option<u64>,
    /// It could be read: where not, it is not tried again for its other bytes, each of which may be a machine check.
    is_readable: bool,
    bytes: [u8; LEN as usize],
}

impl<'t, M: Memory> Window<'t, M> {
    pub const fn new(translation: &'t Translation<'t, M>) -> Self {
        Self { translation, start: None, is_readable: false, bytes: [0; LEN as usize] }
    }

    /// The byte at a virtual address; `None` where it can't be read.
    pub fn byte(&mut self, address: u64) -> Option<u8> {
        let within = address % LEN;
        let start = Some(address ^ within);
        if self.start != start {
            self.is_readable = self.translation.read(address ^ within, &mut self.bytes).is_ok();
            self.start = start;
        }
        self.bytes.get(usize::try_from(within).ok()?).copied().filter(|_| self.is_readable)
    }

    /// The little-endian number of `size` bytes, 8 at most.
    pub fn number(&mut self, address: u64, size: u64) -> Option<u64> {
        let mut number = 0;
        for offset in (0..size).rev() {
            number = number << 8 | u64::from(self.byte(address.checked_add(offset)?)?);
        }
        Some(number)
    }
}
