//! Never is a new boot taken for an old one: whatever a sender's numbers do, each record is shown once.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use netconsole_receiver::event::Event;
use netconsole_receiver::senders::Senders;
use netconsole_receiver::stats::Stats;
use proptest::prelude::*;

use crate::model::Random;

const START: Duration = Duration::from_secs(1_700_000_000);

/// A receiver that hears one sender, with the program's ticks.
struct Hearing {
    senders: Senders,
    events: Vec<(u64, Event)>,
    now: u64,
}

impl Hearing {
    /// It may ask for what is missing, or not.
    fn new(answers: bool) -> Self {
        Hearing { senders: Senders::new(HashMap::new(), answers), events: Vec::new(), now: 0 }
    }

    /// Lets time pass up to this millisecond.
    fn wait_until(&mut self, time: u64) {
        let mut heard = Vec::new();
        while self.now + 10 <= time {
            self.now += 10;
            self.senders.tick(START + Duration::from_millis(self.now), &mut heard);
            self.senders.answers(START + Duration::from_millis(self.now));
            self.events.extend(heard.drain(..).map(|heard| (self.now, heard.event)));
        }
    }

    fn hear(&mut self, time: u64, datagram: &[u8]) {
        self.wait_until(time);
        let (mut heard, from) = (Vec::new(), SocketAddr::from(([10, 0, 0, 5], 6665)));
        self.senders.datagram(from, 0, datagram, START + Duration::from_millis(time), &mut heard);
        self.events.extend(heard.drain(..).map(|heard| (time, heard.event)));
    }

    fn stats(&self) -> Stats {
        self.senders.stats().first().map(|(_, stats)| *stats).unwrap_or_default()
    }

    /// What was heard, to the end, and when.
    fn end(mut self) -> (Vec<(u64, Event)>, Stats) {
        let mut heard = Vec::new();
        self.senders.finish(START + Duration::from_millis(self.now + 10), &mut heard);
        self.events.extend(heard.into_iter().map(|heard| (self.now + 10, heard.event)));
        let stats = self.stats();
        (self.events, stats)
    }
}

/// A record of a boot: its time differs by microseconds from that of the same record in another boot.
fn record(boot: u64, sequence: u64) -> Vec<u8> {
    record_of(boot, 0, sequence)
}

/// The same, of a boot that began with the record `first`.
fn record_of(boot: u64, first: u64, sequence: u64) -> Vec<u8> {
    record_at(boot, sequence, micros_of(boot, first, sequence))
}

fn micros_of(boot: u64, first: u64, sequence: u64) -> u64 {
    let jitter = Random(boot * 1_000_003 + sequence + 1).next() % 200;
    (sequence - first) * 300 + jitter
}

fn record_at(boot: u64, sequence: u64, timestamp: u64) -> Vec<u8> {
    format!("6,{sequence},{timestamp},-;boot {boot} record {sequence}\n").into_bytes()
}

/// The same, as a sender sends it that knows the ncrx protocol.
fn in_emergency(datagram: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(datagram).replacen(",-;", ",-,ncemg=1;", 1).into_bytes()
}

fn texts(events: &[(u64, Event)]) -> Vec<String> {
    let text = |event: &Event| match event {
        Event::Record { record, .. } => Some(record.text.clone()),
        _ => None,
    };
    events.iter().filter_map(|(_, event)| text(event)).collect()
}

fn expected(boot: u64, sequences: impl IntoIterator<Item = u64>) -> Vec<String> {
    sequences.into_iter().map(|sequence| format!("boot {boot} record {sequence}")).collect()
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts
}

/// One of the sender's boots, and what becomes of each of its records on the way.
#[derive(Clone)]
struct Boot {
    /// Its ring survived the reset before it: the numbers go on.
    survived: bool,
    /// Milliseconds of silence before it.
    silence: u64,
    /// Milliseconds of delay of each copy that arrives.
    copies: Vec<Vec<u64>>,
}

/// In one line: proptest writes it over thousands.
impl std::fmt::Debug for Boot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Boot { survived, silence, copies } = self;
        f.write_str(&format!("survived {survived}, after {silence} ms: {copies:?}"))
    }
}

