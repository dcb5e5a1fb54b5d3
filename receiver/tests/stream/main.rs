//! The receiver without sockets: order, loss, recovery, reboots, hostile input. Time is the test's own.

mod copies;
mod crash_kernel;
mod edges;
mod gaps;
mod machines;
mod messages;
#[path = "../model/mod.rs"]
mod model;
mod reboots;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use model::Random;
use netconsole_receiver::event::{Event, Heard};
use netconsole_receiver::limits;
use netconsole_receiver::senders::Senders;
use netconsole_receiver::stats::Stats;
use proptest::prelude::*;

const START: Duration = Duration::from_secs(1_700_000_000);

fn address() -> SocketAddr {
    "10.0.0.5:6665".parse().expect("an address")
}

fn at(millis: u64) -> Duration {
    START + Duration::from_millis(millis)
}

/// Feeds datagrams at their times, in the order of time, with the program's ticks between.
fn feed(mut datagrams: Vec<(u64, Vec<u8>)>) -> (Vec<Event>, Stats) {
    datagrams.sort_by_key(|(time, _)| *time);
    let mut senders = Senders::new(HashMap::new(), false);
    let mut heard = Vec::new();
    let mut now = 0;
    for (time, datagram) in datagrams {
        while now + 10 <= time {
            now += 10;
            senders.tick(at(now), &mut heard);
        }
        senders.datagram(address(), 0, &datagram, at(time), &mut heard);
    }
    senders.finish(at(now + 10), &mut heard);
    let stats = senders.stats().first().map(|(_, stats)| *stats).unwrap_or_default();
    (events(heard), stats)
}

fn events(heard: Vec<Heard>) -> Vec<Event> {
    heard.into_iter().map(|heard| heard.event).collect()
}

fn text(event: &Event) -> Option<&str> {
    match event {
        Event::Record { record, .. } => Some(&record.text),
        _ => None,
    }
}

fn texts(events: &[Event]) -> Vec<&str> {
    events.iter().filter_map(text).collect()
}

/// What happens to one record on its way.
#[derive(Clone, Debug)]
struct Fate {
    /// Milliseconds of delay of each copy that arrives.
    copies: Vec<u64>,
    /// The size of its fragments, if it goes in fragments.
    fragments: Option<usize>,
}

fn fates(delay: u64, most: usize) -> impl Strategy<Value = Vec<Fate>> {
    let copies = prop::collection::vec(0..delay, 0..3);
    let fate =
        (copies, prop::option::of(5usize..40)).prop_map(|(copies, fragments)| Fate { copies, fragments });
    prop::collection::vec(fate, 1..most)
}

