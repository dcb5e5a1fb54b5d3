//! A ring whose memory outlives the boot, whole or damaged.

use super::{Memory, append, record, text, texts};
use crate::log::sync::{AtomicU64, Ordering};
use crate::log::{Level, Read, Recovery, RingHeader};
use proptest::prelude::*;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

impl Memory {
    fn words(&self) -> impl Iterator<Item = &AtomicU64> {
        let RingHeader { head, dropped, boot, boot_sequence, goodbye, boots } = &self.header;
        [head, dropped, boot, boot_sequence, goodbye]
            .into_iter()
            .chain(boots.iter().flatten())
            .chain(&self.index)
            .chain(&self.data)
    }

    /// The memory as a crash at this moment would leave it.
    fn snapshot(&self) -> Self {
        let copy = Self::new(self.index.len(), self.data.len());
        copy.words()
            .zip(self.words())
            .for_each(|(to, from)| to.store(from.load(Ordering::Relaxed), Ordering::Relaxed));
        copy
    }
}

/// Copies the memory when it is displayed: a crash amid formatting.
struct Crash<'a>(&'a Memory, RefCell<Option<Memory>>);

impl fmt::Display for Crash<'_> {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        *self.1.borrow_mut() = Some(self.0.snapshot());
        Ok(())
    }
}

#[test]
fn memory_without_a_ring_is_a_cold_start() {
    for fill in [0, u64::MAX, 0xa5a5_a5a5_a5a5_a5a5] {
        let memory = Memory::new(16, 256);
        memory.words().for_each(|word| word.store(fill, Ordering::Relaxed));
        let ring = memory.ring();
        let recovery = ring.recover(5);
        assert_eq!(recovery, Recovery { records: 0, damaged: 0, boots: 0, goodbye: false });
        assert_eq!((ring.first(), ring.end(), ring.dropped()), (0, 0, 0));
        append(&ring, "first");
        assert_eq!(texts(&ring), [(0, "first".to_owned())]);
        assert_eq!(record(&ring, 0).boot(), 0);
    }
}

#[test]
fn the_log_goes_on_where_it_was() {
    let memory = Memory::new(16, 256);
    memory.ring().recover(100);
    memory.ring().set_frequency(1_000_000_000);
    append(&memory.ring(), "one");
    append(&memory.ring(), "two");

    let ring = memory.ring();
    let recovery = ring.recover(7000);
    assert_eq!(recovery, Recovery { records: 2, damaged: 0, boots: 1, goodbye: false });
    assert_eq!(recovery.to_string(), "previous boot ended without a goodbye: 2 records");
    append(&ring, "three");
    let expected = [(0, "one"), (1, "two"), (2, "three")].map(|(sequence, text)| (sequence, text.to_owned()));
    assert_eq!(texts(&ring), expected);
    assert_eq!([0, 1, 2].map(|sequence| record(&ring, sequence).boot()), [1, 1, 0]);
    assert_eq!(ring.timebase(1).map(|timebase| timebase.micros(3100)), Some(3));
    assert!(ring.timebase(0).is_none() && ring.timebase(2).is_none());

    ring.say_goodbye();
    append(&ring, "four");
    let recovery = memory.ring().recover(0);
    assert_eq!(recovery, Recovery { records: 4, damaged: 0, boots: 2, goodbye: true });
    assert_eq!(recovery.to_string(), "previous boot ended in order: 4 records of 2 boots");
    assert!(!memory.ring().recover(0).goodbye, "a goodbye counts once");
}

#[test]
fn boots_are_told_apart_and_the_oldest_forgotten() {
    let memory = Memory::new(64, 1024);
    let ring = memory.ring();
    for boot in 0..40 {
        assert_eq!(ring.recover(0).records, boot.min(15));
        append(&ring, &format!("boot {boot}"));
        for (sequence, text) in texts(&ring) {
            assert_eq!(text, format!("boot {sequence}"));
            assert_eq!(u64::from(record(&ring, sequence).boot()), boot - sequence);
        }
        assert_eq!(ring.first(), boot.saturating_sub(15));
    }
}

#[test]
fn a_record_amid_writing_is_recovered_cut() {
    let memory = Memory::new(16, 256);
    append(&memory.ring(), "whole");
    let crash = Crash(&memory, RefCell::new(None));
    memory.ring().append(Level::Alert, "cut", 1, format_args!("written so far {crash} and not this"));
    let memory = crash.1.take().expect("it was displayed");
    let ring = memory.ring();
    assert_eq!(ring.recover(0).records, 2);
    let record = record(&ring, 1);
    assert!(record.is_cut() && record.level() == Level::Alert && record.boot() == 1);
    assert_eq!(text(record), "written so far ");
    append(&ring, "next");
    assert_eq!(ring.end(), 3);
}

