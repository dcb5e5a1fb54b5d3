//! Many laps around small rings, next to a model that keeps everything.

use super::{Memory, append, record, text};
use crate::ring::layout::{MAX_TEXT, words};
use crate::ring::writer::GUESS;
use crate::ring::{Level, Read};
use proptest::prelude::*;

/// A text of some length, in several alphabets; sometimes known when it is logged, as a literal is.
fn any_text() -> impl Strategy<Value = (String, bool)> {
    let text = prop_oneof![
        8 => "[a-z ]{0,80}",
        2 => "[a-zäöü€🦀\n]{0,300}",
        1 => "[a-z\n]{1000,3000}",
    ];
    (text, any::<bool>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn everything_that_fits_is_there_and_nothing_else(
        logged in prop::collection::vec(any_text(), 1..120),
        index_bits in 4..8u32,
        data_bits in 11..13u32,
    ) {
        let memory = Memory::new(1 << index_bits, 1 << data_bits);
        let ring = memory.ring();
        let mut model = Vec::new();
        for (number, (written, in_pieces)) in logged.iter().enumerate() {
            let first = ring.end();
            if *in_pieces {
                let (start, end) = written.split_at(written.floor_char_boundary(written.len() / 3));
                ring.append(Level::Info, "laps", number as u64, format_args!("{start}{end}"));
            } else {
                append(&ring, written);
            }
            let parts: Vec<String> = (first..ring.end()).map(|sequence| text(record(&ring, sequence))).collect();
            prop_assert_eq!(parts.concat(), written.strip_suffix('\n').unwrap_or(written));
            prop_assert!(parts.iter().all(|part| part.len() <= MAX_TEXT));
            model.extend(parts);
        }

        let first = ring.first();
        prop_assert_eq!(ring.end(), model.len() as u64);
        // A record does not go round the ring's end: up to one that is being written may stay unused there.
        let unused = model.iter().map(|text| 4 + words(text.len() + 2 * GUESS)).max().unwrap_or(0);
        let mut used = 0;
        for (sequence, expected) in model.iter().enumerate().rev() {
            let sequence = sequence as u64;
            used += 4 + words(expected.len());
            match ring.read(sequence) {
                Read::Record(record) => {
                    prop_assert!(sequence >= first);
                    prop_assert_eq!(&text(record), expected);
                    let start = record.place().position % (1 << data_bits);
                    prop_assert!(start + record.words() <= 1 << data_bits, "it goes round the ring's end");
                }
                Read::Lost { resume } => {
                    prop_assert_eq!(resume, first);
                    prop_assert!(sequence < first);
                }
                other => prop_assert!(false, "record {}: {:?}", sequence, other),
            }
            let has_entry = model.len() as u64 - sequence <= 1 << index_bits;
            let (fits, may_fit) = (used + unused <= 1 << data_bits, used <= 1 << data_bits);
            prop_assert!(sequence >= first || !(has_entry && fits), "record {sequence} is {used} words back");
            prop_assert!(sequence < first || has_entry && may_fit, "record {sequence} is {used} words back");
        }
    }
}

#[test]
fn positions_come_round() {
    let memory = Memory::new(16, 64);
    let ring = memory.ring();
    // Just before the position's 28 bits are used up.
    memory.header.head.store((1 << 28) - 20, crate::ring::sync::Ordering::Relaxed);
    for number in 0..40 {
        append(&ring, &format!("number {number}"));
        for sequence in ring.first()..ring.end() {
            assert_eq!(text(record(&ring, sequence)), format!("number {sequence}"));
        }
        assert!(ring.end() - ring.first() >= (number + 1).min(7));
    }
}
