//! Events as JSON, one object a line; the fields are documented in [`crate::manual`].

use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::UNIX_EPOCH;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::escape::is_harmful;
use crate::event::{Continues, Event, Format, Heard};
use crate::symbols::{Symbol, Translation};

#[derive(Serialize)]
struct Line<'a> {
    event: &'static str,
    received: String,
    sender: &'a str,
    address: IpAddr,
    port: u16,
    #[serde(flatten)]
    content: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    symbols: &'a [Symbol],
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Record(Record<'a>),
    Missing { first: u64, last: u64, count: u64 },
    Numbered { sequence: u64 },
    Moved { before: SocketAddr },
    Nothing {},
}

#[derive(Serialize)]
struct Record<'a> {
    format: Format,
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    facility: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    application: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    release: Option<&'a str>,
    text: &'a str,
    #[serde(skip_serializing_if = "Map::is_empty")]
    fields: Map<String, Value>,
    #[serde(skip_serializing_if = "is_zero")]
    held: u64,
    #[serde(skip_serializing_if = "is_false")]
    crash: bool,
    #[serde(skip_serializing_if = "is_false")]
    late: bool,
    #[serde(skip_serializing_if = "is_false")]
    beside: bool,
    #[serde(skip_serializing_if = "is_false")]
    incomplete: bool,
    #[serde(skip_serializing_if = "is_false")]
    continuation: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    continues: Option<u64>,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Writes an event.
pub fn write(to: &mut impl Write, heard: &Heard, translation: &Translation) -> io::Result<()> {
    let (event, content) = match &heard.event {
        Event::Record { record, crash, late, beside } => {
            let origin = record.origin.as_ref();
            let fields =
                record.fields.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect();
            let record = Record {
                format: record.format,
                level: record.level,
                facility: record.facility,
                sequence: record.sequence,
                timestamp_us: record.timestamp,
                time: origin.and_then(|origin| origin.time.as_deref()),
                host: origin.and_then(|origin| origin.host.as_deref()),
                application: origin.and_then(|origin| origin.application.as_deref()),
                process: origin.and_then(|origin| origin.process.as_deref()),
                message_id: origin.and_then(|origin| origin.message_id.as_deref()),
                release: record.release.as_deref(),
                text: &record.text,
                fields,
                held: record.held,
                crash: *crash,
                late: *late,
                beside: *beside,
                incomplete: record.incomplete,
                continuation: record.continues != Continues::Nothing,
                continues: match record.continues {
                    Continues::Record { sequence, .. } => Some(sequence),
                    Continues::Nothing | Continues::Unknown => None,
                },
            };
            ("record", Content::Record(record))
        }
        &Event::Missing { first, last, count } => ("missing", Content::Missing { first, last, count }),
        &Event::Skipped { first, last, count } => ("skipped", Content::Missing { first, last, count }),
        &Event::Joined { sequence } => ("joined", Content::Numbered { sequence }),
        &Event::Stray { sequence } => ("stray", Content::Numbered { sequence }),
        &Event::Moved { before } => ("moved", Content::Moved { before }),
        Event::Rebooted => ("rebooted", Content::Nothing {}),
        Event::Crash => ("crash", Content::Nothing {}),
    };
    let line = Line {
        event,
        received: humantime::format_rfc3339_micros(UNIX_EPOCH + heard.at).to_string(),
        sender: &heard.sender.name,
        address: heard.sender.address.ip(),
        port: heard.sender.address.port(),
        content,
        warning: translation.warning.as_deref(),
        symbols: &translation.symbols,
    };
    writeln!(to, "{}", terminal_safe(&serde_json::to_string(&line)?))
}

/// JSON escapes the C0 controls itself; what else could act on a terminal is escaped as well, which JSON allows.
fn terminal_safe(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for character in json.chars() {
        if is_harmful(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a String does not fail.
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(character);
        }
    }
    safe
}