/// The datagrams of a stream: one record a millisecond.
fn datagrams(fates: &[Fate]) -> Vec<(u64, Vec<u8>)> {
    let mut datagrams = Vec::new();
    for (sequence, fate) in (0u64..).zip(fates) {
        let body = format!("{}\n", model::text(sequence));
        for &delay in &fate.copies {
            let time = 1000 + sequence + delay;
            let Some(size) = fate.fragments else {
                datagrams.push((time, model::datagram(sequence, &model::text(sequence))));
                continue;
            };
            for (index, chunk) in body.as_bytes().chunks(size).enumerate() {
                let header =
                    format!("6,{sequence},{},-,ncfrag={}/{};", sequence * 10, index * size, body.len());
                datagrams.push((time, [header.as_bytes(), chunk].concat()));
            }
        }
    }
    datagrams
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Delays within the window: every record that came is given once and in order, every other is named.
    #[test]
    fn within_the_window_the_text_is_exact(fates in fates(60, 60)) {
        let (events, _) = feed(datagrams(&fates));
        let newest = fates.iter().rposition(|fate| !fate.copies.is_empty());
        let mut next = 0;
        for event in &events {
            match event {
                Event::Record { record, late, .. } => {
                    prop_assert!(!late && !record.incomplete);
                    prop_assert_eq!(record.sequence, Some(next));
                    prop_assert_eq!(&record.text, &model::text(next));
                    next += 1;
                }
                &Event::Skipped { first, last, count } => {
                    prop_assert_eq!(first, next);
                    prop_assert_eq!(count, last - first + 1);
                    for sequence in first..=last {
                        let fate = &fates[usize::try_from(sequence).expect("small")];
                        prop_assert!(fate.copies.is_empty(), "{} came, and is called missing", sequence);
                    }
                    next = last + 1;
                }
                other => prop_assert!(false, "unexpected {:?}", other),
            }
        }
        prop_assert_eq!(next, newest.map_or(0, |newest| newest as u64 + 1));
    }

    /// Any delay: no record twice, none with a wrong text, none neither given nor named.
    #[test]
    fn with_any_delay_nothing_is_doubled_or_passed_over(fates in fates(600, 60)) {
        let (events, _) = feed(datagrams(&fates));
        let mut seen = vec![false; fates.len()];
        let mut named = vec![false; fates.len()];
        for event in &events {
            match event {
                Event::Record { record, .. } => {
                    let sequence = record.sequence.expect("extended records are numbered");
                    let index = usize::try_from(sequence).expect("small");
                    prop_assert!(!seen[index], "{} twice", sequence);
                    prop_assert!(record.incomplete || record.text == model::text(sequence));
                    seen[index] = true;
                }
                &Event::Skipped { first, last, .. } => {
                    for sequence in first..=last {
                        named[usize::try_from(sequence).expect("small")] = true;
                    }
                }
                other => prop_assert!(false, "unexpected {:?}", other),
            }
        }
        for (sequence, fate) in fates.iter().enumerate() {
            prop_assert!(fate.copies.is_empty() || seen[sequence] || named[sequence], "{} vanished", sequence);
        }
    }

    /// No datagram, whatever it holds, panics, and nothing grows beyond the limits.
    #[test]
    fn arbitrary_datagrams_are_harmless(
        datagrams in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..200),
                "[0-9]{1,3},[0-9]{1,20},[0-9]{1,20},[-c+](,ncfrag=[0-9]{1,6}/[0-9]{1,6})?(,ncemg=1)?;[ -~\n]{0,80}"
                    .prop_map(String::into_bytes),
                "<[0-9]{1,3}>1 [-a] [-a] [-a] [-a] [-a] (-|\\[a( b=\"c\")*\\])( .{0,20})?".prop_map(String::into_bytes),
            ],
            1..60,
        ),
        ports in prop::collection::vec(1u16..4, 60),
    ) {
        let mut senders = Senders::new(HashMap::new(), true);
        let mut heard = Vec::new();
        for ((datagram, port), time) in datagrams.iter().zip(ports).zip(0..) {
            let from = SocketAddr::from(([10, 0, 0, 5], port));
            senders.datagram(from, 0, datagram, at(time * 30), &mut heard);
            senders.tick(at(time * 30), &mut heard);
            senders.answers(at(time * 30));
        }
        senders.finish(at(10_000), &mut heard);
        prop_assert_eq!(senders.held(), 0);
    }
}

/// Hostile fragments, gaps and senders without end: what is held stays within the limits.
#[test]
fn memory_is_bounded() {
    let mut random = Random(42);
    let mut senders = Senders::new(HashMap::new(), true);
    for round in 0..60_000u64 {
        let mut heard = Vec::new();
        let from = SocketAddr::from(([10, 0, (random.next() % 8) as u8, (random.next() % 250) as u8], 6665));
        let (sequence, filler) = (random.next() >> (random.next() % 60 + 1), "x".repeat(900));
        let datagram = match round % 3 {
            0 => format!("6,{sequence},1,-,ncfrag={}/131072;{filler}", random.next() % 130_000),
            1 => format!("6,{sequence},1,-;{filler}"),
            _ => filler,
        };
        senders.datagram(from, 0, datagram.as_bytes(), at(round / 100), &mut heard);
        assert!(senders.held() <= limits::WINDOWS_BYTES + limits::RECORD_BYTES);
    }
    let mut heard = Vec::new();
    senders.finish(at(100_000), &mut heard);
    assert_eq!(senders.held(), 0);
}

/// One sender alone does not get more than its window, and loses nothing that came by that.
#[test]
fn a_window_that_is_full_gives_up_the_oldest_gap() {
    let mut datagrams: Vec<_> =
        (0..20_000).map(|sequence| (0, model::datagram(sequence, &"x".repeat(900)))).collect();
    datagrams.remove(1);
    let (events, stats) = feed(datagrams);
    assert_eq!(stats.records, 19_999);
    assert_eq!(events.get(1), Some(&Event::Skipped { first: 1, last: 1, count: 1 }));
}

