//! The limits of the receiver at their edges, in numbers of their own: what just fits, and what is one too many.

use netconsole_receiver::event::{Event, Heard, Record};
use netconsole_receiver::senders::Senders;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

const START: Duration = Duration::from_secs(1_700_000_000);

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 5], port))
}

/// What the receiver gives out of one sender's datagrams, which all come at once.
fn at_once(datagrams: impl IntoIterator<Item = String>) -> Vec<Event> {
    let (mut senders, mut heard) = (Senders::new(HashMap::new(), false), Vec::new());
    for datagram in datagrams {
        senders.datagram(address(6665), 0, datagram.as_bytes(), START, &mut heard);
    }
    events(heard)
}

/// The same, and what follows when nothing more comes.
fn in_the_end(datagrams: impl IntoIterator<Item = String>) -> Vec<Event> {
    let (mut senders, mut heard) = (Senders::new(HashMap::new(), false), Vec::new());
    for datagram in datagrams {
        senders.datagram(address(6665), 0, datagram.as_bytes(), START, &mut heard);
    }
    senders.tick(START + Duration::from_secs(1), &mut heard);
    senders.finish(START + Duration::from_secs(2), &mut heard);
    events(heard)
}

fn events(heard: Vec<Heard>) -> Vec<Event> {
    heard.into_iter().map(|heard| heard.event).collect()
}

fn record(event: &Event) -> Option<&Record> {
    match event {
        Event::Record { record, .. } => Some(record),
        _ => None,
    }
}

fn records(events: &[Event]) -> Vec<&Record> {
    events.iter().filter_map(record).collect()
}

fn datagram(sequence: u64) -> String {
    format!("6,{sequence},{},-;text\n", sequence * 10)
}

/// A record in fragments of `size` bytes.
fn fragments(total: usize, size: usize) -> Vec<String> {
    let body = "x".repeat(total);
    let piece = |at: usize| format!("6,0,0,-,ncfrag={at}/{total};{}", &body[at..total.min(at + size)]);
    (0..total).step_by(size).map(piece).collect()
}

#[test]
fn sixty_four_records_before_the_first_are_missed() {
    let missing = Event::Skipped { first: 0, last: 63, count: 64 };
    assert_eq!(in_the_end([datagram(64)]).first(), Some(&missing));
    assert_eq!(in_the_end([datagram(65)]).first(), Some(&Event::Joined { sequence: 65 }));
}

#[test]
fn a_gap_is_given_up_for_32769_records_behind_it() {
    let sent = |behind: u64| at_once([0].into_iter().chain(2..2 + behind).map(datagram));
    assert_eq!(records(&sent(1 << 15)).len(), 1);
    let given_up = sent((1 << 15) + 1);
    assert_eq!(given_up.get(1), Some(&Event::Skipped { first: 1, last: 1, count: 1 }));
    assert_eq!(records(&given_up).len(), 2 + (1 << 15));
}

#[test]
fn a_record_has_128_kib_in_1024_fragments() {
    let whole = |total, size| {
        let events = in_the_end(fragments(total, size));
        records(&events).iter().any(|record| record.text.len() == total && !record.incomplete)
    };
    assert!(whole(128 << 10, 900));
    assert!(!whole((128 << 10) + 1, 900));
    assert!(whole(1024, 1));
    assert!(!whole(1025, 1));
}

#[test]
fn a_record_has_512_fields() {
    for (lines, kept) in [(512, 512), (513, 512)] {
        let events = in_the_end([format!("6,0,0,-;text\n{}", " KEY=VALUE\n".repeat(lines))]);
        assert_eq!(records(&events)[0].fields.len(), kept);
    }
}

#[test]
fn a_line_without_an_end_has_64_kib() {
    // Behind the first line, from a sender that is known to end its lines.
    let piece =
        |length: usize| at_once(["first\n".to_owned(), "x".repeat(1 << 15), "x".repeat(length - (1 << 15))]);
    assert_eq!(records(&piece(1 << 16)).len(), 1);
    assert_eq!(records(&piece((1 << 16) + 1)).len(), 2);
}

