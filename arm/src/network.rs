//! The way to a target: device, own address, gateway, and who gets the frames.

use crate::error::ArmError;
use crate::system::System;
use serde_json::Value;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

/// The way to a target, as Linux goes it.
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

/// The way to this address.
pub fn way(system: &System, target: IpAddr) -> Result<Way, ArmError> {
    let routes = system.ip(&["route", "get", &target.to_string()])?;
    let route = routes.get(0).ok_or(ArmError::NoRoute(target))?;
    let text = |key: &str| route.get(key).and_then(Value::as_str);
    if text("type") == Some("local") || text("dev") == Some("lo") {
        return Err(ArmError::Local(target));
    }
    let device = text("dev").ok_or(ArmError::NoRoute(target))?.to_string();
    let gateway = text("gateway").or_else(|| route.get("via")?.get("host")?.as_str());
    let gateway = gateway.and_then(|gateway| gateway.parse().ok());
    let (source, prefix) = address(system, &device, text("prefsrc"), target)?;
    let mac = neighbor(system, gateway.unwrap_or(target), target, &device)?;
    Ok(Way { device, source, prefix, gateway, mac })
}

/// The device's address from which the target is reached, and its prefix.
fn address(
    system: &System,
    device: &str,
    preferred: Option<&str>,
    target: IpAddr,
) -> Result<(IpAddr, u8), ArmError> {
    let devices = system.ip(&["addr", "show", "dev", device])?;
    let addresses = devices.get(0).and_then(|device| device.get("addr_info")?.as_array()).cloned();
    let mut known = addresses.unwrap_or_default().into_iter().filter_map(|address| {
        let ip: IpAddr = address.get("local")?.as_str()?.parse().ok()?;
        let prefix = u8::try_from(address.get("prefixlen")?.as_u64()?).ok()?;
        Some((ip, prefix)).filter(|(ip, _)| ip.is_ipv4() == target.is_ipv4())
    });
    let is_preferred = |(ip, _): &(IpAddr, u8)| preferred.is_none_or(|text| text == ip.to_string());
    known.find(is_preferred).ok_or_else(|| ArmError::NoAddress(device.to_string()))
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
            ask(target);
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// Has Linux ask for the Ethernet address: it sends an empty datagram to the discard port (RFC 863).
fn ask(target: IpAddr) {
    let any: SocketAddr = if target.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0; 16], 0).into() };
    if let Ok(socket) = UdpSocket::bind(any) {
        let _ = socket.send_to(&[], (target, 9));
    }
}
