//! Captures: Linux's give what Linux logged, ours read as they were written.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Output};
use std::time::Duration;

use netconsole_receiver::pcap;

use crate::run::{capture, run, stdout};

/// Each datagram of the basic capture is a line that Linux logged; what we print is these, and our own remarks.
#[test]
fn linux_basic_capture() {
    let output = run(&["--read", &capture("linux-6.12-basic.pcap")]);
    let expected = fs::read_to_string(capture("linux-6.12-basic.txt")).expect("the golden text");
    assert_eq!(stdout(&output), expected);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn linux_extended_capture() {
    let output = run(&["--read", &capture("linux-6.12-extended.pcap"), "--complete"]);
    let expected = fs::read_to_string(capture("linux-6.12-extended.txt")).expect("the golden text");
    assert_eq!(stdout(&output), expected);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn what_is_written_as_a_capture_reads_the_same() {
    let dir = tempfile::tempdir().expect("a directory");
    let copy = dir.path().join("copy.pcap");
    let copy = copy.to_str().expect("a plain path");
    let first = run(&["--read", &capture("linux-6.12-extended.pcap"), "--json", "--pcap", copy]);
    let second = run(&["--read", copy, "--json"]);
    assert!(!first.stdout.is_empty());
    assert_eq!(stdout(&first), stdout(&second));
}

/// The newer file format of Wireshark and its like, written by tshark.
#[test]
fn pcapng_reads_the_same() {
    let dir = tempfile::tempdir().expect("a directory");
    let (old, new) = (capture("linux-6.12-extended.pcap"), dir.path().join("new.pcapng"));
    let new = new.to_str().expect("a plain path");
    let tshark = Command::new("tshark").args(["-r", &old, "-F", "pcapng", "-w", new]).output();
    assert!(tshark.expect("tshark is installed: apt-get install tshark").status.success());
    assert_eq!(fs::read(new).expect("a file")[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
    let expected = run(&["--read", &old, "--json"]);
    assert!(!expected.stdout.is_empty());
    assert_eq!(stdout(&run(&["--read", new, "--json"])), stdout(&expected));
}

/// The frames of the extended capture in another link layer: its number, and what takes the place of Ethernet's
/// header.
fn in_link(link: u32, header: &[u8]) -> Vec<u8> {
    let mut capture = fs::read(capture("linux-6.12-extended.pcap")).expect("a capture");
    let rest = capture.split_off(24);
    capture[20..24].copy_from_slice(&link.to_le_bytes());
    let mut rest = &rest[..];
    while let Some((times, tail)) = rest.split_at_checked(8) {
        let length = usize::try_from(u32::from_le_bytes(tail[..4].try_into().expect("4"))).expect("short");
        let frame = &tail[8..8 + length];
        let packet = [header, &frame[14..]].concat();
        let length = u32::try_from(packet.len()).expect("short").to_le_bytes();
        capture.extend([times, &length, &length, &packet].concat());
        rest = &tail[8 + frame.len()..];
    }
    capture
}

fn read(file: &[u8], arguments: &[&str]) -> Output {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("x.pcap");
    fs::write(&path, file).expect("a file");
    run(&[&["--read", path.to_str().expect("a plain path")], arguments].concat())
}

#[test]
fn every_link_layer_reads_the_same() {
    let expected = fs::read_to_string(capture("linux-6.12-extended.txt")).expect("the golden text");
    let sll2 = [&[8, 0][..], &[0; 18]].concat();
    let sll = [&[0; 14][..], &[8, 0]].concat();
    for (link, header) in
        [(276, &sll2[..]), (113, &sll), (0, &[2, 0, 0, 0]), (108, &[0, 0, 0, 2]), (101, &[])]
    {
        let output = read(&in_link(link, header), &["--complete"]);
        assert_eq!(stdout(&output), expected, "link type {link}");
        assert_eq!(output.status.code(), Some(0), "link type {link}");
    }
}

#[test]
fn a_link_layer_that_is_not_understood_is_said() {
    let output = read(&in_link(195, &[]), &[]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("link type 195, which is not understood"), "{stderr}");
}

/// Cut off in the middle of a packet: what is before is shown.
#[test]
fn a_file_that_is_cut_off_is_read_up_to_there() {
    let whole = fs::read(capture("linux-6.12-extended.pcap")).expect("a capture");
    let expected = fs::read_to_string(capture("linux-6.12-extended.txt")).expect("the golden text");
    let output = read(&whole[..whole.len() / 2], &[]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("ends in the middle of a packet"), "{stderr}");
    let shown = stdout(&output);
    assert!(expected.starts_with(shown) && shown.len() > expected.len() / 3, "{shown}");
}

/// As `tcpdump -s 96` writes it: the beginning of each record is shown, and marked.
#[test]
fn packets_of_which_only_the_beginning_was_captured_are_marked() {
    let mut whole = fs::read(capture("linux-6.12-basic.pcap")).expect("a capture");
    let mut rest = &whole.split_off(24)[..];
    whole[16..20].copy_from_slice(&96u32.to_le_bytes());
    while let Some((header, tail)) = rest.split_at_checked(16) {
        let length =
            usize::try_from(u32::from_le_bytes(header[8..12].try_into().expect("4"))).expect("short");
        let kept = length.min(96);
        let shortened = u32::try_from(kept).expect("short").to_le_bytes();
        whole.extend([&header[..8], &shortened, &header[12..], &tail[..kept]].concat());
        rest = &tail[length..];
    }
    let output = read(&whole, &[]);
    let expected = fs::read_to_string(capture("linux-6.12-basic.txt")).expect("the golden text");
    assert!(expected.starts_with("[    0.000000] Linux version"));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    for (shown, expected) in stdout(&output).lines().zip(expected.lines()) {
        let beginning = shown.trim_end_matches('…');
        assert!(expected.starts_with(beginning) && (shown == expected || shown.ends_with('…')), "{shown}");
    }
    assert!(stdout(&output).contains('…'));
}

/// A record of 2,700 bytes in IP fragments, by a host whose tunnel cuts them.
#[test]
fn ip_fragments_are_put_together() {
    let mut packet = Vec::new();
    let text = format!("[    1.000000] {}\n", "x".repeat(2700));
    let (from, to) =
        ("10.0.0.5:6665".parse().expect("an address"), "10.0.0.2:6666".parse().expect("an address"));
    pcap::write(&mut packet, Duration::from_secs(1), from, to, text.as_bytes());
    let mut file = pcap::header();
    let (times, ip) = (&packet[..8], &packet[16..]);
    let (header, payload) = ip.split_at(20);
    for (index, chunk) in payload.chunks(1480).enumerate().rev() {
        let more = if chunk.len() == 1480 { 0x2000 } else { 0 };
        let mut fragment = [header, chunk].concat();
        let length = u16::try_from(fragment.len()).expect("short");
        fragment[2..4].copy_from_slice(&length.to_be_bytes());
        let offset = u16::try_from(index * 1480 / 8).expect("short") | more;
        fragment[6..8].copy_from_slice(&offset.to_be_bytes());
        let length = u32::from(length).to_le_bytes();
        file.extend([times, &length, &length, &fragment].concat());
    }
    let output = read(&file, &[]);
    assert_eq!((stdout(&output), output.status.code()), (text.as_str(), Some(0)));
    let lost = read(&file[..file.len() - 1500 - 16], &[]);
    let stderr = String::from_utf8_lossy(&lost.stderr).into_owned();
    assert!(stderr.contains("1 IP fragments belong to datagrams whose first"), "{stderr}");
    assert_eq!(lost.status.code(), Some(1));
}

/// A record of each of a number of senders.
fn of_senders(count: u32) -> Vec<u8> {
    let (mut capture, to) = (pcap::header(), SocketAddr::from(([10, 0, 0, 2], 6666)));
    for number in 0..count {
        let from = SocketAddr::from((Ipv4Addr::from(0x0b00_0000 + number), 6665));
        let at = Duration::from_secs(1_700_000_000) + Duration::from_micros(number.into());
        pcap::write(&mut capture, at, from, to, b"6,0,0,-;text\n");
    }
    capture
}

/// As many senders are known as there is memory for; that there are no more is said once, and their records are shown.
#[test]
fn the_limit_of_senders_is_said_when_it_is_reached() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("senders.pcap");
    let path = file.to_str().expect("a plain path");
    for (count, is_reached) in [(1000, false), (320_000, true)] {
        fs::write(&file, of_senders(count)).expect("a capture");
        let output = run(&["--read", path]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(said.matches("there is memory for no more").count(), usize::from(is_reached), "{said}");
        let shown = stdout(&output).lines().filter(|line| line.ends_with(" text")).count();
        assert_eq!(shown, count as usize);
        if let Some((known, _)) = said.split_once(" senders are known") {
            let known: u32 = known.parse().expect("a number");
            assert!((290_000..320_000).contains(&known), "256 MiB hold them: {known}");
        }
    }
}
