//! What ends a run, and with which exit status: `--until`, `--fail-on`, crash reports, `--timeout`, `--complete`.

use std::process::ExitCode;
use std::time::Duration;

use regex::Regex;

use crate::event::Event;
use crate::options::Options;
use crate::stats::Stats;

/// Wrong usage, or a file or socket failed.
pub const ERROR: u8 = 1;
const FAILED: u8 = 2;
const NOT_MATCHED: u8 = 3;
const INCOMPLETE: u8 = 4;
const UNANSWERED: u8 = 5;

/// After a failure the rest of the report is awaited: until nothing has come for the first time, at most for
/// the second.
const REPORT_SILENCE: Duration = Duration::from_millis(500);
const REPORT_MOST: Duration = Duration::from_secs(3);

/// Follows the records of all senders.
#[derive(Debug)]
pub struct Watch {
    until: Option<Regex>,
    fail_on: Option<Regex>,
    crash_fails: bool,
    complete: bool,
    deadline: Option<Duration>,
    matched: bool,
    failed_at: Option<Duration>,
    last_at: Duration,
    joined: bool,
}

impl Watch {
    /// Watches from `now` on.
    pub fn new(options: &Options, now: Duration) -> Self {
        let decides = options.until.is_some() || options.fail_on.is_some() || options.timeout.is_some();
        Watch {
            until: options.until.clone(),
            fail_on: options.fail_on.clone(),
            crash_fails: decides && !options.crash_ok,
            complete: options.complete,
            deadline: options.timeout.and_then(|timeout| now.checked_add(timeout)),
            matched: false,
            failed_at: None,
            last_at: now,
            joined: false,
        }
    }

    /// Looks at an event; what comes after the end is decided counts no more.
    pub fn event(&mut self, event: &Event, at: Duration) {
        if self.matched {
            return;
        }
        match event {
            Event::Record { record, .. } => {
                self.last_at = at;
                let matches =
                    |regex: &Option<Regex>| regex.as_ref().is_some_and(|regex| regex.is_match(&record.text));
                if matches(&self.fail_on) {
                    self.failed_at.get_or_insert(at);
                } else if self.failed_at.is_none() {
                    self.matched = matches(&self.until);
                }
            }
            Event::Crash if self.crash_fails => {
                self.failed_at.get_or_insert(at);
            }
            Event::Joined { .. } => self.joined = true,
            _ => {}
        }
    }

    /// Whether it is time to end.
    pub fn is_over(&self, now: Duration) -> bool {
        let reported = self.failed_at.is_some_and(|failed| {
            now.saturating_sub(self.last_at.max(failed)) >= REPORT_SILENCE
                || now.saturating_sub(failed) >= REPORT_MOST
        });
        self.matched || reported || self.deadline.is_some_and(|deadline| now >= deadline)
    }

    /// Whether `--until` has matched: nothing after it is of interest.
    pub fn is_matched(&self) -> bool {
        self.matched
    }

    /// The time left until [`Watch::is_over`] can change by itself.
    pub fn remaining(&self, now: Duration) -> Option<Duration> {
        let report = self.failed_at.map(|failed| self.last_at.max(failed) + REPORT_SILENCE);
        let next = [self.deadline, report].into_iter().flatten().min()?;
        Some(next.saturating_sub(now))
    }

    /// Whether a matching record or a time was given that ends the run.
    pub fn has_end(&self) -> bool {
        self.until.is_some() || self.deadline.is_some()
    }

    /// The exit status; `unanswered` lines of `--console` got no answer.
    pub fn status<'a>(&self, stats: impl IntoIterator<Item = &'a Stats>, unanswered: u64) -> ExitCode {
        let is_incomplete = |stats: &Stats| stats.missing > stats.late || stats.incomplete > 0;
        ExitCode::from(if self.failed_at.is_some() {
            FAILED
        } else if self.until.is_some() && !self.matched {
            NOT_MATCHED
        } else if self.complete && (self.joined || stats.into_iter().any(is_incomplete)) {
            INCOMPLETE
        } else if unanswered > 0 {
            UNANSWERED
        } else {
            0
        })
    }
}
