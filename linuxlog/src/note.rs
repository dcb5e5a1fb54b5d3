//! ELF notes in physical memory (ELF specification, "Note Section"): a name, a type, and a descriptor.

use crate::memory::{self, Memory};

/// A note's header: the lengths of name and descriptor, and the type.
pub(crate) const HEADER: u64 = 12;
/// Names and descriptors begin at multiples of this.
const ALIGNMENT: u64 = 4;
/// The longest name that is looked at, in bytes: `VMCOREINFO` and its zero.
const MAX_NAME: usize = 11;
/// Notes of one segment, of which a kernel makes one for each CPU and one or two more.
const MAX_NOTES: usize = 16_384;

/// A note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// Its type.
    pub kind: u32,
    /// The name with its zero, cut where it is longer than any that matters.
    pub name: [u8; MAX_NAME],
    /// Where its descriptor begins, physical.
    pub at: u64,
    /// The descriptor's length in bytes.
    pub len: u64,
}

impl Note {
    /// Whether it has this name.
    pub fn is_called(&self, name: &[u8]) -> bool {
        self.name.strip_prefix(name).is_some_and(|rest| rest.iter().all(|&byte| byte == 0))
    }
}

/// The notes in the `len` bytes from `start` on. What follows one that is damaged, or the empty one that ends them,
/// is not read.
pub(crate) fn notes<M: Memory>(memory: &M, start: u64, len: u64) -> impl Iterator<Item = Note> {
    let end = start.saturating_add(len);
    let mut at = start;
    core::iter::from_fn(move || {
        let [a, b, c, d, e, f, g, h, kind @ ..] = memory::bytes::<12>(memory, at).ok()?;
        let name_len = u64::from(u32::from_le_bytes([a, b, c, d]));
        let len = u64::from(u32::from_le_bytes([e, f, g, h]));
        if name_len == 0 {
            return None;
        }
        let name_at = at.checked_add(HEADER)?;
        let descriptor = name_at.checked_add(name_len.next_multiple_of(ALIGNMENT))?;
        let next = descriptor.checked_add(len.next_multiple_of(ALIGNMENT))?;
        if next > end {
            return None;
        }
        let mut name = [0; MAX_NAME];
        let shown = usize::try_from(name_len).map_or(MAX_NAME, |len| len.min(MAX_NAME));
        memory.read(name_at, name.get_mut(..shown)?).ok()?;
        at = next;
        Some(Note { kind: u32::from_le_bytes(kind), name, at: descriptor, len })
    })
    .take(MAX_NOTES)
}
