//! Events as JSON, one object a line; the fields are documented in [`crate::manual`].

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, UNIX_EPOCH};

use compact_str::CompactString;
use serde::Serialize;
use smallvec::SmallVec;

use crate::escape::{each_run, is_harmful, is_printable};
use crate::event::{Continues, Event, Field, Heard, Identity, Record};
use crate::report::{Kind, Report};
use crate::symbols::{Symbol, Translation};

use super::notice;
use super::times::digits;

#[derive(Serialize)]
struct Line<'a> {
    event: &'static str,
    received: String,
    sender: &'a str,
    address: IpAddr,
    port: u16,
    #[serde(flatten)]
    content: Content,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    symbols: &'a [Symbol],
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content {
    Missing { first: u64, last: u64, count: u64 },
    Numbered { sequence: u64 },
    Moved { before: SocketAddr },
    Dropped { count: u64 },
    Lost { count: u64, reason: String },
    Crash { kind: Kind },
    Report(ReportContent),
    Nothing {},
}

#[derive(Serialize)]
struct ReportContent {
    kind: Kind,
    title: String,
    id: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    frames: Vec<String>,
    repeated: u64,
    records: u64,
    report: String,
}

impl From<&Box<Report>> for ReportContent {
    fn from(report: &Box<Report>) -> Self {
        let Report { kind, title, text, frames, repeated, records, .. } = &**report;
        ReportContent {
            kind: *kind,
            title: title.clone(),
            id: report.id(),
            frames: frames.clone(),
            repeated: *repeated,
            records: *records,
            report: text.clone(),
        }
    }
}

/// Writes an event.
pub fn write(
    to: &mut Vec<u8>,
    stamp: &mut Stamp,
    at: Duration,
    heard: &Heard,
    translation: &Translation,
) -> io::Result<()> {
    let (event, content) = match &heard.event {
        Event::Record { record, crash, late, beside } => {
            let flags = [
                ("crash", *crash),
                ("late", *late),
                ("beside", *beside),
                ("incomplete", record.incomplete),
                ("continuation", record.continues != Continues::Nothing),
            ];
            return write_record(to, stamp, at, heard, record, flags, translation);
        }
        &Event::Missing { first, last, count } => ("missing", Content::Missing { first, last, count }),
        &Event::Skipped { first, last, count } => ("skipped", Content::Missing { first, last, count }),
        &Event::Joined { sequence } => ("joined", Content::Numbered { sequence }),
        &Event::Stray { sequence } => ("stray", Content::Numbered { sequence }),
        &Event::Moved { before } => ("moved", Content::Moved { before }),
        Event::Rebooted => ("rebooted", Content::Nothing {}),
        &Event::Crash { kind } => ("crash", Content::Crash { kind }),
        Event::Report(report) => ("report", Content::Report(report.into())),
        &Event::Dropped { count } => ("dropped", Content::Dropped { count }),
        Event::Lost { count, reason } => ("lost", Content::Lost { count: *count, reason: reason.clone() }),
    };
    let line = Line {
        event,
        received: humantime::format_rfc3339_micros(UNIX_EPOCH + at).to_string(),
        sender: &heard.sender.name,
        address: heard.sender.address.ip(),
        port: heard.sender.address.port(),
        content,
        notice: notice::words(heard),
        warning: translation.warning.as_deref(),
        symbols: &translation.symbols,
    };
    writeln!(to, "{}", terminal_safe(&serde_json::to_string(&line)?))
}

/// A record, of which there are many: without what a general way costs.
fn write_record(
    to: &mut Vec<u8>,
    stamp: &mut Stamp,
    at: Duration,
    heard: &Heard,
    record: &Record,
    flags: [(&str, bool); 5],
    translation: &Translation,
) -> io::Result<()> {
    to.extend_from_slice(b"{\"event\":\"record\",\"received\":\"");
    stamp.write(to, at);
    to.extend_from_slice(stamp.sender(&heard.sender));
    to.extend_from_slice(b",\"format\":\"");
    to.extend_from_slice(record.format.name().as_bytes());
    to.push(b'"');
    number(to, b",\"level\":", record.level.map(u64::from));
    number(to, b",\"facility\":", record.facility.map(u64::from));
    number(to, b",\"sequence\":", record.sequence);
    number(to, b",\"timestamp_us\":", record.timestamp);
    if let Some(origin) = &record.origin {
        text(to, b",\"time\":", origin.time.as_deref());
        text(to, b",\"host\":", origin.host.as_deref());
        text(to, b",\"application\":", origin.application.as_deref());
        text(to, b",\"process\":", origin.process.as_deref());
        text(to, b",\"message_id\":", origin.message_id.as_deref());
    }
    text(to, b",\"release\":", record.release.as_deref());
    text(to, b",\"text\":", Some(&record.text));
    if !record.fields.is_empty() {
        to.extend_from_slice(b",\"fields\":");
        write_fields(to, &record.fields);
    }
    number(to, b",\"held\":", Some(record.held).filter(|held| *held > 0));
    for (name, _) in flags.into_iter().filter(|(_, flag)| *flag) {
        key(to, name);
        to.extend_from_slice(b"true");
    }
    if let Continues::Record { sequence, .. } = record.continues {
        number(to, b",\"continues\":", Some(sequence));
    }
    text(to, b",\"warning\":", translation.warning.as_deref());
    if !translation.symbols.is_empty() {
        to.extend_from_slice(b",\"symbols\":");
        to.extend_from_slice(terminal_safe(&serde_json::to_string(&translation.symbols)?).as_bytes());
    }
    to.extend_from_slice(b"}\n");
    Ok(())
}

