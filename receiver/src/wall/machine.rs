//! One machine: its state, its counts, and the last of its log.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clap::ValueEnum;
use memchr::memmem;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::limits;
use crate::report::Kind;

/// A kernel is up at this time since its boot at the latest, in µs.
const BOOTED: u64 = 60_000_000;
/// Seconds over which a rate is taken.
const RATE: u64 = 4;
/// Addresses that a machine's datagrams are looked for at.
const ADDRESSES: usize = 8;
/// Reports that are kept.
const REPORTS: usize = 4;
/// Bytes of lines with symbols that are kept for one report.
const SYMBOLS_BYTES: usize = 64 << 10;

/// How a machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It has started, and its user space has not.
    Booting,
    /// It was started again, and is not up yet.
    Rebooted,
    /// It says something now and then.
    Up,
    /// It has said nothing for long.
    Silent,
    /// It crashed, and was not started again.
    Crashed,
}

/// What is looked at in a line of JSON.
#[derive(Deserialize)]
pub struct Line<'l> {
    /// What it is.
    #[serde(borrow)]
    pub event: Cow<'l, str>,
    address: IpAddr,
    port: u16,
    kind: Option<Cow<'l, str>>,
    /// How many records it is about.
    pub count: Option<u64>,
    sequence: Option<u64>,
    timestamp_us: Option<u64>,
    facility: Option<u8>,
    text: Option<Cow<'l, str>>,
}

impl Line<'_> {
    /// Whether it shows that the machine is still on its way up.
    fn is_early(&self) -> bool {
        self.sequence == Some(0) || self.timestamp_us.is_some_and(|time| time < BOOTED)
    }

    /// Whether it shows that user space runs, or this kernel's network logging.
    fn is_up(&self) -> bool {
        let text = self.text.as_deref().unwrap_or_default();
        let says_so = text.starts_with("Run ") && text.contains(" as init process")
            || text.starts_with("systemd[1]: ")
            || text.contains("network logging started");
        says_so || self.facility.is_some_and(|facility| facility > 0) || !self.is_early()
    }
}

/// A report, and the lines of it whose addresses have names.
#[derive(Clone, Debug)]
pub struct Reported {
    report: Box<[u8]>,
    symbols: Vec<Box<[u8]>>,
}

impl Reported {
    fn bytes(&self) -> usize {
        self.symbols.iter().map(|line| line.len()).sum::<usize>().saturating_add(self.report.len())
    }

    /// As JSON.
    pub fn json(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(b"{\"report\":");
        to.extend_from_slice(&self.report);
        to.extend_from_slice(b",\"symbols\":[");
        list(to, self.symbols.iter().map(|line| &**line));
        to.extend_from_slice(b"]}");
    }
}

/// The items, with commas between them.
pub fn list<'l>(to: &mut Vec<u8>, items: impl Iterator<Item = &'l [u8]>) {
    for (index, item) in items.enumerate() {
        if index > 0 {
            to.push(b',');
        }
        to.extend_from_slice(item);
    }
}

/// What happened in a machine's log.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Counts {
    records: u64,
    gaps: u64,
    missing: u64,
    skipped: u64,
    reboots: u64,
    crashes: u64,
}

/// A machine.
#[derive(Debug)]
pub struct Machine {
    /// How it is.
    pub state: State,
    /// Since when, since the Unix epoch.
    pub since: Duration,
    /// When something last came.
    pub heard: Duration,
    /// The number of the board's change that was its last.
    pub changed: u64,
    /// Where it sends from, the newest last.
    pub addresses: VecDeque<SocketAddr>,
    /// The number of the first line that is kept.
    pub first: u64,
    lines: VecDeque<Box<[u8]>>,
    /// Of its lines and reports.
    pub bytes: usize,
    line_bytes: usize,
    counts: Counts,
    /// Reports that came so far.
    pub reported: u64,
    reports: VecDeque<Reported>,
    /// Lines with symbols, of a report that is not over.
    symbols: Vec<Box<[u8]>>,
    symbols_bytes: usize,
    /// Records in each of the last seconds, and which second the first is.
    seconds: [u32; RATE as usize],
    second: u64,
}

/// What a tile shows.
#[derive(Serialize)]
pub struct Tile<'m> {
    name: &'m str,
    state: State,
    since: u64,
    heard: u64,
    rate: f64,
    #[serde(flatten)]
    counts: Counts,
    address: Option<SocketAddr>,
    last: Option<&'m RawValue>,
}

