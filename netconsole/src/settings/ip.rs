//! `ip=`: the machine's own address, in Linux's syntax (Documentation/admin-guide/nfs/nfsroot.rst):
//! `ip=<client>:<server>:<gateway>:<netmask>:<hostname>:<device>:<autoconf>:<dns0>:<dns1>:<ntp0>`, every
//! part optional, or one word for `<autoconf>`. As in dracut.cmdline(7) an IPv6 address is written in brackets
//! and has a prefix length in place of the netmask, and `<device>:<autoconf>` may be all.

use crate::cmdline::Piece;
use crate::host_name::HostName;
use crate::marked::{Head, Marked};
use crate::settings::DeviceName;
use crate::wire::ipv4::class_prefix;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

/// What `ip=` says; the default, where there is none, is DHCP on every device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpParameter {
    /// The machine's address; `None`: by [`autoconf`](Self::autoconf).
    pub client: Option<IpAddr>,
    /// The prefix length of the client's network: the netmask's, where it is left out the one of the
    /// address' class (RFC 791, section 3.2), or 64 for IPv6.
    pub prefix: u8,
    /// The boot server's address, of which nothing here makes use.
    pub server: Option<IpAddr>,
    /// The router for other networks.
    pub gateway: Option<IpAddr>,
    /// The machine's name.
    pub hostname: Option<HostName>,
    /// The device that all this is for; `None`: the first.
    pub device: Option<DeviceName>,
    /// What to do without a client address.
    pub autoconf: Autoconf,
    /// The time server.
    pub ntp: Option<IpAddr>,
}

/// How a machine without an address gets one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Autoconf {
    /// It asks for one (`dhcp`, `on`, `any`).
    Dhcp,
    /// Not at all (`off`, `none`).
    Off,
}

impl IpParameter {
    /// DHCP on every device.
    pub const DEFAULT: Self = Self {
        client: None,
        prefix: 0,
        server: None,
        gateway: None,
        hostname: None,
        device: None,
        autoconf: Autoconf::Dhcp,
        ntp: None,
    };

    /// Parses what follows `ip=`.
    pub fn parse(value: &str) -> Result<Self, IpError<'_>> {
        Self::read(value).map_err(|Wrong { part, piece }| {
            let end = piece.before.saturating_add(piece.text.len());
            IpError { part, place: Marked::new(value.as_bytes(), piece.before, end) }
        })
    }

    fn read(value: &str) -> Result<Self, Wrong<'_>> {
        let mut parts = Parts(Some(Piece { text: value, before: 0 }));
        let Some(first) = parts.next() else { return Ok(Self::DEFAULT) };
        if parts.0.is_none() && first.text.parse::<IpAddr>().is_err() && !first.text.starts_with('[') {
            let autoconf = parse_autoconf(first)?;
            return Ok(Self { autoconf, ..Self::DEFAULT });
        }
        if let Some(device) = DeviceName::new(first.text)
            && let Some(word) = Parts(parts.0).next().filter(|word| !word.text.is_empty())
            && let Ok(autoconf) = parse_autoconf(word)
        {
            return Ok(Self { device: Some(device), autoconf, ..Self::DEFAULT });
        }
        let client = parse_address(Part::Client, first, None)?;
        let mut address = |part| match parts.next() {
            None => Ok(None),
            Some(piece) => parse_address(part, piece, client),
        };
        let server = address(Part::Server)?;
        let gateway = address(Part::Gateway)?;
        let prefix = parse_prefix(client, parts.next())?;
        let hostname = match parts.next() {
            Some(name) if !name.text.is_empty() => {
                Some(HostName::new(name.text.as_bytes()).ok_or(Wrong::new(Part::Hostname, name))?)
            }
            _ => None,
        };
        let device = match parts.next() {
            Some(name) if !name.text.is_empty() => {
                Some(DeviceName::new(name.text).ok_or(Wrong::new(Part::Device, name))?)
            }
            _ => None,
        };
        let autoconf = match parts.next() {
            Some(word) => parse_autoconf(word)?,
            None => Autoconf::Dhcp,
        };
        // Name servers are not used, and what dracut has in their place neither (an MTU, an Ethernet address).
        let ntp = parts.nth(2).and_then(|piece| parse_address(Part::Client, piece, None).ok().flatten());
        Ok(Self { client, prefix, server, gateway, hostname, device, autoconf, ntp })
    }
}

/// The parts between colons, of which those in brackets are none.
struct Parts<'a>(Option<Piece<'a>>);

