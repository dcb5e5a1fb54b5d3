//! A target on a card with little room: what is changed while records are under way.

mod lanes;

use super::life::Life;
use super::*;
use crate::format::RingLog;
use crate::nic::fake::{Card, MAC};
use crate::ring::{ALWAYS, Audience, Level, Ring, RingHeader, Timebase};
use crate::seal::KeyStore;
use crate::seal::Secrecy;
use crate::seal::{Numbers, Protection, Sealing};
use crate::stack::{Addressing, Ipv4Method, Stack};
use crate::targets::attribute::SystemSwitch;
use crate::wire::{MacAddr, udp};
use core::sync::atomic::AtomicU64;
use proptest::prelude::*;

const FILTER: LogFilter = LogFilter { limit: 8, ignore_limits: false, oops_only: false };

const COMMON: Common = Common {
    filter: FILTER,
    style: SharedStyle { time: true, release: "", host_name: None, epoch: None },
    ncrx: false,
    spares_everybody: false,
};

/// The bodies of the records, their fragments put together; fails where these don't fit.
fn bodies(frames: &[Vec<u8>]) -> Result<Vec<String>, TestCaseError> {
    let mut bodies: Vec<String> = Vec::new();
    let mut under_way: Option<(String, String, usize)> = None;
    for datagram in frames.iter().filter_map(|frame| udp::parse(frame)) {
        let text = String::from_utf8_lossy(datagram.payload);
        let (header, body) = text.split_once(';').expect("a header");
        let sequence = header.split(',').nth(1).expect("a sequence number").to_string();
        match (header.split_once(",ncfrag=").and_then(|(_, place)| place.split_once('/')), under_way.take()) {
            (None, None) => bodies.push(body.into()),
            (Some((offset, total)), before) => {
                let (offset, total): (usize, usize) = (offset.parse().unwrap(), total.parse().unwrap());
                let (before_sequence, mut whole, before_total) =
                    before.unwrap_or((sequence.clone(), String::new(), total));
                prop_assert_eq!((&sequence, offset, total), (&before_sequence, whole.len(), before_total));
                whole.push_str(body);
                if whole.len() == total {
                    bodies.push(whole);
                } else {
                    under_way = Some((sequence, whole, total));
                }
            }
            (None, Some(_)) => prop_assert!(false, "a record began before the last had ended"),
        }
    }
    prop_assert!(under_way.is_none(), "the last record is not complete");
    Ok(bodies)
}

