//! `dmesg`: shows the log, and sets from which level on it is shown.

use super::error::CommandError;
use super::host::Host;
use super::step::{CHUNK, Chunk, Step};
use crate::format::{Cursor, Next, RingLog, Style, Unfinished};
use crate::ring::Level;
use crate::settings::Format;
use core::fmt::Write;

/// The log being shown.
pub(super) struct Dmesg {
    /// What is shown next.
    cursor: Cursor,
    /// Where the log ended when the command began; `None` where it is followed.
    end: Option<u64>,
    /// By date and time of day (`-T`).
    calendar: bool,
    /// It was said that the time of day is not known.
    told: bool,
    /// How many records were withheld since the last one that was shown.
    withheld: u64,
}

/// What `dmesg` is asked for.
pub(super) enum Asked {
    /// The log.
    Log(Dmesg),
    /// That from now on records below this level are shown.
    Limit(u8),
    Help(&'static [&'static str]),
}

const USAGE: &str = "dmesg [-T] [-w], dmesg -n LEVEL with a LEVEL from 0 to 8 or its name, or dmesg -h";

const HELP: &[&str] = &[
    "Usage: dmesg [options]",
    "Shows the log.",
    "Options:",
    " -T, --ctime                shows date and time of day (UTC), where they are known",
    " -w, --follow               goes on with each new record, until a line is typed",
    " -n, --console-level LEVEL  shows records up to LEVEL from now on, on serial and at the targets",
    " -h, --help                 shows this",
    "Levels, by name and number:",
    " emerg   0  the system is unusable; -n emerg, or -n 1, shows only these",
    " alert   1  action must be taken at once",
    " crit    2  critical conditions",
    " err     3  errors",
    " warn    4  warnings",
    " notice  5  normal but significant",
    " info    6  information; -n info, or -n 7, shows all but debug",
    " debug   7  for debugging; -n debug, or -n 8, shows all",
    "-n NAME shows that level and those above it in this list, -n NUMBER the levels of lower numbers.",
];

/// The limit that `-n` sets: a number, or the name of the last level that is shown.
fn limit(text: &str) -> Option<u8> {
    if let [digit @ b'0'..=b'8'] = *text.as_bytes() {
        return Some(digit.wrapping_sub(b'0'));
    }
    let level = Level::ALL.into_iter().find(|level| level.name() == text)?;
    Some((level as u8).saturating_add(1))
}

/// Reads the arguments.
pub(super) fn read<'w>(
    mut arguments: impl Iterator<Item = &'w str>,
    host: &mut dyn Host,
) -> Result<Asked, CommandError<'w>> {
    let ring = host.ring();
    let mut shown = Dmesg {
        cursor: Cursor::at(ring.first()),
        end: Some(ring.end()),
        calendar: false,
        told: false,
        withheld: 0,
    };
    let mut level = None;
    let mut has_options = false;
    let usage = CommandError::Usage(USAGE);
    while let Some(word) = arguments.next() {
        match word {
            "-h" | "--help" if !has_options && level.is_none() && arguments.next().is_none() => {
                return Ok(Asked::Help(HELP));
            }
            "-T" | "--ctime" => shown.calendar = true,
            "-w" | "--follow" => shown.end = None,
            "-wT" | "-Tw" => (shown.calendar, shown.end) = (true, None),
            _ => {
                let value = match word {
                    "-n" | "--console-level" => arguments.next(),
                    _ => word.strip_prefix("--console-level=").or_else(|| word.strip_prefix("-n")),
                };
                match value.and_then(limit) {
                    Some(value) if level.is_none() => level = Some(value),
                    _ => return Err(usage),
                }
                continue;
            }
        }
        has_options = true;
    }
    match level {
        None => Ok(Asked::Log(shown)),
        Some(level) if !has_options => Ok(Asked::Limit(level)),
        Some(_) => Err(usage),
    }
}

impl Dmesg {
    /// The record that is shown next, where new ones are waited for (`-w`).
    pub(super) fn followed(&self) -> Option<u64> {
        self.end.is_none().then_some(self.cursor.sequence())
    }

    /// Ends where `other` does: the log may have grown since.
    pub(super) const fn end_with(&mut self, other: &Self) {
        self.end = other.end;
    }

    /// One datagram's worth of the log, as the basic format has it.
    pub(super) fn step(&mut self, host: &mut dyn Host, out: &mut Chunk, problem: &mut dyn Write) -> Step {
        let timebase = host.timebase();
        let log = RingLog::new(host.ring(), &timebase);
        // Where the log is followed, a record that is being written is complete soon.
        let (unfinished, at_end) = match self.end {
            None => (Unfinished::Await, Step::Waits),
            Some(_) => (Unfinished::Take, Step::Done),
        };
        let is_at_end = self.end.is_some_and(|end| self.cursor.sequence() >= end);
        let found = if is_at_end { Next::End } else { self.cursor.next(&log, unfinished, |_| true) };
        if matches!(found, Next::HeldBack) {
            self.withheld = self.withheld.saturating_add(1);
            return Step::More;
        }
        if self.withheld > 0 {
            let count = core::mem::take(&mut self.withheld);
            let _ = writeln!(
                out,
                "[{count} records withheld: they leave only sealed with the key of their boot]"
            );
            return Step::More;
        }
        let shared = host.common().style;
        if self.calendar && shared.epoch.is_none() && !core::mem::replace(&mut self.told, true) {
            let _ = writeln!(
                problem,
                "dmesg: the time of day is not known, neither by a real-time clock nor by NTP: seconds since the boot"
            );
            return Step::More;
        }
        let record = match found {
            Next::Record(record) => record,
            Next::HeldBack | Next::Lost(_) => return Step::More,
            Next::End => return at_end,
        };
        let time = shared.time || self.calendar;
        let style = Style { time, calendar: self.calendar, ..shared.with(Format::Basic) };
        let mut text = [0; CHUNK];
        // What was overwritten meanwhile is found lost at the next step.
        if let Some(datagram) = self.cursor.datagram(&style, &log, &record, &mut text) {
            out.extend(text.get(..datagram.len).unwrap_or_default());
            self.cursor = datagram.next;
        }
        Step::More
    }
}
