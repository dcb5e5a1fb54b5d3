//! What is due without anything arriving: smoltcp's own frames, link-local addresses, announcements.

use super::device::Port;
use super::dhcp::Client;
use super::{Ipv4Interface, Origin, Routes, instant, link_local};
use super::{LINK_LOCAL_AFTER, RETRY_INTERVAL, SENT_PER_POLL, SMOLTCP_INTERVAL, Stack};
use crate::nic::Nic;
use crate::wire::arp;
use smoltcp::iface::Route;
use smoltcp::wire::{IpCidr, Ipv4Cidr};

impl Stack<'_> {
    /// Lets smoltcp do what is due, and send; whether it sent.
    pub(super) fn run(&mut self, nic: &mut dyn Nic, now: u64) -> bool {
        let (mut sent, mtu) = (false, self.mtu());
        self.interface.poll_maintenance(instant(now));
        for _ in 0..SENT_PER_POLL {
            match self.outbox.flush(nic, self.vlan) {
                Ok(flushed) => sent |= flushed,
                Err(_) => break,
            }
            let mut port = Port { incoming: None, outbox: &mut self.outbox, mtu, probe: self.probe };
            self.interface.poll_egress(instant(now), &mut port, &mut self.sockets);
            if self.outbox.is_empty() {
                break;
            }
        }
        sent | self.outbox.flush(nic, self.vlan).unwrap_or(false)
    }

    /// Looks for a link-local address, announces the address in use; whether it sent.
    pub(super) fn keep_ipv4(&mut self, nic: &mut dyn Nic, now: u64) -> bool {
        let mut sent = false;
        let vlan = self.vlan;
        let mut send = |packet: arp::Packet| {
            let result = nic.transmit(&mut |frame| packet.write(vlan, frame).unwrap_or(0));
            sent |= result.is_ok();
            result.is_ok()
        };
        if let Some(address) = self.link_local.poll(now, &mut send) {
            let ipv4 = Ipv4Interface {
                address,
                prefix: link_local::PREFIX,
                gateway: None,
                routes: Routes::NONE,
                origin: Origin::LinkLocal,
            };
            self.set_ipv4(Some(ipv4), now);
        }
        self.ipv4.poll(now, &mut send);
        sent
    }

    /// Begins to probe a link-local address where DHCP may give none. It is taken into use when DHCP has had its time.
    pub(super) fn look_for_link_local(&mut self, now: u64) {
        if self.dhcp.is_some() {
            self.link_local.start(now, now.saturating_add(LINK_LOCAL_AFTER));
        }
    }

    /// Takes an IPv4 address into use, or gives up the one there was.
    pub(super) fn set_ipv4(&mut self, ipv4: Option<Ipv4Interface>, now: u64) {
        self.ipv4.set(ipv4, now);
        self.tell_smoltcp_of_ipv4();
    }

    /// smoltcp answers for the address that is ours, and for no other.
    pub(super) fn tell_smoltcp_of_ipv4(&mut self) {
        let ipv4 = self.ipv4();
        self.interface.update_ip_addrs(|addresses| {
            addresses.retain(|cidr| matches!(cidr, IpCidr::Ipv6(_)));
            // There is room: smoltcp's features in Cargo.toml count this address.
            let _ = ipv4.map(|ipv4| addresses.push(Ipv4Cidr::new(ipv4.address, ipv4.prefix).into()));
        });
        self.interface.routes_mut().update(|routes| {
            routes.retain(|route| matches!(route.cidr, IpCidr::Ipv6(_)));
            let Some(ipv4) = ipv4 else { return };
            // Routers that advertise themselves may have filled the table.
            routes.truncate(routes.capacity().saturating_sub(1 + Routes::MAX));
            let gateway = ipv4.gateway.map(Route::new_ipv4_gateway);
            let others = ipv4.routes.iter().filter_map(|route| {
                let (network, prefix) = route.subnet();
                let cidr = Ipv4Cidr::new(network, prefix).into();
                Some(Route { cidr, ..Route::new_ipv4_gateway(route.router()?) })
            });
            gateway.into_iter().chain(others).for_each(|route| _ = routes.push(route));
        });
    }

    /// When something is due, if no frame arrives.
    pub(super) fn next(&mut self, now: u64) -> u64 {
        if !self.outbox.is_empty() {
            return now.saturating_add(RETRY_INTERVAL);
        }
        let smoltcp = self.interface.poll_at(instant(now), &self.sockets);
        let smoltcp = smoltcp.and_then(|at| u64::try_from(at.total_micros()).ok()).filter(|&at| at > now);
        let latest = now.saturating_add(SMOLTCP_INTERVAL);
        let lease = self.dhcp.as_ref().map_or(u64::MAX, Client::due);
        [self.neighbors.due(), self.ipv4.due(), self.link_local.due(), lease]
            .into_iter()
            .map(|at| at.max(now.saturating_add(RETRY_INTERVAL)))
            .fold(smoltcp.map_or(latest, |at| at.min(latest)), u64::min)
    }
}
