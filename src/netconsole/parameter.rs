//! The grammar of `netconsole=`:
//! `[+[r] | s][source port]@[source address]/[interface],[target port]@[target address]/[target MAC]`,
//! several targets with `;` between them, and the short form that is the part behind the comma alone.
//! It is Linux's (Documentation/networking/netconsole.rst), with every part optional.

mod error;

pub use error::{Expected, ParameterError, Part};

use super::{DeviceSelector, Format, TargetConfig};
use crate::cmdline::Piece;
use crate::wire::{MacAddr, MacAddrError};
use core::net::IpAddr;

/// What one target's text gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed<'a> {
    /// The target, or why it is refused.
    pub target: Result<TargetConfig, ParameterError<'a>>,
    /// What is wrong with the target's Ethernet address; the target runs all the same and its address
    /// is resolved, because where to is known.
    pub warning: Option<ParameterError<'a>>,
}

/// The targets of one `netconsole=`, in order; at least one, since an empty value is an error too.
pub fn targets(value: &[u8]) -> impl Iterator<Item = Parsed<'_>> {
    let mut before = 0_usize;
    value.split(|&byte| byte == b';').map(move |config| {
        let (config, valid) = match core::str::from_utf8(config) {
            Ok(text) => (text, true),
            Err(error) => {
                let text = config.get(..error.valid_up_to()).unwrap_or_default();
                (core::str::from_utf8(text).unwrap_or(""), false)
            }
        };
        let config = Piece { text: config, before };
        before = config.end().before.saturating_add(1);
        if valid {
            parse(config)
        } else {
            let error = ParameterError::new(config, Part::Target, config, Expected::Utf8, config.end());
            Parsed { target: Err(error), warning: None }
        }
    })
}

fn parse(config: Piece<'_>) -> Parsed<'_> {
    let mut warning = None;
    let target = parse_target(config, &mut warning);
    Parsed { target, warning }
}

fn parse_target<'a>(
    config: Piece<'a>,
    warning: &mut Option<ParameterError<'a>>,
) -> Result<TargetConfig, ParameterError<'a>> {
    let error = |part, of, expected, found| ParameterError::new(config, part, of, expected, found);
    let (format, parts) = parse_format(config)?;
    let (local, remote) = match parts.split_once(',') {
        Some((local, remote)) => (Some(local), remote),
        None => (None, parts),
    };
    let mut target = TargetConfig { format, ..TargetConfig::DEFAULT };

    if let Some(local) = local {
        parse_local(config, local, &mut target)?;
    }
    let (port, rest) =
        remote.split_once('@').ok_or_else(|| error(Part::RemotePort, remote, Expected::PortAndAt, remote))?;
    target.remote_port = parse_port(port, TargetConfig::REMOTE_PORT)
        .ok_or_else(|| error(Part::RemotePort, port, Expected::Port, port))?;
    let (ip, mac) =
        rest.split_once('/').ok_or_else(|| error(Part::RemoteIp, rest, Expected::Slash, rest.end()))?;
    if !ip.text.is_empty() {
        target.remote_ip = ip.text.parse().map_err(|_| error(Part::RemoteIp, ip, Expected::Address, ip))?;
    }
    if target.remote_ip.is_unspecified() {
        return Err(error(Part::RemoteIp, ip, Expected::Destination, ip));
    }
    match target.local_ip {
        Some(local) if local.is_ipv4() != target.remote_ip.is_ipv4() => {
            let expected = if local.is_ipv4() { Expected::Ipv4 } else { Expected::Ipv6 };
            return Err(error(Part::RemoteIp, ip, expected, ip));
        }
        _ => {}
    }
    // In the short form a word there is an interface's name: the target was forgotten.
    if local.is_none() && !mac.text.is_empty() && !mac.text.contains(':') {
        return Err(error(Part::Target, mac.end(), Expected::TargetPart, mac.end()));
    }
    // A character of the grammar's own behind the address is no typing error in it.
    if let Some(end) = mac.text.find(|c: char| c.is_whitespace() || "/,@".contains(c)) {
        return Err(error(Part::RemoteMac, mac, Expected::End, mac.skip(end).first()));
    }
    if !mac.text.is_empty() {
        match mac.text.parse::<MacAddr>().map_err(|reason| explain(mac, reason)) {
            Ok(address) => target.remote_mac = Some(address),
            Err((Expected::End, found)) => {
                return Err(error(Part::RemoteMac, mac, Expected::End, found));
            }
            Err((expected, found)) => *warning = Some(error(Part::RemoteMac, mac, expected, found)),
        }
    }
    Ok(target)
}

