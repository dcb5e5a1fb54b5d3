//! A crash report for a webhook.

use std::fs;

use serde_json::Value;

use super::http_server::{Answer, Server};
use super::{Sending, free_port, until};

/// The same fault twice, at other addresses, and another one.
#[test]
fn reports_are_called_and_grouped() {
    let port = free_port();
    let dir = tempfile::tempdir().expect("a directory");
    let told = dir.path().join("told");
    let command = format!("echo \"$NETCONSOLE_ID $NETCONSOLE_REPEATED\" >>{}", told.display());
    let to = format!("http://127.0.0.1:{port}/hook");
    let logs = dir.path().to_str().expect("text");
    let mut sending = Sending::start(&[
        "--webhook",
        &to,
        "--name",
        "127.0.0.1=board7",
        "--on-crash",
        &command,
        "--dir",
        logs,
        "--time",
        "none",
    ]);
    let mut sequence = 0;
    let mut report = |function: &str, offset: u32| {
        for text in [
            format!("BUG: unable to handle page fault for address: 00000000{offset:08x}"),
            format!("RIP: 0010:{function}+{offset:#x}/0x99"),
            "Call Trace:".to_owned(),
            format!(" {function}+{offset:#x}/0x99"),
            " ret_from_fork+0x1f/0x30".to_owned(),
            "---[ end trace 0000000000000000 ]---".to_owned(),
            "usb 1-1: new high-speed USB device".to_owned(),
        ] {
            sending.send(&format!("1,{sequence},{sequence},-;{text}\n"));
            sequence += 1;
        }
    };
    report("do_work", 3);
    report("do_work", 0x13);
    report("do_other", 3);
    sending.complaint("it is tried again");
    let server = Server::start(port, vec![Answer::Status(502, "", ""), Answer::Status(200, "", "ok")]);
    until(|| server.taken().len() >= 3 && fs::read_to_string(&told).unwrap_or_default().lines().count() >= 3);
    let (status, errors) = sending.end();
    assert_eq!(status, Some(0), "{errors}");
    assert!(
        errors.contains(&format!("--webhook http://127.0.0.1:{port}: 3 reports written, 0 lost, 0 wait")),
        "{errors}"
    );
    let taken = server.taken();
    assert_eq!(taken.len(), 3);
    let reports: Vec<Value> =
        taken.iter().map(|posted| serde_json::from_slice(&posted.body).expect("an object")).collect();
    let repeated: Vec<_> = reports.iter().map(|report| report["repeated"].as_u64()).collect();
    assert_eq!(repeated, [Some(0), Some(1), Some(0)]);
    assert_eq!(reports[0]["id"], reports[1]["id"]);
    assert_ne!(reports[0]["id"], reports[2]["id"]);
    let second = &reports[1];
    assert_eq!(
        (&second["event"], &second["sender"], &second["kind"]),
        (&"report".into(), &"board7".into(), &"oops".into())
    );
    assert_eq!(second["frames"], serde_json::json!(["do_work", "ret_from_fork"]));
    assert_eq!(
        second["text"],
        "oops on board7: BUG: unable to handle page fault for address: 0000000000000013 (repeated once)"
    );
    let lines = second["report"].as_str().expect("a text").lines().count();
    assert_eq!(lines, 6);
    let id = |index: usize| reports[index]["id"].as_str().expect("a text").to_owned();
    let commands = fs::read_to_string(&told).expect("a file");
    assert_eq!(commands, format!("{0} 0\n{0} 1\n{1} 0\n", id(0), id(2)));
    let log = fs::read_to_string(dir.path().join("board7.log")).expect("a file");
    let said = format!("… the same oops came before: repeated once (id {})", id(0));
    assert_eq!(log.lines().filter(|line| **line == said).count(), 1, "{log}");
}