/// The name, the address and the port, and what is before them.
fn write_sender(to: &mut Vec<u8>, sender: &Identity) {
    to.extend_from_slice(b"\",\"sender\":");
    string(to, &sender.name);
    to.extend_from_slice(b",\"address\":\"");
    match sender.address.ip() {
        IpAddr::V4(v4) => {
            for (place, octet) in v4.octets().into_iter().enumerate() {
                to.extend_from_slice(if place == 0 { b"" } else { b"." });
                to.extend_from_slice(itoa::Buffer::new().format(octet).as_bytes());
            }
        }
        // Writing to memory does not fail.
        IpAddr::V6(v6) => write!(to, "{v6}").unwrap_or_default(),
    }
    to.push(b'"');
    number(to, b",\"port\":", Some(sender.address.port().into()));
}

/// In the order of their keys; where several have the same key, a list of their values.
fn write_fields(to: &mut Vec<u8>, fields: &[Field]) {
    let mut sorted: SmallVec<[&Field; 8]> = fields.iter().collect();
    // The values of a key keep their order.
    sorted.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut separator = b'{';
    for same in sorted.chunk_by(|(one, _), (other, _)| one == other) {
        let Some((key, first)) = same.first() else { continue };
        to.push(std::mem::replace(&mut separator, b','));
        string(to, key);
        to.push(b':');
        if same.len() == 1 {
            string(to, first);
            continue;
        }
        let mut separator = b'[';
        for (_, value) in same {
            to.push(std::mem::replace(&mut separator, b','));
            string(to, value);
        }
        to.push(b']');
    }
    to.push(b'}');
}

fn key(to: &mut Vec<u8>, key: &str) {
    to.extend_from_slice(b",\"");
    to.extend_from_slice(key.as_bytes());
    to.extend_from_slice(b"\":");
}

/// A member, its key as it is written.
fn number(to: &mut Vec<u8>, key: &[u8], number: Option<u64>) {
    let Some(number) = number else { return };
    to.extend_from_slice(key);
    to.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// The same.
fn text(to: &mut Vec<u8>, key: &[u8], text: Option<&str>) {
    let Some(text) = text else { return };
    to.extend_from_slice(key);
    string(to, text);
}

/// As `serde_json` writes it, but for what could act on a terminal.
pub fn string(to: &mut Vec<u8>, text: &str) {
    let is_plain = |byte| is_printable(byte) && byte != b'"' && byte != b'\\';
    to.push(b'"');
    each_run(text, is_plain, to, |to, character| match character {
        '"' => to.extend_from_slice(b"\\\""),
        '\\' => to.extend_from_slice(b"\\\\"),
        '\n' => to.extend_from_slice(b"\\n"),
        '\r' => to.extend_from_slice(b"\\r"),
        '\t' => to.extend_from_slice(b"\\t"),
        '\x08' => to.extend_from_slice(b"\\b"),
        '\x0c' => to.extend_from_slice(b"\\f"),
        _ if is_harmful(character) => {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to memory does not fail.
                let _ = write!(to, "\\u{unit:04x}");
            }
        }
        _ => to.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
    });
    to.push(b'"');
}

/// What is kept from record to record: times of RFC 3339, of which one second has many, and the sender.
#[derive(Debug, Default)]
pub struct Stamp {
    second: u64,
    /// That second, up to the point.
    text: String,
    /// Who sent the last one, and how that is written.
    sender: Option<(SocketAddr, CompactString)>,
    written: Vec<u8>,
}

impl Stamp {
    /// See [`write_sender`].
    fn sender(&mut self, sender: &Identity) -> &[u8] {
        let Identity { address, name, .. } = sender;
        if !self.sender.as_ref().is_some_and(|(before, called)| before == address && called == name) {
            self.sender = Some((*address, name.clone()));
            self.written.clear();
            write_sender(&mut self.written, sender);
        }
        &self.written
    }

    /// Writes a time since the Unix epoch, in UTC with microseconds.
    pub fn write(&mut self, to: &mut Vec<u8>, at: Duration) {
        if self.text.is_empty() || self.second != at.as_secs() {
            self.second = at.as_secs();
            self.text = humantime::format_rfc3339_seconds(UNIX_EPOCH + at).to_string();
            self.text.pop();
        }
        to.extend_from_slice(self.text.as_bytes());
        digits(to, at.subsec_micros());
        to.push(b'Z');
    }
}

