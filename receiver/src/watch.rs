//! What ends a run, and with which exit status: `--until`, `--fail-on`, crash reports, `--timeout`, `--complete`.

use std::fmt::Write as _;
use std::time::Duration;

use regex::Regex;

use crate::event::{Event, Format, Heard};
use crate::options::{FailOn, Options};
use crate::report::Kind;
use crate::stats::Stats;

/// Wrong usage, or a file or socket failed.
pub const ERROR: u8 = 1;
const FAILED: u8 = 2;
const NOT_MATCHED: u8 = 3;
const INCOMPLETE: u8 = 4;
const UNANSWERED: u8 = 5;

/// Senders that are named at the end.
const NAMED: usize = 5;

/// After a failure the rest of the report is awaited: until nothing has come for the first time, at most for
/// the second.
const REPORT_SILENCE: Duration = Duration::from_millis(500);
const REPORT_MOST: Duration = Duration::from_secs(3);

/// Follows the records of all senders.
#[derive(Debug)]
pub struct Watch {
    until: Option<Regex>,
    fail_on: Vec<Regex>,
    fail_on_kinds: Vec<Kind>,
    crash_fails: bool,
    complete: bool,
    skips_fail: bool,
    timeout: Option<Duration>,
    deadline: Option<Duration>,
    matched: bool,
    failed_at: Option<Duration>,
    /// Why.
    failure: String,
    last_at: Duration,
    /// The sender first heard in the middle of its log.
    joined: Option<String>,
    /// Datagrams that this host dropped.
    dropped: u64,
    /// Who sends records without numbers: of these nothing else tells what was dropped.
    unnumbered: Option<String>,
}

impl Watch {
    /// Watches from `now` on.
    pub fn new(options: &Options, now: Duration) -> Self {
        let decides = options.until.is_some() || !options.fail_on.is_empty() || options.timeout.is_some();
        Watch {
            until: options.until.clone(),
            fail_on: options.fail_on.iter().filter_map(FailOn::regex).cloned().collect(),
            fail_on_kinds: options.fail_on.iter().filter_map(FailOn::kind).collect(),
            crash_fails: decides && !options.crash_ok,
            complete: options.complete,
            skips_fail: !options.skips_ok,
            timeout: options.timeout,
            deadline: options.timeout.and_then(|timeout| now.checked_add(timeout)),
            matched: false,
            failed_at: None,
            failure: String::new(),
            last_at: now,
            joined: None,
            dropped: 0,
            unnumbered: None,
        }
    }

    /// Looks at an event; what comes after the end is decided counts no more.
    pub fn event(&mut self, heard: &Heard) {
        if self.matched {
            return;
        }
        let name = &heard.sender.name;
        match &heard.event {
            Event::Record { record, .. } => {
                self.last_at = heard.at;
                if record.format != Format::Extended && self.unnumbered.is_none() {
                    self.unnumbered = Some(name.to_string());
                }
                let matches = |regex: &Regex| regex.is_match(&record.text);
                if self.fail_on.iter().any(matches) {
                    self.fail(heard.at, format!("--fail-on matched a record of {name}"));
                } else if self.failed_at.is_none() {
                    self.matched = self.until.as_ref().is_some_and(matches);
                }
            }
            Event::Crash { kind } => self.reported(*kind, heard),
            // It may have become worse.
            Event::Report(report) => self.reported(report.kind, heard),
            Event::Joined { .. } => self.joined = Some(name.to_string()),
            Event::Dropped { count } => self.dropped = self.dropped.saturating_add(*count),
            _ => {}
        }
    }

    fn reported(&mut self, kind: Kind, heard: &Heard) {
        let name = &heard.sender.name;
        if self.fail_on_kinds.contains(&kind) {
            self.fail(heard.at, format!("--fail-on {kind}: a report came from {name}"));
        } else if self.crash_fails && kind.is_crash() {
            self.fail(heard.at, format!("a crash report came from {name}"));
        }
    }

