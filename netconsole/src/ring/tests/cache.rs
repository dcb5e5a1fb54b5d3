//! A ring in memory behind a cache that a reset throws away: what was not written back may be lost, line by line.

use super::past::Other;
use super::{Memory, append, record, text};
use crate::ring::sync::{AtomicU64, Ordering};
use crate::ring::{Audience, Level, Read, Ring};
use proptest::prelude::*;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

/// Bytes of a cache's line.
const LINE: usize = 64;

thread_local! {
    /// What the memory behind the cache has, by the words' addresses; 0 where nothing was written back.
    static BEHIND: RefCell<HashMap<usize, u64>> = RefCell::new(HashMap::new());
}

fn write_back(record: &[AtomicU64], entry: &AtomicU64) {
    BEHIND.with_borrow_mut(|behind| {
        for word in record.iter().chain([entry]) {
            behind.insert(std::ptr::from_ref(word).addr(), word.load(Ordering::Relaxed));
        }
    });
}

/// A ring as a kernel has it whose log is to outlive a reset.
fn kept(memory: &Memory) -> Ring<'_> {
    memory.ring().written_back_by(write_back)
}

/// Resets the machine: lines for which `is_lost` says so are as they were when they were last written back.
fn reset(memory: &Memory, mut is_lost: impl FnMut() -> bool) {
    let mut lines = HashMap::new();
    for word in memory.words() {
        let address = std::ptr::from_ref(word).addr();
        if *lines.entry(address / LINE).or_insert_with(&mut is_lost) {
            let value = BEHIND.with_borrow(|behind| behind.get(&address).copied().unwrap_or(0));
            word.store(value, Ordering::Relaxed);
        }
        // The others were written back in time.
        BEHIND.with_borrow_mut(|behind| behind.insert(address, word.load(Ordering::Relaxed)));
    }
}

#[test]
fn every_record_that_is_done_survives_the_loss_of_the_whole_cache() {
    BEHIND.take();
    let memory = Memory::new(16, 256);
    let ring = kept(&memory);
    ring.recover(0, Audience::Everybody);
    append(&ring, "as it is formatted");
    ring.append_str(Level::Info, "tests", 0, "in one piece");
    reset(&memory, || true);
    let ring = kept(&memory);
    let recovery = ring.recover(0, Audience::Everybody);
    assert_eq!((recovery.records, recovery.damaged, recovery.goodbye), (2, 0, false));
    assert_eq!([0, 1].map(|number| text(record(&ring, number))), ["as it is formatted", "in one piece"]);
    ring.set_frequency(1_000_000_000);
    ring.say_goodbye();
    append(&ring, "last");
    reset(&memory, || true);
    let ring = kept(&memory);
    let recovery = ring.recover(0, Audience::Everybody);
    assert_eq!((recovery.records, recovery.goodbye), (3, true));
    assert!(ring.timebase(1).is_some(), "the frequency was written back");
}

#[test]
fn what_was_before_a_ring_that_follows_a_kernel_s_log_does_not_come_back() {
    BEHIND.take();
    let memory = Memory::new(16, 256);
    let ring = kept(&memory);
    ring.recover(0, Audience::Everybody);
    append(&ring, "of an earlier boot");
    ring.say_goodbye();
    kept(&memory).following(&Other, 7, 6000).begin_following(0, Audience::Everybody);
    reset(&memory, || true);
    let recovery = kept(&memory).recover(0, Audience::Everybody);
    assert_eq!((recovery.records, recovery.damaged, recovery.goodbye), (0, 0, false));
}

/// The model shows the loss that the ring is kept from.
#[test]
fn a_ring_that_is_not_written_back_is_lost() {
    BEHIND.take();
    let memory = Memory::new(16, 256);
    append(&memory.ring(), "gone");
    reset(&memory, || true);
    assert_eq!(memory.ring().recover(0, Audience::Everybody).records, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Over some boots, each with a reset that loses any lines: a sequence number that anybody may have seen means the same
    /// record for ever, and what was done is there for as long as it is not overwritten.
    #[test]
    fn sequence_numbers_are_never_used_again(
        boots in prop::collection::vec(prop::collection::vec("[a-z]{0,90}", 0..30), 1..6),
        losses in prop::collection::vec(any::<bool>(), 64),
        goodbye: bool,
    ) {
        BEHIND.take();
        let memory = Memory::new(32, 512);
        let mut given: BTreeMap<u64, String> = BTreeMap::new();
        let mut losses = losses.into_iter().cycle();
        for (number, texts) in boots.iter().enumerate() {
            let ring = kept(&memory);
            ring.recover(0, Audience::Everybody);
            for (sequence, before) in &given {
                match ring.read(*sequence) {
                    Read::Record(record) => prop_assert_eq!(&text(record), before),
                    Read::Lost { .. } => prop_assert!(ring.first() > *sequence, "record {} is lost", sequence),
                    other => prop_assert!(false, "record {}: {:?}", sequence, other),
                }
            }
            for (place, text) in texts.iter().enumerate() {
                let (sequence, text) = (ring.end(), format!("{number} {text}"));
                if place % 2 == 0 {
                    append(&ring, &text);
                } else {
                    ring.append_str(Level::Info, "tests", 0, &text);
                }
                prop_assert!(given.insert(sequence, text).is_none(), "number {} came twice", sequence);
            }
            if goodbye {
                ring.say_goodbye();
            }
            reset(&memory, || losses.next().unwrap_or(true));
        }
    }
}

#[test]
fn the_newest_records_within_so_many_bytes_are_found() {
    let memory = Memory::new(16, 256);
    let ring = memory.ring();
    assert_eq!(ring.newest_within(1000), 0);
    (0..10).for_each(|number| append(&ring, &format!("number {number}")));
    // Three words, one of module and two of text.
    let size = record(&ring, 0).words() * 8;
    assert_eq!(ring.newest_within(0), 10);
    assert_eq!(ring.newest_within(size - 1), 10);
    assert_eq!(ring.newest_within(3 * size), 7);
    assert_eq!(ring.newest_within(3 * size + size - 1), 7);
    assert_eq!(ring.newest_within(usize::MAX), 0);
    (0..40).for_each(|number| append(&ring, &format!("number {number}")));
    assert_eq!(ring.newest_within(usize::MAX), ring.first());
}
