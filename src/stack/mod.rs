//! smoltcp on a [`Nic`]: what a sender alone cannot do. It finds the interface's addresses (DHCP,
//! IPv4 link-local, SLAAC) and the targets' Ethernet addresses (ARP, NDP), answers ARP, NDP and
//! pings, and hands out the UDP datagrams that arrive. A target's log never passes here.
//!
//! A frame that arrives goes three ways, none of which keeps the next from it: what tells about
//! neighbours is learnt, a UDP datagram for this machine is handed out, and what smoltcp is here for
//! goes to smoltcp. Whatever else arrives is dropped without an answer.
//!
//! All times are microseconds of one clock that never runs back. None of this is for panic context.

#![forbid(unsafe_code)]

mod addressing;
mod device;
mod dhcp;
mod filter;
mod ipv4;
mod link_local;
mod neighbors;
#[cfg(test)]
mod tests;

pub use addressing::{Addressing, Ipv4Interface, Ipv4Method, Origin};
pub use dhcp::Storage;

use crate::nic::Nic;
use crate::wire::ethernet::{self, ether_type};
use crate::wire::multicast::{is_broadcast, multicast_mac};
use crate::wire::{MacAddr, arp, ndp, udp};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use device::{Outbox, Port};
use ipv4::Ipv4;
use link_local::LinkLocal;
use neighbors::{Asker, Neighbors};
use smoltcp::iface::{Config, Interface, Route, SocketHandle, SocketSet};
use smoltcp::socket::dhcpv4;
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr, Ipv4Cidr, Ipv6Cidr};

/// The longest frame that smoltcp takes or gives: the IP MTU of Ethernet and its header.
const FRAME: usize = 1514;
/// The smallest and the largest IP MTU that is used, whatever the card says: what every IPv4 host
/// takes (RFC 791), and Ethernet's.
const MTU: core::ops::RangeInclusive<usize> = 576..=1500;
/// How many received frames one [`Stack::poll`] handles, so that a flood can't hold up the log.
pub const FRAMES_PER_POLL: usize = 16;
/// How many frames of its own smoltcp sends in one [`Stack::poll`].
const SENT_PER_POLL: usize = 4;
/// How often smoltcp is run when it names no time, or one that has passed: it does not count
/// everything that it waits for.
const SMOLTCP_INTERVAL: u64 = 1_000_000;
/// How soon a frame that the card had no room for is tried again.
const RETRY_INTERVAL: u64 = 1_000;
/// How long DHCP is waited for before a link-local address is looked for: time for a second question.
pub const LINK_LOCAL_AFTER: u64 = 5_000_000;
/// How long a router is waited for (RFC 4861, section 6.2.6: it answers within 0.5 s) before the IPv6
/// link-local address is the source of what goes beyond the link.
pub const ROUTER_WAIT: u64 = 1_000_000;

/// What [`Stack::resolve`] knows of a target's Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Frames go here.
    Known(MacAddr),
    /// It was asked for less than a second ago, or the cable is unplugged.
    Waiting,
    /// Nobody answered within a second: use broadcast. The asking goes on.
    Unanswered,
}

/// An interface's addresses and neighbours.
pub struct Stack<'a> {
    mac: MacAddr,
    mtu: usize,
    vlan: Option<u16>,
    seed: u64,
    echo: bool,
    static_ipv6: Option<Ipv6Cidr>,
    interface: Interface,
    sockets: SocketSet<'a>,
    dhcp: Option<SocketHandle>,
    outbox: Outbox,
    untagged: [u8; FRAME],
    ipv4: Ipv4,
    link_local: LinkLocal,
    /// When link-local addressing begins unless DHCP gives an address.
    link_local_at: u64,
    /// The NTP server of the last acknowledgement heard, and that of the one that counted.
    ntp_heard: Option<Ipv4Addr>,
    ntp_server: Option<Ipv4Addr>,
    neighbors: Neighbors,
    link_is_up: bool,
    router_wait_ends: u64,
    due: u64,
}

