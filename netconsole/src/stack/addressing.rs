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
    /// Subnets that have a router of their own.
    pub routes: Routes,
    /// Where it came from.
    pub origin: Origin,
}

/// The way to a subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    network: Ipv4Addr,
    prefix: u8,
    router: Option<Ipv4Addr>,
}

impl Route {
    /// The way to the stations that have the first `prefix` bits, 1 to 32, in common with `network`, whatever its other
    /// bits say. Without a `router` they are on this link.
    pub fn new(network: Ipv4Addr, prefix: u8, router: Option<Ipv4Addr>) -> Self {
        Self { network: (network.to_bits() & network_mask(prefix)).into(), prefix, router }
    }

    /// The subnet, and its prefix length in bits.
    pub fn subnet(&self) -> (Ipv4Addr, u8) {
        (self.network, self.prefix)
    }

    /// The router; `None` where the subnet is on this link.
    pub fn router(&self) -> Option<Ipv4Addr> {
        self.router
    }

    fn contains(&self, address: Ipv4Addr) -> bool {
        address.to_bits() & network_mask(self.prefix) == self.network.to_bits()
    }
}

/// Some routes, in no order: the one to the smallest subnet counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Routes {
    list: [Option<Route>; Self::MAX],
    is_cut: bool,
}

impl Routes {
    /// How many there can be.
    pub const MAX: usize = 8;
    /// There are none.
    pub const NONE: Self = Self { list: [None; Self::MAX], is_cut: false };

    /// Adds one, if there is room for it.
    pub fn add(&mut self, route: Route) {
        match self.list.iter_mut().find(|slot| slot.is_none()) {
            Some(free) => *free = Some(route),
            None => self.is_cut = true,
        }
    }

    /// The routes.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.list.iter().flatten()
    }

    /// Whether there was no room for one.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }
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

/// `static`, `by DHCP` or `link-local`, as it is shown after an address.
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
    /// is said to be because no router is known. Groups and broadcast never pass a router, and link-local
    /// addresses only one that is named for them (RFC 3927, section 2.7).
    pub fn router_to(&self, target: Ipv4Addr) -> Option<Ipv4Addr> {
        if target.is_multicast() || target.is_broadcast() {
            return None;
        }
        let is_near = self.contains(target);
        let route =
            self.routes.iter().filter(|route| route.contains(target)).max_by_key(|route| route.prefix);
        match route {
            Some(route) if !is_near || route.prefix > self.prefix => route.router,
            _ if is_near || target.is_link_local() => None,
            _ => self.gateway,
        }
    }

    /// Whether `address` is on the interface's own subnet.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        (self.address.to_bits() ^ address.to_bits()) & network_mask(self.prefix) == 0
    }
}

/// The bits that the stations of a subnet have in common.
fn network_mask(prefix: u8) -> u32 {
    !u32::MAX.checked_shr(prefix.into()).unwrap_or(0)
}
