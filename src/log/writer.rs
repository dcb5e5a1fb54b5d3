//! How a text gets into the ring: formatted in place, in a record that grows as it comes.

use super::layout::{CHECKSUM, Checksum, HEADER_WORDS, Header, MAX_MODULE, MAX_TEXT, TICKS, words};
use super::sync::Ordering;
use super::{Level, Ring};
use core::fmt::{self, Write};

/// Bytes of text to reserve where the text's length is not known, and to reserve more.
const GUESS: usize = 128;

/// What a text's records have in common.
#[derive(Clone, Copy)]
pub(super) struct Source<'s> {
    level: Level,
    module: &'s str,
    ticks: u64,
}

impl<'s> Source<'s> {
    pub(super) fn new(level: Level, module: &'s str, ticks: u64) -> Self {
        Self { level, module: last_part(module), ticks }
    }

    /// Records a text that is known as a whole.
    pub(super) fn write(self, ring: &Ring<'_>, text: &str) {
        let rest = self.write_part(ring, text.strip_suffix('\n').unwrap_or(text), false);
        if !rest.is_empty() {
            self.write_rest(ring, rest);
        }
    }

    #[cold]
    fn write_rest(&self, ring: &Ring<'_>, mut rest: &str) {
        while !rest.is_empty() {
            rest = self.write_part(ring, rest, true);
        }
    }

    /// Writes one record and returns the text that is left: none where the ring has no room at all.
    #[inline(always)]
    fn write_part<'t>(&self, ring: &Ring<'_>, text: &'t str, continuation: bool) -> &'t str {
        let Some(mut record) = Open::begin(ring, self, text.len(), continuation) else { return "" };
        let (fits, rest) = if text.len() <= record.room { (text, "") } else { split(text, record.room) };
        record.add_padded(ring, fits.as_bytes());
        record.count(fits.len());
        record.finish(ring);
        rest
    }

    /// Records a text as it is formatted.
    pub(super) fn format(self, ring: &Ring<'_>, text: fmt::Arguments<'_>) {
        let Some(record) = Open::begin(ring, &self, GUESS, false) else { return };
        let mut writer = Writer { ring, source: self, record: Some(record), newline: false };
        // It fails where the ring has no room for more, which is counted, or a `Display` fails: the record
        // has the text up to there.
        let _ = writer.write_fmt(text);
        writer.finish();
    }
}

/// The last bytes of a module path, as many whole characters as a record keeps.
fn last_part(module: &str) -> &str {
    match module.len().checked_sub(MAX_MODULE) {
        None | Some(0) => module,
        Some(surplus) => module.get(module.ceil_char_boundary(surplus)..).unwrap_or(""),
    }
}

/// As many whole characters as `room` bytes hold, and the others.
#[cold]
fn split(text: &str, room: usize) -> (&str, &str) {
    text.split_at_checked(text.floor_char_boundary(room)).unwrap_or((text, ""))
}

/// Takes the pieces of a text that is being formatted.
///
/// No buffer stands between: bytes are gathered in a word and stored. After every piece the header has
/// the new length, so that a crash leaves a record that reads up to there.
struct Writer<'r> {
    ring: &'r Ring<'r>,
    source: Source<'r>,
    /// `None` when the text cannot go on: no room could be reserved, or the record was overwritten.
    record: Option<Open>,
    /// A newline is written only when something follows it.
    newline: bool,
}

impl Writer<'_> {
    fn finish(&mut self) {
        if let Some(record) = self.record.take() {
            record.finish(self.ring);
        }
    }

    fn text(&mut self, text: &str) -> fmt::Result {
        let record = self.record.as_mut().ok_or(fmt::Error)?;
        if !self.ring.still_holds(record.start) {
            self.record = None;
            return Err(fmt::Error);
        }
        if text.len() <= record.room {
            record.add(self.ring, text.as_bytes());
            record.publish(self.ring);
            return Ok(());
        }
        self.long_text(text)
    }

    /// Adds a text that there is no room for.
    #[cold]
    fn long_text(&mut self, mut text: &str) -> fmt::Result {
        while let Some(record) = &mut self.record {
            record.grow(self.ring, text.len());
            let (fits, rest) = split(text, record.room);
            record.add(self.ring, fits.as_bytes());
            record.publish(self.ring);
            if rest.is_empty() {
                return Ok(());
            }
            // A fresh record has room for a character at least, so this comes to an end.
            self.finish();
            self.record = Open::begin(self.ring, &self.source, rest.len().max(GUESS), true);
            text = rest;
        }
        Err(fmt::Error)
    }
}

