//! What `--bind` takes: an address, with a zone where it is of one link, or an interface.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::str::FromStr;

use nix::net::if_::if_nametoindex;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    ip: IpAddr,
    /// Of an address that is one link's.
    scope: u32,
    interface: Option<String>,
}

impl Bind {
    /// All addresses of this host.
    pub const ALL: Self = Bind { ip: IpAddr::V6(Ipv6Addr::UNSPECIFIED), scope: 0, interface: None };

    /// The address to listen on, with a port.
    pub fn at(&self, port: u16) -> SocketAddr {
        match self.ip {
            IpAddr::V4(_) => SocketAddr::from((self.ip, port)),
            IpAddr::V6(v6) => SocketAddrV6::new(v6, port, 0, self.scope).into(),
        }
    }

    /// The interface that alone is listened on.
    pub fn interface(&self) -> Option<&str> {
        self.interface.as_deref()
    }
}

impl From<IpAddr> for Bind {
    fn from(ip: IpAddr) -> Self {
        Bind { ip, scope: 0, interface: None }
    }
}

impl FromStr for Bind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(ip.into());
        }
        let index = |name: &str| if_nametoindex(name).ok();
        if let Some((address, zone)) = text.split_once('%') {
            let ip = address.parse().map_err(|_| format!("{address} is no IPv6 address"))?;
            let scope = zone.parse().ok().or_else(|| index(zone));
            let scope = scope.ok_or_else(|| format!("this host has no interface {zone}, see: ip link"))?;
            return Ok(Bind { ip: IpAddr::V6(ip), scope, interface: None });
        }
        index(text)
            .ok_or_else(|| "neither an address nor an interface of this host, see: ip address".to_owned())?;
        Ok(Bind { interface: Some(text.to_owned()), ..Bind::ALL })
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.interface {
            Some(interface) => f.write_str(interface),
            None if self.scope > 0 => write!(f, "{}%{}", self.ip, self.scope),
            None => self.ip.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_zones_and_interfaces() {
        let bind = |text: &str| text.parse::<Bind>();
        assert_eq!(bind("10.0.0.1").map(|bind| bind.at(7)), Ok(SocketAddr::from(([10, 0, 0, 1], 7))));
        assert_eq!(bind("::"), Ok(Bind::ALL));
        let index = if_nametoindex("lo").expect("each host has it");
        let zoned = bind("fe80::1%lo").map(|bind| bind.at(7));
        assert_eq!(zoned, Ok(SocketAddrV6::new("fe80::1".parse().expect("an address"), 7, 0, index).into()));
        assert_eq!(bind("fe80::1%3").map(|bind| bind.to_string()), Ok("fe80::1%3".to_owned()));
        assert_eq!(bind("lo").map(|bind| bind.interface().map(str::to_owned)), Ok(Some("lo".to_owned())));
        assert!(bind("fe80::1%none").is_err_and(|error| error.contains("no interface none")));
        assert!(bind("10.0.0.1%lo").is_err_and(|error| error.contains("no IPv6 address")));
        assert!(bind("10.0.0.256").is_err_and(|error| error.starts_with("neither")));
    }
}