fn boots() -> impl Strategy<Value = Vec<Boot>> {
    let copies = prop_oneof![
        8 => prop::collection::vec(0..60u64, 1..2),
        1 => prop::collection::vec(0..60u64, 2..3),
        1 => Just(Vec::new()),
    ];
    // Longer than the disorder: or the first record heard of a boot may well continue the one before.
    let length = prop_oneof![3 => 70..150usize, 1 => 600..1500usize];
    let copies = length.prop_flat_map(move |length| prop::collection::vec(copies.clone(), length));
    let boot = (prop::bool::weighted(0.25), 2500..10_000u64, copies)
        .prop_map(|(survived, silence, copies)| Boot { survived, silence, copies });
    prop::collection::vec(boot, 2..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Loss, disorder, copies, and reboots with the same numbers over again: of every boot every record that comes
    /// is shown, and once. A sender that repeats on request is no exception.
    #[test]
    fn every_record_of_every_boot_is_shown_once(boots in boots(), repeats: bool, seconds in 0..3u64) {
        let (mut datagrams, mut shown, mut heard) = (Vec::new(), BTreeMap::new(), 0);
        let (mut time, mut first) = (1000, 0);
        for (number, boot) in (0..).zip(&boots) {
            time += boot.silence;
            first = if boot.survived { first } else { 0 };
            for (sequence, copies) in (first..).zip(&boot.copies) {
                let datagram = record_at(number, sequence, seconds * 1_000_000 + micros_of(number, first, sequence));
                datagrams.extend(copies.iter().map(|delay| (time + delay, datagram.clone())));
                if !copies.is_empty() {
                    shown.insert(format!("boot {number} record {sequence}"), 1);
                }
                time += 1;
            }
            let records = boot.copies.iter().filter(|copies| !copies.is_empty()).count();
            // Of a short boot whose ring survived, the sender would say so in each record of the boot before.
            heard += usize::from(records > 1 && !(boot.survived && number > 0));
            first += boot.copies.len() as u64;
        }
        datagrams.sort();
        let mut hearing = Hearing::new(repeats);
        for (index, (time, datagram)) in datagrams.iter().enumerate() {
            hearing.hear(*time, datagram);
            if repeats && index == 0 {
                // It shows that it knows the protocol.
                hearing.hear(*time, &in_emergency(datagram));
            }
        }
        let (events, stats) = hearing.end();
        let mut counted = BTreeMap::new();
        for text in texts(&events) {
            *counted.entry(text).or_insert(0) += 1;
        }
        shown.retain(|text, count| counted.remove(text).is_none_or(|seen| seen != *count));
        prop_assert!(shown.is_empty() && counted.is_empty(), "not shown once: {shown:?}, shown: {counted:?}");
        prop_assert!(stats.reboots as usize + 1 >= heard, "{} reboots of {} boots heard", stats.reboots, heard);
        prop_assert!((stats.reboots as usize) < boots.len());
    }
}

/// The field's finding: the sender repeats on request, had sent thousands of records, and starts again at 0.
#[test]
fn a_cold_boot_of_a_sender_that_repeats_is_shown() {
    for silence in [50, 500, 5000] {
        let mut hearing = Hearing::new(true);
        hearing.hear(0, &record(1, 0));
        hearing.hear(10, &in_emergency(&record(1, 0)));
        for sequence in 1..5050 {
            hearing.hear(sequence / 5, &record(1, sequence));
        }
        let start = 1010 + silence;
        for sequence in 0..100 {
            hearing.hear(start + sequence, &record(2, sequence));
        }
        let (events, stats) = hearing.end();
        assert_eq!(texts(&events), [expected(1, 0..5050), expected(2, 0..100)].concat(), "{silence}");
        assert_eq!((stats.reboots, stats.missing, stats.strays), (1, 0, 0), "{silence}");
        let first = events.iter().position(|(_, event)| *event == Event::Rebooted);
        assert_eq!(first, Some(5051), "a second record continued the first");
    }
}

/// Of a sender that is silent, nothing is kept but what is remembered of its boot, which has its size.
#[test]
fn two_seconds_after_a_reboot_one_boot_is_left() {
    let mut hearing = Hearing::new(false);
    for (boot, start) in [(1, 0), (2, 3000)] {
        for sequence in 0..2000 {
            hearing.hear(start + sequence, &record(boot, sequence));
        }
    }
    hearing.wait_until(4900);
    assert!(hearing.senders.due().is_some(), "the boot before is remembered for a while");
    hearing.wait_until(5100);
    assert_eq!(
        (hearing.senders.due().is_some(), hearing.senders.held(), hearing.stats().reboots),
        (false, 0, 1)
    );
}

/// The last words of a machine that died at once: they are shown when they come, and the reboot when it is certain.
#[test]
fn a_boot_of_one_record_is_shown_at_once() {
    let mut hearing = Hearing::new(false);
    for sequence in 0..50 {
        hearing.hear(sequence, &record(1, sequence));
    }
    hearing.hear(5000, b"0,7,123,-;Kernel panic\n");
    let shown = hearing.events.last().expect("the record").clone();
    assert!(matches!(shown, (5000, Event::Record { beside: true, crash: true, .. })), "{shown:?}");
    hearing.wait_until(6990);
    assert_eq!(hearing.stats().reboots, 0);
    hearing.wait_until(7010);
    assert_eq!(hearing.stats().reboots, 1);
    hearing.wait_until(8000);
    assert_eq!(hearing.stats().skipped, 7, "of the new boot");
}

/// Forged, or a bit that fell over on the way: one record far ahead, of a time far ahead or not.
#[test]
fn an_outlier_does_not_move_the_head() {
    for (sequence, timestamp) in [(1u64 << 62, 1), (1 << 62, 1 << 62), (1 << 40, 20_000), (150, 1 << 50)] {
        let mut hearing = Hearing::new(false);
        for sequence in 0..100 {
            hearing.hear(sequence * 10, &record(1, sequence));
        }
        hearing.hear(1000, &record_at(9, sequence, timestamp));
        for sequence in 100..400 {
            hearing.hear(sequence * 10, &record(1, sequence));
        }
        let (events, stats) = hearing.end();
        let genuine: Vec<_> = texts(&events).into_iter().filter(|text| text.starts_with("boot 1")).collect();
        assert_eq!(sorted(genuine), sorted(expected(1, 0..400)), "{sequence} at {timestamp}");
        if sequence > 400 {
            assert_eq!((stats.reboots, stats.missing, stats.strays), (0, 0, 1));
            assert!(events.iter().any(|(_, event)| *event == Event::Stray { sequence }));
        }
    }
}

/// An outlier within reach looks like a gap, until the numbers in it come.
#[test]
fn an_outlier_nearby_costs_no_record() {
    for (ahead, timestamp) in
        [(70u64, 60_000), (5000, 1), (5000, 200_000), (5000, 1 << 50), (1 << 19, 40_000)]
    {
        for interval in [2, 500] {
            let mut hearing = Hearing::new(false);
            for sequence in 0..100 {
                hearing.hear(sequence * interval, &record(1, sequence));
            }
            hearing.hear(100 * interval, &record_at(9, 100 + ahead, timestamp));
            for sequence in 100..400 {
                hearing.hear(sequence * interval, &record(1, sequence));
            }
            let (events, _) = hearing.end();
            let shown = texts(&events).into_iter().filter(|text| text.starts_with("boot 1"));
            assert_eq!(
                sorted(shown.collect()),
                sorted(expected(1, 0..400)),
                "{ahead} at {timestamp}, {interval}"
            );
        }
    }
}

/// What was heard first was forged, or from the boot before: nothing under it is taken for a duplicate.
#[test]
fn a_stray_first_contact_hides_nothing() {
    let mut hearing = Hearing::new(false);
    hearing.hear(0, &record_at(9, 1 << 62, 1 << 50));
    for sequence in 0..100 {
        hearing.hear(1 + sequence, &record(1, sequence));
    }
    let (events, stats) = hearing.end();
    assert_eq!(texts(&events)[1..], expected(1, 0..100));
    assert_eq!((stats.duplicates, stats.missing), (0, 0));
}

/// Linux: records without a time of their own, the same text in each boot, and the numbers from 0.
#[test]
fn linux_starts_again_with_the_same_records() {
    let mut hearing = Hearing::new(true);
    for start in [0, 60_000] {
        for sequence in 0..60u64 {
            let timestamp = if sequence < 40 { 0 } else { sequence };
            let datagram = format!("6,{sequence},{timestamp},-;boot 0 record {sequence}\n");
            hearing.hear(start + sequence, datagram.as_bytes());
        }
    }
    let (events, stats) = hearing.end();
    assert_eq!(texts(&events), [expected(0, 0..60), expected(0, 0..60)].concat());
    assert_eq!((stats.reboots, stats.duplicates, stats.strays), (1, 0, 0));
}

/// Both send from one address: each of their records is shown, and nothing is called missing.
#[test]
fn two_machines_behind_one_address_lose_nothing() {
    for interval in [5, 300, 900] {
        let mut hearing = Hearing::new(false);
        let step = interval * 1000;
        for round in 0..100 {
            let time = 2 * round * interval;
            hearing.hear(time, &record_at(1, 5000 + round, 90_000_000 + 2 * round * step));
            hearing.hear(time + interval, &record_at(2, round, 7_000_000 + 2 * round * step));
        }
        let (events, stats) = hearing.end();
        let all = [expected(1, 5000..5100), expected(2, 0..100)].concat();
        assert_eq!(sorted(texts(&events)), sorted(all), "{interval}");
        assert_eq!((stats.missing, stats.reboots), (0, 1), "{interval}");
    }
}

#[test]
fn a_sequence_that_wraps_goes_on() {
    let mut hearing = Hearing::new(false);
    let before = u64::MAX - 20..u64::MAX;
    for (time, sequence) in (0..).zip(before.clone().chain(0..20)) {
        hearing.hear(time, &record_at(1, sequence, 1_000_000 + time * 1000));
    }
    let (events, stats) = hearing.end();
    assert_eq!(texts(&events), [expected(1, before), expected(1, 0..20)].concat());
    assert_eq!((stats.missing, stats.strays), (0, 0));
}

/// The receiver was started in the middle of a boot; the next one begins below.
#[test]
fn a_boot_after_one_met_in_the_middle_is_shown() {
    for next in [0, 3000, 6990] {
        let mut hearing = Hearing::new(true);
        for sequence in 7000..7010 {
            hearing.hear(sequence - 7000, &record(1, sequence));
        }
        for sequence in next..next + 20 {
            hearing.hear(400 + sequence - next, &record(2, sequence));
        }
        let (events, stats) = hearing.end();
        let all = [expected(1, 7000..7010), expected(2, next..next + 20)].concat();
        assert_eq!(sorted(texts(&events)), sorted(all), "{next}");
        assert_eq!((stats.duplicates, stats.missing), (0, 0), "{next}");
    }
}

/// A reset that the ring survived is noticed also where the boot before lasted shorter than a second.
#[test]
fn a_short_boot_whose_ring_survives_is_told_apart() {
    let mut hearing = Hearing::new(true);
    for sequence in 0..40 {
        hearing.hear(sequence, &record_at(1, sequence, 50_000 + sequence));
    }
    for sequence in 0..40 {
        let old = format!("6,{sequence},{},-;boot 1 record {sequence}\n boot=-1\n", 50_000 + sequence);
        hearing.hear(3000 + sequence, old.as_bytes());
    }
    for sequence in 40..80 {
        hearing.hear(3010 + sequence, &record_at(2, sequence, sequence));
    }
    let (events, stats) = hearing.end();
    assert_eq!(texts(&events), [expected(1, 0..40), expected(2, 40..80)].concat());
    assert_eq!((stats.duplicates, stats.reboots, stats.missing, stats.strays), (40, 1, 0, 0));
}

/// After a crash `dmesg` has the kernel send its whole ring again: a duplicate is no new boot.
#[test]
fn a_log_that_is_sent_again_is_not_shown_twice() {
    let mut hearing = Hearing::new(true);
    hearing.hear(0, &record(1, 0));
    hearing.hear(1, &in_emergency(&record(1, 0)));
    for start in [2, 60_000] {
        for sequence in 0..3000 {
            hearing.hear(start + sequence, &record(1, sequence));
        }
    }
    let (events, stats) = hearing.end();
    assert_eq!(texts(&events), expected(1, 0..3000));
    assert_eq!((stats.reboots, stats.strays, stats.duplicates), (0, 0, 3002));
}

/// A lease ended: the same boot goes on from another address, and keeps its name.
#[test]
fn a_sender_whose_address_changes_loses_nothing() {
    let (mut senders, mut heard) = (Senders::new(HashMap::new(), true), Vec::new());
    for sequence in 0..200u64 {
        let from = SocketAddr::from(([10, 0, 0, if sequence < 100 { 5 } else { 6 }], 6665));
        senders.datagram(from, 0, &record(1, sequence), START + Duration::from_millis(sequence), &mut heard);
    }
    senders.finish(START + Duration::from_secs(1), &mut heard);
    let events: Vec<_> = heard.into_iter().map(|heard| (0, heard.event)).collect();
    assert_eq!(texts(&events), expected(1, 0..200));
    assert_eq!(events.len(), 201);
    let before = SocketAddr::from(([10, 0, 0, 5], 6665));
    assert_eq!(events[100].1, Event::Moved { before });
    let names: Vec<_> = senders.stats().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["10.0.0.5"]);
}

