//! A file per sender.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::model;
use crate::run::{Listening, PATIENCE, PROGRAM, capture, run, status};

#[test]
fn files_are_rotated_by_size_and_hold_everything() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().to_str().expect("a plain path");
    let arguments = ["--dir", path, "--rotate", "8K", "--keep", "20", "--quiet", "--time", "none"];
    run(&[&["--read", &capture("linux-6.12-basic.pcap")], &arguments[..]].concat());
    let mut files: Vec<PathBuf> =
        fs::read_dir(dir.path()).expect("a directory").flatten().map(|file| file.path()).collect();
    // The oldest has the highest number; the current one has none.
    files.sort_by_key(|path| {
        let number = path.extension().and_then(|number| number.to_str()?.parse::<u32>().ok()).unwrap_or(0);
        std::cmp::Reverse(number)
    });
    assert!(files.len() > 3);
    let mut all = String::new();
    for file in &files {
        let part = fs::read_to_string(file).expect("a file");
        assert!(part.len() <= 8 << 10);
        all.push_str(&part);
    }
    assert_eq!(all, fs::read_to_string(capture("linux-6.12-basic.txt")).expect("the golden text"));
}

#[test]
fn the_oldest_files_go() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().to_str().expect("a plain path");
    let arguments = ["--dir", path, "--rotate", "2K", "--keep", "2", "--quiet", "--time", "none"];
    run(&[&["--read", &capture("linux-6.12-basic.pcap")], &arguments[..]].concat());
    let names: BTreeSet<_> =
        fs::read_dir(dir.path()).expect("a directory").flatten().map(|file| file.file_name()).collect();
    assert_eq!(names, ["10.0.2.15.log", "10.0.2.15.log.1", "10.0.2.15.log.2"].map(Into::into).into());
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).expect("a file");
    let all = fs::read_to_string(capture("linux-6.12-basic.txt")).expect("the golden text");
    assert!(all.ends_with(&["10.0.2.15.log.2", "10.0.2.15.log.1", "10.0.2.15.log"].map(read).concat()));
}

/// For its owner and its group; and where somebody has put a link, what that leads to is not written.
#[test]
fn files_are_private_and_links_are_not_followed() {
    let dir = tempfile::tempdir().expect("a directory");
    let (logs, packets) = (dir.path().join("logs"), dir.path().join("all.pcap"));
    let arguments =
        ["--dir", logs.to_str().expect("a plain path"), "--pcap", packets.to_str().expect("a plain path")];
    let read = ["--read", &capture("linux-6.12-basic.pcap"), "--quiet"];
    assert_eq!(status(&[&read[..], &arguments].concat()), Some(0));
    for path in [logs.join("10.0.2.15.log"), packets.clone()] {
        let mode = fs::metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777 & !0o640, 0, "{}: {mode:o}", path.display());
    }
    let elsewhere = dir.path().join("elsewhere");
    fs::write(&elsewhere, "untouched").expect("a file");
    fs::remove_file(logs.join("10.0.2.15.log")).expect("it is there");
    symlink(&elsewhere, logs.join("10.0.2.15.log")).expect("a link");
    let output = run(&[&read[..], &arguments].concat());
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("10.0.2.15.log: it is a symbolic link"), "{errors}");
    assert_eq!(fs::read_to_string(&elsewhere).expect("it is there"), "untouched");
}

#[test]
fn a_senders_name_does_not_leave_the_directory() {
    assert_eq!(
        status(&["--read", &capture("linux-6.12-basic.pcap"), "--name", "10.0.2.15=../../x"]),
        Some(1)
    );
}

