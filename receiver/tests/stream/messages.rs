//! Whatever senders of text send: nothing panics, nothing is lost, nothing waits longer than it may.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use netconsole_receiver::event::{Event, Format, Heard, Origin, Record};
use netconsole_receiver::limits;
use netconsole_receiver::senders::Senders;
use proptest::prelude::*;

/// Milliseconds after the one before, bytes, and whether its end was cut off.
type Datagram = (u64, Vec<u8>, bool);

const START: Duration = Duration::from_secs(1_700_000_000);

/// What is shown of one sender's datagrams, each some milliseconds after the one before.
fn records(datagrams: &[Datagram]) -> Vec<Record> {
    let from = SocketAddr::from(([10, 0, 0, 5], 6665));
    let (mut senders, mut heard, mut now) = (Senders::new(HashMap::new(), false), Vec::new(), START);
    for (after, bytes, is_cut) in datagrams {
        now += Duration::from_millis(*after);
        senders.tick(now, &mut heard);
        let take = if *is_cut { Senders::cut_datagram } else { Senders::datagram };
        take(&mut senders, from, 0, bytes, now, &mut heard);
    }
    // Datagrams of one time come a nanosecond after each other.
    let then = now + limits::PIECE_WAIT + Duration::from_micros(1);
    senders.tick(then, &mut heard);
    let soon = heard.len();
    senders.finish(then, &mut heard);
    assert_eq!(heard.len(), soon, "nothing waits longer: {:?}", heard.get(soon..));
    heard.into_iter().filter_map(record).collect()
}

fn record(heard: Heard) -> Option<Record> {
    match heard.event {
        Event::Record { record, .. } => Some(record),
        _ => None,
    }
}

/// All that is known of a record, as text.
fn known(record: &Record) -> String {
    let mut known = record.text.clone();
    let Origin { time, host, application, process, message_id } = *record.origin.clone().unwrap_or_default();
    for part in [time, host, application, process, message_id].into_iter().flatten() {
        known += &format!(" {part}");
    }
    // An object that has no text is its own.
    let is_whole = record.format == Format::Json && record.text.starts_with('{');
    for (key, value) in record.fields.iter().filter(|_| !is_whole) {
        known += &format!(" {key} {value}");
    }
    known
}

/// What messages are made of; a word that is unlike all others takes the place of `@`.
const PARTS: [&str; 34] = [
    "@",
    " @ ",
    "@: ",
    "\n",
    "\r\n",
    "\n",
    "<13>",
    "<0>",
    "<191>",
    "<192>",
    "<6>@",
    "[    1.000000] ",
    "[    1.000000][  T12] ",
    "[    1.000000][@] ",
    "[@",
    "]",
    "{\"msg\":\"@\"}",
    "{\"@\":\"@\",\"level\":\"@\"}",
    "{\"a\":{\"@\":[1,\"@\"]}}",
    "{",
    "}",
    "\"",
    "Nov 24 21:22:23 ",
    "2026-11-24T21:22:23Z ",
    "@ @[12]: ",
    "@ : %FTD-6-1: @",
    "45: @",
    "999 <6>",
    "1 2026-11-24T21:22:23Z @ @ @ @ - @",
    "<6>1 - @ @ @ @ [a b=\"@\"] @",
    "*Nov 24 21:22:23: @",
    "%",
    ":",
    "ü@",
];

/// Datagrams of such parts, and the words in them.
fn datagrams() -> impl Strategy<Value = (Vec<Datagram>, Vec<String>)> {
    let datagram =
        (prop::sample::select(vec![0u64, 1, 30, 99, 100, 3000]), prop::collection::vec(0..PARTS.len(), 1..7));
    prop::collection::vec(datagram, 1..12).prop_map(|chosen| {
        let mut words = Vec::new();
        let mut datagrams = Vec::new();
        for (after, parts) in chosen {
            let mut text = String::new();
            for part in parts {
                for character in PARTS[part].chars() {
                    if character == '@' {
                        let word = format!("w{}z", words.len());
                        text += &word;
                        words.push(word);
                    } else {
                        text.push(character);
                    }
                }
            }
            datagrams.push((after, text.into_bytes(), false));
        }
        (datagrams, words)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Each word that was sent is known of a record, once, and in their order of messages.
    #[test]
    fn no_word_is_lost((datagrams, words) in datagrams()) {
        let known: Vec<_> = records(&datagrams).iter().map(known).collect();
        let known = known.join("\n");
        for word in words {
            prop_assert_eq!(known.matches(&word).count(), 1, "{}: {:?}", word, datagrams);
        }
    }

    /// Text without any structure, cut anywhere: it is the same but for the line ends.
    #[test]
    fn plain_text_is_exact(text in "[a-z ü]{0,40}(\n[a-z ü]{0,40}){0,8}", cuts in prop::collection::vec((1usize..12, 0u64..150), 0..30)) {
        let bytes = text.as_bytes();
        let (mut datagrams, mut at) = (Vec::new(), 0);
        for (length, after) in cuts {
            let end = bytes.len().min(at + length);
            datagrams.push((after, bytes[at..end].to_vec(), false));
            at = end;
        }
        datagrams.push((0, bytes[at..].to_vec(), false));
        let shown: String = records(&datagrams).iter().map(|record| record.text.as_str()).collect();
        // A character that was cut in two messages is shown by its bytes.
        let shown = shown.replace("\\xc3\\xbc", "ü");
        prop_assert_eq!(shown, text.replace('\n', ""));
    }

    /// Any bytes, also cut off, and beginnings of known messages before them.
    #[test]
    fn no_bytes_panic(
        datagrams in prop::collection::vec(
            (0u64..300, 0..PARTS.len(), prop::collection::vec(any::<u8>(), 0..60), any::<bool>()), 1..20,
        ),
    ) {
        let datagrams: Vec<_> = datagrams
            .into_iter()
            .map(|(after, part, bytes, is_cut)| (after, [PARTS[part].as_bytes(), &bytes].concat(), is_cut))
            .collect();
        for record in records(&datagrams) {
            prop_assert!(record.level.is_none_or(|level| level <= 7));
            prop_assert!(record.facility.is_none_or(|facility| facility <= 23));
        }
    }
}
