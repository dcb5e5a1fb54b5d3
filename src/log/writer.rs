//! How a text gets into the ring: formatted in place, in a record that grows as it comes.

use super::layout::{CHECKSUM, Checksum, HEADER_WORDS, Header, MAX_MODULE, MAX_TEXT, Place, TICKS, words};
use super::sync::Ordering;
use super::{Level, Ring};
use core::fmt::{self, Write};

/// Writes one text into the ring.
///
/// No buffer stands between: text is gathered in a word of eight bytes and stored. After every piece the
/// header has the new length, so that a crash leaves a record that reads up to there.
pub(super) struct Writer<'r> {
    ring: &'r Ring<'r>,
    level: Level,
    module: &'r str,
    ticks: u64,
    /// `None` when the text cannot go on: no room could be reserved, or the record was overwritten.
    record: Option<Open>,
    /// A newline is written only when something follows it.
    newline: bool,
}

impl<'r> Writer<'r> {
    /// Bytes of text to reserve where the text's length is not known, and to reserve more.
    const GUESS: usize = 128;

    pub(super) fn write(
        ring: &'r Ring<'r>,
        level: Level,
        module: &'r str,
        ticks: u64,
        text: fmt::Arguments<'_>,
    ) {
        if let Some(text) = text.as_str() {
            return Self::write_text(ring, level, module, ticks, text);
        }
        let mut writer = Self::new(ring, level, module, ticks);
        writer.begin(Self::GUESS, false);
        // It fails where the ring has no room, which is counted, or where a `Display` does: then the
        // record has the text up to there.
        let _ = writer.write_fmt(text);
        writer.finish();
    }

    pub(super) fn write_text(ring: &'r Ring<'r>, level: Level, module: &'r str, ticks: u64, text: &str) {
        let mut writer = Self::new(ring, level, module, ticks);
        writer.begin(text.len(), false);
        // It fails where the ring has no room; that is counted.
        let _ = writer.write_str(text);
        writer.finish();
    }

    fn new(ring: &'r Ring<'r>, level: Level, module: &'r str, ticks: u64) -> Self {
        Self { ring, level, module: last_part(module), ticks, record: None, newline: false }
    }

    /// Begins a record with room for `text` bytes, or as many as a record can have.
    fn begin(&mut self, text: usize, continuation: bool) {
        let needed = HEADER_WORDS + words(self.module.len()) + words(text);
        let reserved = needed.min(self.ring.max_words());
        self.record = self.ring.reserve(reserved).map(|place| {
            let boot = self.ring.header.boot.load(Ordering::Relaxed);
            let header = Header::new(place.sequence, self.level, self.module.len(), boot, continuation);
            Open::begin(self.ring, place, reserved, header, self.ticks, self.module.as_bytes())
        });
    }

    fn finish(&mut self) {
        if let Some(record) = self.record.take() {
            record.finish(self.ring);
        }
    }

    fn text(&mut self, mut text: &str) -> fmt::Result {
        loop {
            let record = self.record.as_mut().ok_or(fmt::Error)?;
            if !self.ring.still_holds(record.start) {
                self.record = None;
                return Err(fmt::Error);
            }
            let room = record.make_room(self.ring, text.len(), Self::GUESS);
            let (fits, rest) = text.split_at_checked(text.floor_char_boundary(room)).unwrap_or((text, ""));
            record.add_text(self.ring, fits.as_bytes());
            if rest.is_empty() {
                return Ok(());
            }
            // A fresh record has room for a character at least, so this comes to an end.
            self.finish();
            self.begin(rest.len().max(Self::GUESS), true);
            text = rest;
        }
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
}

/// The last bytes of a module path, as many whole characters as a record keeps.
fn last_part(module: &str) -> &str {
    let surplus = module.len().saturating_sub(MAX_MODULE);
    module.get(module.ceil_char_boundary(surplus)..).unwrap_or("")
}

/// A record that is being written. All stores go to its own reservation.
struct Open {
    sequence: u64,
    /// Where the record begins.
    start: usize,
    /// Words reserved.
    reserved: usize,
    /// Words complete and stored; what comes next goes there.
    stored: usize,
    /// Bytes of text so far.
    len: usize,
    /// Without length.
    header: Header,
    /// Of the ticks and the words from the module path on that are complete.
    checksum: Checksum,
    /// Bytes that do not fill a word yet, from the low end.
    partial: u64,
    /// How many bits of `partial` are filled: 0, 8, … 56.
    filled: u32,
}

impl Open {
    fn begin(
        ring: &Ring<'_>,
        place: Place,
        reserved: usize,
        header: Header,
        ticks: u64,
        module: &[u8],
    ) -> Self {
        let mut record = Self {
            sequence: place.sequence,
            start: place.position,
            reserved,
            stored: HEADER_WORDS,
            len: 0,
            header,
            checksum: ring.checksum().with(ticks),
            partial: 0,
            filled: 0,
        };
        ring.store(record.start.wrapping_add(TICKS), ticks, Ordering::Relaxed);
        record.add(ring, module);
        if record.filled > 0 {
            record.add_word(ring, record.partial);
            (record.partial, record.filled) = (0, 0);
        }
        record.publish(ring, header);
        ring.publish(place);
        record
    }

