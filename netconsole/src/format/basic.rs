//! The basic format: the text as the console shows it.
//!
//! `[    0.000123] text\n`, every line of a record with the prefix, as Linux does. A record of an earlier boot has
//! `[boot -1] ` before it; one of another kernel that says who logged it, `[    T1]` behind the time; one whose writer
//! never finished ends in ` [cut]`. What is longer than a datagram goes on in the next one, at a character's border,
//! without another prefix.

use super::Style;
use super::calendar::Moment;
use super::log::LogRecord;
use super::output::{Output, ZEROS, eight_digits};

/// What ends a record that was cut off.
const CUT: &[u8] = b" [cut]\n";
/// Where so many bytes fit, a character or an ending does.
const MOST_NEEDED: usize = CUT.len();

/// Writes from byte `offset` of the text on as many lines as fit; returns where to go on. At a line's start the
/// prefix is still to be written; at the text's end, the ending.
pub(super) fn write(
    style: &Style<'_>,
    record: &impl LogRecord,
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
            let room = output.room();
            if room < MOST_NEEDED && room < byte_at(record, at).map_or(ending.len(), character_len) {
                output.truncate(start);
                return Some(at);
            }
        }
        let start = output.len();
        let text = output.text(record, at);
        let copied = text.len();
        if text.contains(&b'\n') {
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

fn write_prefix(style: &Style<'_>, record: &impl LogRecord, micros: u64, output: &mut Output<'_>) {
    let boot = record.boot();
    if boot != 0 {
        output.bytes(b"[boot -");
        output.decimal(boot.into());
        output.bytes(b"] ");
    }
    if style.calendar
        && boot == 0
        && let Some(moment) = style.epoch.and_then(|epoch| Moment::of(epoch.saturating_add(micros)))
    {
        return write_moment(&moment, output);
    }
    if style.time {
        write_time(micros, output);
    }
    if let Some(caller) = record.caller() {
        let mut text = [0; MAX_CALLER];
        let mut text = Output::new(&mut text);
        text.caller(caller);
        // As Linux aligns it.
        output.byte(b'[');
        (text.written().len()..CALLER_WIDTH).for_each(|_| output.byte(b' '));
        output.bytes(text.written());
        output.byte(b']');
    }
    if style.time || record.caller().is_some() {
        output.byte(b' ');
    }
}

fn write_time(micros: u64, output: &mut Output<'_>) {
    if micros >= LONG_UPTIME {
        output.byte(b'[');
        output.decimal(micros / 1_000_000);
        output.byte(b'.');
        output.digits::<6>((micros % 1_000_000) as u32);
        return output.byte(b']');
    }
    let time = time(micros).map(u64::to_le_bytes);
    output.bytes(time.as_flattened().get(..TIME_LEN - 1).unwrap_or_default());
}

/// `[Thu Jan  1 00:00:00 1970] `, as `dmesg -T` of util-linux.
fn write_moment(moment: &Moment, output: &mut Output<'_>) {
    output.byte(b'[');
    output.bytes(moment.weekday());
    output.byte(b' ');
    output.bytes(moment.month_name());
    output.byte(b' ');
    if moment.day < 10 {
        output.byte(b' ');
    }
    output.decimal(moment.day.into());
    for (before, number) in [(b' ', moment.hour), (b':', moment.minute), (b':', moment.second)] {
        output.byte(before);
        output.digits::<2>(number);
    }
    output.byte(b' ');
    output.decimal(moment.year.into());
    output.bytes(b"] ");
}

/// A caller's width in columns, and its longest text: `C` and ten digits.
const CALLER_WIDTH: usize = 6;
const MAX_CALLER: usize = 11;

/// From here on, in microseconds, the seconds have more than five digits.
pub(super) const LONG_UPTIME: u64 = 100_000_000_000;

/// The length of the time and what is around it, `[    0.000123] `, below [`LONG_UPTIME`].
pub(super) const TIME_LEN: usize = 15;

/// [`TIME_LEN`] bytes and a zero byte, as little-endian words.
#[inline(always)]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "a time below LONG_UPTIME has eleven digits, and each step works on their bytes"
)]
pub(super) const fn time(micros: u64) -> [u64; 2] {
    const BLANKS_FROM_ZEROS: u64 = 0x10_1010_1010;
    // Eleven digits: three, and eight whose first two are the last of the seconds.
    let high = three_digits((micros / 100_000_000) as u32);
    let low = eight_digits((micros % 100_000_000) as u32);
    let seconds = high | (low & 0xffff) << 24;
    let leading_zeros = (seconds | 1 << 32).trailing_zeros() & !7;
    let seconds = (seconds | ZEROS >> 24) - (BLANKS_FROM_ZEROS & ((1 << leading_zeros) - 1));
    let low = low | ZEROS;
    [
        b'[' as u64 | seconds << 8 | (b'.' as u64) << 48 | (low >> 16) << 56,
        low >> 24 | (b']' as u64) << 40 | (b' ' as u64) << 48,
    ]
}

/// The three decimal digits of a number below 1000, the first in the lowest byte.
#[expect(clippy::arithmetic_side_effects, reason = "no part is greater than the number")]
const fn three_digits(number: u32) -> u64 {
    let hundreds = number / 100;
    let tens = number / 10;
    (hundreds | (tens - hundreds * 10) << 8 | (number - tens * 10) << 16) as u64
}

fn byte_at(record: &impl LogRecord, offset: usize) -> Option<u8> {
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
