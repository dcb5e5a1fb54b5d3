//! What outlives a run: another one goes on where it was.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::run::{Listening, PATIENCE, run, stdout};

/// A machine that sends to one run after the other.
struct Machine {
    socket: UdpSocket,
    started: Instant,
}

impl Machine {
    fn new() -> Self {
        Machine { socket: UdpSocket::bind("127.0.0.1:0").expect("a socket"), started: Instant::now() }
    }

    fn send(&self, to: &Listening, sequences: impl IntoIterator<Item = u64>) {
        for sequence in sequences {
            let time = self.started.elapsed().as_micros();
            let record = format!("6,{sequence},{time},-;record {sequence}\n");
            self.socket.send_to(record.as_bytes(), ("127.0.0.1", to.port)).expect("loopback");
        }
    }
}

fn start(state: &Path, arguments: &[&str]) -> Listening {
    let always = ["--no-ncrx", "--timeout", PATIENCE, "--state", state.to_str().expect("a plain path")];
    Listening::start(&[&always[..], arguments].concat())
}

fn wait_for(state: &Path, part: &str) {
    while !fs::read_to_string(state).is_ok_and(|text| text.contains(part)) {
        thread::sleep(Duration::from_millis(10));
    }
}

/// Text without the times, which are the test's.
fn shown(text: &str) -> Vec<&str> {
    text.lines().map(|line| line.split_once("] ").map_or(line, |(_, text)| text)).collect()
}

/// Ended properly, or killed: what was had is not shown again, what came meanwhile is missing, and a reboot is one.
#[test]
fn another_run_goes_on() {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let dir = tempfile::tempdir().expect("a directory");
        let state = dir.path().join("state");
        let machine = Machine::new();
        let first = start(&state, &[]);
        machine.send(&first, 0..10);
        wait_for(&state, "\"next\":10,");
        first.signal(signal);
        first.end();
        // Records 10 to 14 go to nobody.
        let second = start(&state, &["--until", "record 16"]);
        machine.send(&second, 15..17);
        let output = second.end();
        assert_eq!(shown(stdout(&output)), ["… 5 records missing (10–14)", "record 15", "record 16"]);
        let third = start(&state, &["--until", "record 2"]);
        Machine { started: Instant::now(), ..machine }.send(&third, 0..3);
        let output = third.end();
        // Its old numbers could be the log sent again, until their times say that they are not.
        assert_eq!(shown(stdout(&output)), ["… rebooted", "record 0", "record 1", "record 2"]);
    }
}

/// What another run has shown already is a duplicate in this one.
#[test]
fn nothing_is_shown_twice() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let send = |to: &Listening, datagrams: &[&str]| {
        for datagram in datagrams {
            socket.send_to(datagram.as_bytes(), ("127.0.0.1", to.port)).expect("loopback");
        }
    };
    let first = start(&state, &["--until", "two"]);
    send(&first, &["6,0,1,-;one\n", "6,1,2,-;two\n"]);
    first.end();
    let second = start(&state, &["--until", "three", "--stats"]);
    // Its newest record announced, all of them sent as in an emergency, and then another.
    send(&second, &["6,1,2,-;two\n", "6,0,1,-,ncemg=1;one\n", "6,1,2,-,ncemg=1;two\n", "6,2,3,-;three\n"]);
    let output = second.end();
    assert_eq!(shown(stdout(&output)), ["three"], "{}", String::from_utf8_lossy(&output.stderr));
}

/// Two machines behind one address keep their names, also where the second one is heard first.
#[test]
fn names_stay() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let (one, other) = (Machine::new(), Machine::new());
    let first = start(&state, &["--until", "record 3"]);
    one.send(&first, 0..3);
    other.send(&first, 0..4);
    first.end();
    let second = start(&state, &["--until", "record 5", "--prefix", "always"]);
    other.send(&second, 4..5);
    one.send(&second, 3..6);
    let output = second.end();
    let port = other.socket.local_addr().expect("a bound socket").port();
    let names: Vec<_> = stdout(&output).lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, [&format!("127.0.0.1:{port}"), "127.0.0.1", "127.0.0.1", "127.0.0.1"]);
}

/// Another file is not overwritten, and one that can't be written tells in the status.
#[test]
fn the_file_is_ours_or_an_error() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("passwd");
    fs::write(&file, "root:x:0:0\n").expect("a file");
    let status = |path: &Path| {
        let path = path.to_str().expect("a plain path");
        let output = run(&["--bind", "127.0.0.1", "--port", "0", "--timeout", "0.1", "--state", path]);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, errors) = status(&file);
    assert!(code == Some(1) && errors.contains("this is no state file"), "{errors}");
    assert_eq!(fs::read_to_string(&file).expect("a file"), "root:x:0:0\n");
    let (code, errors) = status(&dir.path().join("missing/state"));
    assert!(code == Some(1) && errors.contains("another run can't go on from here"), "{errors}");
    assert_eq!(status(&dir.path().join("state")).0, Some(0));
}

/// What waits for an output at the end was not shown: for another run it is missing.
#[test]
fn what_was_not_written_was_not_had() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    // Much more than a pipe holds that nobody reads.
    const RECORDS: u64 = 3000;
    let text = "x".repeat(400);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let send = |to: &Listening, sequence: u64| {
        let record = format!("6,{sequence},{sequence},-;{text}\n");
        socket.send_to(record.as_bytes(), ("127.0.0.1", to.port)).expect("loopback");
    };
    let copy = dir.path().join("copy");
    let first = start(&state, &["--pcap", copy.to_str().expect("a plain path")]);
    for sequence in 0..RECORDS {
        send(&first, sequence);
        // No faster than it is taken, as not everybody may have a large buffer.
        let is_had = || fs::metadata(&copy).is_ok_and(|file| file.len() > 400 * sequence);
        while sequence % 100 == 99 && !is_had() {
            thread::sleep(Duration::from_millis(1));
        }
    }
    first.signal(Signal::SIGTERM);
    // The program ends by itself, though nobody reads.
    let first = first.end_unread();
    assert_eq!(first.status.code(), Some(1), "{}", String::from_utf8_lossy(&first.stderr));
    let written = stdout(&first).lines().filter(|line| line.ends_with(&text)).count() as u64;
    assert!((1..RECORDS).contains(&written), "{written}");
    let known = fs::read_to_string(&state).expect("a file");
    let next = known.split_once("\"next\":").and_then(|(_, rest)| rest.split(',').next());
    let next = next.and_then(|next| next.parse::<u64>().ok()).expect("a number");
    assert!((1..=written).contains(&next), "{written}: {known}");
}
