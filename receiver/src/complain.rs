//! What the program says of itself, on standard error.

use std::fmt;
use std::io::{self, Write};

/// Says something on standard error; without one there is nobody to tell.
pub fn complain(what: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{what}");
}