    /// How many bytes of the `wanted` ones there is room for, after an attempt to get more, `guess` bytes
    /// at least, so that not every piece has to.
    fn make_room(&mut self, ring: &Ring<'_>, wanted: usize, guess: usize) -> usize {
        let wanted = wanted.min(MAX_TEXT.saturating_sub(self.len));
        let total = self.header.text_offset() + words(self.len + wanted);
        if total > self.reserved {
            let generous = total.max(self.reserved + words(guess)).min(ring.max_words());
            let end = self.start.wrapping_add(self.reserved);
            if generous > self.reserved
                && ring.move_end(self.sequence, end, self.start.wrapping_add(generous))
            {
                self.reserved = generous;
            }
        }
        let room = (self.reserved - self.header.text_offset()) * 8;
        room.saturating_sub(self.len).min(wanted)
    }

    /// Adds text, for which there must be room.
    fn add_text(&mut self, ring: &Ring<'_>, text: &[u8]) {
        self.add(ring, text);
        self.len += text.len();
        self.publish(ring, self.header.with_len(self.len));
    }

    fn finish(self, ring: &Ring<'_>) {
        self.publish(ring, self.header.with_len(self.len).done());
        let used = self.header.with_len(self.len).words();
        if used < self.reserved {
            let end = self.start.wrapping_add(self.reserved);
            // Where another record has followed, the rest stays unused.
            ring.move_end(self.sequence, end, self.start.wrapping_add(used));
        }
    }

    /// Makes what was added so far the record's content.
    fn publish(&self, ring: &Ring<'_>, header: Header) {
        let mut checksum = self.checksum;
        if self.filled > 0 {
            ring.store(self.start.wrapping_add(self.stored), self.partial, Ordering::Relaxed);
            checksum = checksum.with(self.partial);
        }
        ring.store(self.start.wrapping_add(CHECKSUM), checksum.finish(header), Ordering::Relaxed);
        ring.store(self.start, header.0, Ordering::Release);
    }

    fn add(&mut self, ring: &Ring<'_>, bytes: &[u8]) {
        let (chunks, rest) = bytes.as_chunks::<8>();
        for &chunk in chunks {
            self.add_bits(ring, u64::from_le_bytes(chunk), 64);
        }
        if !rest.is_empty() {
            let bits = rest.len() as u32 * 8;
            let word = match bytes.last_chunk::<8>() {
                Some(&last) => u64::from_le_bytes(last) >> (64 - bits),
                None => rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
            };
            self.add_bits(ring, word, bits);
        }
    }

    /// Adds the low `bits` bits of a word, 8 to 64, whose others are 0.
    fn add_bits(&mut self, ring: &Ring<'_>, word: u64, bits: u32) {
        let joined = self.partial | word << self.filled;
        if self.filled + bits < 64 {
            self.partial = joined;
            self.filled += bits;
        } else {
            self.add_word(ring, joined);
            // What did not fit; in two steps, as a shift by 64 is none.
            self.partial = word >> 1 >> (63 - self.filled);
            self.filled = self.filled + bits - 64;
        }
    }

    fn add_word(&mut self, ring: &Ring<'_>, word: u64) {
        ring.store(self.start.wrapping_add(self.stored), word, Ordering::Relaxed);
        self.checksum = self.checksum.with(word);
        self.stored += 1;
    }
}
