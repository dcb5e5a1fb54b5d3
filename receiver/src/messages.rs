//! Where a message of text ends, and which format it is of.
//!
//! A datagram's end ends a message unless the next one of that sender continues it: the last did not end in a
//! newline, the sender has ended lines with newlines before or sends single characters, the next begins no message,
//! and it comes within [`limits::PIECE_WAIT`]. What [`begins`] tells always begins one.
//!
//! A datagram as long as netconsole cuts its lines, [`limits::CHUNK_BYTES`], that does not end its line is known to
//! have a rest. It waits for that although lines of other CPUs come in between, and is marked where it does not come.

use std::time::Duration;

use memchr::memchr;

use crate::escape;
use crate::event::{Format, Record};
use crate::limits;
use crate::{basic, json_lines, loose, priority, syslog, terminal};

/// One sender's messages of text.
#[derive(Debug, Default)]
pub struct Messages {
    piece: Piece,
    /// The sender has ended lines with newlines.
    ends_lines: bool,
    /// The last message was given out before its line's end came.
    is_open: bool,
    /// What was shown of that line: a terminal's cursor may go back into it.
    shown: Vec<u8>,
}

/// A line without its end.
#[derive(Debug, Default)]
struct Piece {
    bytes: Vec<u8>,
    /// When its first part came, and its last.
    began: Duration,
    since: Duration,
    /// netconsole cut the line behind it: it has a rest.
    is_chunk: bool,
}

impl Messages {
    /// Takes a datagram, gives the messages that it ends. `is_cut`: its own end was cut off on the way.
    pub fn datagram(&mut self, bytes: &[u8], is_cut: bool, now: Duration) -> Vec<Record> {
        let mut records = Vec::new();
        records.extend(self.tick(now));
        // A character alone begins nothing: `{` may be one of many.
        let is_begun = bytes.len() > 1 && begins(bytes);
        let is_between = is_begun && self.piece.is_chunk && bytes.ends_with(b"\n");
        if is_begun && !is_between {
            records.extend(self.end());
        }
        self.ends_lines |= bytes.ends_with(b"\n");
        if is_begun && let Some(whole) = whole(bytes, is_cut) {
            records.extend(whole);
            return records;
        }
        let waiting = if is_between { std::mem::take(&mut self.piece) } else { Piece::default() };
        self.lines(bytes, now, &mut records);
        if is_cut {
            let last = self.end().or_else(|| records.pop());
            records.extend(last.map(Record::cut));
        } else if !self.waits_for_more(bytes) {
            records.extend(self.end());
        }
        if is_between {
            self.piece = waiting;
        }
        records
    }

    /// A message of the extended format came: a piece ends, unless it is known to have a rest.
    pub fn interrupt(&mut self) -> Option<Record> {
        if self.piece.is_chunk { None } else { self.end() }
    }

    /// Gives out a piece of which the rest did not come in time.
    pub fn tick(&mut self, now: Duration) -> Option<Record> {
        self.due().filter(|due| now >= *due).and_then(|_| self.end())
    }

    /// Gives out the piece that waits.
    pub fn end(&mut self) -> Option<Record> {
        let Piece { bytes, is_chunk, .. } = std::mem::take(&mut self.piece);
        if bytes.is_empty() {
            return None;
        }
        let line = self.after_shown(&bytes);
        self.is_open = true;
        let record = message(&line);
        let is_text = record.timestamp.is_none() && record.origin.is_none();
        if is_text && self.ends_lines && line.len() <= limits::SHOWN_BYTES {
            self.shown = line;
        }
        Some(if is_chunk { record.cut() } else { record })
    }

    /// When a piece that waits for its rest has waited long enough.
    pub fn due(&self) -> Option<Duration> {
        let Piece { bytes, began, since, .. } = &self.piece;
        let due = since.saturating_add(limits::PIECE_WAIT).min(began.saturating_add(limits::PIECES_WAIT));
        (!bytes.is_empty()).then_some(due)
    }

