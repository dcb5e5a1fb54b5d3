//! Who may read what is made.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;

/// What is made is for its owner to write, for its group to read.
pub fn options_of_a_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).mode(0o640);
    options
}
