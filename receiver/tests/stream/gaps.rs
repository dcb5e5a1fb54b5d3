//! What a number that does not come means: a loss, a level, another boot, or mere disorder.

use std::collections::HashMap;

use netconsole_receiver::event::Event;
use netconsole_receiver::senders::Senders;
use netconsole_receiver::stats::Stats;

use crate::{address, at, events, feed, text, texts};

/// A record at this millisecond of the sender's boot, which is heard `start` later.
fn record(level: u8, sequence: u64, millis: u64, start: u64) -> (u64, Vec<u8>) {
    (start + millis, format!("{level},{sequence},{},-;record {sequence}\n", millis * 1000).into_bytes())
}

fn others(events: &[Event]) -> Vec<&Event> {
    events.iter().filter(|event| text(event).is_none()).collect()
}

/// Linux at `quiet`: what its level holds back it does not send, and nothing says so.
#[test]
fn linux_at_quiet_skips_numbers() {
    let shown = [(0, 0), (7, 10), (300, 3000), (301, 3001), (305, 5000)];
    let (events, stats) = feed(shown.map(|(sequence, millis)| record(4, sequence, millis, 1000)).to_vec());
    assert_eq!(texts(&events).len(), 5);
    let skipped = |first, last| Event::Skipped { first, last, count: last - first + 1 };
    assert_eq!(others(&events), [&skipped(1, 6), &skipped(8, 299), &skipped(302, 304)]);
    assert_eq!((stats.skipped, stats.missing, stats.gaps, stats.reboots), (6 + 292 + 3, 0, 0, 0));
}

/// Who lets a debug record out holds nothing back: what does not come then is lost.
#[test]
fn where_debug_records_come_a_gap_is_a_loss() {
    let log = [(6, 0), (6, 3), (7, 4), (6, 7)];
    let log = log.map(|(level, sequence)| record(level, sequence, sequence * 1000, 1000)).to_vec();
    let (events, stats) = feed(log);
    let [skipped, missing] =
        [Event::Skipped { first: 1, last: 2, count: 2 }, Event::Missing { first: 5, last: 6, count: 2 }];
    assert_eq!(others(&events), [&skipped, &missing]);
    assert_eq!((stats.skipped, stats.missing, stats.gaps), (2, 2, 1));
}

/// What the sender itself says decides: message ids, `held=`, and that it repeats what it is asked for.
#[test]
fn what_the_sender_says_decides() {
    let with_ids = |ids: [u32; 2]| {
        let line =
            |(sequence, id): (u64, u32)| format!("4,{sequence},{sequence},-;text\n msgid={id}\n").into();
        feed(vec![(0, line((0, ids[0]))), (1, line((9, ids[1])))])
    };
    let (events, stats) = with_ids([5, 6]);
    assert_eq!((others(&events).len(), stats.skipped, stats.missing), (0, 0, 0), "nothing was sent between");
    let (events, stats) = with_ids([5, 8]);
    assert_eq!(others(&events), [&Event::Missing { first: 1, last: 8, count: 2 }]);
    assert_eq!((stats.skipped, stats.missing), (0, 2));
    let (events, _) =
        feed(vec![(0, b"4,1,1,-,held=1;text\n".to_vec()), (1, b"4,9,9,-,held=3;text\n".to_vec())]);
    assert_eq!(others(&events), [&Event::Missing { first: 2, last: 5, count: 4 }]);
}

/// A boot that went as far as record 40 in 2 s, and 60 s later one whose netconsole was loaded late: no gap is between
/// them, whatever its first number.
#[test]
fn a_reboot_to_a_higher_number_is_no_gap() {
    for first in [41 + 1, 60, 359, 1 << 30] {
        let before = (0..41).map(|sequence| record(6, sequence, sequence * 50, 1000));
        let after = (0..20).map(|index| record(6, first + index, 8000 + index * 100, 60_000));
        let (events, stats) = feed(before.chain(after).collect());
        // A boot that is heard first at a low number may have lost those before it.
        let skipped = if first <= 64 { first } else { 0 };
        assert_eq!(
            (stats.records, stats.missing, stats.skipped, stats.strays),
            (61, 0, skipped, 0),
            "{first}"
        );
        assert_eq!(stats.reboots, 1, "{first}");
        let rebooted = events.iter().position(|event| *event == Event::Rebooted);
        assert_eq!(rebooted, Some(42), "{first}: the second record makes it certain");
    }
}

/// The same numbers in time: a gap of the same boot, after minutes of silence, and where the clocks differ a little.
#[test]
fn a_gap_in_time_is_a_gap() {
    for drift in [-100i64, 0, 100] {
        let late = (600_000 + drift).unsigned_abs();
        let (_, stats) = feed(vec![
            record(6, 0, 0, 1000),
            record(6, 1, 1000, 1000),
            (1000 + 600_000, record(6, 300, late, 0).1),
            (1000 + 600_100, record(6, 301, late + 100, 0).1),
        ]);
        assert_eq!((stats.records, stats.skipped, stats.reboots), (4, 298, 0), "{drift}");
    }
}

/// The first two are swapped on the way, in the middle of a log: they are shown in order, and nothing is late.
#[test]
fn the_first_two_swapped_are_shown_in_order() {
    let (events, stats) = feed(vec![
        record(6, 5001, 10, 1000),
        (1012, record(6, 5000, 9, 0).1),
        record(6, 5002, 20, 1000),
        record(6, 5004, 50, 1000),
        record(6, 5003, 49, 1002),
    ]);
    let expected: Vec<_> = (5000..5005).map(|sequence| format!("record {sequence}")).collect();
    assert_eq!(texts(&events), expected);
    assert_eq!(others(&events), [&Event::Joined { sequence: 5000 }]);
    assert_eq!((stats.late, stats.skipped, stats.missing), (0, 0, 0));
}

/// The first contact is a part of a record, or one that came too early: both are shown, the gap between is named.
#[test]
fn a_first_contact_in_parts_loses_nothing() {
    let part = |time, sequence: u64, place: &str| {
        (time, format!("6,{sequence},9,-,ncfrag={place}/8;four").into_bytes())
    };
    let (events, stats) = feed(vec![
        record(6, 5003, 10, 1000),
        part(1011, 5001, "0"),
        part(1012, 5001, "4"),
        part(1013, 5000, "4"),
    ]);
    assert_eq!(texts(&events), ["…four", "fourfour", "record 5003"]);
    let skipped = Event::Skipped { first: 5002, last: 5002, count: 1 };
    assert_eq!(others(&events), [&Event::Joined { sequence: 5000 }, &skipped]);
    assert_eq!((stats.late, stats.incomplete), (0, 1));
}

/// A single record is shown soon, joined or not: overtaken ones are waited for no longer than mere disorder lasts.
#[test]
fn a_first_record_waits_for_milliseconds() {
    let (mut senders, mut heard) = (Senders::new(HashMap::new(), true), Vec::new());
    senders.datagram(address(), 0, &record(6, 5000, 0, 0).1, at(0), &mut heard);
    assert!(senders.due().is_some());
    senders.tick(at(40), &mut heard);
    let events = events(heard);
    assert_eq!((texts(&events).len(), others(&events)), (1, vec![&Event::Joined { sequence: 5000 }]));
    let stats = senders.stats().first().map(|(_, stats)| *stats);
    assert_eq!(stats, Some(Stats { datagrams: 1, records: 1, ..Stats::default() }));
}