/// A gap too wide to be waited for is a gap, and no reboot.
#[test]
fn a_leap_within_a_boot_is_named() {
    let mut hearing = Hearing::new(false);
    let (leap, all) = (1u64 << 21, [0, 1, 2, 1 << 21, (1 << 21) + 1, (1 << 21) + 2]);
    for sequence in all {
        let time = if sequence < leap { sequence } else { sequence - leap + 60_000 };
        hearing.hear(time, &record_at(1, sequence, time * 1000));
    }
    let (events, stats) = hearing.end();
    assert_eq!(texts(&events), expected(1, all));
    assert_eq!((stats.skipped, stats.reboots, stats.strays), (leap - 3, 0, 0));
}

/// It begins to send its log again, and goes on with what is new: what was given up and came again is shown, though too
/// little came again to be sure of it.
#[test]
fn what_comes_again_shortly_is_taken_of_it() {
    for part in [false, true] {
        let mut hearing = Hearing::new(false);
        let time = |ms: u64| 5_000_000 + ms * 1000;
        for sequence in (0..100).filter(|sequence| *sequence != 97) {
            hearing.hear(1000 + sequence, &record_at(1, sequence, time(sequence)));
        }
        hearing.wait_until(6000);
        assert_eq!(hearing.stats().skipped, 1);
        hearing.hear(6000, &record_at(1, 96, time(96)));
        let lost = record_at(1, 97, time(97));
        let lost = if part {
            // The other fragment does not come.
            let (head, body) = std::str::from_utf8(&lost).expect("text").split_once(';').expect("a head");
            format!("{head},ncfrag=0/{};{}", body.len(), &body[..body.len() - 4]).into_bytes()
        } else {
            lost
        };
        hearing.hear(6001, &lost);
        // A gap too wide to be another's.
        hearing.hear(6002, &record_at(1, 300, time(5002)));
        hearing.wait_until(20_000);
        hearing.hear(20_000, &record_at(1, 301, time(19_000)));
        let (events, stats) = hearing.end();
        let texts = texts(&events);
        let shown: Vec<_> = texts.iter().filter(|text| text.starts_with("boot 1 record")).collect();
        let late = if part { "boot 1 record…" } else { "boot 1 record 97" };
        assert_eq!(shown.len(), 102, "{texts:?}");
        assert_eq!(shown.iter().filter(|text| text.as_str() == late).count(), 1, "{texts:?}");
        assert_eq!((stats.reboots, stats.strays), (0, 0), "{part}");
    }
}

/// Each crash that is told of has its report, also where nothing continues the record that told of it.
#[test]
fn a_stray_that_tells_of_a_crash_has_a_report() {
    let mut hearing = Hearing::new(false);
    (0..5).for_each(|sequence| hearing.hear(1000 + sequence, &record(1, sequence)));
    hearing.hear(1010, b"0,4611686018427387904,9,-;Kernel panic - not syncing: test\n");
    hearing.hear(1020, &record(1, 5));
    hearing.wait_until(6000);
    let (events, stats) = hearing.end();
    let is_crash = |event: &Event| matches!(event, Event::Crash { .. });
    let is_report = |event: &Event| matches!(event, Event::Report(report) if report.title.ends_with("test"));
    let count = |is: &dyn Fn(&Event) -> bool| events.iter().filter(|(_, event)| is(event)).count();
    assert_eq!((stats.strays, count(&is_crash), count(&is_report)), (1, 1, 1), "{events:?}");
}
