//! Mistakes in the parameters: one clear line each, and the rest works.

use crate::harness::{Boot, Content, Frame, Machine, Nic, Peer, Sent, read_pcap, status, target};
use std::collections::BTreeSet;
use std::net::SocketAddr;

struct Mistake {
    name: &'static str,
    parameters: &'static str,
    /// What the one error line says.
    said: &'static [&'static str],
}

const MISTAKES: [Mistake; 8] = [
    Mistake {
        name: "bad-port",
        parameters: "netconsole=@10.0.0.1/,0@10.0.0.9/",
        said: &["couldn't parse config at '0@10.0.0.9/'!"],
    },
    Mistake {
        name: "bad-address",
        parameters: "netconsole=@10.0.0.1/,@10.0.0.256/",
        said: &["couldn't parse config at '10.0.0.256/'!", ": @10.0.0.1/,@10.0.0.>>>256<<</"],
    },
    Mistake {
        name: "bad-mac",
        parameters: "netconsole=514@10.0.0.1/eth0,514@10.0.0.255/00:13:32:20:r9:a5",
        said: &["00:13:32:20:r9:a5", "'r'"],
    },
    Mistake {
        name: "bad-comma",
        parameters: "netconsole=@10.0.0.1,@10.0.0.9/",
        said: &["source address: expected '/' behind it, found ',': @10.0.0.1>>>,<<<@10.0.0.9/"],
    },
    Mistake {
        name: "loopback",
        parameters: "netconsole=@/,@127.0.0.1/",
        said: &["this one never leaves the machine", "@/,@>>>127.0.0.1<<</"],
    },
    Mistake {
        name: "capitals",
        parameters: "NETCONSOLE=@10.0.0.1/,@10.0.0.9/",
        said: &[
            "'NETCONSOLE=@10.0.0.1/,@10.0.0.9/' is not known and ignored: netconsole= was probably meant",
        ],
    },
    Mistake {
        name: "typo",
        parameters: "netconsole.typo=1",
        said: &["'netconsole.typo=1' is not known and ignored: of netconsole. there are carrier_timeout "],
    },
    Mistake {
        name: "bad-release",
        parameters: "netconsole=r@10.0.0.1/,@10.0.0.9/",
        said: &["Release feature requires extended log message"],
    },
];

#[test]
fn a_mistake_is_named_and_the_other_target_runs() {
    for Mistake { name, parameters, said } in MISTAKES {
        let parameters = format!("debug {parameters} netconsole=+@10.0.0.1/,@10.0.0.2/ after=exit");
        let capture = Boot::new(name, parameters).peer(Peer::at("10.0.0.2")).start().end();
        assert_eq!(capture.status, status::GOOD, "{name}");
        let messages = capture.messages("10.0.0.2:6666");
        let errors: Vec<_> = messages.iter().filter(|message| message.level == 3).collect();
        let [error] = errors.as_slice() else { panic!("{name}: one error is due: {errors:?}") };
        for part in said {
            assert!(error.text.contains(part), "'{part}' is not in '{}'", error.text);
        }
    }
}

#[test]
fn a_target_with_a_bad_mac_runs_all_the_same() {
    let parameters = "netconsole=514@10.0.0.1/eth0,514@10.0.0.2/00:13:32:20:r9:a5 after=exit";
    let capture = Boot::new("bad-mac-runs", parameters).peer(Peer::at("10.0.0.2")).start().end();
    assert_eq!(capture.status, status::GOOD);
    assert!(capture.text("10.0.0.2:514").contains("network logging started"));
}

