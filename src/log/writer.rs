//! How a text gets into the ring: formatted in place, in a record that grows as it comes.

use super::layout::{CHECKSUM, Checksum, HEADER_WORDS, Header, MAX_MODULE, MAX_TEXT, TICKS, words};
use super::sync::{AtomicU64, Ordering};
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
    #[inline]
    pub(super) fn write(self, ring: &Ring<'_>, text: &str) {
        let ends_in_newline = text.as_bytes().last() == Some(&b'\n');
        let len = text.len().wrapping_sub(ends_in_newline.into());
        if len > self.room(ring) {
            return self.write_long(ring, text.get(..len).unwrap_or(text));
        }
        self.write_part(ring, text.as_bytes().get(..len).unwrap_or_default(), false);
    }

    /// How much text a record can have.
    #[inline(always)]
    fn room(&self, ring: &Ring<'_>) -> usize {
        let text_offset = HEADER_WORDS + words(self.module.len());
        MAX_TEXT.min(ring.max_words.saturating_sub(text_offset) * 8)
    }

    #[cold]
    fn write_long(&self, ring: &Ring<'_>, mut text: &str) {
        let room = self.room(ring);
        let mut continuation = false;
        loop {
            let (fits, rest) = split(text, room);
            self.write_part(ring, fits.as_bytes(), continuation);
            // A ring with room for no character drops the record, once.
            if rest.is_empty() || fits.is_empty() {
                return;
            }
            (text, continuation) = (rest, true);
        }
    }

    /// Writes a record whose whole text is there. It appears when it is done: what could be seen of it before
    /// would have no text.
    #[inline(always)]
    fn write_part(&self, ring: &Ring<'_>, text: &[u8], continuation: bool) {
        let text_offset = HEADER_WORDS + words(self.module.len());
        let reserved = text_offset + words(text.len());
        let Some(place) = ring.reserve(reserved) else { return };
        let slots = Slots::new(ring, place.position, reserved);
        let sum = self.store(slots);
        let sum = slots.store_padded(text_offset, text, sum);
        let header = self.header(ring, place.sequence, continuation).longer_by(text.len()).done();
        slots.store(CHECKSUM, sum.finish(header), Ordering::Relaxed);
        slots.store(0, header.0, Ordering::Release);
        ring.publish(place);
    }

    /// The header of a record without text.
    #[inline(always)]
    fn header(&self, ring: &Ring<'_>, sequence: u64, continuation: bool) -> Header {
        let boot = ring.header.boot.load(Ordering::Relaxed);
        Header::new(sequence, self.level, self.module.len(), boot, continuation)
    }

    /// Stores the ticks and the module path, and returns their sum.
    #[inline(always)]
    fn store(&self, slots: Slots<'_>) -> Checksum {
        slots.store(TICKS, self.ticks, Ordering::Relaxed);
        let sum = slots.ring.seed.at(slots.start).with(self.ticks);
        slots.store_padded(HEADER_WORDS, self.module.as_bytes(), sum)
    }

    /// Records a text as it is formatted.
    pub(super) fn format<'r>(self, ring: &'r Ring<'r>, text: fmt::Arguments<'_>) {
        let record = Open::begin(ring, &self, GUESS, false);
        let mut writer = Writer { ring, source: self, record, newline: false };
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
    record: Option<Open<'r>>,
    /// A newline is written only when something follows it.
    newline: bool,
}

impl Writer<'_> {
    #[inline(always)]
    fn finish(&mut self) {
        if let Some(record) = &mut self.record {
            record.finish();
        }
        self.record = None;
    }

    /// Writes the first `len` bytes of a text.
    #[inline(always)]
    fn text(&mut self, text: &str, len: usize) -> fmt::Result {
        let Some(record) = &mut self.record else { return Err(fmt::Error) };
        if !self.ring.still_holds(record.slots.start) {
            self.record = None;
            return Err(fmt::Error);
        }
        if len <= record.room {
            record.add(text.as_bytes().get(..len).unwrap_or_default());
            record.publish();
            return Ok(());
        }
        self.long_text(text.get(..len).unwrap_or(text))
    }

    /// Writes the newline that was kept back, now that something follows it.
    #[cold]
    fn kept_newline(&mut self) -> fmt::Result {
        self.newline = false;
        self.text("\n", 1)
    }

    #[cold]
    fn character(&mut self, character: char) -> fmt::Result {
        self.write_str(character.encode_utf8(&mut [0; 4]))
    }

    /// Adds a text that there is no room for.
    #[cold]
    fn long_text(&mut self, mut text: &str) -> fmt::Result {
        while let Some(record) = &mut self.record {
            record.grow(text.len());
            let (fits, rest) = split(text, record.room);
            record.add(fits.as_bytes());
            record.publish();
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
        self.newline = text.as_bytes().last() == Some(&b'\n');
        self.text(text, text.len().wrapping_sub(self.newline.into()))
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
                record.room = record.room.wrapping_sub(1);
                record.header = record.header.longer_by(1);
                Ok(())
            }
            _ => self.character(character),
        }
    }
}

