//! Events as lines for a person. What is not the sender's own words begins with `…`.

use std::io::Write;
use std::time::Duration;

use anstyle::{AnsiColor, Color, Effects, Style as Ansi};
use memchr::memchr;

use crate::escape::{harmless, is_plain};
use crate::event::{Continues, Event, Heard, Origin, Record};
use crate::options::Time;
use crate::symbols::Translation;

use super::notice;
use super::times::{Times, digits};

/// What is shown, and how.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Colours by level.
    pub color: bool,
    /// When it was received, before each line.
    pub time: Time,
    /// The sender's name before each line.
    pub prefix: bool,
    /// Fields under each record.
    pub fields: bool,
}

const NAME: Ansi = AnsiColor::Cyan.on_default();
const TIME: Ansi = AnsiColor::Green.on_default();
const NOTICE: Ansi = AnsiColor::Magenta.on_default();
const CRASH: Ansi =
    AnsiColor::BrightWhite.on_default().bg_color(Some(Color::Ansi(AnsiColor::Red))).effects(Effects::BOLD);
const DIM: Ansi = Ansi::new().effects(Effects::DIMMED);

/// Writes an event.
pub fn write(
    to: &mut Vec<u8>,
    style: Style,
    times: &mut Times,
    at: Duration,
    heard: &Heard,
    translation: &Translation,
) {
    let mut lines = Lines { to, style, times, at, name: &heard.sender.name };
    match &heard.event {
        Event::Record { record, crash, late, beside } => {
            if *late {
                lines.line(NOTICE, Stamp::None, "… this record came late");
            }
            if *beside {
                lines.line(
                    NOTICE,
                    Stamp::None,
                    "… this record does not continue the log: another boot, or a stray",
                );
            }
            match record.continues {
                Continues::Record { timestamp: Some(micros), .. } => {
                    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
                    lines.line(
                        NOTICE,
                        Stamp::None,
                        &format!("… this record continues that of [{seconds:5}.{micros:06}]"),
                    );
                }
                Continues::Record { sequence, .. } => {
                    lines.line(NOTICE, Stamp::None, &format!("… this record continues record {sequence}"));
                }
                Continues::Unknown => {
                    lines.line(NOTICE, Stamp::None, "… this record continues an earlier one")
                }
                Continues::Nothing => {}
            }
            lines.record(record, *crash);
        }
        event => {
            let style = match event {
                Event::Crash { kind } if kind.is_crash() => CRASH,
                _ => NOTICE,
            };
            if let Some(words) = notice::words(heard) {
                lines.line(style, Stamp::None, &format!("… {words}"));
            }
        }
    }
    if let Some(warning) = &translation.warning {
        lines.line(NOTICE, Stamp::None, &format!("… {warning}"));
    }
    for symbol in &translation.symbols {
        lines.line(NOTICE, Stamp::None, &format!("…   {symbol}"));
    }
}

struct Lines<'a> {
    to: &'a mut Vec<u8>,
    style: Style,
    times: &'a mut Times,
    at: Duration,
    name: &'a str,
}

