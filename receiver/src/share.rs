//! Which of several sockets has an address's senders.

use std::net::IpAddr;

/// The senders that one of several sockets has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    index: u32,
    of: u32,
}

impl Share {
    /// All senders.
    pub const ALL: Self = Share { index: 0, of: 1 };

    /// Those of `of` sockets, in their order.
    pub fn each(of: u32) -> impl Iterator<Item = Self> {
        (0..of).map(move |index| Share { index, of })
    }

    /// Whether it has what an address sends.
    pub fn has(self, ip: IpAddr) -> bool {
        self.of == 1 || sum(ip) % self.of == self.index
    }
}

/// The address as one number, which Linux computes, too ([`crate::shares`]).
fn sum(ip: IpAddr) -> u32 {
    match ip {
        IpAddr::V4(v4) => v4.to_bits(),
        IpAddr::V6(v6) => {
            let words = (0..4).map(|word| (v6.to_bits() >> (32 * word)) as u32);
            words.fold(0, u32::wrapping_add)
        }
    }
}
