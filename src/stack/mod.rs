//! smoltcp on a [`Nic`]: what a sender alone cannot do. It finds the interface's addresses (DHCP,
//! IPv4 link-local, SLAAC) and the targets' Ethernet addresses (ARP, NDP), answers ARP, NDP and
//! pings, and hands out the UDP datagrams that arrive. A target's log never passes here.

#![forbid(unsafe_code)]

mod addressing;

pub use addressing::{Addressing, Ipv4Interface, Ipv4Method, Origin};

use crate::nic::Nic;
use crate::wire::MacAddr;
use core::marker::PhantomData;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What [`Stack::resolve`] knows of a target's Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Frames go here.
    Known(MacAddr),
    /// It was asked for less than a second ago.
    Waiting,
    /// Nobody answered within a second: use broadcast. The asking goes on.
    Unanswered,
}

/// A UDP datagram that arrived for one of the interface's own addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// The sender's Ethernet address.
    pub mac: MacAddr,
    /// Who sent it.
    pub source: SocketAddr,
    /// Where it was sent to.
    pub destination: SocketAddr,
    /// What it carries.
    pub payload: &'a [u8],
}

/// The memory that a [`Stack`] borrows for its DHCP client, which smoltcp wants to be elsewhere.
pub struct Storage<'a> {
    hostname: Option<&'a str>,
}

impl<'a> Storage<'a> {
    /// `hostname` is told to the DHCP server (option 12).
    pub fn new(hostname: Option<&'a str>) -> Self {
        Self { hostname }
    }
}

/// An interface's addresses and neighbours.
pub struct Stack<'a> {
    _storage: PhantomData<&'a mut Storage<'a>>,
}

impl<'a> Stack<'a> {
    /// A stack for the card with address `mac` and the IP MTU `mtu`. `seed` makes the DHCP
    /// transaction ids differ from boot to boot; `now` is in microseconds, as everywhere here.
    pub fn new(storage: &'a mut Storage<'a>, mac: MacAddr, mtu: usize, addressing: &Addressing, seed: u64, now: u64) -> Self {
        let _ = (storage.hostname, mac, mtu, addressing, seed, now);
        Self { _storage: PhantomData }
    }

    /// Handles a bounded number of the frames that have arrived, and what is due. Never blocks.
    /// `input` gets each UDP datagram for one of the interface's own addresses.
    pub fn poll(&mut self, nic: &mut dyn Nic, now: u64, input: &mut dyn FnMut(Datagram<'_>)) {
        let _ = (nic, now, input);
    }

    /// The IPv4 address in use.
    pub fn ipv4(&self) -> Option<Ipv4Interface> {
        None
    }

    /// The IPv6 link-local address.
    pub fn ipv6_link_local(&self) -> Ipv6Addr {
        Ipv6Addr::UNSPECIFIED
    }

    /// The NTP server that DHCP named (option 42).
    pub fn ntp_server(&self) -> Option<Ipv4Addr> {
        None
    }

    /// The address to send from to `target`, none while there is none yet.
    pub fn source_for(&self, target: IpAddr, now: u64) -> Option<IpAddr> {
        let _ = (target, now);
        None
    }

    /// Whose Ethernet address a frame for `target` goes to: its own when it is on this link or no
    /// router is known, else the router's.
    pub fn next_hop(&self, target: IpAddr) -> IpAddr {
        target
    }

    /// Asks for the Ethernet address that a frame for `target` goes to.
    pub fn resolve(&mut self, nic: &mut dyn Nic, source: IpAddr, target: IpAddr, now: u64) -> Resolution {
        let _ = (nic, source, target, now);
        Resolution::Waiting
    }

    /// Tells of the cable: coming up restarts DHCP, SLAAC and the asking for Ethernet addresses.
    pub fn link_changed(&mut self, up: bool, now: u64) {
        let _ = (up, now);
    }

    /// Microseconds until [`poll`](Self::poll) has something to do even if no frame arrives.
    pub fn next_due(&mut self, now: u64) -> u64 {
        now
    }
}
