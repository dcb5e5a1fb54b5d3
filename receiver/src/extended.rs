//! The extended format: `[release,]<level>,<sequence>,<µs>,<flag>[,KEY=VALUE…];<text>\n[ KEY=VALUE\n…]`.
//! Linux: Documentation/networking/netconsole.rst and Documentation/ABI/testing/dev-kmsg.

use compact_str::CompactString;
use memchr::memchr;

use crate::digits;
use crate::escape;
use crate::event::{Continues, Field, Format, Record};
use crate::limits;

/// The longest header searched for its `;`.
const HEADER_BYTES: usize = 512;

/// What only some headers have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// The kernel's release, where prepended.
    pub release: Option<String>,
    /// Further header fields, such as Linux's `caller=T1`.
    pub fields: Vec<Field>,
}

/// A datagram's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// 0 is the kernel.
    pub facility: u8,
    /// 0–7.
    pub level: u8,
    /// Below `u64::MAX`.
    pub sequence: u64,
    /// Microseconds since boot.
    pub timestamp: u64,
    /// How many records directly before this one the sender held back by its level (`held=N`): they will not come.
    pub held: u64,
    /// How many directly after it were, where this is an announcement of the newest record (`behind=N`).
    pub behind: u64,
    /// An emergency transmission (`ncemg=1`).
    pub emergency: bool,
    /// A further piece of a line (flag `c` or `+`).
    pub is_continuation: bool,
    /// The datagram's end was cut off on the way: [`parse`] does not know that.
    pub is_cut: bool,
    /// This datagram carries a part of the record.
    pub fragment: Option<Place>,
    /// What only some headers have.
    pub extras: Extras,
}

impl Header {
    /// Facility and level as one number.
    pub fn priority(&self) -> u8 {
        self.facility << 3 | self.level
    }

    /// Whether it says what Linux never does: what the sender's level holds back, or that it sends again unasked. Who
    /// says so sends again what was lost.
    pub fn is_ours(&self) -> bool {
        self.held > 0 || self.behind > 0 || self.emergency
    }
}

/// Where a fragment belongs: `ncfrag=<offset>/<total>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Bytes before it.
    pub offset: usize,
    /// Bytes of the whole, text and fields; at most [`limits::RECORD_BYTES`].
    pub total: usize,
}

/// Splits a datagram into header and body. `None`: it is not of this format, a header in any part malformed
/// included.
pub fn parse(datagram: &[u8]) -> Option<(Header, &[u8])> {
    let head = datagram.get(..HEADER_BYTES).unwrap_or(datagram);
    // Without a release the flag is the fourth part; with one, the fifth.
    let (release, numbers) = match numbers(head) {
        Some(numbers) => (None, numbers),
        None => {
            let end = memchr(b';', head)?;
            let comma = memchr(b',', head.get(..end)?)?;
            let release = str::from_utf8(head.get(..comma)?).ok()?;
            (Some(release.to_owned()), numbers(head.get(comma + 1..)?)?)
        }
    };
    let Numbers { priority, sequence, timestamp, is_continuation, extras, left } = numbers;
    let body = datagram.get(head.len().checked_sub(left)?..)?;
    let extras = str::from_utf8(extras).ok()?;
    let mut header = Header {
        facility: u8::try_from(priority >> 3).ok()?,
        level: u8::try_from(priority & 7).ok()?,
        sequence,
        timestamp,
        held: 0,
        behind: 0,
        emergency: false,
        is_continuation,
        is_cut: false,
        fragment: None,
        extras: Extras { release, fields: Vec::new() },
    };
    let mut rest = extras;
    while !rest.is_empty() {
        let (extra, tail) = cut(rest, b',').unwrap_or((rest, ""));
        rest = tail;
        let Some((key, value)) = cut(extra, b'=') else { continue };
        match key {
            "held" if digits::all(value).is_some() => header.held = digits::all(value).unwrap_or_default(),
            "behind" if digits::all(value).is_some() => {
                header.behind = digits::all(value).unwrap_or_default()
            }
            "ncemg" => header.emergency = value != "0",
            "ncfrag" if header.fragment.is_none() => header.fragment = Some(place(value, body.len())?),
            "ncfrag" => return None,
            _ => header.extras.fields.push((key.into(), value.into())),
        }
    }
    Some((header, body))
}

/// What is before the first of these characters, and what is behind it. For texts so short the library's way takes long.
fn cut(text: &str, at: u8) -> Option<(&str, &str)> {
    let at = text.bytes().position(|byte| byte == at)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// The parts that each header has.
struct Numbers<'a> {
    priority: u16,
    sequence: u64,
    timestamp: u64,
    is_continuation: bool,
    /// What follows the flag, up to the semicolon.
    extras: &'a [u8],
    /// Bytes behind the semicolon.
    left: usize,
}

fn numbers(head: &[u8]) -> Option<Numbers<'_>> {
    let (priority, head) = number(head)?;
    let (sequence, head) = number(head)?;
    let (timestamp, tail) = number(head)?;
    let (flag, extras, left) = match tail {
        [flag, b';', body @ ..] => (*flag, &[][..], body.len()),
        [flag, b',', rest @ ..] => {
            let (extras, body) = rest.split_at_checked(memchr(b';', rest)?)?;
            (*flag, extras, body.len().checked_sub(1)?)
        }
        _ => return None,
    };
    let priority = u16::try_from(priority).ok().filter(|priority| *priority < 1 << 11)?;
    let is_continuation = match flag {
        b'-' => false,
        b'c' | b'+' => true,
        _ => return None,
    };
    let numbers = Numbers { priority, sequence, timestamp, is_continuation, extras, left };
    (sequence < u64::MAX).then_some(numbers)
}

