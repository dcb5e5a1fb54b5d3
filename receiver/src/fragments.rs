//! Puts a record together from its fragments, in any order, repeated or overlapping.

use std::collections::BTreeMap;

use crate::boot;
use crate::event::Record;
use crate::extended::{self, Header, Place};
use crate::limits;

/// What a text has where fragments are missing.
const MISSING: &[u8] = "…".as_bytes();

/// A record of which not all fragments have come. Holds what came, never what was only announced.
#[derive(Debug)]
pub struct Reassembly {
    header: Header,
    total: usize,
    /// What came, from the start to the first part that is missing: mostly fragments come in order.
    start: Vec<u8>,
    /// What came behind that, by where it belongs.
    pieces: BTreeMap<usize, Vec<u8>>,
    /// Bytes of both, and of how many fragments.
    held: usize,
    fragments: usize,
}

impl Reassembly {
    /// Starts with the first fragment that came.
    pub fn new(header: Header, total: usize) -> Self {
        Reassembly { header, total, start: Vec::new(), pieces: BTreeMap::new(), held: 0, fragments: 0 }
    }

    /// Adds a fragment. `false`: it brought nothing new, belongs to another record, or is one too many.
    pub fn add(&mut self, header: &Header, place: Place, bytes: &[u8]) -> bool {
        let same = header.timestamp == self.header.timestamp && place.total == self.total;
        let known = match self.pieces.get(&place.offset) {
            Some(piece) => piece.len(),
            None => self.start.len().saturating_sub(place.offset),
        };
        if !same || bytes.len() <= known || self.fragments >= limits::FRAGMENTS {
            return false;
        }
        self.fragments = self.fragments.saturating_add(1);
        if place.offset > self.start.len() {
            let replaced = self.pieces.insert(place.offset, bytes.to_vec()).map_or(0, |piece| piece.len());
            self.held = self.held.saturating_sub(replaced).saturating_add(bytes.len());
            return true;
        }
        self.go_on(place.offset, bytes);
        while let Some(next) = self.pieces.first_entry().filter(|next| *next.key() <= self.start.len()) {
            let (offset, piece) = next.remove_entry();
            self.held = self.held.saturating_sub(piece.len());
            self.go_on(offset, &piece);
        }
        true
    }

    /// Goes on with a fragment that reaches what is there from the start, or into it.
    fn go_on(&mut self, offset: usize, bytes: &[u8]) {
        let new =
            self.start.len().checked_sub(offset).and_then(|known| bytes.get(known..)).unwrap_or_default();
        self.start.extend_from_slice(new);
        self.held = self.held.saturating_add(new.len());
    }

    /// The record's time.
    pub fn timestamp(&self) -> u64 {
        self.header.timestamp
    }

    /// Its digest, as of each of its fragments.
    pub fn digest(&self) -> u16 {
        boot::digest(self.header.timestamp, self.header.priority(), b"")
    }

    /// Whether every byte has come.
    pub fn is_whole(&self) -> bool {
        self.start.len() >= self.total
    }

    /// The record, with a mark in place of each part that is missing.
    pub fn record(&self) -> Record {
        let extras = self.header.extras.clone();
        if self.is_whole() {
            return extended::record(&self.header, extras, &self.start, false);
        }
        let mut body = self.start.clone();
        let mut reach = body.len();
        for (&offset, piece) in &self.pieces {
            if offset > reach {
                body.extend_from_slice(MISSING);
                reach = offset;
            }
            body.extend_from_slice(piece.get(reach.saturating_sub(offset)..).unwrap_or_default());
            reach = reach.max(offset.saturating_add(piece.len()));
        }
        if reach < self.total {
            body.extend_from_slice(MISSING);
        }
        extended::record(&self.header, extras, &body, true)
    }

    /// Roughly the memory that it takes.
    pub fn size(&self) -> usize {
        const PIECE: usize = 64;
        size_of::<Self>().saturating_add(self.held).saturating_add(self.pieces.len().saturating_mul(PIECE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> Header {
        extended::parse(b"6,416,1758426,-;").expect("a header").0
    }

    #[test]
    fn the_documented_example_in_both_orders() {
        let pieces: [(usize, &[u8]); 2] = [(0, b"the first chunk,"), (16, b" the 2nd chunk.")];
        for order in [[0, 1], [1, 0]] {
            let mut reassembly = Reassembly::new(header(), 31);
            for index in order {
                assert!(!reassembly.is_whole());
                let (offset, bytes) = pieces[index];
                assert!(reassembly.add(&header(), Place { offset, total: 31 }, bytes));
                assert!(!reassembly.add(&header(), Place { offset, total: 31 }, bytes), "a duplicate");
            }
            assert!(reassembly.is_whole());
            assert_eq!(reassembly.record().text, "the first chunk, the 2nd chunk.");
        }
    }

    #[test]
    fn missing_parts_are_marked() {
        let mut reassembly = Reassembly::new(header(), 9);
        reassembly.add(&header(), Place { offset: 3, total: 9 }, b"def");
        let record = reassembly.record();
        assert!(record.incomplete);
        assert_eq!(record.text, "…def…");
    }

    #[test]
    fn a_fragment_of_another_record_is_refused() {
        let mut reassembly = Reassembly::new(header(), 9);
        assert!(!reassembly.add(&header(), Place { offset: 0, total: 8 }, b"abc"));
        let other = Header { timestamp: 1, ..header() };
        assert!(!reassembly.add(&other, Place { offset: 0, total: 9 }, b"abc"));
    }

    proptest! {
        #[test]
        fn any_cut_in_any_order_gives_the_text(
            text in "[a-z]{1,200}", cuts in prop::collection::vec((0usize..200, 1usize..60), 1..40), seed: u64,
        ) {
            let total = text.len();
            let mut ranges: Vec<_> = cuts.iter()
                .map(|&(offset, length)| (offset % total, (offset % total + length).min(total)))
                .collect();
            // The pieces at hand, and a tail of pieces that surely covers the rest.
            ranges.extend((0..total).map(|offset| (offset, offset + 1)));
            let shift = usize::try_from(seed % 1000).unwrap_or(0) % ranges.len();
            ranges.rotate_left(shift);
            let mut reassembly = Reassembly::new(header(), total);
            for (start, end) in ranges {
                reassembly.add(&header(), Place { offset: start, total }, &text.as_bytes()[start..end]);
            }
            prop_assert!(reassembly.is_whole());
            prop_assert_eq!(reassembly.record().text, text);
        }
    }
}
