//! Outputs that fail alone, and files as a fleet keeps them.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::model;
use crate::run::{Listening, PATIENCE, PROGRAM, capture, run, stdout};

/// Waits for what the test is about, however long that takes here.
#[track_caller]
fn until(what: impl Fn() -> bool) {
    for _ in 0..24_000 {
        if what() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("it never was so");
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Nobody reads standard output: the files have all, and when it is read at last, it has all, too.
#[test]
fn a_paused_reader_holds_up_no_file() {
    const RECORDS: u64 = 20_000;
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().to_str().expect("a plain path");
    let receiver =
        Listening::start(&["--dir", path, "--timeout", PATIENCE, "--until", "the last", "--time", "none"]);
    let socket = receiver.socket();
    for sequence in 0..RECORDS {
        let text = if sequence + 1 < RECORDS { "text" } else { "the last" };
        socket.send(&model::datagram(sequence, text)).expect("loopback");
        // As much as any socket holds.
        if sequence % 100 == 99 {
            thread::sleep(Duration::from_millis(1));
        }
    }
    let log = dir.path().join("127.0.0.1.log");
    until(|| read(&log).ends_with("the last\n"));
    let in_file = read(&log);
    let output = receiver.end();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(in_file.lines().count(), 20_000);
    assert_eq!(stdout(&output), in_file);
}

/// A signal ends it all the same, and tells what was not read.
#[test]
fn a_paused_reader_does_not_hold_up_the_end() {
    ends_with_a_paused_reader(&[], |receiver| receiver.signal(Signal::SIGTERM));
}

/// Without a signal it is waited for the reader as long as that takes anything, and then 10 s.
#[test]
fn a_paused_reader_does_not_hold_up_the_end_for_ever() {
    ends_with_a_paused_reader(&["--until", "x 399$", "--crash-ok"], |_| {});
}

fn ends_with_a_paused_reader(arguments: &[&str], end: impl Fn(&Listening)) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().to_str().expect("a plain path");
    let mut receiver = Listening::start(&[&["--dir", path], arguments].concat());
    let socket = receiver.socket();
    let long = "x".repeat(800);
    // More than a pipe holds.
    for sequence in 0..400 {
        socket.send(&model::datagram(sequence, &format!("{long} {sequence}"))).expect("loopback");
    }
    let log = dir.path().join("127.0.0.1.log");
    until(|| read(&log).lines().count() == 400);
    end(&receiver);
    let status = receiver.child.wait().expect("it ends");
    let mut errors = String::new();
    receiver.child.stderr.take().expect("a pipe").read_to_string(&mut errors).expect("text");
    assert_eq!(status.code(), Some(1), "{errors}");
    assert!(
        errors.contains("standard output: ")
            && errors.contains(" records lost: it did not take them in time"),
        "{errors}"
    );
}

/// As `| head -1`: without a reader there is nothing more to do, and no further datagram is waited for.
#[test]
fn a_reader_that_goes_ends_the_run() {
    let mut receiver = Listening::start(&[]);
    let socket = receiver.socket();
    socket.send(&model::datagram(0, "first")).expect("loopback");
    let mut reader = BufReader::new(receiver.child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    reader.read_line(&mut line).expect("text");
    assert!(line.ends_with("first\n"));
    drop(reader);
    socket.send(&model::datagram(1, "second")).expect("loopback");
    assert_eq!(receiver.end().status.code(), Some(0));
}

/// A file that can't be written for a while: what was lost is told in it, and the screen has all.
#[test]
fn what_a_json_file_lost_is_told_in_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = dir.path().join("127.0.0.1.jsonl");
    let path = dir.path().to_str().expect("a plain path");
    let mut receiver =
        Listening::start(&["--json", "--dir", path, "--timeout", PATIENCE, "--until", "the last"]);
    let socket = receiver.socket();
    let mut shown = BufReader::new(receiver.child.stdout.take().expect("a pipe")).lines();
    let mut put = |sequence: u64, text: &str| {
        socket.send(&model::datagram(sequence, text)).expect("loopback");
        shown.next().expect("a line").expect("text")
    };
    put(0, "first");
    until(|| read(&log).lines().count() == 1);
    fs::remove_file(&log).expect("it is there");
    fs::create_dir(&log).expect("it is in the way");
    // The file is looked for once a second.
    thread::sleep(Duration::from_millis(1100));
    // 1 MiB waits for it.
    let long = "x".repeat(900);
    (1..=1600).for_each(|sequence| assert!(put(sequence, &long).contains("xxx")));
    fs::remove_dir(&log).expect("it is empty");
    until(|| log.is_file());
    put(1601, "the last");
    let output = receiver.end();
    assert_eq!(output.status.code(), Some(1));
    let lines: Vec<Value> =
        read(&log).lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    let lost: Vec<_> = lines.iter().filter(|line| line["event"] == "lost").collect();
    let counts: Vec<_> = lost.iter().map(|line| line["count"].as_u64().expect("a number")).collect();
    let records = lines.iter().filter(|line| line["event"] == "record").count() as u64;
    assert_eq!(counts.iter().sum::<u64>() + records, 1602, "{counts:?}");
    assert!(counts.iter().sum::<u64>() > 100 && records > 500, "{counts:?}");
    assert!(lost.iter().all(|line| line["sender"] == "receiver" && line["reason"].is_string()), "{lost:?}");
}

/// As logrotate does it: the file is moved, then comes the signal.
#[test]
fn sighup_opens_files_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let (log, moved) = (dir.path().join("127.0.0.1.log"), dir.path().join("moved"));
    let packets = dir.path().join("all.pcap");
    let receiver = Listening::start(&[
        "--dir",
        dir.path().to_str().expect("a plain path"),
        "--pcap",
        packets.to_str().expect("a plain path"),
        "--timeout",
        PATIENCE,
        "--until",
        "the last",
        "--sync",
        "always",
    ]);
    let socket = receiver.socket();
    socket.send(&model::datagram(0, "first")).expect("loopback");
    until(|| read(&log).ends_with("first\n") && packets.metadata().is_ok_and(|file| file.len() > 24));
    fs::rename(&log, &moved).expect("it is there");
    fs::rename(&packets, dir.path().join("moved.pcap")).expect("it is there");
    receiver.signal(Signal::SIGHUP);
    until(|| packets.exists());
    socket.send(&model::datagram(1, "the last")).expect("loopback");
    let output = receiver.end();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(read(&moved).ends_with("first\n") && read(&log).ends_with("the last\n"));
    assert_eq!(read(&log).lines().count(), 1);
    let datagrams = |name: &str| fs::metadata(dir.path().join(name)).expect("a file").len();
    assert!(datagrams("all.pcap") > 24 && datagrams("moved.pcap") > 24);
}

