//! RFC 5424: `<PRI>1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA MSG`.

use crate::escape;
use crate::event::{Field, Format, Origin, Record};
use crate::limits;
use crate::priority;

/// The record of a syslog datagram. `None`: it is not of this format.
pub fn parse(datagram: &[u8]) -> Option<Record> {
    let (priority, rest) = priority::take(datagram)?;
    let mut rest = rest.strip_prefix(b"1 ")?;
    let [time, host, application, process, message_id] = [(); 5].map(|()| word(&mut rest));
    let origin = Origin {
        time: time?,
        host: host?,
        application: application?,
        process: process?,
        message_id: message_id?,
    };
    let mut record = Record {
        level: Some(priority.level()),
        facility: Some(priority.facility()),
        origin: Some(Box::new(origin)),
        ..Record::of(Format::Syslog, String::new())
    };
    let message = structured_data(rest, &mut record.fields)?;
    let message = message.strip_prefix(b" ").unwrap_or(message);
    // RFC 5424 section 6.4: UTF-8 is marked by a byte order mark.
    let message = message.strip_prefix(b"\xef\xbb\xbf").unwrap_or(message);
    record.text = escape::text(message).trim_end_matches('\n').to_owned();
    record.held = held(&record);
    record.sequence = record.field("sequenceId").and_then(|number| number.parse().ok());
    Some(record)
}

/// A counted message (RFC 6587 section 3.4.1), `N <PRI>…`, and what follows; `None` for that where there are fewer
/// octets than counted.
pub fn frame(text: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    /// No datagram has more.
    const DIGITS: usize = 5;
    let end = text.iter().take(DIGITS + 1).position(|&byte| byte == b' ')?;
    let (count, rest) = (text.get(..end)?, text.get(end.checked_add(1)?..)?);
    let is_number = count.first().is_some_and(|first| *first != b'0') && count.iter().all(u8::is_ascii_digit);
    let count: usize = str::from_utf8(count).ok().filter(|_| is_number)?.parse().ok()?;
    priority::take(rest)?;
    Some(rest.split_at_checked(count).map_or((rest, None), |(frame, tail)| (frame, Some(tail))))
}

/// The records that the netconsole kernel held back before this one. A record in several messages says so in each.
fn held(record: &Record) -> u64 {
    let is_first = record.field("frag").is_none_or(|place| place.starts_with("0/"));
    let held = record.field("held").filter(|_| is_first);
    held.and_then(|held| held.parse().ok()).unwrap_or_default()
}

/// Takes a word and the space after it; `Some(None)` for the nil value `-`, `None` at the end.
fn word(rest: &mut &[u8]) -> Option<Option<String>> {
    let end = rest.iter().position(|&byte| byte == b' ')?;
    let word = rest.get(..end)?;
    *rest = rest.get(end.checked_add(1)?..)?;
    Some((word != b"-").then(|| escape::text(word)))
}

/// Takes `-` or `[id name="value" …]…` and gives what follows it.
fn structured_data<'a>(data: &'a [u8], fields: &mut Vec<Field>) -> Option<&'a [u8]> {
    if let Some(rest) = data.strip_prefix(b"-") {
        return Some(rest);
    }
    let mut rest = data;
    while let Some(element) = rest.strip_prefix(b"[") {
        let id = element.iter().position(|byte| matches!(byte, b' ' | b']'))?;
        rest = element.get(id..)?;
        while let Some(parameter) = rest.strip_prefix(b" ") {
            let equals = parameter.windows(2).position(|pair| pair == b"=\"")?;
            let name = escape::text(parameter.get(..equals)?);
            let (value, tail) = quoted(parameter.get(equals.checked_add(2)?..)?)?;
            if fields.len() < limits::FIELDS {
                fields.push((name.into(), escape::text(&value).into()));
            }
            rest = tail;
        }
        rest = rest.strip_prefix(b"]")?;
    }
    (rest.len() < data.len()).then_some(rest)
}

/// A value up to its closing quote, with `\"`, `\\` and `\]` undone (RFC 5424 section 6.3.3).
fn quoted(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut value = Vec::new();
    let mut rest = bytes;
    loop {
        match rest {
            [b'"', tail @ ..] => return Some((value, tail)),
            [b'\\', escaped @ (b'"' | b'\\' | b']'), tail @ ..] => {
                value.push(*escaped);
                rest = tail;
            }
            [byte, tail @ ..] => {
                value.push(*byte);
                rest = tail;
            }
            [] => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_message() {
        let record = parse(
            b"<4>1 2026-11-24T21:22:23.000123Z board7 kernel - - [meta sequenceId=\"417\" q=\"a\\\"b\\]\"][x@1] \xef\xbb\xbfwarm\n",
        )
        .expect("a syslog message");
        assert_eq!((record.level, record.facility, record.sequence), (Some(4), Some(0), Some(417)));
        assert_eq!(record.field("q"), Some("a\"b]"));
        assert_eq!(record.text, "warm");
        let origin = record.origin.expect("syslog has an origin");
        assert_eq!(origin.time.as_deref(), Some("2026-11-24T21:22:23.000123Z"));
        assert_eq!((origin.host.as_deref(), origin.application.as_deref()), (Some("board7"), Some("kernel")));
    }

    #[test]
    fn records_held_back_by_the_level() {
        let held = |more: &str| {
            let message = format!("<6>1 - - kernel - m [netconsole@32473 seq=\"9\" held=\"3\"{more}] text");
            parse(message.as_bytes()).map(|record| record.held)
        };
        assert_eq!(held(""), Some(3));
        assert_eq!([held(" frag=\"0/9\""), held(" frag=\"4/9\"")], [Some(3), Some(0)]);
    }

    #[test]
    fn nil_values_and_no_text() {
        let record = parse(b"<191>1 - - - - - -").expect("a syslog message");
        assert_eq!((record.level, record.facility, record.text.as_str()), (Some(7), Some(23), ""));
        assert_eq!(record.origin, Some(Box::default()));
    }

    #[test]
    fn what_is_not_of_the_format() {
        for datagram in [
            "<192>1 - - - - - - x",
            "<4> old style",
            "<>1 - - - - - -",
            "<4>1 - - -",
            "<4>1 - - - - - [a b=\"c",
            "<4>1 - - - - - x",
        ] {
            assert_eq!(parse(datagram.as_bytes()), None, "{datagram}");
        }
    }
}
