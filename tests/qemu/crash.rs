//! Every crash, in every place, keeps its log: all records come, in order, the report is whole, and no frame is
//! malformed. crash_reset.rs has the crashes that only the next boot can tell of, crash_after.rs what
//! follows the last words.

use crate::harness::{Boot, Capture, Machine, Message, Nic, Peer, side_by_side, status};
use std::net::SocketAddr;

/// Where the crash happens, and what may come twice for it.
struct Place {
    /// What stands behind the kind: `@tx`.
    suffix: &'static str,
    /// Beyond this many records, the last that were sent before the crash, nothing comes twice.
    unconfirmed: usize,
    /// What the log also has.
    said: &'static [&'static str],
}

/// Nothing more is queued before the crash, and all that was has been confirmed.
const HERE: Place =
    Place { suffix: "", unconfirmed: 0, said: &["network logging started", "crash: provoking"] };
const EARLY: Place = Place { suffix: "@early", said: &["crash: provoking"], ..HERE };
/// Between the two writes to a register that tell its BAR's size.
const PCI: Place = Place { suffix: "@pci", ..EARLY };
const LOG: Place =
    Place { suffix: "@log", said: &["crash: this record is cut here: half a \n cut=1"], ..HERE };
/// The path starts again, with its own report after what there is of the first.
const MESSAGE: Place = Place {
    suffix: "@message",
    said: &["Kernel panic - not syncing: this message is cut here: half a \n cut=1"],
    ..HERE
};
/// The card was not told of the frame, and is reset before it looks.
const TX: Place = Place { suffix: "@tx", unconfirmed: 1, ..HERE };
/// The log goes on until the frame comes that the crash waits for: all is confirmed.
const RX: Place = Place { suffix: "@rx", unconfirmed: 1, ..HERE };
const SMOLTCP: Place = Place { suffix: "@smoltcp", unconfirmed: 1, ..HERE };
/// In the same turn as the last record's frame.
const SERIAL: Place = Place { suffix: "@serial", unconfirmed: 1, ..HERE };
/// Amid a `dmesg`: its answer is on its way beside the log.
const CONSOLE: Place = Place { suffix: "@console", unconfirmed: 1, ..HERE };
const PANIC: Place = Place { suffix: "@panic", ..HERE };
const PANIC2: Place = Place { suffix: "@panic2", ..HERE };

/// A crash, and what its report says.
struct Kind {
    name: &'static str,
    said: &'static [&'static str],
    /// What the report's last line names.
    end: &'static str,
}

const fn kind(name: &'static str, said: &'static [&'static str], end: &'static str) -> Kind {
    Kind { name, said, end }
}

/// The kinds that end in a report without more ado.
const KINDS: [Kind; 14] = [
    kind("PANIC", &["Kernel panic at src/machine/trap.rs:", "provoked by crash=PANIC"], "panic"),
    kind("BUG", &["Kernel panic at src/machine/trap.rs:", "assertion `left == right` failed"], "panic"),
    kind(
        "EXCEPTION",
        &["(vector 14, error code 0x0002): writing 0x0000000000000000 (null pointer)"],
        "page fault",
    ),
    kind("DIVIDE_ERROR", &["BUG: divide error (vector 0"], "divide error"),
    kind("INVALID_OPCODE", &["BUG: invalid opcode (vector 6"], "invalid opcode"),
    kind("GENERAL_PROTECTION", &["BUG: general protection fault (vector 13"], "general protection fault"),
    kind("EXEC_DATA", &["executing 0x", "(data): the page does not allow it"], "page fault"),
    kind("EXEC_NULL", &["executing 0x0000000000000000 (null pointer)"], "page fault"),
    kind("WRITE_RO", &["writing 0x", "(constants): the page does not allow it"], "page fault"),
    kind("EXHAUST_STACK", &["(guard page: the main stack overflowed)"], "page fault"),
    kind("CORRUPT_STACK", &["BUG: general protection fault"], "general protection fault"),
    kind("UNALIGNED_SSE", &["BUG: general protection fault"], "general protection fault"),
    kind("DOUBLE_FAULT", &["BUG: double fault (vector 8"], "double fault"),
    kind("NMI", &["BUG: non-maskable interrupt (vector 2"], "non-maskable interrupt"),
];

/// The cables of a boot, and the targets on them.
struct Network {
    name: &'static str,
    parameters: &'static str,
    nics: fn() -> Vec<Nic>,
    extended: &'static str,
    basic: &'static str,
}

/// One card, IPv4.
const ONE_CARD: Network = Network {
    name: "ipv4",
    parameters: "netconsole=+@10.0.0.1/,@10.0.0.2/ netconsole=@10.0.0.1/,7777@10.0.0.2/",
    nics: || vec![Nic::virtio().peer(Peer::at("10.0.0.2"))],
    extended: "10.0.0.2:6666",
    basic: "10.0.0.2:7777",
};

/// Two cards, IPv6 on the first, IPv4 on the second; targets may send commands.
const TWO_CARDS: Network = Network {
    name: "ipv6",
    parameters: "netconsole.input=1 netconsole=+@fd00::1/eth0,@fd00::2/ netconsole=@10.0.1.1/eth1,7777@10.0.1.2/",
    nics: || vec![Nic::virtio().peer(Peer::at("fd00::2")), Nic::virtio().peer(Peer::at("10.0.1.2"))],
    extended: "[fd00::2]:6666",
    basic: "10.0.1.2:7777",
};

struct Case<'a> {
    network: &'a Network,
    kind: &'a Kind,
    place: &'a Place,
}