/// What was in the files when it was killed is there once, and what half a line was is gone.
#[test]
fn after_kill_9_each_line_is_there_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().to_str().expect("a plain path");
    let log = dir.path().join("127.0.0.1.log");
    let mut receiver = Listening::start(&["--dir", path, "--time", "none"]);
    let socket = receiver.socket();
    (0..100).for_each(|sequence| {
        socket.send(&model::datagram(sequence, &format!("line {sequence}."))).expect("loopback");
    });
    until(|| read(&log).lines().count() == 100);
    receiver.child.kill().expect("it runs");
    receiver.child.wait().expect("it ends");
    // As a kill in the middle of a write leaves it.
    let whole = read(&log);
    fs::write(&log, format!("{whole}[    0.0010")).expect("a file");
    let receiver =
        Listening::start(&["--dir", path, "--time", "none", "--timeout", PATIENCE, "--until", "the last"]);
    let socket = receiver.socket();
    socket.send(b"the last\n").expect("loopback");
    assert_eq!(receiver.end().status.code(), Some(0));
    assert_eq!(read(&log), format!("{whole}the last\n"));
}

#[test]
fn files_are_rotated_by_age() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = |name: &str| read(&dir.path().join(format!("127.0.0.1/netconsole.log{name}")));
    let arguments =
        ["--dir", dir.path().to_str().expect("a plain path"), "--rotate-every", "1s", "--dir-per-sender"];
    let receiver =
        Listening::start(&[&arguments[..], &["--timeout", PATIENCE, "--until", "the last"]].concat());
    let socket = receiver.socket();
    socket.send(&model::datagram(0, "first")).expect("loopback");
    until(|| log("").ends_with("first\n"));
    thread::sleep(Duration::from_millis(1100));
    socket.send(&model::datagram(1, "the last")).expect("loopback");
    assert_eq!(receiver.end().status.code(), Some(0));
    assert!(log(".1").ends_with("first\n") && log("").ends_with("the last\n"));
}