    fn fail(&mut self, at: Duration, why: String) {
        if self.failed_at.is_none() {
            (self.failed_at, self.failure) = (Some(at), why);
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
    pub fn status<'a>(&self, stats: impl IntoIterator<Item = &'a Stats>, unanswered: u64) -> u8 {
        if self.failed_at.is_some() {
            FAILED
        } else if self.until.is_some() && !self.matched {
            NOT_MATCHED
        } else if self.complete
            && (self.joined.is_some()
                || self.has_dropped().is_some()
                || stats.into_iter().any(|stats| self.is_incomplete(stats)))
        {
            INCOMPLETE
        } else if unanswered > 0 {
            UNANSWERED
        } else {
            0
        }
    }

    /// How long was waited, to be put behind a sentence; nothing where `--timeout` was not what ended the run.
    pub fn within(&self, now: Duration) -> String {
        let timeout = self.timeout.filter(|_| self.deadline.is_some_and(|deadline| now >= deadline));
        timeout.map_or(String::new(), |timeout| format!(" within {} s", timeout.as_secs_f64()))
    }

    /// Why it is this status, in words; nothing where the status says it, or somebody else has.
    pub fn reason(&self, status: u8, senders: &[(String, Stats)], within: &str) -> Option<String> {
        match status {
            FAILED => Some(self.failure.clone()),
            NOT_MATCHED => {
                let until = self.until.as_ref().map_or("", Regex::as_str);
                let mut reason = format!("nothing matched '{until}'{within}");
                for (index, (name, stats)) in senders.iter().take(NAMED).enumerate() {
                    let separator = if index == 0 { ";" } else { "," };
                    // Writing to a String does not fail.
                    let _ = write!(reason, "{separator} {} records came from {name}", stats.records);
                }
                Some(reason)
            }
            INCOMPLETE => match senders.iter().find(|(_, stats)| self.is_incomplete(stats)) {
                Some((name, Stats { missing, skipped, incomplete, .. })) => {
                    let mut reason = format!(
                        "not complete: of {name} {missing} records are missing, {incomplete} are incomplete"
                    );
                    if *skipped > 0 && self.skips_fail {
                        // Writing to a String does not fail.
                        let _ = write!(
                            reason,
                            ", {skipped} numbers were skipped: held back by the sender's level, or lost (--skips-ok \
                             accepts that)"
                        );
                    }
                    Some(reason)
                }
                None => Some(match (&self.joined, self.has_dropped()) {
                    (None, Some(name)) => format!(
                        "not complete: this host dropped {} datagrams, and the records of {name} have no numbers",
                        self.dropped
                    ),
                    (joined, _) => {
                        let name = joined.as_deref().unwrap_or_default();
                        format!("not complete: {name} was first heard in the middle of its log")
                    }
                }),
            },
            _ => None,
        }
    }

    /// Of whom this host may have dropped records of which nothing else tells.
    fn has_dropped(&self) -> Option<&str> {
        self.unnumbered.as_deref().filter(|_| self.dropped > 0)
    }

    fn is_incomplete(&self, stats: &Stats) -> bool {
        let skipped = if self.skips_fail { stats.skipped } else { 0 };
        stats.missing.saturating_add(skipped) > stats.late || stats.incomplete > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use std::rc::Rc;

    use clap::Parser;

    use crate::event::{Identity, Record};

    /// What is numbered tells by itself what is missing; of the rest only the host's count does.
    #[test]
    fn what_the_host_dropped_of_records_without_numbers_is_not_complete() {
        let address = SocketAddr::from(([10, 0, 0, 1], 6665));
        let sender = Rc::new(Identity { address, name: "board7".into(), named: true });
        let options = Options::try_parse_from(["", "--complete"]).expect("options");
        let status = |format: Format, dropped: bool| {
            let mut watch = Watch::new(&options, Duration::ZERO);
            let record = Record::of(format, "text".to_owned());
            let record = Event::Record { record, crash: false, late: false, beside: false };
            let dropped = dropped.then_some(Event::Dropped { count: 3 });
            for event in [record].into_iter().chain(dropped) {
                watch.event(&Heard { sender: Rc::clone(&sender), at: Duration::ZERO, event });
            }
            let status = watch.status([&Stats::default()], 0);
            (status, watch.reason(status, &[], ""))
        };
        let why = "not complete: this host dropped 3 datagrams, and the records of board7 have no numbers";
        assert_eq!(status(Format::Basic, true), (INCOMPLETE, Some(why.to_owned())));
        assert_eq!([status(Format::Basic, false), status(Format::Extended, true)], [(0, None), (0, None)]);
    }
}