#[test]
fn sequence_numbers_of_damaged_records_are_not_given_again() {
    let memory = Memory::new(16, 256);
    let ring = memory.ring();
    (0..5).for_each(|number| append(&ring, &format!("number {number}")));
    // A word of the text of each of the last two records, five words long.
    [19, 24].into_iter().for_each(|word| _ = memory.data[word].fetch_xor(1 << 40, Ordering::Relaxed));
    let recovery = ring.recover(0);
    assert_eq!((recovery.records, recovery.damaged), (3, 2));
    assert_eq!(recovery.to_string(), "previous boot ended without a goodbye: 3 records, 2 damaged");
    append(&ring, "new");
    assert!(matches!(ring.read(3), Read::Lost { resume: 5 }));
    assert_eq!(text(record(&ring, 5)), "new");
}

/// Which words are overwritten, and with what.
fn any_damage() -> impl Strategy<Value = Vec<(prop::sample::Index, u64)>> {
    let bits = prop_oneof![any::<u64>(), (0..8u32, 1..256u64).prop_map(|(byte, bits)| bits << (byte * 8))];
    prop::collection::vec((any::<prop::sample::Index>(), bits), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whole_records_come_out_whole(
        logged in prop::collection::vec("[a-zä\n]{0,60}", 0..60),
        damage in any_damage(),
        header_damage in any_damage(),
    ) {
        const HEADER: usize = 5 + 16 * 3;
        let memory = Memory::new(32, 512);
        let ring = memory.ring();
        for text in &logged {
            append(&ring, text);
        }
        let before: BTreeMap<u64, String> = texts(&ring).into_iter().collect();
        let places: Vec<_> = before.keys().map(|&sequence| (sequence, record(&ring, sequence).place(), record(&ring, sequence).words())).collect();

        let words: Vec<&AtomicU64> = memory.words().collect();
        let mut spoiled = Vec::new();
        for (index, bits) in damage {
            let word = HEADER + index.index(words.len() - HEADER);
            words[word].fetch_xor(bits, Ordering::Relaxed);
            spoiled.push(word);
        }
        for (index, bits) in header_damage {
            words[index.index(HEADER)].fetch_xor(bits, Ordering::Relaxed);
        }
        let is_spoiled = |sequence: u64, position: usize, length: usize| {
            let index = HEADER + sequence as usize % 32;
            spoiled.contains(&index) || (position..position + length).any(|word| spoiled.contains(&(HEADER + 32 + word % 512)))
        };

        let recovery = ring.recover(0);
        let after: BTreeMap<u64, String> = texts(&ring).into_iter().collect();
        prop_assert_eq!(after.len() as u64, recovery.records);
        for (sequence, text) in &after {
            prop_assert_eq!(Some(text), before.get(sequence));
        }
        for (sequence, place, length) in places {
            if !is_spoiled(sequence, place.position, length) {
                prop_assert!(after.contains_key(&sequence), "record {} was whole", sequence);
            }
        }

        let end = ring.end();
        prop_assert!(after.keys().all(|&sequence| sequence < end));
        append(&ring, "a new one");
        let new = record(&ring, end);
        prop_assert_eq!((text(new), new.boot()), ("a new one".to_owned(), 0));
    }

    #[test]
    fn anything_in_memory_is_survived(fill in prop::collection::vec(any::<u64>(), 5 + 48 + 16 + 64)) {
        let memory = Memory::new(16, 64);
        memory.words().zip(&fill).for_each(|(word, &value)| word.store(value, Ordering::Relaxed));
        let ring = memory.ring();
        // A panic path that comes before the recovery reads, and writes too.
        for sequence in [0, ring.first(), ring.end().saturating_sub(1), ring.end(), u64::MAX] {
            if let Read::Record(record) | Read::Unfinished(record) = ring.read(sequence) {
                record.copy_text(0, &mut [0; 4096]);
                record.module();
                record.is_intact();
            }
        }
        append(&ring, "lost or not");
        ring.recover(0);
        let end = ring.end();
        append(&ring, "found");
        prop_assert_eq!(text(record(&ring, end)), "found");
    }
}
