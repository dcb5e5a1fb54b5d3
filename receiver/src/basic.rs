//! A console line: `[    0.000123] text`. With Linux's `console_msg_format=syslog` its priority comes first,
//! `<6>[    0.000123] text`; with PRINTK_CALLER the thread or CPU that logged follows the time,
//! `[    0.000123][   T12] text`.

use memchr::memchr;

use crate::digits;
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
    let (text, timestamp, caller) = match prefix(line) {
        Some(Prefix { text, timestamp, caller }) => (text, Some(timestamp), caller),
        None => (line, None, None),
    };
    Record {
        level: priority.map(|priority| priority.level()),
        facility: priority.map(|priority| priority.facility()),
        timestamp,
        fields: caller.into_iter().map(|caller| (CALLER.into(), caller.into())).collect(),
        ..Record::of(Format::Basic, escape::text(text))
    }
}

/// Whether a time is what the line begins with, a priority aside.
pub fn begins_with_time(line: &[u8]) -> bool {
    time(line.get(..HEAD_BYTES).unwrap_or(line)).is_some()
}

/// The time that a text begins with, a priority aside, in µs.
pub fn timestamp(text: &[u8]) -> Option<u64> {
    let text = priority::take(text).map_or(text, |(_, rest)| rest);
    time(text.get(..HEAD_BYTES).unwrap_or(text)).map(|(time, _)| time)
}

/// No time has more.
const HEAD_BYTES: usize = 40;

struct Prefix<'a> {
    timestamp: u64,
    caller: Option<String>,
    text: &'a [u8],
}

/// The time and the caller, where the line has them, and what follows.
fn prefix(line: &[u8]) -> Option<Prefix<'_>> {
    let (timestamp, rest) = time(line)?;
    if let Some(text) = rest.strip_prefix(b" ") {
        return Some(Prefix { timestamp, caller: None, text });
    }
    let inner = without_spaces(rest.strip_prefix(b"[")?);
    let (caller, text) = inner.split_at_checked(memchr(b']', inner)?)?;
    let text = text.strip_prefix(b"] ")?;
    let number = caller.strip_prefix(b"T").or_else(|| caller.strip_prefix(b"C"))?;
    let is_number = !number.is_empty() && number.len() < HEAD_BYTES && number.iter().all(u8::is_ascii_digit);
    is_number.then(|| Prefix { timestamp, caller: Some(escape::text(caller)), text })
}

/// The time of `[    0.000123]` in µs, and what follows it.
fn time(line: &[u8]) -> Option<(u64, &[u8])> {
    let (seconds, rest) = digits::take(without_spaces(line.strip_prefix(b"[")?))?;
    let (micros, rest) = rest.strip_prefix(b".")?.split_first_chunk::<6>()?;
    let micros = digits::take(micros).filter(|(_, rest)| rest.is_empty()).map(|(micros, _)| micros)?;
    Some((seconds.checked_mul(1_000_000)?.checked_add(micros)?, rest.strip_prefix(b"]")?))
}

fn without_spaces(text: &[u8]) -> &[u8] {
    let spaces = text.iter().take_while(|byte| **byte == b' ').count();
    text.get(spaces..).unwrap_or_default()
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
