//! A ring whose memory outlives the boot, whole or damaged.

use super::{Memory, append, record, text, texts};
use crate::ring::sync::{AtomicU64, Ordering};
use crate::ring::{Audience, KeyId, Level, Read, Recovery, RingHeader};
use proptest::prelude::*;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

impl Memory {
    pub(super) fn words(&self) -> impl Iterator<Item = &AtomicU64> {
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
        let recovery = ring.recover(5, Audience::Everybody);
        assert_eq!(recovery, Recovery { records: 0, damaged: 0, withheld: 0, boots: 0, goodbye: false });
        assert_eq!((ring.first(), ring.end(), ring.dropped()), (0, 0, 0));
        append(&ring, "first");
        assert_eq!(texts(&ring), [(0, "first".to_owned())]);
        assert_eq!(record(&ring, 0).boot(), 0);
    }
}

#[test]
fn the_log_goes_on_where_it_was() {
    let memory = Memory::new(16, 256);
    memory.ring().recover(100, Audience::Everybody);
    memory.ring().set_frequency(1_000_000_000);
    append(&memory.ring(), "one");
    append(&memory.ring(), "two");

    let ring = memory.ring();
    let recovery = ring.recover(7000, Audience::Everybody);
    assert_eq!(recovery, Recovery { records: 2, damaged: 0, withheld: 0, boots: 1, goodbye: false });
    assert_eq!(recovery.to_string(), "previous boot ended without a goodbye: 2 records");
    append(&ring, "three");
    let expected = [(0, "one"), (1, "two"), (2, "three")].map(|(sequence, text)| (sequence, text.to_owned()));
    assert_eq!(texts(&ring), expected);
    assert_eq!([0, 1, 2].map(|sequence| record(&ring, sequence).boot()), [1, 1, 0]);
    assert_eq!(ring.timebase(1).map(|timebase| timebase.micros(3100)), Some(3));
    assert!(ring.timebase(0).is_none() && ring.timebase(2).is_none());

    ring.say_goodbye();
    append(&ring, "four");
    let recovery = memory.ring().recover(0, Audience::Everybody);
    assert_eq!(recovery, Recovery { records: 4, damaged: 0, withheld: 0, boots: 2, goodbye: true });
    assert_eq!(recovery.to_string(), "previous boot ended in order: 4 records of 2 boots");
    assert!(!memory.ring().recover(0, Audience::Everybody).goodbye, "a goodbye counts once");
}

