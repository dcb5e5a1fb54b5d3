//! A ring, a card that keeps what it is given, and a receiver's answers, in simulated time.

use super::*;
use crate::format::{RingLog, Threshold};
use crate::nic::fake::Card;
use crate::ring::{Audience, KeyId, Level, Ring, RingHeader, Timebase};
use crate::seal::{KeyStore, Numbers, Protection, Sealing};
use crate::settings::Format;
use crate::wire::{Endpoint, Envelope, MacAddr, udp};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::atomic::AtomicU64;

const MS: u64 = 1_000;
const SECOND: u64 = 1_000 * MS;

/// The log, and the conversation about it.
struct Bench<'r> {
    ring: &'r Ring<'r>,
    ncrx: Ncrx,
    now: u64,
    limit: u8,
}

impl Bench<'_> {
    /// With `records` in the ring, all sent at the start.
    fn with(records: u64, test: impl FnOnce(Bench<'_>)) {
        let header = RingHeader::new();
        let index: Vec<AtomicU64> = (0..4096).map(|_| AtomicU64::new(0)).collect();
        let data: Vec<AtomicU64> = (0..1 << 16).map(|_| AtomicU64::new(0)).collect();
        let ring = Ring::new(&header, &index, &data);
        let mut bench = Bench { ring: &ring, ncrx: Ncrx::new(), now: 0, limit: 7 };
        for number in 0..records {
            bench.log(Level::Info, &format!("record {number}"));
        }
        test(bench);
    }

    fn log(&mut self, level: Level, text: &str) {
        self.ring.append_str(level, "tests", 0, text);
        let sequence = self.ring.end() - 1;
        if level.passes(self.limit) {
            self.ncrx.sent(sequence, self.now);
        } else {
            self.ncrx.held_back(sequence, self.now);
        }
    }

    fn hear(&mut self, answer: &str) -> bool {
        self.ncrx.hear(answer.as_bytes(), 0..self.ring.end(), self.now)
    }

    /// What goes out now, until nothing more is due at once.
    fn ship(&mut self) -> Vec<String> {
        let mut card = Card::default();
        while self.turn(&mut card) {}
        let text = |frame: &Vec<u8>| {
            let datagram = udp::parse(frame).expect("a datagram");
            String::from_utf8(datagram.payload.to_vec()).expect("text")
        };
        card.sent.iter().map(text).collect()
    }

    /// What goes out in one turn; true where more is due at once.
    fn turn(&mut self, card: &mut Card) -> bool {
        self.try_turn(card).expect("the card works")
    }

    fn try_turn(&mut self, card: &mut Card) -> Result<bool, TransmitError> {
        let (source, destination) = endpoints();
        let timebase = Timebase::new(0);
        let sender = Sender {
            log: &RingLog::new(self.ring, &timebase),
            style: Style::new(Format::Extended { release: false }, true),
            threshold: Threshold::level(self.limit),
            envelope: &Envelope::new(source, destination, None).expect("both are IPv4"),
            sealing: Sealing { protection: &Protection::Clear, numbers: Numbers::Counted(&KeyStore::new()) },
        };
        self.ncrx.ship(&sender, card, self.now)
    }

    /// What goes out until `end`, looked at every 10 ms, and when.
    fn ship_until(&mut self, end: u64) -> Vec<(u64, String)> {
        let mut sent = Vec::new();
        while self.now < end {
            self.now += 10 * MS;
            let now = self.now;
            sent.extend(self.ship().into_iter().map(|datagram| (now, datagram)));
        }
        sent
    }
}

fn endpoints() -> (Endpoint, Endpoint) {
    let at = |last, port| Endpoint {
        mac: MacAddr([2, 0, 0, 0, 0, last]),
        ip: Ipv4Addr::new(10, 0, 0, last).into(),
        port,
    };
    (at(1, 6665), at(2, 6666))
}

fn sequence(datagram: &str) -> u64 {
    datagram.split(',').nth(1).and_then(|number| number.parse().ok()).expect("the extended format")
}

#[test]
fn what_is_asked_for_is_sent_unchanged() {
    Bench::with(6, |mut bench| {
        bench.now = SECOND;
        assert!(bench.hear("ncrx1 2 4 5"));
        assert_eq!(bench.ship(), ["6,2,0,-;record 2\n", "6,4,0,-;record 4\n", "6,5,0,-;record 5\n"]);
        assert_eq!(bench.ship(), [""; 0], "once");
        assert!(bench.hear("ncrx18446744073709551615 0\n"));
        assert_eq!(bench.ship(), ["6,0,0,-;record 0\n"]);
        let counters = bench.ncrx.counters();
        assert_eq!((counters.requested, counters.refused, counters.resent), (4, 0, 4));
    });
}

