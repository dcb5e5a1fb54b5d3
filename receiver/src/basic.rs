//! The basic format: console text, `[    0.000123] text\n`. A datagram holds whole lines, or a piece of a long
//! one of which the next datagram holds the rest. Each line is a record: the format shows no other border.

use std::time::Duration;

use crate::escape;
use crate::event::{Format, Record};
use crate::limits;

/// Joins a sender's datagrams to lines.
#[derive(Debug, Default)]
pub struct Lines {
    piece: Vec<u8>,
    since: Duration,
}

impl Lines {
    /// Takes a datagram, gives the lines that it ends.
    pub fn datagram(&mut self, bytes: &[u8], now: Duration) -> Vec<Record> {
        let mut records = Vec::new();
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.piece.extend_from_slice(line);
            self.since = now;
            if line.ends_with(b"\n") || self.piece.len() > limits::LINE_BYTES {
                records.extend(self.end());
            }
        }
        records
    }

    /// Ends a line that got no line end in time.
    pub fn tick(&mut self, now: Duration) -> Option<Record> {
        (now.saturating_sub(self.since) >= limits::PIECE_WAIT).then(|| self.end())?
    }

    /// Ends the line.
    pub fn end(&mut self) -> Option<Record> {
        let piece = std::mem::take(&mut self.piece);
        (!piece.is_empty()).then(|| record(&piece))
    }

    /// When a piece that waits for its end has waited long enough.
    pub fn due(&self) -> Option<Duration> {
        (!self.piece.is_empty()).then(|| self.since.saturating_add(limits::PIECE_WAIT))
    }
}

fn record(line: &[u8]) -> Record {
    let line = escape::text(line.strip_suffix(b"\n").unwrap_or(line));
    let (timestamp, text) = match timestamp(&line) {
        Some((timestamp, text)) => (Some(timestamp), text.to_owned()),
        None => (None, line),
    };
    Record {
        format: Format::Basic,
        level: None,
        facility: None,
        sequence: None,
        timestamp,
        origin: None,
        release: None,
        text,
        fields: Vec::new(),
        held: 0,
        incomplete: false,
    }
}

/// The time of `[    0.000123] text` in µs, and the text.
fn timestamp(line: &str) -> Option<(u64, &str)> {
    let (time, text) = line.strip_prefix('[')?.split_once("] ")?;
    let (seconds, micros) = time.trim_start_matches(' ').split_once('.')?;
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(seconds) || !digits(micros) || micros.len() != 6 {
        return None;
    }
    let seconds: u64 = seconds.parse().ok()?;
    Some((seconds.checked_mul(1_000_000)?.checked_add(micros.parse().ok()?)?, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1);

    #[test]
    fn a_line_is_a_record() {
        let records = Lines::default().datagram(b"[   12.000345]  two\n[x] none\n", NOW);
        let seen: Vec<_> = records.iter().map(|record| (record.timestamp, record.text.as_str())).collect();
        assert_eq!(seen, [(Some(12_000_345), " two"), (None, "[x] none")]);
    }

    #[test]
    fn pieces_are_joined_or_given_after_a_while() {
        let mut lines = Lines::default();
        assert!(lines.datagram(b"one ", NOW).is_empty());
        let joined = lines.datagram(b"line\nrest", NOW);
        assert_eq!(joined.first().map(|record| record.text.as_str()), Some("one line"));
        assert_eq!(lines.tick(NOW), None);
        assert_eq!(lines.tick(NOW + limits::PIECE_WAIT).map(|record| record.text).as_deref(), Some("rest"));
        assert_eq!(lines.due(), None);
    }

    #[test]
    fn a_line_without_end_does_not_grow() {
        let mut lines = Lines::default();
        for _ in 0..1000 {
            lines.datagram(&[b'x'; 1000], NOW);
            assert!(lines.piece.len() <= limits::LINE_BYTES + 1000);
        }
    }
}
