//! Runs the program, and talks to it over loopback.

use std::fs;
use std::net::UdpSocket;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_netconsole-receiver");
/// Nothing here takes longer, however slow the machine.
pub const PATIENCE: &str = "240";

pub fn capture(name: &str) -> String {
    format!("{}/../tests/captures/{name}", env!("CARGO_MANIFEST_DIR"))
}

pub fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().expect("the program runs")
}

pub fn status(arguments: &[&str]) -> Option<i32> {
    run(arguments).status.code()
}

pub fn stdout(output: &Output) -> &str {
    str::from_utf8(&output.stdout).expect("text")
}

/// A receiver that listens on a free port of the loopback interface.
pub struct Listening {
    pub child: Child,
    pub port: u16,
}

impl Listening {
    pub fn start(arguments: &[&str]) -> Self {
        // Local address as /proc shows it: the bytes of 127.0.0.1 turned around.
        Self::start_at("127.0.0.1", "/proc/net/udp", "0100007F", arguments)
    }

    pub fn start_at(address: &str, table: &str, shown: &str, arguments: &[&str]) -> Self {
        Self::spawn(Command::new(PROGRAM), address, table, shown, arguments)
    }

    /// On loopback, without the right to a large buffer of the socket, which root has.
    pub fn start_unprivileged(arguments: &[&str]) -> Self {
        let mut command = Command::new("setpriv");
        if nix::unistd::geteuid().is_root() {
            command.args(["--bounding-set", "-net_admin"]);
        }
        command.arg(PROGRAM);
        Self::spawn(command, "127.0.0.1", "/proc/net/udp", "0100007F", arguments)
    }

    fn spawn(mut command: Command, address: &str, table: &str, shown: &str, arguments: &[&str]) -> Self {
        let port = UdpSocket::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .expect("a free port")
            .port();
        let child = command
            .args(["--bind", address, "--port", &port.to_string()])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let listening = Listening { child, port };
        let deadline = Instant::now() + Duration::from_secs(20);
        let line = format!("{shown}:{port:04X}");
        while !fs::read_to_string(table).expect("Linux").contains(&line) {
            assert!(Instant::now() < deadline, "the program does not listen");
            thread::sleep(Duration::from_millis(5));
        }
        listening
    }

    pub fn socket(&self) -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.connect(("127.0.0.1", self.port)).expect("loopback");
        socket
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).expect("a pid")), signal).expect("a running child");
    }

    pub fn memory_peak_kib(&self) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a running child");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Waits for its end before anything that it wrote is read.
    pub fn end_unread(mut self) -> Output {
        self.child.wait().expect("the program ends");
        self.end()
    }

    pub fn end(self) -> Output {
        self.child.wait_with_output().expect("the program ends")
    }
}
