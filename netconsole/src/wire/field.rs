//! Header fields, read and written by offset, without an index that can panic.

/// The `N` bytes at `offset`; `None` where the bytes end before.
pub(super) fn read<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

/// The big-endian 16-bit number at `offset`.
pub(super) fn read_u16(bytes: &[u8], offset: usize) -> Option<u16> {
    read(bytes, offset).map(u16::from_be_bytes)
}

/// Puts `value` at `offset`; `None`, and nothing is written, where it does not fit.
pub(super) fn write<const N: usize>(bytes: &mut [u8], offset: usize, value: [u8; N]) -> Option<()> {
    *bytes.get_mut(offset..)?.first_chunk_mut()? = value;
    Some(())
}