/// A number and what follows the comma behind it.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = digits::take(text)?;
    Some((number, rest.strip_prefix(b",")?))
}

fn place(value: &str, length: usize) -> Option<Place> {
    let (offset, total) = value.split_once('/')?;
    let place = Place {
        offset: usize::try_from(digits::all(offset)?).ok()?,
        total: usize::try_from(digits::all(total)?).ok()?,
    };
    let fits =
        length > 0 && place.offset.checked_add(length)? <= place.total && place.total <= limits::RECORD_BYTES;
    fits.then_some(place)
}

/// Where a body's text ends: at its first newline.
pub fn text_end(body: &[u8]) -> usize {
    memchr(b'\n', body).unwrap_or(body.len())
}

/// The record of a header and its whole body: the text up to the first line end, then ` KEY=VALUE` lines.
pub fn record(header: &Header, extras: Extras, body: &[u8], incomplete: bool) -> Record {
    record_of(header, extras, (body, text_end(body)), incomplete)
}

/// The same, where it is known where the text [ends](text_end).
pub fn record_of(header: &Header, extras: Extras, (body, end): (&[u8], usize), incomplete: bool) -> Record {
    let text = body.get(..end).unwrap_or_default();
    let Extras { release, mut fields } = extras;
    let mut rest = body.get(end + 1..).unwrap_or_default();
    while !rest.is_empty() {
        let end = memchr(b'\n', rest).unwrap_or(rest.len());
        let line = rest.get(..end).unwrap_or_default();
        rest = rest.get(end + 1..).unwrap_or_default();
        let Some(line) = line.strip_prefix(b" ") else { continue };
        if fields.len() >= limits::FIELDS {
            break;
        }
        fields.push(field(line));
    }
    let record = Record {
        level: Some(header.level),
        facility: Some(header.facility),
        sequence: Some(header.sequence),
        timestamp: Some(header.timestamp),
        release,
        fields,
        held: header.held,
        incomplete,
        continues: if header.is_continuation { Continues::Unknown } else { Continues::Nothing },
        ..Record::of(Format::Extended, escape::unescaped_text(text))
    };
    if header.is_cut { record.cut() } else { record }
}

/// The key and the value of a line ` KEY=VALUE`, without the space.
fn field(line: &[u8]) -> Field {
    let unescaped;
    let line = match str::from_utf8(line) {
        Ok(line) if !line.bytes().any(|byte| byte == b'\\') => line,
        _ => {
            unescaped = escape::unescaped_text(line);
            &unescaped
        }
    };
    let (key, value) = cut(line, b'=').unwrap_or((line, ""));
    (CompactString::from(key), CompactString::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(datagram: &[u8]) -> Record {
        let (header, body) = parse(datagram).expect("an extended datagram");
        record(&header, header.extras.clone(), body, false)
    }

    #[test]
    fn the_documented_example() {
        let (header, body) = parse(b"6,416,5206736,-;text\n").expect("an extended datagram");
        assert_eq!(
            (header.level, header.facility, header.sequence, header.timestamp),
            (6, 0, 416, 5_206_736)
        );
        assert_eq!((header.extras.release, header.fragment, body), (None, None, &b"text\n"[..]));
    }

    #[test]
    fn release_fields_and_facility() {
        let record =
            whole(b"6.12.1+deb,14,7,9,c,caller=T1;a\\x0ab\n cpu=3\n KEY=x=y\\x09\n boot=-1\nnot a field\n");
        assert_eq!(record.release.as_deref(), Some("6.12.1+deb"));
        assert_eq!((record.level, record.facility), (Some(6), Some(1)));
        assert_eq!(record.text, "a\nb");
        let fields = [("caller", "T1"), ("cpu", "3"), ("KEY", "x=y\t"), ("boot", "-1")];
        assert_eq!(record.fields, fields.map(|(key, value)| (key.into(), value.into())));
    }

    #[test]
    fn fragments_and_emergency() {
        let (header, _) = parse(b"6,416,1758426,-,ncemg=1,ncfrag=16/31; the 2nd chunk.").expect("a fragment");
        assert!(header.emergency);
        assert_eq!(header.fragment, Some(Place { offset: 16, total: 31 }));
    }

    #[test]
    fn records_held_back_by_the_level() {
        let announcement = b"6,416,1,-,held=18446744073709551615,behind=7,ncemg=1;text\n";
        let held = whole(announcement);
        assert_eq!((held.held, held.fields.len()), (u64::MAX, 0));
        assert_eq!(parse(announcement).map(|(header, _)| header.behind), Some(7));
        // Somebody else's field of this name is a field.
        let other = whole(b"6,416,1,-,held=yes;text\n");
        assert_eq!((other.held, other.field("held")), (0, Some("yes")));
        assert_eq!(whole(b"6,416,1,-;text\n held=3\n").held, 0);
    }

    #[test]
    fn what_is_not_of_the_format() {
        for datagram in [
            "plain text; with a semicolon",
            "6,416,-;text",
            "6,416,5,x;text",
            "-6,416,5,-;text",
            "6,18446744073709551615,5,-;text",
            "6,99999999999999999999,5,-;text",
            "6,416,5,-,ncfrag=0/3;four",
            "6,416,5,-,ncfrag=18446744073709551615/1;four",
            "6,416,5,-,ncfrag=0/9,ncfrag=0/9;four",
            "6,416,5,-,ncfrag=0/999999999;four",
            "",
            ";",
        ] {
            assert_eq!(parse(datagram.as_bytes()), None, "{datagram}");
        }
    }
}