impl Machine {
    /// One that was not heard before.
    pub fn new(now: Duration) -> Self {
        Machine {
            state: State::Up,
            since: now,
            heard: now,
            changed: 0,
            addresses: VecDeque::new(),
            first: 0,
            lines: VecDeque::new(),
            bytes: 0,
            line_bytes: 0,
            counts: Counts::default(),
            reported: 0,
            reports: VecDeque::new(),
            symbols: Vec::new(),
            symbols_bytes: 0,
            seconds: [0; RATE as usize],
            second: now.as_secs(),
        }
    }

    /// Takes a line, without its end.
    pub fn line(&mut self, line: &[u8], now: Duration) {
        let is_record = line.starts_with(b"{\"event\":\"record\"");
        let is_looked_at =
            !is_record || self.counts.records == 0 || matches!(self.state, State::Booting | State::Rebooted);
        if is_looked_at && let Ok(parsed) = serde_json::from_slice::<Line<'_>>(line) {
            self.look(&parsed, line, now);
        }
        if is_record {
            self.heard = now;
            self.counts.records = self.counts.records.saturating_add(1);
            self.turn(now);
            let [newest, ..] = &mut self.seconds;
            *newest = newest.saturating_add(1);
            if self.state == State::Silent {
                self.set(State::Up, now);
            }
            // A text with these words has its quotation marks escaped.
            let is_of_crash = memmem::find(line, b",\"crash\":true").is_some();
            if is_of_crash
                && memmem::find(line, b",\"symbols\":[").is_some()
                && self.symbols_bytes < SYMBOLS_BYTES
            {
                self.symbols_bytes = self.symbols_bytes.saturating_add(line.len());
                self.bytes = self.bytes.saturating_add(line.len());
                self.symbols.push(line.into());
            }
        }
        self.keep(line);
    }

    /// Notes where it sends from.
    pub fn speaks_from(&mut self, line: &[u8]) {
        let Ok(line) = serde_json::from_slice::<Line<'_>>(line) else { return };
        let address = SocketAddr::from((line.address, line.port));
        if self.addresses.back() != Some(&address) && line.event != "lost" {
            self.addresses.retain(|known| *known != address);
            if self.addresses.len() >= ADDRESSES {
                self.addresses.pop_front();
            }
            self.addresses.push_back(address);
        }
    }

    fn look(&mut self, line: &Line<'_>, raw: &[u8], now: Duration) {
        match &*line.event {
            "record" if self.counts.records == 0 && line.is_early() && self.state == State::Up => {
                self.set(State::Booting, now);
            }
            "record" if matches!(self.state, State::Booting | State::Rebooted) && line.is_up() => {
                self.set(State::Up, now);
            }
            "rebooted" => {
                self.counts.reboots = self.counts.reboots.saturating_add(1);
                self.set(State::Rebooted, now);
            }
            "crash" if line.kind.as_deref().is_some_and(is_crash) => {
                self.counts.crashes = self.counts.crashes.saturating_add(1);
                self.set(State::Crashed, now);
            }
            "report" => self.keep_report(raw),
            "missing" => {
                self.counts.gaps = self.counts.gaps.saturating_add(1);
                self.counts.missing = self.counts.missing.saturating_add(line.count.unwrap_or_default());
            }
            "skipped" => {
                self.counts.skipped = self.counts.skipped.saturating_add(line.count.unwrap_or_default())
            }
            _ => {}
        }
    }

    fn set(&mut self, state: State, now: Duration) {
        if self.state != state {
            (self.state, self.since) = (state, now);
        }
    }

    fn keep(&mut self, line: &[u8]) {
        self.lines.push_back(line.into());
        self.line_bytes = self.line_bytes.saturating_add(line.len());
        self.bytes = self.bytes.saturating_add(line.len());
        while self.lines.len() > limits::WALL_LINES || self.line_bytes > limits::WALL_MACHINE_BYTES {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.first = self.first.saturating_add(1);
            self.line_bytes = self.line_bytes.saturating_sub(oldest.len());
            self.bytes = self.bytes.saturating_sub(oldest.len());
        }
    }

    fn keep_report(&mut self, raw: &[u8]) {
        // They are the report's from here on.
        self.bytes = self.bytes.saturating_sub(std::mem::take(&mut self.symbols_bytes));
        let report = Reported { report: raw.into(), symbols: std::mem::take(&mut self.symbols) };
        self.bytes = self.bytes.saturating_add(report.bytes());
        self.reports.push_back(report);
        self.reported = self.reported.saturating_add(1);
        if self.reports.len() > REPORTS
            && let Some(oldest) = self.reports.pop_front()
        {
            self.bytes = self.bytes.saturating_sub(oldest.bytes());
        }
    }

    /// Lets go of its lines; its tile and the newest report stay.
    pub fn forget_lines(&mut self) {
        self.first = self.first.saturating_add(self.lines.len() as u64);
        self.lines = VecDeque::new();
        self.line_bytes = 0;
        self.reports.drain(..self.reports.len().saturating_sub(1));
        let reports: usize = self.reports.iter().map(Reported::bytes).sum();
        self.bytes = reports.saturating_add(self.symbols_bytes);
    }

    /// Lets go of all but its tile.
    pub fn forget_reports(&mut self) {
        self.forget_lines();
        self.reports.clear();
        (self.symbols, self.symbols_bytes, self.bytes) = (Vec::new(), 0, 0);
    }

    /// Time has passed; whether that changed something.
    pub fn tick(&mut self, now: Duration, silent_after: Duration) -> bool {
        let before = (self.state, self.rate(now.as_secs().saturating_sub(1)) > 0.0);
        if self.state != State::Crashed && now.saturating_sub(self.heard) >= silent_after {
            self.set(State::Silent, now);
        }
        before != (self.state, self.rate(now.as_secs()) > 0.0)
    }

    /// Brings the seconds up to now.
    fn turn(&mut self, now: Duration) {
        let past = now.as_secs().saturating_sub(self.second).min(RATE);
        for _ in 0..past {
            self.seconds.rotate_right(1);
            let [newest, ..] = &mut self.seconds;
            *newest = 0;
        }
        self.second = self.second.max(now.as_secs());
    }

    /// Records in a second, over the last few.
    fn rate(&self, second: u64) -> f64 {
        let past = usize::try_from(second.saturating_sub(self.second)).unwrap_or(usize::MAX);
        let counted = self.seconds.len().saturating_sub(past);
        let sum: u64 = self.seconds.iter().take(counted).map(|&count| u64::from(count)).sum();
        sum as f64 / RATE as f64
    }

    /// What its tile shows.
    pub fn tile<'m>(&'m self, name: &'m str, now: Duration) -> Tile<'m> {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let last = self.lines.iter().rev().find(|line| line.starts_with(b"{\"event\":\"record\""));
        Tile {
            name,
            state: self.state,
            since: millis(self.since),
            heard: millis(self.heard),
            rate: self.rate(now.as_secs()),
            counts: self.counts,
            address: self.addresses.back().copied(),
            last: last.and_then(|line| serde_json::from_slice(line).ok()),
        }
    }

    /// Gaps in its log.
    pub fn gaps(&self) -> u64 {
        self.counts.gaps
    }

    /// The number behind its newest line.
    pub fn end(&self) -> u64 {
        self.first.saturating_add(self.lines.len() as u64)
    }

    /// The lines from this number on.
    pub fn lines(&self, from: u64) -> impl Iterator<Item = &[u8]> {
        let start = usize::try_from(from.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.lines.range(start.min(self.lines.len())..).map(|line| &**line)
    }

    /// The reports that are kept.
    pub fn reports(&self) -> impl Iterator<Item = &Reported> {
        self.reports.iter()
    }
}

fn is_crash(kind: &str) -> bool {
    Kind::from_str(kind, false).is_ok_and(Kind::is_crash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_silent_until_it_speaks() {
        let (second, after) = (Duration::from_secs(1), Duration::from_secs(60));
        let line =
            br#"{"event":"record","address":"10.0.0.1","port":6665,"sequence":9,"timestamp_us":90000000}"#;
        let mut machine = Machine::new(second);
        machine.line(line, second);
        machine.tick(second * 60, after);
        assert_eq!(machine.state, State::Up);
        machine.tick(second * 61, after);
        assert_eq!((machine.state, machine.since), (State::Silent, second * 61));
        machine.line(line, second * 70);
        assert_eq!((machine.state, machine.since), (State::Up, second * 70));
        machine.line(br#"{"event":"crash","address":"10.0.0.1","port":6665,"kind":"panic"}"#, second * 71);
        machine.tick(second * 600, after);
        assert_eq!(machine.state, State::Crashed, "that it says nothing more is no news");
    }
}