    /// Takes lines, the first of which continues the piece. A piece of a line remains.
    fn lines(&mut self, bytes: &[u8], now: Duration, records: &mut Vec<Record>) {
        let is_syslog = priority::take(bytes).is_some();
        let mut left = bytes;
        while !left.is_empty() {
            let length = memchr(b'\n', left).map_or(left.len(), |end| end + 1);
            let Some((line, after)) = left.split_at_checked(length) else { return };
            left = after;
            // A syslog message may have several lines.
            if is_syslog
                && !begins(line)
                && let Some(last) = records.last_mut().filter(|last| last.format == Format::Syslog)
            {
                last.text.push('\n');
                last.text.push_str(&escape::text(without_end(line)));
                continue;
            }
            let Some(rest) = line.strip_suffix(b"\n") else {
                self.hold(line, now);
                if self.piece.bytes.len() > limits::LINE_BYTES {
                    records.extend(self.end());
                }
                continue;
            };
            if self.piece.bytes.is_empty() && !self.is_open {
                records.push(message(without_return(rest)));
            } else {
                self.piece.bytes.extend_from_slice(rest);
                records.extend(self.line());
            }
        }
        self.piece.is_chunk = !self.piece.bytes.is_empty() && limits::CHUNK_BYTES.contains(&bytes.len());
    }

    fn hold(&mut self, bytes: &[u8], now: Duration) {
        if self.piece.bytes.is_empty() {
            self.piece.began = now;
        }
        self.piece.since = now;
        self.piece.bytes.extend_from_slice(bytes);
    }

    /// The line whose end has come. Nothing, where all of it was given out before.
    fn line(&mut self) -> Option<Record> {
        let piece = std::mem::take(&mut self.piece).bytes;
        let piece = without_return(&piece);
        let is_given_out = std::mem::take(&mut self.is_open) && piece.is_empty();
        let line = self.after_shown(piece);
        (!is_given_out).then(|| message(&line))
    }

    /// The piece, after what was shown of its line already, if the cursor goes back into that.
    fn after_shown(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut line = std::mem::take(&mut self.shown);
        if !terminal::goes_back(piece) {
            line.clear();
        }
        line.extend_from_slice(piece);
        line
    }

    /// Whether the piece that this datagram has left may be continued.
    fn waits_for_more(&self, datagram: &[u8]) -> bool {
        let is_character = datagram.len() == 1;
        self.piece.is_chunk || is_character || self.ends_lines && json_lines::parse(datagram).is_none()
    }
}

/// Whether text begins a message, whatever came before: a priority, a time, a count of octets before a priority, or
/// a JSON object. The header of the extended format begins one, too, and has been taken out by then.
pub fn begins(text: &[u8]) -> bool {
    match text.first() {
        Some(b'<') => priority::take(text).is_some(),
        Some(b'[') => basic::begins_with_time(text),
        Some(b'{') => true,
        Some(b'0'..=b'9' | b'A'..=b'Z') => loose::has_time(text) || syslog::frame(text).is_some(),
        _ => false,
    }
}

/// The messages of a datagram that holds only whole ones, newlines and all: RFC 5424, counted ones (RFC 6587), or an
/// object of JSON over several lines.
fn whole(bytes: &[u8], is_cut: bool) -> Option<Vec<Record>> {
    let cut = |record: Record| if is_cut { record.cut() } else { record };
    if let Some(record) = syslog::parse(bytes).or_else(|| json_lines::parse(bytes)) {
        return Some(vec![cut(record)]);
    }
    let (mut records, mut rest) = (Vec::new(), bytes);
    while let Some((frame, tail)) = syslog::frame(rest) {
        let is_short = tail.is_none();
        let record = message(without_end(frame));
        records.push(if is_short { record.cut() } else { record });
        rest = tail.unwrap_or_default();
    }
    // What is behind the last frame is no frame.
    if !records.is_empty() && !rest.trim_ascii().is_empty() {
        records.push(cut(message(rest)));
    }
    (!records.is_empty()).then_some(records)
}

/// The record of a message, its line end taken off.
fn message(message: &[u8]) -> Record {
    let found = match message.first() {
        Some(b'{') => json_lines::parse(message),
        Some(b'<') => syslog::parse(message).or_else(|| loose::parse(message)),
        Some(b'[') => None,
        _ => loose::parse(message),
    };
    let mut record = found.unwrap_or_else(|| basic::record(message));
    // Where a log has times, such characters are somebody's text, and hide nothing.
    let is_plain = record.format == Format::Basic && record.timestamp.is_none() && record.level.is_none();
    if is_plain && terminal::is_moving(message) {
        record.text = terminal::shown(&record.text);
    }
    record
}