#[test]
fn a_cold_reboot_is_noticed_although_its_first_records_are_the_same() {
    let boot =
        |start: u64| (0..40).map(move |sequence| (start + sequence, model::datagram(sequence, "same text")));
    let (events, stats) = feed(boot(0).chain(boot(60_000)).collect());
    assert_eq!((stats.records, stats.reboots, stats.missing), (80, 1, 0));
    assert_eq!(events.get(40), Some(&Event::Rebooted));
}

#[test]
fn one_stray_duplicate_from_long_ago_is_no_reboot() {
    let mut datagrams: Vec<_> = (0..40).map(|sequence| (0, model::datagram(sequence, "text"))).collect();
    datagrams.push((5000, model::datagram(3, "text")));
    datagrams.push((5001, b"6,40,5001000,-;text\n".to_vec()));
    let (_, stats) = feed(datagrams);
    assert_eq!((stats.records, stats.reboots, stats.missing), (41, 0, 0));
}

/// The ring survived a reset: numbers go on, the boot before comes again with `boot=-1` and is dropped.
#[test]
fn the_log_of_the_boot_before_is_not_shown_twice() {
    let mut datagrams = Vec::new();
    for sequence in 0..40u64 {
        datagrams.push((sequence, format!("6,{sequence},{},-;old\n", 50_000_000 + sequence).into_bytes()));
        datagrams.push((
            9000 + sequence,
            format!("6,{sequence},{},-;old\n boot=-1\n", 50_000_000 + sequence).into_bytes(),
        ));
        datagrams
            .push((9100 + sequence, format!("6,{},{},-;new\n", 40 + sequence, 100 + sequence).into_bytes()));
    }
    let (events, stats) = feed(datagrams);
    assert_eq!((stats.records, stats.duplicates, stats.missing, stats.reboots), (80, 40, 0, 1));
    assert_eq!(events.get(40), Some(&Event::Rebooted));
}

#[test]
fn a_sender_met_in_the_middle_is_said_to_be() {
    let (events, _) = feed((5000..5003).map(|sequence| (0, model::datagram(sequence, "text"))).collect());
    assert_eq!(events.first(), Some(&Event::Joined { sequence: 5000 }));
    assert_eq!(texts(&events).len(), 3);
}

/// Records that the target's level holds back leave gaps in the sequence, which message ids explain.
#[test]
fn message_ids_tell_a_loss_from_a_level() {
    let record =
        |sequence: u64, id: u32| (sequence, format!("6,{sequence},1,-;text\n msgid={id}\n").into_bytes());
    let (events, _) = feed(vec![record(0, u32::MAX), record(5, 0), record(6, 1), record(9, 3)]);
    let missing: Vec<_> = events.iter().filter(|event| text(event).is_none()).collect();
    assert_eq!(missing, [&Event::Missing { first: 7, last: 8, count: 1 }]);
}

/// What the sender's level holds back is no gap: nobody waits for it, asks for it, or counts it as missing.
#[test]
fn records_held_back_are_not_missing() {
    let mut senders = Senders::new(HashMap::new(), true);
    let mut heard = Vec::new();
    let mut numbers = Vec::new();
    // 3 and 4 are lost, and 5 says that it had one held back before it.
    for datagram in
        ["6,2,1,-,held=2;two\n", "6,5,9,-,held=1;five\n", "6,9000,9,-,held=8994,ncfrag=0/5;last\n"]
    {
        senders.datagram(address(), 0, datagram.as_bytes(), at(0), &mut heard);
    }
    for now in 0..160 {
        if now == 20 {
            // It shows that it knows the protocol.
            senders.datagram(address(), 0, b"6,5,9,-,held=1,ncemg=1;five\n", at(now * 100), &mut heard);
        }
        senders.tick(at(now * 100), &mut heard);
        for answer in senders.answers(at(now * 100)) {
            numbers.extend(answer.text.split(' ').map(str::to_owned));
        }
    }
    let events = events(heard);
    assert_eq!(texts(&events), ["two", "five", "last"]);
    assert!(numbers.iter().any(|number| number == "3") && !numbers.iter().any(|number| number == "4"));
    assert_eq!(numbers.last().map(String::as_str), Some("ncrx9000"), "acknowledged across them");
    let missing: Vec<_> = events.iter().filter(|event| text(event).is_none()).collect();
    assert_eq!(missing, [&Event::Missing { first: 3, last: 3, count: 1 }]);
    let stats = senders.stats()[0].1;
    assert_eq!((stats.held, stats.missing, stats.gaps), (2 + 1 + 8994, 1, 1));
}

