//! Who a machine is: behind one address, at another port or address than before, and what it is called.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use netconsole_receiver::event::{Event, Heard};
use netconsole_receiver::names::{Name, Names};
use netconsole_receiver::senders::Senders;

use crate::{at, text};

fn nobody() -> Senders {
    Senders::new(HashMap::new(), false)
}

fn from(address: &str) -> SocketAddr {
    address.parse().expect("an address")
}

/// A record of a machine that was started at this millisecond.
fn record(machine: &str, started: u64, sequence: u64, now: u64) -> Vec<u8> {
    format!("6,{sequence},{},-;{machine} record {sequence}\n", (now - started) * 1000 + sequence % 7)
        .into_bytes()
}

/// A line of the basic format of such a machine.
fn line(machine: &str, started: u64, now: u64) -> Vec<u8> {
    let time = now - started;
    format!("[{:5}.{:03}123] {machine} at {now}\n", time / 1000, time % 1000).into_bytes()
}

/// What was heard of each name.
fn by_name(heard: &[Heard]) -> BTreeMap<&str, Vec<&str>> {
    let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for heard in heard {
        all.entry(heard.sender.name.as_str()).or_default().extend(text(&heard.event));
    }
    all
}

/// Each name has the records of one machine, and as many as that one sent.
fn is_one_each(heard: &[Heard], machines: usize, records: usize) {
    let all = by_name(heard);
    assert_eq!(all.len(), machines, "{all:?}");
    for (name, texts) in &all {
        assert_eq!(texts.len(), records, "{name}: {texts:?}");
        let machine = texts[0].split(' ').next();
        assert!(texts.iter().all(|text| text.split(' ').next() == machine), "{name}: {texts:?}");
    }
}

fn kinds(heard: &[Heard]) -> Vec<&Event> {
    heard.iter().map(|heard| &heard.event).filter(|event| text(event).is_none()).collect()
}

/// Ten QEMUs with user networking: one address, a port each, the same kernel started at the same time.
#[test]
fn ten_machines_of_one_address_are_ten() {
    for basic in [false, true] {
        let (mut senders, mut heard) = (nobody(), Vec::new());
        for sequence in 0..50u64 {
            for machine in 0..10u64 {
                let now = 1000 + sequence * 40 + machine * 3;
                let name = format!("vm{machine}");
                let started = 900 + machine;
                let datagram =
                    if basic { line(&name, started, now) } else { record(&name, started, sequence, now) };
                let port = 40_000 + u16::try_from(machine).expect("small");
                senders.datagram(SocketAddr::from(([127, 0, 0, 1], port)), 0, &datagram, at(now), &mut heard);
            }
        }
        senders.finish(at(9000), &mut heard);
        is_one_each(&heard, 10, 50);
        assert!(kinds(&heard).is_empty(), "{:?}", kinds(&heard));
        let names: Vec<_> = by_name(&heard).into_keys().collect();
        assert_eq!(names[..2], ["127.0.0.1", "127.0.0.1:40001"]);
    }
}

/// A machine waits for its network, and then sends its log since its start: no other one's clock says that.
#[test]
fn a_log_that_comes_late_is_its_own_machines() {
    let (mut senders, mut heard) = (nobody(), Vec::new());
    for machine in 0..10u64 {
        // In a burst, ten seconds after the start.
        for number in 0..40 {
            let now = 1000 + machine * 30 + number;
            // Its clock leaps, as the log was held up; and the next one's log comes before its end.
            let line = format!("[    {}.{:03}000] vm{machine} at {number}\n", number / 4, number % 4 * 250);
            let port = 40_000 + u16::try_from(machine).expect("small");
            senders.datagram(
                SocketAddr::from(([127, 0, 0, 1], port)),
                0,
                line.as_bytes(),
                at(now),
                &mut heard,
            );
        }
    }
    senders.finish(at(90_000), &mut heard);
    is_one_each(&heard, 10, 40);
    assert!(kinds(&heard).is_empty(), "{:?}", kinds(&heard));
}

