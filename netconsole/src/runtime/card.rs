//! A network card of this machine: its driver, its addresses, and its cable as last seen.

mod addressing;
mod link;
mod restarts;

pub use addressing::Moment;
pub use link::LinkLook;

use super::vlan::{MAX_VLANS, Vlan, VlanMemory};
use crate::host_name::HostName;
use crate::network::{Conversation, Neighbor, NetworkError, Sent};
use crate::nic::{BusAddress, CardDriver, Nic, NicError, TransmitError, Watched};
use crate::plan::CardAddress;
use crate::seal::{OVERHEAD, Protection, Sealing};
use crate::settings::{DeviceName, DeviceSelector, Settings, TargetConfig};
use crate::stack::{Ipv4Method, Resolution, Stack};
use crate::targets::Interface;
use crate::targets::choice::{Candidate, Reach};
use crate::targets::life::Life;
use crate::targets::path_name::Labels;
use crate::wire::{Endpoint, Envelope, MacAddr, udp};
use addressing::{
    addressing, hostname, ipv4_gateway, is_meant, ntp, say_what_is_waited_for, show_addresses, stack,
};
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use link::Link;
use restarts::Restarts;

/// How often the cable is looked at, in µs: each look is an access to the device.
const LINK_INTERVAL: u64 = 10_000;

/// A card that was brought up.
pub struct Card {
    /// `eth0`, `eth1`, … in the order of the PCI buses.
    pub name: DeviceName,
    /// Where it is.
    pub place: BusAddress,
    /// Its driver.
    pub nic: CardDriver,
    /// The target that starts the next turn; if it does not use this card, the next one that does.
    pub next_target: usize,
    /// What that target has had of its share, in frames.
    pub share_used: u64,
    /// What the firmware calls its place, where a target's device is named so.
    pub labels: Labels,
    /// What it has heard since its link came up.
    pub life: Life,
    stack: Stack<'static>,
    ipv4_may_come: bool,
    /// The time server that `ip=` names.
    ntp: Option<Ipv4Addr>,
    vlans: [Option<&'static mut Vlan>; MAX_VLANS],
    link_is_up: bool,
    link_seen_at: u64,
    restarts: Restarts,
    /// The IPv4 identification of the last datagram that is no target's.
    identification: u16,
}

impl Card {
    /// Gives the card that `nic` drives its addresses.
    pub fn new(
        name: DeviceName,
        place: BusAddress,
        mut nic: CardDriver,
        settings: &'static Settings,
        moment: Moment,
    ) -> Self {
        let addressing = addressing(settings, name, nic.mac(), is_meant(settings, name));
        let link_is_up = nic.link_is_up();
        let stack = stack(&nic, link_is_up, &addressing, settings, moment);
        let life = Life::new(nic.mac());
        log::info!(
            "{name}: ethernet address {}, MTU {}, link {}",
            nic.mac(),
            nic.mtu(),
            Link { is_up: link_is_up, mode: nic.link_mode() }
        );
        Self {
            name,
            place,
            nic,
            next_target: 0,
            share_used: 0,
            labels: Labels::default(),
            life,
            stack,
            ipv4_may_come: addressing.ipv4 != Ipv4Method::Off,
            ntp: ntp(settings).filter(|_| is_meant(settings, name)),
            vlans: [const { None }; MAX_VLANS],
            link_is_up,
            link_seen_at: moment.now,
            restarts: Restarts::new(),
            identification: 0,
        }
    }

    /// Takes what `ip=` says in place of what it was told, though `ip=` is not for this card.
    pub fn stand_in(&mut self, settings: &'static Settings, moment: Moment) {
        let addressing = addressing(settings, self.name, self.mac(), true);
        self.ipv4_may_come = addressing.ipv4 != Ipv4Method::Off;
        self.ntp = ntp(settings);
        self.stack = stack(&self.nic, self.link_is_up, &addressing, settings, moment);
    }

    /// Says whether it waits for an address.
    pub fn tell_of_waiting(&self) {
        say_what_is_waited_for(self.name, &self.stack, self.link_is_up);
    }

    /// Its own Ethernet address.
    pub fn mac(&self) -> MacAddr {
        self.nic.mac()
    }

    /// Its addresses and neighbours, in a VLAN or not.
    pub fn stack(&self, vlan: Option<u16>) -> Option<&Stack<'static>> {
        match vlan {
            None => Some(&self.stack),
            Some(id) => Some(&self.vlans.iter().flatten().find(|vlan| vlan.id == id)?.stack),
        }
    }

    /// The IPv4 address that the log comes from, if there is one.
    pub fn address(&self) -> Option<CardAddress> {
        let ip = self.stack.ipv4_log_source()?.address;
        Some(CardAddress { ip, owned_until: self.stack.owned_until(ip.into()) })
    }

