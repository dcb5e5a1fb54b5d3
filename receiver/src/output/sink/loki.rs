//! Grafana Loki: its push API in JSON. A stream for each sender; levels and fields are structured metadata, as each
//! label's value makes a stream of its own.

use std::collections::BTreeMap;

use super::entry::{Encode, Entry, Key, Value};
use super::http::Format;
use crate::output::json::string;
use crate::output::lane::Batch;

/// What Grafana calls the levels.
const LEVELS: [&str; 8] = ["critical", "critical", "critical", "error", "warning", "info", "info", "debug"];

/// Writes lines.
#[derive(Debug, Default)]
pub struct Lines {
    /// Of two equal lines of one time Loki keeps one, so no two have the same.
    last: u128,
}

impl Encode for Lines {
    fn encode(&mut self, to: &mut Vec<u8>, entry: &Entry<'_>) {
        self.last = entry.at.as_nanos().max(self.last.saturating_add(1));
        to.extend_from_slice(format!("[\"{}\",", self.last).as_bytes());
        string(to, &entry.text());
        to.extend_from_slice(b",{\"address\":");
        string(to, &entry.heard.sender.address.ip().to_string());
        if let Some(level) = entry.level().and_then(|level| LEVELS.get(usize::from(level))) {
            metadata(to, "level", level);
        }
        if let Some(level) = entry.level() {
            metadata(to, "priority", &level.to_string());
        }
        let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
        entry.each(|key, value| {
            let value = match value {
                Value::Text(text) => text.to_owned(),
                Value::Number(number) => number.to_string(),
                Value::Yes => "true".to_owned(),
            };
            match key {
                Key::Own(key) => metadata(to, key, &value),
                Key::Field(key) => fields.entry(name(key)).or_default().push(value),
            }
        });
        // A name comes once.
        fields.iter().for_each(|(name, values)| metadata(to, name, &values.join(" ")));
        to.extend_from_slice(b"}]");
    }
}

fn metadata(to: &mut Vec<u8>, name: &str, value: &str) {
    to.push(b',');
    string(to, name);
    to.push(b':');
    string(to, value);
}

/// Letters, digits and underscores.
fn name(key: &str) -> String {
    let allowed = |character: char| if character.is_ascii_alphanumeric() { character } else { '_' };
    format!("field_{}", key.chars().map(allowed).collect::<String>())
}

/// A push.
#[derive(Debug)]
pub struct Push;

impl Format for Push {
    const PATH: &str = "/loki/api/v1/push";
    const TYPE: &str = "application/json";

    fn bodies(batch: &Batch) -> Vec<(Vec<u8>, u64)> {
        let mut body = b"{\"streams\":[".to_vec();
        for (number, (name, lines)) in batch.by_sender().into_iter().enumerate() {
            if number > 0 {
                body.push(b',');
            }
            body.extend_from_slice(b"{\"stream\":{\"job\":\"netconsole\",\"host\":");
            string(&mut body, name);
            body.extend_from_slice(b"},\"values\":[");
            body.extend_from_slice(&lines.join(&b","[..]));
            body.extend_from_slice(b"]}");
        }
        body.extend_from_slice(b"]}");
        vec![(body, batch.records)]
    }
}