#[test]
fn a_long_record_is_sent_in_all_its_fragments() {
    Bench::with(0, |mut bench| {
        bench.log(Level::Info, &"x".repeat(2500));
        bench.now = SECOND;
        assert!(bench.hear("ncrx18446744073709551615 0"));
        let fragments = bench.ship();
        let places: Vec<&str> =
            fragments.iter().map(|datagram| datagram.split(';').next().expect("one")).collect();
        assert_eq!(places, ["6,0,0,-,ncfrag=0/2501", "6,0,0,-,ncfrag=978/2501", "6,0,0,-,ncfrag=1954/2501"]);
        let body: String =
            fragments.iter().map(|datagram| datagram.split_once(';').expect("one").1).collect();
        assert_eq!(body, "x".repeat(2500) + "\n");
    });
}

#[test]
fn what_the_level_hides_or_was_not_sent_does_not_go_out() {
    Bench::with(2, |mut bench| {
        bench.log(Level::Debug, "hidden");
        bench.log(Level::Info, "shown");
        assert!(bench.hear("ncrx0 2 3 4 5"));
        assert_eq!(bench.ship(), ["6,3,0,-,held=1;shown\n"]);
        assert_eq!(bench.ncrx.counters().refused, 2);
        // A hidden one at the end does not count as unacknowledged either.
        bench.log(Level::Debug, "hidden");
        assert!(bench.hear("ncrx3"));
        assert!(!bench.ncrx.is_unacknowledged());
        let announced = "6,3,0,-,held=1,behind=1;shown\n".to_string();
        let sent = bench.ship_until(30 * SECOND);
        assert_eq!(sent, [1, 2, 4].map(|seconds| (seconds * SECOND, announced.clone())));
    });
}

/// Whoever asks again is told again, whatever the reason, and whatever has become of the level meanwhile.
#[test]
fn what_was_held_back_is_told_again() {
    Bench::with(1, |mut bench| {
        for text in ["one", "two", "three"] {
            bench.log(Level::Debug, "hidden");
            bench.log(Level::Info, text);
        }
        // What nobody has noted, the ring says.
        bench.now = SECOND;
        let sent = ["6,2,0,-,held=1;one\n", "6,4,0,-,held=1;two\n"];
        assert!(bench.hear("ncrx0 1 2 3 4"));
        assert_eq!(bench.ship(), sent);
        for (sequence, held) in [(0, 0), (2, 1), (4, 1), (6, 1)] {
            bench.ncrx.told(sequence, held);
        }
        bench.limit = 8;
        assert!(bench.hear("ncrx0 2 4"));
        assert_eq!(bench.ship(), sent);
        let newest = bench.ship_until(30 * SECOND);
        assert!(newest.iter().any(|(_, datagram)| datagram == "6,6,0,-,held=1;three\n"));
        assert!(newest.iter().any(|(_, datagram)| datagram == "6,6,0,-,held=1,ncemg=1;three\n"));
    });
}

/// In all its fragments, even where the level changes amid them.
#[test]
fn all_fragments_say_the_same() {
    Bench::with(1, |mut bench| {
        bench.log(Level::Debug, "hidden");
        bench.log(Level::Info, &"x".repeat(2500));
        bench.now = SECOND;
        assert!(bench.hear("ncrx0 2"));
        let mut headers = Vec::new();
        for limit in [7, 8, 8] {
            bench.limit = limit;
            let mut card = Card { room: 1, ..Card::default() };
            _ = bench.try_turn(&mut card);
            let datagram = udp::parse(&card.sent[0]).expect("a datagram").payload;
            headers.push(String::from_utf8_lossy(datagram).split(';').next().expect("one").to_string());
        }
        let places = ["0/2501", "971/2501", "1940/2501"];
        assert_eq!(headers, places.map(|place| format!("6,2,0,-,held=1,ncfrag={place}")));
    });
}

#[test]
fn a_receiver_that_never_answers_gets_nothing_again() {
    Bench::with(5, |mut bench| assert_eq!(bench.ship_until(60 * SECOND), []));
}

#[test]
fn the_newest_is_announced_three_times() {
    Bench::with(3, |mut bench| {
        assert!(bench.hear("ncrx2"));
        let sent = bench.ship_until(30 * SECOND);
        let newest = "6,2,0,-;record 2\n".to_string();
        assert_eq!(sent, [1, 2, 4].map(|seconds| (seconds * SECOND, newest.clone())));
        // Something new begins it again.
        bench.log(Level::Info, "late");
        let sent = bench.ship_until(31 * SECOND);
        assert_eq!(sent, [(31 * SECOND, "6,3,0,-;late\n".to_string())]);
    });
}

