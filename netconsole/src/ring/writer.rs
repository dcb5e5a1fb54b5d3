//! How a text gets into the ring: formatted in place, in a record that grows as it comes.

use super::layout::{CHECKSUM, Checksum, HEADER_WORDS, Header, MAX_MODULE, MAX_TEXT, Place, TICKS, words};
use super::sync::{AtomicU64, Ordering};
use super::{Level, Ring};
use crate::partial_word::partial_word;
use core::fmt::{self, Write};

impl Ring<'_> {
    /// Records a text, in several records where it is longer than 4608 bytes or another writer comes
    /// between while it grows; all but the first of them are continuations.
    ///
    /// Of `module` at most the last 31 bytes are kept. One newline at the end of the text is dropped,
    /// others are kept. `ticks` is the time stamp counter. A `Display` in `text` may itself log; what it
    /// logs before the text's first piece comes before it.
    #[inline(always)]
    pub fn append(&self, level: Level, module: &str, ticks: u64, text: fmt::Arguments<'_>) {
        let source = Source::new(level, module, ticks);
        match text.as_str() {
            Some(text) => source.write(self, text),
            None => source.format(self, text),
        }
    }

    /// As [`append`](Self::append), without `core::fmt`: for the panic path, which must not call what
    /// may panic.
    pub fn append_str(&self, level: Level, module: &str, ticks: u64, text: &str) {
        Source::new(level, module, ticks).write(self, text);
    }
}

/// Bytes of text to reserve where the text's length is not known, and to reserve more.
pub(super) const GUESS: usize = 128;

/// What a text's records have in common.
#[derive(Clone, Copy)]
pub(super) struct Source<'s> {
    level: Level,
    module: &'s str,
    ticks: u64,
}

impl<'s> Source<'s> {
    #[inline(always)]
    pub(super) fn new(level: Level, module: &'s str, ticks: u64) -> Self {
        let module = if module.len() > MAX_MODULE { last_part(module) } else { module };
        Self { level, module, ticks }
    }

    /// Records a text that is known as a whole.
    #[inline(always)]
    pub(super) fn write(self, ring: &Ring<'_>, text: &str) {
        let bytes = match text.as_bytes() {
            [bytes @ .., b'\n'] => bytes,
            bytes => bytes,
        };
        if bytes.len() > MAX_TEXT || self.text_offset().wrapping_add(words(bytes.len())) > ring.max_words {
            return self.write_long(ring, text.get(..bytes.len()).unwrap_or(text));
        }
        self.write_part(ring, bytes, false);
    }

    /// Where in a record its text begins, in words.
    #[inline(always)]
    fn text_offset(&self) -> usize {
        HEADER_WORDS.wrapping_add(words(self.module.len()))
    }

    #[cold]
    fn write_long(&self, ring: &Ring<'_>, mut text: &str) {
        let room = MAX_TEXT.min(ring.max_words.saturating_sub(self.text_offset()).wrapping_mul(8));
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
        let Some((place, all)) = ring.reserve(self.text_offset().wrapping_add(words(text.len()))) else {
            return;
        };
        let Some((head, sum, slots)) = self.store(ring, place, all) else { return };
        let sum = store_padded(slots, text, sum);
        let header = self.header(ring, place.sequence, continuation).longer_by(text.len()).done();
        head[CHECKSUM].store(sum.finish(header), Ordering::Relaxed);
        head[0].store(header.0, Ordering::Release);
        ring.publish(place);
        ring.keep(place.sequence, all);
    }

    /// The header of a record without text.
    #[inline(always)]
    fn header(&self, ring: &Ring<'_>, sequence: u64, continuation: bool) -> Header {
        let boot = ring.header.boot.load(Ordering::Relaxed);
        Header::new(sequence, self.level, self.module.len(), boot, continuation)
    }

    /// Stores the ticks and the module path; returns the first words, the sum, and the words for the text.
    #[inline(always)]
    fn store<'r>(
        &self,
        ring: &Ring<'_>,
        place: Place,
        slots: &'r [AtomicU64],
    ) -> Option<(&'r [AtomicU64; HEADER_WORDS], Checksum, &'r [AtomicU64])> {
        let (head, rest) = slots.split_first_chunk()?;
        let (module, text) = rest.split_at_checked(words(self.module.len()))?;
        head[TICKS].store(self.ticks, Ordering::Relaxed);
        let sum = ring.seed.at(place.position).with(self.ticks);
        Some((head, store_padded(module, self.module.as_bytes(), sum), text))
    }

    /// Records a text as it is formatted.
    #[inline(never)]
    pub(super) fn format<'r>(&'r self, ring: &'r Ring<'r>, text: fmt::Arguments<'_>) {
        let mut writer = Writer { ring, source: self, progress: Progress::NotBegun, newline: false };
        // It fails where the ring has no room for more, which is counted, or a `Display` fails: the record
        // has the text up to there.
        let _ = writer.write_fmt(text);
        writer.finish();
    }
}

