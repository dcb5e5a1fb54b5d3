//! One step of a command: what it writes, and how far it comes.

use crate::format;
use crate::text::Text;
use core::fmt::{self, Write};

/// What a step may write at most, in bytes: a datagram of the log.
pub(super) const CHUNK: usize = format::MAX_DATAGRAM;
/// What one step writes.
pub(super) type Chunk = Text<CHUNK>;

/// How far a step came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// There is more to do at once.
    More,
    /// There is more to do later.
    Waits,
    Done,
    /// It failed and said so.
    Failed,
}

/// Says why a command failed. It has, whether or not all of that fits.
pub(super) fn failed(problem: &mut dyn Write, error: impl fmt::Display) -> Result<Step, fmt::Error> {
    let _ = writeln!(problem, "{error}");
    Ok(Step::Failed)
}

/// Counts to the next, and gives the one before.
pub(super) fn next_of(next: &mut usize) -> usize {
    core::mem::replace(next, next.saturating_add(1))
}

/// Whether a command goes on.
pub(super) const fn step_if(more: bool) -> Step {
    if more { Step::More } else { Step::Done }
}
