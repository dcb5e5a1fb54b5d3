//! JSON output: what the manual says of it.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Instant;

use netconsole_receiver::limits;
use netconsole_receiver::manual::{self, Section};
use serde_json::Value;

use crate::run::{Listening, PATIENCE, PROGRAM, capture, run, stdout};
use crate::symbols::function_and_build_id;

#[test]
fn json_has_the_documented_fields() {
    let output = run(&["--read", &capture("linux-6.12-extended.pcap"), "--json", "--name", "10.0.2.15=vm"]);
    let lines: Vec<Value> =
        stdout(&output).lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    let records: Vec<_> = lines.iter().filter(|line| line["event"] == "record").collect();
    assert_eq!(records.len(), 393);
    assert!(records.iter().zip(0..).all(|(record, sequence)| record["sequence"] == sequence));
    let panic = records.iter().find(|record| record["sequence"] == 357).expect("the panic");
    assert_eq!(panic["text"], "Kernel panic - not syncing: sysrq triggered crash");
    assert_eq!((&panic["level"], &panic["facility"], &panic["crash"]), (&0.into(), &0.into(), &true.into()));
    assert_eq!(
        (&panic["sender"], &panic["address"], &panic["port"]),
        (&"vm".into(), &"10.0.2.15".into(), &6665.into())
    );
    assert_eq!((&panic["format"], &panic["timestamp_us"]), (&"extended".into(), &3_729_959.into()));
    assert_eq!(panic["release"], "6.12.117+deb12-cloud-amd64");
    assert_eq!(panic["received"].as_str().map(str::len), Some("2026-11-24T13:34:27.981344Z".len()));
    let user = records.iter().find(|record| record["sequence"] == 353).expect("user space's record");
    assert_eq!((&user["level"], &user["facility"]), (&1.into(), &1.into()));
    let device =
        records.iter().find(|record| record["fields"]["SUBSYSTEM"] == "acpi").expect("a device's record");
    assert_eq!(device["fields"]["DEVICE"], "+acpi:PNP0A03:00");
    assert!(lines.iter().any(|line| line["event"] == "crash"));
}

/// The terms of a part of the manual.
fn documented(title: &str) -> BTreeSet<String> {
    let is_it = |section: &&Section| section.title == title;
    let section = manual::SECTIONS.iter().find(is_it).expect("the manual has it");
    section.terms.iter().map(|(term, _)| term.to_string()).collect()
}

/// Datagrams that make every kind of event with every field: what comes out is what the manual says, no more
/// and no less.
#[test]
fn every_json_field_is_documented_and_every_documented_one_exists() {
    let arguments = ["--json", "--elf", PROGRAM, "--no-ncrx", "--until", "the last", "--crash-ok"];
    let receiver = Listening::start(&[&arguments[..], &["--timeout", PATIENCE]].concat());
    let (socket, other, syslog) = (receiver.socket(), receiver.socket(), receiver.socket());
    let send = |datagram: &str| socket.send(datagram.as_bytes()).expect("loopback");
    send("1.2.3,6,0,1,-,caller=T1;first\n KEY=value\n");
    // Nothing continues it, and the log goes on.
    send("6,4611686018427387904,1,-;stray\n");
    // Longer than a gap may wait.
    send("6,2,3,c,caller=T1;after a gap\n");
    send("6,3,4,-,ncfrag=0/11;hello ");
    thread::sleep(limits::REORDER_WAIT * 3);
    send("6,1,2,-;late\n");
    // Who sends debug records holds nothing back.
    send("7,6,5,-;debug\n");
    send("7,8,5,-;after a loss\n");
    thread::sleep(limits::REORDER_WAIT * 3);
    syslog.send(b"<4>1 2026-11-24T21:22:23Z board7 kernel 7 ID1 [x@1 held=\"2\"] text").expect("loopback");
    let joined_at = Instant::now();
    other.send(b"6,7000,0,-;joined\n").expect("loopback");
    // A report, with the address of any code of the file.
    let (code, _) = function_and_build_id();
    send("0,9,6,-;Kernel panic - not syncing: test\n");
    send(&format!("0,10,7,-; [<{:016x}>] work+0x1/0x2\n", code + 1));
    // Two records from the beginning: a new boot.
    thread::sleep(limits::BOOT_WAIT * 2);
    // It goes on from another port, and another: on a slow host a record may come too late to be known again.
    for sequence in 7001..7006 {
        let (time, moved) = (joined_at.elapsed().as_micros(), receiver.socket());
        moved.send(format!("6,{sequence},{time},-;from another port\n").as_bytes()).expect("loopback");
    }
    send("6,0,1,-;again\n");
    send("6,1,2,-;the last\n");
    let output = receiver.end();
    assert_eq!(output.status.code(), Some(0), "{output:?}");

    let mut fields: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in stdout(&output).lines() {
        let object: Value = serde_json::from_str(line).expect("an object a line");
        let keys = object.as_object().expect("an object").keys().cloned();
        fields.entry(object["event"].as_str().expect("an event").to_owned()).or_default().extend(keys);
    }
    let of_all = documented(manual::JSON);
    let [
        of_record,
        of_missing,
        of_joined,
        of_stray,
        of_skipped,
        of_moved,
        of_dropped,
        of_lost,
        of_crash,
        of_report,
    ] = manual::JSON_OF_EVENTS.map(documented);
    let (nothing, of_notices) = (BTreeSet::new(), documented(manual::JSON_OF_NOTICES));
    for (event, own) in [
        ("record", &of_record),
        ("missing", &of_missing),
        ("skipped", &of_skipped),
        ("moved", &of_moved),
        ("joined", &of_joined),
        ("stray", &of_stray),
        ("rebooted", &nothing),
        ("crash", &of_crash),
        ("report", &of_report),
    ] {
        // A report of which there was none like it needs no more words.
        let words = if matches!(event, "record" | "report") { &nothing } else { &of_notices };
        assert_eq!(fields.remove(event), Some(&(&of_all | words) | own), "{event}");
    }
    // `sockets::what_the_host_drops_is_told` has these.
    assert_eq!(of_dropped, BTreeSet::from(["count".to_owned()]));
    // `outputs::what_a_json_file_lost_is_told_in_it` has these.
    assert_eq!(of_lost, ["count", "reason"].map(str::to_owned).into());
    assert!(fields.is_empty(), "undocumented events: {fields:?}");
}
