//! A Linux that has crashed: its notes, and the way to its log.

use crate::backtrace::Backtrace;
use crate::core_header::{CoreHeader, Regions};
use crate::cpu::Cpu;
use crate::log::{Log, LogError};
use crate::memory::{Memory, Unreadable};
use crate::note::Note;
use crate::raw::RawText;
use crate::translation::Translation;
use crate::vmcoreinfo::VmCoreInfo;
use core::fmt;

/// The name of the note that tells of the kernel's structures.
pub(crate) const VMCOREINFO: &[u8] = b"VMCOREINFO";

/// Why nothing is known of the dead kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// There is no ELF-64 core header for x86-64 at the address.
    NoCoreHeader(u64),
    /// It has no VMCOREINFO note.
    NoVmCoreInfo,
    /// Memory that is needed can't be read.
    Unreadable(Unreadable),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCoreHeader(address) => {
                write!(f, "there is no ELF core header at {address:#x} (elfcorehdr=)")
            }
            Self::NoVmCoreInfo => f.write_str("the ELF core header has no VMCOREINFO note"),
            Self::Unreadable(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for OpenError {}

impl From<Unreadable> for OpenError {
    fn from(error: Unreadable) -> Self {
        Self::Unreadable(error)
    }
}

/// The physical memory that the dead kernel had, as the ELF core header at the physical address `core_header` says:
/// nothing else need be read but that header.
pub fn regions<M: Memory>(memory: &M, core_header: u64) -> Result<Regions<'_, M>, OpenError> {
    let core = CoreHeader::read(memory, core_header)?.ok_or(OpenError::NoCoreHeader(core_header))?;
    Ok(core.regions(memory))
}

/// A Linux that has crashed.
pub struct Crash<'m, M> {
    memory: &'m M,
    core: Option<CoreHeader>,
    info: VmCoreInfo,
    translation: Translation<'m, M>,
}

impl<'m, M: Memory> Crash<'m, M> {
    /// The crash that the ELF core header at the physical address `core_header` tells of: what `elfcorehdr=` on a
    /// crash kernel's command line says.
    pub fn open(memory: &'m M, core_header: u64) -> Result<Self, OpenError> {
        let core = CoreHeader::read(memory, core_header)?.ok_or(OpenError::NoCoreHeader(core_header))?;
        let note = core.notes(memory).find(|note| note.is_called(VMCOREINFO));
        Self::new(memory, Some(core), &note.ok_or(OpenError::NoVmCoreInfo)?)
    }

    /// The crash whose VMCOREINFO note is this one, where nothing else is known: found by [`scan`](crate::scan()).
    pub(crate) fn of_note(memory: &'m M, note: &Note) -> Result<Self, OpenError> {
        Self::new(memory, None, note)
    }

    fn new(memory: &'m M, core: Option<CoreHeader>, note: &Note) -> Result<Self, OpenError> {
        let info = VmCoreInfo::read(memory, note.at, note.len)?;
        let translation = Translation::new(memory, core.clone(), &info);
        Ok(Self { memory, core, info, translation })
    }

    /// What the kernel said of itself.
    pub fn info(&self) -> &VmCoreInfo {
        &self.info
    }

    /// Its log.
    pub fn log(&self) -> Result<Log<'_, M>, LogError> {
        Log::find(&self.translation, &self.info)
    }

    /// The text that lies where the log was, for where [`log`](Self::log) gives nothing; `None` where that can't be read,
    /// either.
    pub fn raw_text(&self) -> Option<RawText<'_, M>> {
        RawText::find(&self.translation, &self.info)
    }

    /// What its CPUs were doing, as far as they said it, in the order of their numbers: Linux makes a segment of notes for
    /// each CPU, the first one's first.
    pub fn cpus(&self) -> impl Iterator<Item = Cpu> {
        let segments = self.core.iter().flat_map(|core| core.note_segments(self.memory).enumerate());
        segments
            .filter_map(|(number, mut notes)| notes.find_map(|note| Cpu::read(self.memory, number, &note)))
    }

    /// What lies on the stack of a CPU and looks like return addresses, 2,048 at most.
    pub fn backtrace(&self, cpu: &Cpu) -> Backtrace<'_, M> {
        Backtrace::new(&self.translation, &self.info, &cpu.registers)
    }

    /// Copies what the dead kernel had at one of its virtual addresses: a stack, say.
    pub fn read(&self, address: u64, to: &mut [u8]) -> Result<(), Unreadable> {
        self.translation.read(address, to)
    }
}
