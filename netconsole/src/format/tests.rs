//! Datagrams against Linux's own, and against what a receiver makes of them.

use super::datagram::{Piece, write as write_datagram};
use super::*;
use crate::host_name::HostName;
use crate::ring::{Audience, Level, Past, PastRecord, Read, Record, Ring, RingHeader, Timebase};
use crate::settings::Format;
use crate::wire::checksum::Sum;
use proptest::prelude::*;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::AtomicU64;

/// Hands the record that a ring keeps of `text` to `check`.
fn with_record<T>(level: Level, text: &str, check: impl FnOnce(&Record<'_>) -> T) -> T {
    with_ring(|ring| {
        ring.append(level, "netconsole::tests", 0, format_args!("{text}"));
        check(&record(ring, 0))
    })
}

fn with_ring<T>(check: impl FnOnce(&Ring<'_>) -> T) -> T {
    let header = RingHeader::new();
    let index: [AtomicU64; 512] = [const { AtomicU64::new(0) }; _];
    let data: Vec<AtomicU64> = (0..8192).map(|_| AtomicU64::new(0)).collect();
    check(&Ring::new(&header, &index, &data))
}

fn record<'r>(ring: &'r Ring<'_>, sequence: u64) -> Record<'r> {
    match ring.read(sequence) {
        Read::Record(record) | Read::Unfinished(record) => record,
        other => panic!("no record {sequence}: {other:?}"),
    }
}

/// All datagrams of a record.
fn datagrams(style: &Style<'_>, record: &Record<'_>, micros: u64) -> Vec<Vec<u8>> {
    let mut datagrams = Vec::new();
    let mut offset = 0;
    loop {
        let mut buffer = [0xee; MAX_DATAGRAM + 20];
        let piece = write_datagram(style, record, micros, offset, &mut buffer);
        assert!(piece.len > 0 && piece.len <= MAX_DATAGRAM, "{piece:?}");
        assert!(buffer[MAX_DATAGRAM..].iter().all(|&byte| byte == 0xee));
        datagrams.push(buffer[..piece.len].to_vec());
        match piece.next {
            Some(next) => offset = next,
            None => return datagrams,
        }
    }
}

fn only(datagrams: Vec<Vec<u8>>) -> String {
    assert_eq!(datagrams.len(), 1);
    String::from_utf8(datagrams[0].clone()).expect("UTF-8")
}

const BASIC: Style<'_> = Style::new(Format::Basic, true);
const EXTENDED: Style<'_> = Style::new(Format::Extended { release: false }, true);
const SYSLOG: Style<'_> = Style::new(Format::Syslog, true);

/// All datagrams that are plain lines of a ring's records from 0 on, by their numbers.
fn lines(lines: &mut Lines<'_, '_>, records: u64) -> Vec<Option<Vec<u8>>> {
    let line = |sequence| {
        let mut buffer = [0xee; MAX_DATAGRAM + 20];
        let (len, sum) = lines.write(sequence, &mut buffer)?;
        assert_eq!(sum.checksum(), Sum::ZERO.add_bytes(&buffer[..len]).checksum());
        Some(buffer[..len].to_vec())
    };
    (0..records).map(line).collect()
}

/// The first record as a plain line.
fn line<'r>(ring: &Ring<'r>, recent: Option<&mut RecentLines<'r>>) -> Option<Vec<u8>> {
    let timebase = Timebase::new(0);
    let of = Lines::new(&BASIC, &RingLog::new(ring, &timebase), 8, recent);
    lines(&mut of.expect("the basic format"), 1).remove(0)
}

/// Another kernel's records: text, time in µs, whether it goes out, and who logged it.
struct Other {
    records: Vec<(String, u64, bool, Option<u32>)>,
    boots_ago: u8,
}

impl Past for Other {
    fn first(&self) -> u64 {
        0
    }

    fn find(&self, sequence: u64) -> Option<PastRecord> {
        let (text, micros, goes, caller) = self.records.get(sequence as usize)?;
        let (micros, goes, caller, len) = (*micros, *goes, *caller, text.len());
        Some(PastRecord {
            sequence,
            micros,
            level: 6,
            facility: 0,
            continues: false,
            goes,
            caller,
            len,
            text: 0,
        })
    }

    fn copy_text(&self, record: &PastRecord, offset: usize, to: &mut [u8]) {
        to.copy_from_slice(&self.records[record.sequence as usize].0.as_bytes()[offset..][..to.len()]);
    }

    fn fields(&self, _: &PastRecord, _: &mut dyn FnMut(&[u8], &[u8])) {}

    fn release(&self) -> &str {
        "6.1"
    }

    fn boots_ago(&self) -> u8 {
        self.boots_ago
    }
}

proptest! {
    /// A plain line is the same however it is made: as any record's datagrams are, in one pass, and for a further
    /// target. What is written in one pass is at least what people write.
    #[test]
    fn a_line_is_the_same_on_every_way(
        texts in prop::collection::vec((prop_oneof![8 => "[ -~]{0,80}", 1 => "[a-z\n]{0,20}", 1 => "\\PC{0,40}", 1 => "[a-z]{900,1200}"], 0..8u8), 1..80),
        start: u64,
        step in 0..100_000_000_000u64,
        limit in 0..9u8,
        (time, emergency, calendar, has_name) in any::<(bool, bool, bool, bool)>(),
        (held, behind, epoch, items) in any::<(u64, u64, Option<u64>, bool)>(),
    ) {
        with_ring(|ring| {
            let start = start >> 2;
            let mut timebase = Timebase::new(start);
            timebase.calibrate(start, 1_000_000_000);
            for (number, (text, level)) in texts.iter().enumerate() {
                let ticks = start.saturating_add(step.saturating_mul(number as u64));
                ring.append_str(Level::from_low_bits(*level), "netconsole::tests", ticks, text);
            }
            let records = texts.len() as u64;
            let host_name = HostName::new(b"board7").expect("a host name");
            // Every field, by its name: a new one must be set here, and show whether the fast way knows it.
            let style = Style {
                format: Format::Basic,
                time,
                release: "1.2.3",
                user_data: if items { b" rack=b7\n" } else { b"" },
                system_data: SystemData { cpu: Some(3), task_name: items, release: items, message_id: Some(7) },
                emergency,
                held,
                behind,
                host_name: has_name.then_some(&host_name),
                address: Some(std::net::Ipv4Addr::LOCALHOST.into()),
                epoch,
                calendar,
            };
            if calendar {
                // No record has a short way then.
                prop_assert!(Lines::new(&style, &RingLog::new(ring, &timebase), limit, None).is_none());
                return Ok(());
            }
            let mut recent = RecentLines::new();
            let mut made = |limit| {
                let lines_of = Lines::new(&style, &RingLog::new(ring, &timebase), limit, Some(&mut recent));
                lines(&mut lines_of.expect("the basic format"), records)
            };
            let (first, second) = (made(8), made(limit));
            let alone = Lines::new(&style, &RingLog::new(ring, &timebase), limit, None);
            let alone = lines(&mut alone.expect("the basic format"), records);
            for (number, (text, level)) in texts.iter().enumerate() {
                let record = record(ring, number as u64);
                let expected = datagrams(&style, &record, ring.micros(&record, &timebase));
                let is_easy = !text.is_empty() && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
                prop_assert!(first[number].is_some() || !is_easy || text.len() > 900, "{text:?}");
                for line in [&first, &second, &alone].into_iter().filter_map(|lines| lines[number].as_ref()) {
                    prop_assert_eq!(std::slice::from_ref(line), expected.as_slice());
                }
                let is_wanted = *level < limit;
                prop_assert_eq!(second[number].is_some(), first[number].is_some() && is_wanted);
                prop_assert_eq!(alone[number].is_some(), second[number].is_some());
            }
            Ok(())
        })?;
    }

    /// Another kernel's records are lines as well, where they have nothing that a line has not.
    #[test]
    fn a_line_of_another_kernel_is_the_same_on_both_ways(
        records in prop::collection::vec(
            (prop_oneof!["[ -~]{0,80}", "[a-z\n\t]{0,20}", "\\PC{0,40}", "[a-z]{900,1200}"], 0..200_000_000_000u64, any::<bool>(), prop::option::of(1..9u32)),
            1..20,
        ),
        boots_ago in 0..2u8,
        time: bool,
    ) {
        let other = Other { records, boots_ago };
        let header = RingHeader::new();
        let index: [AtomicU64; 64] = [const { AtomicU64::new(0) }; _];
        let data: [AtomicU64; 128] = [const { AtomicU64::new(0) }; _];
        let count = other.records.len() as u64;
        let ring = Ring::new(&header, &index, &data).following(&other, count, 0);
        ring.begin_following(0, Audience::Everybody);
        let (timebase, style) = (Timebase::new(0), Style::new(Format::Basic, time));
        let mut made = Lines::new(&style, &RingLog::new(&ring, &timebase), 8, None).expect("the basic format");
        for (line, (number, (text, micros, goes, caller))) in lines(&mut made, count).into_iter().zip((0..).zip(&other.records)) {
            let is_plain = *goes && caller.is_none() && boots_ago == 0 && !text.contains('\n') && text.len() < 985;
            prop_assert_eq!(line.is_some(), is_plain && (!time || *micros < 100_000_000_000), "{:?}", text);
            if let Some(line) = line {
                let record = record(&ring, number);
                prop_assert_eq!(vec![line], datagrams(&style, &record, ring.micros(&record, &timebase)));
            }
        }
    }

    /// Each copy is proven, a further target's too.
    #[test]
    fn a_damaged_record_is_no_line(word in 0..8usize, bit in 0..64u32) {
        let header = RingHeader::new();
        let index: [AtomicU64; 4] = [const { AtomicU64::new(0) }; _];
        let data: [AtomicU64; 128] = [const { AtomicU64::new(0) }; _];
        let ring = Ring::new(&header, &index, &data);
        ring.append_str(Level::Info, "module", 0, "a text of four words, no more");
        let mut recent = RecentLines::new();
        prop_assert!(line(&ring, Some(&mut recent)).is_some());
        // Words: header, ticks, checksum, module, text.
        data[word].fetch_xor(1 << bit, std::sync::atomic::Ordering::Relaxed);
        prop_assert!(line(&ring, None).is_none());
        // What was proven before of the words in front of the text need not be again.
        prop_assert_eq!(line(&ring, Some(&mut recent)).is_none(), word >= 4 || word == 2);
    }
}

/// No such target is told of a record that was overwritten.
#[test]
fn a_line_that_is_gone_is_gone_for_all_targets() {
    let header = RingHeader::new();
    let index: [AtomicU64; 64] = [const { AtomicU64::new(0) }; _];
    let data: [AtomicU64; 128] = [const { AtomicU64::new(0) }; _];
    let ring = Ring::new(&header, &index, &data);
    let mut recent = RecentLines::new();
    ring.append_str(Level::Info, "module", 0, "overwritten soon");
    assert!(line(&ring, Some(&mut recent)).is_some());
    for number in 0..30 {
        ring.append_str(Level::Info, "module", 0, &format!("number {number}"));
    }
    assert_eq!(line(&ring, Some(&mut recent)), None);
}

/// What receivers do with `\x` and two digits.
fn unescape(text: &str) -> String {
    let (start, rest) = text.split_once("\\x").unwrap_or((text, ""));
    let mut bytes = start.as_bytes().to_vec();
    for part in rest.split("\\x").filter(|part| !part.is_empty()) {
        bytes.push(u8::from_str_radix(&part[..2], 16).expect("two digits"));
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).expect("the text was UTF-8")
}

#[test]
fn of_a_release_64_bytes_are_sent() {
    let sent = |length: usize| {
        let release = "9".repeat(length);
        let style = Style { release: &release, ..Style::new(Format::Extended { release: true }, true) };
        with_record(Level::Info, "text", |record| only(datagrams(&style, record, 1)))
    };
    assert_eq!(sent(64), format!("{},6,0,1,-;text\n", "9".repeat(64)));
    assert_eq!(sent(65), sent(64));
}

/// The UDP payloads of a capture: a header of 24 bytes, then records with a header of 16 each.
fn payloads(capture: &[u8]) -> Vec<String> {
    let mut rest = &capture[24..];
    let mut payloads = Vec::new();
    while let Some((header, frames)) = rest.split_first_chunk::<16>() {
        let len = u32::from_le_bytes([header[8], header[9], header[10], header[11]]) as usize;
        let (frame, next) = frames.split_at(len);
        let received = crate::wire::udp::parse(frame).expect("nothing but UDP is in it");
        payloads.push(String::from_utf8(received.payload.to_vec()).expect("UTF-8"));
        rest = next;
    }
    payloads
}

#[test]
fn basic_messages_are_linuxs() {
    let messages = payloads(include_bytes!("../../../tests/captures/linux-6.12-basic.pcap"));
    assert_eq!(messages.len(), 384);
    for message in messages {
        let (time, text) = message[1..].split_once("] ").expect("a time");
        let (seconds, micros) = time.trim_start().split_once('.').expect("seconds and microseconds");
        let time =
            seconds.parse::<u64>().expect("seconds") * 1_000_000 + micros.parse::<u64>().expect("micros");
        with_record(Level::Info, text, |record| {
            assert_eq!(only(datagrams(&BASIC, record, time)), message);
        });
    }
}

#[test]
fn extended_messages_are_linuxs() {
    let messages = payloads(include_bytes!("../../../tests/captures/linux-6.12-extended.pcap"));
    assert_eq!(messages.len(), 393);
    with_ring(|ring| {
        for message in messages {
            let (header, body) = message.split_once(';').expect("a header");
            let (text, lines) = body.split_once('\n').expect("a line");
            let fields: Vec<&str> = header.split(',').collect();
            let [release, level, sequence, time, "-"] = fields[..] else { panic!("fields: {fields:?}") };
            // User space's facility, which there is none of here, is left out.
            let level = Level::from_low_bits(level.parse().expect("a level"));
            let message = format!("{release},{},{sequence},{time},-;{body}", level as u8);
            // The ring counts what it takes, as Linux did.
            ring.append(level, "linux", 0, format_args!("{}", unescape(text)));
            let record = record(ring, sequence.parse().expect("a sequence number"));
            let style = Style {
                release,
                user_data: lines.as_bytes(),
                ..Style::new(Format::Extended { release: true }, true)
            };
            assert_eq!(only(datagrams(&style, &record, time.parse().expect("a time"))), message);
        }
    });
}

#[test]
fn every_line_of_a_basic_record_has_the_prefix() {
    with_record(Level::Info, "one\n\nthree", |record| {
        let message = only(datagrams(&BASIC, record, 12_345_000_006));
        assert_eq!(message, "[12345.000006] one\n[12345.000006] \n[12345.000006] three\n");
        assert_eq!(only(datagrams(&Style::new(Format::Basic, false), record, 7)), "one\n\nthree\n");
    });
    with_record(Level::Info, "", |record| {
        assert_eq!(only(datagrams(&BASIC, record, 0)), "[    0.000000] \n")
    });
}

/// Runs `check` on the record of a writer that is still at work, which has `text` so far.
fn with_cut_record(text: &str, check: impl Fn(&Record<'_>)) {
    struct Watch<'r, F>(&'r Ring<'r>, &'r str, F);
    impl<F: Fn(&Record<'_>)> fmt::Display for Watch<'_, F> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.1)?;
            (self.2)(&record(self.0, 0));
            Ok(())
        }
    }
    with_ring(|ring| {
        ring.append(Level::Emergency, "netconsole", 0, format_args!("{}", Watch(ring, text, &check)));
    });
}

