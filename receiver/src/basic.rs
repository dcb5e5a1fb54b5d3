//! A console line: `[    0.000123] text`. With Linux's `console_msg_format=syslog` its priority comes first,
//! `<6>[    0.000123] text`; with PRINTK_CALLER the thread or CPU that logged follows the time,
//! `[    0.000123][   T12] text`.

use crate::escape;
use crate::event::{Format, Record};
use crate::priority;

/// The field of the extended format that tells the same.
const CALLER: &str = "caller";

/// The record of a line, without its end.
pub fn record(line: &[u8]) -> Record {
    let (priority, line) = match priority::take(line) {
        Some((priority, rest)) => (Some(priority), rest),
        None => (None, line),
    };
    let line = escape::text(line);
    let prefix = prefix(&line);
    let (text, timestamp, caller) = match prefix {
        Some(Prefix { text, timestamp, caller }) => (text.to_owned(), Some(timestamp), caller),
        None => (line, None, None),
    };
    Record {
        level: priority.map(|priority| priority.level()),
        facility: priority.map(|priority| priority.facility()),
        timestamp,
        fields: caller.into_iter().map(|caller| (CALLER.to_owned(), caller)).collect(),
        ..Record::of(Format::Basic, text)
    }
}

/// Whether a time is what the line begins with, a priority aside.
pub fn begins_with_time(line: &[u8]) -> bool {
    let head = line.get(..HEAD_BYTES).unwrap_or(line);
    let head = head.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    time(head).is_some()
}

/// The time that a text begins with, a priority aside, in µs.
pub fn timestamp(text: &[u8]) -> Option<u64> {
    let text = priority::take(text).map_or(text, |(_, rest)| rest);
    let head = text.get(..HEAD_BYTES).unwrap_or(text).utf8_chunks().next()?.valid();
    time(head).map(|(time, _)| time)
}

/// No time has more.
const HEAD_BYTES: usize = 40;

struct Prefix<'a> {
    timestamp: u64,
    caller: Option<String>,
    text: &'a str,
}

/// The time and the caller, where the line has them, and what follows.
fn prefix(line: &str) -> Option<Prefix<'_>> {
    let (timestamp, rest) = time(line)?;
    if let Some(text) = rest.strip_prefix(' ') {
        return Some(Prefix { timestamp, caller: None, text });
    }
    let (caller, text) = rest.strip_prefix('[')?.split_once("] ")?;
    let caller = caller.trim_start_matches(' ');
    let number = caller.strip_prefix(['T', 'C']).filter(|number| is_digits(number))?;
    (number.len() < HEAD_BYTES).then(|| Prefix { timestamp, caller: Some(caller.to_owned()), text })
}

/// The time of `[    0.000123]` in µs, and what follows it.
fn time(line: &str) -> Option<(u64, &str)> {
    let (time, rest) = line.strip_prefix('[')?.split_once(']')?;
    let (seconds, micros) = time.trim_start_matches(' ').split_once('.')?;
    if !is_digits(seconds) || !is_digits(micros) || micros.len() != 6 {
        return None;
    }
    let seconds: u64 = seconds.parse().ok()?;
    Some((seconds.checked_mul(1_000_000)?.checked_add(micros.parse().ok()?)?, rest))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(line: &str) -> (Option<u8>, Option<u64>, Option<String>, String) {
        let record = record(line.as_bytes());
        (record.level, record.timestamp, record.field(CALLER).map(str::to_owned), record.text)
    }

    #[test]
    fn time_priority_and_caller() {
        let text = || "text".to_owned();
        assert_eq!(seen("[   12.000345] text"), (None, Some(12_000_345), None, text()));
        assert_eq!(seen("<3>[    0.200000] text"), (Some(3), Some(200_000), None, text()));
        assert_eq!(
            seen("[    1.000000][ T123] text"),
            (None, Some(1_000_000), Some("T123".to_owned()), text())
        );
        assert_eq!(
            seen("<14>[ 1.000000][    C0] text"),
            (Some(6), Some(1_000_000), Some("C0".to_owned()), text())
        );
        assert_eq!(seen("<6>text"), (Some(6), None, None, text()));
    }

    #[test]
    fn what_is_no_prefix_is_text() {
        for line in ["[x] none", "[    1.00000] five", "[    1.000000]none", "[    1.000000][Tx] no", "text"]
        {
            assert_eq!(seen(line), (None, None, None, line.to_owned()));
        }
    }
}
