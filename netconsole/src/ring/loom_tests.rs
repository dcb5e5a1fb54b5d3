//! The ring under loom, which runs every order of memory accesses that the language's memory model allows.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release --lib loom`

use super::sync::AtomicU64;
use super::{Level, Read, Record, Ring, RingHeader};
use loom::sync::Arc;
use loom::thread;

struct Memory {
    header: RingHeader,
    index: Vec<AtomicU64>,
    data: Vec<AtomicU64>,
}

impl Memory {
    fn new(index: usize) -> Arc<Self> {
        let zeroed = |words| (0..words).map(|_| AtomicU64::new(0)).collect();
        // The smallest ring there is: three records of text go round.
        Arc::new(Self { header: RingHeader::new(), index: zeroed(index), data: zeroed(16) })
    }

    fn ring(&self) -> Ring<'_> {
        Ring::new(&self.header, &self.index, &self.data)
    }
}

/// Runs a model with at most this many preemptions of a thread, enough for every pair of accesses that
/// matters, and few enough to end.
fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// The text of a record that is intact after it was copied.
fn text(record: Record<'_>) -> Option<String> {
    let mut bytes = vec![0; record.len()];
    record.copy_text(0, &mut bytes);
    record.is_intact().then(|| String::from_utf8(bytes).expect("an intact record is UTF-8"))
}

fn append(ring: &Ring<'_>, text: &'static str) {
    // Known as a whole, as a literal is.
    match text {
        "first" => ring.append(Level::Info, "", 1, format_args!("first")),
        "other" => ring.append(Level::Info, "", 2, format_args!("other")),
        _ => ring.append(Level::Info, "", 3, format_args!("{text}")),
    }
}

#[test]
fn loom_two_writers_get_a_record_each() {
    check(3, || {
        let memory = Memory::new(4);
        let writer = thread::spawn({
            let memory = memory.clone();
            move || append(&memory.ring(), "first")
        });
        append(&memory.ring(), "other");
        writer.join().expect("a writer does not panic");
        let ring = memory.ring();
        let mut found: Vec<_> = (0..2).map(|sequence| whole(ring.read(sequence))).collect();
        found.sort();
        assert_eq!(found, ["first", "other"]);
        assert!(matches!(ring.read(2), Read::End));
    });
}

fn whole(read: Read<Record<'_>>) -> String {
    match read {
        Read::Record(record) => text(record).expect("nobody overwrites it"),
        other => panic!("{other:?}"),
    }
}

// Loom goes back only to the last access of an atomic before a conflicting one. So that it finds the
// reader's moments it must have seen the writer first: the writer runs in the model's own thread.

#[test]
fn loom_a_reader_sees_a_record_whole_or_growing() {
    check(3, || {
        let memory = Memory::new(4);
        let reader = thread::spawn({
            let memory = memory.clone();
            move || match memory.ring().read(0) {
                Read::Record(record) => {
                    assert_eq!((text(record).as_deref(), record.ticks()), (Some("one, 2"), 7))
                }
                Read::Unfinished(record) => {
                    let text = text(record).expect("nobody overwrites it");
                    assert!(["", "one, ", "one, 2"].contains(&text.as_str()), "{text}");
                }
                Read::End => {}
                other => panic!("{other:?}"),
            }
        });
        let number = core::hint::black_box(2);
        memory.ring().append(Level::Info, "", 7, format_args!("one, {number}"));
        reader.join().expect("a reader does not panic");
        assert_eq!(whole(memory.ring().read(0)), "one, 2");
    });
}

#[test]
fn loom_what_is_overwritten_is_never_taken_for_a_record() {
    check(3, || {
        let memory = Memory::new(2);
        append(&memory.ring(), "first");
        append(&memory.ring(), "other");
        let reader = thread::spawn({
            let memory = memory.clone();
            move || match memory.ring().read(0) {
                Read::Record(record) => assert!(text(record).is_none_or(|text| text == "first")),
                Read::Lost { resume } => assert!((1..=5).contains(&resume)),
                other => panic!("{other:?}"),
            }
        });
        let ring = memory.ring();
        for _ in 0..3 {
            append(&ring, "again");
        }
        reader.join().expect("a reader does not panic");
        assert_eq!(whole(ring.read(4)), "again");
        assert!(matches!(ring.read(0), Read::Lost { resume } if resume == ring.first()));
    });
}

#[test]
fn loom_a_writer_that_is_lapped_spoils_nothing_unseen() {
    check(2, || {
        let memory = Memory::new(2);
        let writer = thread::spawn({
            let memory = memory.clone();
            move || append(&memory.ring(), "first")
        });
        for _ in 0..4 {
            append(&memory.ring(), "again");
        }
        writer.join().expect("a writer does not panic");
        let ring = memory.ring();
        let (mut next, mut seen, mut lost) = (0, 0, 0);
        loop {
            match ring.read(next) {
                Read::Record(record) => {
                    let text = text(record).expect("nobody overwrites it");
                    assert_eq!(text, if record.ticks() == 1 { "first" } else { "again" });
                    (next, seen) = (next + 1, seen + 1);
                }
                Read::Lost { resume } => {
                    assert!(resume > next);
                    lost += resume - next;
                    next = resume;
                }
                Read::End => break,
                other => panic!("{other:?} is written by nobody"),
            }
        }
        assert_eq!((seen + lost, ring.end(), ring.dropped()), (5, 5, 0));
    });
}