#[test]
fn a_cut_record_is_marked() {
    with_cut_record("half a mess", |record| {
        assert_eq!(only(datagrams(&BASIC, record, 1)), "[    0.000001] half a mess [cut]\n");
        assert_eq!(only(datagrams(&EXTENDED, record, 1)), "0,0,1,-;half a mess\n cut=1\n");
        let syslog = "<0>1 - - kernel - netconsole [netconsole@32473 seq=\"0\" cut=\"1\"] half a mess";
        assert_eq!(only(datagrams(&SYSLOG, record, 1)), syslog);
    });
}

#[test]
fn a_record_of_an_earlier_boot_is_marked() {
    with_ring(|ring| {
        ring.append(Level::Warning, "", 0, format_args!("one\ntwo"));
        assert_eq!(ring.recover(0, Audience::Everybody).records, 1);
        let record = record(ring, 0);
        let basic = "[boot -1] [    0.000001] one\n[boot -1] [    0.000001] two\n";
        assert_eq!(only(datagrams(&BASIC, &record, 1)), basic);
        assert_eq!(only(datagrams(&EXTENDED, &record, 1)), "4,0,1,-;one\\x0atwo\n boot=-1\n");
        let dated = Style { epoch: Some(0), ..SYSLOG };
        let syslog = "<4>1 - - kernel - - [netconsole@32473 seq=\"0\" boot=\"-1\"] one\\x0atwo";
        assert_eq!(only(datagrams(&dated, &record, 1)), syslog);
    });
}

