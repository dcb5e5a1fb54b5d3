//! Every kind of sender's datagrams as they are sent, and what is shown of them: tests/samples/.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use netconsole_receiver::pcap;

use crate::run::{run, stdout};

const START: Duration = Duration::from_secs(1_795_555_343);

/// The kinds of senders that are read, each a file.
const KINDS: [&str; 17] = [
    "cisco",
    "console-msg-format-syslog",
    "esxi",
    "extended-continuation",
    "ftd",
    "iso-time",
    "json",
    "long-lines",
    "octet-counted",
    "printk-caller",
    "raspberry-pi",
    "rfc3164",
    "rfc5424",
    "rsyslog-relay",
    "talos",
    "u-boot",
    "unended",
];

fn samples() -> Vec<PathBuf> {
    let folder = format!("{}/tests/samples", env!("CARGO_MANIFEST_DIR"));
    let files =
        fs::read_dir(folder).expect("the folder of samples").map(|entry| entry.expect("a file").path());
    let mut samples: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|ending| ending == "datagrams")).collect();
    samples.sort();
    samples
}

/// The bytes that are written with escapes.
fn bytes(written: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = written;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        if character != '\\' {
            bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let escape = rest.chars().next().expect("an escape");
        rest = &rest[1..];
        match escape {
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            'b' => bytes.push(8),
            'e' => bytes.push(0x1b),
            '\\' => bytes.push(b'\\'),
            'x' => {
                bytes.push(u8::from_str_radix(&rest[..2], 16).expect("two hexadecimal digits"));
                rest = &rest[2..];
            }
            '{' => {
                let (repeated, tail) = rest.split_once('}').expect("{COUNT*TEXT}");
                let (count, text) = repeated.split_once('*').expect("COUNT*TEXT");
                bytes.extend(text.repeat(count.parse().expect("a count")).bytes());
                rest = tail;
            }
            other => panic!("\\{other} is no escape"),
        }
    }
    bytes
}

/// When each datagram comes, and its bytes.
fn datagrams(sample: &str) -> Vec<(u64, Vec<u8>)> {
    let mut datagrams = Vec::new();
    for line in sample.lines().filter(|line| !line.starts_with('#')) {
        let (time, written) = line.split_once(' ').expect("TIME BYTES");
        let bytes = bytes(written);
        match time.strip_prefix('~') {
            Some(time) => {
                let time: u64 = time.parse().expect("milliseconds");
                datagrams.extend(bytes.iter().map(|&byte| (time, vec![byte])));
            }
            None => datagrams.push((time.parse().expect("milliseconds"), bytes)),
        }
    }
    datagrams
}

fn capture(datagrams: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let from = SocketAddr::from((Ipv4Addr::new(10, 0, 0, 5), 6665));
    let to = SocketAddr::from((Ipv4Addr::new(10, 0, 0, 2), 6666));
    let mut capture = pcap::header();
    for (time, bytes) in datagrams {
        pcap::write(&mut capture, START + Duration::from_millis(*time), from, to, bytes);
    }
    capture
}

#[track_caller]
fn compare(expected: &Path, seen: &str) {
    if std::env::var_os("BLESS").is_some() {
        fs::write(expected, seen).expect("the folder of samples can be written");
    }
    let name = expected.display();
    let expected = fs::read_to_string(expected).unwrap_or_default();
    assert!(expected == seen, "{name} is not what is shown:\n{seen}\nBLESS=1 writes it there");
}

#[test]
fn every_sender_is_shown_as_expected() {
    let samples = samples();
    let kinds: Vec<_> = samples.iter().filter_map(|path| path.file_stem()).collect();
    assert_eq!(kinds, KINDS);
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("sample.pcap");
    let path = file.to_str().expect("a plain path");
    for sample in samples {
        let text = fs::read_to_string(&sample).expect("a sample");
        fs::write(&file, capture(&datagrams(&text))).expect("a capture");
        let shown = run(&["--read", path, "--fields"]);
        assert_eq!(shown.status.code(), Some(0), "{}: {shown:?}", sample.display());
        compare(&sample.with_extension("txt"), stdout(&shown));
        compare(&sample.with_extension("json"), stdout(&run(&["--read", path, "--json"])));
    }
}