/// Reads `[src-port]@[src-ip]/[<dev>]`, which is `local`, into the target.
fn parse_local<'a>(
    config: Piece<'a>,
    local: Piece<'a>,
    target: &mut TargetConfig,
) -> Result<(), ParameterError<'a>> {
    let error = |part, of, expected, found| ParameterError::new(config, part, of, expected, found);
    let (port, rest) =
        local.split_once('@').ok_or_else(|| error(Part::LocalPort, local, Expected::PortAndAt, local))?;
    target.local_port = parse_port(port, TargetConfig::LOCAL_PORT)
        .ok_or_else(|| error(Part::LocalPort, port, Expected::Port, port))?;
    let (ip, device) =
        rest.split_once('/').ok_or_else(|| error(Part::LocalIp, rest, Expected::Slash, rest.end()))?;
    if !ip.text.is_empty() {
        let address: IpAddr = ip.text.parse().map_err(|_| error(Part::LocalIp, ip, Expected::Address, ip))?;
        if address.is_multicast() || address == TargetConfig::REMOTE_IP {
            return Err(error(Part::LocalIp, ip, Expected::Station, ip));
        }
        // Linux takes 0.0.0.0 and :: for "not given".
        target.local_ip = Some(address).filter(|address| !address.is_unspecified());
    }
    target.device =
        parse_device(device).map_err(|(expected, found)| error(Part::Device, device, expected, found))?;
    Ok(())
}

/// The message format, and the parts behind it.
fn parse_format(config: Piece<'_>) -> Result<(Format, Piece<'_>), ParameterError<'_>> {
    let (format, rest) = if let Some(rest) = config.strip_prefix('+') {
        match rest.strip_prefix('r') {
            Some(rest) => (Format::Extended { release: true }, rest),
            None => (Format::Extended { release: false }, rest),
        }
    } else if let Some(rest) = config.strip_prefix('s') {
        (Format::Syslog, rest)
    } else {
        (Format::Basic, config)
    };
    if !matches!(format, Format::Extended { .. }) && rest.text.starts_with('r') {
        return Err(ParameterError::new(config, Part::Format, config, Expected::Extended, rest.first()));
    }
    Ok((format, rest))
}

/// The port of decimal digits, 1 to 65535; `default` where there are none.
fn parse_port(port: Piece<'_>, default: u16) -> Option<u16> {
    if port.text.is_empty() { Some(default) } else { port_number(port.text) }
}

/// The port of decimal digits, 1 to 65535.
pub(super) fn port_number(text: &str) -> Option<u16> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|&port| port != 0)
}

fn parse_device(device: Piece<'_>) -> Result<DeviceSelector, (Expected, Piece<'_>)> {
    if device.text.contains(':') {
        let mac = device.text.parse().map_err(|reason| explain(device, reason))?;
        Ok(DeviceSelector::Mac(mac))
    } else {
        DeviceSelector::by_name(device.text).ok_or((Expected::Device, device))
    }
}

/// What had to stand where an Ethernet address is wrong, and what stands there.
fn explain(mac: Piece<'_>, error: MacAddrError) -> (Expected, Piece<'_>) {
    const LEN: usize = "00:00:00:00:00:00".len();
    let at = match error {
        MacAddrError::Ended => mac.text.len(),
        MacAddrError::Unexpected { at, .. } => at,
    };
    let expected = match at {
        LEN.. => Expected::End,
        _ if at % 3 == 2 => Expected::Colon,
        _ => Expected::HexDigit,
    };
    (expected, mac.skip(at).first())
}

#[cfg(test)]
mod tests;
