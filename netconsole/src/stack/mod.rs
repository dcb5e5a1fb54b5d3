//! smoltcp on a [`Nic`]: what a sender alone cannot do. It finds the interface's addresses (DHCP,
//! IPv4 link-local, SLAAC) and the targets' Ethernet addresses (ARP, NDP), answers ARP, NDP and
//! pings, and hands out the UDP datagrams that arrive. A target's log never passes here.
//!
//! A frame that arrives goes three ways, none of which keeps the next from it: what tells about
//! neighbours is learnt, a UDP datagram for this machine is handed out, and what smoltcp is here for
//! goes to smoltcp. Whatever else arrives is dropped without an answer.
//!
//! All times are microseconds of one clock that never runs back. None of this is for panic context.
//!
//! It knows nothing of `ring`, `format`, `settings` and `targets`.

#![forbid(unsafe_code)]

mod addressing;
mod device;
mod dhcp;
mod filter;
mod given;
mod ipv4;
mod lease;
mod link_local;
mod neighbors;
mod news;
mod ping;
mod pong;
mod random;
mod receive;
mod routing;
#[cfg(test)]
mod tests;
mod upkeep;

pub use addressing::{Addressing, Ipv4Interface, Ipv4Method, Origin, Route, Routes};
pub use link_local::link_local_ipv4;
pub use neighbors::Resolution;
pub use news::News;

use crate::host_name::HostName;
use crate::nic::Nic;
use crate::wire::multicast::{is_broadcast, multicast_mac};
use crate::wire::{MacAddr, udp};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use device::{FRAME, MTU, Outbox, Port};
use dhcp::{Client, Told};
use ipv4::Ipv4;
use link_local::LinkLocal;
use neighbors::{Asker, Neighbors};
use news::Unread;
use pong::Pong;
use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpCidr, Ipv6Cidr};

/// How many received frames one [`Stack::poll`] handles, so that a flood can't hold up the log.
pub const FRAMES_PER_POLL: usize = 16;
/// How many frames of its own smoltcp sends in one [`Stack::poll`].
const SENT_PER_POLL: usize = 4;
/// How often smoltcp is run when it names no time, or one that has passed: it does not count
/// everything that it waits for.
const SMOLTCP_INTERVAL: u64 = 1_000_000;
/// How soon a frame that the card had no room for is tried again.
const RETRY_INTERVAL: u64 = 1_000;
/// How long DHCP is waited for before a link-local address is taken into use.
pub const LINK_LOCAL_AFTER: u64 = 10_000_000;
/// How long a router is waited for (RFC 4861, section 6.2.6: it answers within 0.5 s) before the IPv6
/// link-local address is the source of what goes beyond the link.
pub const ROUTER_WAIT: u64 = 1_000_000;

/// An interface's addresses and neighbours.
pub struct Stack<'a> {
    mac: MacAddr,
    card_mtu: usize,
    vlan: Option<u16>,
    seed: u64,
    echo: bool,
    static_ipv6: Option<Ipv6Cidr>,
    interface: Interface,
    /// smoltcp wants a set, which is empty.
    sockets: SocketSet<'static>,
    dhcp: Option<Client<'a>>,
    /// What came with the last lease.
    told: Told,
    outbox: Outbox,
    untagged: [u8; FRAME],
    ipv4: Ipv4,
    link_local: LinkLocal,
    neighbors: Neighbors,
    news: Unread,
    pong: Option<Pong>,
    link_is_up: bool,
    /// Whether another station was heard since then.
    has_heard: bool,
    router_wait_ends: u64,
    due: u64,
    probe: fn(),
}

impl<'a> Stack<'a> {
    /// A stack for the card with the address `mac` and the IP MTU `mtu`, on the VLAN `vlan` (1…4094)
    /// or on untagged frames. `hostname` is told to the DHCP server (option 12) unless it is empty or longer than 64
    /// bytes. `seed` makes DHCP's transaction ids differ from boot to boot. The cable counts as connected until
    /// [`link_changed`](Self::link_changed) says otherwise.
    ///
    /// An address that can't be a station's is not used. The IPv6 link-local address is used at once,
    /// without looking for duplicates (RFC 4862 with DupAddrDetectTransmits 0): it comes from the
    /// Ethernet address, and where that is there twice nothing works anyway.
    pub fn new(
        hostname: Option<&'a str>,
        mac: MacAddr,
        mtu: usize,
        vlan: Option<u16>,
        addressing: &Addressing,
        seed: u64,
        now: u64,
    ) -> Self {
        let card_mtu = mtu.clamp(*MTU.start(), *MTU.end());
        let static_ipv6 = addressing.ipv6.filter(|(ip, _)| !ip.is_multicast() && !ip.is_unspecified());
        let static_ipv6 = static_ipv6.map(|(address, prefix)| Ipv6Cidr::new(address, prefix.min(128)));
        let asks = addressing.ipv4 == Ipv4Method::Dhcp;
        let mut outbox = Outbox::new();
        let mut stack = Self {
            mac,
            card_mtu,
            vlan,
            seed,
            echo: addressing.echo,
            static_ipv6,
            interface: interface(mac, card_mtu, static_ipv6, seed, &mut outbox, now),
            sockets: SocketSet::new(&mut [][..]),
            dhcp: asks.then(|| Client::new(mac, hostname, seed, now)),
            told: Told::NOTHING,
            outbox,
            untagged: [0; FRAME],
            ipv4: Ipv4::new(mac),
            link_local: LinkLocal::new(mac),
            neighbors: Neighbors::new(),
            news: Unread::new(),
            pong: None,
            link_is_up: true,
            has_heard: false,
            router_wait_ends: now.saturating_add(ROUTER_WAIT),
            due: now,
            probe: || {},
        };
        if mtu < card_mtu {
            stack.news.add(News::MtuTooSmall(u16::try_from(mtu).unwrap_or(0)));
        }
        stack.look_for_link_local(now);
        if let Ipv4Method::Static { address, prefix, gateway } = addressing.ipv4
            && filter::is_unicast(address)
        {
            let gateway = gateway.filter(|&gateway| filter::is_unicast(gateway));
            let prefix = prefix.min(32);
            let (routes, origin) = (Routes::NONE, Origin::Static);
            stack.set_ipv4(Some(Ipv4Interface { address, prefix, gateway, routes, origin }), now);
        }
        stack
    }

