//! The log ring in memory that holds anything: what the next boot makes of it.

use netconsole::ring::{Audience, Level, Read, Ring, RingHeader};
use std::sync::atomic::{AtomicU64, Ordering};

const INDEX: usize = 32;
const DATA: usize = 512;
/// Words of the header: five and 16 boots of four.
const HEADER: usize = 5 + 16 * 4;

/// The first byte, `n`, says how many records are logged before memory is damaged; the rest is damage, in
/// units of two bytes for a word's number and eight to be XORed into it. Without records, it is what memory
/// holds.
pub fn check(bytes: &[u8]) {
    let Some((&logged, damage)) = bytes.split_first() else { return };
    let header = RingHeader::new();
    let index: Vec<AtomicU64> = (0..INDEX).map(|_| AtomicU64::new(0)).collect();
    let data: Vec<AtomicU64> = (0..DATA).map(|_| AtomicU64::new(0)).collect();
    let ring = Ring::new(&header, &index, &data);
    for number in 0..logged {
        let text = "x".repeat(usize::from(number) % 90);
        ring.append(Level::Info, "fuzz", number.into(), format_args!("record {number} {text}"));
    }
    let before = texts(&ring);
    let words: Vec<&AtomicU64> = index.iter().chain(&data).collect();
    for unit in damage.chunks_exact(10) {
        let word = usize::from(u16::from_le_bytes([unit[0], unit[1]])) % (words.len() + HEADER);
        let bits = u64::from_le_bytes(unit[2..].try_into().expect("eight bytes"));
        if let Some(word) = words.get(word) {
            word.fetch_xor(bits, Ordering::Relaxed);
        }
    }

    let recovery = ring.recover(1, Audience::Everybody);
    let after = texts(&ring);
    assert_eq!(after.len() as u64, recovery.records);
    assert!(after.windows(2).all(|pair| pair[0].0 < pair[1].0), "in order");
    if damage.len() < 10 {
        assert_eq!(after, before);
    }
    let end = ring.end();
    assert!(after.iter().all(|&(sequence, _)| sequence < end));
    ring.append(Level::Error, "fuzz", 9, format_args!("after"));
    assert_eq!(texts(&ring).last(), Some(&(end, b"after".to_vec())));
}

/// Every record that the ring has, as a reader finds them.
fn texts(ring: &Ring<'_>) -> Vec<(u64, Vec<u8>)> {
    let mut texts = Vec::new();
    let mut sequence = ring.first();
    for _ in 0..10 * INDEX {
        match ring.read(sequence) {
            Read::Record(record) => {
                let mut text = vec![0; record.len()];
                let copied = record.copy_text(0, &mut text);
                assert_eq!(copied, text.len());
                texts.push((sequence, text));
                sequence += 1;
            }
            Read::Lost { resume } => {
                assert!(resume > sequence);
                sequence = resume;
            }
            Read::Unfinished(_) | Read::Withheld => sequence += 1,
            Read::End => return texts,
        }
    }
    panic!("a ring of {INDEX} records has no end");
}
