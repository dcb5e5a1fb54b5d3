//! What the words of the ring's memory mean: places, record headers, checksums.
//!
//! A record is [`HEADER_WORDS`] words, then its module path, then its text, both padded with zero bytes
//! to whole words, bytes in little-endian order within a word. It never goes round the ring's end: where there is too
//! little room before that, it begins at the ring's begin.
//!
//! | word | content |
//! |---|---|
//! | 0 | [`Header`] |
//! | 1 | time stamp counter |
//! | 2 | [`Checksum`] of all other words; until the record is done: of what it had before its text |
//! | 3… | module path, text |
//!
//! Nothing here is a pointer, so that the next boot, even of another build, can read it.

use super::Level;

/// Words before a record's module path.
pub(super) const HEADER_WORDS: usize = 3;

/// Which word of a record holds the ticks.
pub(super) const TICKS: usize = 1;

/// Which word of a record holds the checksum.
pub(super) const CHECKSUM: usize = 2;

/// The longest module path that a record keeps, in bytes.
pub(super) const MAX_MODULE: usize = 31;

/// The longest text of one record, in bytes; what is longer goes on in another record. The longest that
/// the kernel itself logs, a command line of 4 KiB and the words before it, is one record.
pub(super) const MAX_TEXT: usize = 4608;

/// The largest record in words.
pub(super) const MAX_WORDS: usize = HEADER_WORDS + words(MAX_MODULE) + words(MAX_TEXT);

/// The largest record that any ring must be able to hold: the longest module path and two characters.
pub(super) const MIN_WORDS: usize = HEADER_WORDS + words(MAX_MODULE) + 1;

/// Words that `bytes` bytes need.
pub(super) const fn words(bytes: usize) -> usize {
    // No length here comes near the greatest number.
    bytes.wrapping_add(7) / 8
}

/// A record's sequence number and its position, which one word holds: the head, or an entry of the index.
///
/// As the sequence number is in the upper bits, a later record's word is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Counts records; 36 bits, enough for 2 years at 1000 records a second.
    pub(super) sequence: u64,
    /// Counts words, modulo 2^28; the word's index in the ring's data is this modulo the data's length.
    pub(super) position: usize,
}

impl Place {
    const POSITION_BITS: u32 = 28;
    const POSITION_MASK: usize = (1 << Self::POSITION_BITS) - 1;

    pub(super) const fn unpack(word: u64) -> Self {
        let position = word as usize & Self::POSITION_MASK;
        Self { sequence: word >> Self::POSITION_BITS, position }
    }

    pub(super) const fn pack(self) -> u64 {
        self.sequence << Self::POSITION_BITS | (self.position & Self::POSITION_MASK) as u64
    }

    /// The place of the record after one of `words` words that begins here.
    pub(super) const fn after(self, words: usize) -> Self {
        Self { sequence: self.sequence.wrapping_add(1), position: self.position.wrapping_add(words) }
    }

    /// The place of the same record, `words` words further on.
    pub(super) const fn moved_on(self, words: usize) -> Self {
        Self { position: self.position.wrapping_add(words) & Self::POSITION_MASK, ..self }
    }

    /// How many words before this place `position` is.
    pub(super) const fn words_since(self, position: usize) -> usize {
        self.position.wrapping_sub(position) & Self::POSITION_MASK
    }
}

/// A record's first word.
///
/// | bits | content |
/// |---|---|
/// | 0–35 | sequence number |
/// | 36–48 | length of the text in bytes |
/// | 49–53 | length of the module path in bytes |
/// | 54–56 | level |
/// | 57–60 | number of the boot, modulo 16 |
/// | 61 | continues the text of a record before |
/// | 62 | done: nothing will change any more |
/// | 63 | the boot has a key: the record is not for everybody |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header(pub(super) u64);

impl Header {
    const SEQUENCE_MASK: u64 = (1 << 36) - 1;
    const LEN: u32 = 36;
    const MODULE: u32 = 49;
    const LEVEL: u32 = 54;
    const BOOT: u32 = 57;
    const CONTINUATION: u64 = 1 << 61;
    const DONE: u64 = 1 << 62;
    const LIMITED: u64 = 1 << 63;
    /// The bits that all headers of a boot have in common.
    const OF_BOOT: u64 = 15 << Self::BOOT | Self::LIMITED;