/// A line without its end, `\n` or `\r\n`.
fn without_end(line: &[u8]) -> &[u8] {
    without_return(line.strip_suffix(b"\n").unwrap_or(line))
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1);

    /// The texts of datagrams that come at these milliseconds, and of what is left at the end.
    fn texts(datagrams: &[(u64, &str)]) -> Vec<String> {
        let (mut messages, mut records) = (Messages::default(), Vec::new());
        for &(at, bytes) in datagrams {
            let now = NOW + Duration::from_millis(at);
            records.extend(messages.tick(now));
            records.extend(messages.datagram(bytes.as_bytes(), false, now));
        }
        records.extend(messages.end());
        records.into_iter().map(|record| record.text).collect()
    }

    #[test]
    fn a_line_is_a_message() {
        assert_eq!(texts(&[(0, "[   12.000345]  two\n[x] none\n\n")]), [" two", "[x] none", ""]);
    }

    #[test]
    fn a_sender_without_newlines_has_a_message_a_datagram() {
        assert_eq!(texts(&[(0, "one"), (1, "two"), (2, "three\n")]), ["one", "two", "three"]);
        assert_eq!(texts(&[(0, "one"), (1, "\n"), (2, "\n")]), ["one", ""]);
    }

    #[test]
    fn a_sender_with_newlines_has_pieces() {
        assert_eq!(texts(&[(0, "a\n"), (1, "one "), (50, "two "), (149, "end\n")]), ["a", "one two end"]);
        assert_eq!(texts(&[(0, "a\n"), (1, "one"), (101, "two\n")]), ["a", "one", "two"]);
    }

    #[test]
    fn what_begins_a_message_continues_none() {
        for text in ["<6>", "[    1.000000] ", "{", "Nov 24 21:22:23 ", "2026-11-24T21:22:23Z ", "9 <6>x"] {
            let seen = texts(&[(0, "a\n"), (1, "piece"), (2, &format!("{text}b\n"))]);
            assert_eq!((seen.len(), seen[1].as_str()), (3, "piece"), "{text}: {seen:?}");
        }
    }

    #[test]
    fn after_a_character_alone_a_datagram_is_a_message_again() {
        assert_eq!(texts(&[(0, "x"), (1, "one"), (2, "two")]), ["xone", "two"]);
        assert_eq!(texts(&[(0, "x"), (100, "one"), (101, "two")]), ["x", "one", "two"]);
    }

    #[test]
    fn a_chunk_waits_for_its_rest_behind_lines_in_between() {
        let chunk = format!("[    1.000000] {}", "x".repeat(985));
        let text = "x".repeat(985);
        let between = "[    1.000001] other\n";
        let whole = texts(&[(0, &chunk), (1, between), (2, "rest\n")]);
        assert_eq!(whole, ["other".to_owned(), format!("{text}rest")]);
        let lost = texts(&[(0, &chunk), (1, between), (101, "[    1.100000] next\n")]);
        assert_eq!(lost, ["other".to_owned(), format!("{text}…"), "next".to_owned()]);
        let next = texts(&[(0, &chunk), (1, &chunk), (2, "rest\n")]);
        assert_eq!(next, [format!("{text}…"), format!("{text}rest")]);
    }

    #[test]
    fn single_characters_are_a_terminals_line() {
        let typed: Vec<_> =
            "{ab\u{8}c\r\n".split_inclusive(|_| true).zip(0..).map(|(c, at)| (at, c)).collect();
        assert_eq!(texts(&typed), ["{ac"]);
        let count =
            [(0, "\n"), (1, "stop:  2 "), (2, "\u{8}"), (1000, "\u{8}\u{8} 1 "), (2000, "\n"), (2001, "\n")];
        assert_eq!(texts(&count), ["", "stop:  2 ", "stop:  1 ", ""]);
    }

    #[test]
    fn a_datagram_that_was_cut_is_marked_and_continued_by_nothing() {
        let mut messages = Messages::default();
        for (bytes, text) in
            [("a\nb", "b…"), ("c\n", "c…"), ("<6>1 - - - - - - d", "d…"), ("{\"msg\":", "{\"msg\":…")]
        {
            let records = messages.datagram(bytes.as_bytes(), true, NOW);
            let last = records.last().expect("a record");
            assert_eq!((last.text.as_str(), last.incomplete, messages.due()), (text, true, None));
        }
    }

    #[test]
    fn counted_messages() {
        assert_eq!(texts(&[(0, "5 <6>a\n4 <6>b")]), ["a", "b"]);
        assert_eq!(texts(&[(0, "8 <6>short")]), ["short"]);
        assert_eq!(texts(&[(0, "9 <6>short")]), ["short…"]);
        assert_eq!(texts(&[(0, "99 bottles")]), ["99 bottles"]);
    }

    #[test]
    fn a_line_without_end_does_not_grow() {
        let mut messages = Messages::default();
        messages.datagram(b"\n", false, NOW);
        for _ in 0..1000 {
            messages.datagram(&[b'x'; 1000], false, NOW);
            assert!(messages.piece.bytes.len() <= limits::LINE_BYTES + 1000);
        }
    }
}
