//! Which addresses an interface is told to have, and how those that it has are shown.

use crate::nic::{CardDriver, Nic};
use crate::settings::{Autoconf, DeviceName, IpParameter, Settings};
use crate::stack::{Addressing, Ipv4Method, Stack};
use crate::wire::MacAddr;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr};

/// The circumstances in which a stack begins.
#[derive(Clone, Copy)]
pub struct Moment {
    /// The time in µs.
    pub now: u64,
    /// A number that differs from boot to boot: the time stamp counter.
    pub seed: u64,
    /// What smoltcp calls on its way (`Probe::Smoltcp`).
    pub probe: fn(),
}

/// The name that DHCP servers are told.
pub fn hostname(settings: &'static Settings) -> Option<&'static str> {
    settings.ip.hostname.as_ref().map(|hostname| hostname.as_str())
}

/// The addresses and neighbours of a card itself.
pub fn stack(
    nic: &CardDriver,
    link_is_up: bool,
    addressing: &Addressing,
    settings: &'static Settings,
    moment: Moment,
) -> Stack<'static> {
    let Moment { now, seed, probe } = moment;
    let [.., last] = nic.mac().0;
    let seed = seed ^ u64::from(last);
    let mut stack = Stack::new(hostname(settings), nic.mac(), nic.mtu(), None, addressing, seed, now);
    stack.link_changed(link_is_up, now);
    stack.set_probe(probe);
    stack
}

/// The time server that `ip=` names.
pub fn ntp(settings: &Settings) -> Option<Ipv4Addr> {
    match settings.ip.ntp {
        Some(IpAddr::V4(server)) => Some(server),
        _ => None,
    }
}

/// Whether `ip=` is for the card or VLAN of this name.
pub fn is_meant(settings: &Settings, name: DeviceName) -> bool {
    name == settings.ip.device.unwrap_or(DeviceName::ETH0)
}

/// How the card gets its addresses: by `ip=` where that is for it, else by a target's own source
/// address, else as `ip=` says for all.
pub fn addressing(settings: &Settings, name: DeviceName, mac: MacAddr, is_meant: bool) -> Addressing {
    let ip = &settings.ip;
    let mut addressing = Addressing {
        ipv4: if ip.autoconf == Autoconf::Off { Ipv4Method::Off } else { Ipv4Method::Dhcp },
        ipv6: None,
        echo: settings.echo,
    };
    let gateway = ipv4_gateway(settings);
    for source in settings.source_addresses(name, mac) {
        match source {
            IpAddr::V4(address) => addressing.ipv4 = Ipv4Method::Static { address, prefix: 24, gateway },
            IpAddr::V6(address) => addressing.ipv6 = Some((address, 64)),
        }
    }
    if is_meant && *ip != IpParameter::DEFAULT {
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

/// The router of `ip=`.
pub fn ipv4_gateway(settings: &Settings) -> Option<Ipv4Addr> {
    match settings.ip.gateway {
        Some(IpAddr::V4(gateway)) => Some(gateway),
        _ => None,
    }
}

/// Says what an interface without an address waits for.
pub fn say_what_is_waited_for(name: DeviceName, stack: &Stack<'_>, link_is_up: bool) {
    if let Some(candidate) = stack.ipv4_candidate()
        && link_is_up
    {
        log::info!("{name}: no address yet: asking DHCP; broadcasts go out from {candidate} meanwhile");
    }
}

/// Writes the addresses and routes of an interface, a line each.
pub fn show_addresses(stack: &Stack<'_>, out: &mut dyn fmt::Write) -> fmt::Result {
    if let Some(ipv4) = stack.ipv4() {
        write!(out, "    {}/{} {}", ipv4.address, ipv4.prefix, ipv4.origin)?;
        match ipv4.gateway {
            Some(gateway) => writeln!(out, ", gateway {gateway}")?,
            None => writeln!(out)?,
        }
        for route in ipv4.routes.iter() {
            let (network, prefix) = route.subnet();
            match route.router() {
                Some(router) => writeln!(out, "    to {network}/{prefix} by {router}")?,
                None => writeln!(out, "    to {network}/{prefix} on this link")?,
            }
        }
    }
    if let (None, Some(ipv4)) = (stack.ipv4(), stack.ipv4_log_source()) {
        writeln!(out, "    {}/{} the log's source alone: its lease is over", ipv4.address, ipv4.prefix)?;
    }
    writeln!(out, "    {}/64 link-local", stack.ipv6_link_local())?;
    for (address, prefix) in stack.ipv6() {
        writeln!(out, "    {address}/{prefix}")?;
    }
    match stack.ipv6_gateway() {
        Some(gateway) => writeln!(out, "    gateway {gateway}"),
        None => Ok(()),
    }
}