    /// The header of a record that has no text yet. `module` is at most [`MAX_MODULE`], `sequence` one of a
    /// [`Place`], and `boot` what [`boot_word`](Self::boot_word) makes.
    pub(super) const fn new(
        sequence: u64,
        level: Level,
        module: usize,
        boot: u64,
        continuation: bool,
    ) -> Self {
        let continuation = if continuation { Self::CONTINUATION } else { 0 };
        Self(
            sequence
                | (module as u64 & 31) << Self::MODULE
                | (level as u64) << Self::LEVEL
                | boot << Self::BOOT & Self::OF_BOOT
                | continuation,
        )
    }

    /// What the headers of a boot have in common: its number, and whether its records are not for everybody.
    pub(super) const fn boot_word(number: u64, is_limited: bool) -> u64 {
        number & 15 | if is_limited { Self::LIMITED >> Self::BOOT } else { 0 }
    }

    /// This header with the text longer by `bytes`; it stays at [`MAX_TEXT`] or below.
    pub(super) const fn longer_by(self, bytes: usize) -> Self {
        Self(self.0.wrapping_add((bytes as u64) << Self::LEN))
    }

    /// The header of the same record when it had no text yet.
    pub(super) const fn without_len(self) -> Self {
        Self(self.0 & !(0x1fff << Self::LEN))
    }

    pub(super) const fn done(self) -> Self {
        Self(self.0 | Self::DONE)
    }

    pub(super) const fn sequence(self) -> u64 {
        self.0 & Self::SEQUENCE_MASK
    }

    pub(super) const fn len(self) -> usize {
        (self.0 >> Self::LEN) as usize & 0x1fff
    }

    pub(super) const fn module_len(self) -> usize {
        (self.0 >> Self::MODULE) as usize & 31
    }

    pub(super) const fn level(self) -> Level {
        Level::from_low_bits((self.0 >> Self::LEVEL) as u8)
    }

    pub(super) const fn boot(self) -> u64 {
        self.0 >> Self::BOOT & 15
    }

    /// Whether its boot has a key.
    pub(super) const fn is_limited(self) -> bool {
        self.0 & Self::LIMITED != 0
    }

    /// Whether it is that of a record of this sequence number and boot that is done and for everybody.
    pub(super) const fn is_open_done_record(self, sequence: u64, boot: u64) -> bool {
        const FIXED: u64 = Header::SEQUENCE_MASK | Header::OF_BOOT | Header::DONE;
        self.0 & FIXED == (sequence | (boot & 15) << Self::BOOT | Self::DONE)
    }

    pub(super) const fn is_continuation(self) -> bool {
        self.0 & Self::CONTINUATION != 0
    }

    pub(super) const fn is_done(self) -> bool {
        self.0 & Self::DONE != 0
    }

    /// Where in the record its text begins, in words.
    pub(super) const fn text_offset(self) -> usize {
        HEADER_WORDS.wrapping_add(words(self.module_len()))
    }

    /// The record's words.
    pub(super) const fn words(self) -> usize {
        self.text_offset().wrapping_add(words(self.len()))
    }
}

/// A sum over words in which each step is a bijection, so that a change in one word never stays unseen,
/// and one in several is missed once in 2^64.
#[derive(Clone, Copy)]
pub(super) struct Checksum(pub(super) u64);

impl Checksum {
    /// Name and version of the layout: a ring of another version has no valid record. To be changed with
    /// anything in this file.
    const LAYOUT: u64 = u64::from_le_bytes(*b"nclog\0\0\x04");

    /// Odd, and its bits look random (the fractional part of the golden ratio).
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

    /// The sum before any word; a ring of another size has no valid record either.
    pub(super) const fn new(data_words: usize) -> Self {
        Self(Self::LAYOUT ^ (data_words as u64) << 32)
    }

    /// The sum of a record at a position before any word: so an entry of the index whose position is wrong
    /// by whole laps proves nothing.
    pub(super) const fn at(self, position: usize) -> Self {
        Self(self.0 ^ position as u64)
    }

    pub(super) const fn with(self, word: u64) -> Self {
        Self((self.0.rotate_left(29) ^ word).wrapping_mul(Self::FACTOR))
    }

    /// The sum of a record: the header, the one word that changes as the record grows, comes last.
    pub(super) const fn finish(self, header: Header) -> u64 {
        self.with(header.0).0
    }
}
