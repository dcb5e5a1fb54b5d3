//! A target's name.

use crate::text::Text;
use core::fmt;

/// `cmdline0` and the like: 1 to 31 bytes, as long as a directory of the tree may be called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TargetName(Text<{ Self::MAX }>);

impl TargetName {
    /// The longest name in bytes.
    pub const MAX: usize = 31;

    /// The name, or `None` where it is empty or too long.
    pub fn new(name: &str) -> Option<Self> {
        (1..=Self::MAX).contains(&name.len()).then(|| Self(Text::of_bytes(name.as_bytes())))
    }

    /// The name of the command line's target `number`: `cmdline0`, …
    pub fn of_command_line(number: u8) -> Self {
        Self(Text::of(format_args!("cmdline{number}")))
    }

    /// The name's text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for TargetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