/// What Linux refuses and can mean one thing only: the target runs, and one warning says what is ignored.
#[test]
fn what_can_mean_one_thing_only_runs_with_a_warning() {
    for (name, target, said) in [
        ("hyphens", "@10.0.0.1/,@10.0.0.2/02-00-00-00-00-02", "'-' is taken for ':'"),
        ("mac-slash", "@10.0.0.1/,@10.0.0.2/02:00:00:00:00:02/", "what follows it is ignored"),
        ("mac-comma", "@10.0.0.1/,@10.0.0.2/02:00:00:00:00:02,6666", "what follows it is ignored"),
        ("mac-vlan", "@10.0.0.1/,@10.0.0.2/02:00:00:00:00:02-V100:1", "what follows it is ignored"),
        (
            "blank",
            "@10.0.0.1/,@10.0.0.9/02:00:00:00:00:02; +@10.0.0.1/,@10.0.0.2/",
            "whitespace is not allowed",
        ),
    ] {
        let format = if name == "blank" { "" } else { "+" };
        let boot = Boot::new(name, format!("debug netconsole=\"{format}{target}\" after=exit"));
        let capture = boot.peer(Peer::at("10.0.0.2")).start().end();
        assert_eq!(capture.status, status::GOOD, "{name}");
        let messages = capture.messages("10.0.0.2:6666");
        let of_parameter = |level| {
            let mut found = messages.iter().filter(move |message| message.level == level);
            found.find(|message| message.text.starts_with("netconsole: ") && message.text.contains(">>>"))
        };
        let warning = of_parameter(4).unwrap_or_else(|| panic!("{name}: {messages:?}"));
        assert!(warning.text.contains(said), "{name}: {}", warning.text);
        assert!(of_parameter(3).is_none(), "{name}");
    }
}

#[test]
fn all_refused_goes_on_without_a_target() {
    let capture = Boot::new("all-refused", "netconsole=@10.0.0.1/,@10.0.0.256/ after=exit").start().end();
    assert_eq!(capture.status, status::NO_TARGET);
    assert!(capture.serial.contains("couldn't parse config at"), "{}", capture.serial);
    assert!(capture.serial.contains("no target could be started"), "{}", capture.serial);
    // Before it ends, who waits has been told.
    assert!(capture.text(ALL).contains("couldn't parse config at"));
}

#[test]
fn where_no_target_was_given_that_is_said_and_nothing_sent() {
    let capture = Boot::new("none-given", "netconsole.typo=1 after=exit").start().end();
    assert_eq!(capture.status, status::NO_TARGET);
    assert!(capture.serial.contains("netconsole: no target was given"), "{}", capture.serial);
    assert!(!capture.serial.contains("no target could be started"), "{}", capture.serial);
    assert_eq!(datagrams(&capture.sent), []);
}

/// Everybody who waits with `nc`.
const ALL: &str = "255.255.255.255:6666";

/// UDP datagrams that are none of DHCP's questions: source, destination, text.
fn datagrams(sent: &[Sent]) -> Vec<(SocketAddr, SocketAddr, String)> {
    sent.iter().filter_map(|sent| said(sent.good()?)).collect()
}

fn said(frame: &Frame) -> Option<(SocketAddr, SocketAddr, String)> {
    match &frame.content {
        Content::Udp { from, to, payload } if to.port() != 67 => {
            Some((*from, *to, String::from_utf8_lossy(payload).into_owned()))
        }
        _ => None,
    }
}

/// Two cards, and a guest for whom the time in which it sleeps passes at once.
fn boot(name: &'static str, parameters: &str) -> Boot {
    let nics = [Nic::virtio(), Nic::virtio()];
    Boot::new(name, parameters).nics(nics).arguments(["-icount", "shift=0,sleep=off"])
}

/// More than a minute, as the guest counts it.
fn let_a_minute_pass(machine: &mut Machine) {
    machine.type_in("\r");
    machine.wait_for_serial("netconsole# ");
    while machine.command("uptime").as_str() < "up 0:01:10" {}
}

