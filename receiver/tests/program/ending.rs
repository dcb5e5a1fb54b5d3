//! How a run ends, and with which exit status.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::model;
use crate::run::{Listening, PATIENCE, PROGRAM, capture, run, status, stdout};

#[test]
fn exit_statuses_are_as_documented() {
    let extended = capture("linux-6.12-extended.pcap");
    assert_eq!(status(&["--read", &extended, "--until", "network logging started"]), Some(0));
    assert_eq!(status(&["--no-such-option"]), Some(1));
    assert_eq!(status(&["--read", "/no/such/file"]), Some(1));
    assert_eq!(status(&["--read", &extended, "--until", "("]), Some(1));
    assert_eq!(status(&["--read", &extended, "--elf", "/etc/passwd"]), Some(1));
    assert_eq!(status(&["--port", "0", "--join", "127.0.0.1"]), Some(1), "no multicast group");
    assert_eq!(status(&["--read", &extended, "--fail-on", "Trigger a crash"]), Some(2));
    // The crash comes before the end, which does not match.
    assert_eq!(status(&["--read", &extended, "--until", "never logged"]), Some(2));
    assert_eq!(status(&["--read", &extended, "--until", "never logged", "--crash-ok"]), Some(3));
    assert_eq!(status(&["--port", "0", "--timeout", "0.1", "--until", "never"]), Some(3));
    assert_eq!(status(&["--port", "0", "--timeout", "0.1"]), Some(0));
}

#[test]
fn a_line_without_an_answer_is_told_of() {
    let nobody = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let to = nobody.local_addr().expect("a bound socket").to_string();
    let mut child = Command::new(PROGRAM)
        .args(["--bind", "127.0.0.1", "--port", "0", "--console", &to])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut input = child.stdin.take().expect("a pipe");
    let too_long = "x".repeat(1001);
    write!(input, "{too_long}\nuptime\n").expect("the program reads");
    drop(input);
    let began = Instant::now();
    let output = child.wait_with_output().expect("the program ends");
    // After 5 s without an answer, and not when the run looks around for the next time.
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    assert_eq!(output.status.code(), Some(5));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("longer than 1000 bytes") && errors.contains(&format!("no answer from {to}")));
    let mut line = [0; 2000];
    let length = nobody.recv(&mut line).expect("what was sent");
    assert_eq!(line[..length], *b"uptime");
}

#[test]
fn complete_is_about_missing_records() {
    let status = |level: u8, numbers: [u64; 3], arguments: &[&str]| {
        let always = ["--complete", "--no-ncrx", "--timeout", PATIENCE, "--until", "last"];
        let receiver = Listening::start(&[&always[..], arguments].concat());
        let socket = receiver.socket();
        for (sequence, text) in numbers.into_iter().chain([numbers[2] + 1]).zip(["", "", "", "last"]) {
            socket.send(format!("{level},{sequence},{sequence},-;{text}\n").as_bytes()).expect("loopback");
        }
        let output = receiver.end();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let whole = [0, 1, 2];
    for (numbers, expected) in [(whole, 0), ([0, 2, 3], 4), ([7000, 7001, 7002], 4)] {
        assert_eq!(status(7, numbers, &[]).0, Some(expected), "{numbers:?}");
        assert_eq!(status(7, numbers, &["--skips-ok"]).0, Some(expected), "{numbers:?}");
    }
    // Nothing tells whether the level held them back.
    assert_eq!([status(4, whole, &[]).0, status(4, [0, 2, 3], &["--skips-ok"]).0], [Some(0), Some(0)]);
    let (code, errors) = status(4, [0, 2, 5], &[]);
    assert_eq!(code, Some(4));
    assert!(errors.contains("3 numbers were skipped: held back by the sender's level, or lost"), "{errors}");
}

/// Whatever a run was to wait for, it says what it listens on, and in the end what did not come.
#[test]
fn silence_is_explained() {
    let errors = |arguments: &[&str]| String::from_utf8_lossy(&run(arguments).stderr).into_owned();
    let nothing = errors(&["--bind", "127.0.0.1", "--port", "0", "--timeout", "0.1", "--until", "never"]);
    let lines: Vec<_> = nothing.lines().collect();
    assert!(lines[0].starts_with("listening on 127.0.0.1:"), "{nothing}");
    assert_eq!(lines[1], "nothing matched 'never' within 0.1 s");
    assert!(lines[2].starts_with("no datagram came to port 0 within 0.1 s: "), "{nothing}");

    let receiver = Listening::start(&["--until", "never", "--timeout", "1"]);
    receiver.socket().send(&model::datagram(0, "text")).expect("loopback");
    let output = receiver.end();
    let errors_there = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors_there.ends_with("nothing matched 'never' within 1 s; 1 records came from 127.0.0.1\n"));

    let extended = capture("linux-6.12-extended.pcap");
    let other_port = errors(&["--read", &extended, "--port", "7"]);
    assert!(
        other_port.contains("no datagram to port 7; most went to port 6666, 393 datagrams"),
        "{other_port}"
    );

    let taken = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let port = taken.local_addr().expect("a bound socket").port().to_string();
    let in_use = errors(&["--bind", "127.0.0.1", "--port", &port]);
    assert!(in_use.contains("another program listens there"), "{in_use}");
    let foreign = errors(&["--bind", "192.0.2.1", "--port", &port]);
    assert!(foreign.contains("--bind takes an address of this host"), "{foreign}");
}

