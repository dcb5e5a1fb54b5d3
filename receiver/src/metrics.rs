//! All counts of a run, in Prometheus' text format.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::time::Duration;

use compact_str::CompactString;

use crate::escape::harmless;
use crate::queue::Waiting;
use crate::report::Kind;
use crate::sealed::Refusal;
use crate::stats::Stats;

/// What the format is called in HTTP.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A moment's counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Of the senders.
    pub senders: Senders,
    /// Datagrams that this host dropped, as a socket's buffer was full.
    pub dropped: u64,
    /// Datagrams that were refused, where there is a key.
    pub refused: BTreeMap<Refusal, u64>,
    /// Reports that began, by what they were about at first.
    pub reports: BTreeMap<Kind, u64>,
    /// Of each output.
    pub outputs: Vec<Output>,
}

/// Counts of all senders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Senders {
    /// Of all that were ever heard in this run.
    pub sum: Stats,
    /// How many are known.
    pub known: usize,
    /// Of these, how many have been silent for the time that `--silent-after` says.
    pub silent: usize,
    /// The first of them, in the order in which they were first heard, so that the same ones are listed each time.
    pub listed: Vec<Sender>,
}

/// Counts of one sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Its name.
    pub name: CompactString,
    /// Its counts.
    pub stats: Stats,
    /// When it was last heard, since the Unix epoch.
    pub heard_at: Duration,
}

/// Counts of one output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// Records written.
    pub written: u64,
    /// Records lost there.
    pub lost: u64,
    /// What waits for it.
    pub waiting: Waiting,
}

/// A count of a sender: what it is called, what it is, and where it is found.
type Count = (&'static str, &'static str, fn(&Stats) -> u64);

const COUNTS: [Count; 13] = [
    ("datagrams", "Datagrams received.", |stats| stats.datagrams),
    ("records", "Records given out.", |stats| stats.records),
    ("gaps", "Gaps given up.", |stats| stats.gaps),
    ("missing_records", "Records in gaps that were given up.", |stats| stats.missing),
    ("skipped_numbers", "Numbers that did not come: held back by the sender's level, or lost.", |stats| {
        stats.skipped
    }),
    ("held_back_records", "Records that the senders' levels held back.", |stats| stats.held),
    ("incomplete_records", "Records given out with a part missing.", |stats| stats.incomplete),
    ("recovered_records", "Records that came after they had been asked for.", |stats| stats.recovered),
    ("late_records", "Records that came after they had been given up.", |stats| stats.late),
    ("duplicate_datagrams", "Datagrams that had come before.", |stats| stats.duplicates),
    ("stray_records", "Records that continue nothing.", |stats| stats.strays),
    ("reboots", "Reboots noticed.", |stats| stats.reboots),
    ("answers", "Requests and acknowledgements sent.", |stats| stats.answers),
];

/// Those that each sender has a series for.
const BY_SENDER: usize = 4;

