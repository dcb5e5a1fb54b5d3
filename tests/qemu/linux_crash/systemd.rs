//! netconsole-arm's unit under a real systemd: that of the machine which runs the tests, in a Linux in QEMU.

use super::EXTENDED;
use super::guest::Guest;
use crate::harness::Content;
use std::net::SocketAddr;

/// It arms once the network is up, at each start, when a CPU is gone, and when systemd-networkd has another address; where it
/// is stopped no crash kernel is loaded. The log of the crash comes from the new address, with what the guest has said meanwhile
/// (scripts/systemd-root).
#[test]
fn the_unit_arms_once_the_network_is_up_and_again_after_each_change() {
    let capture = Guest::new("linux-systemd")
        .way("systemd")
        .arguments(&["-m", "512", "-smp", "2"])
        .start("", &[])
        .end();
    assert_eq!(capture.status, Some(0), "it reboots; serial:\n{}", capture.serial);
    let text = capture.text(EXTENDED);
    let said: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once(";trial: ")?.1)).collect();
    let armed: Vec<(&str, &str)> = said.iter().filter_map(|line| line.split_once(", ")).collect();
    let times = armed.iter().find(|(online, _)| online.starts_with("online "));
    let (online, begun) = times.expect("both times are said");
    let [online, begun] = [(online, "online "), (begun, "begun ")].map(|(said, word)| {
        let micros = said.strip_prefix(word).and_then(|micros| micros.parse::<u64>().ok());
        micros.unwrap_or_else(|| panic!("microseconds since the boot, in {said:?}"))
    });
    assert!(0 < online && online <= begun, "{begun} is before the network was up, {online}");

    // Whether the target has answered before it was armed first is for the host's speed.
    let line = |own: &str| format!("netconsole=+r6665@{own}/52:54:00:12:34:56,6666@10.0.0.2/");
    let mut found = armed.iter().filter(|(what, _)| what.contains("loaded"));
    for (expected, own) in [
        ("armed: loaded 1", "10.0.0.1"),
        ("stopped: loaded 0", ""),
        ("started: loaded 1", "10.0.0.1"),
        ("unplugged: loaded 1", "10.0.0.1"),
        ("changed: loaded 1", "10.0.0.3"),
    ] {
        let (what, armed) = found.next().unwrap_or_else(|| panic!("{expected}, in {said:?}"));
        assert_eq!(*what, expected, "{said:?}");
        assert!(if own.is_empty() { armed.is_empty() } else { armed.starts_with(&line(own)) }, "{armed}");
    }
    for record in
        ["Linux version ", "Kernel panic - not syncing: sysrq triggered crash", "linux: the log has gone out"]
    {
        assert!(text.contains(&format!(";{record}")), "'{record}' is not in {text}");
    }
    let target: SocketAddr = EXTENDED.parse().expect("an address and port");
    let senders = capture.frames().filter_map(|frame| match &frame.content {
        Content::Udp { from, to, .. } if *to == target => Some(from.to_string()),
        _ => None,
    });
    let senders: Vec<String> = senders.collect();
    assert!(senders.len() > 100 && senders.iter().all(|from| from == "10.0.0.3:6665"), "{senders:?}");
}