/// `logger` sends each message from a port of its own, and the machine's kernel from one: they are two senders.
#[test]
fn messages_from_a_port_each_are_one_senders() {
    let (mut senders, mut heard) = (nobody(), Vec::new());
    for number in 0..200u16 {
        let now = 1000 + u64::from(number) * 100;
        if number % 20 == 5 {
            let kernel = record("kernel", 500, u64::from(number / 20), now);
            senders.datagram(from("10.0.0.5:6665"), 0, &kernel, at(now), &mut heard);
        }
        let message = format!("<13>Nov 29 12:00:00 board7 user: logger {number}\n");
        let port = 32_768 + number * 37 % 20_000;
        senders.datagram((from("10.0.0.5:1").ip(), port).into(), 0, message.as_bytes(), at(now), &mut heard);
    }
    senders.finish(at(90_000), &mut heard);
    let all = by_name(&heard);
    assert_eq!(all.keys().copied().collect::<Vec<_>>(), ["10.0.0.5", "10.0.0.5:6665"], "{all:?}");
    assert_eq!((all["10.0.0.5"].len(), all["10.0.0.5:6665"].len()), (200, 10));
    assert!(kinds(&heard).is_empty(), "{:?}", kinds(&heard));
}

/// A port from which a second message comes is a stream of its own.
#[test]
fn a_port_that_speaks_again_is_its_own() {
    let (mut senders, mut heard) = (nobody(), Vec::new());
    let spoken = [
        ("10.0.0.5:1000", "one"),
        ("10.0.0.5:1001", "two"),
        ("10.0.0.5:1000", "three"),
        ("10.0.0.5:1000", "four"),
    ];
    for (now, (address, text)) in (1000..).zip(spoken) {
        senders.datagram(from(address), 0, format!("<13>{text}\n").as_bytes(), at(now * 10), &mut heard);
    }
    senders.finish(at(90_000), &mut heard);
    let all = by_name(&heard);
    assert_eq!(all["10.0.0.5"], ["one", "two"]);
    assert_eq!(all["10.0.0.5:1000"], ["three", "four"]);
}

/// A NAT forgets after a minute of silence, and gives out another port: numbers and clock go on.
#[test]
fn a_nat_that_changes_ports_changes_no_name() {
    for basic in [false, true] {
        let (mut senders, mut heard) = (nobody(), Vec::new());
        for sequence in 0..60u64 {
            let round = sequence / 20;
            let now = 1000 + sequence * 50 + round * 120_000;
            for (machine, started) in [("a", 100u64), ("b", 700)] {
                let port = u16::try_from(50_000 + round * 17 + started).expect("small");
                let datagram =
                    if basic { line(machine, started, now) } else { record(machine, started, sequence, now) };
                senders.datagram((from("10.0.0.5:1").ip(), port).into(), 0, &datagram, at(now), &mut heard);
            }
        }
        senders.finish(at(900_000), &mut heard);
        is_one_each(&heard, 2, 60);
        let moved = kinds(&heard);
        assert!(
            moved.len() == 4 && moved.iter().all(|event| matches!(event, Event::Moved { .. })),
            "{moved:?}"
        );
        let last = heard.iter().rfind(|heard| heard.sender.name == "10.0.0.5").expect("it was heard");
        assert_eq!(last.sender.address, from("10.0.0.5:50134"), "the address is the present one");
    }
}

/// A NAT gives each of two machines the port that the other one had, with the same numbers, after a minute; or at once,
/// with other numbers.
#[test]
fn ports_that_swap_swap_no_names() {
    for (is_basic, pause, ahead) in [(false, 60_000, 0), (true, 60_000, 0), (false, 0, 500)] {
        let (mut senders, mut heard) = (nobody(), Vec::new());
        for sequence in 0..80u64 {
            let round = sequence / 20;
            let now = 1000 + sequence * 200 + round * pause;
            for (machine, started, ahead) in [("a", 100u64, 0), ("b", 900, ahead)] {
                let address =
                    if (machine == "a") != (round % 2 == 1) { "10.0.0.5:1000" } else { "10.0.0.5:2000" };
                let datagram = if is_basic {
                    line(machine, started, now)
                } else {
                    record(machine, started, sequence + ahead, now)
                };
                senders.datagram(from(address), 0, &datagram, at(now), &mut heard);
            }
        }
        senders.finish(at(900_000), &mut heard);
        is_one_each(&heard, 2, 80);
        let all = by_name(&heard);
        assert!(all["10.0.0.5"][0].starts_with("a ") && all["10.0.0.5:2000"][0].starts_with("b "));
        let moved = heard.iter().filter(|heard| matches!(heard.event, Event::Moved { .. })).count();
        assert_eq!(moved, 3);
    }
}

