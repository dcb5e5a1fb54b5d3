//! Requests for records by the ncrx protocol.

use crate::nic::Card;
use crate::pieces::pieces;
use netconsole::format::{RingLog, Style, Threshold};
use netconsole::ncrx::Ncrx;
use netconsole::ring::{Level, Ring, RingHeader, Timebase};
use netconsole::seal::{KeyStore, Numbers, Protection, Sealing};
use netconsole::sender::Sender;
use netconsole::settings::Format;
use netconsole::wire::{Endpoint, Envelope, MacAddr, udp};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::AtomicU64;

const RECORDS: u64 = 100;

/// [`pieces`] that are answers of a receiver, whose byte says how long it is until the answer, in units of 20 ms.
pub fn check(bytes: &[u8]) {
    let header = RingHeader::new();
    let index: Vec<AtomicU64> = (0..64).map(|_| AtomicU64::new(0)).collect();
    let data: Vec<AtomicU64> = (0..512).map(|_| AtomicU64::new(0)).collect();
    let ring = Ring::new(&header, &index, &data);
    for number in 0..RECORDS {
        ring.append(Level::Info, "fuzz", 0, format_args!("record {number}"));
    }
    let end = |host, port| Endpoint {
        mac: MacAddr([2, 0, 0, 0, 0, host]),
        ip: IpAddr::V4(Ipv4Addr::new(10, 0, 0, host)),
        port,
    };
    let envelope = Envelope::new(end(1, 6665), end(2, 6666), None).expect("both are IPv4");
    let keys = KeyStore::new();
    let timebase = Timebase::new(0);
    let sender = Sender {
        log: &RingLog::new(&ring, &timebase),
        style: Style::new(Format::Extended { release: false }, true),
        threshold: Threshold::level(8),
        envelope: &envelope,
        sealing: Sealing { protection: &Protection::Clear, numbers: Numbers::Counted(&keys) },
    };
    let mut ncrx = Ncrx::new();
    let mut card = Card::default();
    let mut now = 0;
    for (wait, answer) in pieces(bytes).take(64) {
        now += u64::from(wait) * 20_000;
        ncrx.hear(answer, 0..RECORDS, now);
        for _ in 0..100 {
            if !ncrx.ship(&sender, &mut card, now).expect("the card works") {
                break;
            }
        }
    }
    let most = Ncrx::RATE * (now / 1_000_000 + 1) + 64;
    assert!(card.sent.len() as u64 <= most, "{} datagrams in {now} µs", card.sent.len());
    for frame in &card.sent {
        let sent = udp::parse(frame).expect("a datagram");
        let text = std::str::from_utf8(sent.payload).expect("text");
        let sequence: u64 = text.split(',').nth(1).and_then(|number| number.parse().ok()).expect("extended");
        assert!(sequence < RECORDS && text.contains(&format!(";record {sequence}\n")), "{text}");
    }
}
