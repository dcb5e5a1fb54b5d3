//! Crash reports for a webhook: each is a JSON object of its own, as `--json` has it, with a sentence in `text`, which
//! chat programs show.

use super::entry::{Encode, Entry};
use super::http::Format;
use crate::event::Event;
use crate::output::json;
use crate::output::lane::Batch;

/// Writes reports.
#[derive(Debug, Default)]
pub struct Reports(json::Stamp);

impl Encode for Reports {
    fn encode(&mut self, to: &mut Vec<u8>, entry: &Entry<'_>) {
        let Event::Report(report) = &entry.heard.event else { return };
        if json::write(to, &mut self.0, entry.at, entry.heard, entry.translation).is_err() {
            return;
        }
        to.truncate(to.trim_ascii_end().len().saturating_sub(1));
        to.extend_from_slice(b",\"text\":");
        let mut text = format!("{} on {}: {}", report.kind, entry.heard.sender.name, report.title);
        if let Some(repetition) = report.repetition() {
            text.push_str(&format!(" ({repetition})"));
        }
        json::string(to, &text);
        to.push(b'}');
    }
}

/// A call for each report.
#[derive(Debug)]
pub struct Call;

impl Format for Call {
    const PATH: &str = "/";
    const TYPE: &str = "application/json";
    const UNIT: &str = "reports";

    fn bodies(batch: &Batch) -> Vec<(Vec<u8>, u64)> {
        batch.records().map(|(_, report)| (report.to_vec(), 1)).collect()
    }
}