impl<'a> Stack<'a> {
    /// A stack for the card with the address `mac` and the IP MTU `mtu`, on the VLAN `vlan` (1…4094)
    /// or on untagged frames. `seed` makes DHCP's transaction ids differ from boot to boot. The cable
    /// counts as connected until [`link_changed`](Self::link_changed) says otherwise.
    ///
    /// An address that can't be a station's is not used. The IPv6 link-local address is used at once,
    /// without looking for duplicates (RFC 4862 with DupAddrDetectTransmits 0): it comes from the
    /// Ethernet address, and where that is there twice nothing works anyway.
    pub fn new(
        storage: &'a mut Storage<'a>,
        mac: MacAddr,
        mtu: usize,
        vlan: Option<u16>,
        addressing: &Addressing,
        seed: u64,
        now: u64,
    ) -> Self {
        let mtu = mtu.clamp(*MTU.start(), *MTU.end());
        let static_ipv6 = addressing.ipv6.filter(|(ip, _)| !ip.is_multicast() && !ip.is_unspecified());
        let static_ipv6 = static_ipv6.map(|(address, prefix)| Ipv6Cidr::new(address, prefix.min(128)));
        let (sockets, dhcp) = storage.sockets(addressing.ipv4 == Ipv4Method::Dhcp);
        let mut outbox = Outbox::new();
        let mut stack = Self {
            mac,
            mtu,
            vlan,
            seed,
            echo: addressing.echo,
            static_ipv6,
            interface: interface(mac, mtu, static_ipv6, seed, &mut outbox, now),
            sockets,
            dhcp,
            outbox,
            untagged: [0; FRAME],
            ipv4: Ipv4::new(mac),
            link_local: LinkLocal::new(mac),
            link_local_at: if dhcp.is_some() { now.saturating_add(LINK_LOCAL_AFTER) } else { u64::MAX },
            ntp_heard: None,
            ntp_server: None,
            neighbors: Neighbors::new(),
            link_is_up: true,
            router_wait_ends: now.saturating_add(ROUTER_WAIT),
            due: now,
        };
        if let Ipv4Method::Static { address, prefix, gateway } = addressing.ipv4
            && filter::is_unicast(address)
        {
            let gateway = gateway.filter(|&gateway| filter::is_unicast(gateway));
            let prefix = prefix.min(32);
            stack.set_ipv4(Some(Ipv4Interface { address, prefix, gateway, origin: Origin::Static }), now);
        }
        stack
    }

