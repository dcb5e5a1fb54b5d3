//! The ELF core header that a crashing Linux hands on (`elfcorehdr=`): notes, and where its memory is mapped.

use crate::memory::{self, Memory, Run, Unreadable, field};
use crate::note::{Note, notes};
use core::cell::Cell;
use core::ops::Range;

/// An ELF-64 header's length, and a program header's.
const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
/// Types of program headers.
const PT_LOAD: u64 = 1;
const PT_NOTE: u64 = 4;
/// The longest segment of notes that is read, in bytes.
const MAX_NOTES: u64 = 64 << 20;

/// A stretch of memory and where the dead kernel had it mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    physical: u64,
    r#virtual: u64,
    len: u64,
}

impl Load {
    /// What lies from a virtual address in it on.
    fn translate(&self, address: u64) -> Option<Run> {
        let offset = address.checked_sub(self.r#virtual)?;
        let len = self.len.checked_sub(offset).filter(|&len| len > 0)?;
        Some(Run { physical: self.physical.checked_add(offset)?, len })
    }
}

/// The header, which is read again wherever something is looked up in it.
#[derive(Clone, Debug)]
pub(crate) struct CoreHeader {
    /// Where it begins, and the program headers do, physical.
    at: u64,
    table: u64,
    count: u64,
    /// The one that was right last.
    last: Cell<Option<Load>>,
}

impl CoreHeader {
    /// The header at this physical address; `None` where there is no ELF-64 core header.
    pub fn read(memory: &impl Memory, at: u64) -> Result<Option<Self>, Unreadable> {
        let header = memory::bytes::<HEADER>(memory, at)?;
        // 64 bits, little-endian, version 1; then after the padding ET_CORE, for x86-64.
        let is_core = header.starts_with(b"\x7fELF\x02\x01\x01")
            && field(&header, 16, 2) == Some(4)
            && field(&header, 18, 2) == Some(62)
            && field(&header, 54, 2) == Some(PROGRAM_HEADER as u64);
        let table = field(&header, 32, 8).and_then(|offset| at.checked_add(offset));
        Ok(match (is_core, table, field(&header, 56, 2)) {
            (true, Some(table), Some(count)) => Some(Self { at, table, count, last: Cell::new(None) }),
            _ => None,
        })
    }

    /// The program headers that can be read: type, offset or physical address of its content, and the rest.
    fn segments<M: Memory>(&self, memory: &M) -> impl Iterator<Item = Segment> {
        let table = self.table;
        (0..self.count).filter_map(move |number| Segment::read(memory, table, number))
    }

    /// The physical addresses of the header itself.
    pub fn own(&self) -> Range<u64> {
        let end = self.count.saturating_mul(PROGRAM_HEADER as u64).saturating_add(self.table);
        self.at..end
    }

    /// All notes.
    pub fn notes<M: Memory>(&self, memory: &M) -> impl Iterator<Item = Note> {
        self.note_segments(memory).flatten()
    }

    /// The notes of each segment that is for them. The offset of such a segment is a physical address.
    pub fn note_segments<M: Memory>(&self, memory: &M) -> impl Iterator<Item = impl Iterator<Item = Note>> {
        let segments = self.segments(memory).filter(|segment| segment.kind == PT_NOTE);
        segments.map(move |segment| notes(memory, segment.offset, segment.file_len.min(MAX_NOTES)))
    }

    /// The physical memory that the dead kernel had.
    pub fn regions<'m, M: Memory>(&self, memory: &'m M) -> Regions<'m, M> {
        Regions { memory, header: self.clone(), number: 0 }
    }

    /// What lies from an address in the dead kernel's direct map on.
    pub fn translate(&self, memory: &impl Memory, address: u64) -> Option<Run> {
        if let Some(run) = self.last.get().and_then(|load| load.translate(address)) {
            return Some(run);
        }
        let mut loads = self.segments(memory).filter(|segment| segment.kind == PT_LOAD);
        let load = loads.find(|segment| segment.load.translate(address).is_some())?.load;
        self.last.set(Some(load));
        load.translate(address)
    }
}

/// What a program header says.
struct Segment {
    kind: u64,
    offset: u64,
    file_len: u64,
    load: Load,
}

impl Segment {
    fn read(memory: &impl Memory, table: u64, number: u64) -> Option<Self> {
        let at = table.checked_add(number.checked_mul(PROGRAM_HEADER as u64)?)?;
        let header = memory::bytes::<PROGRAM_HEADER>(memory, at).ok()?;
        Some(Self {
            kind: field(&header, 0, 4)?,
            offset: field(&header, 8, 8)?,
            load: Load {
                r#virtual: field(&header, 16, 8)?,
                physical: field(&header, 24, 8)?,
                len: field(&header, 40, 8)?,
            },
            file_len: field(&header, 32, 8)?,
        })
    }
}

/// The physical memory that a dead kernel had, stretch by stretch, as [`regions`](crate::regions) gives it.
pub struct Regions<'m, M> {
    memory: &'m M,
    header: CoreHeader,
    number: u64,
}

impl<M> Regions<'_, M> {
    /// Where the core header itself lies: not in the dead kernel's memory, but in its crash kernel's.
    pub fn core_header(&self) -> Range<u64> {
        self.header.own()
    }
}

impl<M: Memory> Iterator for Regions<'_, M> {
    type Item = Range<u64>;

    fn next(&mut self) -> Option<Range<u64>> {
        while self.number < self.header.count {
            let segment = Segment::read(self.memory, self.header.table, self.number);
            self.number = self.number.saturating_add(1);
            if let Some(Segment { kind: PT_LOAD, load, .. }) = segment {
                return Some(load.physical..load.physical.saturating_add(load.len));
            }
        }
        None
    }
}