/// Who waits sees what was wrong: a second after the link is up, and again, on every card, and nothing else.
#[test]
fn a_mistake_in_the_only_target_is_broadcast() {
    let dumps = [0, 1].map(|nic| target().join(format!("tests/mistake-told/guest{nic}.pcap")));
    let objects =
        [0, 1].map(|nic| format!("filter-dump,id=d{nic},netdev=n{nic},file={}", dumps[nic].display()));
    let boot = boot("mistake-told", "debug log_buf_len=1M netconsole=@/,@10.0.0.256/ loglevel=x");
    let mut machine = boot.arguments(["-object", &objects[0], "-object", &objects[1]]).start();
    let_a_minute_pass(&mut machine);
    let capture = machine.stop();
    let expected = [
        "netconsole: couldn't parse config at '10.0.0.256/'! target address: expected a number from 0 to 255, \
         found '256': @/,@10.0.0.>>>256<<</\n",
        "netconsole: no target could be taken: this and what is wrong is broadcast to port 6666, not the log\n",
        "eth0 at 00:02.0, 52:54:00:12:34:56, link up\n",
        "eth1 at 00:03.0, 52:54:00:12:34:57, link up\n",
    ];
    let mut sources = BTreeSet::new();
    for (nic, dump) in dumps.iter().enumerate() {
        let frames = read_pcap(dump);
        let frames: Vec<_> = frames
            .iter()
            .filter_map(|(at, bytes)| Some((at.as_secs_f64(), Frame::parse(bytes).ok()?)))
            .collect();
        let is_question = |frame: &Frame| frame.datagram().is_some_and(|(to, _)| to.port() == 67);
        // DHCP asks as soon as the link is up.
        let up = frames.iter().find(|(_, frame)| is_question(frame)).expect("a question of DHCP's").0;
        let told: Vec<_> = frames.iter().filter_map(|(at, frame)| Some((at - up, said(frame)?))).collect();
        assert_eq!(told.len(), 3 * expected.len(), "{told:?}");
        for (round, time) in told.chunks(expected.len()).zip([1.0, 15.0, 45.0]) {
            for ((at, (from, to, text)), expected) in round.iter().zip(expected) {
                assert!((at - time).abs() < 0.5, "{text} after {at} s, where {time} s are due");
                assert_eq!((to.to_string().as_str(), from.port(), text.as_str()), (ALL, 6665, expected));
                sources.insert((nic, from.ip()));
            }
        }
    }
    // One address a card, link-local, and each its own.
    let addresses: BTreeSet<_> = sources.iter().map(|(_, ip)| ip).collect();
    assert_eq!((sources.len(), addresses.len()), (2, 2), "{sources:?}");
    assert!(addresses.iter().all(|ip| ip.to_string().starts_with("169.254.")), "{sources:?}");
    assert!(capture.serial.contains("loglevel=x: expected"), "that is told on serial alone");
}

/// With the whole log where that is asked for; not at all where that is, or where anything looks like a key.
#[test]
fn what_is_broadcast_can_be_chosen() {
    const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    let mistake = "netconsole=@/,@10.0.0.256/";
    let capture =
        boot("fallback-log", &format!("debug {mistake} netconsole.fallback=log after=exit")).start().end();
    assert_eq!(capture.status, status::GOOD);
    let text = capture.text(ALL);
    for part in [
        "] netconsole 0.",
        "] Command line: ",
        ">>>256<<<",
        "the log is broadcast to port 6666",
        "boot: done",
    ] {
        assert!(text.contains(part), "'{part}' is missing: {text}");
    }
    for (name, parameters) in [
        ("fallback-off", "netconsole.fallback=off".into()),
        ("fallback-key", format!("netconsole.key={KEY}")),
        ("fallback-short-key", format!("netconsole.key={}", &KEY[1..])),
        ("fallback-key-name", format!("netconsole.kye={KEY}")),
        ("fallback-key-letter", "netconsole.k=1".into()),
        ("fallback-log-key", format!("netconsole.fallback=log netconsole.key={KEY}")),
        ("fallback-digits", format!("netcosnole.key={KEY}")),
        ("fallback-log-digits", format!("netconsole.fallback=log something={KEY}")),
    ] {
        let mut machine = boot(name, &format!("debug {mistake} {parameters}")).start();
        let_a_minute_pass(&mut machine);
        let capture = machine.stop();
        assert_eq!(datagrams(&capture.sent), [], "{name}");
        assert!(!capture.serial.contains(&KEY[1..]), "{name}");
    }
}

/// Nobody was to get the log: neither after a crash does anybody, whatever the crash has damaged.
#[test]
fn after_a_crash_a_mistake_in_the_only_target_sends_nothing() {
    for (name, kind) in [
        ("mistake-panic", "PANIC"),
        ("mistake-damage", "OVERWRITE_TARGETS"),
        ("mistake-early", "PANIC@early"),
    ] {
        let parameters = format!("netconsole=@/,@10.0.0.256/ crash={kind} after=exit");
        let capture = boot(name, &parameters).start().end();
        assert_eq!(capture.status, status::PANIC, "{name}");
        assert!(capture.serial.contains("Kernel panic"), "{name}");
        assert_eq!(datagrams(&capture.sent), [], "{name}");
    }
}