    /// The card, or its interface in a VLAN, as a target sees it.
    pub fn interface(&mut self, vlan: Option<u16>) -> Option<Interface<'_, 'static>> {
        let (name, stack, ipv4_may_come) = match vlan {
            None => (self.name.as_str(), &mut self.stack, self.ipv4_may_come),
            Some(id) => {
                let vlan = self.vlans.iter_mut().flatten().find(|vlan| vlan.id == id)?;
                let Vlan { name, stack, ipv4_may_come, .. } = &mut **vlan;
                (name.as_str(), stack, *ipv4_may_come)
            }
        };
        let (nic, life, link_is_up) = (&mut self.nic, &mut self.life, self.link_is_up);
        Some(Interface { name, nic, stack, life, link_is_up, ipv4_may_come })
    }

    /// The card as one that could serve a target with this configuration, at `now` µs.
    pub fn candidate(&self, config: &TargetConfig, now: u64) -> Candidate {
        // With a source address that was given there is nothing to wait for.
        let is_settled = config.local_ip.is_some() || self.stack.source_for(config.remote_ip, now).is_some();
        Candidate {
            name: self.name,
            mac: self.mac(),
            place: self.place,
            labels: self.labels,
            link_is_up: self.link_is_up,
            reach: self.reach(config.remote_ip),
            may_come_nearer: !is_settled && (config.remote_ip.is_ipv6() || self.ipv4_may_come),
        }
    }

    fn reach(&self, address: IpAddr) -> Reach {
        let (is_on_link, has_gateway) = match address {
            IpAddr::V4(address) => {
                let ipv4 = self.stack.ipv4();
                let is_on_link = address.is_broadcast() || ipv4.is_some_and(|ipv4| ipv4.contains(address));
                (is_on_link, ipv4.is_some_and(|ipv4| ipv4.router_to(address).is_some()))
            }
            IpAddr::V6(address) => {
                let is_near = |(own, prefix): (Ipv6Addr, u8)| {
                    (own.to_bits() ^ address.to_bits()).leading_zeros() >= prefix.into()
                };
                let is_on_link = address.is_unicast_link_local() || self.stack.ipv6().any(is_near);
                (is_on_link, self.stack.ipv6_gateway().is_some())
            }
        };
        match (is_on_link || address.is_multicast(), has_gateway) {
            (true, _) => Reach::OnLink,
            (false, true) => Reach::ByGateway,
            (false, false) => Reach::Unknown,
        }
    }

    /// Gives the card a source address that a target names, unless it has one that was given.
    pub fn give(&mut self, address: IpAddr, settings: &Settings, now: u64) {
        self.stack.give(address, ipv4_gateway(settings), now);
    }

    /// Takes back an address that was given, where it is this one.
    pub fn take_back(&mut self, address: IpAddr, now: u64) {
        if self.stack.owns(address) {
            self.stack.take_back_ipv4(now);
        }
    }

    /// Whether there is an interface in the VLAN.
    pub fn has_vlan(&self, id: u16) -> bool {
        self.vlans.iter().flatten().any(|vlan| vlan.id == id)
    }

    /// Adds an interface in the VLAN that `target` names.
    pub fn add_vlan(
        &mut self,
        id: u16,
        target: &TargetConfig,
        memory: &'static mut VlanMemory,
        settings: &'static Settings,
        moment: Moment,
    ) {
        let DeviceSelector::Name(name) = target.device else { return };
        let Some(slot) = self.vlans.iter_mut().find(|slot| slot.is_none()) else { return };
        let mut addressing = addressing(settings, name, self.nic.mac(), is_meant(settings, name));
        if let Some(IpAddr::V4(address)) = target.local_ip
            && !matches!(addressing.ipv4, Ipv4Method::Static { .. })
        {
            addressing.ipv4 = Ipv4Method::Static { address, prefix: 24, gateway: None };
        }
        let Moment { now, seed, .. } = moment;
        let seed = seed ^ u64::from(id);
        let (mac, mtu) = (self.nic.mac(), self.nic.mtu());
        let mut stack = Stack::new(hostname(settings), mac, mtu, Some(id), &addressing, seed, now);
        stack.link_changed(self.link_is_up, now);
        let ipv4_may_come = addressing.ipv4 != Ipv4Method::Off;
        log::info!("{name}: VLAN {id} on {}", self.name);
        say_what_is_waited_for(name, &stack, self.link_is_up);
        *slot = Some(memory.vlan.write(Vlan { name, id, stack, ipv4_may_come }));
    }