#[test]
fn a_continuation_says_so() {
    with_ring(|ring| {
        ring.append(Level::Info, "m", 0, format_args!("{}", "x".repeat(4609)));
        assert_eq!(only(datagrams(&EXTENDED, &record(ring, 1), 0)), "6,1,0,c;x\n");
    });
}

#[test]
fn extended_lines_come_in_linuxs_order() {
    let system_data = SystemData { cpu: Some(3), task_name: true, release: true, message_id: Some(u32::MAX) };
    let style =
        Style { user_data: b" b=1\n a=2\n", system_data, release: "1.2", emergency: true, ..EXTENDED };
    with_record(Level::Debug, "text", |record| {
        let message = "7,0,5,-,ncemg=1;text\n b=1\n a=2\n cpu=3\n taskname=netconsole::tests\n release=1.2\n msgid=4294967295\n";
        assert_eq!(only(datagrams(&style, record, 5)), message);
    });
}

/// After the flag and before ncrx's own fields, in each fragment; in no basic message.
#[test]
fn what_was_held_back_is_in_the_header() {
    let held = |style| Style { held: 12, ..style };
    with_record(Level::Info, "text", |record| {
        assert_eq!(only(datagrams(&held(EXTENDED), record, 5)), "6,0,5,-,held=12;text\n");
        let emergency = Style { emergency: true, ..held(EXTENDED) };
        assert_eq!(only(datagrams(&emergency, record, 5)), "6,0,5,-,held=12,ncemg=1;text\n");
        let announced = |style| Style { behind: 3, ..style };
        assert_eq!(only(datagrams(&announced(EXTENDED), record, 5)), "6,0,5,-,behind=3;text\n");
        let late = announced(emergency);
        assert_eq!(only(datagrams(&late, record, 5)), "6,0,5,-,held=12,behind=3,ncemg=1;text\n");
        let basic = announced(held(BASIC));
        assert_eq!(only(datagrams(&basic, record, 5)), only(datagrams(&BASIC, record, 5)));
        let data = "[netconsole@32473 seq=\"0\" held=\"12\"] text";
        assert!(only(datagrams(&announced(held(SYSLOG)), record, 5)).ends_with(data));
    });
    with_record(Level::Info, &"x".repeat(1000), |record| {
        let starts = ["6,0,0,-,held=12,ncfrag=0/1001;x", "6,0,0,-,held=12,ncfrag=970/1001;x"];
        let fragments = datagrams(&held(EXTENDED), record, 0);
        assert!(fragments.iter().zip(starts).all(|(fragment, start)| fragment.starts_with(start.as_bytes())));
        assert_eq!(fragments.len(), 2);
        for fragment in datagrams(&held(SYSLOG), record, 0) {
            assert!(String::from_utf8_lossy(&fragment).contains("seq=\"0\" held=\"12\" frag=\""));
        }
    });
}

