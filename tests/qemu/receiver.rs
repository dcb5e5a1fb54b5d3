//! The real receiver, on loopback, at the other end of a way that loses, doubles and reorders datagrams.

use crate::harness::{Content, Machine, Nic, Peer};
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Receiver as Channel};
use std::thread;
use std::time::{Duration, Instant};

/// Where the kernel believes that the receiver is.
pub const ADDRESS: &str = "10.0.0.2";
const PORT: u16 = 6666;
/// Where the kernel sends from.
const KERNEL: &str = "10.0.0.1:6665";

/// What happens to datagrams, in both directions. Chances are in percent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Way {
    pub loses: u64,
    pub doubles: u64,
    /// The longest delay; each datagram has its own.
    pub delay: Duration,
}

/// The same numbers for the same seed (xorshift64, Marsaglia).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound.max(1)
    }
}

/// Datagrams under way in one direction, by when they arrive.
struct Direction {
    way: Way,
    random: Random,
    pending: BTreeMap<(Instant, u64), Vec<u8>>,
    count: u64,
}

impl Direction {
    fn new(way: Way, seed: u64) -> Self {
        Self { way, random: Random(seed), pending: BTreeMap::new(), count: 0 }
    }

    fn put(&mut self, payload: &[u8]) {
        let copies = if self.random.below(100) < self.way.doubles { 2 } else { 1 };
        for _ in 0..copies {
            if self.random.below(100) < self.way.loses {
                continue;
            }
            let delay = self.random.below(self.way.delay.as_micros() as u64);
            self.count += 1;
            self.pending
                .insert((Instant::now() + Duration::from_micros(delay), self.count), payload.to_vec());
        }
    }

    fn arrived(&mut self) -> impl Iterator<Item = Vec<u8>> {
        let later = self.pending.split_off(&(Instant::now(), u64::MAX));
        std::mem::replace(&mut self.pending, later).into_values()
    }
}

/// The receiver that runs, and the way to it.
pub struct Receiver {
    child: Child,
    lines: Channel<String>,
    /// What it has said so far: its JSON lines.
    pub said: Vec<String>,
    socket: UdpSocket,
    to_receiver: Direction,
    to_kernel: Direction,
    seen: usize,
    /// How many answers it has sent.
    pub answers: usize,
}

impl Receiver {
    /// Starts the receiver on a free port, with `--json` and these arguments.
    pub fn start(way: Way, arguments: &[&str]) -> Self {
        let port =
            UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        let mut child = Command::new(program())
            .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--json"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the receiver starts");
        let listens = format!("0100007F:{port:04X}");
        let deadline = Instant::now() + Duration::from_secs(20);
        while !fs::read_to_string("/proc/net/udp").expect("Linux").contains(&listens) {
            assert!(Instant::now() < deadline, "the receiver does not listen");
            thread::sleep(Duration::from_millis(5));
        }
        let lines = lines(child.stdout.take().expect("it is piped"));
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.connect(("127.0.0.1", port)).expect("loopback");
        socket.set_nonblocking(true).expect("a socket");
        Self {
            child,
            lines,
            said: Vec::new(),
            socket,
            to_receiver: Direction::new(way, 0x9e37_79b9_7f4a_7c15),
            to_kernel: Direction::new(way, 0xd1b5_4a32_d192_ed03),
            seen: 0,
            answers: 0,
        }
    }

    /// The station that the receiver is for the kernel.
    pub fn peer() -> Peer {
        Peer::at(ADDRESS)
    }

    /// From now on the way is another one.
    pub fn set_way(&mut self, way: Way) {
        (self.to_receiver.way, self.to_kernel.way) = (way, way);
    }

    /// Carries datagrams both ways until `until` says so, at most for this long; false where it did not.
    pub fn relay(
        &mut self,
        machine: &Machine,
        patience: Duration,
        mut until: impl FnMut(&Self) -> bool,
    ) -> bool {
        let deadline = Instant::now() + patience;
        let to: SocketAddr = (ADDRESS.parse::<std::net::IpAddr>().expect("an address"), PORT).into();
        let kernel: SocketAddr = KERNEL.parse().expect("an address");
        let mut buffer = [0; 2048];
        loop {
            let sent = machine.sent_after(self.seen, Duration::from_millis(2));
            self.seen += sent.len();
            for frame in sent.iter().filter_map(|sent| sent.good()) {
                if let Content::Udp { from, to: destination, payload } = &frame.content
                    && (*from, *destination) == (kernel, to)
                {
                    self.to_receiver.put(payload);
                }
            }
            for payload in self.to_receiver.arrived() {
                self.socket.send(&payload).expect("loopback");
            }
            while let Ok(length) = self.socket.recv(&mut buffer) {
                self.answers += 1;
                self.to_kernel.put(&buffer[..length]);
            }
            for payload in self.to_kernel.arrived() {
                machine.send(0, &Self::peer().datagram(PORT, Nic::mac(0), kernel, &payload));
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
