//! Memory for a ring, in a static.

use super::{Ring, RingHeader};
use core::sync::atomic::AtomicU64;

/// The memory of a ring of 256 KiB, all zero at first. A kernel that wants its log to survive a reset puts it where neither
/// loader nor reset clears it (a section of its own).
pub struct RingMemory {
    header: RingHeader,
    index: [AtomicU64; Self::INDEX],
    data: [AtomicU64; Self::DATA],
}

impl RingMemory {
    const DATA: usize = (256 << 10) / size_of::<u64>();
    /// One word of index for eight of data.
    const INDEX: usize = Self::DATA / 8;

    /// Memory that was never used.
    #[expect(clippy::new_without_default, reason = "it is for statics, and too large to be moved")]
    pub const fn new() -> Self {
        Self {
            header: RingHeader::new(),
            index: [const { AtomicU64::new(0) }; _],
            data: [const { AtomicU64::new(0) }; _],
        }
    }

    /// The ring in it.
    pub const fn ring(&'static self) -> Ring<'static> {
        Ring::new(&self.header, &self.index, &self.data)
    }
}
