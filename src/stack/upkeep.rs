//! What is due without anything arriving: smoltcp's own frames, DHCP's events, link-local addresses.

use super::device::Port;
use super::{Ipv4Interface, Origin, filter, instant, link_local};
use super::{LINK_LOCAL_AFTER, RETRY_INTERVAL, SENT_PER_POLL, SMOLTCP_INTERVAL, Stack};
use crate::nic::Nic;
use crate::wire::arp;
use smoltcp::iface::Route;
use smoltcp::socket::dhcpv4;
use smoltcp::wire::{IpCidr, Ipv4Cidr};

impl Stack<'_> {
    /// Lets smoltcp do what is due, and send; whether it sent.
    pub(super) fn run(&mut self, nic: &mut dyn Nic, now: u64) -> bool {
        let mut sent = false;
        self.interface.poll_maintenance(instant(now));
        for _ in 0..SENT_PER_POLL {
            match self.outbox.flush(nic, self.vlan) {
                Ok(flushed) => sent |= flushed,
                Err(_) => break,
            }
            let mut port =
                Port { incoming: None, outbox: &mut self.outbox, mtu: self.mtu, probe: self.probe };
            self.interface.poll_egress(instant(now), &mut port, &mut self.sockets);
            if self.outbox.is_empty() {
                break;
            }
        }
        sent | self.outbox.flush(nic, self.vlan).unwrap_or(false)
    }

    /// Follows DHCP, looks for a link-local address, announces the address in use; whether it sent.
    pub(super) fn keep_ipv4(&mut self, nic: &mut dyn Nic, now: u64) -> bool {
        self.follow_dhcp(now);
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
                origin: Origin::LinkLocal,
            };
            self.set_ipv4(Some(ipv4), now);
        }
        self.ipv4.poll(now, &mut send);
        sent
    }

    fn follow_dhcp(&mut self, now: u64) {
        let Some(dhcp) = self.dhcp else { return };
        let current = self.ipv4();
        match self.sockets.get_mut::<dhcpv4::Socket>(dhcp).poll() {
            Some(dhcpv4::Event::Configured(config)) => {
                let ipv4 = Ipv4Interface {
                    address: config.address.address(),
                    prefix: config.address.prefix_len(),
                    gateway: config.router.filter(|&router| filter::is_unicast(router)),
                    origin: Origin::Dhcp,
                };
                self.dhcp_told = self.dhcp_heard;
                self.link_local.stop();
                if current != Some(ipv4) {
                    self.set_ipv4(Some(ipv4), now);
                }
            }
            Some(dhcpv4::Event::Deconfigured) if current.is_some_and(|ipv4| ipv4.origin == Origin::Dhcp) => {
                self.set_ipv4(None, now);
                self.look_for_link_local(now);
            }
            _ => {}
        }
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
        self.interface.update_ip_addrs(|addresses| {
            addresses.retain(|cidr| matches!(cidr, IpCidr::Ipv6(_)));
            // There is room: smoltcp's features in Cargo.toml count this address.
            let _ = ipv4.map(|ipv4| addresses.push(Ipv4Cidr::new(ipv4.address, ipv4.prefix).into()));
        });
        self.interface.routes_mut().update(|routes| {
            routes.retain(|route| !route.is_ipv4_gateway());
            if let Some(gateway) = ipv4.and_then(|ipv4| ipv4.gateway) {
                // Routers that advertise themselves may have filled the table: DHCP's server must stay
                // within reach.
                if routes.is_full() {
                    routes.pop();
                }
                let _ = routes.push(Route::new_ipv4_gateway(gateway));
            }
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
        [self.neighbors.due(), self.ipv4.due(), self.link_local.due()]
            .into_iter()
            .map(|at| at.max(now.saturating_add(RETRY_INTERVAL)))
            .fold(smoltcp.map_or(latest, |at| at.min(latest)), u64::min)
    }
}
