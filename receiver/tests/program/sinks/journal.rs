//! To systemd-journald and systemd-journal-remote, read back by journalctl.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::{Sending, until};

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The entries of a journal.
fn entries(file: &Path) -> Vec<Value> {
    let output =
        Command::new("journalctl").args(["-o", "json", "--file"]).arg(file).output().expect("journalctl");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn is_ours(entry: &Value) -> bool {
    entry["MESSAGE"].as_str().is_some_and(|text| text.starts_with("record "))
}

#[track_caller]
fn check(entries: &[Value], first: usize, expected: &[(&str, &str)]) {
    for (number, entry) in (first..).zip(entries) {
        assert_eq!(entry["MESSAGE"], format!("record {number}"), "{entry:#}");
        assert_eq!(entry["NETCONSOLE_SEQUENCE"], number.to_string(), "{entry:#}");
        for (key, value) in [("PRIORITY", "4"), ("SYSLOG_FACILITY", "0"), ("SYSLOG_IDENTIFIER", "kernel")]
            .iter()
            .chain(expected)
        {
            assert_eq!(entry[key], *value, "{entry:#}");
        }
    }
}

/// A journald of its own namespaces, whose socket is a link in `dir`, and its journal.
fn journald(dir: &Path) -> (Running, PathBuf) {
    let script = "
mount -t tmpfs tmpfs /run
mkdir -p /run/log/journal /run/systemd/journald@sinks.conf.d
printf '[Journal]\\nStorage=volatile\\nRateLimitBurst=0\\n' >/run/systemd/journald@sinks.conf.d/test.conf
exec /lib/systemd/systemd-journald sinks
";
    let mut command = Command::new("unshare");
    if !nix::unistd::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--mount", "--propagation", "private", "sh", "-ec", script]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("unshare");
    let run = PathBuf::from(format!("/proc/{}/root/run", child.id()));
    let running = Running(child);
    let socket = run.join("systemd/journal.sinks/socket");
    until(|| socket.exists());
    let link = dir.join("socket");
    let _ = fs::remove_file(&link);
    symlink(socket, link).expect("a link");
    let machine = fs::read_to_string("/etc/machine-id").expect("systemd makes it");
    (running, run.join(format!("log/journal/{}.sinks/system.journal", machine.trim())))
}

/// It is not there at first, and is killed in between.
#[test]
fn to_journald() {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("socket");
    let mut sending =
        Sending::start(&["--journal", socket.to_str().expect("text"), "--name", "127.0.0.1=board7"]);
    let expected = [
        ("NETCONSOLE_SENDER", "board7"),
        ("NETCONSOLE_ADDRESS", "127.0.0.1"),
        ("KERNEL_SUBSYSTEM", "pci"),
        ("_TRANSPORT", "journal"),
    ];
    let mut first = 0;
    for last in [5, 12] {
        sending.records(first..last);
        sending.complaint("it is tried again");
        let (running, journal) = journald(dir.path());
        let ours = || entries(&journal).into_iter().filter(is_ours).collect::<Vec<_>>();
        until(|| ours().len() >= (last - first) as usize);
        let ours = ours();
        assert_eq!(ours.len(), (last - first) as usize);
        check(&ours, first as usize, &expected);
        drop(running);
        first = last;
    }
    let (status, errors) = sending.end();
    assert_eq!(status, Some(0), "{errors}");
    assert!(errors.contains("socket: 12 records written, 0 lost, 0 wait"), "{errors}");
}

#[cfg(feature = "http-sinks")]
#[test]
fn to_journal_remote() {
    let dir = tempfile::tempdir().expect("a directory");
    let port = super::free_port();
    let to = format!("http://127.0.0.1:{port}");
    let mut sending = Sending::start(&["--journal", &to, "--name", "127.0.0.1=board7"]);
    let expected = [("_HOSTNAME", "board7"), ("_KERNEL_SUBSYSTEM", "pci"), ("_TRANSPORT", "kernel")];
    let mut first = 0;
    for last in [5, 12] {
        sending.records(first..last);
        sending.complaint("it is tried again");
        let journal = dir.path().join(format!("{last}.journal"));
        let child = Command::new("/lib/systemd/systemd-journal-remote")
            .arg(format!("--listen-http=127.0.0.1:{port}"))
            .arg(format!("--output={}", journal.display()))
            .arg("--split-mode=none")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let running =
            Running(child.expect("systemd-journal-remote is missing: scripts/setup journal-remote"));
        sending.complaint("taken again");
        let ours = || entries(&journal).into_iter().filter(is_ours).collect::<Vec<_>>();
        until(|| ours().len() >= (last - first) as usize);
        let ours = ours();
        assert_eq!(ours.len(), (last - first) as usize);
        check(&ours, first as usize, &expected);
        assert_eq!(ours[0]["_KERNEL_DEVICE"], format!("+pci:0000:00:0{first}.0"));
        drop(running);
        first = last;
    }
    let (status, errors) = sending.end();
    assert_eq!(status, Some(0), "{errors}");
    assert!(errors.contains(&format!("--journal {to}: 12 records written, 0 lost, 0 wait")), "{errors}");
}