/// The last bytes of a module path, as many whole characters as a record keeps.
#[cold]
fn last_part(module: &str) -> &str {
    let surplus = module.len().saturating_sub(MAX_MODULE);
    module.get(module.ceil_char_boundary(surplus)..).unwrap_or("")
}

/// As many whole characters as `room` bytes hold, and the others.
#[cold]
fn split(text: &str, room: usize) -> (&str, &str) {
    text.split_at_checked(text.floor_char_boundary(room)).unwrap_or((text, ""))
}

/// Takes the pieces of a text that is being formatted.
///
/// There is no buffer between: bytes are gathered in a word and stored. After every piece the header has
/// the new length, so that a crash leaves a record that reads up to there.
struct Writer<'r> {
    ring: &'r Ring<'r>,
    source: &'r Source<'r>,
    progress: Progress<'r>,
    /// A newline is written only when something follows it.
    newline: bool,
}

/// How far a text is.
enum Progress<'r> {
    /// There is no record yet.
    NotBegun,
    Open(Open<'r>),
    /// The text cannot go on: no room could be reserved, or the record was overwritten.
    Ended,
}

impl Writer<'_> {
    #[inline(always)]
    fn finish(&mut self) {
        if let Progress::NotBegun = self.progress {
            self.begin("", false);
        }
        if let Progress::Open(record) = &mut self.progress {
            record.finish();
        }
    }

    /// Begins a record with this text, or with none where there is no room for all of it; returns what is left of it.
    #[inline(never)]
    fn begin<'t>(&mut self, text: &'t str, continuation: bool) -> &'t str {
        match Open::begin(self.ring, self.source, text.as_bytes(), continuation) {
            Some(record) => {
                let rest = if record.header.len() == text.len() { "" } else { text };
                self.progress = Progress::Open(record);
                rest
            }
            None => {
                self.progress = Progress::Ended;
                text
            }
        }
    }

    /// Writes some text.
    #[inline(always)]
    fn text(&mut self, text: &str) -> fmt::Result {
        let rest = match &mut self.progress {
            Progress::NotBegun => self.begin(text, false),
            Progress::Open(record) if !self.ring.still_holds(record.start) => {
                self.progress = Progress::Ended;
                text
            }
            Progress::Open(record) if text.len() <= record.room() => {
                record.add(text.as_bytes());
                record.publish();
                ""
            }
            Progress::Open(_) | Progress::Ended => text,
        };
        if rest.is_empty() { Ok(()) } else { self.long_text(rest) }
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
        while let Progress::Open(record) = &mut self.progress {
            record.grow(text.len());
            let (fits, rest) = split(text, record.room());
            record.add(fits.as_bytes());
            record.publish();
            if rest.is_empty() {
                return Ok(());
            }
            self.finish();
            text = self.begin(rest, true);
            if text.is_empty() {
                return Ok(());
            }
            // A fresh record has room for a character at least, so this comes to an end.
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
        let len = text.len().wrapping_sub(self.newline.into());
        self.text(text.get(..len).unwrap_or(text))
    }

    /// Padding comes character by character; it is made readable with the piece that fills its word, or
    /// with the next one.
    fn write_char(&mut self, character: char) -> fmt::Result {
        match &mut self.progress {
            Progress::Open(record)
                if !self.newline
                    && record.room() > 0
                    && record.filled < 56
                    && (' '..='~').contains(&character) =>
            {
                record.partial |= u64::from(u32::from(character)) << record.filled;
                record.filled = record.filled.wrapping_add(8);
                record.header = record.header.longer_by(1);
                Ok(())
            }
            _ => self.character(character),
        }
    }
}

/// Stores words and adds them to a sum.
#[inline(always)]
fn store_all(slots: &[AtomicU64], chunks: &[[u8; 8]], mut sum: Checksum) -> Checksum {
    for (slot, &chunk) in slots.iter().zip(chunks) {
        let word = u64::from_le_bytes(chunk);
        slot.store(word, Ordering::Relaxed);
        sum = sum.with(word);
    }
    sum
}

/// Stores bytes, with zero bytes after them up to a whole word, and adds them to a sum.
#[inline(always)]
fn store_padded(slots: &[AtomicU64], bytes: &[u8], sum: Checksum) -> Checksum {
    let (whole, rest) = bytes.as_chunks::<8>();
    let Some((slots, last)) = slots.split_at_checked(whole.len()) else { return sum };
    let sum = store_all(slots, whole, sum);
    match last {
        [slot, ..] if !rest.is_empty() => {
            let word = last_word(bytes);
            slot.store(word, Ordering::Relaxed);
            sum.with(word)
        }
        _ => sum,
    }
}

/// A record that is being written. All stores go to its own reservation.
struct Open<'r> {
    ring: &'r Ring<'r>,
    /// Where the record begins.
    start: usize,
    /// Its first words.
    head: &'r [AtomicU64; HEADER_WORDS],
    /// The words that are reserved for its text.
    slots: &'r [AtomicU64],
    /// How many of them are written.
    written: usize,
    header: Header,
    /// Of the ticks and the words from the module path to the last one that is written.
    checksum: Checksum,
    /// Bytes that do not fill a word yet, from the low end; the others are 0.
    partial: u64,
    /// How many bits of `partial` are filled: 0, 8, … 56.
    filled: u32,
}

