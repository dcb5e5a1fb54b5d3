//! Damaged memory: whatever is in it, reading ends, gives what is whole, and does not panic.

mod image;

use image::kallsyms::{Layout, symbols};
use image::{Image, extended};
use linuxlog::{Crash, Memory, Read, Unreadable, scan};
use proptest::prelude::*;
use std::cell::Cell;
use std::sync::LazyLock;

/// Reads that a log of some hundred records may take, however it is damaged.
const READS: u64 = 3_000_000;

/// Memory that counts what is read of it.
struct Counted<'i> {
    image: &'i Image,
    reads: Cell<u64>,
}

impl Memory for Counted<'_> {
    fn read(&self, address: u64, to: &mut [u8]) -> Result<(), Unreadable> {
        self.reads.set(self.reads.get() + 1);
        assert!(self.reads.get() < READS, "reading does not end");
        self.image.read(address, to)
    }
}

/// An image, where its core header is, and the pages that are damaged.
struct Sample {
    image: Image,
    core_header: u64,
    hit: Vec<u64>,
}

impl Sample {
    fn new(name: &str) -> Self {
        let (image, core_header) = (Image::load(name), Image::core_header(name));
        // The texts are many pages, and the structures few: these are hit as often.
        let addresses = image.addresses();
        let mut hit: Vec<u64> = addresses.iter().take(64).copied().collect();
        hit.extend(addresses.iter().rev().take(8));
        hit.push(core_header);
        Self { image, core_header, hit }
    }

    /// With symbols, and a stack full of return addresses, which alone are damaged.
    fn with_symbols(name: &str, layout: Layout) -> Self {
        let Self { image, core_header, .. } = Self::new(name);
        let old = image.addresses();
        let crash = Crash::open(&image, core_header).expect("it is whole");
        let stext = crash.info().stext.expect("it is exported");
        let stack: Vec<u64> = (1..=12).map(|call| stext + call * 555).collect();
        let image = image.clone().with_stack(core_header, &stack);
        let image = image.with_symbols(core_header, layout, &symbols(stext, layout));
        let hit = image.addresses().into_iter().filter(|address| !old.contains(address)).collect();
        Self { image, core_header, hit }
    }
}

static NEW: LazyLock<Sample> = LazyLock::new(|| Sample::new("6.12"));
static SYMBOLS: [LazyLock<Sample>; 2] = [
    LazyLock::new(|| Sample::with_symbols("6.12", Layout::PerCpu)),
    LazyLock::new(|| Sample::with_symbols("7.2", Layout::Own)),
];
static OLD: LazyLock<Sample> = LazyLock::new(|| Sample::new("5.4-log_buf_len-4M"));

/// A word at a place of an image becomes another one.
type Change = (prop::sample::Index, u16, u64);

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let word = prop_oneof![
        any::<u64>(),
        0_u64..64,
        (0_u64..64).prop_map(|bit| 1 << bit),
        Just(u64::MAX),
        Just(0xffff_ffff_8000_0000)
    ];
    prop::collection::vec((any::<prop::sample::Index>(), 0_u16..4089, word), 1..40)
}

fn read_damaged(sample: &Sample, changes: &[Change]) {
    let mut image = sample.image.clone();
    // One of the pages is gone, of which most are texts.
    let addresses = image.addresses();
    let gone =
        changes.last().map(|(page, ..)| *page.get(&addresses)).filter(|page| !sample.hit.contains(page));
    if let Some(gone) = gone {
        image.remove(gone);
    }
    for (page, offset, word) in changes {
        let page = image.page_mut(*page.get(&sample.hit));
        let offset = usize::from(*offset);
        page[offset..offset + 8].copy_from_slice(&word.to_le_bytes());
    }
    let memory = Counted { image: &image, reads: Cell::new(0) };
    if let Ok(crash) = Crash::open(&memory, sample.core_header) {
        for cpu in crash.cpus().take(2) {
            assert!(crash.backtrace(&cpu).map(|call| call.to_string()).all(|call| !call.is_empty()));
        }
        if let Ok(log) = crash.log() {
            // How much is whole depends on what was hit; that reading ends is what counts.
            let _ = extended(&log);
            // What can be read is so by whole pages here.
            for sequence in (log.first()..log.end()).take(512) {
                if let Read::Record(record) = log.read(sequence) {
                    assert_eq!(record.is_on_readable_pages(), record.is_readable(), "{record:?}");
                }
            }
        }
    }
    let first = image.addresses()[0];
    let _ = scan(&memory, first..first + (64 << 20)).count();
}

/// As who looks for the begin of a crash does, from the log's end back.
#[test]
fn an_old_log_is_read_backwards_without_a_walk_through_all_of_it() {
    let memory = Counted { image: &OLD.image, reads: Cell::new(0) };
    let crash = Crash::open(&memory, OLD.core_header).expect("it is whole");
    let log = crash.log().expect("it is whole");
    let count = |sequences: &mut dyn Iterator<Item = u64>| {
        let before = memory.reads.get();
        sequences.for_each(|sequence| assert!(matches!(log.read(sequence), Read::Record(_)), "{sequence}"));
        memory.reads.get() - before
    };
    let numbers = log.first()..log.end();
    let (forwards, backwards) = (count(&mut numbers.clone()), count(&mut numbers.rev()));
    assert!(forwards > 256 && backwards < 8 * forwards, "{forwards} reads forwards, {backwards} backwards");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_damaged_lockless_ring_is_read_to_an_end(changes in changes()) {
        read_damaged(&NEW, &changes);
    }

    #[test]
    fn damaged_symbols_are_read_to_an_end(changes in changes(), newest in any::<bool>()) {
        read_damaged(&SYMBOLS[usize::from(newest)], &changes);
    }

    #[test]
    fn a_damaged_old_log_is_read_to_an_end(changes in changes()) {
        read_damaged(&OLD, &changes);
    }
}
