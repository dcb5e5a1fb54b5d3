//! Why the kernel died.

use crate::machine::exceptions::Frame;
use core::panic::{Location, PanicInfo};

/// Why the kernel died.
pub enum Cause<'a> {
    Panic { info: &'a PanicInfo<'a>, frame: Frame },
    Exception(&'a Frame),
}

impl Cause<'_> {
    pub fn frame(&self) -> &Frame {
        match self {
            Self::Panic { frame, .. } => frame,
            Self::Exception(frame) => frame,
        }
    }

    /// Where in the source it was, if that is known.
    pub fn location(&self) -> Option<&Location<'_>> {
        match self {
            Self::Panic { info, .. } => info.location(),
            Self::Exception(_) => None,
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Panic { .. } => "panic",
            Self::Exception(frame) => frame.name(),
        }
    }
}
