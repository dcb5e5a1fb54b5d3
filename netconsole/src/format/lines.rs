//! The basic format, fast: records that are one plain line, as most are, of this boot, or of the kernel that crashed before it.

use super::basic::{LONG_UPTIME, TIME_LEN, time};
use super::output::eight_digits;
use super::{MAX_DATAGRAM, RingLog, Style};
use crate::ring::{Found, Past, Ring, Timebase};
use crate::settings::Format;
use crate::wire::checksum::Sum;

/// Makes datagrams of one record after the other.
pub(crate) struct Lines<'l, 'r> {
    ring: &'l Ring<'r>,
    timebase: &'l Timebase,
    /// Only records with a lower level number.
    limit: u8,
    has_time: bool,
    time: LineTime,
    /// The log of the kernel that crashed before this boot, and the number after its last record's.
    past: Option<(&'l dyn Past, u64)>,
    recent: Option<&'l mut RecentLines<'r>>,
}

impl<'l, 'r> Lines<'l, 'r> {
    /// Lines as `style` has them; `None` where that is not the basic format. Where there are others that want the same
    /// ones, `recent` spares making them again.
    pub(crate) fn new(
        style: &Style<'_>,
        log: &RingLog<'l, 'r>,
        limit: u8,
        recent: Option<&'l mut RecentLines<'r>>,
    ) -> Option<Self> {
        // The other fields are for the other formats: a new one that the basic format shows must come in here.
        let Style {
            format,
            time: has_time,
            release: _,
            user_data: _,
            system_data: _,
            emergency: _,
            held: _,
            behind: _,
            host_name: _,
            address: _,
            epoch: _,
            calendar,
        } = *style;
        let (ring, timebase) = (log.ring(), log.timebase());
        let past = ring.past_that_goes();
        let lines = Self { ring, timebase, limit, has_time, time: LineTime::NONE, past, recent };
        (format == Format::Basic && !calendar).then_some(lines)
    }

    /// Writes a record to the start of `to`, in one pass over its text that proves it to be intact; returns the
    /// datagram's length and sum. `None`, and what is in `to` means nothing, where the record is not there, of an
    /// earlier boot, not to go out, or is no plain line: [`Cursor::datagram`](super::Cursor::datagram) is for those.
    #[inline(always)]
    pub(crate) fn write(&mut self, sequence: u64, to: &mut [u8]) -> Option<(usize, Sum)> {
        if let Some((past, end)) = self.past
            && sequence < end
        {
            return self.write_past(past, sequence, to);
        }
        let start = if self.has_time { TIME_LEN } else { 0 };
        let text_at = to.get_mut(start..)?;
        let line = match self.recent.as_ref().and_then(|recent| recent.get(sequence)) {
            Some(line) if line.record.level().passes(self.limit) => {
                self.ring.copy(&line.record, text_at, |(), _| ())?;
                *line
            }
            _ => self.make(sequence, text_at)?,
        };
        let end = start.saturating_add(line.record.len());
        *to.get_mut(end)? = b'\n';
        let newline = Sum::ZERO.add_word(b'\n'.into());
        let mut sum = Sum::ZERO.add_at(start, line.text).add_at(end, newline);
        if self.has_time {
            let (first, last) = line.time;
            write_time(to.first_chunk_mut::<TIME_LEN>()?, first, last)?;
            sum = sum.add_word(first).add_word(last >> 8);
        }
        Some((end.saturating_add(1), sum))
    }

    /// The same of a record of the kernel that crashed before this boot.
    #[inline(never)]
    fn write_past(&mut self, past: &dyn Past, sequence: u64, to: &mut [u8]) -> Option<(usize, Sum)> {
        let record = past.find(sequence)?;
        if !record.goes || record.caller.is_some() || record.len >= MAX_DATAGRAM - TIME_LEN {
            return None;
        }
        let start = if self.has_time { TIME_LEN } else { 0 };
        let end = start.saturating_add(record.len);
        let line = to.get_mut(..end.saturating_add(1))?;
        let (newline, rest) = line.split_last_mut()?;
        *newline = b'\n';
        let (prefix, text) = rest.split_at_mut_checked(start)?;
        past.copy_text(&record, 0, text);
        if let Some(prefix) = prefix.first_chunk_mut::<TIME_LEN>() {
            let (first, last) = self.time.text(record.micros)?;
            write_time(prefix, first, last)?;
        }
        let (words, tail) = rest.as_chunks::<8>();
        let (mut sum, mut low) = (Sum::ZERO, 0);
        for word in words {
            let word = u64::from_le_bytes(*word);
            (sum, low) = (sum.add_word(word), low | control_characters(word));
        }
        // Other characters set the bits too.
        if tail.contains(&b'\n') || low & HIGH_BITS != 0 && rest.contains(&b'\n') {
            return None;
        }
        let sum = sum.add_bytes(tail).add_at(end, Sum::ZERO.add_word(b'\n'.into()));
        Some((end.saturating_add(1), sum))
    }

