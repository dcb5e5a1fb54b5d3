//! An address that is given to an interface that runs already.

use super::addressing::Routes;
use super::{Ipv4Interface, Origin, Stack, filter};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use smoltcp::wire::{IpCidr, Ipv6Cidr};

impl Stack<'_> {
    /// Gives the interface an address, of a subnet of 24 bits (IPv4) or 64 (IPv6), for good. An IPv4 address that was
    /// given before, or one that can't be a station's, stays or counts instead; DHCP ends with it.
    pub fn give(&mut self, address: IpAddr, gateway: Option<Ipv4Addr>, now: u64) {
        match address {
            IpAddr::V4(address) => self.give_ipv4(address, gateway, now),
            IpAddr::V6(address) => self.give_ipv6(address),
        }
    }

    fn give_ipv4(&mut self, address: Ipv4Addr, gateway: Option<Ipv4Addr>, now: u64) {
        if self.ipv4().is_some_and(|ipv4| ipv4.origin == Origin::Static) || !filter::is_unicast(address) {
            return;
        }
        self.dhcp = None;
        self.link_local.stop();
        let gateway = gateway.filter(|&gateway| filter::is_unicast(gateway));
        let (prefix, routes) = (24, Routes::NONE);
        self.set_ipv4(Some(Ipv4Interface { address, prefix, gateway, routes, origin: Origin::Static }), now);
        self.due = self.due.min(now);
    }

    fn give_ipv6(&mut self, address: Ipv6Addr) {
        if self.static_ipv6.is_some() || address.is_multicast() || address.is_unspecified() {
            return;
        }
        let cidr = Ipv6Cidr::new(address, 64);
        self.static_ipv6 = Some(cidr);
        self.interface.update_ip_addrs(|addresses| {
            // There is room: smoltcp's features in Cargo.toml count this address.
            let _ = addresses.push(IpCidr::Ipv6(cidr));
        });
    }

    /// Takes back the IPv4 address that was given, so that another interface of this machine alone has it.
    pub fn take_back_ipv4(&mut self, now: u64) {
        if self.ipv4().is_some_and(|ipv4| ipv4.origin == Origin::Static) {
            self.set_ipv4(None, now);
        }
    }
}