    /// All stacks, each with its interface's name.
    fn stacks_mut(&mut self) -> impl Iterator<Item = (DeviceName, &mut Stack<'static>)> {
        let vlans = self.vlans.iter_mut().flatten().map(|vlan| (vlan.name, &mut vlan.stack));
        core::iter::once((self.name, &mut self.stack)).chain(vlans)
    }

    /// The card in one line: its name, place and Ethernet address, and the link.
    pub fn summary(&mut self) -> impl fmt::Display + use<> {
        let (name, place, mac, link) = (self.name, self.place, self.mac(), self.link());
        fmt::from_fn(move |f| write!(f, "{name} at {place}, {mac}, link {link}"))
    }

    /// Whether the cable was connected when last looked at.
    pub fn link_is_up(&self) -> bool {
        self.link_is_up
    }

    /// Takes in what has arrived; `input` gets the UDP datagrams that are for this machine.
    pub fn poll(&mut self, now: u64, input: &mut dyn FnMut(&udp::Received<'_>)) {
        let mut before = [None; 1 + MAX_VLANS];
        for (before, (_, stack)) in before.iter_mut().zip(self.stacks_mut()) {
            *before = stack.ipv4();
        }
        let mut stacks = [const { None }; 1 + MAX_VLANS];
        let vlans = self.vlans.iter_mut().flatten().map(|vlan| &mut vlan.stack);
        for (slot, stack) in stacks.iter_mut().zip(core::iter::once(&mut self.stack).chain(vlans)) {
            *slot = Some(stack);
        }
        let life = &mut self.life;
        let mut watched = Watched { nic: &mut self.nic, see: |frame: &[u8]| life.see(frame, now) };
        Stack::poll_shared(&mut stacks, &mut watched, now, &mut |received| {
            input(received);
        });
        for (before, (name, stack)) in before.iter().zip(self.stacks_mut()) {
            if let Some(ipv4) = stack.ipv4()
                && stack.ipv4() != *before
            {
                log::info!("{name}: IPv4 address {}/{} {}", ipv4.address, ipv4.prefix, ipv4.origin);
            }
            while let Some(news) = stack.take_news() {
                log::log!(news.level(), "{name}: {news}");
            }
        }
    }

    /// Whether an address is on one of the card's own subnets.
    pub fn reaches(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.stack.ipv4().is_some_and(|ipv4| ipv4.contains(address)),
            IpAddr::V6(_) => self.stack.next_hop(address) == address,
        }
    }

    /// Resolves a neighbour's address. `begin` forgets the old answer.
    pub fn neighbor(&mut self, address: IpAddr, begin: bool, now: u64) -> Result<Neighbor, NetworkError> {
        // Without an address of its own it asks as RFC 5227's probes do.
        let source = self.stack.source_for(address, now).unwrap_or(match address {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => self.stack.ipv6_link_local().into(),
        });
        if begin {
            self.stack.forget(address, now);
        }
        let mac = match self.stack.resolve(&mut self.nic, source, address, now) {
            Resolution::Known(mac) => Some(mac),
            Resolution::Waiting | Resolution::Unanswered => None,
        };
        Ok(Neighbor { interface: self.name, source, mac })
    }

    /// Sends an echo request, or asks for the address that it goes to.
    pub fn ping(&mut self, address: IpAddr, sequence: u16, now: u64) -> Result<Sent, NetworkError> {
        let source = self.stack.source_for(address, now).filter(|&source| self.stack.owns(source));
        let source = source.ok_or(NetworkError::NoSource)?;
        match self.stack.ping(&mut self.nic, source, address, sequence, now) {
            (Resolution::Unanswered, _) => Err(NetworkError::Unreachable),
            (_, true) => Ok(Sent::Now),
            (_, false) => Ok(Sent::Later),
        }
    }

    /// The NTP server that `ip=` or DHCP named, if it can be asked.
    pub fn ntp_server(&self) -> Option<Ipv4Addr> {
        let server = self.ntp.or_else(|| self.stack.ntp_server());
        server.filter(|_| self.link_is_up && self.stack.ipv4().is_some())
    }

    /// The host name that DHCP gave.
    pub fn host_name(&self) -> Option<HostName> {
        self.stack.host_name()
    }

    /// When the answer to an echo request came.
    pub fn pong(&self, address: IpAddr, sequence: u16) -> Option<u64> {
        self.stack.pong(address, sequence)
    }

    /// The longest message of the console's that a datagram can carry.
    pub fn longest_message(&self, conversation: &Conversation, protection: &Protection) -> usize {
        let longest = self.envelope(conversation).map_or(0, |envelope| envelope.longest_payload());
        match protection {
            Protection::Clear => longest,
            _ => longest.saturating_sub(OVERHEAD),
        }
    }

