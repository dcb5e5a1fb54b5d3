//! Who may read what is made.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;

/// What is made is for its owner to write, for its group to read.
pub const OF_A_FILE: u32 = 0o640;
/// A directory is for its owner to write, for its group to look into.
pub const OF_A_DIRECTORY: u32 = 0o750;

/// See [`OF_A_FILE`].
pub fn options_of_a_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).mode(OF_A_FILE);
    options
}