/// One that can't be written: its records are lost, and the screen, the other files and the capture go on; the end tells it.
#[test]
fn an_output_that_fails_holds_up_no_other() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = |name: &str| dir.path().join(name);
    fs::create_dir(file("full.log")).expect("a directory");
    let (path, packets) = (dir.path().to_str().expect("a plain path"), file("all.pcap"));
    let packets = packets.to_str().expect("a plain path");
    let receiver = Listening::start(
        &[
            &["--dir", path, "--name", "127.0.0.1=full", "--pcap", packets][..],
            &["--timeout", PATIENCE, "--until", "the last"],
        ]
        .concat(),
    );
    let (socket, other) = (receiver.socket(), receiver.socket());
    for sequence in 0..20 {
        socket.send(&model::datagram(sequence, "text")).expect("loopback");
        other
            .send(&model::datagram(sequence, if sequence < 19 { "text" } else { "the last" }))
            .expect("loopback");
    }
    let output = receiver.end();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 40);
    let others: Vec<_> = fs::read_dir(dir.path())
        .expect("a directory")
        .flatten()
        .filter(|file| file.file_name().to_string_lossy().starts_with("full:"))
        .collect();
    assert_eq!(fs::read_to_string(others[0].path()).expect("the other's file").lines().count(), 20);
    assert_eq!(run(&["--read", packets, "--port", &port_of(packets)]).status.code(), Some(0));
    let full = format!("{}: ", file("full.log").display());
    let said: Vec<_> = errors.lines().filter_map(|line| line.strip_prefix(&full)).collect();
    assert!(said.len() == 2 && said[0].starts_with("Is a directory"), "{errors}");
    assert!(said[1].starts_with("20 records lost: Is a directory"), "{errors}");
}

/// The port that the first datagram of a capture of the program went to.
fn port_of(packets: &str) -> String {
    let bytes = fs::read(packets).expect("a capture");
    // Behind the file's header, the packet's, IPv4's and the source port.
    let at = 24 + 16 + 20 + 2;
    u16::from_be_bytes([bytes[at], bytes[at + 1]]).to_string()
}

/// A capture and a screen that can't be written are lost, and nothing else.
#[test]
fn the_capture_and_the_screen_may_fail() {
    let dir = tempfile::tempdir().expect("a directory");
    let full = fs::File::options().write(true).open("/dev/full").expect("Linux");
    let output = Command::new(PROGRAM)
        .args(["--read", &capture("linux-6.12-basic.pcap"), "--pcap", "/dev/full", "--time", "none", "--dir"])
        .arg(dir.path())
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .expect("the program runs");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains("standard output: ") && errors.contains("/dev/full: 384 datagrams lost"),
        "{errors}"
    );
    let log = fs::read_to_string(dir.path().join("10.0.2.15.log")).expect("the sender's file");
    assert_eq!(log, fs::read_to_string(capture("linux-6.12-basic.txt")).expect("the golden text"));
}

/// The reader of the screen has gone; the files go on.
#[test]
fn a_closed_screen_does_not_end_the_files() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().to_str().expect("a plain path");
    let mut receiver = Listening::start(&["--dir", path, "--timeout", PATIENCE, "--until", "the last"]);
    drop(receiver.child.stdout.take());
    let socket = receiver.socket();
    for text in ["first", "second", "the last"] {
        let sequence = if text == "first" { 0 } else { u64::from(text == "the last") + 1 };
        socket.send(&model::datagram(sequence, text)).expect("loopback");
    }
    let output = receiver.end();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let log = fs::read_to_string(dir.path().join("127.0.0.1.log")).expect("the sender's file");
    assert_eq!(log.lines().count(), 3);
}

/// The directory vanishes while it is written: it is made again, and what went with it is said.
#[test]
fn a_directory_that_vanishes_is_made_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let logs = dir.path().join("logs");
    let path = logs.to_str().expect("a plain path");
    let receiver = Listening::start(&["--dir", path, "--timeout", PATIENCE, "--until", "the last"]);
    let (socket, log) = (receiver.socket(), logs.join("127.0.0.1.log"));
    socket.send(&model::datagram(0, "first")).expect("loopback");
    while !fs::read_to_string(&log).is_ok_and(|text| text.ends_with("first\n")) {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    fs::remove_dir_all(&logs).expect("it is ours");
    // The file is looked for once a second.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    socket.send(&model::datagram(1, "the last")).expect("loopback");
    let output = receiver.end();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(fs::read_to_string(&log).is_ok_and(|text| text.ends_with("the last\n")), "{errors}");
    assert!(errors.contains("the file was deleted") && errors.contains(" 1 records lost: "), "{errors}");
}

#[test]
fn a_name_too_long_for_a_file_is_refused() {
    let name = |length: usize| format!("10.0.2.15={}", "x".repeat(length));
    let status_of =
        |name: String| status(&["--read", &capture("linux-6.12-basic.pcap"), "--quiet", "--name", &name]);
    assert_eq!([status_of(name(200)), status_of(name(201))], [Some(0), Some(1)]);
}