/// DHCP gives another address: the machine is the same where numbers and clock go on, and only there.
#[test]
fn an_address_that_changes_is_the_same_machine() {
    let (mut senders, mut heard) = (nobody(), Vec::new());
    for sequence in 0..40u64 {
        let now = 1000 + sequence * 100;
        for (machine, host) in [("a", 5u8), ("b", 6)] {
            let (host, started) =
                if machine == "a" && sequence >= 20 { (7, 400) } else { (host, 400 + u64::from(host) * 900) };
            let started = if machine == "a" { 500 } else { started };
            let datagram = record(machine, started.min(1000), sequence, now);
            senders.datagram(SocketAddr::from(([10, 0, 0, host], 6665)), 0, &datagram, at(now), &mut heard);
        }
    }
    // The same number, of a machine that was started at another time.
    senders.datagram(from("10.0.0.8:6665"), 0, &record("c", 3000, 40, 5001), at(5001), &mut heard);
    // Another one gets the address that was left.
    senders.datagram(from("10.0.0.5:6665"), 0, &record("d", 4900, 0, 5002), at(5002), &mut heard);
    senders.finish(at(900_000), &mut heard);
    let all = by_name(&heard);
    let names: Vec<_> = all.keys().copied().collect();
    assert_eq!(names, ["10.0.0.5", "10.0.0.5:6665", "10.0.0.6", "10.0.0.8"]);
    assert!(all["10.0.0.5"].len() == 40 && all["10.0.0.5"].iter().all(|text| text.starts_with("a ")));
    assert_eq!(all["10.0.0.5:6665"], ["d record 0"]);
}

/// Many who send the same, each from an address of his own, are many.
#[test]
fn the_same_log_from_many_addresses_is_of_many() {
    let (mut senders, mut heard) = (nobody(), Vec::new());
    for sequence in 0..30u64 {
        for host in 0..200u8 {
            let now = 1000 + sequence * 10;
            let datagram = format!("6,{sequence},{},-;text\n", sequence * 10);
            senders.datagram(
                SocketAddr::from(([10, 0, 0, host], 6665)),
                0,
                datagram.as_bytes(),
                at(now),
                &mut heard,
            );
        }
    }
    senders.finish(at(900_000), &mut heard);
    assert_eq!((senders.count(), heard.len()), (200, 200 * 30));
    assert!(senders.stats().iter().all(|(_, stats)| stats.records == 30));
}

/// The address's name is free again when its first sender has been silent for ten minutes: rsyslog was started again.
#[test]
fn the_name_of_an_address_is_free_after_silence() {
    let (mut senders, mut heard) = (nobody(), Vec::new());
    let mut say = |address: &str, now: u64| {
        for text in ["one", "two"] {
            senders.datagram(from(address), 0, format!("<13>{text}\n").as_bytes(), at(now), &mut heard);
        }
        heard.last().expect("a record").sender.name.clone()
    };
    assert_eq!(say("10.0.0.5:1000", 1000), "10.0.0.5");
    assert_eq!(say("10.0.0.5:2000", 500_000), "10.0.0.5:2000");
    assert_eq!(say("10.0.0.5:3000", 700_000), "10.0.0.5");
    assert_eq!(say("10.0.0.5:1000", 701_000), "10.0.0.5:1000");
}

