//! What arrives, and the ways it goes.

use super::device::{self, Port};
use super::ipv4::Conflict;
use super::{Ipv4Interface, News, Origin, Stack, filter, instant};
use crate::wire::ethernet::{self, ether_type};
use crate::wire::{arp, ndp, udp};
use core::net::IpAddr;

impl Stack<'_> {
    /// Takes in one frame.
    pub(super) fn take(&mut self, bytes: &[u8], now: u64, input: &mut dyn FnMut(&udp::Received<'_>)) {
        let Some(frame) = ethernet::parse(bytes) else { return };
        let is_for_us = frame.destination == self.mac || frame.destination.is_multicast();
        if frame.vlan != self.vlan || !is_for_us || frame.source == self.mac || !self.link_is_up {
            return;
        }
        if frame.was_forwarded()
            && !core::mem::replace(&mut self.has_heard, true)
            && let Some(client) = &mut self.dhcp
        {
            client.network_is_there(now);
        }
        match frame.ether_type {
            ether_type::ARP => self.hear_arp(bytes, now),
            ether_type::IPV6 => self.hear_ndp(bytes, now),
            _ => {}
        }
        if frame.destination == self.mac {
            self.hear_pong(bytes, now);
        }
        if let Some(datagram) = udp::parse(bytes) {
            let is_dhcp = self.hear_dhcp(&datagram, now);
            let is_own = frame.destination == self.mac && self.interface.has_ip_addr(datagram.destination.ip);
            if is_own && !is_dhcp && self.is_station(datagram.source.ip) {
                input(&datagram);
            }
        }
        let is_own = |ip: IpAddr| self.interface.has_ip_addr(ip);
        if !filter::admits(&frame, |ip| self.echo && frame.destination == self.mac && is_own(ip)) {
            return;
        }
        let mtu = self.mtu();
        let untagged = if frame.is_tagged { device::untag(bytes, &mut self.untagged) } else { Some(bytes) };
        let mut port = Port { incoming: untagged, outbox: &mut self.outbox, mtu, probe: self.probe };
        self.interface.poll_ingress_single(instant(now), &mut port, &mut self.sockets);
    }

    fn hear_arp(&mut self, bytes: &[u8], now: u64) {
        let Some(packet) = arp::parse(bytes) else { return };
        self.link_local.hear(&packet, now);
        let conflict = self.ipv4.hear(&packet, now);
        match (conflict, self.ipv4.log_source()) {
            (Conflict::Shared, Some(ipv4)) if self.declines(&ipv4, now) => {
                self.news.add(News::Declined(ipv4.address, packet.sender_mac));
                self.set_ipv4(None, now);
                self.look_for_link_local(now);
            }
            (Conflict::Shared, Some(ipv4)) => {
                self.news.add(News::Shared(ipv4.address, packet.sender_mac));
            }
            (Conflict::Lost, Some(ipv4)) => {
                self.set_ipv4(None, now);
                if ipv4.origin == Origin::LinkLocal {
                    self.link_local.conflict(now);
                } else {
                    self.news.add(News::Taken(ipv4.address, packet.sender_mac));
                    self.look_for_link_local(now);
                }
            }
            _ => {}
        }
        if !packet.sender_ip.is_unspecified() {
            self.neighbors.learn(packet.sender_ip.into(), packet.sender_mac, true, now);
        } else if self.ipv4().is_some_and(|ipv4| ipv4.address == packet.target_ip) {
            // A probe for our address, which smoltcp does not answer.
            self.outbox.put(|frame| packet.answer(self.mac)?.write(None, frame));
        }
    }

    /// Gives a lease back that another station showed to be its own as soon as it was taken (RFC 2131, section 3.1, step
    /// 5): the log did not wait for a probe. Whether it does; later on the address is ours.
    fn declines(&mut self, ipv4: &Ipv4Interface, now: u64) -> bool {
        let is_new = ipv4.origin == Origin::Dhcp && self.ipv4.is_new(now);
        is_new && self.dhcp.as_mut().is_some_and(|client| client.decline(now))
    }

    fn hear_ndp(&mut self, bytes: &[u8], now: u64) {
        match ndp::parse(bytes) {
            Some(ndp::Message::Solicitation(question)) => {
                if !question.source.ip.is_unspecified() {
                    self.neighbors.learn(question.source.ip.into(), question.source.mac, true, now);
                } else if self.interface.has_ip_addr(question.target) {
                    // Somebody looks for duplicates of our address, which smoltcp does not answer.
                    self.outbox.put(|frame| question.answer(self.mac, None, frame));
                }
            }
            Some(ndp::Message::Advertisement(answer)) => {
                if let Some(mac) = answer.mac {
                    self.neighbors.learn(answer.target.into(), mac, answer.overrides, now);
                }
            }
            None => {}
        }
    }
}
