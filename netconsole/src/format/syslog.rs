//! Syslog messages (RFC 5424), one a datagram (RFC 5426):
//! `<6>1 2026-11-14T12:00:00.000123Z host kernel - module [netconsole@32473 seq="416"] text`.
//!
//! The facility is 0, the kernel. The identifier of the structured data is RFC 5612's number for examples,
//! because there is no number of ours; its parameters are `seq`, `held="N"` where the N records directly before
//! this one were held back by the target's level, `boot="-N"` for a record of the N-th
//! boot before (whose time is not known), `cut="1"` for one whose writer never finished, and
//! `frag="<offset>/<length>"` in bytes of the text, where a record takes several messages. The text is
//! UTF-8; control characters and the backslash are written `\x0a` style, a newline among them.

use super::Style;
use super::calendar::Moment;
use super::escape::{ESCAPED_LEN, Escaping, escape};
use super::log::LogRecord;
use super::output::Output;

/// The limit of RFC 5424, section 6.
const MAX_MESSAGE_ID: usize = 32;

/// Writes from byte `offset` of the text on; returns where to go on.
pub(super) fn write(
    style: &Style<'_>,
    record: &impl LogRecord,
    micros: u64,
    offset: usize,
    output: &mut Output<'_>,
) -> Option<usize> {
    write_header(style, record, micros, output);
    let header = output.len();
    if offset == 0 {
        output.bytes(b"] ");
        let text = output.text(record, 0);
        if Escaping::Syslog.leaves(text) && !output.is_full() {
            return None;
        }
        output.truncate(header.saturating_add(2));
        if write_text(record, 0, output) >= record.len() {
            return None;
        }
        output.truncate(header);
    }
    output.bytes(b" frag=\"");
    output.decimal(offset.try_into().unwrap_or(u64::MAX));
    output.byte(b'/');
    output.decimal(record.len().try_into().unwrap_or(u64::MAX));
    output.bytes(b"\"] ");
    let next = write_text(record, offset, output);
    (next < record.len()).then_some(next)
}

/// All up to the structured data, which is left open.
fn write_header(style: &Style<'_>, record: &impl LogRecord, micros: u64, output: &mut Output<'_>) {
    output.byte(b'<');
    output.decimal(record.priority());
    output.bytes(b">1 ");
    let boot = record.boot();
    match style.epoch.and_then(|epoch| epoch.checked_add(micros)).filter(|_| boot == 0) {
        Some(time) => write_time(time, output),
        None => output.byte(b'-'),
    }
    output.byte(b' ');
    match (style.host_name, style.address) {
        (Some(name), _) => output.bytes(name.as_bytes()),
        (None, Some(address)) => output.address(address),
        (None, None) => output.byte(b'-'),
    }
    output.bytes(b" kernel - ");
    write_module(record.module().as_str(), output);
    output.bytes(b" [netconsole@32473 seq=\"");
    output.decimal(record.sequence());
    output.byte(b'"');
    if style.held > 0 {
        output.bytes(b" held=\"");
        output.decimal(style.held);
        output.byte(b'"');
    }
    if boot != 0 {
        output.bytes(b" boot=\"-");
        output.decimal(boot.into());
        output.byte(b'"');
    }
    if record.is_cut() {
        output.bytes(b" cut=\"1\"");
    }
}

/// Writes a module's name as the message's identifier: printable ASCII without blanks; where it is
/// empty, `-`.
fn write_module(name: &str, output: &mut Output<'_>) {
    if name.is_empty() {
        output.byte(b'-');
    }
    for &byte in name.as_bytes().iter().take(MAX_MESSAGE_ID) {
        output.byte(if byte.is_ascii_graphic() { byte } else { b'_' });
    }
}

/// Writes a time in microseconds since 1970 as RFC 3339 has it. After the year 9999, which it can't
/// tell, there is none.
fn write_time(micros: u64, output: &mut Output<'_>) {
    let Some(moment) = Moment::of(micros) else { return output.byte(b'-') };
    output.digits::<4>(moment.year);
    for (before, number) in [
        (b'-', moment.month),
        (b'-', moment.day),
        (b'T', moment.hour),
        (b':', moment.minute),
        (b':', moment.second),
    ] {
        output.byte(before);
        output.digits::<2>(number);
    }
    output.byte(b'.');
    output.digits::<6>(moment.micros);
    output.byte(b'Z');
}

/// Writes the text from `offset` on, escaped, until no whole character fits; returns where that is.
fn write_text(record: &impl LogRecord, offset: usize, output: &mut Output<'_>) -> usize {
    let mut at = offset;
    loop {
        let mut chunk = [0; 64];
        let copied = record.copy_text(at, &mut chunk);
        let Some(text) = chunk.get(..copied).filter(|text| !text.is_empty()) else { return at };
        for &byte in text {
            let is_escaped = Escaping::Syslog.covers(byte);
            // Neither an escape nor a character, at most four bytes as well, is cut.
            let needed = if is_escaped || byte >= 0xc0 { ESCAPED_LEN } else { 1 };
            if output.room() < needed {
                return at;
            }
            match is_escaped {
                true => output.bytes(&escape(byte)),
                false => output.byte(byte),
            }
            at = at.saturating_add(1);
        }
    }
}
