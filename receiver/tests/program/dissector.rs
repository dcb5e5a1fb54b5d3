//! The Wireshark dissector, by tshark, on Linux's captures and on one made here. tshark is needed: the scripts
//! install it (`apt-get install tshark`).

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use netconsole_receiver::pcap::{self, header};
use serde_json::Value;

use crate::run::{capture, run, stdout};

const SEPARATOR: char = '\u{1f}';

/// The given fields of each frame, as tshark shows them.
fn tshark(capture: &str, filter: &str, fields: &[&str]) -> Vec<Vec<String>> {
    let script = concat!("lua_script:", env!("CARGO_MANIFEST_DIR"), "/netconsole.lua");
    // Two passes, as the graphical program makes them: a fragment names the frame that completes it.
    let mut command = Command::new("tshark");
    command.args([
        "-2",
        "-X",
        script,
        "-r",
        capture,
        "-Y",
        filter,
        "-T",
        "fields",
        "-E",
        &format!("separator={SEPARATOR}"),
    ]);
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.output().expect("tshark is installed: apt-get install tshark");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tshark: {errors}");
    assert!(!errors.contains("Lua"), "tshark: {errors}");
    let lines = String::from_utf8(output.stdout).expect("text");
    lines.lines().map(|line| line.split(SEPARATOR).map(str::to_owned).collect()).collect()
}

#[test]
fn linux_extended_capture_as_the_receiver_reads_it() {
    let path = capture("linux-6.12-extended.pcap");
    let fields = ["format", "release", "level", "facility", "sequence", "timestamp", "text"];
    let fields = fields.map(|field| format!("netconsole.{field}"));
    let rows = tshark(&path, "netconsole", &fields.each_ref().map(String::as_str));
    let program = run(&["--read", &path, "--json"]);
    let records = stdout(&program).lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let records: Vec<_> = records.filter(|record| record["event"] == "record").collect();
    assert_eq!((rows.len(), records.len()), (393, 393));
    for (row, record) in rows.iter().zip(&records) {
        let keys = ["format", "release", "level", "facility", "sequence", "timestamp_us"];
        let expected =
            keys.map(|key| record[key].as_str().map_or_else(|| record[key].to_string(), str::to_owned));
        assert_eq!(row[..6], expected);
        // tshark escapes what it shows; the texts with such characters are compared above, by the receiver's tests.
        let text = record["text"].as_str().expect("a text");
        if text.chars().all(|character| character.is_ascii_graphic() || character == ' ')
            && !text.contains('\\')
        {
            assert_eq!(row[6], text);
        }
    }
}

#[test]
fn linux_basic_capture() {
    let rows =
        tshark(&capture("linux-6.12-basic.pcap"), "netconsole.format == \"basic\"", &["netconsole.text"]);
    assert_eq!(rows.len(), 384);
    assert!(
        rows.iter().any(|row| row[0] == "[    4.049602] Kernel panic - not syncing: sysrq triggered crash")
    );
}

#[test]
fn fragments_fields_and_ncrx() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("made.pcap");
    write(&path);
    let path = path.to_str().expect("a plain path");

    let whole = tshark(
        path,
        "netconsole.text",
        &["frame.number", "netconsole.sequence", "netconsole.text", "netconsole.field"],
    );
    assert_eq!(
        whole,
        [
            ["2", "416", "the first chunk, the 2nd chunk.", "KEY=value"],
            ["3", "18446744073709551614", "x", ""]
        ]
    );
    let part = tshark(
        path,
        "netconsole.reassembled_in",
        &["frame.number", "netconsole.reassembled_in", "netconsole.fragment.offset"],
    );
    assert_eq!(part, [["1", "2", "16"]]);
    let emergency = tshark(path, "netconsole.emergency == 1", &["frame.number"]);
    assert_eq!(emergency, [["3"]]);
    let held = tshark(path, "netconsole.held", &["netconsole.held", "netconsole.behind"]);
    assert_eq!(held, [["12", "3"]]);
    let ncrx = tshark(path, "netconsole.ncrx.ack", &["netconsole.ncrx.ack", "netconsole.ncrx.missing"]);
    assert_eq!(ncrx, [["416", "419,420,433"], ["18446744073709551615", "0"]]);
    let malformed = tshark(path, "netconsole.malformed", &["frame.number"]);
    assert_eq!(malformed, [["6"]]);
}

fn write(path: &Path) {
    let sender: SocketAddr = "10.0.0.5:6665".parse().expect("an address");
    let receiver: SocketAddr = "10.0.0.2:6666".parse().expect("an address");
    let datagrams: [(SocketAddr, SocketAddr, &[u8]); 6] = [
        (sender, receiver, b"6,416,1758426,-,ncfrag=16/42; the 2nd chunk.\n KEY=value"),
        (sender, receiver, b"6,416,1758426,-,ncfrag=0/42;the first chunk,"),
        (sender, receiver, b"0.1.0,6,18446744073709551614,1,-,held=12,behind=3,ncemg=1;x\n"),
        (receiver, sender, b"ncrx416 419 420 433"),
        (receiver, sender, b"ncrx18446744073709551615 0"),
        (sender, receiver, b"6,417,1758427,-,ncfrag=9/10;too long"),
    ];
    let mut capture = header();
    for (from, to, datagram) in datagrams {
        pcap::write(&mut capture, Duration::from_secs(1_700_000_000), from, to, datagram);
    }
    fs::write(path, capture).expect("a file");
}
