//! The main job: the command of the README's first page, and a stock `nc` at the other end.

use crate::harness::{Boot, Nic, Peer, status};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Debian's `nc -u -l` on a port of this machine's loopback that nobody uses.
struct Netcat {
    child: Child,
    port: u16,
}

impl Netcat {
    /// It ends by itself 2 s after the last datagram.
    fn listen() -> Self {
        let mut child = Command::new("nc")
            .args(["-u", "-l", "-v", "-w", "2", "127.0.0.1", "0"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nc is missing: run scripts/setup nc");
        // "Bound on localhost 41234"
        let mut line = String::new();
        let errors = child.stderr.as_mut().expect("it is piped");
        BufReader::new(errors).read_line(&mut line).expect("nc says where it listens");
        let port = line.trim().rsplit(' ').next().and_then(|port| port.parse().ok());
        Self { child, port: port.unwrap_or_else(|| panic!("nc: {line}")) }
    }

    /// What it wrote until its end.
    fn output(mut self) -> String {
        // Its standard input stays open until then, as a terminal's would.
        let stdin = self.child.stdin.take();
        let output = self.child.wait_with_output().expect("nc ends");
        drop(stdin);
        String::from_utf8(output.stdout).expect("the log is text")
    }
}

#[test]
fn netcat_gets_what_serial_shows() {
    let netcat = Netcat::listen();
    let port = netcat.port;
    let boot = Boot::new("netcat", format!("netconsole=@/,{port}@10.0.2.2/"));
    let machine = boot.nics([Nic::virtio().user_network()]).start();
    // QEMU's hub may still hold a frame for the capture when the kernel ends the machine.
    machine.wait_for_text(&format!("10.0.2.2:{port}"), "network logging started");
    machine.wait_until_idle();
    let capture = machine.stop();

    let sent = capture.text(&format!("10.0.2.2:{port}"));
    assert!(sent.contains("netconsole: network logging started\n"), "{sent}");
    assert_eq!(netcat.output(), sent);
    // Behind the boot log the console shows its prompt.
    let (log, _) = capture.serial.split_once("Type 'help'").expect("the log is over");
    assert_eq!(sent, log);
}

#[test]
fn every_record_arrives_from_the_first_on() {
    let parameters = "debug netconsole=+@10.0.0.1/,@10.0.0.2/ after=exit";
    let capture = Boot::new("main-job", parameters).peer(Peer::at("10.0.0.2")).start().end();

    assert_eq!(capture.status, status::GOOD);
    let messages = capture.messages("10.0.0.2:6666");
    assert_eq!(messages[0].sequence, 0);
    assert!(messages.is_sorted_by_key(|message| message.micros));
    assert!(messages.iter().any(|message| message.text.contains(parameters)), "the command line is logged");
    // The console's levels are the targets': each record of the ring is on serial, too.
    assert_eq!(capture.serial.lines().count(), messages.len());
}
