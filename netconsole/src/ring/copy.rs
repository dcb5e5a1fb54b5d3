//! Copying whole records out of the ring, each in one pass that proves the copy.

use super::layout::{CHECKSUM, Checksum, HEADER_WORDS, Header, TICKS, words};
use super::record::add_words;
use super::sync::{AtomicU64, Ordering};
use super::{Level, Ring};

/// A record of this boot, which has no key, that seems to be whole: nothing of it may be believed before [`Ring::copy`] has proven it.
#[derive(Clone, Copy)]
pub(crate) struct Found<'r> {
    header: Header,
    position: usize,
    /// The time stamp counter when it was logged.
    pub ticks: u64,
    checksum: &'r AtomicU64,
    /// The sum of all before the text.
    sum: Checksum,
    text: &'r [AtomicU64],
}

impl Found<'_> {
    /// How urgent it is.
    pub fn level(&self) -> Level {
        self.header.level()
    }

    /// The text's length in bytes.
    pub fn len(&self) -> usize {
        self.header.len()
    }
}

impl<'m> Ring<'m> {
    /// The record of this boot and sequence number, where it seems to be whole and may leave unsealed;
    /// [`read`](Self::read) says of others what became of them.
    #[inline(always)]
    pub(crate) fn find(&self, sequence: u64) -> Option<Found<'m>> {
        // Whatever this is, the header there says whether it is the record's place.
        let position = self.entry(sequence)?.position;
        let (head, rest) = self.words_from(position).split_first_chunk::<HEADER_WORDS>()?;
        let header = Header(head[0].load(Ordering::Acquire));
        if !header.is_open_done_record(sequence, self.header.boot.load(Ordering::Relaxed)) {
            return None;
        }
        let ticks = head[TICKS].load(Ordering::Relaxed);
        let (module, rest) = rest.split_at_checked(words(header.module_len()))?;
        let text = rest.get(..words(header.len()))?;
        let sum = add_words(self.seed.at(position).with(ticks), module);
        Some(Found { header, position, ticks, checksum: &head[CHECKSUM], sum, text })
    }

    /// Copies the whole text of a record to the start of `buffer` and proves in the same pass that the copy is the
    /// record's. `fold` gets the text too, in little-endian words, the last one filled with zero bytes; what it makes
    /// of it is returned.
    ///
    /// `None`, and what is in `buffer` means nothing, where it is not proven, or `buffer` has no room for whole words.
    #[inline(always)]
    pub(crate) fn copy<S: Default>(
        &self,
        record: &Found<'_>,
        buffer: &mut [u8],
        fold: impl Fn(S, u64) -> S,
    ) -> Option<S> {
        let slots = buffer.as_chunks_mut::<8>().0.get_mut(..record.text.len())?;
        let (sum, folded) = copy_words(slots, record.text, record.sum, fold);
        let is_proven = sum.finish(record.header) == record.checksum.load(Ordering::Relaxed);
        (is_proven && self.still_holds(record.position)).then_some(folded)
    }
}

/// Copies words as the bytes that they stand for, adds them to the sum, and folds them.
// A function of its own, so that its loop has all registers.
#[inline(never)]
fn copy_words<S: Default>(
    slots: &mut [[u8; 8]],
    words: &[AtomicU64],
    mut sum: Checksum,
    fold: impl Fn(S, u64) -> S,
) -> (Checksum, S) {
    let mut folded = S::default();
    for (slot, word) in slots.iter_mut().zip(words) {
        let word = word.load(Ordering::Relaxed);
        *slot = word.to_le_bytes();
        sum = sum.with(word);
        folded = fold(folded, word);
    }
    (sum, folded)
}