impl Metrics {
    /// As text.
    pub fn text(&self) -> String {
        let mut page = Page::default();
        let Metrics { senders, dropped, refused, reports, outputs } = self;
        page.family("build_info", "gauge", "The program, by version.");
        page.value("build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        for (name, help, count) in COUNTS {
            page.counter(&format!("{name}_total"), help, count(&senders.sum));
        }
        page.counter(
            "kernel_dropped_datagrams_total",
            "Datagrams dropped by this host: a socket's buffer was full.",
            *dropped,
        );
        page.family("refused_datagrams_total", "counter", "Datagrams refused, where there is a key, by why.");
        for (refusal, count) in refused {
            page.value("refused_datagrams_total", &[("reason", &refusal.to_string())], count);
        }
        page.family(
            "crash_reports_total",
            "counter",
            "Reports of crashes and other faults that began, by kind.",
        );
        for kind in Kind::ALL {
            let count = reports.get(&kind).copied().unwrap_or_default();
            page.value("crash_reports_total", &[("kind", &kind.to_string())], count);
        }
        page.gauge("senders", "Senders known.", senders.known);
        page.gauge(
            "silent_senders",
            "Senders from which nothing has come for --silent-after.",
            senders.silent,
        );
        let unlisted = senders.known.saturating_sub(senders.listed.len());
        page.gauge("unlisted_senders", "Senders that have no series of their own below.", unlisted);
        page.of_outputs(outputs);
        for (name, help, count) in COUNTS.iter().take(BY_SENDER) {
            let name = format!("sender_{name}_total");
            page.family(&name, "counter", help);
            for sender in &senders.listed {
                page.value(&name, &[("sender", &sender.name)], count(&sender.stats));
            }
        }
        page.family("sender_last_heard_seconds", "gauge", "When something last came, since the Unix epoch.");
        for sender in &senders.listed {
            let at = format!("{:.3}", sender.heard_at.as_secs_f64());
            page.value("sender_last_heard_seconds", &[("sender", &sender.name)], at);
        }
        page.0
    }
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String does not fail, here and below.
        let _ = writeln!(self.0, "# HELP netconsole_{name} {help}\n# TYPE netconsole_{name} {kind}");
    }

    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.0, "netconsole_{name}");
        for (index, (label, text)) in labels.iter().enumerate() {
            let _ = write!(self.0, "{}{label}=\"{}\"", if index == 0 { '{' } else { ',' }, quoted(text));
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "counter", help);
        self.value(name, &[], value);
    }

    fn gauge(&mut self, name: &str, help: &str, value: usize) {
        self.family(name, "gauge", help);
        self.value(name, &[], value);
    }

    fn of_outputs(&mut self, outputs: &[Output]) {
        type Figure = (&'static str, &'static str, &'static str, fn(&Output) -> u64);
        let figures: [Figure; 4] = [
            ("output_records_total", "counter", "Records written by an output.", |output| output.written),
            ("output_lost_records_total", "counter", "Records that an output lost.", |output| output.lost),
            ("output_queue_records", "gauge", "Records that wait for an output.", |output| {
                output.waiting.records
            }),
            ("output_queue_bytes", "gauge", "Bytes that wait for an output.", |output| {
                output.waiting.bytes as u64
            }),
        ];
        for (name, kind, help, figure) in figures {
            self.family(name, kind, help);
            for output in outputs {
                self.value(name, &[("output", &output.name)], figure(output));
            }
        }
    }
}

/// A label's value: a sender may have named itself.
fn quoted(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    harmless(&mut bytes, text);
    String::from_utf8_lossy(&bytes).replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_within_its_label() {
        let stats = Stats { datagrams: 3, records: 2, gaps: 1, missing: 7, ..Stats::default() };
        let name = CompactString::from("a\"} 1\nnetconsole_records_total 9 \\");
        let sender = Sender { name, stats, heard_at: Duration::from_millis(1_500) };
        let senders = Senders { sum: stats, known: 3, silent: 2, listed: vec![sender] };
        let output = Output {
            name: "standard output".to_owned(),
            written: 5,
            lost: 4,
            waiting: Waiting { bytes: 66, records: 1 },
        };
        let reports = BTreeMap::from([(Kind::Panic, 1)]);
        let text =
            Metrics { senders, dropped: 8, refused: BTreeMap::new(), reports, outputs: vec![output] }.text();
        let lines: Vec<&str> = text.lines().collect();
        for line in [
            "netconsole_records_total 2",
            "netconsole_kernel_dropped_datagrams_total 8",
            "netconsole_crash_reports_total{kind=\"panic\"} 1",
            "netconsole_crash_reports_total{kind=\"oops\"} 0",
            "netconsole_silent_senders 2",
            "netconsole_unlisted_senders 2",
            "netconsole_output_lost_records_total{output=\"standard output\"} 4",
            "netconsole_output_queue_bytes{output=\"standard output\"} 66",
            "netconsole_sender_missing_records_total{sender=\"a\\\"} 1\\\\x0anetconsole_records_total 9 \\\\\"} 7",
            "netconsole_sender_last_heard_seconds{sender=\"a\\\"} 1\\\\x0anetconsole_records_total 9 \\\\\"} 1.500",
        ] {
            assert!(lines.contains(&line), "{line} in\n{text}");
        }
        assert_eq!(lines.iter().filter(|line| line.starts_with("netconsole_records_total ")).count(), 1);
        // Every value has its family, and no family comes twice.
        let types: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let names: Vec<&str> = types.iter().filter_map(|line| line.split(' ').next()).collect();
        let mut once = names.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), names.len());
        let values = lines.iter().filter(|line| !line.starts_with('#'));
        assert!(
            values
                .map(|line| line.split(['{', ' ']).next())
                .all(|name| names.contains(&name.expect("a name")))
        );
    }
}