impl Lines<'_> {
    fn record(&mut self, record: &Record, crash: bool) {
        let color = if crash { CRASH } else { record.level.map_or(Ansi::new(), level) };
        let origin;
        let stamp = match (&record.origin, record.timestamp) {
            (Some(of), _) => {
                origin = syslog(of);
                Stamp::Said(&origin)
            }
            (None, Some(micros)) => Stamp::Boot(micros),
            (None, None) => Stamp::None,
        };
        // The log of a boot before, that survived in memory, and a record that the sender had to cut.
        let boot = record.field("boot");
        let cut = record.field("cut").is_some();
        let is_all = boot.is_none() && !cut;
        if is_all && is_plain(&record.text) {
            self.plain_line(color, stamp, &record.text);
        } else if is_all && memchr(b'\n', record.text.as_bytes()).is_none() {
            self.line(color, stamp, &record.text);
        } else {
            let boot = boot.map(|boot| format!("(boot {boot}) ")).unwrap_or_default();
            let text = format!("{boot}{}{}", record.text, if cut { "…" } else { "" });
            text.split('\n').for_each(|line| self.line(color, stamp, line));
        }
        if self.style.fields {
            for (key, value) in &record.fields {
                self.line(DIM, Stamp::None, &format!(" {key}={}", value.replace('\n', "\\x0a")));
            }
        }
    }

    fn line(&mut self, color: Ansi, stamp: Stamp<'_>, text: &str) {
        self.begin(stamp);
        self.part(color, text);
        self.to.push(b'\n');
    }

    /// The same of a text that is known to be [plain](is_plain), as nearly all are.
    fn plain_line(&mut self, color: Ansi, stamp: Stamp<'_>, text: &str) {
        self.begin(stamp);
        if self.style.color {
            self.part(color, text);
        } else {
            self.to.extend_from_slice(text.as_bytes());
        }
        self.to.push(b'\n');
    }

    /// What is before a line's text.
    fn begin(&mut self, stamp: Stamp<'_>) {
        if self.style.time != Time::None {
            if self.style.color {
                // Writing to memory does not fail.
                let _ = write!(self.to, "{DIM}");
            }
            self.times.write(self.to, self.at);
            if self.style.color {
                let _ = write!(self.to, "{DIM:#}");
            }
        }
        if self.style.prefix {
            self.part(NAME, self.name);
            self.to.push(b' ');
        }
        self.stamp(stamp);
    }

    fn stamp(&mut self, stamp: Stamp<'_>) {
        if self.style.color {
            // Writing to memory does not fail.
            let _ = write!(self.to, "{TIME}");
        }
        stamp.write(self.to);
        if self.style.color {
            let _ = write!(self.to, "{TIME:#}");
        }
    }

    fn part(&mut self, color: Ansi, text: &str) {
        if self.style.color {
            // Writing to memory does not fail.
            let _ = write!(self.to, "{color}");
            harmless(self.to, text);
            let _ = write!(self.to, "{color:#}");
        } else {
            harmless(self.to, text);
        }
    }
}

/// The sender's own time, before its text.
#[derive(Clone, Copy)]
enum Stamp<'a> {
    None,
    /// Since its boot, in µs: `[    5.206736] `, the seconds to five places or more.
    Boot(u64),
    /// As it said it.
    Said(&'a str),
}

impl Stamp<'_> {
    const SECONDS: usize = 5;
    /// A bracket, the 14 digits of `u64::MAX` µs in seconds, a point, six digits, a bracket, a space.
    const BYTES: usize = 24;

    fn write(self, to: &mut Vec<u8>) {
        match self {
            Stamp::None => {}
            Stamp::Boot(micros) => {
                let mut seconds = itoa::Buffer::new();
                let seconds = seconds.format(micros / 1_000_000).as_bytes();
                let pad = Self::SECONDS.saturating_sub(seconds.len());
                to.reserve(Self::BYTES);
                to.extend_from_slice(b"[     ".get(..=pad).unwrap_or_default());
                to.extend_from_slice(seconds);
                digits(to, (micros % 1_000_000) as u32);
                to.extend_from_slice(b"] ");
            }
            Stamp::Said(said) => harmless(to, said),
        }
    }
}

fn level(level: u8) -> Ansi {
    match level {
        0 | 1 => AnsiColor::BrightRed.on_default().effects(Effects::BOLD),
        2 | 3 => AnsiColor::Red.on_default(),
        4 => AnsiColor::Yellow.on_default(),
        5 => Ansi::new().effects(Effects::BOLD),
        6 => Ansi::new(),
        _ => DIM,
    }
}

fn syslog(origin: &Origin) -> String {
    let Origin { time, host, application, process, .. } = origin;
    let process = process.as_ref().map(|process| format!("[{process}]"));
    let application = match (application, process) {
        (Some(application), Some(process)) => Some(format!("{application}{process}")),
        (application, process) => application.clone().or(process),
    };
    let parts = [time, host, &application];
    let parts: Vec<_> = parts.into_iter().flatten().map(String::as_str).collect();
    if parts.is_empty() { String::new() } else { format!("{}: ", parts.join(" ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn times_are_as_formatted(micros in prop_oneof![any::<u64>(), 0..100_000_000_000u64, 0..2_000_000u64]) {
            let expected = format!("[{:5}.{:06}] ", micros / 1_000_000, micros % 1_000_000);
            let mut stamp = Vec::new();
            Stamp::Boot(micros).write(&mut stamp);
            prop_assert_eq!(stamp, expected.into_bytes());
        }
    }
}