/// A sender with a level: the datagrams of a log of which `shown` go out, each with what was held back before it, and
/// after some of them announcements of what was held back since.
fn levelled(shown: &[bool], announces: &[bool]) -> Vec<(u64, Vec<u8>)> {
    let record = |sequence: u64, fields: &str| {
        format!("6,{sequence},{},-{fields};record {sequence}\n", sequence * 10).into_bytes()
    };
    let (mut datagrams, mut newest, mut fields) = (Vec::new(), None, String::new());
    let mut next = 0;
    for ((sequence, &is_shown), &announces) in (0u64..).zip(shown).zip(announces) {
        let time = 1000 + sequence * 1000;
        if is_shown {
            fields = if sequence > next { format!(",held={}", sequence - next) } else { String::new() };
            datagrams.push((time, record(sequence, &fields)));
            (newest, next) = (Some(sequence), sequence + 1);
        } else if let Some(newest) = newest.filter(|_| announces) {
            datagrams.push((time, record(newest, &format!("{fields},behind={}", sequence - newest))));
        }
    }
    datagrams
}

proptest! {
    /// Held back, announced perhaps, and told by the next record: each is counted once, as soon as it is told; none is
    /// missing or asked for, nobody seems to have rebooted, and all that is known is acknowledged.
    #[test]
    fn what_is_announced_as_held_back_is_counted_once(
        mut shown in prop::collection::vec(prop::bool::weighted(0.2), 2..120),
        announces in prop::collection::vec(any::<bool>(), 120),
        asks: bool,
    ) {
        shown[0] = true;
        let mut senders = Senders::new(HashMap::new(), asks);
        let mut heard = Vec::new();
        let (mut known, mut records, mut has_announced) = (0, 0, false);
        let mut answers = Vec::new();
        for (time, datagram) in levelled(&shown, &announces) {
            let text = String::from_utf8_lossy(&datagram).into_owned();
            let field = |key: &str| {
                let (_, rest) = text.split_once(key)?;
                rest.split([',', ';']).next()?.parse::<u64>().ok()
            };
            let behind = field(",behind=").unwrap_or(0);
            let sequence = field("6,").expect("a number");
            known = sequence + behind + 1;
            records += u64::from(behind == 0);
            has_announced |= behind > 0;
            senders.datagram(address(), 0, &datagram, at(time), &mut heard);
            for now in (time..time + 1000).step_by(50) {
                senders.tick(at(now), &mut heard);
                answers.extend(senders.answers(at(now)).into_iter().map(|answer| answer.text));
            }
            let stats = senders.stats()[0].1;
            prop_assert_eq!((stats.records, stats.held, stats.missing), (records, known - records, 0));
        }
        prop_assert!(answers.iter().all(|answer| !answer.contains(' ')), "{:?}", answers);
        // Who announces knows the protocol: he hears how far everything is known.
        answers.extend(senders.answers(at(1_000_000)).into_iter().map(|answer| answer.text));
        if asks && has_announced {
            prop_assert_eq!(answers.last(), Some(&format!("ncrx{}", known - 1)));
        }
        senders.finish(at(1_000_000), &mut heard);
        let stats = senders.stats()[0].1;
        prop_assert_eq!((stats.held, stats.missing, stats.gaps), (known - records, 0, 0));
        prop_assert_eq!((stats.reboots, stats.strays, stats.late), (0, 0, 0));
    }
}

