//! How the loader's structures are read.

/// Physical memory, as far as it may be read.
pub trait PhysicalMemory {
    /// The `len` bytes at `address`; `None` unless all of them are readable memory that nothing
    /// changes while the slice lives.
    fn read(&self, address: u64, len: usize) -> Option<&[u8]>;
}

/// A structure's bytes, with its little-endian fields by offset.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    /// The `len` bytes at `address`.
    pub fn read(memory: &'a dyn PhysicalMemory, address: u64, len: usize) -> Option<Self> {
        // A memory that answers with another length is as good as none.
        memory.read(address, len).filter(|bytes| bytes.len() == len).map(Self)
    }

    fn array<const N: usize>(self, offset: usize) -> Option<[u8; N]> {
        self.0.get(offset..)?.first_chunk().copied()
    }

    pub fn u8(self, offset: usize) -> Option<u8> {
        self.array(offset).map(u8::from_le_bytes)
    }

    pub fn u16(self, offset: usize) -> Option<u16> {
        self.array(offset).map(u16::from_le_bytes)
    }

    pub fn u32(self, offset: usize) -> Option<u32> {
        self.array(offset).map(u32::from_le_bytes)
    }

    pub fn u64(self, offset: usize) -> Option<u64> {
        self.array(offset).map(u64::from_le_bytes)
    }
}
