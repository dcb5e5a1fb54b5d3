//! Syslog as it is found: RFC 3164, `<PRI>Mon dd hh:mm:ss HOST TAG[PID]: TEXT`, and what programs and devices make
//! of it. The time may be that of RFC 3339 (rsyslog, VMware ESXi, Cisco FTD), have a year, a fraction or a zone, or
//! a count before it (Cisco); the host may be left out (`logger`, busybox); RFC 5424 may have structured data that
//! is none (ESXi). A line that has no priority is one of these only with a time and a tag.

use crate::escape;
use crate::event::{Format, Origin, Record};
use crate::priority;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// The longest tag searched for its colon; of host names and tags in use none is longer.
const TAG_BYTES: usize = 64;

/// The record of a message, without its line end. `None`: it is none of these.
pub fn parse(message: &[u8]) -> Option<Record> {
    let (priority, rest) = match priority::take(message) {
        Some((priority, rest)) => (Some(priority), rest),
        None if has_time(message) => (None, message),
        None => return None,
    };
    let line = escape::text(rest);
    let found = match priority {
        Some(_) => rfc5424_like(&line).or_else(|| with_time(&line)).or_else(|| cisco_without_time(&line)),
        None => with_time(&line).filter(|found| found.origin.application.is_some()),
    }?;
    Some(Record {
        level: priority.map(|priority| priority.level()),
        facility: priority.map(|priority| priority.facility()),
        sequence: found.count,
        origin: Some(Box::new(found.origin)),
        ..Record::of(Format::Syslog, found.text.to_owned())
    })
}

/// Whether a message begins with a time as syslog has it.
pub fn has_time(message: &[u8]) -> bool {
    /// The longest time: `2026-11-24T21:22:23.123456789+00:00`.
    const HEAD: usize = 40;
    if !message.first().is_some_and(u8::is_ascii_alphanumeric) {
        return false;
    }
    let head = message.get(..HEAD).unwrap_or(message).utf8_chunks().next();
    let head = head.map_or("", |chunk| chunk.valid());
    iso_time(head).or_else(|| bsd_time(head)).is_some()
}

struct Found<'a> {
    origin: Origin,
    count: Option<u64>,
    text: &'a str,
}

/// `1 TIME HOST APPLICATION PROCESS MESSAGE-ID …` with a real time and whatever follows.
fn rfc5424_like(line: &str) -> Option<Found<'_>> {
    let (time, rest) = iso_time(line.strip_prefix("1 ")?)?;
    let mut words = rest.strip_prefix(' ')?.splitn(5, ' ');
    let mut word = || words.next().map(|word| (word != "-").then(|| word.to_owned()));
    let (host, application, process, message_id) = (word()?, word()?, word()?, word()?);
    let text = words.next()?;
    let origin = Origin { time: Some(time.to_owned()), host, application, process, message_id };
    Some(Found { origin, count: None, text: text.strip_prefix("- ").unwrap_or(text) })
}

/// `[COUNT: ][HOST: ][*]TIME[ HOST][ TAG]: TEXT`.
fn with_time(line: &str) -> Option<Found<'_>> {
    let (count, rest) = count(line);
    let rest = rest.strip_prefix(':').unwrap_or(rest).trim_start_matches(' ');
    let (before, rest) = match any_time(rest) {
        Some(_) => (None, rest),
        // Cisco's `logging origin-id`.
        None => rest.split_once(": ").map(|(host, rest)| (Some(host), rest))?,
    };
    if before.is_some_and(|host| !is_name(host)) {
        return None;
    }
    let (time, rest) = any_time(rest)?;
    let rest = zone(rest);
    let is_named_after = rest.starts_with(' ');
    let mut rest = rest.trim_start_matches(' ');
    let mut host = before;
    if host.is_none() && is_named_after && tag(rest).is_none() {
        let (word, tail) = rest.split_once(' ').unwrap_or((rest, ""));
        if is_name(word) {
            (host, rest) = (Some(word), tail.trim_start_matches(' '));
        }
    }
    // `HOST : %FTD-…`, `TIME: %SYS-…`.
    rest = rest.strip_prefix(':').map_or(rest, |rest| rest.trim_start_matches(' '));
    let (application, process, text) = tag(rest).unwrap_or((None, None, rest));
    let owned = |part: Option<&str>| part.map(str::to_owned);
    let origin = Origin {
        time: Some(time.to_owned()),
        host: owned(host),
        application: owned(application),
        process: owned(process),
        message_id: None,
    };
    Some(Found { origin, count, text })
}

