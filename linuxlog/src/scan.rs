//! Finding a dead kernel without anybody's help: after a reset that left memory as it was.

use crate::crash::{Crash, VMCOREINFO};
use crate::memory::{self, Memory, PAGE};
use crate::note::{HEADER, notes};
use core::ops::Range;

/// The page that a note begins begins so: the name's length; the name is behind a header of 12 bytes, with its zero.
const NAME_LEN: u32 = 11;
/// What a note's text begins with, at this offset in its page.
const TEXT_AT: u64 = 24;
const TEXT: &[u8; 10] = b"OSRELEASE=";

/// The crashes whose VMCOREINFO notes lie in memory; what [`scan`] gives.
pub struct Scan<'m, M> {
    memory: &'m M,
    pages: Range<u64>,
}

/// Looks for the notes of dead kernels in these physical addresses: Linux puts its note at the start of a page. Each
/// page costs a read of 4 bytes; what can't be read is passed over. An empty or half-written note is none.
pub fn scan<M: Memory>(memory: &M, addresses: Range<u64>) -> Scan<'_, M> {
    let pages = addresses.start.div_ceil(PAGE)..addresses.end / PAGE;
    Scan { memory, pages }
}

impl<'m, M: Memory> Iterator for Scan<'m, M> {
    type Item = Crash<'m, M>;

    fn next(&mut self) -> Option<Self::Item> {
        let memory = self.memory;
        self.pages.find_map(|page| {
            let at = page.checked_mul(PAGE)?;
            let name_len = memory::bytes(memory, at).ok().map(u32::from_le_bytes);
            if name_len != Some(NAME_LEN) {
                return None;
            }
            let text = memory::bytes(memory, at.checked_add(TEXT_AT)?).ok()?;
            let note = notes(memory, at, PAGE.saturating_add(HEADER)).next()?;
            if text != *TEXT || !note.is_called(VMCOREINFO) {
                return None;
            }
            Crash::of_note(memory, &note).ok()
        })
    }
}
