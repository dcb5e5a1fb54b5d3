//! An event as every sink sends it: a text, a level, and fields.

use std::borrow::Cow;
use std::time::Duration;

use smallvec::SmallVec;

use crate::escape::harmless;
use crate::event::{Continues, Event, Heard, Record};
use crate::output::notice;
use crate::symbols::Translation;

/// Facility of the kernel, and of syslog itself: what the receiver says.
const KERNEL: u8 = 0;
const SYSLOG: u8 = 5;
/// The level where none is known: informational.
const INFORMATIONAL: u8 = 6;

/// Writes an event as a sink takes it: nothing where that takes no such event.
pub trait Encode {
    /// Writes it.
    fn encode(&mut self, to: &mut Vec<u8>, entry: &Entry<'_>);
}

/// An event on its way to a sink.
#[derive(Debug)]
pub struct Entry<'a> {
    /// When it was received, since the Unix epoch.
    pub at: Duration,
    /// The event.
    pub heard: &'a Heard,
    /// What its addresses are in the source.
    pub translation: &'a Translation,
}

/// What a field is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    /// By us, as in `--json`.
    Own(&'static str),
    /// By the sender, in its user or system data.
    Field(&'a str),
}

/// What a field says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A text.
    Text(&'a str),
    /// A number.
    Number(u64),
    /// That something is so.
    Yes,
}

impl Entry<'_> {
    /// The record, if it is one.
    pub fn record(&self) -> Option<&Record> {
        match &self.heard.event {
            Event::Record { record, .. } => Some(record),
            _ => None,
        }
    }

    /// The level, where it is known: of what the receiver says itself always.
    pub fn level(&self) -> Option<u8> {
        match &self.heard.event {
            Event::Record { record, .. } => record.level,
            Event::Crash { kind } if kind.is_crash() => Some(2),
            Event::Report(report) if report.kind.is_crash() => Some(2),
            Event::Missing { .. } | Event::Dropped { .. } | Event::Lost { .. } => Some(4),
            Event::Crash { .. } | Event::Report(_) => Some(4),
            _ => Some(5),
        }
    }

    /// The level, or informational where it is not known.
    pub fn priority(&self) -> u8 {
        self.level().unwrap_or(INFORMATIONAL)
    }

    /// The facility: of what the receiver says itself syslog's.
    pub fn facility(&self) -> u8 {
        self.record().map_or(Some(SYSLOG), |record| record.facility).unwrap_or(KERNEL)
    }

    /// Who speaks, where no message says so itself.
    pub fn speaker(&self) -> &'static str {
        if self.record().is_some() { "kernel" } else { "netconsole-receiver" }
    }

    /// The text: of a record its own, else what the screen would say.
    pub fn text(&self) -> Cow<'_, str> {
        match &self.heard.event {
            Event::Record { record, .. } => (&record.text).into(),
            Event::Report(report) => format!("… report of {}: {}", report.kind, report.title).into(),
            _ => {
                let mut said = Vec::new();
                harmless(&mut said, &format!("… {}", notice::words(self.heard).unwrap_or_default()));
                String::from_utf8_lossy(&said).into_owned().into()
            }
        }
    }

    /// Everything else that is known, field by field.
    pub fn each(&self, mut put: impl FnMut(Key<'_>, Value<'_>)) {
        let mut own = |key: &'static str, value: Value<'_>| put(Key::Own(key), value);
        match &self.heard.event {
            Event::Record { record, crash, late, beside } => {
                own("event", Value::Text("record"));
                own("format", Value::Text(record.format.name()));
                let numbers = [("sequence", record.sequence), ("timestamp_us", record.timestamp)];
                for (key, number) in numbers {
                    if let Some(number) = number {
                        own(key, Value::Number(number));
                    }
                }
                if record.held > 0 {
                    own("held", Value::Number(record.held));
                }
                let origin = record.origin.as_deref();
                let texts = [
                    ("time", origin.and_then(|origin| origin.time.as_deref())),
                    ("host", origin.and_then(|origin| origin.host.as_deref())),
                    ("application", origin.and_then(|origin| origin.application.as_deref())),
                    ("process", origin.and_then(|origin| origin.process.as_deref())),
                    ("message_id", origin.and_then(|origin| origin.message_id.as_deref())),
                    ("release", record.release.as_deref()),
                ];
                for (key, text) in texts {
                    if let Some(text) = text {
                        own(key, Value::Text(text));
                    }
                }
                let flags = [
                    ("crash", *crash),
                    ("late", *late),
                    ("beside", *beside),
                    ("incomplete", record.incomplete),
                    ("continuation", record.continues != Continues::Nothing),
                ];
                flags.into_iter().filter(|(_, is_so)| *is_so).for_each(|(key, _)| own(key, Value::Yes));
                if !self.translation.symbols.is_empty() {
                    let lines: SmallVec<[String; 4]> =
                        self.translation.symbols.iter().map(ToString::to_string).collect();
                    own("symbols", Value::Text(&lines.join("\n")));
                }
                record.fields.iter().for_each(|(key, value)| put(Key::Field(key), Value::Text(value)));
            }
            &Event::Missing { first, last, count } => numbers(own, "missing", first, last, count),
            &Event::Skipped { first, last, count } => numbers(own, "skipped", first, last, count),
            &Event::Joined { sequence } => {
                own("event", Value::Text("joined"));
                own("sequence", Value::Number(sequence));
            }
            &Event::Stray { sequence } => {
                own("event", Value::Text("stray"));
                own("sequence", Value::Number(sequence));
            }
            Event::Moved { .. } => own("event", Value::Text("moved")),
            Event::Rebooted => own("event", Value::Text("rebooted")),
            Event::Crash { kind } => {
                own("event", Value::Text("crash"));
                own("kind", Value::Text(&kind.to_string()));
            }
            Event::Report(report) => {
                own("event", Value::Text("report"));
                own("kind", Value::Text(&report.kind.to_string()));
                own("id", Value::Text(&report.id()));
                own("repeated", Value::Number(report.repeated));
                own("records", Value::Number(report.records));
            }
            &Event::Dropped { count } => {
                own("event", Value::Text("dropped"));
                own("count", Value::Number(count));
            }
            Event::Lost { count, .. } => {
                own("event", Value::Text("lost"));
                own("count", Value::Number(*count));
            }
        }
    }
}

fn numbers(
    mut own: impl FnMut(&'static str, Value<'_>),
    event: &'static str,
    first: u64,
    last: u64,
    count: u64,
) {
    own("event", Value::Text(event));
    own("first", Value::Number(first));
    own("last", Value::Number(last));
    own("count", Value::Number(count));
}
