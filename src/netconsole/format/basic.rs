//! The basic format: the text as the console shows it.
//!
//! `[    0.000123] text\n`, every line of a record with the prefix, as Linux does. A record of an
//! earlier boot has `[boot -1] ` before it; one whose writer never finished ends in ` [cut]`. What is
//! longer than a datagram goes on in the next one, at a character's border, without another prefix.

use super::Style;
use super::output::{Output, ZEROS, eight_digits};
use crate::log::Record;

/// What ends a record that was cut off.
const CUT: &[u8] = b" [cut]\n";

/// Writes from byte `offset` of the text on; returns where to go on. At a line's start the prefix is
/// still to be written; at the text's end, the ending.
pub(super) fn write(
    style: &Style<'_>,
    record: &Record<'_>,
    micros: u64,
    offset: usize,
    output: &mut Output<'_>,
) -> Option<usize> {
    if offset == 0 && !record.is_cut() && write_line(style, record, micros, output) {
        return None;
    }
    write_lines(style, record, micros, offset, output)
}

/// Writes a record that is one line, as most are, and has room; false where it is not so.
#[inline]
fn write_line(style: &Style<'_>, record: &Record<'_>, micros: u64, output: &mut Output<'_>) -> bool {
    write_prefix(style, record, micros, output);
    let text = output.text(record, 0);
    let is_line = text.len() == record.len() && !has_newline(text) && output.room() > 0;
    if is_line {
        output.byte(b'\n');
    } else {
        output.truncate(0);
    }
    is_line
}

/// Writes from byte `offset` of the text on as many lines as fit.
fn write_lines(
    style: &Style<'_>,
    record: &Record<'_>,
    micros: u64,
    offset: usize,
    output: &mut Output<'_>,
) -> Option<usize> {
    let ending = if record.is_cut() { CUT } else { b"\n" };
    let mut at = offset;
    let mut is_line_start = at == 0 || byte_at(record, at.saturating_sub(1)) == Some(b'\n');
    loop {
        if is_line_start {
            // Only together with a character, or the ending, so that it is never written twice.
            let start = output.len();
            write_prefix(style, record, micros, output);
            let needed = byte_at(record, at).map_or(ending.len(), character_len);
            if output.room() < needed {
                output.truncate(start);
                return Some(at);
            }
        }
        let start = output.len();
        let text = output.text(record, at);
        let copied = text.len();
        if has_newline(text) {
            let line = text.iter().position(|&byte| byte == b'\n').map_or(copied, |at| at.saturating_add(1));
            output.truncate(start.saturating_add(line));
            at = at.saturating_add(line);
            is_line_start = true;
            continue;
        }
        at = at.saturating_add(copied);
        if at < record.len() {
            let split = byte_at(record, at).map_or(0, |next| split_character(text, next));
            output.truncate(start.saturating_add(copied).saturating_sub(split));
            return Some(at.saturating_sub(split));
        }
        if output.room() < ending.len() {
            return Some(at);
        }
        output.bytes(ending);
        return None;
    }
}

/// How many bytes the character takes that begins with `first` (RFC 3629, section 3).
const fn character_len(first: u8) -> usize {
    match first {
        0xf0.. => 4,
        0xe0.. => 3,
        0xc0.. => 2,
        _ => 1,
    }
}

#[inline(always)]
fn write_prefix(style: &Style<'_>, record: &Record<'_>, micros: u64, output: &mut Output<'_>) {
    let boot = record.boot();
    if boot != 0 {
        output.bytes(b"[boot -");
        output.decimal(boot.into());
        output.bytes(b"] ");
    }
    if !style.time {
        return;
    }
    let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
    if seconds >= 100_000 {
        output.byte(b'[');
        output.decimal(seconds);
        output.byte(b'.');
        output.digits::<6>(rest as u32);
        return output.bytes(b"] ");
    }
    // In two words, as every line has it.
    const BLANKS_FROM_ZEROS: u64 = 0x10_1010_1010;
    let seconds = eight_digits(seconds as u32) >> 24;
    let leading_zeros = (seconds | 1 << 32).trailing_zeros() & !7;
    let seconds = (seconds | ZEROS >> 24) - (BLANKS_FROM_ZEROS & ((1 << leading_zeros) - 1));
    let rest = (eight_digits(rest as u32) | ZEROS) >> 16;
    output.word(u64::from(b'[') | seconds << 8 | u64::from(b'.') << 48 | rest << 56, 8);
    output.word(rest >> 8 | u64::from(b']') << 40 | u64::from(b' ') << 48, 7);
}

/// Whether there is a newline, 16 bytes at a time: most records have none, and all are searched.
#[inline(always)]
fn has_newline(text: &[u8]) -> bool {
    let Some(last) = text.last_chunk::<16>() else { return text.contains(&b'\n') };
    let mut found = [false; 16];
    for chunk in text.as_chunks::<16>().0 {
        mark_newlines(&mut found, chunk);
    }
    // It overlaps the one before, where it is not that one.
    mark_newlines(&mut found, last);
    found != [false; 16]
}

#[inline(always)]
fn mark_newlines(found: &mut [bool; 16], chunk: &[u8; 16]) {
    found.iter_mut().zip(chunk).for_each(|(found, &byte)| *found |= byte == b'\n');
}

fn byte_at(record: &Record<'_>, offset: usize) -> Option<u8> {
    let mut byte = [0];
    (record.copy_text(offset, &mut byte) == 1).then_some(byte[0])
}

/// How many bytes at the end of `text` belong to a UTF-8 character that `next` goes on with. Bytes that
/// are no UTF-8 are not kept together.
fn split_character(text: &[u8], next: u8) -> usize {
    let is_continuation = |byte: u8| byte & 0xc0 == 0x80;
    if !is_continuation(next) {
        return 0;
    }
    let tail = text.iter().rev().take(3).position(|&byte| !is_continuation(byte));
    tail.map_or(0, |continuations| continuations.saturating_add(1))
}
