//! Events as lines for a person. What is not the sender's own words begins with `…`.

use std::io::{self, Write};

use anstyle::{AnsiColor, Color, Effects, Style as Ansi};

use crate::escape::harmless;
use crate::event::{Continues, Event, Heard, Origin, Record};
use crate::symbols::Translation;

/// What is shown, and how.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Colours by level.
    pub color: bool,
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
pub fn write(to: &mut impl Write, style: Style, heard: &Heard, translation: &Translation) -> io::Result<()> {
    let mut lines = Lines { to, style, name: &heard.sender.name };
    match &heard.event {
        Event::Record { record, crash, late, beside } => {
            if *late {
                lines.line(NOTICE, "", "… this record came late")?;
            }
            if *beside {
                lines.line(
                    NOTICE,
                    "",
                    "… this record does not continue the log: another boot, or a stray",
                )?;
            }
            match record.continues {
                Continues::Record { timestamp: Some(micros), .. } => {
                    let time = since_boot(micros);
                    lines.line(
                        NOTICE,
                        "",
                        &format!("… this record continues that of {}", time.trim_end()),
                    )?;
                }
                Continues::Record { sequence, .. } => {
                    lines.line(NOTICE, "", &format!("… this record continues record {sequence}"))?;
                }
                Continues::Unknown => lines.line(NOTICE, "", "… this record continues an earlier one")?,
                Continues::Nothing => {}
            }
            lines.record(record, *crash)?;
        }
        Event::Missing { first, last, count } => lines.line(NOTICE, "", &missing(*first, *last, *count))?,
        Event::Skipped { first, last, count } => lines.line(NOTICE, "", &skipped(*first, *last, *count))?,
        Event::Joined { sequence } => {
            lines.line(
                NOTICE,
                "",
                &format!("… joined at record {sequence}, what was before was not received"),
            )?;
        }
        Event::Moved { before } => {
            let line = format!("… comes from {} by now, not from {before}", heard.sender.address);
            lines.line(NOTICE, "", &line)?;
        }
        Event::Rebooted => lines.line(NOTICE, "", "… rebooted")?,
        Event::Stray { sequence } => {
            lines.line(NOTICE, "", &format!("… record {sequence} was a stray: nothing continues it"))?;
        }
        Event::Crash => lines.line(CRASH, "", &format!("… crash report from {}", heard.sender.name))?,
    }
    if let Some(warning) = &translation.warning {
        lines.line(NOTICE, "", &format!("… {warning}"))?;
    }
    for symbol in &translation.symbols {
        lines.line(NOTICE, "", &format!("…   {symbol}"))?;
    }
    Ok(())
}

fn since_boot(micros: u64) -> String {
    format!("[{:5}.{:06}] ", micros / 1_000_000, micros % 1_000_000)
}

fn missing(first: u64, last: u64, count: u64) -> String {
    match (count, last == first) {
        (_, true) => format!("… 1 record missing ({first})"),
        (1, false) => format!("… 1 record missing (of {first}–{last})"),
        _ if count == (last - first).saturating_add(1) => {
            format!("… {count} records missing ({first}–{last})")
        }
        _ => format!("… {count} records missing (of {first}–{last})"),
    }
}

fn skipped(first: u64, last: u64, count: u64) -> String {
    let numbers = if count == 1 { "1 number".to_owned() } else { format!("{count} numbers") };
    let range = if first == last { first.to_string() } else { format!("{first}–{last}") };
    format!("… {numbers} skipped: held back by the sender's level, or lost ({range})")
}

struct Lines<'a, W> {
    to: &'a mut W,
    style: Style,
    name: &'a str,
}

impl<W: Write> Lines<'_, W> {
    fn record(&mut self, record: &Record, crash: bool) -> io::Result<()> {
        let time = match (&record.origin, record.timestamp) {
            (Some(origin), _) => syslog(origin),
            (None, Some(micros)) => since_boot(micros),
            (None, None) => String::new(),
        };
        let color = if crash { CRASH } else { record.level.map_or(Ansi::new(), level) };
        // The log of a boot before, that survived in memory, and a record that the sender had to cut.
        let boot = record.field("boot").map(|boot| format!("(boot {boot}) ")).unwrap_or_default();
        let cut = if record.field("cut").is_some() { "…" } else { "" };
        let text = format!("{boot}{}{cut}", record.text);
        for line in text.split('\n') {
            self.line(color, &harmless(&time), line)?;
        }
        if self.style.fields {
            for (key, value) in &record.fields {
                self.line(DIM, "", &format!(" {key}={}", value.replace('\n', "\\x0a")))?;
            }
        }
        Ok(())
    }

    fn line(&mut self, color: Ansi, time: &str, text: &str) -> io::Result<()> {
        if self.style.prefix {
            self.part(NAME, &harmless(self.name))?;
            write!(self.to, " ")?;
        }
        self.part(TIME, time)?;
        self.part(color, &harmless(text))?;
        writeln!(self.to)
    }

    fn part(&mut self, color: Ansi, text: &str) -> io::Result<()> {
        if self.style.color { write!(self.to, "{color}{text}{color:#}") } else { write!(self.to, "{text}") }
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
