//! Walks over the ring, and over a log that is none.

use super::*;
use crate::format::{MAX_DATAGRAM, RingLog, Threshold};
use crate::ring::{Audience, KeyId, Level, Ring, RingHeader, Timebase};
use crate::settings::Format;
use std::cell::Cell;
use std::sync::atomic::AtomicU64;

/// A log of another machine, that counts from 100 on: an entry that is `None` was lost.
struct Foreign {
    entries: Vec<Option<(Level, &'static str)>>,
    /// Whether what was copied was overwritten meanwhile.
    is_overwritten: Cell<bool>,
}

const FIRST: u64 = 100;

#[derive(Clone, Copy)]
struct ForeignRecord<'l> {
    log: &'l Foreign,
    sequence: u64,
    level: Level,
    text: &'static str,
}

impl<'l> Log for &'l Foreign {
    type Record = ForeignRecord<'l>;

    fn first(&self) -> u64 {
        FIRST
    }

    fn end(&self) -> u64 {
        FIRST + self.entries.len() as u64
    }

    fn read(&self, sequence: u64) -> Read<ForeignRecord<'l>> {
        if sequence < FIRST {
            return Read::Lost { resume: FIRST };
        }
        match self.entries.get((sequence - FIRST) as usize) {
            None => Read::End,
            // A log that can't tell where it goes on: the next number is as good as any.
            Some(None) => Read::Lost { resume: sequence },
            Some(&Some((level, "…"))) => {
                Read::Unfinished(ForeignRecord { log: self, sequence, level, text: "" })
            }
            Some(&Some((level, text))) => Read::Record(ForeignRecord { log: self, sequence, level, text }),
        }
    }

    fn micros(&self, record: &ForeignRecord<'_>) -> u64 {
        record.sequence * 1_000_000
    }
}

impl LogRecord for ForeignRecord<'_> {
    fn sequence(&self) -> u64 {
        self.sequence
    }

    fn level(&self) -> Level {
        self.level
    }

    fn len(&self) -> usize {
        self.text.len()
    }

    fn copy_text(&self, offset: usize, buffer: &mut [u8]) -> usize {
        let rest = &self.text.as_bytes()[offset.min(self.text.len())..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        count
    }

    fn is_intact(&self) -> bool {
        !self.log.is_overwritten.get()
    }
}

/// What a walk meets, as text.
fn walk<L: Log>(log: &L, unfinished: Unfinished, passes: impl Fn(&L::Record) -> bool + Copy) -> Vec<String> {
    let style = Style::new(Format::Extended { release: false }, true);
    let mut cursor = Cursor::at(0);
    cursor.count_held(log, u64::MAX, passes);
    let mut met = Vec::new();
    loop {
        match cursor.next(log, unfinished, passes) {
            Next::Record(record) => {
                let mut buffer = [0; MAX_DATAGRAM];
                let datagram = cursor.datagram(&style, log, &record, &mut buffer).expect("intact");
                met.push(String::from_utf8(buffer[..datagram.len].to_vec()).expect("UTF-8"));
                cursor = datagram.next;
            }
            Next::HeldBack => {}
            Next::Lost(count) => met.push(format!("{count} lost")),
            Next::End => return met,
        }
    }
}