impl<'r> Open<'r> {
    /// Begins a record with this text, where there is room for all of it, else with none, and with room for more, or
    /// for as much as a record can have.
    #[inline(always)]
    fn begin(ring: &'r Ring<'r>, source: &Source<'_>, text: &[u8], continuation: bool) -> Option<Self> {
        let wanted = source.text_offset().wrapping_add(words(text.len().clamp(GUESS, MAX_TEXT)));
        let (place, slots) = ring.reserve(wanted.min(ring.max_words))?;
        let (head, checksum, slots) = source.store(ring, place, slots)?;
        let header = source.header(ring, place.sequence, continuation);
        // The checksum of what will not change proves a record that is cut.
        head[CHECKSUM].store(checksum.finish(header), Ordering::Relaxed);
        let start = place.position;
        let mut record =
            Self { ring, start, head, slots, written: 0, header, checksum, partial: 0, filled: 0 };
        if text.len() <= record.room() {
            record.header = header.longer_by(text.len());
            record.add_bytes(text);
        }
        record.publish();
        ring.publish(place);
        Some(record)
    }

    /// Bytes of text that there is room for.
    #[inline(always)]
    fn room(&self) -> usize {
        self.slots.len().wrapping_mul(8).wrapping_sub(self.header.len())
    }

    /// Tries to get room for `wanted` bytes, or as many as a record can have, and for some more, so that
    /// not every piece has to.
    fn grow(&mut self, wanted: usize) {
        let text_offset = self.header.text_offset();
        let text = words(self.header.len().saturating_add(wanted.max(GUESS)).min(MAX_TEXT));
        let most = self.ring.max_words.saturating_sub(text_offset);
        let all = self.ring.words_from(self.start).get(text_offset..).unwrap_or_default();
        let slots = all.get(..text.min(most)).unwrap_or(all);
        if slots.len() > self.slots.len() && self.move_end(slots.len()) {
            self.slots = slots;
        }
    }

    /// Tries to change how many words are reserved for the text.
    #[inline(always)]
    fn move_end(&self, reserved: usize) -> bool {
        let text = self.start.wrapping_add(self.header.text_offset());
        let end = |words| text.wrapping_add(words);
        self.ring.move_end(self.header.sequence(), end(self.slots.len()), end(reserved))
    }

    /// Adds text, for which there must be room.
    #[inline(always)]
    fn add(&mut self, text: &[u8]) {
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
        let Some(slots) = self.slots.get(self.written..) else { return };
        self.checksum = store_all(slots, chunks, self.checksum);
        self.written = self.written.wrapping_add(chunks.len());
        (self.partial, self.filled) = (last_word(bytes), (rest.len() as u32).wrapping_mul(8));
    }

    #[cold]
    fn add_to_partial_word(&mut self, text: &[u8]) {
        let Some((head, rest)) = text.split_at_checked(8_usize.wrapping_sub(self.filled as usize / 8)) else {
            self.partial |= partial_word(text) << self.filled;
            self.filled = self.filled.wrapping_add((text.len() as u32).wrapping_mul(8));
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
            self.store(self.partial);
        }
        self.head[0].store(self.header.0, Ordering::Release);
    }

    /// Stores the next word.
    #[inline(always)]
    fn store(&self, word: u64) {
        if let Some(slot) = self.slots.get(self.written) {
            slot.store(word, Ordering::Relaxed);
        }
    }

    #[inline(always)]
    fn finish(&mut self) {
        if self.filled > 0 {
            // Ends with a whole word, its rest filled with zero bytes.
            self.add_word(self.partial);
        }
        let header = self.header.done();
        self.head[CHECKSUM].store(self.checksum.finish(header), Ordering::Relaxed);
        self.head[0].store(header.0, Ordering::Release);
        let all = self.ring.words_from(self.start);
        self.ring.keep(
            header.sequence(),
            all.get(..self.header.text_offset().wrapping_add(self.written)).unwrap_or(all),
        );
        if self.written != self.slots.len() {
            // Where another record has followed, the rest stays unused.
            self.move_end(self.written);
        }
    }

    #[inline(always)]
    fn add_word(&mut self, word: u64) {
        self.store(word);
        self.checksum = self.checksum.with(word);
        self.written = self.written.wrapping_add(1);
    }
}

/// The bytes after the last whole word as a word whose other bytes are 0.
#[inline(always)]
fn last_word(bytes: &[u8]) -> u64 {
    match bytes.split_last_chunk::<8>() {
        // In two steps, as there may be none: a word is not shifted by 64 bits.
        Some((_, &last)) => {
            u64::from_le_bytes(last) >> 8 >> 56_usize.wrapping_sub((bytes.len() % 8).wrapping_mul(8))
        }
        None => partial_word(bytes),
    }
}