/// A name that was given is followed by the port for each further stream of the address; one of a port is that stream's.
#[test]
fn given_names_tell_streams_apart() {
    let names = ["10.0.0.5=board7", "10.0.0.5:7000=vm", "10.1.0.0/16=rack", "52:54:00:12:34:56=nic"];
    let names: Names = names.iter().map(|name| name.parse::<Name>().expect("a name")).collect();
    let (mut senders, mut heard) = (Senders::new(names, false), Vec::new());
    for address in
        ["10.0.0.5:6665", "10.0.0.5:7000", "10.0.0.5:7001", "10.1.0.9:6665", "[fe80::5054:ff:fe12:3456]:6665"]
    {
        senders.datagram(from(address), 0, b"6,0,1,-;text\n", at(0), &mut heard);
    }
    let all: Vec<_> = heard.iter().map(|heard| (heard.sender.name.as_str(), heard.sender.named)).collect();
    let expected = ["board7", "vm", "board7:7001", "rack-10.1.0.9", "nic"].map(|name| (name, true));
    assert_eq!(all, expected);
}

/// The names that machines say, from the record that says it on; of two that say the same, the second has its address.
#[test]
fn machines_say_their_names() {
    let sources = ["userdata:hostname", "syslog", "dhcp"].map(|source| source.parse().expect("a source"));
    let names: Names = ["10.0.0.9=mine".parse::<Name>().expect("a name")].into_iter().collect();
    let (mut senders, mut heard) = (Senders::new(names, false).naming_from(sources.to_vec()), Vec::new());
    for (address, datagram) in [
        ("10.0.0.5:6665", "6,0,1,-;first\n"),
        ("10.0.0.5:6665", "6,1,2,-;second\n hostname=board7\n"),
        ("10.0.0.5:6665", "6,2,3,-;third\n"),
        ("10.0.0.6:6665", "6,0,1,-;of another\n hostname=board7\n"),
        ("10.0.0.7:6665", "<6>1 - board8 kernel - - - syslog\n"),
        ("10.0.0.8:6665", "[    1.000000]      host=board9, domain=example.org, nis-domain=(none)\n"),
        ("10.0.0.8:6665", "[    1.000001] further\n"),
        ("10.0.0.9:6665", "6,0,1,-;has a name\n hostname=board10\n"),
        ("10.0.0.10:6665", "6,0,1,-;no file's name\n hostname=../x\n"),
    ] {
        senders.datagram(from(address), 0, datagram.as_bytes(), at(0), &mut heard);
    }
    let names: Vec<_> = heard.iter().map(|heard| heard.sender.name.as_str()).collect();
    let expected = [
        "10.0.0.5",
        "board7",
        "board7",
        "board7-10.0.0.6",
        "board8",
        "board9",
        "board9",
        "mine",
        "10.0.0.10",
    ];
    assert_eq!(names, expected);
}

/// Records of several senders that waited for the same time come out in the order in which they came, in every run.
#[test]
fn what_waited_comes_in_the_order_of_arrival() {
    for is_end in [false, true] {
        let (mut senders, mut heard) = (nobody(), Vec::new());
        let mut expected = Vec::new();
        // Each sender misses its record 1, at the same time; the later ones come in another order each round.
        for sequence in [0u64, 2, 3, 4] {
            for host in 0..50u64 {
                let host = u8::try_from((host * 7 + sequence * 13) % 50).expect("small");
                let datagram = format!("6,{sequence},1,-;host {host} record {sequence}\n");
                let from = SocketAddr::from(([10, 0, 0, host], 6665));
                senders.datagram(from, 0, datagram.as_bytes(), at(1000), &mut heard);
                if sequence > 0 {
                    expected.push(format!("host {host} record {sequence}"));
                }
            }
        }
        heard.clear();
        if is_end {
            senders.finish(at(1001), &mut heard)
        } else {
            senders.tick(at(2000), &mut heard)
        }
        let texts: Vec<_> = heard.iter().filter_map(|heard| text(&heard.event)).collect();
        assert_eq!(texts, expected, "{is_end}");
        let skipped = heard.iter().filter(|heard| matches!(heard.event, Event::Skipped { .. })).count();
        assert_eq!(skipped, 50);
    }
}
