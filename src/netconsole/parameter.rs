//! The grammar of `netconsole=`:
//! `[+[r] | s][source port]@[source address]/[interface],[target port]@[target address]/[target MAC]`,
//! several targets with `;` between them, and the short form that is the part behind the comma alone.
//! It is Linux's (Documentation/networking/netconsole.rst), with every part optional.

use super::{DeviceName, DeviceSelector, Format, TargetConfig};
use crate::cmdline::Piece;
use crate::wire::{MacAddr, MacAddrError};
use core::fmt;
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
        let (port, rest) =
            local.split_once('@').ok_or_else(|| error(Part::LocalPort, local, Expected::PortAndAt, local))?;
        target.local_port = parse_port(port, TargetConfig::LOCAL_PORT)
            .ok_or_else(|| error(Part::LocalPort, port, Expected::Port, port))?;
        let (ip, device) =
            rest.split_once('/').ok_or_else(|| error(Part::LocalIp, rest, Expected::Slash, rest.end()))?;
        if !ip.text.is_empty() {
            let address: IpAddr =
                ip.text.parse().map_err(|_| error(Part::LocalIp, ip, Expected::Address, ip))?;
            if address.is_multicast() || address == TargetConfig::REMOTE_IP {
                return Err(error(Part::LocalIp, ip, Expected::Station, ip));
            }
            // Linux takes 0.0.0.0 and :: for "not given".
            target.local_ip = Some(address).filter(|address| !address.is_unspecified());
        }
        target.device =
            parse_device(device).map_err(|(expected, found)| error(Part::Device, device, expected, found))?;
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
    if !mac.text.is_empty() {
        match mac.text.parse::<MacAddr>() {
            Ok(address) => target.remote_mac = Some(address),
            Err(reason) => {
                let (expected, found) = explain(mac, reason);
                let error = error(Part::RemoteMac, mac, expected, found);
                if expected == Expected::End {
                    return Err(error);
                }
                *warning = Some(error);
            }
        }
    }
    Ok(target)
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
    if port.text.is_empty() {
        return Some(default);
    }
    if !port.text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    port.text.parse().ok().filter(|&port| port != 0)
}

fn parse_device(device: Piece<'_>) -> Result<DeviceSelector, (Expected, Piece<'_>)> {
    if device.text.is_empty() {
        Ok(TargetConfig::DEVICE)
    } else if device.text.contains(':') {
        let mac = device.text.parse().map_err(|reason| explain(device, reason))?;
        Ok(DeviceSelector::Mac(mac))
    } else {
        let name = DeviceName::new(device.text).ok_or((Expected::Device, device))?;
        Ok(DeviceSelector::Name(name))
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

/// A part of a target's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `+`, `r`, `s`.
    Format,
    /// Before the first `@`.
    LocalPort,
    /// Behind it.
    LocalIp,
    /// Behind the first `/`.
    Device,
    /// All that is behind the comma.
    Target,
    /// Before the target's `@`.
    RemotePort,
    /// Behind it.
    RemoteIp,
    /// Behind the last `/`.
    RemoteMac,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Format => "format",
            Self::LocalPort => "source port",
            Self::LocalIp => "source address",
            Self::Device => "interface",
            Self::Target => "target",
            Self::RemotePort => "target port",
            Self::RemoteIp => "target address",
            Self::RemoteMac => "target ethernet address",
        })
    }
}

/// What should have stood at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// `+` before `r`.
    Extended,
    /// A port, which may be left out, and `@`.
    PortAndAt,
    /// A number from 1 to 65535.
    Port,
    /// The `/` behind an address.
    Slash,
    /// An IP address.
    Address,
    /// An IPv4 address, since the source's is one.
    Ipv4,
    /// An IPv6 address, since the source's is one.
    Ipv6,
    /// An address of one station.
    Station,
    /// An address that can be sent to.
    Destination,
    /// An interface's name or Ethernet address.
    Device,
    /// The comma and what follows it.
    TargetPart,
    /// Half of an octet of an Ethernet address.
    HexDigit,
    /// The separator of an Ethernet address.
    Colon,
    /// Nothing more.
    End,
    /// Text, not other bytes.
    Utf8,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Extended => "'+' before it",
            Self::PortAndAt => "a port and '@', or '@' alone",
            Self::Port => "a number from 1 to 65535",
            Self::Slash => "'/' behind the address",
            Self::Address => "an IPv4 or IPv6 address",
            Self::Ipv4 => "an IPv4 address like the source's",
            Self::Ipv6 => "an IPv6 address like the source's",
            Self::Station => "the address of one interface",
            Self::Destination => "an address that can be sent to",
            Self::Device => "an interface's name (at most 15 characters) or ethernet address",
            Self::TargetPart => "',' and the target, [port]@[address]/[ethernet address]",
            Self::HexDigit => "a hexadecimal digit",
            Self::Colon => "':'",
            Self::End => "nothing more",
            Self::Utf8 => "UTF-8 text",
        })
    }
}

/// Why a target's text is refused: `couldn't parse config at '…'!` in Linux's words, then the part,
/// what was expected there, what was found, and its place, counted in characters from 1 at the
/// beginning of the parameter's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParameterError<'a> {
    /// The part that is wrong.
    pub part: Part,
    /// What should have been there.
    pub expected: Expected,
    /// What is there instead; empty where the text or the part ends.
    pub found: &'a str,
    /// The place of `found` in the value, in characters, from 1.
    pub character: usize,
    /// The target's text from the wrong part on.
    pub rest: &'a str,
}

impl<'a> ParameterError<'a> {
    /// `of` is the part's own piece of `config`, `found` the place in it that is wrong.
    fn new(config: Piece<'a>, part: Part, of: Piece<'a>, expected: Expected, found: Piece<'a>) -> Self {
        let skipped = of.before.saturating_sub(config.before);
        let rest = config.text.char_indices().nth(skipped).and_then(|(at, _)| config.text.get(at..));
        Self {
            part,
            expected,
            found: found.text,
            character: found.before.saturating_add(1),
            rest: rest.unwrap_or(""),
        }
    }
}

impl fmt::Display for ParameterError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.expected == Expected::Extended {
            f.write_str("Release feature requires extended log message: ")?;
        }
        // Escaped, since foreign text must not bring line ends or control characters into the log.
        write!(f, "couldn't parse config at '{}'! ", self.rest.escape_default())?;
        write!(f, "{}: expected {}, found ", self.part, self.expected)?;
        match self.found {
            "" if self.expected == Expected::Utf8 => f.write_str("another byte")?,
            "" => f.write_str("nothing")?,
            found => write!(f, "'{}'", found.escape_default())?,
        }
        write!(f, " at character {}", self.character)
    }
}

impl core::error::Error for ParameterError<'_> {}
