//! Why there are no symbols.

use std::fmt;

use super::image;

/// Why there are no symbols.
#[derive(Debug)]
pub enum Error {
    /// The ELF file.
    Image(image::Error),
    /// The directory has none.
    Empty,
    /// The System.map.
    Map(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Image(error) => error.fmt(f),
            Error::Empty => f.write_str(
                "no vmlinux is below it, and nothing by build id: .build-id/ab/cdef….debug, or debuginfod's abcdef…/debuginfo",
            ),
            Error::Map(error) => f.write_str(error),
        }
    }
}
