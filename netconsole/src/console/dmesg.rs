//! `dmesg`: shows the log, and sets from which level on it is shown.

use super::error::CommandError;
use super::host::Host;
use super::step::{CHUNK, Chunk, Step};
use crate::format::{self, Style};
use crate::ring::{Level, Read};
use crate::settings::Format;
use core::fmt::Write;

/// The log being shown.
pub(super) struct Dmesg {
    /// The next record, and where in its text the next piece begins.
    sequence: u64,
    offset: usize,
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
        sequence: ring.first(),
        offset: 0,
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
        self.end.is_none().then_some(self.sequence)
    }

    /// Ends where `other` does: the log may have grown since.
    pub(super) const fn end_with(&mut self, other: &Self) {
        self.end = other.end;
    }

    /// One datagram's worth of the log, as the basic format has it.
    pub(super) fn step(&mut self, host: &mut dyn Host, out: &mut Chunk, problem: &mut dyn Write) -> Step {
        let ring = host.ring();
        let is_at_end = self.end.is_some_and(|end| self.sequence >= end);
        let found = if is_at_end { Read::End } else { ring.read(self.sequence) };
        if !matches!(found, Read::Withheld) && self.withheld > 0 {
            let count = core::mem::take(&mut self.withheld);
            let _ = writeln!(
                out,
                "[{count} records withheld: they leave only sealed with the key of their boot]"
            );
            return Step::More;
        }
        let timebase = host.timebase();
        let filter = *host.filter();
        if self.calendar && filter.epoch.is_none() && !core::mem::replace(&mut self.told, true) {
            let _ = writeln!(
                problem,
                "dmesg: the time of day is not known, neither by a real-time clock nor by NTP: seconds since the boot"
            );
            return Step::More;
        }
        let style = Style {
            epoch: filter.epoch,
            calendar: self.calendar,
            ..Style::new(Format::Basic, filter.time || self.calendar)
        };
        let record = match found {
            // It is being written: where the log is followed, it is complete soon.
            Read::Unfinished(_) if self.end.is_none() => return Step::Waits,
            Read::Record(record) | Read::Unfinished(record) => record,
            Read::Withheld => {
                (self.sequence, self.offset) = (self.sequence.saturating_add(1), 0);
                self.withheld = self.withheld.saturating_add(1);
                return Step::More;
            }
            Read::Lost { resume } => {
                (self.sequence, self.offset) = (resume.max(self.sequence.saturating_add(1)), 0);
                return Step::More;
            }
            Read::End if self.end.is_none() => return Step::Waits,
            Read::End => return Step::Done,
        };
        let mut text = [0; CHUNK];
        let micros = ring.micros(&record, &timebase);
        let piece = format::write_datagram(&style, &record, micros, self.offset, &mut text);
        // What was overwritten meanwhile is found lost at the next step.
        if record.is_intact() {
            out.extend(text.get(..piece.len).unwrap_or_default());
            (self.sequence, self.offset) = match piece.next {
                Some(offset) => (self.sequence, offset),
                None => (self.sequence.saturating_add(1), 0),
            };
        }
        Step::More
    }
}
