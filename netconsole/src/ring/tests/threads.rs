//! Several writers and a reader at once, preempted wherever the host likes.

use super::{Memory, text};
use crate::ring::{Level, Read, Ring};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

const WRITERS: u64 = 3;
/// How many records each writes where they are too many for the ring, and where there is room for all.
const TOO_MANY: u64 = 700_000;
const RECORDS: u64 = 8000;

/// A writer's text: its own letter, in pieces, sometimes more than is reserved at once.
fn write(ring: &Ring<'_>, writer: u64, records: u64) {
    let letter = char::from(b'a' + writer as u8).to_string();
    for number in 0..records {
        let (short, long) = (number % 60, if number % 16 == 0 { 300 } else { number % 7 });
        ring.append(
            Level::from_low_bits(writer as u8),
            &letter,
            number,
            format_args!("{}{}", letter.repeat(short as usize + 1), letter.repeat(long as usize)),
        );
    }
}

/// What a reader saw; checks each record as it comes.
#[derive(Default)]
struct Seen {
    records: u64,
    lost: u64,
    latest: [Option<u64>; WRITERS as usize],
}

impl Seen {
    fn follow(&mut self, ring: &Ring<'_>, writing: &AtomicU64) {
        let mut next = 0;
        loop {
            // Read before the ring, so that an end found afterwards is the end.
            let finished = writing.load(Ordering::Acquire) == 0;
            match ring.read(next) {
                Read::Record(record) => {
                    let (text, module) = (text_bytes(record), record.module());
                    if !record.is_intact() {
                        continue;
                    }
                    let writer = record.level() as usize;
                    let letter = b'a' + writer as u8;
                    assert_eq!(module.as_str().as_bytes(), [letter]);
                    assert!(text.iter().all(|&byte| byte == letter), "record {next} is torn");
                    let latest = &mut self.latest[writer];
                    let in_order = |latest| {
                        latest < record.ticks() || latest == record.ticks() && record.is_continuation()
                    };
                    assert!(latest.is_none_or(in_order), "record {next} is out of order");
                    *latest = Some(record.ticks());
                    self.records += 1;
                    next += 1;
                }
                Read::Withheld => panic!("record {next} is for everybody"),
                Read::Lost { resume } => {
                    self.lost += resume - next;
                    next = resume;
                }
                Read::Unfinished(_) => {
                    assert!(!finished, "nobody writes record {next}");
                    thread::yield_now();
                }
                Read::End if finished => return,
                Read::End => thread::yield_now(),
            }
        }
    }
}

/// A text that may have been overwritten.
fn text_bytes(record: crate::ring::Record<'_>) -> Vec<u8> {
    let mut bytes = vec![0; record.len()];
    record.copy_text(0, &mut bytes);
    bytes
}

fn run(records: u64, index: usize, data: usize) -> (Seen, Memory) {
    let memory = Memory::new(index, data);
    let writing = AtomicU64::new(WRITERS);
    let mut seen = Seen::default();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (memory, writing) = (&memory, &writing);
            scope.spawn(move || {
                write(&memory.ring(), writer, records);
                writing.fetch_sub(1, Ordering::Release);
            });
        }
        seen.follow(&memory.ring(), &writing);
    });
    (seen, memory)
}

#[test]
fn no_record_is_torn_and_every_loss_counted() {
    let (seen, memory) = run(TOO_MANY, 64, 512);
    let ring = memory.ring();
    assert_eq!(seen.records + seen.lost, ring.end());
    assert!(ring.end() + ring.dropped() >= WRITERS * TOO_MANY);
}

#[test]
fn in_a_ring_that_is_large_enough_nothing_is_lost() {
    let (seen, memory) = run(RECORDS, 1 << 16, 1 << 20);
    let ring = memory.ring();
    assert_eq!((seen.records, seen.lost, ring.dropped()), (ring.end(), 0, 0));
    assert_eq!(seen.latest, [Some(RECORDS - 1); WRITERS as usize]);
    let mut letters = [0; WRITERS as usize];
    for sequence in 0..ring.end() {
        let record = super::record(&ring, sequence);
        letters[record.level() as usize] += text(record).len() as u64;
    }
    let written: u64 = (0..RECORDS).map(|n| n % 60 + 1 + if n % 16 == 0 { 300 } else { n % 7 }).sum();
    assert_eq!(letters, [written; WRITERS as usize]);
}
