//! What the DHCP client asks and is told: its questions as frames, and its leases as addresses.

use super::device::MTU;
use super::dhcp::{Answer, Event, Lease};
use super::{Ipv4Interface, News, Origin, Resolution, Stack};
use crate::nic::Nic;
use crate::wire::{Endpoint, Envelope, MacAddr, ipv4, udp};
use core::net::Ipv4Addr;
use smoltcp::wire::{DHCP_CLIENT_PORT, DHCP_SERVER_PORT};

impl Stack<'_> {
    /// Does what the DHCP client's time has come for; whether it sent.
    pub(super) fn keep_lease(&mut self, nic: &mut dyn Nic, now: u64) -> bool {
        if let Some(event) = self.dhcp.as_mut().and_then(|client| client.poll(now)) {
            self.follow(event, now);
        }
        let question = self.dhcp.as_ref().and_then(|client| client.question(now));
        let Some(question) = question else { return false };
        let (mac, ip) = match question.renews_with {
            None => (MacAddr::BROADCAST, Ipv4Addr::BROADCAST),
            Some(server) => match self.resolve(nic, question.client.into(), server.into(), now) {
                Resolution::Known(mac) => (mac, server),
                Resolution::Unanswered => (MacAddr::BROADCAST, server),
                Resolution::Waiting => return false,
            },
        };
        let source = Endpoint { mac: self.mac, ip: question.client.into(), port: DHCP_CLIENT_PORT };
        let destination = Endpoint { mac, ip: ip.into(), port: DHCP_SERVER_PORT };
        let Some(envelope) = Envelope::new(source, destination, self.vlan) else { return false };
        let mtu = u16::try_from(self.card_mtu).unwrap_or(u16::MAX);
        let sent = nic.transmit(&mut |frame| {
            envelope.write(frame, 0, |payload| question.write(mtu, payload)).unwrap_or(0)
        });
        if let (Ok(()), Some(client)) = (sent, &mut self.dhcp) {
            client.asked(&question, now);
        }
        sent.is_ok()
    }

    /// Takes in a datagram that is a DHCP server's answer; false where it is none.
    pub(super) fn hear_dhcp(&mut self, datagram: &udp::Received<'_>, now: u64) -> bool {
        let Some(client) = &mut self.dhcp else { return false };
        let Some(answer) = Answer::read(datagram, self.mac) else { return false };
        if let Some(event) = client.hear(&answer, now) {
            self.follow(event, now);
        }
        true
    }

    fn follow(&mut self, event: Event, now: u64) {
        let held = self.ipv4.log_source().filter(|ipv4| ipv4.origin == Origin::Dhcp);
        match (event, held) {
            (Event::Leased(lease), _) => self.take_lease(&lease, now),
            (Event::Expired, Some(ipv4)) => {
                self.ipv4.disown();
                self.neighbors.disown(ipv4.address.into());
                self.tell_smoltcp_of_ipv4();
                self.news.add(News::LeaseExpired(ipv4.address));
            }
            (Event::Refused, Some(ipv4)) => {
                self.news.add(News::LeaseRefused(ipv4.address));
                self.set_ipv4(None, now);
                self.look_for_link_local(now);
            }
            (Event::Expired | Event::Refused, None) => {}
        }
    }

    fn take_lease(&mut self, lease: &Lease, now: u64) {
        let (gateway, routes) = lease.told.routes();
        let address = lease.address;
        let ipv4 = Ipv4Interface {
            address,
            prefix: lease.told.prefix.unwrap_or(ipv4::class_prefix(address)),
            gateway: gateway.filter(|&gateway| gateway != address),
            routes,
            origin: Origin::Dhcp,
        };
        if let Some(mtu) = lease.told.mtu
            && self.told.mtu != Some(mtu)
        {
            match usize::from(mtu) {
                small if small < *MTU.start() => self.news.add(News::MtuTooSmall(mtu)),
                used if used < self.card_mtu => self.news.add(News::Mtu(mtu)),
                _ => {}
            }
        }
        if routes.is_cut() && self.told.routes().1 != routes {
            self.news.add(News::TooManyRoutes);
        }
        self.told = lease.told;
        self.link_local.stop();
        if self.ipv4() != Some(ipv4) {
            self.set_ipv4(Some(ipv4), now);
        }
    }
}