    /// Handles up to [`FRAMES_PER_POLL`] of the frames that have arrived, and what is due. Never
    /// blocks. `input` gets each UDP datagram for one of the interface's own addresses, unverified
    /// but for its checksum: who may send what is the caller's to say.
    pub fn poll(&mut self, nic: &mut dyn Nic, now: u64, input: &mut dyn FnMut(&udp::Received<'_>)) {
        Self::poll_shared(&mut [Some(self)], nic, now, input);
    }

    /// As [`poll`](Self::poll), for all stacks that share a card: each takes the frames of its VLAN.
    pub fn poll_shared<const N: usize>(
        stacks: &mut [Option<&mut Self>; N],
        nic: &mut dyn Nic,
        now: u64,
        input: &mut dyn FnMut(&udp::Received<'_>),
    ) {
        let (mut received, mut sent) = (0, false);
        'receiving: while received < FRAMES_PER_POLL {
            // A frame that still waits is the answer to the last one: the next may need its room.
            for stack in stacks.iter_mut().flatten() {
                match stack.outbox.flush(nic, stack.vlan) {
                    Ok(flushed) => sent |= flushed,
                    Err(_) => break 'receiving,
                }
            }
            let mut take = |frame: &[u8]| {
                stacks.iter_mut().flatten().for_each(|stack| stack.take(frame, now, input));
            };
            if !nic.receive(&mut take) {
                break;
            }
            received = received.saturating_add(1);
        }
        for stack in stacks.iter_mut().flatten() {
            if stack.link_is_up && (received > 0 || stack.due <= now) {
                sent |= stack.run(nic, now);
                sent |= stack.keep_lease(nic, now);
                sent |= stack.keep_ipv4(nic, now);
                sent |= stack.neighbors.ask(nic, Asker { mac: stack.mac, vlan: stack.vlan }, now);
                stack.due = if received == FRAMES_PER_POLL { now } else { stack.next(now) };
            }
        }
        if sent {
            nic.kick();
        }
    }

    /// Has `probe` called in the middle of smoltcp, whenever it reads or writes a frame: for provoking a
    /// crash there.
    pub(crate) fn set_probe(&mut self, probe: fn()) {
        self.probe = probe;
    }

    /// What happened since the last call that a person should know: to be asked for until there is no more.
    pub fn take_news(&mut self) -> Option<News> {
        self.news.take()
    }

    /// The longest IP packet that may be sent, in bytes: the least of what the card says and what came with the lease.
    /// It is 576 to 1500.
    pub fn mtu(&self) -> usize {
        let is_leased = self.ipv4.log_source().is_some_and(|ipv4| ipv4.origin == Origin::Dhcp);
        let leased = self.told.mtu.map(usize::from).filter(|mtu| is_leased && mtu >= MTU.start());
        leased.map_or(self.card_mtu, |mtu| mtu.min(self.card_mtu))
    }

    /// The IPv4 address in use. One whose lease is over is not, though [`source_for`](Self::source_for) may name it.
    pub fn ipv4(&self) -> Option<Ipv4Interface> {
        self.ipv4.owned()
    }

    /// Where broadcasts come from as long as there is no IPv4 address and DHCP is asked for one: the link-local address
    /// that is being probed. Nothing that is sent to it arrives.
    pub fn ipv4_candidate(&self) -> Option<Ipv4Addr> {
        (self.dhcp.is_some() && self.ipv4.log_source().is_none()).then(|| self.link_local.candidate())
    }

    /// The address that the log comes from: [`ipv4`](Self::ipv4), or the last one where its lease is over.
    pub fn ipv4_log_source(&self) -> Option<Ipv4Interface> {
        self.ipv4.log_source()
    }

    /// The IPv6 link-local address, there from the start.
    pub fn ipv6_link_local(&self) -> Ipv6Addr {
        link_local_ipv6(self.mac)
    }

    /// Whether `address` is one of the interface's own, so that what is sent to it arrives.
    pub fn owns(&self, address: IpAddr) -> bool {
        self.interface.has_ip_addr(address)
    }

    /// Until when `address` is one of the interface's own, in the µs of [`poll`](Self::poll): 0 where it never was,
    /// `u64::MAX` where that has no end. A lease that is renewed has another end; one that is over had its own.
    pub fn owned_until(&self, address: IpAddr) -> u64 {
        let is_leased =
            |ipv4: Ipv4Interface| ipv4.origin == Origin::Dhcp && IpAddr::V4(ipv4.address) == address;
        match &self.dhcp {
            Some(client) if self.ipv4.log_source().is_some_and(is_leased) => client.lease_ends(),
            _ if self.owns(address) => u64::MAX,
            _ => 0,
        }
    }

    /// The NTP server that DHCP named (option 42).
    pub fn ntp_server(&self) -> Option<Ipv4Addr> {
        self.told.ntp_server
    }

    /// The host name that DHCP gave (option 12).
    pub fn host_name(&self) -> Option<HostName> {
        self.told.host_name
    }

    /// Whether one station can have this address (RFC 1122, section 3.2.1.3: what comes from another is dropped).
    fn is_station(&self, address: IpAddr) -> bool {
        let is_broadcast = matches!(address, IpAddr::V4(ip) if is_broadcast(ip, self.subnet()));
        !is_broadcast && !address.is_multicast() && !address.is_unspecified() && !address.is_loopback()
    }

    fn subnet(&self) -> Option<(Ipv4Addr, u8)> {
        self.ipv4.log_source().map(|ipv4| (ipv4.address, ipv4.prefix))
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
        if matches!(target, IpAddr::V4(ip) if is_broadcast(ip, self.subnet())) {
            return Resolution::Known(MacAddr::BROADCAST);
        }
        // Who asks from an address claims it.
        let held = self.ipv4.log_source().filter(|_| self.ipv4().is_none());
        let is_disowned = held.is_some_and(|ipv4| source == ipv4.address);
        let source = if is_disowned { Ipv4Addr::UNSPECIFIED.into() } else { source };
        let resolution = self.neighbors.resolve(source, self.next_hop(target), now);
        if !matches!(resolution, Resolution::Known(_)) {
            if self.neighbors.ask(nic, Asker { mac: self.mac, vlan: self.vlan }, now) {
                nic.kick();
            }
            self.due = self.due.min(self.neighbors.due());
        }
        resolution
    }

    /// Forgets the Ethernet address that a frame for `target` goes to, so that
    /// [`resolve`](Self::resolve) asks for it again.
    pub fn forget(&mut self, target: IpAddr, now: u64) {
        self.neighbors.forget(self.next_hop(target), now);
    }

    /// Tells of the cable. When it comes up, everything that was learnt from the network begins
    /// again, since it may be another one: the DHCP address is given up and asked for again, a
    /// link-local one probed again, routers and Ethernet addresses asked for again.
    pub fn link_changed(&mut self, up: bool, now: u64) {
        if self.link_is_up == up {
            return;
        }
        self.link_is_up = up;
        self.has_heard = false;
        self.due = if up { now } else { u64::MAX };
        if !up {
            return;
        }
        // smoltcp would repeat its random numbers with the same seed, and DHCP its transaction ids.
        let seed = self.seed.wrapping_add(now);
        self.interface = interface(self.mac, self.card_mtu, self.static_ipv6, seed, &mut self.outbox, now);
        self.router_wait_ends = now.saturating_add(ROUTER_WAIT);
        self.neighbors.restart(now);
        self.link_local.stop();
        if let Some(client) = &mut self.dhcp {
            client.restart(now);
        }
        self.look_for_link_local(now);
        self.set_ipv4(self.ipv4().filter(|ipv4| ipv4.origin == Origin::Static), now);
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
    let mut port = Port { incoming: None, outbox, mtu, probe: || {} };
    let mut interface = Interface::new(config, &mut port, instant(now));
    interface.update_ip_addrs(|addresses| {
        let link_local = Ipv6Cidr::new(link_local_ipv6(mac), 64);
        addresses.extend([Some(link_local), ipv6].into_iter().flatten().map(IpCidr::Ipv6));
    });
    interface
}

/// fe80::/64 with the interface identifier of an Ethernet address (RFC 4291, appendix A; RFC 2464,
/// section 5). Panic-safe.
pub fn link_local_ipv6(mac: MacAddr) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.0;
    [0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f].into()
}

/// smoltcp's clock is signed. Half of it, which is 146,000 years, leaves room for what smoltcp adds.
fn instant(now: u64) -> Instant {
    Instant::from_micros(i64::try_from(now).unwrap_or(i64::MAX).min(i64::MAX / 2))
}