/// What is held back after the newest record is told with each announcement of it, and in nothing else.
#[test]
fn announcements_tell_what_was_held_back_behind_the_newest() {
    Bench::with(2, |mut bench| {
        assert!(bench.hear("ncrx0 1"));
        bench.log(Level::Debug, "hidden");
        assert_eq!(bench.ship(), ["6,1,0,-;record 1\n"], "it was asked for");
        let told = |behind: u64| format!("6,1,0,-,behind={behind};record 1\n");
        assert_eq!(bench.ship_until(SECOND), [(SECOND, told(1))]);
        bench.log(Level::Debug, "hidden");
        bench.log(Level::Debug, "hidden");
        // The sender went back to these after the card had failed: they are told already. Of the last one it is not
        // known what is before it.
        for sequence in [1, 2, 4, 7] {
            bench.ncrx.held_back(sequence, bench.now);
        }
        assert_eq!(bench.ship_until(9 * SECOND), [2, 4].map(|seconds| (seconds * SECOND, told(3))));

        // When they are over, they begin again. Record 1 is not acknowledged: that is another matter.
        bench.log(Level::Debug, "hidden");
        let sent = bench.ship_until(14 * SECOND);
        let (emergencies, announcements): (Vec<_>, Vec<_>) =
            sent.into_iter().partition(|(_, datagram)| datagram == "6,1,0,-,ncemg=1;record 1\n");
        assert!(!emergencies.is_empty());
        let late = "6,1,0,-,behind=4,ncemg=1;record 1\n".to_string();
        assert_eq!(announcements, [10, 11, 13].map(|seconds| (seconds * SECOND, late.clone())));

        // The next record tells all of them itself. They may be acknowledged.
        bench.log(Level::Info, "shown");
        assert!(bench.hear("ncrx6"));
        bench.log(Level::Debug, "hidden");
        assert!(bench.hear("ncrx7") && !bench.ncrx.is_unacknowledged());
        let last = "6,6,0,-,held=4,behind=1,ncemg=1;shown\n".to_string();
        assert_eq!(bench.ship_until(15 * SECOND), [(15 * SECOND, last)]);
    });
}

/// An announcement in fragments tells one number; what is held back amid the last one is told by another.
#[test]
fn what_is_held_back_amid_the_last_announcement_is_told_too() {
    Bench::with(0, |mut bench| {
        bench.log(Level::Info, &"x".repeat(1500));
        bench.log(Level::Debug, "hidden");
        assert!(bench.hear("ncrx0"));
        let header = |datagram: &str| datagram.split(';').next().expect("one").to_string();
        assert_eq!(bench.ship_until(3 * SECOND).len(), 4);
        bench.now = 4 * SECOND;
        let mut card = Card { room: 1, ..Card::default() };
        _ = bench.try_turn(&mut card);
        assert_eq!(card.sent.len(), 1);
        bench.log(Level::Debug, "hidden");
        let rest = bench.ship();
        assert!(header(&rest[0]).starts_with("6,0,0,-,behind=1,ncemg=1,ncfrag=9"), "{rest:?}");
        let next = bench.ship_until(6 * SECOND);
        assert_eq!(next.len(), 2);
        assert!(next.iter().all(|(at, datagram)| {
            *at == 6 * SECOND && header(datagram).starts_with("6,0,0,-,behind=2,ncemg=1,ncfrag=")
        }));
    });
}

/// A receiver that was started when the log had long gone: it hears of the newest record at once, marked as one
/// that was sent before.
#[test]
fn a_greeting_is_answered_with_the_newest() {
    Bench::with(3, |mut bench| {
        assert!(bench.hear("ncrx2"));
        bench.ship_until(30 * SECOND);
        assert!(bench.hear("ncrx18446744073709551615"));
        let newest = "6,2,0,-,ncemg=1;record 2\n".to_string();
        assert_eq!(bench.ship(), [newest.as_str()]);
        let sent = bench.ship_until(60 * SECOND);
        assert_eq!(sent, [31, 33].map(|seconds| (seconds * SECOND, newest.clone())));
        // One that misses record 0 is none: it has heard something.
        assert!(bench.hear("ncrx18446744073709551615 7"));
        assert_eq!(bench.ship_until(90 * SECOND), []);
        // What is new is announced as such.
        bench.log(Level::Info, "new");
        assert_eq!(bench.ship_until(91 * SECOND), [(91 * SECOND, "6,3,0,-;new\n".to_string())]);
    });
}

