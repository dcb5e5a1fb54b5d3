//! Where a packet comes from and which way it goes: source addresses and next hops.

use super::Stack;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use smoltcp::wire::{IpAddress, IpCidr, Ipv6Cidr};

impl Stack<'_> {
    /// The other IPv6 addresses and their prefix lengths in bits: the given one and those made of the
    /// prefixes that routers advertise.
    pub fn ipv6(&self) -> impl Iterator<Item = (Ipv6Addr, u8)> {
        self.ipv6_cidrs().map(|cidr| (cidr.address(), cidr.prefix_len()))
    }

    /// The router to other IPv6 subnets.
    pub fn ipv6_gateway(&self) -> Option<Ipv6Addr> {
        match self.interface.routes().get_default_ipv6_route()?.via_router {
            IpAddress::Ipv6(router) => Some(router),
            IpAddress::Ipv4(_) => None,
        }
    }

    /// The address to send from to `target`; `None` while there is none. It can change until the
    /// target's Ethernet address is [known](super::Resolution::Known), so ask before each
    /// [`resolve`](Self::resolve). For IPv6 the longest common prefix decides, and the link-local
    /// address is taken where no router has advertised a prefix within [`ROUTER_WAIT`](super::ROUTER_WAIT). What goes to all
    /// stations of the link waits for no DHCP server: it comes from [`ipv4_candidate`](Self::ipv4_candidate)
    /// until there is an address. An address whose lease is over remains the source, and nothing else.
    pub fn source_for(&self, target: IpAddr, now: u64) -> Option<IpAddr> {
        let target = match target {
            IpAddr::V4(target) => {
                let own = self.ipv4.log_source().map(|ipv4| ipv4.address);
                let candidate = || self.ipv4_candidate().filter(|_| is_for_the_whole_link(target));
                return own.or_else(candidate).map(IpAddr::V4);
            }
            IpAddr::V6(target) => target,
        };
        if is_on_every_link(target) {
            return Some(self.ipv6_link_local().into());
        }
        let common = |ip: &Ipv6Addr| (ip.to_bits() ^ target.to_bits()).leading_zeros();
        let source = self.ipv6_cidrs().map(|cidr| cidr.address()).max_by_key(common);
        source.or_else(|| (now >= self.router_wait_ends).then(|| self.ipv6_link_local())).map(IpAddr::V6)
    }

    /// Whose Ethernet address a frame for `target` goes to: the router's where there is one and the
    /// target is not on this link, else its own (for which a router may still answer: RFC 1027).
    pub fn next_hop(&self, target: IpAddr) -> IpAddr {
        let router = match target {
            IpAddr::V4(ip) => self.ipv4.log_source().and_then(|ipv4| ipv4.router_to(ip)).map(IpAddr::V4),
            IpAddr::V6(ip) if is_on_every_link(ip) || ip.is_multicast() => None,
            IpAddr::V6(ip) if self.ipv6_cidrs().any(|cidr| cidr.contains_addr(&ip)) => None,
            IpAddr::V6(_) => self.ipv6_gateway().map(IpAddr::V6),
        };
        router.unwrap_or(target)
    }

    /// Whether a question for the [`next_hop`](Self::next_hop) to `target` can have an answer: a router is known, or the
    /// target is on this link.
    pub fn knows_way_to(&self, target: IpAddr) -> bool {
        let is_on_link = match target {
            IpAddr::V4(ip) => {
                ip.is_link_local() || self.ipv4.log_source().is_some_and(|ipv4| ipv4.contains(ip))
            }
            IpAddr::V6(ip) => is_on_every_link(ip) || self.ipv6_cidrs().any(|cidr| cidr.contains_addr(&ip)),
        };
        is_on_link || self.next_hop(target) != target
    }

    fn ipv6_cidrs(&self) -> impl Iterator<Item = Ipv6Cidr> {
        self.interface.ip_addrs().iter().filter_map(|cidr| match cidr {
            IpCidr::Ipv6(cidr) => Some(*cidr).filter(|cidr| !cidr.address().is_unicast_link_local()),
            IpCidr::Ipv4(_) => None,
        })
    }
}

/// Whether all stations of the link hear what goes there, and no others: broadcast, and the groups that no router passes
/// on (RFC 5771, section 4).
fn is_for_the_whole_link(ip: Ipv4Addr) -> bool {
    ip.is_broadcast() || matches!(ip.octets(), [224, 0, 0, _])
}

/// Whether each link has an address or group of this name of its own: link-local, unicast or not.
fn is_on_every_link(ip: Ipv6Addr) -> bool {
    let [first, second, ..] = ip.octets();
    ip.is_unicast_link_local() || first == 0xff && second & 0xf <= 2
}
