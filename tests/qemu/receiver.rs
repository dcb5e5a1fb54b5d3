//! The real receiver, on loopback, at the other end of a way that loses, doubles and reorders datagrams.

use crate::harness::{Machine, free_port, wait_for_listener};
use crate::way::{Ends, Relay, Way};
use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Receiver as Channel};
use std::thread;
use std::time::{Duration, Instant};

/// The receiver that runs, and the way to it.
pub struct Receiver {
    child: Child,
    lines: Channel<String>,
    /// What it has said so far: its JSON lines.
    pub said: Vec<String>,
    socket: UdpSocket,
    /// The way to it.
    pub way: Relay,
    /// What it has sent to the kernel.
    pub answers: Vec<Vec<u8>>,
}

impl Receiver {
    /// Starts the receiver on a free port, with `--json` and these arguments; in them, KERNEL stands for the
    /// address and port that the kernel has for it.
    pub fn start(ends: Ends, way: Way, arguments: &[&str]) -> Self {
        let port = free_port();
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.connect(("127.0.0.1", port)).expect("loopback");
        socket.set_nonblocking(true).expect("a socket");
        let kernel = socket.local_addr().expect("a bound socket").to_string();
        let mut child = Command::new(program())
            .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--json"])
            .args(arguments.iter().map(|argument| argument.replace("KERNEL", &kernel)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the receiver starts");
        wait_for_listener(port, "the receiver");
        let lines = lines(child.stdout.take().expect("it is piped"));
        Self { child, lines, said: Vec::new(), socket, way: Relay::new(ends, way), answers: Vec::new() }
    }

    /// Types lines on its standard input.
    pub fn type_in(&mut self, lines: &str) {
        let input = self.child.stdin.as_mut().expect("it is piped, and not closed yet");
        input.write_all(lines.as_bytes()).expect("the receiver runs");
    }

    /// Ends its standard input, as Ctrl-D does.
    pub fn close_input(&mut self) {
        self.child.stdin = None;
    }

    /// Carries datagrams both ways until `until` says so, at most for this long; false where it did not.
    pub fn relay(
        &mut self,
        machine: &Machine,
        patience: Duration,
        mut until: impl FnMut(&Self) -> bool,
    ) -> bool {
        let deadline = Instant::now() + patience;
        let mut buffer = [0; 2048];
        loop {
            for payload in self.way.carry(machine) {
                // It may have ended.
                let _ = self.socket.send(&payload);
            }
            while let Ok(length) = self.socket.recv(&mut buffer) {
                self.way.to_kernel.put(&buffer[..length]);
                self.answers.push(buffer[..length].to_vec());
            }
            self.said.extend(self.lines.try_iter());
            if until(self) {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
        }
    }

    /// Carries datagrams until it ends by itself; false where it does not in this time.
    pub fn ends(&mut self, machine: &Machine, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while self.child.try_wait().is_ok_and(|status| status.is_none()) {
            if Instant::now() >= deadline {
                return false;
            }
            self.relay(machine, Duration::from_millis(20), |_| false);
        }
        true
    }

    /// The sequence numbers of the records, in the order in which the receiver gave them out.
    pub fn sequences(&self) -> Vec<u64> {
        self.said.iter().filter_map(|line| number(line, "sequence")).collect()
    }

    /// Whether the receiver has given out a record with this text.
    pub fn has(&self, text: &str) -> bool {
        self.said.iter().any(|line| line.contains(text))
    }

    /// Ends the receiver as Ctrl-C does; what it said last is in `said`. Returns its exit status and what it said
    /// on standard error.
    pub fn end(&mut self) -> (Option<i32>, String) {
        // It has ended where --until matched.
        let id = self.child.id().to_string();
        let _ = Command::new("kill").args(["-INT", &id]).stderr(Stdio::null()).status();
        let mut errors = String::new();
        self.child.stderr.take().expect("it is piped").read_to_string(&mut errors).expect("text");
        let status = self.child.wait().expect("the receiver ends").code();
        self.said.extend(self.lines.iter());
        (status, errors)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The number of a member of a JSON object, which the receiver writes without blanks.
pub fn number(line: &str, member: &str) -> Option<u64> {
    let (_, rest) = line.split_once(&format!("\"{member}\":"))?;
    rest.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}

fn lines(output: ChildStdout) -> Channel<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// The receiver's program, built where that was not done yet.
pub fn program() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM
        .get_or_init(|| {
            let built =
                Command::new(env!("CARGO")).args(["build", "--quiet", "-p", "netconsole-receiver"]).status();
            assert!(built.is_ok_and(|status| status.success()), "the receiver does not build");
            // This test is target/debug/deps/NAME.
            let test = env::current_exe().expect("the test's own path");
            test.ancestors().nth(2).expect("a directory").join("netconsole-receiver")
        })
        .clone()
}
