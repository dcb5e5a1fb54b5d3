//! The counters of targets and consoles, in the log once a minute where they changed.

use super::consoles::Consoles;
use crate::settings::MAX_TARGETS;
use crate::targets::table::TargetTable;

/// From one report to the next, in µs.
const INTERVAL: u64 = 60_000_000;

/// What was reported last.
pub struct Statistics {
    due: u64,
    /// How many records each target had seen.
    seen: [u64; MAX_TARGETS],
    /// How many lines the last report had: they are no change.
    lines: u64,
    input: u64,
}

impl Statistics {
    /// Nothing was reported yet.
    pub const fn new() -> Self {
        Self { due: INTERVAL, seen: [0; MAX_TARGETS], lines: 0, input: 0 }
    }

    /// Reports what changed, where it is time to.
    pub fn poll(&mut self, targets: &TargetTable, consoles: &Consoles, now: u64) {
        if now < self.due {
            return;
        }
        self.due = now.saturating_add(INTERVAL);
        let own = core::mem::take(&mut self.lines);
        for (number, target) in targets.numbered() {
            let Some(seen) = self.seen.get_mut(number) else { continue };
            let counters = target.counters();
            let all = counters.records.saturating_add(counters.filtered).saturating_add(counters.lost);
            if all.saturating_sub(core::mem::replace(seen, all)) > own {
                log::debug!("netconsole: {}: {counters}; ncrx: {}", target.name(), target.ncrx_counters());
                self.lines = self.lines.saturating_add(1);
            }
        }
        #[cfg(feature = "console")]
        if let Some(counters) = consoles.counters() {
            let all = counters.accepted.saturating_add(counters.foreign).saturating_add(counters.limited);
            if core::mem::replace(&mut self.input, all) != all {
                log::debug!("netconsole: input: {counters}");
                self.lines = self.lines.saturating_add(1);
            }
        }
    }
}
