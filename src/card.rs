//! A network card of this machine: its driver, its addresses, and its cable as last seen.

use crate::crash::{self, Armed};
use crate::machine::clock;
use core::net::IpAddr;
use netconsole::netconsole::DeviceName;
use netconsole::netconsole::target::Interface;
use netconsole::nic::pci::DeviceFunction;
use netconsole::nic::{NetworkCard, Nic, NicError};
use netconsole::parameters::{Autoconf, IpParameter, Parameters};
use netconsole::stack::{Addressing, Ipv4Method, Stack, Storage};
use netconsole::wire::MacAddr;

/// How often the cable is looked at, in µs: each look is an access to the device.
const LINK_INTERVAL: u64 = 10_000;
/// A card that has not finished a frame for so long, in µs, is restarted.
const STUCK_AFTER: u64 = 1_000_000;

/// A card that was brought up.
pub struct Card {
    /// `eth0`, `eth1`, … in the order of the PCI buses.
    pub name: DeviceName,
    /// Where it is on the PCI bus.
    pub function: DeviceFunction,
    /// Its driver.
    pub nic: NetworkCard,
    stack: Stack<'static>,
    ipv4_may_come: bool,
    link_is_up: bool,
    link_seen_at: u64,
    /// Since when frames have been waiting for the card to finish one.
    waiting_since: Option<u64>,
}

/// What a look at a card's cable found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum LinkLook {
    /// It was up before and is up now: what the card has taken is on the wire.
    StillUp,
    /// It was pulled: frames under way are gone.
    Lost,
    /// It was down before.
    OfNoMatter,
}

impl Card {
    /// Gives the card that `nic` drives its addresses at `now` µs.
    pub fn new(
        name: DeviceName,
        function: DeviceFunction,
        mut nic: NetworkCard,
        storage: &'static mut Storage<'static>,
        parameters: &Parameters,
        now: u64,
    ) -> Self {
        let addressing = addressing(parameters, name, nic.mac());
        let seed = clock::ticks() ^ u64::from(nic.mac().0[5]);
        let mut stack = Stack::new(storage, nic.mac(), nic.mtu(), None, &addressing, seed, now);
        let link_is_up = nic.link_is_up();
        stack.link_changed(link_is_up, now);
        stack.set_probe(|| crash::here(Armed::Smoltcp));
        log::info!(
            "{name}: ethernet address {}, MTU {}, link {}",
            nic.mac(),
            nic.mtu(),
            if link_is_up { "up" } else { "down" }
        );
        Self {
            name,
            function,
            nic,
            stack,
            ipv4_may_come: addressing.ipv4 != Ipv4Method::Off,
            link_is_up,
            link_seen_at: now,
            waiting_since: None,
        }
    }

    /// Its own Ethernet address.
    pub fn mac(&self) -> MacAddr {
        self.nic.mac()
    }

    /// The card as a target sees it.
    pub fn interface(&mut self) -> Interface<'_, 'static> {
        Interface {
            name: self.name.as_str(),
            nic: &mut self.nic,
            stack: &mut self.stack,
            link_is_up: self.link_is_up,
            ipv4_may_come: self.ipv4_may_come,
        }
    }

    /// Whether the cable was connected when last looked at.
    pub fn link_is_up(&self) -> bool {
        self.link_is_up
    }

    /// Takes in what has arrived.
    pub fn poll(&mut self, now: u64) {
        let before = self.stack.ipv4();
        self.stack.poll(&mut self.nic, now, &mut |_| crash::here(Armed::Receive));
        let after = self.stack.ipv4();
        if after != before
            && let Some(ipv4) = after
        {
            log::info!("{}: IPv4 address {}/{} by {:?}", self.name, ipv4.address, ipv4.prefix, ipv4.origin);
        }
    }

    /// Asks the card about its cable where it is time to, and logs and passes on a change.
    pub fn look_at_link(&mut self, now: u64) -> LinkLook {
        if now.saturating_sub(self.link_seen_at) < LINK_INTERVAL {
            return LinkLook::OfNoMatter;
        }
        self.link_seen_at = now;
        let was_up = core::mem::replace(&mut self.link_is_up, self.nic.link_is_up());
        if was_up == self.link_is_up {
            return if was_up { LinkLook::StillUp } else { LinkLook::OfNoMatter };
        }
        self.stack.link_changed(self.link_is_up, now);
        if was_up {
            log::warn!("{}: link is down", self.name);
            return LinkLook::Lost;
        }
        log::info!("{}: link is up", self.name);
        LinkLook::OfNoMatter
    }

    /// Whether the card has had frames for too long without finishing; to be asked in every turn,
    /// with whether it has taken any frame in this one.
    pub fn is_stuck(&mut self, now: u64, progress: bool) -> bool {
        if progress || self.nic.is_drained() {
            self.waiting_since = None;
            return false;
        }
        now.saturating_sub(*self.waiting_since.get_or_insert(now)) >= STUCK_AFTER
    }

    /// Resets the card after a failure.
    pub fn restart(&mut self) -> Result<(), NicError> {
        self.waiting_since = None;
        self.nic.restart()
    }
}

/// How the card gets its addresses: by `ip=` where that is for it, else by a target's own source
/// address, else as `ip=` says for all.
fn addressing(parameters: &Parameters, name: DeviceName, mac: MacAddr) -> Addressing {
    let ip = &parameters.ip;
    let is_for_this = match ip.device {
        Some(device) => device == name,
        None => name == DeviceName::ETH0,
    };
    let mut addressing = Addressing {
        ipv4: if ip.autoconf == Autoconf::Off { Ipv4Method::Off } else { Ipv4Method::Dhcp },
        ipv6: None,
        echo: parameters.echo,
    };
    let gateway = match ip.gateway {
        Some(IpAddr::V4(gateway)) => Some(gateway),
        _ => None,
    };
    let sources = parameters.targets.as_slice().iter().filter(|target| target.device.is(name.as_str(), mac));
    for source in sources.filter_map(|target| target.local_ip) {
        match source {
            IpAddr::V4(address) => addressing.ipv4 = Ipv4Method::Static { address, prefix: 24, gateway },
            IpAddr::V6(address) => addressing.ipv6 = Some((address, 64)),
        }
    }
    if is_for_this && *ip != IpParameter::DEFAULT {
        match ip.client {
            Some(IpAddr::V4(address)) => {
                addressing.ipv4 = Ipv4Method::Static { address, prefix: ip.prefix, gateway };
            }
            Some(IpAddr::V6(address)) => addressing.ipv6 = Some((address, ip.prefix)),
            None => {}
        }
    }
    addressing
}
