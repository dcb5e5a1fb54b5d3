//! Why outputs fail.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::symbols;

/// Why the outputs can't be opened, or no longer be used.
#[derive(Debug)]
pub enum Error {
    /// Standard output was closed by its reader, and nothing else is written: an end, no failure.
    Closed,
    /// A file or directory.
    File(PathBuf, io::Error),
    /// No thread could be had for an output.
    Thread(String, io::Error),
    /// Another program or machine that records are sent to, and why they can't be.
    Sink(String, String),
    /// The ELF file, or the System.map.
    Symbols(PathBuf, symbols::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Closed => write!(f, "standard output was closed"),
            Error::File(path, error) => write!(f, "{}: {error}", path.display()),
            Error::Thread(name, error) => write!(f, "{name}: no thread for it: {error}"),
            Error::Sink(name, error) => write!(f, "{name}: {error}"),
            Error::Symbols(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}