/// Each status but 0 has its words.
#[test]
fn a_failure_is_explained() {
    let extended = capture("linux-6.12-extended.pcap");
    let errors = |arguments: &[&str]| {
        let output = run(&[&["--read", &extended], arguments].concat());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert_eq!(errors(&["--fail-on", "Trigger a crash"]), "--fail-on matched a record of 10.0.2.15\n");
    assert_eq!(errors(&["--until", "never"]), "a crash report came from 10.0.2.15\n");
    assert_eq!(errors(&[]), "");
    let receiver = Listening::start(&["--complete", "--no-ncrx", "--timeout", PATIENCE, "--until", "last"]);
    let socket = receiver.socket();
    socket.send(b"7,0,0,-;first\n").expect("loopback");
    socket.send(b"7,2,20,-;last\n").expect("loopback");
    let output = receiver.end();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        errors.ends_with("not complete: of 127.0.0.1 1 records are missing, 0 are incomplete\n"),
        "{errors}"
    );
}

#[test]
fn a_report_is_taken_to_its_end_before_the_program_fails() {
    let receiver = Listening::start(&["--timeout", PATIENCE]);
    let socket = receiver.socket();
    for (sequence, text) in
        [(0, "Kernel panic - not syncing: test"), (1, "further"), (2, "the end of the report")]
    {
        socket.send(format!("0,{sequence},1,-;{text}\n").as_bytes()).expect("loopback");
        thread::sleep(Duration::from_millis(50));
    }
    let output = receiver.end();
    assert_eq!(output.status.code(), Some(2));
    assert!(stdout(&output).contains("… crash report from 127.0.0.1\n"));
    assert!(stdout(&output).ends_with("the end of the report\n"));
}

#[test]
fn a_signal_ends_with_everything_written_and_another_shows_the_counts() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().to_str().expect("a plain path");
        let mut receiver =
            Listening::start(&["--dir", path, "--name", "127.0.0.1=board7", "--quiet", "--time", "none"]);
        let socket = receiver.socket();
        // Record 1 is missing: the last is held back when the signal comes.
        for sequence in [0, 2] {
            socket.send(&model::datagram(sequence, "text")).expect("loopback");
        }
        receiver.signal(Signal::SIGUSR1);
        let mut stats = String::new();
        let errors = receiver.child.stderr.as_mut().expect("a pipe");
        let mut errors = BufReader::new(errors);
        errors.read_line(&mut stats).expect("what it listens on");
        assert_eq!(stats, format!("listening on 127.0.0.1:{}\n", receiver.port));
        stats.clear();
        errors.read_line(&mut stats).expect("counts");
        assert!(stats.contains(" records, ") || stats == "nothing received\n", "{stats}");
        receiver.signal(signal);
        assert_eq!(receiver.end().status.code(), Some(0));
        let log = fs::read_to_string(dir.path().join("board7.log")).expect("the sender's file");
        assert_eq!(
            log,
            "[    0.000000] text\n… 1 number skipped: held back by the sender's level, or lost (1)\n[    0.000020] text\n"
        );
    }
}

/// A kind of report makes a run fail where that is asked for; a crash does without.
#[test]
fn reports_fail_by_their_kind() {
    let run = |report: &[&str], arguments: &[&str]| {
        let receiver = Listening::start(&[&["--timeout", PATIENCE, "--until", "last"], arguments].concat());
        let socket = receiver.socket();
        for (sequence, text) in report.iter().chain(&["last"]).enumerate() {
            socket.send(format!("4,{sequence},{sequence},-;{text}\n").as_bytes()).expect("loopback");
        }
        let output = receiver.end();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let warning = [
        "------------[ cut here ]------------",
        "WARNING: CPU: 1 PID: 86 at lib/refcount.c:28 refcount_warn_saturate+0xba/0x110",
        "---[ end trace 0000000000000000 ]---",
    ];
    assert_eq!(run(&warning, &[]).0, Some(0));
    let (status, errors) = run(&warning, &["--fail-on", "oom", "--fail-on", "warning"]);
    assert_eq!(status, Some(2), "{errors}");
    assert!(errors.contains("--fail-on warning: a report came from 127.0.0.1"), "{errors}");
    assert_eq!(run(&["kernel BUG at mm/slub.c:448!"], &[]).0, Some(2));
    assert_eq!(run(&["reboot: Restarting system"], &["--fail-on", "panic"]).0, Some(0));
}

/// The command gets the whole report and what it is about, once for each.
#[test]
fn a_command_gets_each_report() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("reports");
    let command = format!(
        "{{ echo \"$NETCONSOLE_KIND of $NETCONSOLE_SENDER: $NETCONSOLE_TITLE\"; cat; echo .; }} >> {}",
        file.display()
    );
    let extended = capture("linux-6.12-extended.pcap");
    let output = run(&["--read", &extended, "--on-crash", &command, "--name", "10.0.2.15=vm", "--quiet"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let reports = fs::read_to_string(file).expect("the command's file");
    let lines: Vec<_> = reports.lines().collect();
    assert_eq!(lines[0], "panic of vm: Kernel panic - not syncing: sysrq triggered crash");
    assert!(lines[1].ends_with("] Kernel panic - not syncing: sysrq triggered crash"), "{reports}");
    assert_eq!(lines.iter().filter(|line| **line == ".").count(), 1);
    let last = lines[lines.len() - 2];
    assert!(last.contains("Kernel Offset: 0x32400000"), "{reports}");
}