#[test]
fn boots_are_told_apart_and_the_oldest_forgotten() {
    let memory = Memory::new(64, 1024);
    let ring = memory.ring();
    for boot in 0..40 {
        assert_eq!(ring.recover(0, Audience::Everybody).records, boot.min(15));
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
    assert_eq!(ring.recover(0, Audience::Everybody).records, 2);
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
    let recovery = ring.recover(0, Audience::Everybody);
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

    /// Whatever is damaged, what a boot with a key logged stays in the machine.
    #[test]
    fn damage_lets_nothing_out(
        damage in any_damage(),
        header_damage in any_damage(),
        now in prop_oneof![Just(Audience::Everybody), Just(Audience::Nobody), Just(OTHER_KEY)],
        recovers: bool,
    ) {
        const HEADER: usize = 5 + 16 * 4;
        let memory = Memory::new(32, 512);
        boots(&memory, &[KEY, KEY, Audience::Nobody, KEY]);
        let words: Vec<&AtomicU64> = memory.words().collect();
        for (index, bits) in damage {
            words[HEADER + index.index(words.len() - HEADER)].fetch_xor(bits, Ordering::Relaxed);
        }
        for (index, bits) in header_damage {
            words[index.index(HEADER)].fetch_xor(bits, Ordering::Relaxed);
        }
        let ring = memory.ring();
        if recovers {
            let recovery = ring.recover(0, now);
            prop_assert_eq!(recovery.withheld, recovery.records);
        }
        for sequence in 0..ring.end().min(40) {
            prop_assert!(ring.peek(sequence).is_none_or(|record| !record.is_whole()));
            prop_assert!(ring.find(sequence).is_none_or(|found| ring.copy(&found, &mut [0; 64], |(), _| ()).is_none()));
            match ring.read(sequence) {
                Read::Record(record) => prop_assert!(false, "record {}: {}", sequence, text(record)),
                Read::Unfinished(record) => prop_assert_eq!(record.len(), 0),
                _ => {}
            }
        }
    }

    #[test]
    fn whole_records_come_out_whole(
        logged in prop::collection::vec("[a-zä\n]{0,60}", 0..60),
        damage in any_damage(),
        header_damage in any_damage(),
    ) {
        const HEADER: usize = 5 + 16 * 4;
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

        let recovery = ring.recover(0, Audience::Everybody);
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
    fn anything_in_memory_is_survived(fill in prop::collection::vec(any::<u64>(), 5 + 64 + 16 + 64)) {
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
        ring.recover(0, Audience::Everybody);
        let end = ring.end();
        append(&ring, "found");
        prop_assert_eq!(text(record(&ring, end)), "found");
    }
}

const KEY: Audience = Audience::Holders(KeyId::new(0x1122_3344_5566_7788));
const OTHER_KEY: Audience = Audience::Holders(KeyId::new(0x1122_3344_5566_7789));

/// One boot for each of these, a record in each.
fn boots(memory: &Memory, audiences: &[Audience]) {
    for (number, &audience) in audiences.iter().enumerate() {
        let ring = memory.ring();
        ring.recover(0, audience);
        append(&ring, &format!("boot {number}"));
    }
}

/// For every two audiences, whether the one boot's record leaves in the next.
#[test]
fn what_a_boot_with_a_key_logged_leaves_only_in_one_with_the_same() {
    for (before, now, leaves) in [
        (Audience::Everybody, Audience::Everybody, true),
        (Audience::Everybody, KEY, true),
        (Audience::Everybody, Audience::Nobody, true),
        (KEY, KEY, true),
        (KEY, OTHER_KEY, false),
        (KEY, Audience::Everybody, false),
        (KEY, Audience::Nobody, false),
        (Audience::Nobody, KEY, false),
        (Audience::Nobody, Audience::Everybody, false),
        (Audience::Nobody, Audience::Nobody, false),
    ] {
        let memory = Memory::new(16, 256);
        boots(&memory, &[before]);
        let ring = memory.ring();
        let recovery = ring.recover(0, now);
        assert_eq!((recovery.records, recovery.withheld), (1, u64::from(!leaves)), "{before:?}, {now:?}");
        assert_eq!(matches!(ring.read(0), Read::Record(_)), leaves, "{before:?}, {now:?}");
        assert_eq!(matches!(ring.read(0), Read::Withheld), !leaves, "{before:?}, {now:?}");
        assert_eq!(ring.peek(0).is_some(), leaves);
        assert!(matches!(ring.read_locally(0), Read::Record(record) if text(record) == "boot 0"));
        assert_eq!(recovery.to_string().contains("1 withheld: they leave only sealed"), !leaves);

        append(&ring, "now");
        // Nothing leaves a boot whose key can't be read, and what seals takes no record as it lies.
        assert_eq!(matches!(ring.read(1), Read::Record(_)), now != Audience::Nobody, "{now:?}");
        assert_eq!(ring.find(1).is_some(), now == Audience::Everybody, "{now:?}");
    }
}

#[test]
fn a_key_that_comes_back_opens_its_own_boots() {
    let memory = Memory::new(32, 512);
    boots(&memory, &[KEY, Audience::Everybody, OTHER_KEY, Audience::Nobody, KEY]);
    let ring = memory.ring();
    let recovery = ring.recover(0, KEY);
    assert_eq!((recovery.records, recovery.withheld), (5, 2));
    let read = |sequence| match ring.read(sequence) {
        Read::Record(record) => Some(text(record)),
        _ => None,
    };
    assert_eq!([0, 1, 2, 3, 4].map(|number| read(number).is_some()), [true, true, false, false, true]);
    assert!(ring.timebase(1).is_none(), "no frequency was noted");
    ring.set_frequency(1_000_000);
    append(&ring, "own");
    assert_eq!(read(5).as_deref(), Some("own"));
    assert_eq!(memory.ring().recover(0, KEY).withheld, 2, "the frequency is noted beside the key's id");
}

/// As a panic before the recovery finds it.
#[test]
fn before_the_recovery_nothing_of_a_boot_with_a_key_leaves() {
    let memory = Memory::new(16, 256);
    boots(&memory, &[KEY]);
    assert!(matches!(memory.ring().read(0), Read::Withheld));
    assert!(memory.ring().find(0).is_none() && memory.ring().peek(0).is_none());
    let memory = Memory::new(16, 256);
    boots(&memory, &[Audience::Everybody]);
    assert!(matches!(memory.ring().read(0), Read::Record(_)));
}

/// An empty log of the layout before, as long as this one, with a record in it as that layout has it.
#[test]
fn a_ring_of_the_layout_before_is_none() {
    let memory = Memory::new(16, 256);
    // Header, ticks, checksum, module "tests", text "old": sequence 0, level 6, done in bit 62.
    let header = 3 << 36 | 5 << 49 | 6 << 54 | 1 << 62;
    let words = [u64::from_le_bytes(*b"tests\0\0\0"), u64::from_le_bytes(*b"old\0\0\0\0\0")];
    let layout = u64::from_le_bytes(*b"nclog\0\0\x03") ^ 256 << 32;
    let with = |sum: u64, word: u64| (sum.rotate_left(29) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let checksum = [0, words[0], words[1], header].into_iter().fold(layout, with);
    for (to, word) in memory.data.iter().zip([header, 0, checksum, words[0], words[1]]) {
        to.store(word, Ordering::Relaxed);
    }
    memory.index[0].store(1 << 28, Ordering::Relaxed);
    memory.header.head.store(1 << 28 | 5, Ordering::Relaxed);
    let ring = memory.ring();
    assert!(matches!(ring.read(0), Read::Lost { .. }));
    assert_eq!(ring.recover(0, Audience::Everybody).records, 0);
    assert_eq!(ring.end(), 0);
}