#[test]
fn an_extended_record_is_fragmented_only_where_it_must_be() {
    // "6,0,0,-;" and the newline are nine bytes.
    with_record(Level::Info, &"x".repeat(991), |record| {
        assert_eq!(only(datagrams(&EXTENDED, record, 0)).len(), MAX_DATAGRAM);
    });
    with_record(Level::Info, &"x".repeat(992), |record| {
        let datagrams = datagrams(&EXTENDED, record, 0);
        assert_eq!(datagrams.len(), 2);
        assert!(datagrams[0].starts_with(b"6,0,0,-,ncfrag=0/993;xxx"));
        assert_eq!(datagrams[0].len(), MAX_DATAGRAM);
        assert_eq!(datagrams[1], b"6,0,0,-,ncfrag=979/993;xxxxxxxxxxxxx\n");
    });
}

#[test]
fn syslog_has_time_host_and_module() {
    let board = HostName::new(b"board-7").expect("a name");
    let time = |epoch| {
        let style = Style { epoch: Some(epoch), host_name: Some(&board), ..SYSLOG };
        with_record(Level::Notice, "tab\there, ü", |record| only(datagrams(&style, record, 123)))
    };
    // `date -u -d 2024-02-29T23:59:59 +%s`
    let expected = "<5>1 2024-02-29T23:59:59.000123Z board-7 kernel - netconsole::tests [netconsole@32473 seq=\"0\"] tab\\x09here, ü";
    assert_eq!(time(1_709_251_199_000_000), expected);
    for (seconds, date) in [
        (0, "1970-01-01T00:00:00"),
        (951_782_400, "2000-02-29T00:00:00"),
        (1_704_067_199, "2023-12-31T23:59:59"),
        (4_107_542_400, "2100-03-01T00:00:00"),
        (253_402_300_799, "9999-12-31T23:59:59"),
    ] {
        assert_eq!(time(seconds * 1_000_000).split(' ').nth(1), Some(format!("{date}.000123Z").as_str()));
    }
    assert!(time(253_402_300_800_000_000).starts_with("<5>1 - board-7 "));
    assert!(time(u64::MAX).starts_with("<5>1 - board-7 "));
}

