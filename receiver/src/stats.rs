//! Counts, per sender.

use std::fmt;

/// What happened with one sender's datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Datagrams received.
    pub datagrams: u64,
    /// Records given out.
    pub records: u64,
    /// Gaps given up.
    pub gaps: u64,
    /// Records in them.
    pub missing: u64,
    /// Numbers that did not come, of which nothing tells whether the sender's level held them back.
    pub skipped: u64,
    /// Records that the senders' levels held back, as they said.
    pub held: u64,
    /// Records given out with fragments missing.
    pub incomplete: u64,
    /// Records that came after they had been asked for.
    pub recovered: u64,
    /// Records that came after they had been given up.
    pub late: u64,
    /// Datagrams had before.
    pub duplicates: u64,
    /// Records that continue nothing, and that nothing continues.
    pub strays: u64,
    /// Reboots noticed.
    pub reboots: u64,
    /// Requests and acknowledgements sent.
    pub answers: u64,
}

impl Stats {
    /// Counts another's with it.
    pub fn add(&mut self, other: &Stats) {
        let mut other = *other;
        for (sum, count) in self.each().into_iter().zip(other.each()) {
            *sum = sum.saturating_add(*count);
        }
    }

    /// All counts.
    fn each(&mut self) -> [&mut u64; 13] {
        let Stats {
            datagrams,
            records,
            gaps,
            missing,
            skipped,
            held,
            incomplete,
            recovered,
            late,
            duplicates,
            strays,
            reboots,
            answers,
        } = self;
        [
            datagrams, records, gaps, missing, skipped, held, incomplete, recovered, late, duplicates,
            strays, reboots, answers,
        ]
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stats {
            datagrams,
            records,
            gaps,
            missing,
            skipped,
            held,
            incomplete,
            recovered,
            late,
            duplicates,
            strays,
            reboots,
            answers,
        } = self;
        write!(
            f,
            "{records} records, {missing} missing in {gaps} gaps, {skipped} skipped, {held} held back, {incomplete} incomplete, \
             {recovered} recovered, {late} late, {duplicates} duplicates, {strays} strays, {reboots} reboots; {datagrams} datagrams, {answers} answers"
        )
    }
}
