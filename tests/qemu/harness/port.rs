//! UDP ports on loopback, for programs that are started to listen on them.

use std::fs;
use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("a bound socket's own address").port()
}

/// Waits until `program` listens on a port of 127.0.0.1.
pub fn wait_for_listener(port: u16, program: &str) {
    // proc(5): the local address as the processor has it, the bytes turned around.
    let listens = format!("0100007F:{port:04X} ");
    let deadline = Instant::now() + PATIENCE;
    while !fs::read_to_string("/proc/net/udp").expect("this is Linux").contains(&listens) {
        assert!(Instant::now() < deadline, "{program} does not listen on UDP port {port}");
        thread::sleep(Duration::from_millis(5));
    }
}