impl<'a> Iterator for Parts<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let rest = self.0?;
        let mut in_brackets = false;
        let end = rest.text.find(|c| {
            match c {
                '[' => in_brackets = true,
                ']' => in_brackets = false,
                _ => {}
            }
            c == ':' && !in_brackets
        });
        self.0 = end.map(|end| rest.skip(end.saturating_add(1)));
        let text = rest.text.get(..end.unwrap_or(rest.text.len())).unwrap_or("");
        Some(Piece { text, ..rest })
    }
}

/// An address; none where the part is empty or all zero (Linux's default). `like` gives the family.
fn parse_address<'a>(
    part: Part,
    piece: Piece<'a>,
    like: Option<IpAddr>,
) -> Result<Option<IpAddr>, Wrong<'a>> {
    if piece.text.is_empty() {
        return Ok(None);
    }
    let error = Wrong::new(part, piece);
    let address = match piece.text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(text) => IpAddr::V6(Ipv6Addr::from_str(text).map_err(|_| error)?),
        None => IpAddr::V4(Ipv4Addr::from_str(piece.text).map_err(|_| error)?),
    };
    let is_other_family = like.is_some_and(|like| like.is_ipv4() != address.is_ipv4());
    if is_other_family || address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST) {
        return Err(error);
    }
    Ok(Some(address).filter(|address| !address.is_unspecified()))
}

/// The prefix length that a netmask or a number says, or the one that goes with the address.
fn parse_prefix<'a>(client: Option<IpAddr>, piece: Option<Piece<'a>>) -> Result<u8, Wrong<'a>> {
    let (most, default) = match client {
        None => (32, 0),
        Some(IpAddr::V4(address)) => (32, class_prefix(address)),
        Some(IpAddr::V6(_)) => (128, 64),
    };
    let Some(piece) = piece.filter(|piece| !piece.text.is_empty()) else { return Ok(default) };
    let part = if most == 32 { Part::Netmask } else { Part::PrefixLength };
    let prefix = match piece.text.parse::<Ipv4Addr>() {
        Ok(mask) if most == 32 => {
            let mask = u32::from(mask);
            let ones = mask.leading_ones();
            u8::try_from(ones).ok().filter(|_| ones == mask.count_ones())
        }
        Ok(_) => None,
        Err(_) => piece.text.parse().ok().filter(|_| !piece.text.starts_with('+')),
    };
    prefix.filter(|prefix| (1..=most).contains(prefix)).ok_or(Wrong::new(part, piece))
}

fn parse_autoconf(word: Piece<'_>) -> Result<Autoconf, Wrong<'_>> {
    match word.text {
        "" | "dhcp" | "on" | "any" => Ok(Autoconf::Dhcp),
        "off" | "none" => Ok(Autoconf::Off),
        _ => Err(Wrong::new(Part::Autoconf, word)),
    }
}

/// A part of `ip=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The machine's address.
    Client,
    /// The boot server's address.
    Server,
    /// The router's address.
    Gateway,
    /// The network's size, for IPv4.
    Netmask,
    /// The network's size, for IPv6.
    PrefixLength,
    /// The machine's name.
    Hostname,
    /// The device.
    Device,
    /// The word for how, or the only one.
    Autoconf,
}

/// A part that is not what it must be.
#[derive(Clone, Copy)]
struct Wrong<'a> {
    part: Part,
    piece: Piece<'a>,
}

impl<'a> Wrong<'a> {
    fn new(part: Part, piece: Piece<'a>) -> Self {
        Self { part, piece }
    }
}

/// Why an `ip=` is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpError<'a> {
    /// The part that is wrong.
    pub part: Part,
    /// The value, with the part marked.
    pub place: Marked<'a>,
}

/// How many bytes of a wrong part are shown.
const FOUND: usize = 48;

impl fmt::Display for IpError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (part, expected) = match self.part {
            Part::Client => ("client", "an IPv4 address, or an IPv6 address in brackets"),
            Part::Server => ("server", "an address like the client's"),
            Part::Gateway => ("gateway", "an address like the client's"),
            Part::Netmask => ("netmask", "a netmask like 255.255.255.0, or a number from 1 to 32"),
            Part::PrefixLength => ("prefix length", "a number from 1 to 128"),
            Part::Hostname => ("hostname", "at most 63 letters, digits, hyphens and dots"),
            Part::Device => ("device", "an interface's name (at most 15 characters)"),
            Part::Autoconf => ("autoconf", "dhcp, on, any, off or none"),
        };
        let found = Head::<FOUND>(self.place.place());
        write!(f, "{part}: expected {expected}, found '{found}': {}", self.place)
    }
}

impl core::error::Error for IpError<'_> {}

#[cfg(test)]
mod tests;