/// The announcement may be all that comes of the newest record; it may be in parts, and tell of more than is remembered.
#[test]
fn announcements_tell_of_whatever_is_held_back() {
    let mut senders = Senders::new(HashMap::new(), true);
    let mut heard = Vec::new();
    let mut answers = Vec::new();
    for (time, datagram) in [
        (0, "6,0,1,-;first\n"),
        // Record 1 is lost, and asked for, as is 2 until its second part comes.
        (1000, "6,2,9,-,behind=3,ncfrag=0/4;las"),
        (1070, "6,2,9,-,behind=3,ncfrag=3/4;\n"),
        (1140, "6,1,5,-;second\n"),
        (2100, "6,2,9,-,behind=3,ncfrag=0/4;las"),
        (3000, "6,2,9,-,behind=2000,ncfrag=0/4;las"),
        (3070, "6,2,9,-,behind=2000,ncfrag=3/4;\n"),
        (9000, "6,2,9,-,behind=3000,ncfrag=0/4;las"),
        (9070, "6,2,9,-,behind=3000,ncfrag=3/4;\n"),
        // More than any ring holds.
        (9140, "6,2,9,-,behind=18446744073709551615,ncfrag=3/4;\n"),
        (9210, "6,2,9,-,behind=99999999999,ncfrag=3/4;\n"),
        (12_000, "6,3010,20,-,held=3007;next\n"),
    ] {
        senders.datagram(address(), 0, datagram.as_bytes(), at(time), &mut heard);
        for now in (time..time + 60).step_by(30) {
            senders.tick(at(now), &mut heard);
            answers.extend(senders.answers(at(now)).into_iter().map(|answer| answer.text));
        }
    }
    assert_eq!(texts(&events(heard)), ["first", "second", "las", "next"]);
    let stats = senders.stats()[0].1;
    assert_eq!((stats.held, stats.missing, stats.strays, stats.reboots), (3007, 0, 0, 0));
    let questions: Vec<_> = answers.iter().filter(|answer| answer.contains(' ')).collect();
    assert_eq!(questions, ["ncrx0 1 2", "ncrx0 1"], "once more, as it has not come");
    for number in [5, 2002, 3002] {
        assert!(answers.contains(&format!("ncrx{number}")), "{number}: {answers:?}");
    }
}

/// The record that tells of those held back before it comes later: they are asked for no longer.
#[test]
fn a_gap_closes_when_its_record_tells_what_was_held_back() {
    let (events, stats) = feed(vec![
        (0, b"6,0,1,-;first\n".to_vec()),
        (1, b"6,9,9,-,held=2;last\n".to_vec()),
        (30, b"6,6,6,-,held=5;middle\n".to_vec()),
    ]);
    assert_eq!(texts(&events), ["first", "middle", "last"]);
    assert_eq!((stats.held, stats.missing), (7, 0));
}

/// The kernel does not keep a record's message id: one that goes out again has none.
#[test]
fn a_record_that_comes_again_without_its_id_is_no_loss() {
    let record =
        |time: u64, sequence: u64, id: &str| (time, format!("6,{sequence},1,-;text\n{id}").into_bytes());
    let (events, stats) = feed(vec![
        record(0, 0, " msgid=0\n"),
        record(1, 2, " msgid=2\n"),
        record(30, 1, ""),
        // Between these nothing was sent.
        record(31, 7, " msgid=3\n"),
    ]);
    assert_eq!(texts(&events).len(), 4);
    assert_eq!((stats.records, stats.missing, stats.gaps), (4, 0, 0));
}

#[test]
fn an_incomplete_record_is_given_with_a_mark() {
    let (events, stats) = feed(vec![
        (0, b"6,0,1,-;first\n".to_vec()),
        (1, b"6,1,2,-,ncfrag=0/11;hello ".to_vec()),
        (2, b"6,2,3,-;third\n".to_vec()),
    ]);
    assert_eq!(texts(&events), ["first", "hello …", "third"]);
    assert_eq!((stats.incomplete, stats.missing), (1, 0));
}

/// Runs sender and receiver, a fifth of the datagrams lost in both directions; gives events, counts, and
/// the milliseconds that it took.
fn converse(mut sender: model::Sender, loss: u64, seed: u64, records: u64) -> (Vec<Event>, Stats, u64) {
    let mut random = Random(seed);
    let mut senders = Senders::new(HashMap::new(), true);
    let mut heard = Vec::new();
    let mut now = 0;
    let is_over = |senders: &Senders| {
        senders.stats().first().is_some_and(|(_, stats)| stats.records + stats.missing >= records)
    };
    while now < 60_000 && !is_over(&senders) {
        for datagram in sender.send(now) {
            if !random.percent(loss) {
                senders.datagram(address(), 0, &datagram, at(now), &mut heard);
            }
        }
        if now % 10 == 0 {
            senders.tick(at(now), &mut heard);
            for answer in senders.answers(at(now)) {
                if !random.percent(loss) {
                    sender.answer(&answer.text, now);
                }
            }
        }
        now += 1;
    }
    let stats = senders.stats().first().map(|(_, stats)| *stats).unwrap_or_default();
    (events(heard), stats, now)
}

