//! The ring on the host: what is appended is what is read, whatever comes between.

mod append;
mod cache;
mod laps;
mod past;
mod recovery;
mod threads;

use super::sync::AtomicU64;
use super::{Level, Read, Record, Ring, RingHeader};

/// A ring's memory.
struct Memory {
    header: RingHeader,
    index: Vec<AtomicU64>,
    data: Vec<AtomicU64>,
}

fn zeroed(words: usize) -> Vec<AtomicU64> {
    (0..words).map(|_| AtomicU64::new(0)).collect()
}

impl Memory {
    fn new(index: usize, data: usize) -> Self {
        Self { header: RingHeader::new(), index: zeroed(index), data: zeroed(data) }
    }

    fn ring(&self) -> Ring<'_> {
        Ring::new(&self.header, &self.index, &self.data)
    }
}

fn text(record: Record<'_>) -> String {
    let mut bytes = vec![0; record.len()];
    assert_eq!(record.copy_text(0, &mut bytes), bytes.len());
    String::from_utf8(bytes).expect("a record's text is UTF-8")
}

/// The finished record of a sequence number.
fn record<'r>(ring: &'r Ring<'_>, sequence: u64) -> Record<'r> {
    match ring.read(sequence) {
        Read::Record(record) => {
            assert!(record.is_intact());
            assert_eq!(record.sequence(), sequence);
            record
        }
        other => panic!("record {sequence}: {other:?}"),
    }
}

/// The texts of all records that can be read, by following the ring as a sender does.
fn texts(ring: &Ring<'_>) -> Vec<(u64, String)> {
    let mut found = Vec::new();
    let mut next = ring.first();
    loop {
        match ring.read(next) {
            Read::Record(record) => {
                found.push((next, text(record)));
                next += 1;
            }
            Read::Lost { resume } => {
                assert!(resume > next);
                next = resume;
            }
            Read::Withheld => next += 1,
            Read::End => return found,
            Read::Unfinished(record) => panic!("{record:?} is being written by nobody"),
        }
    }
}

/// Appends a text in one piece whose length is not known beforehand.
fn append(ring: &Ring<'_>, text: &str) {
    ring.append(Level::Info, "tests", 0, format_args!("{text}"));
}
