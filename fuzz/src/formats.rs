//! From a record to datagrams and, through the receiver, back.

use netconsole::format::{Cursor, MAX_DATAGRAM, Next, RingLog, Style, Unfinished};
use netconsole::ring::{Level, Ring, RingHeader, Timebase};
use netconsole::settings::Format;
use netconsole_receiver::event::{Event, Heard};
use netconsole_receiver::senders::Senders;
use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// The first byte chooses the format, the second the room for a datagram, the rest is the record's text.
pub fn check(bytes: &[u8]) {
    let [format, room, text @ ..] = bytes else { return };
    // Three times as much where nothing of it is UTF-8, and still one record.
    let text = String::from_utf8_lossy(text.get(..1500).unwrap_or(text));
    let format = match format % 4 {
        0 => Format::Basic,
        1 => Format::Extended { release: false },
        2 => Format::Extended { release: true },
        _ => Format::Syslog,
    };
    let header = RingHeader::new();
    let index: Vec<AtomicU64> = (0..16).map(|_| AtomicU64::new(0)).collect();
    let data: Vec<AtomicU64> = (0..4096).map(|_| AtomicU64::new(0)).collect();
    let ring = Ring::new(&header, &index, &data);
    ring.append(Level::Warning, "fuzz", 1, format_args!("{text}"));
    let timebase = Timebase::new(0);
    let log = RingLog::new(&ring, &timebase);
    let mut cursor = Cursor::at(0);
    let Next::Record(record) = cursor.next(&log, Unfinished::Await, |_| true) else {
        panic!("the record is there")
    };

    let style = Style::new(format, true);
    // Less than a header takes may cut a record short, but no longer than this is.
    let room = 200 + usize::from(*room) * 4;
    let mut datagrams = Vec::new();
    let mut buffer = vec![0; room];
    loop {
        let datagram = cursor.datagram(&style, &log, &record, &mut buffer).expect("nobody overwrites it");
        assert!(datagram.len <= room.min(MAX_DATAGRAM));
        datagrams.push(buffer[..datagram.len].to_vec());
        assert!(datagrams.len() <= 200, "a record is not endless");
        if datagram.ends_record() {
            break;
        }
        cursor = datagram.next;
    }
    if matches!(format, Format::Extended { .. }) {
        let logged = text.strip_suffix('\n').unwrap_or(&text);
        assert_eq!(received(&datagrams), [logged]);
    }
}

/// The texts that the receiver makes of the datagrams.
fn received(datagrams: &[Vec<u8>]) -> Vec<String> {
    let mut senders = Senders::new(HashMap::new(), false);
    let mut heard: Vec<Heard> = Vec::new();
    let from = "10.0.0.5:6665".parse().expect("an address");
    for datagram in datagrams {
        senders.datagram(from, 0, datagram, Duration::from_secs(1), &mut heard);
    }
    senders.finish(Duration::from_secs(2), &mut heard);
    let text = |heard: Heard| match heard.event {
        Event::Record { record, .. } => Some(record.text),
        _ => None,
    };
    heard.into_iter().filter_map(text).collect()
}
