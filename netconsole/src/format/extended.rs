//! The extended format, Linux's `/dev/kmsg` with items after the text:
//! `level,sequence,microseconds,flag;text\n`, then lines of ` KEY=VALUE\n`.
//!
//! After the flag come fields of the header: `,caller=T1` where another kernel's record says which thread logged it, `C1`
//! which CPU; `,held=<N>` where the N records directly before this one were held back by
//! the target's level, so that nobody takes them for lost; `,behind=<N>` in an announcement of the newest record where the
//! N records directly after it were; `,ncemg=1` in an emergency transmission.
//!
//! The lines come in this order: what another kernel's record has beside its text (` SUBSYSTEM=`, ` DEVICE=`),
//! ` boot=-N` for a record of the N-th boot before, ` cut=1` for one whose writer never finished, the target's own, the
//! kernel's. What follows the `;` is the body; where it does not fit, every datagram has the whole header,
//! `,ncfrag=<offset>/<length>` of the body before the `;`, and as much of the body as fits, cut anywhere, as on Linux.

use super::Style;
use super::escape::{ESCAPED_LEN, Escaping, escape};
use super::log::LogRecord;
use super::output::Output;

/// More of a release than any kernel's is not sent, so that a header always leaves room for a body.
const MAX_RELEASE: usize = 64;

/// Writes from byte `offset` of the body on; returns where to go on.
pub(super) fn write(
    style: &Style<'_>,
    release: bool,
    record: &impl LogRecord,
    micros: u64,
    offset: usize,
    output: &mut Output<'_>,
) -> Option<usize> {
    write_header(style, release, record, micros, output);
    let header = output.len();
    if offset == 0 {
        output.byte(b';');
        // Most texts have nothing to escape: they are copied once.
        let text = output.text(record, 0);
        if Escaping::Extended.leaves(text) {
            output.byte(b'\n');
            lines(style, record, &mut |part| output.bytes(part));
        } else {
            output.truncate(header.saturating_add(1));
            body(style, record, &mut |part| output.bytes(part));
        }
        if !output.is_full() {
            return None;
        }
        output.truncate(header);
    }

    let mut total = 0usize;
    body(style, record, &mut |part| total = total.saturating_add(part.len()));
    output.bytes(b",ncfrag=");
    output.decimal(offset.try_into().unwrap_or(u64::MAX));
    output.byte(b'/');
    output.decimal(total.try_into().unwrap_or(u64::MAX));
    output.byte(b';');
    let start = output.len();
    let mut skip = offset;
    body(style, record, &mut |part| match part.get(skip..) {
        Some(rest) => {
            output.bytes(rest);
            skip = 0;
        }
        None => skip = skip.saturating_sub(part.len()),
    });
    let next = offset.saturating_add(output.len().saturating_sub(start));
    (next < total).then_some(next)
}

/// All before the `;`, but the fragment's place.
fn write_header(
    style: &Style<'_>,
    release: bool,
    record: &impl LogRecord,
    micros: u64,
    output: &mut Output<'_>,
) {
    if release {
        let release = record.release().unwrap_or(style.release).as_bytes();
        output.bytes(release.get(..MAX_RELEASE).unwrap_or(release));
        output.byte(b',');
    }
    output.decimal(record.priority());
    output.byte(b',');
    output.decimal(record.sequence());
    output.byte(b',');
    output.decimal(micros);
    output.bytes(if record.is_continuation() { b",c" } else { b",-" });
    if let Some(caller) = record.caller() {
        output.bytes(b",caller=");
        output.caller(caller);
    }
    if style.held > 0 {
        output.bytes(b",held=");
        output.decimal(style.held);
    }
    if style.behind > 0 {
        output.bytes(b",behind=");
        output.decimal(style.behind);
    }
    if style.emergency {
        output.bytes(b",ncemg=1");
    }
}

/// Hands the body to `put`, part by part; every time the same bytes.
fn body(style: &Style<'_>, record: &impl LogRecord, put: &mut dyn FnMut(&[u8])) {
    let mut offset = 0usize;
    loop {
        let mut chunk = [0; 64];
        let copied = record.copy_text(offset, &mut chunk);
        let Some(text) = chunk.get(..copied).filter(|text| !text.is_empty()) else { break };
        offset = offset.saturating_add(copied);
        escaped(text, put);
    }
    put(b"\n");
    lines(style, record, put);
}

/// Hands bytes to `put`, what can't go out as it is as an escape.
fn escaped(bytes: &[u8], put: &mut dyn FnMut(&[u8])) {
    if Escaping::Extended.leaves(bytes) {
        return put(bytes);
    }
    for bytes in bytes.chunks(64) {
        let mut escaped = [0; 64 * ESCAPED_LEN];
        let mut escaped = Output::new(&mut escaped);
        for &byte in bytes {
            match Escaping::Extended.covers(byte) {
                true => escaped.bytes(&escape(byte)),
                false => escaped.byte(byte),
            }
        }
        put(escaped.written());
    }
}

/// Hands the lines after the text to `put`.
fn lines(style: &Style<'_>, record: &impl LogRecord, put: &mut dyn FnMut(&[u8])) {
    record.fields(&mut |key, value| {
        put(b" ");
        escaped(key, put);
        put(b"=");
        escaped(value, put);
        put(b"\n");
    });
    let boot = record.boot();
    if boot != 0 {
        number(b" boot=-", boot.into(), put);
    }
    if record.is_cut() {
        put(b" cut=1\n");
    }
    put(style.user_data);
    let system_data = style.system_data;
    if let Some(cpu) = system_data.cpu {
        number(b" cpu=", cpu.into(), put);
    }
    if system_data.task_name {
        put(b" taskname=");
        put(record.module().as_str().as_bytes());
        put(b"\n");
    }
    if system_data.release {
        put(b" release=");
        put(record.release().unwrap_or(style.release).as_bytes());
        put(b"\n");
    }
    if let Some(message_id) = system_data.message_id {
        number(b" msgid=", message_id.into(), put);
    }
}

/// Hands a line whose value is a number to `put`.
fn number(key: &[u8], number: u64, put: &mut dyn FnMut(&[u8])) {
    let mut digits = [0; 20];
    let mut digits = Output::new(&mut digits);
    digits.decimal(number);
    put(key);
    put(digits.written());
    put(b"\n");
}