#[test]
fn a_flood_under_loss_arrives_complete_and_in_order() {
    for seed in 1..=5 {
        let (events, stats, millis) = converse(model::Sender::new(10_000, u64::MAX / 2), 20, seed, 10_000);
        let expected: Vec<_> = (0..10_000).map(model::text).collect();
        assert_eq!(texts(&events), expected, "seed {seed}");
        assert_eq!((stats.missing, stats.reboots), (0, 0));
        assert!(stats.recovered > 1000, "{stats}");
        // 10,000 records at 20 a millisecond, then what was lost; the last may wait for its announcement.
        assert!(millis < 20_000, "seed {seed}: {millis} ms");
    }
}

/// Lets all but the last of 100 records come, then loses nothing any more; when the last one came, in milliseconds.
fn last_of_100(mut sender: model::Sender) -> Option<u64> {
    let mut senders = Senders::new(HashMap::new(), true);
    let mut heard = Vec::new();
    for now in 0..15_000 {
        for datagram in sender.send(now) {
            if now > 100 || !datagram.starts_with(b"6,99,") {
                senders.datagram(address(), 0, &datagram, at(now), &mut heard);
            }
        }
        senders.tick(at(now), &mut heard);
        for answer in senders.answers(at(now)) {
            sender.answer(&answer.text, now);
        }
        if heard.iter().any(|heard| text(&heard.event) == Some(&model::text(99))) {
            return Some(now);
        }
    }
    None
}

#[test]
fn the_loss_of_the_last_record_is_noticed() {
    let announced = last_of_100(model::Sender::new(100, 1000));
    assert!(announced.is_some_and(|millis| millis < 3000), "{announced:?}");
    // By the emergency transmission alone.
    let mut silent = model::Sender::new(100, 1000);
    silent.announces = false;
    let transmitted = last_of_100(silent);
    assert!(transmitted.is_some_and(|millis| (10_000..13_000).contains(&millis)), "{transmitted:?}");
}

#[test]
fn a_ring_too_small_says_what_is_gone() {
    // The first question arrives: a second later, when the next one may be asked, the ring has nothing of it.
    let (events, stats, millis) = converse(model::Sender::new(10_000, 1500), 20, 5, 10_000);
    assert!(stats.missing > 0 && stats.recovered > 0, "{stats}");
    assert_eq!(stats.records + stats.missing, 10_000);
    let mut next = 0;
    for event in &events {
        match event {
            Event::Record { record, .. } => {
                assert_eq!(record.sequence, Some(next));
                next += 1;
            }
            &Event::Missing { first, last, .. } => {
                assert_eq!(first, next);
                next = last + 1;
            }
            other => panic!("unexpected {other:?}"),
        }
    }
    assert!(millis < 30_000, "{millis} ms");
}

/// Linux: does not react. It gets few answers, and the gaps of its stream hold nobody up for long.
#[test]
fn a_sender_that_does_not_react_is_left_alone() {
    let mut senders = Senders::new(HashMap::new(), true);
    let mut heard = Vec::new();
    let (mut answers, mut late_answers, mut longest) = (0, 0, 0);
    for now in 0..30_000u64 {
        // A record a millisecond, each tenth lost.
        if now % 10 != 9 {
            senders.datagram(address(), 0, &model::datagram(now, &model::text(now)), at(now), &mut heard);
        }
        senders.tick(at(now), &mut heard);
        let sent = senders.answers(at(now)).len();
        answers += sent;
        if now > 5000 {
            late_answers += sent;
            let given = senders.stats().first().map_or(0, |(_, stats)| stats.records + stats.skipped);
            longest = longest.max(now - given);
        }
    }
    assert!(answers <= 40, "{answers} answers");
    assert_eq!(late_answers, 0);
    assert!(longest <= 200, "a record waited {longest} ms");
}

