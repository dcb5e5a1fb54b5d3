//! How often the panic path was started, and what every start must know of the first.

use crate::log::ring;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use netconsole::last_words::Report;

/// How often the path has been entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    First,
    Second,
    Third,
    /// Only the fixed frame.
    Fourth,
}

static ENTRIES: AtomicU32 = AtomicU32::new(0);
/// The sequence number of the report's first record, plus 1; 0 before there is one.
static REPORT: AtomicU64 = AtomicU64::new(0);

impl Depth {
    /// How deep the start under way is.
    pub fn now() -> Self {
        match ENTRIES.load(Ordering::Relaxed) {
            0 | 1 => Self::First,
            2 => Self::Second,
            3 => Self::Third,
            _ => Self::Fourth,
        }
    }
}

/// Counts a start; how many were before.
pub fn count() -> u32 {
    ENTRIES.fetch_add(1, Ordering::Relaxed)
}

/// Keeps where the report begins: at the log's end, the first time.
pub fn mark_report() {
    if REPORT.load(Ordering::Relaxed) == 0 {
        REPORT.store(ring().end().wrapping_add(1), Ordering::Relaxed);
    }
}

/// The report, and which start of the path sends it.
pub fn report() -> Report {
    Report {
        first: REPORT.load(Ordering::Relaxed).saturating_sub(1),
        start: u8::try_from(ENTRIES.load(Ordering::Relaxed)).unwrap_or(u8::MAX),
    }
}
