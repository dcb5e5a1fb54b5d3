//! The same machine by two ways: two targets or cards of it lead here, and each record is shown once.

use std::collections::HashMap;
use std::net::SocketAddr;

use netconsole_receiver::event::{Event, Heard};
use netconsole_receiver::limits;
use netconsole_receiver::senders::Senders;

use crate::{at, text};

/// A datagram, and when it comes from where.
type Sent = (u64, &'static str, Vec<u8>);

const FIRST: &str = "10.0.0.5:6665";

/// A record whose time is the one at which it is sent.
fn record(machine: &str, sequence: u64, now: u64) -> Vec<u8> {
    format!("6,{sequence},{},-;{machine} record {sequence}\n", now * 1000 + sequence * 37 % 11).into_bytes()
}

/// What comes of the datagrams, with the program's ticks; and how many senders there are in the end.
fn hear(mut sent: Vec<Sent>) -> (Vec<Heard>, usize) {
    sent.sort_by_key(|(time, ..)| *time);
    let (mut senders, mut heard) = (Senders::new(HashMap::new(), true), Vec::new());
    let mut now = 0;
    for (time, address, datagram) in sent {
        while now + 10 <= time {
            now += 10;
            senders.tick(at(now), &mut heard);
            senders.answers(at(now));
        }
        let from: SocketAddr = address.parse().expect("an address");
        senders.datagram(from, 0, &datagram, at(time), &mut heard);
    }
    senders.finish(at(now + 10), &mut heard);
    (heard, senders.count())
}

fn texts(heard: &[Heard]) -> Vec<&str> {
    heard.iter().filter_map(|heard| text(&heard.event)).collect()
}

fn expected(machine: &str, sequences: std::ops::Range<u64>) -> Vec<String> {
    sequences.map(|sequence| format!("{machine} record {sequence}")).collect()
}

/// Two targets of one card, and two cards; each record by one way shortly after the other, whichever is first.
#[test]
fn a_machine_by_two_ways_is_shown_once() {
    for second in ["10.0.0.5:6664", "10.1.0.5:6665"] {
        for (delay, of_second) in [(1, true), (30, true), (1, false)] {
            let mut sent = Vec::new();
            for sequence in 0..100 {
                let now = 1000 + sequence * 20;
                let (earlier, later) = if of_second { (FIRST, second) } else { (second, FIRST) };
                // Whichever way was the first one at the beginning.
                let is_other_way = sequence > 0 && sequence % 3 == 0;
                let (earlier, later) = if is_other_way { (later, earlier) } else { (earlier, later) };
                sent.push((now, earlier, record("a", sequence, now)));
                sent.push((now + delay, later, record("a", sequence, now)));
            }
            let (heard, count) = hear(sent);
            assert_eq!(texts(&heard), expected("a", 0..100), "{second}, {delay} ms");
            assert_eq!((heard.len(), count), (100, 1), "{second}, {delay} ms");
        }
    }
}

/// What one way loses the other one has: nothing is missing.
#[test]
fn what_one_way_loses_comes_by_the_other() {
    let mut sent = Vec::new();
    for sequence in 0..100 {
        let now = 1000 + sequence * 20;
        for (way, address) in [FIRST, "10.1.0.5:6665"].into_iter().enumerate() {
            if sequence < 10 || sequence % 7 != way as u64 {
                sent.push((now + way as u64, address, record("a", sequence, now)));
            }
        }
    }
    let (heard, count) = hear(sent);
    assert_eq!((texts(&heard), count), (expected("a", 0..100).iter().map(String::as_str).collect(), 1));
    assert_eq!(heard.len(), 100);
}

/// The log of a boot, which comes in one piece by each way, and nothing after it.
#[test]
fn a_log_in_one_piece_by_each_way_is_shown_once() {
    let mut sent: Vec<Sent> = Vec::new();
    for (start, address) in [(5000, FIRST), (5100, "10.1.0.5:6665")] {
        for sequence in 0..40 {
            sent.push((start + sequence, address, record("a", sequence, 100 + sequence)));
        }
    }
    // Another machine, much later.
    sent.push((9000, "10.0.0.9:6665", record("b", 0, 9000)));
    let (heard, count) = hear(sent);
    assert_eq!(texts(&heard), [expected("a", 0..40), expected("b", 0..1)].concat());
    assert_eq!(count, 2);
}

/// Twins: the same system, started at the same time. What is the same is shown of both, too.
#[test]
fn twins_are_two() {
    let mut sent: Vec<Sent> = Vec::new();
    for sequence in 0..50u64 {
        for (twin, address) in [FIRST, "10.0.0.6:6665"].into_iter().enumerate() {
            // Before its clock runs, Linux has no time.
            let time = if sequence < 20 { 0 } else { sequence * 1000 + twin as u64 };
            let datagram = format!("6,{sequence},{time},-;Linux record {sequence}\n").into_bytes();
            sent.push((1000 + sequence * 5 + twin as u64, address, datagram));
        }
    }
    let (heard, count) = hear(sent);
    for address in [FIRST, "10.0.0.6:6665"] {
        let address: SocketAddr = address.parse().expect("an address");
        let own: Vec<_> = heard.iter().filter(|heard| heard.sender.address == address).cloned().collect();
        assert_eq!(texts(&own), expected("Linux", 0..50));
    }
    assert_eq!((heard.len(), count), (100, 2));
}

/// A text that many send is no machine's: one after the other, or all at once.
#[test]
fn many_that_send_the_same_are_many() {
    for at_once in [false, true] {
        let (mut senders, mut heard) = (Senders::new(HashMap::new(), false), Vec::new());
        for number in 0..6000u64 {
            let (host, sequence) =
                if at_once { (number % 600, number / 600) } else { (number / 10, number % 10) };
            let from = SocketAddr::from(([10, 1, (host / 256) as u8, (host % 256) as u8], 6665));
            let datagram = format!("6,{sequence},{},-;text\n", sequence * 10 + 1);
            senders.datagram(from, 0, datagram.as_bytes(), at(1000 + number / 50), &mut heard);
            if number % 500 == 0 {
                senders.tick(at(1000 + number / 50), &mut heard);
            }
        }
        senders.finish(at(90_000), &mut heard);
        assert_eq!((senders.count(), heard.len()), (600, 6000), "{at_once}");
        assert!(senders.stats().iter().all(|(_, stats)| stats.records == 10));
    }
}

/// The same text over and over, with numbers that anybody counts, is no sign either.
#[test]
fn the_same_text_over_and_over_proves_nothing() {
    let mut sent: Vec<Sent> = Vec::new();
    for sequence in 0..20u64 {
        for address in [FIRST, "10.0.0.5:6664"] {
            sent.push((
                1000 + sequence,
                address,
                format!("6,{sequence},{},-;text\n", sequence * 10 + 1).into_bytes(),
            ));
        }
    }
    let (heard, count) = hear(sent);
    assert_eq!((heard.len(), count), (40, 2));
}

/// A single record that two send is shown of both, when what is before it was asked for in vain.
#[test]
fn one_record_alone_proves_nothing() {
    let same = b"6,7,1234567,-;text\n".to_vec();
    let (heard, count) = hear(vec![
        (1000, FIRST, same.clone()),
        (1001, "10.0.0.6:6665", same),
        (7100, "10.0.0.9:6665", record("b", 0, 7100)),
    ]);
    let senders: Vec<_> = heard
        .iter()
        .filter(|heard| matches!(heard.event, Event::Record { .. }))
        .map(|heard| heard.sender.name.as_str())
        .collect();
    assert_eq!((senders, count), (vec!["10.0.0.5", "10.0.0.6", "10.0.0.9"], 3));
}

/// Whoever sends in pairs without end has little held.
#[test]
fn what_is_held_is_bounded() {
    let (mut senders, mut heard) = (Senders::new(HashMap::new(), false), Vec::new());
    let mut taken = 0;
    for pair in 0..50u64 {
        for sequence in 0..2000u64 {
            for way in 0..2 {
                let from = SocketAddr::from(([10, 2, way, pair as u8], 6665));
                let datagram = format!("6,{sequence},{},-;text of {pair}\n", sequence * 10 + pair + 1);
                senders.datagram(from, 0, datagram.as_bytes(), at(1000), &mut heard);
                taken += 1;
            }
            assert!(taken - heard.len() <= limits::SUSPECTED_EVENTS + 2, "{taken}");
        }
    }
    senders.finish(at(90_000), &mut heard);
    assert_eq!(heard.len(), taken);
}