impl Case<'_> {
    fn name(&self) -> String {
        format!("crash-{}{}-{}", self.kind.name, self.place.suffix.replace('@', "-"), self.network.name)
    }

    fn boot(&self) -> Boot {
        let Self { network, kind, place } = self;
        let parameters =
            format!("debug after=exit {} crash={}{}", network.parameters, kind.name, place.suffix);
        // A boot's name lives as long as the tests.
        let boot = Boot::new(self.name().leak(), parameters).nics((network.nics)());
        if place.unconfirmed > 0 { boot.repeats() } else { boot }
    }

    /// Sends what the crash waits for.
    fn disturb(&self, machine: &mut Machine) {
        let (own, peer) = match self.network.name {
            "ipv6" => ("[fd00::1]:9999", Peer::at("fd00::2")),
            _ => ("10.0.0.1:9999", Peer::at("10.0.0.2")),
        };
        let own: SocketAddr = own.parse().expect("an address and port");
        let input = SocketAddr::new(own.ip(), 6665);
        match self.place.suffix {
            "@rx" => {
                machine.wait_for_text(self.network.extended, "crash: provoking");
                machine.send(0, &peer.datagram(1234, Nic::mac(0), own, b"hello"));
            }
            "@smoltcp" => {
                machine.wait_for_text(self.network.extended, "crash: provoking");
                machine.send(0, &peer.ping(Nic::mac(0), own.ip(), b"hello"));
            }
            "@console" => {
                machine.wait_for_text(self.network.extended, "crash: provoking");
                match self.network.name {
                    "ipv6" => machine.send(0, &peer.datagram(1234, Nic::mac(0), input, b"dmesg\n")),
                    _ => machine.type_in("dmesg\r"),
                }
            }
            _ => {}
        }
    }

    fn run(&self) {
        let mut machine = self.boot().start();
        self.disturb(&mut machine);
        self.check(&machine.end());
    }

    fn check(&self, capture: &Capture) {
        let Self { network, kind, place } = self;
        assert_eq!(capture.status, status::PANIC);
        let messages = capture.messages(network.extended);
        let log = distinct(&messages);
        // That none of them is missing, `Boot` checks, as the loglevel is 8.
        assert_eq!(log.first().map(|first| first.sequence), Some(0));
        let twice = messages.len() - log.len();
        assert!(twice <= place.unconfirmed, "{twice} records came twice");
        check_report(&log, kind);
        let said: String = log.iter().map(|message| message.text.clone() + "\n").collect();
        for part in place.said {
            assert!(said.contains(part), "'{part}' is not in the log:\n{said}");
        }
        check_same(&capture.text(network.basic), &log);
        check_same(&capture.serial, &log);
    }
}

/// Drops what came again.
pub fn distinct(messages: &[Message]) -> Vec<&Message> {
    let mut next = 0;
    let is_new = |message: &&Message| {
        let is_new = message.sequence >= next;
        next = next.max(message.sequence + 1);
        is_new
    };
    messages.iter().filter(is_new).collect()
}

/// The log ends with a whole report of this kind.
fn check_report(log: &[&Message], kind: &Kind) {
    let report: String =
        log.iter().filter(|message| message.level <= 1).map(|message| message.text.clone() + "\n").collect();
    for part in kind.said {
        assert!(report.contains(part), "'{part}' is not in the report:\n{report}");
    }
    let end = format!("---[ end Kernel panic - not syncing: {} ]---", kind.end);
    let last = log.last().expect("a log");
    assert_eq!((&last.text, last.level), (&end, 0), "{report}");
}

/// Every record of the log is in the text of a basic target, in order.
fn check_same(text: &str, log: &[&Message]) {
    let mut rest = text;
    for message in log {
        // The lines after the first are the extended format's own; a line's end within the text is escaped.
        let line = message.text.split(['\n', '\\']).next().unwrap_or_default();
        let at = rest.find(&format!("] {line}"));
        rest = &rest[at.unwrap_or_else(|| panic!("'{line}' is missing or out of order in:\n{text}"))..];
    }
}

#[test]
fn every_kind_on_every_network() {
    let networks = [&ONE_CARD, &TWO_CARDS];
    let cases: Vec<_> =
        KINDS.iter().flat_map(|kind| networks.map(|network| Case { network, kind, place: &HERE })).collect();
    side_by_side(&cases, Case::name, Case::run);
}

#[test]
fn in_every_place() {
    let find = |name: &str| KINDS.iter().find(|kind| kind.name == name).expect("a kind");
    let mut cases = Vec::new();
    for (number, place) in
        [EARLY, PCI, LOG, MESSAGE, TX, RX, SMOLTCP, SERIAL, CONSOLE, PANIC, PANIC2].iter().enumerate()
    {
        // The panic path ignores the NMI.
        let last =
            if matches!(place.suffix, "@message" | "@panic" | "@panic2") { "DIVIDE_ERROR" } else { "NMI" };
        for (other, kind) in ["PANIC", "EXCEPTION", last].map(find).into_iter().enumerate() {
            let network = if (number + other) % 2 == 0 { &ONE_CARD } else { &TWO_CARDS };
            cases.push((network, kind, place));
        }
    }
    // Deep in a stack, and on the double fault's.
    cases.extend([
        (&TWO_CARDS, find("EXHAUST_STACK"), &LOG),
        (&ONE_CARD, find("EXHAUST_STACK"), &PANIC),
        (&TWO_CARDS, find("EXHAUST_STACK"), &PANIC2),
        (&ONE_CARD, find("CORRUPT_STACK"), &TX),
    ]);
    let cases: Vec<_> =
        cases.into_iter().map(|(network, kind, place)| Case { network, kind, place }).collect();
    side_by_side(&cases, Case::name, Case::run);
}
