//! A message that is a JSON object: Talos's `json_lines`, and what other programs log. Their names for level, time
//! and text differ; what is none of these is a field.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::escape;
use crate::event::{Format, Origin, Record};
use crate::limits;

// Of several, the first counts; the others are fields.
const TEXT: [&str; 5] = ["msg", "message", "MESSAGE", "text", "log"];
const LEVEL: [&str; 8] =
    ["talos-level", "level", "severity", "PRIORITY", "priority", "lvl", "log.level", "levelname"];
const TIME: [&str; 6] = ["talos-time", "time", "@timestamp", "timestamp", "ts", "datetime"];
const HOST: [&str; 3] = ["host", "hostname", "_HOSTNAME"];
const APPLICATION: [&str; 7] =
    ["talos-service", "service", "app", "application", "logger", "SYSLOG_IDENTIFIER", "tag"];
const PROCESS: [&str; 2] = ["pid", "_PID"];
const FACILITY: [&str; 2] = ["facility", "SYSLOG_FACILITY"];

/// Facilities by their number (RFC 5424 section 6.2.1), as `syslog.h` calls them.
const FACILITIES: [&str; 12] =
    ["kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"];
/// Levels by their number, each with the names that it has.
const LEVELS: [&[&str]; 8] = [
    &["emerg", "emergency", "panic"],
    &["alert"],
    &["crit", "critical", "fatal", "dpanic"],
    &["err", "error", "severe"],
    &["warn", "warning"],
    &["notice"],
    &["info", "information", "informational"],
    &["debug", "trace", "verbose"],
];

/// The record of a message that is one JSON object, spaces around it aside. `None`: it is none.
pub fn parse(message: &[u8]) -> Option<Record> {
    if !message.starts_with(b"{") {
        return None;
    }
    let message = str::from_utf8(message).ok()?;
    let mut members = serde_json::from_str::<Members<'_>>(message).ok()?.0;
    let origin = Origin {
        time: take(&mut members, &TIME, Value::scalar),
        host: take(&mut members, &HOST, Value::string),
        application: take(&mut members, &APPLICATION, Value::string),
        process: take(&mut members, &PROCESS, Value::scalar),
        message_id: None,
    };
    let level = take(&mut members, &LEVEL, Value::level);
    let facility = take(&mut members, &FACILITY, Value::facility);
    let text = take(&mut members, &TEXT, Value::string);
    let text =
        text.map_or_else(|| message.trim_end().to_owned(), |text| text.trim_end_matches('\n').to_owned());
    let fields = members.into_iter().take(limits::FIELDS);
    Some(Record {
        level,
        facility,
        origin: (origin != Origin::default()).then(|| Box::new(origin)),
        fields: fields.map(|(key, value)| (key.into(), value.shown().into())).collect(),
        ..Record::of(Format::Json, text)
    })
}

/// Takes out the member with the first of these names that has such a value.
fn take<'a, T>(
    members: &mut Vec<(String, Value<'a>)>,
    names: &[&str],
    value: impl Fn(&Value<'a>) -> Option<T>,
) -> Option<T> {
    let found = names.iter().find_map(|name| {
        let index = members.iter().position(|(key, _)| key == name)?;
        Some((index, value(&members.get(index)?.1)?))
    });
    let (index, value) = found?;
    members.remove(index);
    Some(value)
}

/// A member's value as it is written.
#[derive(Debug)]
struct Value<'a>(&'a str);

impl Value<'_> {
    fn string(&self) -> Option<String> {
        serde_json::from_str(self.0).ok()
    }

    /// A string or a number.
    fn scalar(&self) -> Option<String> {
        let is_number = self.0.starts_with(|first: char| first == '-' || first.is_ascii_digit());
        self.string().or_else(|| is_number.then(|| self.0.to_owned()))
    }

    fn level(&self) -> Option<u8> {
        let name = self.scalar()?.to_ascii_lowercase();
        if let Ok(number) = name.parse::<u8>() {
            return match number {
                0..=7 => Some(number),
                // Those of bunyan and pino.
                10 | 20 => Some(7),
                30 => Some(6),
                40 => Some(4),
                50 => Some(3),
                60 => Some(2),
                _ => None,
            };
        }
        LEVELS.iter().zip(0..).find_map(|(names, level)| names.contains(&name.as_str()).then_some(level))
    }

    fn facility(&self) -> Option<u8> {
        let name = self.scalar()?;
        let number = name.parse().ok().filter(|number| *number < 24);
        number.or_else(|| {
            FACILITIES.iter().zip(0..).find_map(|(known, number)| (*known == name).then_some(number))
        })
    }

    fn shown(&self) -> String {
        self.string().unwrap_or_else(|| escape::text(self.0.as_bytes()))
    }
}

/// The members of an object in their order, repeated names included: nothing that came is lost.
struct Members<'a>(Vec<(String, Value<'a>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
                    members.push((key, Value(value.get())));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_level_time_and_text() {
        let record = parse(
            br#"{"pid":7,"ts":1700000000.25,"severity":"WARNING","message":"hot","a":{"b":[1, 2]},"a":null}"#,
        )
        .expect("an object");
        assert_eq!((record.level, record.text.as_str()), (Some(4), "hot"));
        let origin = record.origin.as_ref().expect("an origin");
        assert_eq!((origin.time.as_deref(), origin.process.as_deref()), (Some("1700000000.25"), Some("7")));
        let fields = [("a", r#"{"b":[1, 2]}"#), ("a", "null")];
        assert_eq!(record.fields, fields.map(|(key, value)| (key.into(), value.into())));
    }

    #[test]
    fn a_level_of_another_kind_is_a_field() {
        let record = parse(br#"{"level":"loud","msg":5}"#).expect("an object");
        assert_eq!((record.level, record.text.as_str()), (None, r#"{"level":"loud","msg":5}"#));
        assert_eq!((record.field("level"), record.field("msg")), (Some("loud"), Some("5")));
        assert_eq!(parse(br#"{"level":50}"#).and_then(|record| record.level), Some(3));
    }

    #[test]
    fn what_is_no_object() {
        for message in ["{", "{}x", "[1]", "{'a':1}", "{\"a\":\"\\ud800\"", ""] {
            assert_eq!(parse(message.as_bytes()), None, "{message}");
        }
    }
}