#[test]
fn the_emergency_transmission_keeps_its_times() {
    Bench::with(3, |mut bench| {
        // Without an acknowledgement before, there is none.
        assert!(bench.hear("ncrx18446744073709551615"));
        bench.ship_until(30 * SECOND);
        assert!(bench.hear("ncrx0"));
        let begin = bench.now;
        let sent = bench.ship_until(begin + 20 * SECOND);
        let sent: Vec<_> = sent.into_iter().filter(|(_, datagram)| datagram.contains("ncemg")).collect();
        assert_eq!(sent[0], (begin + 10 * SECOND, "6,1,0,-,ncemg=1;record 1\n".to_string()));
        let order: Vec<u64> = sent.iter().map(|(_, datagram)| sequence(datagram)).collect();
        assert!(order.iter().zip([1, 2].into_iter().cycle()).all(|(&sent, due)| sent == due), "{order:?}");
        // Two records a session: the pause before and within each one is its interval.
        let between: Vec<u64> = sent.windows(2).map(|pair| (pair[1].0 - pair[0].0) / MS).collect();
        assert_eq!(between[..10], [100, 200, 200, 400, 400, 800, 800, 1000, 1000, 1000]);

        assert!(bench.hear("ncrx1"));
        let ended = bench.now;
        let sent = bench.ship_until(ended + 11 * SECOND);
        // The receiver is back: it is told of the newest, to see what it missed.
        assert_eq!(sent[0], (ended + SECOND, "6,2,0,-,ncemg=1;record 2\n".to_string()));
        let times: Vec<u64> = sent.iter().map(|(at, _)| (at - ended) / MS).collect();
        assert_eq!(times[..4], [1000, 2000, 4000, 10_000], "three announcements, and record 2 still waits");
        assert!(bench.hear("ncrx2"));
        assert_eq!(bench.ship_until(bench.now + 60 * SECOND).len(), 3, "announcements and nothing else");
    });
}

#[test]
fn after_a_crash_what_the_receiver_may_not_have_is_sent_in_emergency() {
    Bench::with(4, |mut bench| {
        bench.ncrx.resume(2, 0);
        let sent = bench.ship_until(10 * SECOND);
        assert_eq!(sent.last(), Some(&(10 * SECOND, "6,2,0,-,ncemg=1;record 2\n".to_string())));
    });
}

#[test]
fn the_rate_is_bounded_whatever_is_asked_for() {
    Bench::with(1000, |mut bench| {
        let wanted: String = (0..240).map(|number| format!(" {number}")).collect();
        let mut sent = 0;
        for _ in 0..1000 {
            bench.now += MS;
            assert!(bench.hear(&format!("ncrx0{wanted}")));
            sent += bench.ship().len() as u64;
        }
        let bound = Ncrx::RATE + SAVED_TIME / DATAGRAM_TIME;
        assert!((Ncrx::RATE * 9 / 10..=bound).contains(&sent), "{sent}");
    });
}

#[test]
fn a_turn_is_sixteen_datagrams() {
    Bench::with(40, |mut bench| {
        bench.now = SECOND;
        let numbers: Vec<String> = (0..33).map(|number| number.to_string()).collect();
        assert!(bench.hear(&format!("ncrx1 {}", numbers.join(" "))));
        let mut card = Card::default();
        for (sent, more) in [(16, true), (32, true), (33, false)] {
            assert_eq!((bench.turn(&mut card), card.sent.len()), (more, sent));
        }
    });
}

#[test]
fn what_was_overwritten_is_passed_over() {
    Bench::with(20_000, |mut bench| {
        let first = bench.ring.first();
        assert!(first > 1000);
        assert!(bench.hear(&format!("ncrx0 1 2 3 {first}")));
        assert_eq!(bench.ship().len(), 0, "{first} is too far from 1 to be remembered with it");
        assert_eq!(bench.ncrx.counters().refused, 1);
        assert!(bench.hear(&format!("ncrx0 {first}")));
        assert_eq!(bench.ship(), [format!("6,{first},0,-;record {first}\n")]);
        // In an emergency, too: it begins with the oldest that there is.
        let sent = bench.ship_until(10 * SECOND + 10 * MS);
        assert!(
            sent.iter().any(|(_, datagram)| *datagram == format!("6,{first},0,-,ncemg=1;record {first}\n"))
        );
    });
}