/// A datagram of Linux's that was under way for long looks like a reaction, once.
#[test]
fn a_chance_reaction_does_not_keep_the_questions_coming() {
    let mut senders = Senders::new(HashMap::new(), true);
    let mut heard = Vec::new();
    let mut late_answers = 0;
    for now in 0..30_000u64 {
        let overtaken = 50;
        if now == overtaken + 1200 {
            senders.datagram(address(), 0, &model::datagram(overtaken, "late"), at(now), &mut heard);
        }
        if now != overtaken && now % 10 != 9 {
            senders.datagram(address(), 0, &model::datagram(now, "text"), at(now), &mut heard);
        }
        senders.tick(at(now), &mut heard);
        let answers = senders.answers(at(now)).len();
        late_answers += if now > 5000 { answers } else { 0 };
    }
    let stats = senders.stats();
    assert_eq!(stats.first().map(|(_, stats)| stats.recovered), Some(1), "it was asked for, and came");
    assert_eq!(late_answers, 0);
}

/// Two datagrams in somebody else's name open the widest gap: that one is sent little for it.
#[test]
fn nobody_is_flooded_with_answers() {
    let mut senders = Senders::new(HashMap::new(), true);
    let mut heard = Vec::new();
    let (mut came, mut sent) = (0, Vec::new());
    for sequence in [0, 1 << 20] {
        let datagram = model::datagram(sequence, "text");
        came += datagram.len();
        senders.datagram(address(), 0, &datagram, at(0), &mut heard);
    }
    // Further ports of the address are asked no more for it.
    let other = SocketAddr::new(address().ip(), 7777);
    senders.datagram(other, 0, b"6,0,0,-;\n", at(0), &mut heard);
    senders.datagram(other, 0, b"6,9,0,-;\n", at(0), &mut heard);
    for now in 0..20_000 {
        senders.tick(at(now), &mut heard);
        sent.extend(senders.answers(at(now)).into_iter().map(|answer| (now, answer.to, answer.text)));
    }
    let bytes =
        |to| sent.iter().filter(|(_, other, _)| *other == to).map(|(.., text)| text.len()).sum::<usize>();
    assert!((20..=came).contains(&bytes(address())), "{sent:?}");
    assert!(bytes(other) <= 18, "{sent:?}");
    assert!(sent.len() > 3 && sent.windows(2).all(|pair| pair[1].0 >= pair[0].0 + 1000), "{sent:?}");
}

/// Who has sent again what was asked for may be asked for more, for ten minutes.
#[test]
fn a_proven_address_is_asked_without_delay() {
    let mut senders = Senders::new(HashMap::new(), true);
    let mut heard = Vec::new();
    let mut questions = |senders: &mut Senders, from: u64, numbers: &[u64]| {
        for &number in numbers {
            let datagram = format!("6,{number},{},-;text\n", number * 10);
            senders.datagram(address(), 0, datagram.as_bytes(), at(from), &mut heard);
        }
        let mut count = 0;
        for now in from..from + 500 {
            senders.tick(at(now), &mut heard);
            count += senders.answers(at(now)).iter().filter(|answer| answer.text.contains(' ')).count();
        }
        count
    };
    assert_eq!(questions(&mut senders, 0, &[0, 2]), 1, "once a second");
    // It comes, and the next gap is asked for again and again.
    assert!(questions(&mut senders, 500, &[1, 3, 5]) > 3);
    questions(&mut senders, 1000, &[4]);
    // After ten minutes it has to prove it again.
    assert_eq!(questions(&mut senders, 700_000, &[6, 8]), 1);
}

#[test]
fn senders_are_told_apart() {
    let mut senders = Senders::new(HashMap::from([([10, 0, 0, 5].into(), "board7".to_owned())]), false);
    let mut heard = Vec::new();
    for (from, text) in [("10.0.0.5:6665", "one"), ("10.0.0.5:7000", "two"), ("[fe80::1]:6665", "three")] {
        let from: SocketAddr = from.parse().expect("an address");
        senders.datagram(from, 0, &model::datagram(0, text), at(0), &mut heard);
    }
    let names: Vec<_> = heard.iter().map(|heard| heard.sender.name.as_str()).collect();
    assert_eq!(names, ["board7", "board7:7000", "fe80::1"]);
}