    /// Handles up to [`FRAMES_PER_POLL`] of the frames that have arrived, and what is due. Never
    /// blocks. `input` gets each UDP datagram for one of the interface's own addresses, unverified
    /// but for its checksum: who may send what is the caller's to say.
    pub fn poll(&mut self, nic: &mut dyn Nic, now: u64, input: &mut dyn FnMut(&udp::Received<'_>)) {
        let (received, mut sent) = self.receive(nic, now, input);
        if self.link_is_up && (received > 0 || self.due <= now) {
            sent |= self.run(nic, now);
            sent |= self.keep_ipv4(nic, now);
            sent |= self.neighbors.ask(nic, Asker { mac: self.mac, vlan: self.vlan }, now);
            self.due = if received == FRAMES_PER_POLL { now } else { self.next(now) };
        }
        if sent {
            nic.kick();
        }
    }

    /// The IPv4 address in use.
    pub fn ipv4(&self) -> Option<Ipv4Interface> {
        self.ipv4.current()
    }

    /// The IPv6 link-local address, there from the start.
    pub fn ipv6_link_local(&self) -> Ipv6Addr {
        link_local_ipv6(self.mac)
    }

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

    /// The NTP server that DHCP named (option 42).
    pub fn ntp_server(&self) -> Option<Ipv4Addr> {
        self.ntp_server
    }

    /// The address to send from to `target`; `None` while there is none. It can change until the
    /// target's Ethernet address is [known](Resolution::Known), so ask before each
    /// [`resolve`](Self::resolve). For IPv6 the longest common prefix decides, and the link-local
    /// address stands in where no router has advertised a prefix within [`ROUTER_WAIT`].
    pub fn source_for(&self, target: IpAddr, now: u64) -> Option<IpAddr> {
        let target = match target {
            IpAddr::V4(_) => return self.ipv4().map(|ipv4| ipv4.address.into()),
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
            IpAddr::V4(ip) => self.ipv4().and_then(|ipv4| ipv4.router_to(ip)).map(IpAddr::V4),
            IpAddr::V6(ip) if is_on_every_link(ip) || ip.is_multicast() => None,
            IpAddr::V6(ip) if self.ipv6_cidrs().any(|cidr| cidr.contains_addr(&ip)) => None,
            IpAddr::V6(_) => self.ipv6_gateway().map(IpAddr::V6),
        };
        router.unwrap_or(target)
    }

    /// The Ethernet address that a frame for `target` goes to; asks for it, from `source` of the same
    /// family, if it is not known. That of a group is mapped and that of all is broadcast. Ask again
    /// now and then, and at least once a minute: the address can change, and what nobody wants for
    /// two minutes is forgotten. At most 32 are remembered.
    pub fn resolve(&mut self, nic: &mut dyn Nic, source: IpAddr, target: IpAddr, now: u64) -> Resolution {
        if !self.link_is_up {
            return Resolution::Waiting;
        }
        if let Some(mac) = multicast_mac(target) {
            return Resolution::Known(mac);
        }
        let subnet = self.ipv4().map(|ipv4| (ipv4.address, ipv4.prefix));
        if matches!(target, IpAddr::V4(ip) if is_broadcast(ip, subnet)) {
            return Resolution::Known(MacAddr::BROADCAST);
        }
        let resolution = self.neighbors.resolve(source, self.next_hop(target), now);
        if !matches!(resolution, Resolution::Known(_)) {
            if self.neighbors.ask(nic, Asker { mac: self.mac, vlan: self.vlan }, now) {
                nic.kick();
            }
            self.due = self.due.min(self.neighbors.due());
        }
        resolution
    }

    /// Tells of the cable. When it comes up, everything that was learnt from the network begins
    /// anew, since it may be another one: the DHCP address is given up and asked for again, a
    /// link-local one probed again, routers and Ethernet addresses asked for again.
    pub fn link_changed(&mut self, up: bool, now: u64) {
        if self.link_is_up == up {
            return;
        }
        self.link_is_up = up;
        self.due = if up { now } else { u64::MAX };
        if !up {
            return;
        }
        self.interface = interface(self.mac, self.mtu, self.static_ipv6, self.seed, &mut self.outbox, now);
        self.router_wait_ends = now.saturating_add(ROUTER_WAIT);
        self.neighbors.restart(now);
        self.link_local.stop();
        if let Some(dhcp) = self.dhcp {
            self.sockets.get_mut::<dhcpv4::Socket>(dhcp).reset();
            self.link_local_at = now.saturating_add(LINK_LOCAL_AFTER);
        }
        self.set_ipv4(self.ipv4().filter(|ipv4| ipv4.origin == Origin::Static), now);
    }

    /// Microseconds until [`poll`](Self::poll) has something to do even if no frame arrives.
    pub fn next_due(&self, now: u64) -> u64 {
        self.due.saturating_sub(now)
    }

    /// Takes in what has arrived; how many frames, and whether any was sent.
    fn receive(
        &mut self,
        nic: &mut dyn Nic,
        now: u64,
        input: &mut dyn FnMut(&udp::Received<'_>),
    ) -> (usize, bool) {
        let mut sent = false;
        for received in 0..FRAMES_PER_POLL {
            // A frame that still waits here is the answer to the last one: the next may need the room.
            match self.outbox.flush(nic, self.vlan) {
                Ok(flushed) => sent |= flushed,
                Err(_) => return (received, sent),
            }
            if !nic.receive(&mut |frame| self.take(frame, now, input)) {
                return (received, sent);
            }
        }
        (FRAMES_PER_POLL, sent)
    }

    /// Takes in one frame.
    fn take(&mut self, bytes: &[u8], now: u64, input: &mut dyn FnMut(&udp::Received<'_>)) {
        let Some(frame) = ethernet::parse(bytes) else { return };
        let is_for_us = frame.destination == self.mac || frame.destination.is_multicast();
        if frame.vlan != self.vlan || !is_for_us || frame.source == self.mac || !self.link_is_up {
            return;
        }
        match frame.ether_type {
            ether_type::ARP => self.hear_arp(bytes, now),
            ether_type::IPV6 => self.hear_ndp(bytes, now),
            _ => {}
        }
        if let Some(datagram) = udp::parse(bytes) {
            if let Some(ntp_server) = dhcp::ntp_server(datagram.payload, self.mac) {
                self.ntp_heard = ntp_server;
            }
            if frame.destination == self.mac && self.interface.has_ip_addr(datagram.destination.ip) {
                input(&datagram);
            }
        }
        let is_own = |ip: IpAddr| self.interface.has_ip_addr(ip);
        if !filter::admits(&frame, |ip| self.echo && frame.destination == self.mac && is_own(ip)) {
            return;
        }
        let untagged = match frame.vlan {
            Some(_) => device::untag(bytes, &mut self.untagged),
            None => Some(bytes),
        };
        let mut port = Port { incoming: untagged, outbox: &mut self.outbox, mtu: self.mtu };
        self.interface.poll_ingress_single(instant(now), &mut port, &mut self.sockets);
    }

    fn hear_arp(&mut self, bytes: &[u8], now: u64) {
        let Some(packet) = arp::parse(bytes) else { return };
        self.link_local.hear(&packet, now);
        if self.ipv4.hear(&packet, now) {
            self.set_ipv4(None, now);
            self.link_local.conflict(now);
        }
        if !packet.sender_ip.is_unspecified() {
            self.neighbors.learn(packet.sender_ip.into(), packet.sender_mac, true, now);
        } else if self.ipv4().is_some_and(|ipv4| ipv4.address == packet.target_ip) {
            // A probe for our address, which smoltcp does not answer.
            self.outbox.put(|frame| packet.answer(self.mac)?.write(None, frame));
        }
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

    /// Lets smoltcp do what is due, and send; whether it sent.
    fn run(&mut self, nic: &mut dyn Nic, now: u64) -> bool {
        let mut sent = false;
        self.interface.poll_maintenance(instant(now));
        for _ in 0..SENT_PER_POLL {
            match self.outbox.flush(nic, self.vlan) {
                Ok(flushed) => sent |= flushed,
                Err(_) => break,
            }
            let mut port = Port { incoming: None, outbox: &mut self.outbox, mtu: self.mtu };
            self.interface.poll_egress(instant(now), &mut port, &mut self.sockets);
            if self.outbox.is_empty() {
                break;
            }
        }
        sent | self.outbox.flush(nic, self.vlan).unwrap_or(false)
    }

    /// Follows DHCP, looks for a link-local address, announces the address in use; whether it sent.
    fn keep_ipv4(&mut self, nic: &mut dyn Nic, now: u64) -> bool {
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
                self.ntp_server = self.ntp_heard;
                self.link_local.stop();
                self.link_local_at = u64::MAX;
                if current != Some(ipv4) {
                    self.set_ipv4(Some(ipv4), now);
                }
            }
            Some(dhcpv4::Event::Deconfigured) if current.is_some_and(|ipv4| ipv4.origin == Origin::Dhcp) => {
                self.set_ipv4(None, now);
                self.link_local_at = now.saturating_add(LINK_LOCAL_AFTER);
            }
            _ => {}
        }
        if self.link_local_at <= now {
            self.link_local_at = u64::MAX;
            self.link_local.start(now);
        }
    }

    /// Takes an IPv4 address into use, or gives up the one there was.
    fn set_ipv4(&mut self, ipv4: Option<Ipv4Interface>, now: u64) {
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
    fn next(&mut self, now: u64) -> u64 {
        if !self.outbox.is_empty() {
            return now.saturating_add(RETRY_INTERVAL);
        }
        let smoltcp = self.interface.poll_at(instant(now), &self.sockets);
        let smoltcp = smoltcp.and_then(|at| u64::try_from(at.total_micros()).ok()).filter(|&at| at > now);
        let latest = now.saturating_add(SMOLTCP_INTERVAL);
        [self.neighbors.due(), self.ipv4.due(), self.link_local.due(), self.link_local_at]
            .into_iter()
            .map(|at| at.max(now.saturating_add(RETRY_INTERVAL)))
            .fold(smoltcp.map_or(latest, |at| at.min(latest)), u64::min)
    }

    fn ipv6_cidrs(&self) -> impl Iterator<Item = Ipv6Cidr> {
        self.interface.ip_addrs().iter().filter_map(|cidr| match cidr {
            IpCidr::Ipv6(cidr) => Some(*cidr).filter(|cidr| !cidr.address().is_unicast_link_local()),
            IpCidr::Ipv4(_) => None,
        })
    }
}

/// smoltcp's interface with the IPv6 addresses that need no network.
fn interface(
    mac: MacAddr,
    mtu: usize,
    ipv6: Option<Ipv6Cidr>,
    seed: u64,
    outbox: &mut Outbox,
    now: u64,
) -> Interface {
    let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(mac.0)));
    config.random_seed = seed;
    config.slaac = true;
    let mut interface = Interface::new(config, &mut Port { incoming: None, outbox, mtu }, instant(now));
    interface.update_ip_addrs(|addresses| {
        let link_local = Ipv6Cidr::new(link_local_ipv6(mac), 64);
        addresses.extend([Some(link_local), ipv6].into_iter().flatten().map(IpCidr::Ipv6));
    });
    interface
}

/// fe80::/64 with the interface identifier of an Ethernet address (RFC 4291, appendix A; RFC 2464,
/// section 5).
fn link_local_ipv6(mac: MacAddr) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.0;
    [0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f].into()
}

/// Whether each link has an address or group of this name of its own: link-local, unicast or not.
fn is_on_every_link(ip: Ipv6Addr) -> bool {
    let [first, second, ..] = ip.octets();
    ip.is_unicast_link_local() || first == 0xff && second & 0xf <= 2
}

/// smoltcp's clock is signed. Half of it, which is 146,000 years, leaves room for what smoltcp adds.
fn instant(now: u64) -> Instant {
    Instant::from_micros(i64::try_from(now).unwrap_or(i64::MAX).min(i64::MAX / 2))
}
