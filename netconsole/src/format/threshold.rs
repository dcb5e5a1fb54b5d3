//! Which records go to a target.

use super::LogRecord;

/// Which records go to a target; the others are held back. Another kernel's go as its log says; those that were logged with the target
/// [`ALWAYS`](crate::ring::ALWAYS) go out under any threshold, those of an earlier boot with another key under none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// Only records with a lower level number (`loglevel=`).
    pub limit: u8,
    /// Only records from this sequence number on: the crash report alone goes out (`netconsole.oops_only`).
    pub since: u64,
}

impl Threshold {
    /// All records with a lower level number than `limit`.
    pub const fn level(limit: u8) -> Self {
        Self { limit, since: 0 }
    }

    /// Whether a record goes out. Panic-safe.
    pub fn passes(&self, record: &impl LogRecord) -> bool {
        if let Some(goes) = record.past_goes() {
            return goes && record.may_leave();
        }
        let is_wanted = record.sequence() >= self.since && record.level().passes(self.limit);
        (is_wanted || record.goes_always()) && record.may_leave()
    }
}