impl Write for Writer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.is_empty() {
            return Ok(());
        }
        if self.newline {
            self.newline = false;
            self.text("\n")?;
        }
        let line = text.strip_suffix('\n');
        self.newline = line.is_some();
        self.text(line.unwrap_or(text))
    }

    /// Padding comes character by character; it is made readable with the word that it fills, or with the
    /// next piece.
    fn write_char(&mut self, character: char) -> fmt::Result {
        match &mut self.record {
            Some(record)
                if record.room > 0
                    && !self.newline
                    && (' '..='~').contains(&character)
                    && (record.filled < 56 || self.ring.still_holds(record.start)) =>
            {
                record.add_bits(self.ring, character.into(), 8);
                record.count(1);
                if record.filled == 0 {
                    record.publish(self.ring);
                }
                Ok(())
            }
            _ => self.write_str(character.encode_utf8(&mut [0; 4])),
        }
    }
}

/// The last bytes of `bytes`, 1 to 7 of them, as a word whose other bytes are 0.
fn low_bytes(bytes: &[u8], last: &[u8]) -> u64 {
    match bytes.last_chunk::<8>() {
        Some(&chunk) => u64::from_le_bytes(chunk) >> (64 - last.len() * 8),
        None => last.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    }
}

/// What does not fit of a word that is put behind `filled` bits.
fn overflow(word: u64, filled: u32) -> u64 {
    // In two steps, as a shift by 64 is none.
    word >> 1 >> (63 - filled)
}

/// A record that is being written. All stores go to its own reservation.
struct Open {
    /// Where the record begins.
    start: usize,
    /// Where its reservation ends.
    end: usize,
    /// Where the next word goes.
    next: usize,
    /// Bytes of text that there is room for.
    room: usize,
    header: Header,
    /// Of the ticks and the words from the module path to `next`.
    checksum: Checksum,
    /// Bytes that do not fill a word yet, from the low end.
    partial: u64,
    /// How many bits of `partial` are filled: 0, 8, … 56.
    filled: u32,
}

impl Open {
    /// Begins a record with room for `text` bytes, or as many as a record can have.
    #[inline(always)]
    fn begin(ring: &Ring<'_>, source: &Source<'_>, text: usize, continuation: bool) -> Option<Self> {
        let module = source.module.as_bytes();
        let text_offset = HEADER_WORDS + words(module.len());
        let reserved = (text_offset + words(text.min(MAX_TEXT))).min(ring.max_words);
        let place = ring.reserve(reserved)?;
        let boot = ring.header.boot.load(Ordering::Relaxed);
        let start = place.position;
        let mut record = Self {
            start,
            end: start.wrapping_add(reserved),
            next: start.wrapping_add(HEADER_WORDS),
            room: reserved.saturating_sub(text_offset) * 8,
            header: Header::new(place.sequence, source.level, module.len(), boot, continuation),
            checksum: ring.seed.at(start).with(source.ticks),
            partial: 0,
            filled: 0,
        };
        ring.store(start.wrapping_add(TICKS), source.ticks, Ordering::Relaxed);
        record.add_padded(ring, module);
        // The checksum of what will not change proves a record that is cut.
        let checksum = record.checksum.finish(record.header);
        ring.store(start.wrapping_add(CHECKSUM), checksum, Ordering::Relaxed);
        ring.store(start, record.header.0, Ordering::Release);
        ring.publish(place);
        Some(record)
    }

