//! The basic format: the text as the console shows it.
//!
//! `[    0.000123] text\n`, every line of a record with the prefix, as Linux does. A record of an
//! earlier boot has `[boot -1] ` before it; one whose writer never finished ends in ` [cut]`. What is
//! longer than a datagram goes on in the next one, at a character's border, without another prefix.

use super::Style;
use super::output::Output;
use crate::log::Record;

/// What ends a record that was cut off; the longest ending.
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
    let ending = if record.is_cut() { CUT } else { b"\n" };
    let mut at = offset;
    let mut is_line_start = at == 0 || byte_at(record, at.saturating_sub(1)) == Some(b'\n');
    loop {
        if is_line_start {
            // Only together with a character, or the ending, so that it is never written twice.
            let start = output.len();
            write_prefix(style, record, micros, output);
            if output.room() < CUT.len() {
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

fn write_prefix(style: &Style<'_>, record: &Record<'_>, micros: u64, output: &mut Output<'_>) {
    let boot = record.boot();
    if boot != 0 {
        output.bytes(b"[boot -");
        output.decimal(boot.into());
        output.bytes(b"] ");
    }
    if style.time {
        output.byte(b'[');
        output.right_aligned(micros / 1_000_000, 5);
        output.byte(b'.');
        output.digits::<6>((micros % 1_000_000) as u32);
        output.bytes(b"] ");
    }
}

/// Whether there is a newline, eight bytes at a time: most records have none, and all are searched.
fn has_newline(text: &[u8]) -> bool {
    const ONES: u64 = u64::MAX / 0xff;
    // The high bit of the first zero byte of `word` is set, and of no byte if there is none.
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & (ONES << 7);
    let found = |word: &[u8; 8]| zero(u64::from_le_bytes(*word) ^ (ONES * b'\n' as u64));
    let (words, tail) = text.as_chunks::<8>();
    words.iter().fold(0, |sum, word| sum | found(word)) != 0 || tail.contains(&b'\n')
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