/// JSON escapes the C0 controls itself; what else could act on a terminal is escaped as well, which JSON allows.
fn terminal_safe(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for character in json.chars() {
        if is_harmful(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                safe.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            safe.push(character);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::SocketAddr;
    use std::rc::Rc;

    use proptest::prelude::*;

    use super::*;
    use crate::event::{Format, Origin};

    #[derive(Serialize)]
    struct ExpectedLine<'a> {
        event: &'static str,
        received: String,
        sender: &'a str,
        address: IpAddr,
        port: u16,
        #[serde(flatten)]
        record: Expected<'a>,
    }

    #[derive(Serialize)]
    struct Expected<'a> {
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
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        fields: BTreeMap<&'a str, Values<'a>>,
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

    #[derive(Serialize)]
    #[serde(untagged)]
    enum Values<'a> {
        One(&'a str),
        Several(Vec<&'a str>),
    }

    fn values(record: &Record) -> BTreeMap<&str, Values<'_>> {
        let mut all: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        record.fields.iter().for_each(|(key, value)| all.entry(key).or_default().push(value));
        let values = |values: Vec<_>| match values[..] {
            [value] => Values::One(value),
            _ => Values::Several(values),
        };
        all.into_iter().map(|(key, all)| (key, values(all))).collect()
    }

    fn is_false(flag: &bool) -> bool {
        !flag
    }

    fn is_zero(number: &u64) -> bool {
        *number == 0
    }

    /// The line as `serde_json` writes it.
    fn expected(heard: &Heard) -> String {
        let Event::Record { record, crash, late, beside } = &heard.event else { unreachable!("a record") };
        let origin = record.origin.as_ref();
        let line = ExpectedLine {
            event: "record",
            received: humantime::format_rfc3339_micros(UNIX_EPOCH + heard.at).to_string(),
            sender: &heard.sender.name,
            address: heard.sender.address.ip(),
            port: heard.sender.address.port(),
            record: Expected {
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
                fields: values(record),
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
            },
        };
        format!("{}\n", terminal_safe(&serde_json::to_string(&line).expect("it can be written")))
    }

    /// Text of all sorts, control characters and marks of direction included.
    fn words() -> impl Strategy<Value = String> {
        "([a-z ]{0,40}[\\PC\\x00-\u{2070}\"\\\\]{0,3}){0,3}"
    }

    fn records() -> impl Strategy<Value = Heard> {
        let formats = [Format::Basic, Format::Extended, Format::Syslog, Format::Json];
        let origin =
            prop::option::of((prop::option::of(words()), prop::option::of(words()), words()).prop_map(
                |(time, host, application)| {
                    Box::new(Origin {
                        time,
                        host,
                        process: Some(application.clone()),
                        message_id: Some(application.clone()),
                        application: Some(application),
                    })
                },
            ));
        let field = ("[A-C]{1,2}", words()).prop_map(|(key, value)| (key.into(), value.into()));
        let fields = prop::collection::vec(field, 0..5);
        let numbers = (any::<Option<u8>>(), any::<Option<u64>>(), any::<Option<u64>>(), 0..3u64);
        let place = (any::<std::net::IpAddr>(), any::<u16>(), 0..4_000_000_000u64, 0..1_000_000u32);
        let record = (
            prop::sample::select(formats.to_vec()),
            numbers,
            origin,
            prop::option::of(words()),
            words(),
            fields,
        );
        (record, place, any::<[bool; 4]>(), words()).prop_map(
            |((format, numbers, origin, release, text, fields), (ip, port, seconds, micros), flags, name)| {
                let (level, sequence, timestamp, held) = numbers;
                let [crash, late, beside, incomplete] = flags;
                let continues = match sequence {
                    Some(sequence) if late => Continues::Record { sequence, timestamp },
                    _ if beside => Continues::Unknown,
                    _ => Continues::Nothing,
                };
                let record = Record {
                    level,
                    facility: level,
                    sequence,
                    timestamp,
                    origin,
                    release,
                    fields,
                    held,
                    incomplete,
                    continues,
                    ..Record::of(format, text)
                };
                let sender =
                    Identity { address: SocketAddr::from((ip, port)), name: name.into(), named: false };
                Heard {
                    sender: Rc::new(sender),
                    at: Duration::new(seconds, micros * 1000),
                    event: Event::Record { record, crash, late, beside },
                }
            },
        )
    }

    proptest! {
        #[test]
        fn records_are_written_as_serde_json_writes_them(heard in prop::collection::vec(records(), 1..4)) {
            let mut stamp = Stamp::default();
            for heard in heard {
                let mut line = Vec::new();
                write(&mut line, &mut stamp, heard.at, &heard, &Translation::default()).expect("memory");
                prop_assert_eq!(String::from_utf8(line).expect("text"), expected(&heard));
            }
        }
    }
}
