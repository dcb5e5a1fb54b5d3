//! How a text gets into the ring: formatted in place, in a record that grows as it comes.

use super::layout::{CHECKSUM, Checksum, HEADER_WORDS, Header, MAX_MODULE, MAX_TEXT, TICKS, words};
use super::sync::Ordering;
use super::{Level, Ring};
use crate::partial_word::partial_word;
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

    #[inline(always)]
    fn text(&mut self, text: &str) -> fmt::Result {
        let Some(record) = &mut self.record else { return Err(fmt::Error) };
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

    /// Writes the newline that was kept back, now that something follows it.
    #[cold]
    fn kept_newline(&mut self) -> fmt::Result {
        self.newline = false;
        self.text("\n")
    }

    #[cold]
    fn character(&mut self, character: char) -> fmt::Result {
        self.write_str(character.encode_utf8(&mut [0; 4]))
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
            self.kept_newline()?;
        }
        let line = text.strip_suffix('\n');
        self.newline = line.is_some();
        self.text(line.unwrap_or(text))
    }

    /// Padding comes character by character; it is made readable with the piece that fills its word, or
    /// with the next one.
    fn write_char(&mut self, character: char) -> fmt::Result {
        match &mut self.record {
            Some(record)
                if !self.newline
                    && record.room > 0
                    && record.filled < 56
                    && (' '..='~').contains(&character) =>
            {
                record.partial |= u64::from(u32::from(character)) << record.filled;
                record.filled += 8;
                record.count(1);
                Ok(())
            }
            _ => self.character(character),
        }
    }
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
            self.add_word(ring, partial_word(rest));
        }
    }

    /// Adds text, for which there must be room.
    #[inline(always)]
    fn add(&mut self, ring: &Ring<'_>, text: &[u8]) {
        self.count(text.len());
        let mut text = text;
        if self.filled > 0 {
            let Some((head, rest)) = text.split_at_checked(8 - self.filled as usize / 8) else {
                self.partial |= partial_word(text) << self.filled;
                self.filled += text.len() as u32 * 8;
                return;
            };
            // What a shift moves out of the word is not the head's.
            let head = text
                .first_chunk::<8>()
                .map_or_else(|| partial_word(head), |&chunk| u64::from_le_bytes(chunk));
            self.add_word(ring, self.partial | head << self.filled);
            text = rest;
        }
        let (chunks, rest) = text.as_chunks::<8>();
        // In locals, as it is the loop that all text but literals goes through.
        let (mut next, mut checksum) = (self.next, self.checksum);
        for &chunk in chunks {
            let word = u64::from_le_bytes(chunk);
            ring.store(next, word, Ordering::Relaxed);
            checksum = checksum.with(word);
            next = next.wrapping_add(1);
        }
        (self.next, self.checksum) = (next, checksum);
        (self.partial, self.filled) = (partial_word(rest), rest.len() as u32 * 8);
    }

    /// Counts bytes of text that were added.
    fn count(&mut self, bytes: usize) {
        self.room = self.room.saturating_sub(bytes);
        self.header = self.header.longer_by(bytes);
    }

    /// Makes what was added so far readable.
    #[inline(always)]
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
