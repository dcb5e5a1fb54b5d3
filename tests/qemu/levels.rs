//! What goes out, and with which prefix.

use crate::harness::{Boot, Peer, side_by_side, status};

const TARGET: &str = "10.0.0.2:6666";
const STARTED: &str = "netconsole: network logging started";

#[test]
fn the_level_decides_what_is_sent() {
    // The port that is none gives an error, level 3; the address that nobody answers a warning, 4.
    let targets = "netconsole=+@10.0.0.1/,@10.0.0.2/ netconsole=+@10.0.0.1/,0@10.0.0.3/";
    let cases = [
        ("level-debug", "debug", 8),
        ("level-default", "", 7),
        ("level-6", "loglevel=6", 6),
        ("level-5", "loglevel=5", 5),
        ("level-quiet", "quiet", 4),
        ("level-0", "loglevel=0", 0),
        ("level-more", "quiet loglevel=15", 8),
        ("level-ignored", "quiet ignore_loglevel", 8),
    ];
    side_by_side(
        &cases,
        |(name, ..)| name.to_string(),
        |&(name, parameter, limit)| {
            let capture = Boot::new(name, format!("{parameter} {targets} after=exit")).start().end();
            assert_eq!(capture.status, status::GOOD, "{name}");
            let messages = capture.messages(TARGET);
            for level in [3, 4, 6, 7].into_iter().filter(|&level| level < limit) {
                assert!(messages.iter().any(|message| message.level == level), "{name}: level {level}");
            }
            for message in messages.iter().filter(|message| message.level >= limit) {
                assert_eq!(message.text, STARTED, "{name}");
            }
            assert!(messages.iter().any(|message| message.text == STARTED), "{name}");
            // `Boot` checks that each record came or is told to be held back by the next one, exactly.
            assert_eq!(messages.iter().any(|message| message.held > 0), limit < 8, "{name}");
        },
    );
}

/// Silence is never healthy: whatever is held back, each receiver hears that there is a sender.
#[test]
fn every_target_hears_that_logging_has_started() {
    let targets = "netconsole=+@10.0.0.1/,@10.0.0.2/ netconsole=@10.0.0.1/,7777@10.0.0.2/ \
                   netconsole=s@10.0.0.1/,514@10.0.0.2/";
    let cases = [
        ("started-0", "loglevel=0"),
        ("started-1", "loglevel=1"),
        ("started-2", "loglevel=2"),
        ("started-3", "loglevel=3"),
        ("started-quiet", "quiet"),
        ("started-oops-only", "debug netconsole.oops_only=1"),
    ];
    side_by_side(
        &cases,
        |(name, ..)| name.to_string(),
        |&(name, parameter)| {
            let boot = Boot::new(name, format!("{parameter} {targets} after=exit"));
            let capture = boot.peer(Peer::at("10.0.0.2")).start().end();
            assert_eq!(capture.status, status::GOOD, "{name}");
            let messages = capture.messages(TARGET);
            assert!(
                messages.len() == 3 && messages.iter().all(|message| message.text == STARTED),
                "{messages:?}"
            );
            assert_eq!(messages[0].held, messages[0].sequence, "{name}: all before it");
            let basic = capture.text("10.0.0.2:7777");
            assert_eq!(basic.lines().filter(|line| line.ends_with(STARTED)).count(), 3, "{basic}");
            assert_eq!(basic.lines().count(), 3, "{basic}");
            let syslog = capture.payloads("10.0.0.2:514");
            for (message, payload) in messages.iter().zip(&syslog) {
                let (sequence, held) = (message.sequence, message.held);
                let end = format!(" [netconsole@32473 seq=\"{sequence}\" held=\"{held}\"] {STARTED}");
                assert!(String::from_utf8_lossy(payload).ends_with(&end), "{name}: not {end}");
            }
            assert_eq!(syslog.len(), 3, "{name}");
        },
    );
}

#[test]
fn the_time_can_be_left_out() {
    let boot = |name, parameters: &str| {
        let parameters = format!("{parameters} netconsole=@10.0.0.1/,@10.0.0.2/ after=exit");
        let capture = Boot::new(name, parameters).peer(Peer::at("10.0.0.2")).start().end();
        assert_eq!(capture.status, status::GOOD);
        capture.text(TARGET)
    };
    let has_time = |line: &str| {
        let time = line.strip_prefix('[').and_then(|line| line.split_once("] "));
        time.is_some_and(|(time, _)| time.trim_start().parse::<f64>().is_ok())
    };
    let (with, without) = (boot("time", "printk.time=1"), boot("no-time", "printk.time=0"));
    assert!(with.lines().all(has_time), "{with}");
    assert!(!without.is_empty() && !without.lines().any(has_time), "{without}");
}