    /// Copies a record's text to the start of `to`; returns what is to be known of it.
    #[inline(always)]
    fn make(&mut self, sequence: u64, to: &mut [u8]) -> Option<Line<'r>> {
        let record = self.ring.find(sequence)?;
        if !record.level().passes(self.limit) || record.len() >= MAX_DATAGRAM - TIME_LEN {
            return None;
        }
        let (text, low) = self.ring.copy(&record, to, |(sum, low): (Sum, u64), word| {
            (sum.add_word(word), low | control_characters(word))
        })?;
        if low & HIGH_BITS != 0 {
            return None;
        }
        let micros = self.timebase.micros(record.ticks).saturating_add(self.ring.origin());
        let time = self.time.text(micros)?;
        let line = Line { sequence, record, text, time };
        if let Some(recent) = &mut self.recent {
            recent.keep(line);
        }
        Some(line)
    }
}

/// What is known of a plain line.
#[derive(Clone, Copy)]
struct Line<'r> {
    sequence: u64,
    record: Found<'r>,
    /// The sum of its text.
    text: Sum,
    /// The text of its time, as [`LineTime::text`] gives it.
    time: (u64, u64),
}

/// The lines that were made last, for the next target: its own copies of their texts come from the ring and are proven
/// too, but nothing else of them has to be found out again.
pub struct RecentLines<'r>([Option<Line<'r>>; RECENT]);

/// As many as a turn ships.
const RECENT: usize = 64;

impl<'r> RecentLines<'r> {
    /// No lines.
    #[expect(clippy::new_without_default, reason = "it is large, and made once")]
    pub const fn new() -> Self {
        Self([const { None }; RECENT])
    }

    #[inline(always)]
    fn get(&self, sequence: u64) -> Option<&Line<'r>> {
        self.0.get(sequence as usize % RECENT)?.as_ref().filter(|line| line.sequence == sequence)
    }

    #[inline(always)]
    fn keep(&mut self, line: Line<'r>) {
        if let Some(slot) = self.0.get_mut(line.sequence as usize % RECENT) {
            *slot = Some(line);
        }
    }
}

/// The text of a time, kept for the next one: those of a burst differ in the last digits.
struct LineTime {
    /// The time in units of 10 ms.
    hundredths: u64,
    /// The first eight bytes of its text, and the last eight of its 15.
    first: u64,
    last: u64,
}

impl LineTime {
    /// That of no time.
    const NONE: Self = Self { hundredths: u64::MAX, first: 0, last: 0 };

    /// The first eight bytes of the text of a time in microseconds, and the last eight; `None` for one that has no
    /// text of [`TIME_LEN`] bytes.
    #[inline(always)]
    fn text(&mut self, micros: u64) -> Option<(u64, u64)> {
        const DIGITS: u64 = 10_000;
        let hundredths = micros / DIGITS;
        if hundredths != self.hundredths {
            if micros >= LONG_UPTIME {
                return None;
            }
            let [first, rest] = time(hundredths.wrapping_mul(DIGITS));
            *self = Self { hundredths, first, last: rest << 8 | first >> 56 };
        }
        // The last four digits are in the bytes 2 to 5.
        Some((self.first, self.last | eight_digits((micros % DIGITS) as u32) >> 32 << 16))
    }
}

/// Writes the text of a time, as [`LineTime::text`] gives it.
#[inline(always)]
fn write_time(prefix: &mut [u8; TIME_LEN], first: u64, last: u64) -> Option<()> {
    *prefix.split_first_chunk_mut()?.0 = first.to_le_bytes();
    *prefix.split_last_chunk_mut()?.1 = last.to_le_bytes();
    Some(())
}

const HIGH_BITS: u64 = u64::MAX / 0xff * 0x80;

/// In a word of eight bytes: sets the high bit of each from 0x01 to 0x0e, a newline among them, and leaves that of zero
/// and of all other ASCII clear. (Two sums, of which one has reached the high bit. Behind a byte of 0x80 or more both
/// may have a carry, which makes 0x0f pass.)
const fn control_characters(word: u64) -> u64 {
    word.wrapping_add(u64::MAX / 0xff * 0x7f) ^ word.wrapping_add(u64::MAX / 0xff * 0x70)
}
