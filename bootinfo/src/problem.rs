//! What is wrong with the loader's structures, kept until the log is up.

use core::fmt;

/// Something wrong with what the loader says, and what is done instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The magic number belongs to no protocol.
    UnknownMagic,
    /// The information structure is not in readable memory, or its magic or size is wrong.
    NoInformation,
    /// The command line has no end where it is looked for, or ends where no memory is.
    CommandLineUnreadable,
    /// The command line is longer than what is kept of it.
    CommandLineTruncated,
    /// Behind what is kept of the command line there is a key, or what may be one, and it could not be kept.
    KeyUnreadable,
    /// The loader's name ends where no memory is.
    LoaderNameUnreadable,
    /// The loader gives no memory map.
    NoMemoryMap,
    /// An entry of the memory map has an impossible size or place.
    MemoryMapDamaged,
    /// There are more entries than are looked at, or more usable regions than are kept.
    MemoryMapTooLong,
    /// Nothing says how much memory there is.
    MemoryUnknown,
    /// A tag has an impossible size, or the last one is missing.
    TagDamaged,
}

impl Problem {
    pub(super) const ALL: [Self; 11] = [
        Self::UnknownMagic,
        Self::NoInformation,
        Self::CommandLineUnreadable,
        Self::CommandLineTruncated,
        Self::KeyUnreadable,
        Self::LoaderNameUnreadable,
        Self::NoMemoryMap,
        Self::MemoryMapDamaged,
        Self::MemoryMapTooLong,
        Self::MemoryUnknown,
        Self::TagDamaged,
    ];

    /// The level to log it with: where it has nothing sent, it is an error.
    pub const fn level(self) -> log::Level {
        match self {
            Self::CommandLineUnreadable | Self::KeyUnreadable => log::Level::Error,
            _ => log::Level::Warn,
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u8
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownMagic => "the loader follows no boot protocol known here: no command line",
            Self::NoInformation => "the loader's information can't be read: no command line",
            Self::CommandLineUnreadable => "the command line has no end: nothing is sent, as a key may be in what can't be read",
            Self::CommandLineTruncated => {
                "the command line is longer than 4096 bytes: ignored from the parameter on that is cut there, but for a \
                 key"
            }
            Self::KeyUnreadable => {
                "the command line has a key, or what may be one, too far behind its beginning: nothing is sent"
            }
            Self::LoaderNameUnreadable => "the loader's name has no end",
            Self::NoMemoryMap => "the loader gives no memory map: its memory size is used",
            Self::MemoryMapDamaged => "the loader's memory map is damaged: only what is whole is used",
            Self::MemoryMapTooLong => "the loader's memory map is too long: its end is not used",
            Self::MemoryUnknown => "the loader does not say how much memory there is: 8 MiB are assumed",
            Self::TagDamaged => "the loader's information is damaged: read up to there",
        })
    }
}

/// The problems that there are, each once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Problems(u16);

impl Problems {
    /// The problems.
    pub fn iter(self) -> impl Iterator<Item = Problem> {
        Problem::ALL.into_iter().filter(move |problem| self.0 & problem.bit() != 0)
    }

    pub(super) fn add(&mut self, problem: Problem) {
        self.0 |= problem.bit();
    }
}
