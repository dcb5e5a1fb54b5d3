//! OpenTelemetry logs: OTLP/HTTP in its JSON form (opentelemetry-proto, `collector/logs/v1`).

use serde::Deserialize;

use super::delivery::Failure;
use super::entry::{Encode, Entry, Key, Value};
use super::http::Format;
use crate::output::json::string;
use crate::output::lane::Batch;

/// Severities of OpenTelemetry, by the level of syslog (the data model's appendix B).
const SEVERITIES: [u8; 8] = [21, 19, 18, 17, 13, 10, 9, 5];
/// What the levels are called.
const LEVELS: [&str; 8] =
    ["emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug"];

/// Writes log records.
#[derive(Debug)]
pub struct Logs;

impl Encode for Logs {
    fn encode(&mut self, to: &mut Vec<u8>, entry: &Entry<'_>) {
        let nanos = entry.at.as_nanos();
        to.extend_from_slice(
            format!("{{\"timeUnixNano\":\"{nanos}\",\"observedTimeUnixNano\":\"{nanos}\"").as_bytes(),
        );
        let level = entry.level().map(usize::from);
        let severity = level.and_then(|level| SEVERITIES.get(level).zip(LEVELS.get(level)));
        if let Some((number, text)) = severity {
            let severity = format!(",\"severityNumber\":{number},\"severityText\":\"{text}\"");
            to.extend_from_slice(severity.as_bytes());
        }
        to.extend_from_slice(b",\"body\":{\"stringValue\":");
        string(to, &entry.text());
        to.extend_from_slice(b"},\"attributes\":[");
        let sender = &entry.heard.sender;
        attribute(to, "source.address", Value::Text(&sender.address.ip().to_string()));
        to.push(b',');
        attribute(to, "source.port", Value::Number(sender.address.port().into()));
        entry.each(|key, value| {
            to.push(b',');
            match key {
                Key::Own(key) => attribute(to, &format!("netconsole.{key}"), value),
                Key::Field(key) => attribute(to, &format!("netconsole.field.{key}"), value),
            }
        });
        to.extend_from_slice(b"]}");
    }
}

fn attribute(to: &mut Vec<u8>, key: &str, value: Value<'_>) {
    to.extend_from_slice(b"{\"key\":");
    string(to, key);
    to.extend_from_slice(b",\"value\":{");
    match value {
        Value::Text(text) => {
            to.extend_from_slice(b"\"stringValue\":");
            string(to, text);
        }
        // As the JSON form has 64 bits.
        Value::Number(number) => {
            to.extend_from_slice(format!("\"intValue\":\"{}\"", number.min(i64::MAX as u64)).as_bytes());
        }
        Value::Yes => to.extend_from_slice(b"\"boolValue\":true"),
    }
    to.extend_from_slice(b"}}");
}

/// What a collector answers.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Answer {
    partial_success: Partial,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Partial {
    /// In JSON 64 bits are a text, which not every collector keeps to.
    rejected_log_records: serde_json::Value,
    error_message: String,
}

/// A request for logs.
#[derive(Debug)]
pub struct Export;

impl Format for Export {
    const PATH: &str = "/v1/logs";
    const TYPE: &str = "application/json";

    /// A resource for each sender.
    fn bodies(batch: &Batch) -> Vec<(Vec<u8>, u64)> {
        let mut body = b"{\"resourceLogs\":[".to_vec();
        for (number, (name, records)) in batch.by_sender().into_iter().enumerate() {
            if number > 0 {
                body.push(b',');
            }
            body.extend_from_slice(b"{\"resource\":{\"attributes\":[");
            attribute(&mut body, "service.name", Value::Text("netconsole"));
            body.push(b',');
            attribute(&mut body, "host.name", Value::Text(name));
            body.extend_from_slice(
                b"]},\"scopeLogs\":[{\"scope\":{\"name\":\"netconsole-receiver\",\"version\":\"",
            );
            body.extend_from_slice(env!("CARGO_PKG_VERSION").as_bytes());
            body.extend_from_slice(b"\"},\"logRecords\":[");
            body.extend_from_slice(&records.join(&b","[..]));
            body.extend_from_slice(b"]}]}");
        }
        body.extend_from_slice(b"]}");
        vec![(body, batch.records)]
    }

    fn judge(answer: &[u8]) -> Result<(), Failure> {
        let Partial { rejected_log_records: rejected, error_message } =
            serde_json::from_slice::<Answer>(answer).unwrap_or_default().partial_success;
        let rejected = rejected.as_u64().or_else(|| rejected.as_str()?.parse().ok()).unwrap_or(0);
        if rejected == 0 { Ok(()) } else { Err(Failure::Refused(rejected, error_message)) }
    }
}
