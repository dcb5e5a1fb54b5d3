//! A crash ends the log with its report.

use crate::harness::{Boot, Message, Peer, status};

const TARGET: &str = "10.0.0.2:6666";

struct Crash {
    kind: &'static str,
    name: &'static str,
    /// What the report says.
    said: &'static [&'static str],
}

const CRASHES: [Crash; 2] = [
    Crash { kind: "PANIC", name: "crash-panic", said: &["panic", "src/"] },
    Crash { kind: "EXCEPTION", name: "crash-exception", said: &["page fault", "rip", "cr2"] },
];

/// Drops what came again.
fn distinct(messages: Vec<Message>) -> Vec<Message> {
    let mut next = 0;
    messages
        .into_iter()
        .filter(|message| {
            let is_new = message.sequence >= next;
            next = next.max(message.sequence + 1);
            is_new
        })
        .collect()
}

#[test]
fn the_report_arrives_whole() {
    for Crash { kind, name, said } in CRASHES {
        let parameters = format!("debug netconsole=+@10.0.0.1/,@10.0.0.2/ after=exit crash={kind}");
        let capture = Boot::new(name, parameters).peer(Peer::at("10.0.0.2")).repeats().start().end();
        assert_eq!(capture.status, status::PANIC, "{kind}");

        let messages = distinct(capture.messages(TARGET));
        assert!(messages.iter().any(|message| message.text.contains("network logging started")), "{kind}");
        let report: Vec<_> = messages.iter().filter(|message| message.level <= 1).collect();
        let text: String = report.iter().map(|message| message.text.to_lowercase() + "\n").collect();
        for part in said {
            assert!(text.contains(part), "{kind}: '{part}' is not in the report:\n{text}");
        }
        // The report is the log's end.
        assert_eq!(report.last(), messages.iter().collect::<Vec<_>>().last(), "{kind}");
    }
}