/// Hands a running target and an empty log to `check`.
fn with_target<T>(check: impl FnOnce(&mut Target, &Ring<'_>) -> T) -> T {
    let words = |count| -> Vec<AtomicU64> { (0..count).map(|_| AtomicU64::new(0)).collect() };
    let (header, index, data) = (RingHeader::new(), words(1 << 13), words(1 << 16));
    let ring = Ring::new(&header, &index, &data);
    ring.recover(0, Audience::Everybody);
    let address = core::net::Ipv4Addr::new(10, 0, 0, 1);
    let addressing = Addressing {
        ipv4: Ipv4Method::Static { address, prefix: 24, gateway: None },
        ipv6: None,
        echo: false,
    };
    let mut stack = Stack::new(None, MAC, 1500, None, &addressing, 7, 0);
    let mut config = TargetConfig::DEFAULT;
    config.format = Format::Extended { release: false };
    config.remote_mac = Some(MacAddr::BROADCAST);
    let mut target = Target::new(TargetName::of_command_line(0), config);
    target.enable(0);
    target.go_by(0, None);
    let (mut card, mut life) = (Card { room: 0, ..Card::default() }, Life::new(MAC));
    let mut interface = Interface {
        name: "eth0",
        nic: &mut card,
        stack: &mut stack,
        life: &mut life,
        link_is_up: true,
        ipv4_may_come: true,
    };
    let keys = KeyStore::new();
    keys.decide(&Secrecy::Clear, || panic!("there is no key"));
    target.advance(
        0,
        Some(&mut interface),
        &Moment {
            keys: &keys,
            ring: &ring,
            now: 0,
            carrier_timeout: 0,
            asks_for_given: false,
            spares_everybody: false,
        },
    );
    assert!(target.is_running());
    check(&mut target, &ring)
}

fn queued(target: &Target) -> u64 {
    target.lanes[0].cursor.sequence()
}

/// One turn of 32 frames.
fn ship(target: &mut Target, ring: &Ring<'_>, user_data: &[u8], card: &mut Card) -> Shipped {
    ship_under(&FILTER, target, ring, user_data, card)
}

fn ship_under(
    filter: &LogFilter,
    target: &mut Target,
    ring: &Ring<'_>,
    user_data: &[u8],
    card: &mut Card,
) -> Shipped {
    let keys = KeyStore::new();
    let timebase = Timebase::new(0);
    let mut turn = Turn {
        log: RingLog::new(ring, &timebase),
        common: &Common { filter: *filter, ..COMMON },
        sealing: Sealing { protection: &Protection::Clear, numbers: Numbers::Counted(&keys) },
        now: 1_000_000,
        frames: 32,
        recent: None,
    };
    target.ship(0, &mut turn, user_data, card)
}

/// So that every target gets its turn; in all formats.
#[test]
fn a_turn_has_an_end() {
    for format in [Format::Basic, Format::Extended { release: false }, Format::Syslog] {
        with_target(|target, ring| {
            target.config.format = format;
            for number in 0..33 {
                ring.append_str(Level::Info, "test", 0, &format!("record {number}"));
            }
            let mut card = Card { room: 1000, ..Card::default() };
            for (result, sent) in [(Shipped::More, 32), (Shipped::Everything, 33)] {
                assert_eq!((ship(target, ring, b"", &mut card), card.sent.len()), (result, sent));
            }
            let Counters { records, datagrams, .. } = target.counters();
            assert_eq!((records, datagrams, queued(target)), (33, 33, 33));
        });
    }
}

/// A full card does not hide that there is nothing more, nor keep a target from passing over what it does not want.
#[test]
fn a_full_card_is_no_reason_for_another_turn() {
    with_target(|target, ring| {
        target.config.format = Format::Basic;
        target.loglevel = Some(7);
        for number in 0..5 {
            ring.append_str(Level::Info, "test", 0, &format!("record {number}"));
        }
        let mut card = Card { room: 5, ..Card::default() };
        ship(target, ring, b"", &mut card);
        assert_eq!((card.sent.len(), card.room), (5, 0));
        assert_eq!(ship(target, ring, b"", &mut card), Shipped::Everything);
        ring.append_str(Level::Debug, "test", 0, "hidden");
        assert_eq!((ship(target, ring, b"", &mut card), queued(target)), (Shipped::Everything, 6));
        ring.append_str(Level::Info, "test", 0, "shown");
        assert_eq!((ship(target, ring, b"", &mut card), queued(target)), (Shipped::Full, 6));
    });
}

/// Plain lines go out in bursts; what is none of them comes in its place all the same.
#[test]
fn the_order_is_the_logs_whatever_the_records_are() {
    with_target(|target, ring| {
        target.config.format = Format::Basic;
        let texts =
            ["plain", "two\nlines", "plain", &"long ".repeat(300), "", "plain\n", "\u{e9}\u{1}", "end"];
        for (text, level) in texts.iter().flat_map(|text| [(text, Level::Info), (&"hidden", Level::Debug)]) {
            ring.append_str(level, "test", 0, text);
        }
        target.loglevel = Some(7);
        let mut card = Card { room: 5, ..Card::default() };
        while ship(target, ring, b"", &mut card) != Shipped::Everything {
            card.room = 2;
        }
        let sent: Vec<_> = card.sent.iter().filter_map(|frame| udp::parse(frame)).collect();
        let shown = String::from_utf8(sent.iter().flat_map(|datagram| datagram.payload).copied().collect());
        let prefix = "[    0.000000] ";
        let expected = texts.map(|text| {
            let lines = text.strip_suffix('\n').unwrap_or(text).replace('\n', &format!("\n{prefix}"));
            format!("{prefix}{lines}\n")
        });
        assert_eq!(shown.expect("UTF-8"), expected.concat());
        let Counters { records, filtered, bytes, datagrams, .. } = target.counters();
        assert_eq!((records, filtered, datagrams), (8, 8, 9));
        assert_eq!(bytes as usize, expected.concat().len());
    });
}

/// A datagram's text.
fn payload(frame: &[u8]) -> String {
    String::from_utf8_lossy(udp::parse(frame).expect("a datagram").payload).into_owned()
}

/// The sequence number of an extended datagram, and how many records it says were held back before it.
fn told(datagram: &str) -> (u64, u64) {
    let header = datagram.split(';').next().expect("one");
    let mut fields = header.split(',').skip(1);
    let sequence = fields.next().and_then(|number| number.parse().ok()).expect("a number");
    let held = fields
        .find_map(|field| field.strip_prefix("held="))
        .map_or(0, |held| held.parse().expect("a number"));
    (sequence, held)
}

/// What goes out of these records, in a format under a filter.
fn sent(format: Format, filter: &LogFilter, records: &[(Level, &str, &str)]) -> Vec<String> {
    with_target(|target, ring| {
        target.config.format = format;
        records.iter().for_each(|&(level, module, text)| ring.append_str(level, module, 0, text));
        let mut card = Card::default();
        assert_eq!(ship_under(filter, target, ring, b"", &mut card), Shipped::Everything);
        card.sent.iter().map(|frame| payload(frame)).collect()
    })
}

/// Silence is never healthy: a receiver sees that logging has started, whatever is held back.
#[test]
fn what_every_target_is_to_have_goes_out_under_any_limit() {
    let records = [
        (Level::Emergency, "test", "hidden"),
        (Level::Info, ALWAYS, "started"),
        (Level::Emergency, "test", "hidden"),
    ];
    for filter in [LogFilter { limit: 0, ..FILTER }, LogFilter { oops_only: true, ..FILTER }] {
        let sent = |format| sent(format, &filter, &records);
        assert_eq!(sent(Format::Basic), ["[    0.000000] started\n"]);
        assert_eq!(sent(Format::Extended { release: false }), ["6,1,0,-,held=1;started\n"]);
        let syslog = sent(Format::Syslog);
        assert!(
            syslog.len() == 1 && syslog[0].ends_with("[netconsole@32473 seq=\"1\" held=\"1\"] started"),
            "{syslog:?}"
        );
    }
}

/// Once the sender has stepped elsewhere the ring says how many there are.
#[test]
fn a_jump_loses_nothing_of_what_was_held_back() {
    with_target(|target, ring| {
        target.loglevel = Some(7);
        let mut card = Card::default();
        let mut log_and_ship = |target: &mut Target, level: Level, records: usize| {
            (0..records).for_each(|_| ring.append_str(level, "test", 0, "text"));
            while ship(target, ring, b"", &mut card) != Shipped::Everything {}
            card.sent.drain(..).map(|frame| told(&payload(&frame))).collect::<Vec<_>>()
        };
        assert_eq!(log_and_ship(target, Level::Info, 2), [(0, 0), (1, 0)]);
        assert_eq!(log_and_ship(target, Level::Debug, 3), []);
        target.was_taken(0);
        target.confirm(0);
        target.rewind(0);
        assert_eq!(log_and_ship(target, Level::Debug, 1), []);
        assert_eq!(log_and_ship(target, Level::Info, 1), [(6, 4)]);
        target.rewind(0);
        assert_eq!(log_and_ship(target, Level::Info, 1), [(6, 4), (7, 0)]);
        // What the ring lost is lost, not held back.
        assert_eq!(log_and_ship(target, Level::Debug, 5), []);
        let sent = log_and_ship(target, Level::Info, 20_000);
        assert_eq!(sent[0], (ring.first(), 0));
        assert!(ring.first() > 13 && target.counters().filtered >= 9);
    });
}

proptest! {
    /// Every record is sent or held back, and the receiver is told which, exactly; what it asks for again is the same,
    /// byte by byte, whatever the limit is by then.
    #[test]
    fn a_receiver_knows_what_was_held_back(
        steps in proptest::collection::vec((proptest::collection::vec((0u8..8, 0usize..1500), 0..4), 0usize..4, 0u8..=8), 1..20),
    ) {
        with_target(|target, ring| {
            let mut card = Card { room: 0, ..Card::default() };
            for (records, room, limit) in steps {
                for (level, length) in records {
                    let module = if length % 50 == 0 { ALWAYS } else { "test" };
                    ring.append_str(Level::from_low_bits(level), module, 0, &"x".repeat(length));
                }
                target.loglevel = Some(limit);
                card.room = room;
                ship(target, ring, b"", &mut card);
            }
            card.room = 1000;
            while ship(target, ring, b"", &mut card) != Shipped::Everything {}
            let sent: Vec<String> = card.sent.drain(..).map(|frame| payload(&frame)).collect();
            let mut next = 0;
            for datagram in &sent {
                let (sequence, held) = told(datagram);
                // All fragments say the same.
                prop_assert!(sequence - held == next || sequence + 1 == next, "{datagram}");
                next = sequence + 1;
            }
            let wanted: std::collections::BTreeSet<u64> = sent.iter().map(|datagram| told(datagram).0).collect();
            let wanted: String = wanted.iter().map(|sequence| format!(" {sequence}")).collect();
            let answer = format!("ncrx{}{wanted}", u64::MAX);
            prop_assert!(target.ncrx.hear(answer.as_bytes(), 0..ring.end(), 1_000_000));
            target.loglevel = Some(8);
            // At most 40 datagrams may go out at once; after that time has to pass.
            let mut again = Vec::new();
            while ship(target, ring, b"", &mut card) != Shipped::Everything {}
            again.extend(card.sent.drain(..).map(|frame| payload(&frame)));
            prop_assert_eq!(&again[..], &sent[..again.len()]);
            prop_assert!(again.len() >= sent.len().min(40));
            Ok(())
        })?;
    }
}

/// In every format, whether or not a burst may take it: what a boot with a key logged stays, this boot's goes.
#[test]
fn what_is_withheld_is_stepped_over() {
    for format in [Format::Basic, Format::Extended { release: false }, Format::Syslog] {
        with_target(|target, ring| {
            target.config.format = format;
            ring.recover(0, Audience::Nobody);
            (0..40).for_each(|_| ring.append_str(Level::Emergency, "test", 0, "secret"));
            ring.recover(0, Audience::Everybody);
            ring.append_str(Level::Info, "test", 0, "not secret");
            let mut card = Card { room: 1000, ..Card::default() };
            while ship(target, ring, b"", &mut card) == Shipped::More {}
            let text: Vec<u8> = card.sent.iter().flatten().copied().collect();
            let text = String::from_utf8_lossy(&text);
            assert!(text.contains("not secret") && text.matches("secret").count() == 1, "{text}");
            // They are not missing, as a receiver would have it.
            let held = match format {
                Format::Basic => "",
                Format::Extended { .. } => ",held=40;",
                Format::Syslog => "held=\"40\"",
            };
            assert!(text.contains(held), "{text}");
            let Counters { records, filtered, lost, .. } = target.counters();
            assert_eq!((records, filtered, lost, queued(target)), (1, 40, 0, 41));
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_record_keeps_its_style_from_its_first_piece_to_its_last(
        steps in proptest::collection::vec((0usize..4, 0usize..4, 0usize..400), 1..60),
    ) {
        with_target(|target, ring| {
            let mut card = Card { room: 0, ..Card::default() };
            let mut user_data = String::new();
            let (mut logged, mut waits) = (0u64, false);
            for (records, room, length) in steps {
                for _ in 0..records {
                    ring.append_str(Level::Info, "test", 0, &format!("record {logged} {}", "x".repeat(length * 5)));
                    logged += 1;
                }
                waits |= length % 2 == 1;
                if waits && target.settle() {
                    waits = false;
                    user_data = format!(" key={}\n", "v".repeat(length % 200)).repeat(length % 8);
                    let on = if length % 4 == 1 { "1" } else { "0" };
                    prop_assert!(SystemSwitch::MessageId.store(target, on).is_ok());
                }
                card.room = room;
                ship(target, ring, user_data.as_bytes(), &mut card);
            }
            card.room = 1000;
            while ship(target, ring, user_data.as_bytes(), &mut card) != Shipped::Everything {
                card.room = 1000;
            }
            let bodies = bodies(&card.sent)?;
            prop_assert_eq!(bodies.len() as u64, logged);
            for (number, body) in bodies.iter().enumerate() {
                let start = format!("record {number} ");
                prop_assert!(body.starts_with(&start));
            }
            Ok(())
        })?;
    }
}
