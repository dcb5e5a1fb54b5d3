//! The way to a target: device, own address, gateway, and who gets the frames.

use crate::error::ArmError;
use crate::system::System;
use crate::target::Target;
use serde_json::Value;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

/// The way to a target, as Linux goes it, all by one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    pub device: String,
    pub source: IpAddr,
    pub prefix: u8,
    pub gateway: Option<IpAddr>,
    /// The Ethernet address of the next station, where it is known.
    pub mac: Option<String>,
}

/// How long an answer for the Ethernet address is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// The way to a target by the device and from the address that Linux's netconsole uses, where it says so: all of the way is
/// that device's.
pub fn way(system: &System, target: &Target) -> Result<Way, ArmError> {
    let Target { ip: target, device, local_ip, .. } = target;
    let target = *target;
    let by = device.as_deref().filter(|device| system.exists(format!("sys/class/net/{device}")));
    let address_of_target = target.to_string();
    let question: Vec<&str> = ["route", "get", &address_of_target]
        .into_iter()
        .chain(by.into_iter().flat_map(|device| ["oif", device]))
        .collect();
    let routes = system.ip(&question)?;
    let route = routes.get(0).ok_or(ArmError::NoRoute(target))?;
    let text = |key: &str| route.get(key).and_then(Value::as_str);
    if text("type") == Some("local") || text("dev") == Some("lo") {
        return Err(ArmError::Local(target));
    }
    let device = text("dev").ok_or(ArmError::NoRoute(target))?.to_string();
    let gateway = text("gateway").or_else(|| route.get("via")?.get("host")?.as_str());
    let gateway = gateway.and_then(|gateway| gateway.parse().ok());
    let preferred = text("prefsrc").and_then(|text| text.parse().ok());
    let (source, prefix) = address(system, &device, *local_ip, preferred, target)?;
    let mac = neighbor(system, gateway.unwrap_or(target), target, &device)?;
    Ok(Way { device, source, prefix, gateway, mac })
}

/// The device's address from which the target is reached, and its prefix. Linux's netconsole sends from `local_ip` also
/// where the device does not have it.
fn address(
    system: &System,
    device: &str,
    local_ip: Option<IpAddr>,
    preferred: Option<IpAddr>,
    target: IpAddr,
) -> Result<(IpAddr, u8), ArmError> {
    let devices = system.ip(&["addr", "show", "dev", device])?;
    let addresses = devices.get(0).and_then(|device| device.get("addr_info")?.as_array()).cloned();
    let known = addresses.unwrap_or_default().into_iter().filter_map(|address| {
        let ip: IpAddr = address.get("local")?.as_str()?.parse().ok()?;
        let prefix = u8::try_from(address.get("prefixlen")?.as_u64()?).ok()?;
        Some((ip, prefix)).filter(|(ip, _)| ip.is_ipv4() == target.is_ipv4())
    });
    let known: Vec<(IpAddr, u8)> = known.collect();
    let wanted = local_ip.or(preferred);
    let found = known.iter().find(|(ip, _)| wanted.is_none_or(|wanted| wanted == *ip)).copied();
    let other = || Some((local_ip?, known.first()?.1));
    found.or_else(other).ok_or_else(|| ArmError::NoAddress(device.to_string()))
}

/// Who gets the frames: what Linux knows, or finds out when something is sent there.
fn neighbor(system: &System, hop: IpAddr, target: IpAddr, device: &str) -> Result<Option<String>, ArmError> {
    let begin = Instant::now();
    let mut is_asked = false;
    loop {
        let entries = system.ip(&["neigh", "show", "to", &hop.to_string(), "dev", device])?;
        let mac = entries.get(0).and_then(|entry| entry.get("lladdr")?.as_str());
        if let Some(mac) = mac {
            return Ok(Some(mac.to_string()));
        }
        if begin.elapsed() > PATIENCE {
            return Ok(None);
        }
        if !is_asked {
            is_asked = true;
            ask(target, device);
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// Has Linux ask for the Ethernet address by this device: it sends an empty datagram to the discard port (RFC 863).
fn ask(target: IpAddr, device: &str) {
    let any: SocketAddr = if target.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0; 16], 0).into() };
    let Ok(socket) = UdpSocket::bind(any) else { return };
    let Ok(len) = libc::socklen_t::try_from(device.len()) else { return };
    // SAFETY: the socket is open, and the name has `len` bytes; both outlive the call (socket(7): it need not end in a zero).
    let result = unsafe {
        let name = device.as_ptr().cast();
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_BINDTODEVICE, name, len)
    };
    if result == 0 {
        let _ = socket.send_to(&[], (target, 9));
    }
}
