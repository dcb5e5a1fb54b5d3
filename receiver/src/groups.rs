//! How often each crash came, of whichever machine.

use std::collections::{HashMap, VecDeque};

use ahash::RandomState;

use crate::limits;
use crate::report::Report;

/// Counts reports by their id. Of very many different ones, those that came first are forgotten.
#[derive(Debug, Default)]
pub struct Groups {
    seen: HashMap<u64, u64, RandomState>,
    order: VecDeque<u64>,
}

impl Groups {
    /// Notes in a report how many of its group came before.
    pub fn count(&mut self, report: &mut Report) {
        if let Some(seen) = self.seen.get_mut(&report.id) {
            report.repeated = *seen;
            *seen = seen.saturating_add(1);
            return;
        }
        if self.order.len() >= limits::CRASH_GROUPS
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        self.seen.insert(report.id, 1);
        self.order.push_back(report.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Kind;
    use std::time::Duration;

    #[test]
    fn each_group_is_counted_alone() {
        let mut groups = Groups::default();
        let mut repeated = |id| {
            let (title, text, frames) = (String::new(), String::new(), Vec::new());
            let mut report = Report {
                kind: Kind::Oops,
                title,
                text,
                id,
                frames,
                repeated: 0,
                records: 1,
                at: Duration::ZERO,
            };
            groups.count(&mut report);
            report.repeated
        };
        assert_eq!([7, 7, 8, 7].map(&mut repeated), [0, 1, 0, 2]);
        (100..).take(limits::CRASH_GROUPS).for_each(|id| assert_eq!(repeated(id), 0));
        assert_eq!(repeated(7), 0);
    }
}
