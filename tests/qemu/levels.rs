//! What goes out, and with which prefix.

use crate::harness::{Boot, Peer, status};

const TARGET: &str = "10.0.0.2:6666";

#[test]
fn the_level_decides_what_is_sent() {
    // The device that doesn't exist gives an error, level 3; the address that nobody answers a warning, 4.
    let targets = "netconsole=+@10.0.0.1/,@10.0.0.2/ netconsole=+@10.0.0.1/eth7,@10.0.0.3/";
    for (name, parameter, levels) in [
        ("level-debug", "debug", &[3, 4, 6, 7][..]),
        ("level-default", "", &[3, 4, 6]),
        ("level-6", "loglevel=6", &[3, 4]),
        ("level-quiet", "quiet", &[3]),
        ("level-ignored", "quiet ignore_loglevel", &[3, 4, 6, 7]),
    ] {
        let capture = Boot::new(name, format!("{parameter} {targets} after=exit")).start().end();
        assert_eq!(capture.status, status::GOOD, "{name}");
        let messages = capture.messages(TARGET);
        for level in 0..8 {
            // Notices (5) come as the boot has them.
            let sent = messages.iter().any(|message| message.level == level);
            assert!(level == 5 || sent == levels.contains(&level), "{name}: level {level} sent: {sent}");
        }
    }
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