/// `%ASA-6-302013: TEXT`, also after a colon or a count.
fn cisco_without_time(line: &str) -> Option<Found<'_>> {
    let (count, rest) = count(line);
    let rest = rest.strip_prefix(':').unwrap_or(rest).trim_start_matches(' ');
    let (application, process, text) = tag(rest.starts_with('%').then_some(rest)?)?;
    let owned = |part: Option<&str>| part.map(str::to_owned);
    let origin = Origin { application: owned(application), process: owned(process), ..Origin::default() };
    Some(Found { origin, count, text })
}

/// Cisco's count of messages, `45: `.
fn count(line: &str) -> (Option<u64>, &str) {
    let counted = line.split_once(": ").and_then(|(count, rest)| Some((number(count)?, rest)));
    counted.map_or((None, line), |(count, rest)| (Some(count), rest))
}

/// `NAME: ` or `NAME[PROCESS]: `, and what follows.
fn tag(text: &str) -> Option<(Option<&str>, Option<&str>, &str)> {
    let head = text.bytes().take(TAG_BYTES);
    let colon = head.zip(0..).find_map(|(byte, index)| (byte == b':').then_some(index))?;
    let (tag, rest) = text.split_at_checked(colon)?;
    let rest = rest.strip_prefix(':')?;
    let rest = rest.strip_prefix(' ').or(rest.is_empty().then_some(rest))?;
    match tag.strip_suffix(']').and_then(|tag| tag.split_once('[')) {
        Some((name, process)) if is_name(name) && is_name(process) => Some((Some(name), Some(process), rest)),
        Some(_) => None,
        None => is_name(tag).then_some((Some(tag), None, rest)),
    }
}

/// The name of a host or a program.
fn is_name(text: &str) -> bool {
    let is_fit = |character: char| character.is_alphanumeric() || "%-_./:@()+#".contains(character);
    !text.is_empty() && text != ":" && !text.ends_with(':') && text.len() <= 255 && text.chars().all(is_fit)
}

/// A time, with or without Cisco's mark for a clock that is not set, and what follows.
fn any_time(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix(['*', '.']).unwrap_or(text);
    iso_time(text).or_else(|| bsd_time(text))
}

/// RFC 3339, its zone at will.
fn iso_time(text: &str) -> Option<(&str, &str)> {
    let rest = digits(text, 4..=4)?.strip_prefix('-')?;
    let rest = digits(digits(rest, 2..=2)?.strip_prefix('-')?, 2..=2)?;
    let rest = clock(rest.strip_prefix(['T', ' '])?)?;
    let rest = rest.strip_prefix('Z').or_else(|| offset(rest)).unwrap_or(rest);
    split(text, rest)
}

/// `+01:00`, `-0530`.
fn offset(text: &str) -> Option<&str> {
    let rest = digits(text.strip_prefix(['+', '-'])?, 2..=2)?;
    digits(rest.strip_prefix(':').unwrap_or(rest), 2..=2)
}

/// `Nov 24 21:22:23`, also with a year before or after the hour.
fn bsd_time(text: &str) -> Option<(&str, &str)> {
    let month = text.get(..3)?;
    let rest = text.get(3..)?.strip_prefix(' ')?;
    let rest = digits(rest.trim_start_matches(' '), 1..=2).filter(|_| MONTHS.contains(&month))?;
    let rest = rest.strip_prefix(' ')?;
    let year = |text| digits(text, 4..=4);
    if let Some(rest) = year(rest) {
        return split(text, clock(rest.strip_prefix(' ')?)?);
    }
    let rest = clock(rest)?;
    let after = rest.strip_prefix(' ').and_then(year);
    split(text, after.filter(|after| after.starts_with([' ', ':'])).unwrap_or(rest))
}

