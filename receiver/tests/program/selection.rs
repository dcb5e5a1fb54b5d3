//! A part of what was received: by time, machine and text, of captures and of files that were written.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use netconsole_receiver::pcap;

use crate::run::{PROGRAM, run, stdout};

/// Two machines, a record a minute from 2026-11-24T21:00:00Z on.
fn capture(path: &Path) {
    let mut bytes = pcap::header().to_vec();
    for minute in 0..10u64 {
        let at = Duration::from_secs(1_795_554_000 + 60 * minute);
        for host in [5, 6] {
            let from = SocketAddr::from(([10, 0, 0, host], 6665));
            let record = format!("6,{minute},{},-;host {host} minute {minute}\n", minute * 60_000_000);
            pcap::write(&mut bytes, at, from, ([10, 0, 0, 1], 6666).into(), record.as_bytes());
        }
    }
    fs::write(path, bytes).expect("a file");
}

/// What is shown of a file with these options, without the times.
fn shown(file: &Path, options: &[&str]) -> Vec<String> {
    let output = run(&[&["--read", file.to_str().expect("text")], options].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text =
        |line: &str| line.get(line.find("host ")?..).map(|text| text.trim_end_matches("\"}").to_owned());
    stdout(&output).lines().filter_map(text).collect()
}

/// Asked of a capture, and of the text, the JSON and the compressed file that were written of it: the same.
#[test]
fn a_part_of_captures_and_of_written_files() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name);
    let directory = dir.path().to_str().expect("text");
    capture(&path("all.pcap"));
    let all = path("all.pcap");
    for form in [&["--prefix", "always"][..], &["--json"]] {
        let options = [
            "--read",
            all.to_str().expect("text"),
            "--quiet",
            "--dir",
            directory,
            "--name",
            "10.0.0.6=board6",
        ];
        assert_eq!(run(&[&options[..], form].concat()).status.code(), Some(0));
    }
    let text = fs::read(path("10.0.0.5.log")).expect("a file");
    let compressed =
        ruzstd::encoding::compress_to_vec(&text[..], ruzstd::encoding::CompressionLevel::Fastest);
    fs::write(path("10.0.0.5.log.1.zst"), compressed).expect("a file");

    let between = ["--since", "2026-11-24T21:02:00Z", "--until-time", "2026-11-24T21:05:00Z"];
    let expected = |host: u8, minutes: &[u8]| -> Vec<String> {
        minutes.iter().map(|minute| format!("host {host} minute {minute}")).collect()
    };
    let of_five =
        [&between[..], &["--host", "10.0.0.0/24", "--host", "board7", "--grep", "minute [24]"]].concat();
    for name in ["10.0.0.5.log", "10.0.0.5.jsonl", "10.0.0.5.log.1.zst"] {
        assert_eq!(shown(&path(name), &of_five), expected(5, &[2, 4]), "{name}");
        assert_eq!(shown(&path(name), &["--host", "10.0.0.6"]), [""; 0], "{name}");
    }
    for name in ["board6.log", "board6.jsonl"] {
        assert_eq!(
            shown(&path(name), &[&between[..], &["--host", "board6"]].concat()),
            expected(6, &[2, 3, 4])
        );
        assert_eq!(shown(&path(name), &["--host", "board7"]), [""; 0], "{name}");
    }
    assert_eq!(shown(&all, &[&between[..], &["--host", "10.0.0.5"]].concat()), expected(5, &[2, 3, 4]));
    assert_eq!(shown(&all, &[&of_five[..], &["--host", "10.0.0.6"]].concat()).len(), 4);
    // A run sees nothing else: what is not wanted is neither missing nor a success.
    let output =
        run(&["--read", all.to_str().expect("text"), "--host", "10.0.0.5", "--until", "host 6", "--json"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(!stdout(&output).contains("10.0.0.6"));
    // What a written file can't do is no silent success.
    let log = path("board6.log");
    for option in [
        "--fail-on=host",
        "--time=rfc3339",
        "--fields",
        "--name=10.0.0.6=x",
        "--name-from=dhcp",
        "--key-file=/no",
        "--prefix=never",
        "--color=always",
    ] {
        let output = run(&["--read", log.to_str().expect("text"), option]);
        assert_eq!((output.status.code(), stdout(&output)), (Some(1), ""), "{option}");
        let name = option.split('=').next().expect("a word");
        let expected = format!("{name} is for captures");
        assert!(String::from_utf8_lossy(&output.stderr).contains(&expected), "{output:?}");
    }
    // A capture is no text, also where text is asked for.
    let (old, new) = (crate::run::capture("linux-6.12-extended.pcap"), path("new.pcapng"));
    let new = new.to_str().expect("text");
    let output =
        Command::new("tshark").args(["-r", &old, "-F", "pcapng", "-w", new]).output().expect("tshark");
    assert!(output.status.success(), "{output:?}");
    let shown_so = run(&["--read", new, "--elf", PROGRAM]);
    assert!(stdout(&shown_so).lines().count() > 10 && !stdout(&shown_so).contains('\0'), "{shown_so:?}");
    // A time that is none.
    let output = run(&["--read", all.to_str().expect("text"), "--since", "yesterday"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("expected a time: 2026-11-24T21:22:23Z"));
}

/// On a terminal it is said how far a long file is read.
#[test]
fn progress_is_shown_on_a_terminal() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("slow.pcap");
    capture(&path);
    // A long file with little of ours in it.
    let mut bytes = fs::read(&path).expect("a file");
    let mut packet = Vec::new();
    let (from, to) = (SocketAddr::from(([10, 0, 0, 9], 1)), SocketAddr::from(([10, 0, 0, 1], 2)));
    pcap::write(&mut packet, Duration::from_secs(1_795_554_000), from, to, &[0; 1400]);
    while bytes.len() < 65 << 20 {
        bytes.extend_from_slice(&packet);
    }
    fs::write(&path, bytes).expect("a file");
    let command = format!("{PROGRAM} --read {} >/dev/null", path.display());
    let output = Command::new("script")
        .args(["--quiet", "--command", &command, "/dev/null"])
        .output()
        .expect("script");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains(" % of 0.1 GB read, "), "{text}");
}
