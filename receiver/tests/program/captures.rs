//! Captures: Linux's give what Linux logged, ours read as they were written.

use std::fs;
use std::process::Command;

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