proptest! {
    /// As the standard library writes it, but for IPv4 addresses within IPv6's, which no sender has.
    #[test]
    fn syslog_without_a_name_has_the_address(
        octets: [u8; 16], zeros: u8, ipv4: bool
    ) {
        let mut groups = Ipv6Addr::from(octets).segments();
        for (place, group) in groups.iter_mut().enumerate().filter(|(place, _)| zeros >> place & 1 != 0) {
            *group = if place == 0 { 0xfe80 } else { 0 };
        }
        let ip = Ipv6Addr::from(groups);
        prop_assume!(ip.to_ipv4().is_none());
        let [a, b, c, d, ..] = octets;
        let address = if ipv4 { IpAddr::from([a, b, c, d]) } else { ip.into() };
        let style = Style { address: Some(address), ..SYSLOG };
        let message = with_record(Level::Notice, "text", |record| only(datagrams(&style, record, 0)));
        prop_assert_eq!(message.split(' ').nth(2).map(String::from), Some(address.to_string()));
    }
}

/// Whether a buffer of any size is filled without a panic and without going on for ever.
#[test]
fn short_buffers_come_to_an_end() {
    with_record(Level::Info, &"ü\n\\".repeat(300), |record| {
        for style in [BASIC, EXTENDED, SYSLOG] {
            for size in 0..200 {
                let mut offset = 0;
                let mut buffer = [0; 200];
                while let Piece { len, next: Some(next) } =
                    write_datagram(&style, record, 0, offset, &mut buffer[..size])
                {
                    assert!(len <= size && next > offset);
                    offset = next;
                }
            }
        }
    });
}