    /// Tries to get room for `wanted` bytes, or as many as a record can have, and for some more, so that
    /// not every piece has to.
    fn grow(&mut self, ring: &Ring<'_>, wanted: usize) {
        let text = self.header.len().saturating_add(wanted.max(GUESS)).min(MAX_TEXT);
        let reserved = (self.header.text_offset() + words(text)).min(ring.max_words);
        let end = self.start.wrapping_add(reserved);
        if ring.move_end(self.header.sequence(), self.end, end) {
            self.end = end;
            self.room =
                (reserved.saturating_sub(self.header.text_offset()) * 8).saturating_sub(self.header.len());
        }
    }

    /// Adds bytes and ends with a whole word, its rest filled with zero bytes. There must be no partial
    /// word before.
    #[inline(always)]
    fn add_padded(&mut self, ring: &Ring<'_>, bytes: &[u8]) {
        let (chunks, rest) = bytes.as_chunks::<8>();
        for &chunk in chunks {
            self.add_word(ring, u64::from_le_bytes(chunk));
        }
        if !rest.is_empty() {
            self.add_word(ring, low_bytes(bytes, rest));
        }
    }

    /// Adds text, for which there must be room.
    fn add(&mut self, ring: &Ring<'_>, text: &[u8]) {
        self.add_bytes(ring, text);
        self.count(text.len());
    }

    /// Counts bytes of text that were added.
    fn count(&mut self, bytes: usize) {
        self.room = self.room.saturating_sub(bytes);
        self.header = self.header.longer_by(bytes);
    }

    /// Makes what was added so far readable.
    fn publish(&self, ring: &Ring<'_>) {
        if self.filled > 0 {
            ring.store(self.next, self.partial, Ordering::Relaxed);
        }
        ring.store(self.start, self.header.0, Ordering::Release);
    }

    #[inline(always)]
    fn finish(mut self, ring: &Ring<'_>) {
        self.complete_word(ring);
        let header = self.header.done();
        ring.store(self.start.wrapping_add(CHECKSUM), self.checksum.finish(header), Ordering::Relaxed);
        ring.store(self.start, header.0, Ordering::Release);
        if self.next != self.end {
            // Where another record has followed, the rest stays unused.
            ring.move_end(header.sequence(), self.end, self.next);
        }
    }

    fn add_bytes(&mut self, ring: &Ring<'_>, bytes: &[u8]) {
        let (chunks, rest) = bytes.as_chunks::<8>();
        // In locals, as it is the loop that all text but literals goes through.
        let (mut next, mut checksum, mut partial) = (self.next, self.checksum, self.partial);
        for &chunk in chunks {
            let word = u64::from_le_bytes(chunk);
            let joined = partial | word << self.filled;
            ring.store(next, joined, Ordering::Relaxed);
            checksum = checksum.with(joined);
            next = next.wrapping_add(1);
            partial = overflow(word, self.filled);
        }
        (self.next, self.checksum, self.partial) = (next, checksum, partial);
        if !rest.is_empty() {
            self.add_bits(ring, low_bytes(bytes, rest), rest.len() as u32 * 8);
        }
    }

    /// Adds the low `bits` bits of a word, 8 to 56, whose others are 0.
    #[inline]
    fn add_bits(&mut self, ring: &Ring<'_>, word: u64, bits: u32) {
        let joined = self.partial | word << self.filled;
        if self.filled + bits < 64 {
            self.partial = joined;
            self.filled += bits;
        } else {
            self.add_word(ring, joined);
            self.partial = overflow(word, self.filled);
            self.filled = self.filled + bits - 64;
        }
    }

    /// Ends with a whole word, its rest filled with zero bytes.
    fn complete_word(&mut self, ring: &Ring<'_>) {
        if self.filled > 0 {
            self.add_word(ring, self.partial);
            (self.partial, self.filled) = (0, 0);
        }
    }

    #[inline(always)]
    fn add_word(&mut self, ring: &Ring<'_>, word: u64) {
        ring.store(self.next, word, Ordering::Relaxed);
        self.checksum = self.checksum.with(word);
        self.next = self.next.wrapping_add(1);
    }
}
