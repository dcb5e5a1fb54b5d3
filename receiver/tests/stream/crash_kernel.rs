//! A Linux whose own netconsole had sent its log, and its crash kernel, which sends all of it again and then its own: the
//! records are those of real crashes (linuxlog/tests/images).

use crate::{at, texts};
use netconsole_receiver::event::Event;
use netconsole_receiver::senders::Senders;
use netconsole_receiver::stats::Stats;
use std::collections::HashMap;
use std::net::SocketAddr;

const LOGS: [&str; 4] = [
    include_str!("../../../linuxlog/tests/images/5.4-log_buf_len-4M.extended.txt"),
    include_str!("../../../linuxlog/tests/images/6.1.extended.txt"),
    include_str!("../../../linuxlog/tests/images/6.12.extended.txt"),
    include_str!("../../../linuxlog/tests/images/7.2.extended.txt"),
];

/// The datagrams of a log: a record each, with its fields.
fn datagrams(log: &str) -> Vec<String> {
    let mut datagrams = Vec::<String>::new();
    for line in log.lines() {
        match datagrams.last_mut() {
            Some(datagram) if line.starts_with(' ') => *datagram += &format!("{line}\n"),
            _ => datagrams.push(format!("{line}\n")),
        }
    }
    datagrams
}

/// The same datagram, of a boot in which it came so many µs later.
fn later(datagram: &str, micros: u64) -> String {
    let mut fields: Vec<String> = datagram.splitn(4, ',').map(String::from).collect();
    let time: u64 = fields[2].parse().expect("a time");
    fields[2] = (time + micros).to_string();
    fields.join(",")
}

/// The number and the text of a datagram, as they are shown.
fn text_of(datagram: &str) -> String {
    let text = datagram.lines().next().and_then(|line| line.split_once(';')).map(|(_, text)| text);
    text.expect("a record").replace("\\x09", "\t").replace("\\x5c", "\\")
}

#[track_caller]
fn assert_shown<T: AsRef<str>>(shown: &[T], expected: &[String], what: &str) {
    for (number, (shown, expected)) in shown.iter().zip(expected).enumerate() {
        assert_eq!(shown.as_ref(), expected, "{what}: line {}", number + 1);
    }
    assert_eq!(shown.len(), expected.len(), "{what}");
}

/// What is heard of datagrams that come at these times in ms, with the program's ticks.
fn hear(datagrams: &[(u64, String)]) -> (Vec<Event>, Stats) {
    let from: SocketAddr = ([10, 0, 0, 5], 6665).into();
    let (mut senders, mut heard, mut now) = (Senders::new(HashMap::new(), true), Vec::new(), 0);
    for (time, datagram) in datagrams {
        while now + 10 <= *time {
            now += 10;
            senders.tick(at(now), &mut heard);
            senders.answers(at(now));
        }
        senders.datagram(from, 0, datagram.as_bytes(), at(*time), &mut heard);
    }
    senders.finish(at(now + 10), &mut heard);
    let stats = senders.stats().first().map(|(_, stats)| *stats).unwrap_or_default();
    (heard.into_iter().map(|heard| heard.event).collect(), stats)
}

/// At these times, `pace` datagrams a millisecond.
fn from(start: u64, pace: u64, datagrams: &[String]) -> Vec<(u64, String)> {
    (0..).zip(datagrams).map(|(index, datagram)| (start + index / pace, datagram.clone())).collect()
}

/// Linux has sent nearly all before it died, a part at once when its netconsole started, and the crash kernel sends the ring
/// from `first` on, as often as somebody shows that he hears it.
#[test]
fn what_linux_had_sent_is_shown_once_and_is_no_reboot() {
    for log in LOGS {
        let all = datagrams(log);
        let live = all.len() - 40;
        for (first, silences) in
            [(0, &[50][..]), (0, &[3000]), (0, &[35_000, 20]), (live / 3, &[700]), (live - 10, &[5000])]
        {
            let mut sent = from(0, 20, &all[..live]);
            let mut time = sent.last().expect("records").0;
            for silence in silences {
                time += silence;
                sent.extend(from(time, 20, &all[first..]));
                time = sent.last().expect("records").0;
            }
            let (events, stats) = hear(&sent);
            let expected: Vec<String> = all.iter().map(|datagram| text_of(datagram)).collect();
            assert_shown(&texts(&events), &expected, &format!("from {first} after {silences:?}"));
            assert_eq!(
                (stats.reboots, stats.strays, stats.missing, stats.skipped),
                (0, 0, 0, 0),
                "{first} {silences:?}"
            );
        }
    }
}

/// What Linux's netconsole had lost fills its gap, and comes late where that was named.
#[test]
fn what_linux_had_lost_comes_in_the_end() {
    for log in LOGS {
        let all = datagrams(log);
        let live = all.len() - 40;
        let is_lost = |index: usize| matches!(index, 5 | 200..230 | 400);
        let heard: Vec<String> = all[..live]
            .iter()
            .enumerate()
            .filter(|(index, _)| !is_lost(*index))
            .map(|(_, datagram)| datagram.clone())
            .collect();
        for (silence, are_late) in [(100, false), (3000, false), (40_000, true)] {
            let mut sent = from(0, 20, &heard);
            sent.extend(from(silence, 20, &all));
            let (events, stats) = hear(&sent);
            let mut shown: Vec<String> = texts(&events).into_iter().map(String::from).collect();
            let mut expected: Vec<String> = all.iter().map(|datagram| text_of(datagram)).collect();
            if are_late {
                shown.sort();
                expected.sort();
            }
            assert_shown(&shown, &expected, &format!("after {silence}"));
            assert_eq!((stats.reboots, stats.strays), (0, 0), "after {silence}");
        }
    }
}

/// The board came up again, and Linux begins with what it began with before: the times of its first second are those of its
/// ticks, then they differ.
#[test]
fn another_boot_of_the_same_linux_is_a_reboot() {
    for log in LOGS {
        let all = datagrams(log);
        let again: Vec<String> = (0..)
            .zip(&all)
            .map(|(index, datagram)| {
                let time: u64 =
                    datagram.split(',').nth(2).and_then(|time| time.parse().ok()).expect("a time");
                later(datagram, if time < 1_000_000 { 0 } else { 3 + index % 7 })
            })
            .collect();
        for silence in [2500, 9000] {
            let mut sent = from(0, 20, &all);
            sent.extend(from(sent.last().expect("records").0 + silence, 20, &again));
            let (events, stats) = hear(&sent);
            let expected: Vec<String> = all.iter().chain(&again).map(|datagram| text_of(datagram)).collect();
            assert_shown(&texts(&events), &expected, &format!("after {silence}"));
            assert_eq!(
                (stats.reboots, stats.strays, stats.missing, stats.skipped),
                (1, 0, 0, 0),
                "{silence}"
            );
        }
    }
}