/// Texts of up to a record's length: words, lines, and every other character.
fn texts() -> impl Strategy<Value = String> {
    let text =
        prop_oneof!["[ -~]{0,80}", "[ -~]{900,1100}", "[a-zé\n\\\\🦀]{0,600}", "\\PC{0,500}", "(?s).{0,500}"];
    // The ring drops a newline at the end and goes on in another record after 4608 bytes.
    text.prop_map(|text| text[..text.floor_char_boundary(4608)].trim_end_matches('\n').into())
}

proptest! {
    #[test]
    fn basic_pieces_are_the_text_and_are_cut_between_characters(text in texts(), time: bool, micros in 0..u64::MAX) {
        let style = Style::new(Format::Basic, time);
        let pieces = with_record(Level::Info, &text, |record| datagrams(&style, record, micros));
        let mut whole = String::new();
        for piece in &pieces {
            whole += std::str::from_utf8(piece).expect("no character is cut");
        }
        let prefix = if time { format!("[{:5}.{:06}] ", micros / 1_000_000, micros % 1_000_000) } else { String::new() };
        let expected: String = text.split('\n').map(|line| format!("{prefix}{line}\n")).collect();
        prop_assert_eq!(&whole, &expected);
        prop_assert_eq!(pieces.len() == 1, expected.len() <= MAX_DATAGRAM);
    }

    #[test]
    fn extended_fragments_make_the_message(
        text in texts(),
        release: bool,
        items in prop::collection::vec(("[a-z]{1,53}", "[ -~]{0,200}"), 0..40),
        micros: u64,
    ) {
        let lines: String = items.iter().map(|(key, value)| format!(" {key}={value}\n")).collect();
        let base = Style::new(Format::Extended { release }, true);
        let style = Style { user_data: lines.as_bytes(), release: "6.1", ..base };
        let pieces = with_record(Level::Info, &text, |record| datagrams(&style, record, micros));
        let start = format!("{}6,0,{micros},-", if release { "6.1," } else { "" });
        let mut body = String::new();
        let mut total = None;
        for piece in &pieces {
            let piece = std::str::from_utf8(piece).expect("ASCII");
            let (header, part) = piece.split_once(';').expect("a header");
            if pieces.len() == 1 {
                prop_assert_eq!(header, &start);
            } else {
                let fragment = header.strip_prefix(&format!("{start},ncfrag=")).expect("a fragment");
                let (offset, length) = fragment.split_once('/').expect("two numbers");
                prop_assert_eq!(offset.parse(), Ok(body.len()));
                prop_assert_eq!(total.get_or_insert(length.to_string()).as_str(), length);
            }
            body += part;
        }
        prop_assert!(total.is_none_or(|total| total.parse() == Ok(body.len())));
        prop_assert_eq!(pieces.len() == 1, start.len() + 1 + body.len() <= MAX_DATAGRAM);
        let (message, after) = body.split_once('\n').expect("an end");
        prop_assert!(message.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
        prop_assert_eq!(unescape(message), text);
        prop_assert_eq!(after, lines);
    }

    #[test]
    fn syslog_parts_make_the_text(text in texts()) {
        let pieces = with_record(Level::Info, &text, |record| datagrams(&SYSLOG, record, 0));
        let mut whole = String::new();
        for piece in &pieces {
            let piece = std::str::from_utf8(piece).expect("no character is cut");
            let (header, part) = piece.split_once("] ").expect("structured data");
            let fragment = format!(" frag=\"{}/{}\"", whole.len(), text.len());
            prop_assert_eq!(header.ends_with(&fragment), pieces.len() > 1, "{}", header);
            prop_assert!(!part.bytes().any(|byte| byte < 0x20 || byte == 0x7f));
            whole += &unescape(part);
        }
        prop_assert_eq!(whole, text);
    }
}