/// The words that are reserved for a record.
#[derive(Clone, Copy)]
struct Slots<'r> {
    ring: &'r Ring<'r>,
    /// Where the record begins.
    start: usize,
    /// The words, those behind the ring's end left out.
    words: &'r [AtomicU64],
}

impl<'r> Slots<'r> {
    #[inline(always)]
    fn new(ring: &'r Ring<'r>, start: usize, reserved: usize) -> Self {
        let words = ring.words_from(start);
        Self { ring, start, words: words.get(..reserved).unwrap_or(words) }
    }

    /// Stores a word.
    #[inline(always)]
    fn store(self, offset: usize, word: u64, order: Ordering) {
        match self.words.get(offset) {
            Some(place) => place.store(word, order),
            None => store_behind_the_end(self.ring, self.start.wrapping_add(offset), word),
        }
    }

    /// Stores words and adds them to a sum.
    #[inline(always)]
    fn store_all(self, offset: usize, chunks: &[[u8; 8]], sum: Checksum) -> Checksum {
        let words = self.words.get(offset..).and_then(|words| words.get(..chunks.len()));
        let Some(words) = words else {
            return store_across_the_end(self.ring, self.start.wrapping_add(offset), chunks, sum);
        };
        let mut sum = sum;
        for (place, &chunk) in words.iter().zip(chunks) {
            let word = u64::from_le_bytes(chunk);
            place.store(word, Ordering::Relaxed);
            sum = sum.with(word);
        }
        sum
    }

    /// Stores bytes, with zero bytes behind them up to a whole word, and adds them to a sum.
    #[inline(always)]
    fn store_padded(self, offset: usize, bytes: &[u8], sum: Checksum) -> Checksum {
        let (whole, rest) = bytes.as_chunks::<8>();
        let sum = self.store_all(offset, whole, sum);
        if rest.is_empty() {
            return sum;
        }
        let word = last_word(bytes);
        self.store(offset.wrapping_add(whole.len()), word, Ordering::Relaxed);
        sum.with(word)
    }
}

#[cold]
fn store_behind_the_end(ring: &Ring<'_>, position: usize, word: u64) {
    ring.store(position, word, Ordering::Release);
}

#[cold]
fn store_across_the_end(ring: &Ring<'_>, position: usize, chunks: &[[u8; 8]], sum: Checksum) -> Checksum {
    chunks.iter().enumerate().fold(sum, |sum, (offset, &chunk)| {
        let word = u64::from_le_bytes(chunk);
        ring.store(position.wrapping_add(offset), word, Ordering::Relaxed);
        sum.with(word)
    })
}

/// A record that is being written. All stores go to its own reservation.
struct Open<'r> {
    slots: Slots<'r>,
    /// How many words are reserved.
    reserved: usize,
    /// How many are written.
    written: usize,
    /// Bytes of text that there is room for.
    room: usize,
    header: Header,
    /// Of the ticks and the words from the module path to the last one that is written.
    checksum: Checksum,
    /// Bytes that do not fill a word yet, from the low end; the others are 0.
    partial: u64,
    /// How many bits of `partial` are filled: 0, 8, … 56.
    filled: u32,
}

