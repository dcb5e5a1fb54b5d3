//! Several targets, each with its own format.

use crate::harness::{Boot, Peer, status};

/// The time in microseconds and the text of a line in the basic format: Linux's `[%5lu.%06lu] text`.
fn basic(line: &str) -> (u64, &str) {
    let (time, text) = line.strip_prefix('[').and_then(|line| line.split_once("] ")).expect("a time");
    let (seconds, micros) = time.split_once('.').expect("a fraction");
    assert_eq!((seconds.len(), micros.len()), (5, 6), "{line}");
    let number = |digits: &str| digits.trim_start().parse::<u64>().expect("a number");
    (number(seconds) * 1_000_000 + number(micros), text)
}

#[test]
fn two_formats_say_the_same() {
    // Nothing in this boot's log needs the extended format's escapes.
    let parameters =
        "debug netconsole=+@10.0.0.1/,@10.0.0.2/ netconsole=5555@10.0.0.1/,7777@10.0.0.3/ after=exit";
    let boot = Boot::new("two-targets", parameters).peer(Peer::at("10.0.0.2")).peer(Peer::at("10.0.0.3"));
    let capture = boot.start().end();

    assert_eq!(capture.status, status::GOOD);
    let messages = capture.messages("10.0.0.2:6666");
    assert!(
        messages.iter().filter(|message| message.text == "netconsole: network logging started").count() == 2
    );
    let text = capture.text("10.0.0.3:7777");
    assert_eq!(text.lines().count(), messages.len());
    for (line, message) in text.lines().zip(messages) {
        let (micros, text) = basic(line);
        assert_eq!(text, message.text);
        assert_eq!(micros, message.micros, "{line}");
    }
}

#[test]
fn a_silent_target_does_not_hold_up_the_other() {
    let parameters = "debug netconsole=+@10.0.0.1/,@10.0.0.2/ netconsole=+@10.0.0.1/,@10.0.0.3/";
    let machine = Boot::new("one-silent", parameters).peer(Peer::at("10.0.0.3")).start();
    let other = machine.wait_for_text("10.0.0.3:6666", "network logging started");
    let silent = machine.wait_for_text("10.0.0.2:6666", "network logging started");
    assert!(other < silent);
    machine.stop();
}

#[test]
fn the_release_comes_first_where_it_is_asked_for() {
    let capture = Boot::new("release", "debug netconsole=+r@10.0.0.1/,@10.0.0.2/ after=exit")
        .peer(Peer::at("10.0.0.2"))
        .start()
        .end();
    assert_eq!(capture.status, status::GOOD);
    for message in capture.messages("10.0.0.2:6666") {
        assert_eq!(message.release.as_deref(), Some(env!("CARGO_PKG_VERSION")), "{}", message.text);
    }
}
