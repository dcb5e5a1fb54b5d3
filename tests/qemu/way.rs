//! A way between the kernel and a receiver that loses, doubles and reorders datagrams.

use crate::harness::{Content, Machine, Nic, Peer};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// What happens to datagrams. Chances are in percent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Way {
    pub loses: u64,
    pub doubles: u64,
    /// The longest delay; each datagram has its own.
    pub delay: Duration,
}

impl Way {
    /// The loss that ncrx has to cope with.
    pub const LOSSY: Self = Self { loses: 20, doubles: 0, delay: Duration::ZERO };
    /// Nothing gets through.
    pub const CUT: Self = Self { loses: 100, doubles: 0, delay: Duration::ZERO };
}

/// Where the kernel believes that it and the receiver are.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    pub kernel: &'static str,
    pub receiver: &'static str,
}

impl Ends {
    pub const IPV4: Self = Self { kernel: "10.0.0.1", receiver: "10.0.0.2" };
    pub const IPV6: Self = Self { kernel: "fd00::1", receiver: "fd00::2" };
    const KERNEL_PORT: u16 = 6665;
    const RECEIVER_PORT: u16 = 6666;

    /// The station that the receiver is for the kernel.
    pub fn peer(&self) -> Peer {
        Peer::at(self.receiver)
    }

    /// Where the kernel sends from.
    pub fn source(&self) -> SocketAddr {
        SocketAddr::new(self.kernel.parse().expect("an address"), Self::KERNEL_PORT)
    }

    /// Where it sends to.
    pub fn target(&self) -> SocketAddr {
        SocketAddr::new(self.receiver.parse().expect("an address"), Self::RECEIVER_PORT)
    }
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
pub struct Direction {
    pub way: Way,
    random: Random,
    pending: BTreeMap<(Instant, u64), Vec<u8>>,
    count: u64,
}

impl Direction {
    fn new(way: Way, seed: u64) -> Self {
        Self { way, random: Random(seed), pending: BTreeMap::new(), count: 0 }
    }

    /// Takes a datagram at this direction's beginning.
    pub fn put(&mut self, payload: &[u8]) {
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

    fn arrived(&mut self) -> impl Iterator<Item = Vec<u8>> + use<> {
        let later = self.pending.split_off(&(Instant::now(), u64::MAX));
        std::mem::replace(&mut self.pending, later).into_values()
    }
}

/// Both directions.
pub struct Relay {
    pub ends: Ends,
    pub to_receiver: Direction,
    pub to_kernel: Direction,
    /// How many of the kernel's frames were looked at.
    seen: usize,
}

impl Relay {
    pub fn new(ends: Ends, way: Way) -> Self {
        Self {
            ends,
            to_receiver: Direction::new(way, 0x9e37_79b9_7f4a_7c15),
            to_kernel: Direction::new(way, 0xd1b5_4a32_d192_ed03),
            seen: 0,
        }
    }

    /// From now on the way is another one.
    pub fn set_way(&mut self, way: Way) {
        (self.to_receiver.way, self.to_kernel.way) = (way, way);
    }

    /// Passes over what the kernel has sent so far: the receiver was not there yet.
    pub fn skip(&mut self, machine: &Machine) {
        self.seen = machine.sent().len();
    }

    /// Gives the kernel what has arrived at its end, and returns what has at the receiver's, after a moment in
    /// which something may come.
    pub fn carry(&mut self, machine: &Machine) -> Vec<Vec<u8>> {
        let (kernel, target) = (self.ends.source(), self.ends.target());
        for payload in self.to_kernel.arrived() {
            machine.send(0, &self.ends.peer().datagram(target.port(), Nic::mac(0), kernel, &payload));
        }
        let sent = machine.sent_after(self.seen, Duration::from_millis(2));
        self.seen += sent.len();
        for frame in sent.iter().filter_map(|sent| sent.good()) {
            if let Content::Udp { from, to, payload } = &frame.content
                && (*from, *to) == (kernel, target)
            {
                self.to_receiver.put(payload);
            }
        }
        self.to_receiver.arrived().collect()
    }
}
