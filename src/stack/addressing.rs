//! How an interface comes by its addresses, and what it came by.

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};

/// What an interface is told about its addresses. Besides these it always has the IPv6 link-local
/// address of its Ethernet address, and one for each prefix that a router advertises (SLAAC).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addressing {
    /// Where the IPv4 address comes from.
    pub ipv4: Ipv4Method,
    /// A fixed IPv6 address and its prefix length in bits.
    pub ipv6: Option<(Ipv6Addr, u8)>,
    /// Whether pings (ICMP and ICMPv6 echo requests) are answered.
    pub echo: bool,
}

/// Where an interface's IPv4 address comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ipv4Method {
    /// It is given.
    Static {
        /// The address.
        address: Ipv4Addr,
        /// The subnet's prefix length in bits; more than 32 counts as 32.
        prefix: u8,
        /// The router to other subnets.
        gateway: Option<Ipv4Addr>,
    },
    /// From a DHCP server (RFC 2131), and link-local (RFC 3927) as long as none answers.
    Dhcp,
    /// None.
    Off,
}

/// An IPv4 address in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4Interface {
    /// The address.
    pub address: Ipv4Addr,
    /// The subnet's prefix length in bits, 0 to 32.
    pub prefix: u8,
    /// The router to other subnets.
    pub gateway: Option<Ipv4Addr>,
    /// Where it came from.
    pub origin: Origin,
}

/// Where an address came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was given.
    Static,
    /// A DHCP server.
    Dhcp,
    /// Chosen from 169.254/16 (RFC 3927).
    LinkLocal,
}

/// `static`, `by DHCP` or `link-local`, as it is shown behind an address.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Static => "static",
            Self::Dhcp => "by DHCP",
            Self::LinkLocal => "link-local",
        })
    }
}

impl Ipv4Interface {
    /// The router that a packet for `target` goes to; `None` where the target is on this link, or
    /// is said to be because no router is known. Link-local addresses, groups and broadcast never
    /// pass a router (RFC 3927, section 2.7).
    pub fn router_to(&self, target: Ipv4Addr) -> Option<Ipv4Addr> {
        let stays =
            self.contains(target) || target.is_link_local() || target.is_multicast() || target.is_broadcast();
        if stays { None } else { self.gateway }
    }

    /// Whether `address` is on the interface's own subnet.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        let host_bits = u32::MAX.checked_shr(self.prefix.into()).unwrap_or(0);
        (self.address.to_bits() ^ address.to_bits()) & !host_bits == 0
    }
}