/// As many as there is memory for; a spoofed address more moves out only another one.
#[test]
fn an_active_sender_never_makes_room() {
    let memory = 1 << 20;
    let (mut senders, mut heard) = (Senders::new(HashMap::new(), true).with_memory(memory), Vec::new());
    let honest = address(1);
    let spoofed = |number: u32| SocketAddr::from((std::net::Ipv4Addr::from(0x0b00_0000 + number), 6665));
    let millis = |millis: u64| START + Duration::from_millis(millis);
    // Two records a second apart, then one for each ten seconds in which 10,000 others come.
    senders.datagram(honest, 0, datagram(0).as_bytes(), millis(0), &mut heard);
    for number in 0..100_000u32 {
        let now = millis(1000 + u64::from(number));
        if number % 10_000 == 0 {
            senders.datagram(honest, 0, datagram(1 + u64::from(number) / 10_000).as_bytes(), now, &mut heard);
        }
        senders.datagram(spoofed(number), 0, datagram(0).as_bytes(), now, &mut heard);
        heard.retain(|heard| heard.sender.address == honest);
    }
    let most = senders.count();
    assert!((memory / 2000..memory / 500).contains(&most), "{most}");
    let events = events(heard);
    assert_eq!((records(&events).len(), events.len()), (11, 11), "always the same sender");
    // All are established, and active: the next one is shown, and not remembered.
    let (mut senders, mut heard) = (Senders::new(HashMap::new(), true).with_memory(memory), Vec::new());
    for round in 0..2 {
        for number in 0..u32::try_from(most).expect("few") {
            senders.datagram(
                spoofed(number),
                0,
                datagram(round).as_bytes(),
                millis(round * 1000),
                &mut heard,
            );
        }
    }
    heard.clear();
    senders.datagram(honest, 0, datagram(70).as_bytes(), millis(2000), &mut heard);
    assert_eq!((senders.count(), heard.len()), (most, 1));
    // After ten minutes of silence they go.
    senders.datagram(honest, 0, datagram(71).as_bytes(), millis(602_000), &mut heard);
    senders.datagram(honest, 0, datagram(72).as_bytes(), millis(602_001), &mut heard);
    senders.tick(millis(602_100), &mut heard);
    let joined = heard.iter().filter(|heard| matches!(heard.event, Event::Joined { .. })).count();
    assert_eq!((senders.count(), joined), (most, 1));
}

#[test]
fn a_hundred_thousand_senders_are_all_known() {
    let (mut senders, mut heard) = (Senders::new(HashMap::new(), false), Vec::new());
    for sequence in 100..102 {
        for number in 0..100_000 {
            let from = SocketAddr::from((std::net::Ipv4Addr::from(0x0a00_0000 + number), 6665));
            senders.datagram(from, 0, datagram(sequence).as_bytes(), START, &mut heard);
        }
    }
    senders.tick(START + Duration::from_millis(100), &mut heard);
    assert_eq!(senders.count(), 100_000);
    let joined = heard.iter().filter(|heard| matches!(heard.event, Event::Joined { .. })).count();
    assert_eq!((joined, heard.len()), (100_000, 300_000), "each once");
}

#[test]
fn a_gap_is_given_up_for_8_mib_behind_it() {
    let datagram = |sequence: u64| format!("6,{sequence},{},-;{}\n", sequence * 10, "x".repeat(900));
    let size = records(&in_the_end([datagram(0)]))[0].size();
    let fits = (8 << 20) / size as u64;
    assert!(fits < 1 << 15, "it is not the number of records that counts");
    let sent = |behind: u64| at_once([0].into_iter().chain(2..2 + behind).map(datagram));
    assert_eq!(records(&sent(fits)).len(), 1);
    assert_eq!(records(&sent(fits + 1)).len() as u64, 2 + fits);
}