/// `21:22:23` or `21:22:23.123`; what follows.
fn clock(text: &str) -> Option<&str> {
    let rest = digits(digits(text, 2..=2)?.strip_prefix(':')?, 2..=2)?;
    let rest = digits(rest.strip_prefix(':')?, 2..=2)?;
    let fraction = rest.strip_prefix(['.', ',']).and_then(|fraction| digits(fraction, 1..=9));
    Some(fraction.unwrap_or(rest))
}

/// What follows a zone that Cisco writes as ` UTC:`.
fn zone(rest: &str) -> &str {
    let zone = rest.strip_prefix(' ').and_then(|rest| rest.split_once(':'));
    let is_zone = |zone: &str| (2..=5).contains(&zone.len()) && zone.bytes().all(|b| b.is_ascii_uppercase());
    zone.filter(|(zone, _)| is_zone(zone)).map_or(rest, |(_, rest)| rest)
}

/// What follows the digits at the begin, if their number is in `count`.
fn digits(text: &str, count: std::ops::RangeInclusive<usize>) -> Option<&str> {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    text.get(end..).filter(|_| count.contains(&end))
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// The text before its tail, and the tail.
fn split<'a>(text: &'a str, tail: &'a str) -> Option<(&'a str, &'a str)> {
    text.split_at_checked(text.len().checked_sub(tail.len())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Time, host, application, process, text.
    fn seen(message: &str) -> [String; 5] {
        let record = parse(message.as_bytes()).expect(message);
        let origin = record.origin.expect("an origin");
        let parts = [origin.time, origin.host, origin.application, origin.process, Some(record.text)];
        parts.map(Option::unwrap_or_default)
    }

    #[test]
    fn dialects() {
        for (message, expected) in [
            ("<13>Nov 24 21:22:23 web1 sshd[77]: hello", ["Nov 24 21:22:23", "web1", "sshd", "77", "hello"]),
            ("<13>Nov  4 21:22:23 root: no host", ["Nov  4 21:22:23", "", "root", "", "no host"]),
            ("<13>Nov  4 21:22:23 web1 no tag here", ["Nov  4 21:22:23", "web1", "", "", "no tag here"]),
            (
                "<13>2026-11-24T21:22:23.5+01:00 web1 app: x: y",
                ["2026-11-24T21:22:23.5+01:00", "web1", "app", "", "x: y"],
            ),
            (
                "<113>Nov 24 2026 21:22:23 ftd1 : %FTD-1-430003: text",
                ["Nov 24 2026 21:22:23", "ftd1", "%FTD-1-430003", "", "text"],
            ),
            (
                "<166>Nov 24 2026 21:22:23: %ASA-6-302013: text",
                ["Nov 24 2026 21:22:23", "", "%ASA-6-302013", "", "text"],
            ),
            ("<166>%ASA-6-302013: text", ["", "", "%ASA-6-302013", "", "text"]),
            (
                "<189>45: r1: *Nov 24 21:22:23.123 UTC: %SYS-5-CONFIG_I: text",
                ["Nov 24 21:22:23.123", "r1", "%SYS-5-CONFIG_I", "", "text"],
            ),
            (
                "<166>1 2026-11-24T21:22:23Z esx1 Hostd 99 - [Originator@6876 sub=Vim] text",
                ["2026-11-24T21:22:23Z", "esx1", "Hostd", "99", "[Originator@6876 sub=Vim] text"],
            ),
            (
                "2026-11-24T21:22:23Z web1 app[1]: stored",
                ["2026-11-24T21:22:23Z", "web1", "app", "1", "stored"],
            ),
        ] {
            assert_eq!(seen(message), expected.map(str::to_owned), "{message}");
        }
    }

    #[test]
    fn what_is_none() {
        for message in
            ["text", "<6>text", "<6>[    1.000000] text", "Nov 24 21:22:23 no tag", "45: text", "<6>", "{}"]
        {
            assert_eq!(parse(message.as_bytes()), None, "{message}");
        }
    }
}