impl<'r> Open<'r> {
    /// Begins a record with room for `text` bytes, or as many as a record can have.
    #[inline(always)]
    fn begin(ring: &'r Ring<'r>, source: &Source<'_>, text: usize, continuation: bool) -> Option<Self> {
        let text_offset = HEADER_WORDS + words(source.module.len());
        let reserved = (text_offset + words(text.min(MAX_TEXT))).min(ring.max_words);
        let place = ring.reserve(reserved)?;
        let slots = Slots::new(ring, place.position, reserved);
        let checksum = source.store(slots);
        let header = source.header(ring, place.sequence, continuation);
        // The checksum of what will not change proves a record that is cut.
        slots.store(CHECKSUM, checksum.finish(header), Ordering::Relaxed);
        slots.store(0, header.0, Ordering::Release);
        ring.publish(place);
        let room = reserved.saturating_sub(text_offset) * 8;
        Some(Self { slots, reserved, written: text_offset, room, header, checksum, partial: 0, filled: 0 })
    }

    /// Tries to get room for `wanted` bytes, or as many as a record can have, and for some more, so that
    /// not every piece has to.
    fn grow(&mut self, wanted: usize) {
        let Slots { ring, start, .. } = self.slots;
        let text = self.header.len().saturating_add(wanted.max(GUESS)).min(MAX_TEXT);
        let reserved = (self.header.text_offset() + words(text)).min(ring.max_words);
        if self.move_end(reserved) {
            self.reserved = reserved;
            self.slots = Slots::new(ring, start, reserved);
            self.room =
                (reserved.saturating_sub(self.header.text_offset()) * 8).saturating_sub(self.header.len());
        }
    }

    /// Tries to change how many words are reserved.
    #[inline(always)]
    fn move_end(&self, reserved: usize) -> bool {
        let end = |words| self.slots.start.wrapping_add(words);
        self.slots.ring.move_end(self.header.sequence(), end(self.reserved), end(reserved))
    }

    /// Adds text, for which there must be room.
    #[inline(always)]
    fn add(&mut self, text: &[u8]) {
        self.room = self.room.saturating_sub(text.len());
        self.header = self.header.longer_by(text.len());
        if self.filled == 0 {
            self.add_bytes(text);
        } else {
            self.add_to_partial_word(text);
        }
    }

    /// Adds bytes where no word is partial.
    #[inline(always)]
    fn add_bytes(&mut self, bytes: &[u8]) {
        let (chunks, rest) = bytes.as_chunks::<8>();
        self.checksum = self.slots.store_all(self.written, chunks, self.checksum);
        self.written = self.written.wrapping_add(chunks.len());
        (self.partial, self.filled) = (last_word(bytes), rest.len() as u32 * 8);
    }

    #[cold]
    fn add_to_partial_word(&mut self, text: &[u8]) {
        let Some((head, rest)) = text.split_at_checked(8 - self.filled as usize / 8) else {
            self.partial |= partial_word(text) << self.filled;
            self.filled += text.len() as u32 * 8;
            return;
        };
        // What a shift moves out of the word is not the head's.
        let head =
            text.first_chunk::<8>().map_or_else(|| partial_word(head), |&chunk| u64::from_le_bytes(chunk));
        self.add_word(self.partial | head << self.filled);
        self.add_bytes(rest);
    }

    /// Makes what was added so far readable.
    #[inline(always)]
    fn publish(&self) {
        if self.filled > 0 {
            self.slots.store(self.written, self.partial, Ordering::Relaxed);
        }
        self.slots.store(0, self.header.0, Ordering::Release);
    }

    #[inline(always)]
    fn finish(&mut self) {
        if self.filled > 0 {
            // Ends with a whole word, its rest filled with zero bytes.
            self.add_word(self.partial);
        }
        let header = self.header.done();
        self.slots.store(CHECKSUM, self.checksum.finish(header), Ordering::Relaxed);
        self.slots.store(0, header.0, Ordering::Release);
        if self.written != self.reserved {
            // Where another record has followed, the rest stays unused.
            self.move_end(self.written);
        }
    }

    #[inline(always)]
    fn add_word(&mut self, word: u64) {
        self.slots.store(self.written, word, Ordering::Relaxed);
        self.checksum = self.checksum.with(word);
        self.written = self.written.wrapping_add(1);
    }
}

/// The bytes behind the last whole word as a word whose other bytes are 0.
#[inline(always)]
fn last_word(bytes: &[u8]) -> u64 {
    match bytes.last_chunk::<8>() {
        // In two steps, as there may be none: a word is not shifted by 64 bits.
        Some(&last) => u64::from_le_bytes(last) >> 8 >> (56 - bytes.len() % 8 * 8),
        None => partial_word(bytes),
    }
}