fn with_ring(test: impl FnOnce(&Ring<'_>)) {
    let header = RingHeader::new();
    let index: [AtomicU64; 64] = [const { AtomicU64::new(0) }; _];
    let data: [AtomicU64; 1024] = [const { AtomicU64::new(0) }; _];
    test(&Ring::new(&header, &index, &data));
}

#[test]
fn a_log_that_is_no_ring_is_walked_as_the_ring_is() {
    let entry = |level, text| Some((level, text));
    let log = Foreign {
        entries: vec![
            entry(Level::Info, "one"),
            entry(Level::Debug, "hidden"),
            entry(Level::Debug, "hidden too"),
            entry(Level::Warning, "two"),
            None,
            None,
            entry(Level::Info, "…"),
            entry(Level::Info, "three"),
        ],
        is_overwritten: Cell::new(false),
    };
    let threshold = Threshold::level(7);
    let passes = |record: &ForeignRecord<'_>| threshold.passes(record);
    let begin = ["100 lost", "6,100,100000000,-;one\n", "4,103,103000000,-,held=2;two\n", "1 lost", "1 lost"];
    assert_eq!(walk(&&log, Unfinished::Await, passes), begin, "no further than what is being written");
    let last = ["6,106,106000000,-;\n", "6,107,107000000,-;three\n"];
    assert_eq!(walk(&&log, Unfinished::Take, passes), [&begin[..], &last].concat());
    // What is not remembered the log itself says.
    let held = |sequence, most| {
        let mut cursor = Cursor::at(sequence);
        cursor.count_held(&&log, most, passes);
        cursor.held()
    };
    assert_eq!((held(103, 9), held(103, 1), held(102, 9), held(100, 9), held(107, 9)), (2, 1, 1, 0, 0));
}

/// What was written of a record that was overwritten meanwhile is no datagram, and the walk has not moved.
#[test]
fn what_was_overwritten_is_no_datagram() {
    let log = Foreign { entries: vec![Some((Level::Info, "one"))], is_overwritten: Cell::new(true) };
    let cursor = Cursor::at(FIRST);
    let Next::Record(record) = { cursor }.next(&&log, Unfinished::Await, |_| true) else { panic!("there") };
    let style = Style::new(Format::Basic, false);
    assert_eq!(cursor.datagram(&style, &&log, &record, &mut [0; 100]), None);
    log.is_overwritten.set(false);
    let next = cursor.after(1);
    assert_eq!(cursor.datagram(&style, &&log, &record, &mut [0; 100]), Some(Datagram { len: 4, next }));
}

/// A threshold that changes amid a record does not cut it, and what was held back before is told with each datagram.
#[test]
fn a_record_goes_out_as_a_whole() {
    with_ring(|ring| {
        ring.append_str(Level::Debug, "tests", 0, "hidden");
        ring.append_str(Level::Info, "tests", 0, &"x".repeat(2500));
        let timebase = Timebase::new(0);
        let log = RingLog::new(ring, &timebase);
        let style = Style::new(Format::Extended { release: false }, true);
        let mut cursor = Cursor::at_after_held(0, 0);
        let mut headers = Vec::new();
        for limit in [7, 7, 0, 0] {
            let threshold = Threshold::level(limit);
            let passes = |record: &crate::ring::Record<'_>| threshold.passes(record);
            if let Next::Record(record) = cursor.next(&log, Unfinished::Await, passes) {
                assert_eq!(cursor.peek(&log, passes).map(|record| record.sequence()), Some(1));
                let mut buffer = [0; MAX_DATAGRAM];
                let datagram = cursor.datagram(&style, &log, &record, &mut buffer).expect("intact");
                let text = String::from_utf8_lossy(&buffer[..datagram.len]).into_owned();
                headers.push(text.split(';').next().expect("one").to_string());
                assert_eq!(datagram.ends_record(), headers.len() == 3);
                cursor = datagram.next;
            }
        }
        let places = ["0/2501", "971/2501", "1940/2501"];
        assert_eq!(headers, places.map(|place| format!("6,1,0,-,held=1,ncfrag={place}")));
        assert_eq!(cursor, Cursor::at_after_held(2, 0));
    });
}

/// Whoever is at the machine sees what does not leave it; for all others it is held back.
#[test]
fn what_is_withheld_is_held_back_but_at_the_machine() {
    with_ring(|ring| {
        ring.recover(0, Audience::Holders(KeyId::new(7)));
        ring.append_str(Level::Info, "tests", 0, "secret");
        ring.recover(0, Audience::Everybody);
        ring.append_str(Level::Info, "tests", 0, "open");
        let timebase = Timebase::new(0);
        let threshold = Threshold::level(8);
        let away = RingLog::new(ring, &timebase);
        let leaving = walk(&away, Unfinished::Await, |record| threshold.passes(record));
        assert_eq!(leaving, ["6,1,0,-,held=1;open\n"]);
        let local = walk(&RingLog::local(ring, &timebase), Unfinished::Await, |_| true);
        assert!(local.len() == 2 && local[0].contains("secret"), "{local:?}");
    });
}

/// The panic path's memory is made of it, and a conversation that has not begun: both cost an image nothing.
#[test]
fn the_beginning_of_the_log_is_all_zeros() {
    assert_eq!(Cursor::at(0), Cursor { sequence: 0, offset: 0, held: 0 });
    assert_eq!(Cursor::at(0).held(), 0);
}