    fn envelope(&self, conversation: &Conversation) -> Option<Envelope> {
        let local = Endpoint { mac: self.nic.mac(), ..conversation.local };
        let envelope = Envelope::new(local, conversation.remote, conversation.vlan)?;
        let vlan = self.vlans.iter().flatten().find(|vlan| Some(vlan.id) == conversation.vlan);
        Some(envelope.with_mtu(vlan.map_or(&self.stack, |vlan| &vlan.stack).mtu()))
    }

    /// Sends a datagram that is no target's, of at most [`longest_message`](Self::longest_message) bytes, protected as
    /// `sealing` says, or as it is where there is none; false where the card has no room now.
    pub fn send(
        &mut self,
        conversation: &Conversation,
        payload: &[u8],
        sealing: Option<Sealing<'_>>,
    ) -> bool {
        let Some(envelope) = self.envelope(conversation) else { return true };
        self.identification = self.identification.wrapping_add(1);
        let copy = |to: &mut [u8]| {
            to.get_mut(..payload.len())?.copy_from_slice(payload);
            Some(payload.len())
        };
        let sent = self.nic.transmit(&mut |frame| {
            let len = envelope.write(frame, self.identification, |to| match &sealing {
                Some(sealing) => sealing.fill(to, copy),
                None => copy(to),
            });
            len.unwrap_or(0)
        });
        self.nic.kick();
        sent.is_ok()
    }

    /// How many interfaces it has: itself and its VLANs.
    pub fn interfaces(&self) -> usize {
        self.vlans.iter().flatten().count().saturating_add(1)
    }

    /// Writes the addresses of an interface, a line each; 0 is the card itself.
    pub fn show(&mut self, number: usize, out: &mut dyn fmt::Write) -> fmt::Result {
        let vlan = number.checked_sub(1).and_then(|vlan| self.vlans.iter().flatten().nth(vlan));
        if let Some(vlan) = vlan {
            writeln!(out, "{}: VLAN {} on {}", vlan.name, vlan.id, self.name)?;
            return show_addresses(&vlan.stack, out);
        }
        let (name, link, mtu, mac) = (self.name, self.link(), self.stack.mtu(), self.mac());
        writeln!(out, "{name}: link {link}, mtu {mtu}, ethernet address {mac}")?;
        show_addresses(&self.stack, out)
    }

    fn link(&mut self) -> Link {
        Link { is_up: self.link_is_up, mode: self.nic.link_mode() }
    }

    /// Asks the card about its cable where it is time to, and logs and passes on a change.
    pub fn look_at_link(&mut self, now: u64) -> LinkLook {
        if now.saturating_sub(self.link_seen_at) < LINK_INTERVAL {
            return LinkLook::OfNoMatter;
        }
        self.link_seen_at = now;
        let has_changed = self.nic.link_has_changed();
        let was_up = core::mem::replace(&mut self.link_is_up, self.nic.link_is_up());
        if !self.link_is_up && self.is_broken() && self.may_restart(now) && self.restart(now).is_ok() {
            log::info!("{}: restarted", self.name);
        }
        if was_up == self.link_is_up {
            return match (was_up, has_changed) {
                (false, _) => LinkLook::OfNoMatter,
                (true, false) => {
                    self.restarts.may_have_helped();
                    LinkLook::StillUp
                }
                (true, true) => {
                    self.life.forget();
                    log::warn!("{}: link was down for a moment", self.name);
                    LinkLook::Lost
                }
            };
        }
        let link_is_up = self.link_is_up;
        self.stacks_mut().for_each(|(_, stack)| stack.link_changed(link_is_up, now));
        if was_up {
            self.life.forget();
            log::warn!("{}: link is down", self.name);
            return LinkLook::Lost;
        }
        let (name, link) = (self.name, self.link());
        log::info!("{name}: link is {link}");
        self.stacks_mut().for_each(|(name, stack)| say_what_is_waited_for(name, stack, true));
        LinkLook::OfNoMatter
    }

    /// Whether the card has had frames for too long without finishing; to be asked in every turn,
    /// with whether it has taken any frame in this one.
    pub fn is_stuck(&mut self, now: u64, progress: bool) -> bool {
        self.restarts.are_due(now, progress, self.nic.is_drained())
    }

    /// Whether only a restart helps. A card that is broken says so when it is asked for a buffer.
    fn is_broken(&mut self) -> bool {
        self.nic.transmit(&mut |_| 0) == Err(TransmitError::Broken)
    }

    /// Whether the last restart is long enough ago.
    pub fn may_restart(&self, now: u64) -> bool {
        self.restarts.are_allowed(now)
    }

    /// Resets the card after a failure. Where that does not help it is tried again later.
    pub fn restart(&mut self, now: u64) -> Result<(), NicError> {
        self.restarts.begin(now);
        self.nic.restart()
    }
}
