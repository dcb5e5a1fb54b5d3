//! Physical memory, as whoever uses this crate can read it.

use core::fmt;

/// The dead kernel's physical memory.
pub trait Memory {
    /// Copies the bytes from `address` on, a physical one, to all of `to`. Where that can't be read as a whole it is
    /// an error, and what is in `to` then means nothing.
    ///
    /// Any address may be asked for: an implementation must check it, and must not fault.
    fn read(&self, address: u64, to: &mut [u8]) -> Result<(), Unreadable>;

    /// Whether what it gives is decrypted, of memory that the dead kernel had encrypted with this bit of page tables' entries
    /// (`sme_mask`). A log in memory of which that is not so is refused.
    fn decrypts(&self, _mask: u64) -> bool {
        false
    }
}

/// Memory that can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Where, a physical address; a virtual one where no physical one was found for it.
    pub address: u64,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memory at {:#x} can't be read", self.address)
    }
}

impl core::error::Error for Unreadable {}

/// The size of a page.
pub(crate) const PAGE: u64 = 4096;

/// A stretch of physical memory that the dead kernel had mapped as one: where it begins, and how many bytes it has, at
/// least one.
pub(crate) struct Run {
    pub physical: u64,
    pub len: u64,
}

/// The bytes from `address` on.
pub(crate) fn bytes<const N: usize>(memory: &impl Memory, address: u64) -> Result<[u8; N], Unreadable> {
    let mut bytes = [0; N];
    memory.read(address, &mut bytes)?;
    Ok(bytes)
}

/// The little-endian word at `address`.
pub(crate) fn word(memory: &impl Memory, address: u64) -> Result<u64, Unreadable> {
    bytes(memory, address).map(u64::from_le_bytes)
}

/// The little-endian word at `offset` in `bytes`; `None` beyond their end.
pub(crate) fn word_in(bytes: &[u8], offset: usize) -> Option<u64> {
    bytes.get(offset..)?.first_chunk().copied().map(u64::from_le_bytes)
}

/// The little-endian number of 1 to 8 bytes at `offset` in `bytes`; `None` beyond their end.
pub(crate) fn field(bytes: &[u8], offset: usize, size: usize) -> Option<u64> {
    let field = bytes.get(offset..offset.checked_add(size)?)?;
    let mut word = [0; 8];
    word.get_mut(..size)?.copy_from_slice(field);
    Some(u64::from_le_bytes(word))
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn a_field_is_little_endian_and_bounded() {
        let bytes = [1, 2, 3, 4];
        assert_eq!(field(&bytes, 1, 2), Some(0x0302));
        assert_eq!(field(&bytes, 0, 4), Some(0x0403_0201));
        for (offset, size) in [(3, 2), (usize::MAX, 2), (0, 9)] {
            assert_eq!(field(&bytes, offset, size), None);
        }
    }
}
