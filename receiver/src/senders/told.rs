//! What several senders had waiting, in the order in which it came.

use std::time::Duration;

use crate::event::Heard;

/// What is told by several senders at once.
#[derive(Debug, Default)]
pub(super) struct Told {
    all: Vec<(Duration, Heard)>,
    one: Vec<Heard>,
}

impl Told {
    /// What one sender tells, in its own order. A record that waited for one that came later counts from then.
    pub(super) fn of_one(&mut self, tell: impl FnOnce(&mut Vec<Heard>)) {
        tell(&mut self.one);
        let mut last = Duration::ZERO;
        self.all.extend(self.one.drain(..).map(|heard| {
            last = last.max(heard.at);
            (last, heard)
        }));
    }

    /// All of it in the order of arrival; of what came at the same time, in that of the senders.
    pub(super) fn by_arrival(mut self, out: &mut Vec<Heard>) {
        self.all.sort_by_key(|(at, _)| *at);
        out.extend(self.all.into_iter().map(|(_, heard)| heard));
    }
}
