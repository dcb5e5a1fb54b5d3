//! What is sent on to other programs: each sink beside the real one where there is one, with outages.

#[cfg(feature = "http-sinks")]
mod http_server;
mod journal;
#[cfg(feature = "http-sinks")]
mod loki;
#[cfg(feature = "http-sinks")]
mod otlp;
mod syslog;
#[cfg(feature = "http-sinks")]
mod webhook;

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, UdpSocket};
use std::process::ChildStderr;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::run::Listening;

/// Waits for what the test is about, however long that takes here.
#[track_caller]
pub fn until(what: impl Fn() -> bool) {
    for _ in 0..12_000 {
        if what() {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("it never was so");
}

/// A port that nobody has.
pub fn free_port() -> u16 {
    // Of both kinds.
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = tcp.local_addr().expect("an address").port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A receiver with sinks, and what it complains of.
pub struct Sending {
    receiver: Listening,
    socket: UdpSocket,
    errors: BufReader<ChildStderr>,
}

impl Sending {
    pub fn start(arguments: &[&str]) -> Self {
        let mut receiver = Listening::start(&[&["--quiet", "--stats"], arguments].concat());
        let errors = BufReader::new(receiver.child.stderr.take().expect("a pipe"));
        let socket = receiver.socket();
        Self { receiver, socket, errors }
    }

    pub fn send(&self, datagram: &str) {
        self.socket.send(datagram.as_bytes()).expect("loopback");
    }

    /// Sends records with these numbers.
    pub fn records(&self, numbers: std::ops::Range<u32>) {
        for number in numbers {
            self.send(&format!(
                "4,{number},{number}000000,-;record {number}\n SUBSYSTEM=pci\n DEVICE=+pci:0000:00:0{}.0\n",
                number % 8
            ));
        }
    }

    /// Waits for a complaint that has this in it.
    #[track_caller]
    pub fn complaint(&mut self, part: &str) {
        let mut line = String::new();
        while !line.contains(part) {
            line.clear();
            assert!(self.errors.read_line(&mut line).expect("text") > 0, "it never complained: {part}");
        }
    }

    /// Ends it: its status, and what it complained of since.
    pub fn end(mut self) -> (Option<i32>, String) {
        self.receiver.signal(Signal::SIGTERM);
        let mut errors = String::new();
        self.errors.read_to_string(&mut errors).expect("text");
        (self.receiver.child.wait().expect("it ends").code(), errors)
    }
}