#[test]
fn rotated_files_are_compressed() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().to_str().expect("a plain path");
    let arguments =
        ["--dir", path, "--rotate", "8K", "--keep", "20", "--quiet", "--time", "none", "--compress"];
    run(&[&["--read", &capture("linux-6.12-basic.pcap")], &arguments[..]].concat());
    let mut all = Vec::new();
    let log = |number: u32| dir.path().join(format!("10.0.2.15.log.{number}.zst"));
    let oldest = (1..).find(|&number| !log(number).exists()).expect("few");
    assert!(oldest > 3);
    for number in (1..oldest).rev() {
        let file = File::open(log(number)).expect("a file");
        ruzstd::decoding::StreamingDecoder::new(file)
            .expect("zstd")
            .read_to_end(&mut all)
            .expect("it is whole");
    }
    all.extend(fs::read(dir.path().join("10.0.2.15.log")).expect("the newest"));
    assert_eq!(
        String::from_utf8_lossy(&all),
        fs::read_to_string(capture("linux-6.12-basic.txt")).expect("the golden text")
    );
    let others = fs::read_dir(dir.path()).expect("a directory").count();
    assert_eq!(others, oldest as usize, "nothing else is left");
}

/// Each line, as also those that the receiver says itself.
#[test]
fn every_line_of_text_has_the_time_of_receipt() {
    let lines = |time: &str, zone: &str| {
        let mut command = Command::new(PROGRAM);
        command.args(["--read", &capture("linux-6.12-extended.pcap"), "--time", time, "--prefix", "always"]);
        let output = command.env("TZ", zone).output().expect("the program runs");
        stdout(&output).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    for (time, zone, beginning, end) in [
        ("utc", "CET-1", "2026-11-24 13:34:", "Z 10.0.2.15 "),
        ("local", "CET-1", "2026-11-24 14:34:", " 10.0.2.15 "),
        ("rfc3339", "CET-1", "2026-11-24T14:34:", "+01:00 10.0.2.15 "),
    ] {
        let lines = lines(time, zone);
        assert!(lines.len() > 393);
        let is_so = |line: &String| {
            let rest = line.strip_prefix(beginning).and_then(|rest| rest.get("27.981344".len()..));
            rest.is_some_and(|rest| rest.starts_with(end))
        };
        assert_eq!(lines.iter().find(|line| !is_so(line)), None, "{time}");
    }
    let relative = lines("relative", "UTC0");
    assert!(relative[0].starts_with("     0.000000 10.0.2.15 "), "{}", relative[0]);
    assert!(lines("none", "UTC0").iter().all(|line| line.starts_with("10.0.2.15 ")));
}

/// In files it is there without being asked for.
#[test]
fn lines_of_files_have_the_time_of_receipt() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().to_str().expect("a plain path");
    let output = run(&["--read", &capture("linux-6.12-basic.pcap"), "--dir", path]);
    let log = read(&dir.path().join("10.0.2.15.log"));
    assert!(log.lines().count() > 300 && log.lines().all(|line| line.starts_with("2026-11-")));
    assert!(stdout(&output).lines().all(|line| !line.starts_with("2026-11-")));
}