/// Numbers as a hostile sender would choose them.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..50, 0u64..5000, any::<u64>(), Just(u64::MAX), Just(u64::MAX - 1)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Nothing panics, no record goes out that was not sent, and none that nobody asked for.
    #[test]
    fn hostile_answers_are_harmless(
        answers in proptest::collection::vec(prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..1100),
            "ncrx[0-9 ]{0,200}".prop_map(String::into_bytes),
            (number(), proptest::collection::vec(number(), 0..40)).prop_map(|(acknowledged, missing)| {
                let missing: String = missing.iter().map(|number| format!(" {number}")).collect();
                format!("ncrx{acknowledged}{missing}").into_bytes()
            }),
        ], 0..20),
        times in proptest::collection::vec(0u64..20 * SECOND, 20),
    ) {
        Bench::with(40, |mut bench| {
            for (answer, time) in answers.iter().zip(times) {
                bench.ncrx.hear(answer, 0..bench.ring.end(), bench.now);
                bench.now += time;
                for datagram in bench.ship() {
                    assert!(sequence(&datagram) < 40);
                }
            }
        });
    }

    /// A model of a receiver, at the end of a way that loses up to half of the datagrams in both directions.
    #[test]
    fn everything_arrives(records in 1u64..400, loss in 0u8..50, seed in 1u64..) {
        let mut random = seed;
        let mut is_lost = move || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % 100 < u64::from(loss)
        };
        Bench::with(records, |mut bench| {
            let mut had: BTreeSet<u64> = (0..records).filter(|_| !is_lost()).collect();
            // It knows nothing of a sender that it has never heard.
            had.insert(0);
            while had.len() < records as usize && bench.now < 120 * SECOND {
                let newest = had.last().copied().unwrap_or(0);
                let missing: Vec<u64> = (0..newest).filter(|number| !had.contains(number)).take(150).collect();
                let complete = missing.first().map_or(newest, |first| first.wrapping_sub(1));
                let missing: String = missing.iter().map(|number| format!(" {number}")).collect();
                let is_due = !missing.is_empty() || bench.now.is_multiple_of(SECOND);
                if is_due && !is_lost() {
                    bench.hear(&format!("ncrx{complete}{missing}"));
                }
                for (_, datagram) in bench.ship_until(bench.now + 50 * MS) {
                    if !is_lost() {
                        had.insert(sequence(&datagram));
                    }
                }
            }
            assert_eq!(had.len() as u64, records, "after {} s", bench.now / SECOND);
        });
    }
}

/// Asked for, in emergency or announced: what a boot with a key logged does not go out in one without.
#[test]
fn what_is_withheld_is_not_sent_again() {
    Bench::with(0, |mut bench| {
        bench.ring.recover(0, Audience::Holders(KeyId::new(7)));
        (0..3).for_each(|number| bench.log(Level::Info, &format!("secret {number}")));
        bench.ring.recover(0, Audience::Everybody);
        bench.log(Level::Info, "not secret");
        bench.now = SECOND;
        assert!(bench.hear("ncrx18446744073709551615 0 1 2 3"));
        assert_eq!(bench.ship(), ["6,3,0,-,held=3;not secret\n"]);
        assert!(bench.hear("ncrx0"), "a receiver that acknowledges nothing more");
        let again = bench.ship_until(bench.now + 60 * SECOND);
        assert!(again.len() > 20, "announcements and emergencies");
        assert!(again.iter().all(|(_, datagram)| datagram.ends_with(";not secret\n")), "{again:?}");
    });
}

#[test]
fn answers_are_read_strictly() {
    for nonsense in ["", "ncr0", "ncrx", "ncrx ", "ncrxx", "ncrx-1", "ncrx+1", "ncrx0x1", "NCRX1", " ncrx1"] {
        assert_eq!(Answer::parse(nonsense.as_bytes()), None, "{nonsense:?}");
    }
    let longest = format!("ncrx12{}", " 2".repeat(497));
    assert_eq!(Answer::parse(longest.as_bytes()).map(|answer| answer.missing().count()), Some(497));
    assert_eq!(Answer::parse(format!("{longest}\n").as_bytes()), None, "1001 bytes");
    assert_eq!(Answer::parse(b"ncrx18446744073709551616"), None);
    let missing =
        |text: &str| Answer::parse(text.as_bytes()).map(|answer| answer.missing().collect::<Vec<_>>());
    assert_eq!(missing("ncrx416 419 420 433"), Some(vec![419, 420, 433]));
    assert_eq!(missing("ncrx416 419\n\0"), Some(vec![419]));
    assert_eq!(missing("ncrx416 419 x 420"), Some(vec![419]));
}
