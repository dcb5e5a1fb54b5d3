//! What machines are called: the names that `--name` gives, and those that machines say themselves (`--name-from`).

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::event::Record;

/// Of a file's 255, what `:65535` and `.jsonl.999999` leave and more.
const NAME_BYTES: usize = 200;
/// The same, where an address may follow.
const NAME_BYTES_BEFORE_ADDRESS: usize = 160;

/// Which machines a name is for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Whose {
    /// What comes from this port of this address.
    Stream(IpAddr, u16),
    Address(IpAddr),
    /// An IPv6 address that is made of this MAC address, as fe80::5054:ff:fe12:3456 of 52:54:00:12:34:56
    /// (RFC 4291, appendix A).
    Mac([u8; 6]),
    /// The first bits of an address, and how many.
    Network(IpAddr, u8),
}

/// Machines by address, port, network or MAC address, as before the `=` of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine(Whose);

impl FromStr for Machine {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        parse_machine(text).map(Machine)
    }
}

impl Machine {
    /// Whether what comes from this address is one's.
    pub fn has(&self, address: SocketAddr) -> bool {
        let ip = address.ip();
        match self.0 {
            Whose::Stream(wanted, port) => (wanted, port) == (ip, address.port()),
            Whose::Address(wanted) => wanted == ip,
            Whose::Mac(mac) => mac_of(ip) == Some(mac),
            Whose::Network(network, length) => is_in(ip, network, length),
        }
    }
}

/// A name, and whose it is: `10.0.0.5=board7`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    whose: Whose,
    name: String,
}

/// Why it is no name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameError {
    /// There is no `=`.
    NoName,
    /// What is before it is no machine.
    NoMachine(String),
    /// The network's length is more than its addresses have bits.
    NoNetwork(String),
    /// The name can't be a file's.
    Characters,
    /// It is longer than this, too long for one.
    Long(usize),
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::NoName => f.write_str("expected MACHINE=NAME, as in 10.0.0.5=board7"),
            NameError::NoMachine(text) => write!(
                f,
                "{text}: expected an address, IPV4:PORT, [IPV6]:PORT, a network (10.0.0.0/24) or a MAC address \
                 (52:54:00:12:34:56)"
            ),
            NameError::NoNetwork(text) => {
                write!(f, "{text}: a network's length is at most 32, with IPv6 128")
            }
            NameError::Characters => {
                f.write_str("a name has at least one character, no control characters and no /")
            }
            NameError::Long(most) => write!(f, "a name has at most {most} bytes: a file in --dir has it"),
        }
    }
}

impl std::error::Error for NameError {}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (machine, name) = text.split_once('=').ok_or(NameError::NoName)?;
        let whose = parse_machine(machine)?;
        if !is_printable(name) {
            return Err(NameError::Characters);
        }
        let most = if matches!(whose, Whose::Network(..)) { NAME_BYTES_BEFORE_ADDRESS } else { NAME_BYTES };
        if name.len() > most {
            return Err(NameError::Long(most));
        }
        Ok(Name { whose, name: name.to_owned() })
    }
}

fn parse_machine(text: &str) -> Result<Whose, NameError> {
    let unknown = || NameError::NoMachine(text.to_owned());
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(Whose::Stream(address.ip().to_canonical(), address.port()));
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(Whose::Address(address.to_canonical()));
    }
    if let Some((address, length)) = text.split_once('/') {
        let address: IpAddr = address.parse().map_err(|_| unknown())?;
        let length: u8 = length.parse().map_err(|_| unknown())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        return if length <= most {
            Ok(Whose::Network(address, length))
        } else {
            Err(NameError::NoNetwork(text.to_owned()))
        };
    }
    parse_mac(text).map(Whose::Mac).ok_or_else(unknown)
}

/// Six pairs of hexadecimal digits between colons or dashes.
fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0; 6];
    let mut parts = text.split([':', '-']);
    for octet in &mut mac {
        let part = parts.next().filter(|part| part.len() == 2)?;
        *octet = u8::from_str_radix(part, 16).ok().filter(|_| !part.starts_with('+'))?;
    }
    parts.next().is_none().then_some(mac)
}

fn is_printable(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|character| character.is_control() || character == '/')
}

/// All the names given by `--name`. The narrowest counts: a stream's, an address's, a MAC address's, the smallest
/// network's.
#[derive(Debug, Default)]
pub struct Names {
    streams: HashMap<(IpAddr, u16), String>,
    addresses: HashMap<IpAddr, String>,
    macs: HashMap<[u8; 6], String>,
    /// The smallest first.
    networks: Vec<(IpAddr, u8, String)>,
}

/// A name that was given.
#[derive(Debug, PartialEq, Eq)]
pub struct Given {
    /// The name.
    pub name: String,
    /// It is that of this very stream: no other has it.
    pub is_streams: bool,
}

impl FromIterator<Name> for Names {
    fn from_iter<T: IntoIterator<Item = Name>>(names: T) -> Self {
        let mut all = Names::default();
        for Name { whose, name } in names {
            match whose {
                Whose::Stream(ip, port) => drop(all.streams.insert((ip, port), name)),
                Whose::Address(ip) => drop(all.addresses.insert(ip, name)),
                Whose::Mac(mac) => drop(all.macs.insert(mac, name)),
                Whose::Network(ip, length) => all.networks.push((ip, length, name)),
            }
        }
        all.networks.sort_by_key(|(_, length, _)| std::cmp::Reverse(*length));
        all
    }
}

/// By their addresses alone.
impl From<HashMap<IpAddr, String>> for Names {
    fn from(addresses: HashMap<IpAddr, String>) -> Self {
        Names { addresses, ..Names::default() }
    }
}

impl Names {
    /// The name of what comes from an address. In a network the machines are told apart by their addresses.
    pub fn of(&self, address: SocketAddr) -> Option<Given> {
        let ip = address.ip();
        if let Some(name) = self.streams.get(&(ip, address.port())) {
            return Some(Given { name: name.clone(), is_streams: true });
        }
        let name =
            self.addresses.get(&ip).or_else(|| self.macs.get(&mac_of(ip)?)).cloned().or_else(|| {
                let network = self.networks.iter().find(|(network, length, _)| is_in(ip, *network, *length));
                network.map(|(_, _, name)| format!("{name}-{ip}"))
            })?;
        Some(Given { name, is_streams: false })
    }
}

/// Whether the first bits of two addresses are the same.
fn is_in(ip: IpAddr, network: IpAddr, length: u8) -> bool {
    let differ = match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            u128::from(ip.to_bits() ^ network.to_bits()).checked_shr(32u32.saturating_sub(length.into()))
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => {
            (ip.to_bits() ^ network.to_bits()).checked_shr(128u32.saturating_sub(length.into()))
        }
        _ => return false,
    };
    // Of no bits none differs.
    differ.is_none_or(|differ| differ == 0)
}

/// The MAC address that an IPv6 address is made of.
fn mac_of(ip: IpAddr) -> Option<[u8; 6]> {
    let IpAddr::V6(ip) = ip else { return None };
    let [.., a, b, c, 0xff, 0xfe, d, e, f] = ip.octets() else { return None };
    // The bit that tells a MAC address given by the maker from others is turned around.
    Some([a ^ 2, b, c, d, e, f])
}

/// What a machine may say its name in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An item of its user data.
    UserData(String),
    /// The host name of its syslog messages.
    Syslog,
    /// The host name that Linux logs once DHCP has given it.
    Dhcp,
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("userdata", key)) if !key.is_empty() => Ok(Source::UserData(key.to_owned())),
            None if text == "syslog" => Ok(Source::Syslog),
            None if text == "dhcp" => Ok(Source::Dhcp),
            _ => Err("expected userdata:KEY, syslog or dhcp".to_owned()),
        }
    }
}

impl Source {
    /// The name that a record tells, if it is one: it may be foreign to us.
    pub fn name<'r>(&self, record: &'r Record) -> Option<&'r str> {
        let name = match self {
            Source::UserData(key) => record.field(key),
            Source::Syslog => record.origin.as_ref().and_then(|origin| origin.host.as_deref()),
            Source::Dhcp => dhcp(&record.text),
        };
        name.filter(|name| is_printable(name) && name.len() <= NAME_BYTES_BEFORE_ADDRESS)
    }
}

/// Linux's `     host=board7, domain=example.org, nis-domain=(none)`, in which the address is no name.
fn dhcp(text: &str) -> Option<&str> {
    let (name, _) = text.trim_start().strip_prefix("host=")?.split_once(", domain=")?;
    name.parse::<IpAddr>().is_err().then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Format, Origin};

    fn names(all: &[&str]) -> Names {
        all.iter().map(|text| text.parse::<Name>().expect("a name")).collect()
    }

    fn name(names: &Names, address: &str) -> Option<String> {
        names.of(address.parse().expect("an address")).map(|given| given.name)
    }

    #[test]
    fn the_narrowest_name_counts() {
        let names = names(&[
            "10.0.0.0/8=site",
            "10.1.0.0/16=rack",
            "10.1.0.5=board5",
            "10.1.0.5:7000=vm",
            "52:54:00:12:34:56=board7",
            "fd00::/64=lab",
            "[fe80::1]:6665=first",
            "::/0=any",
        ]);
        for (address, expected) in [
            ("10.1.0.5:6665", Some("board5")),
            ("10.1.0.5:7000", Some("vm")),
            ("10.1.0.6:6665", Some("rack-10.1.0.6")),
            ("10.2.0.5:6665", Some("site-10.2.0.5")),
            ("192.0.2.1:6665", None),
            ("[fe80::5054:ff:fe12:3456]:6665", Some("board7")),
            ("[fe80::5054:ff:fe12:3456%2]:6665", Some("board7")),
            ("[fd00::5054:ff:fe12:3456]:6665", Some("board7")),
            ("[fd00::1]:6665", Some("lab-fd00::1")),
            ("[fe80::1]:6665", Some("first")),
            ("[fe80::1]:6666", Some("any-fe80::1")),
        ] {
            assert_eq!(name(&names, address).as_deref(), expected, "{address}");
        }
    }

    #[test]
    fn a_network_of_any_length_has_its_edges() {
        let is_in = |ip: &str, network: &str, length| {
            super::is_in(ip.parse().expect("an address"), network.parse().expect("an address"), length)
        };
        assert!(is_in("1.2.3.4", "9.9.9.9", 0) && is_in("::1", "ffff::", 0));
        assert!(is_in("10.0.0.255", "10.0.0.0", 24) && !is_in("10.0.1.0", "10.0.0.0", 24));
        assert!(is_in("10.0.0.1", "10.0.0.1", 32) && !is_in("10.0.0.0", "10.0.0.1", 32));
        assert!(is_in("fe80::1", "fe80::1", 128) && !is_in("fe80::", "fe80::1", 128));
        assert!(!is_in("10.0.0.1", "::", 0));
    }

    #[test]
    fn what_is_no_name_is_told() {
        for (text, part) in [
            ("board7", "expected MACHINE=NAME"),
            ("10.0.0=x", "10.0.0: expected an address"),
            ("10.0.0.0/33=x", "at most 32"),
            ("52:54:00:12:34=x", "expected an address"),
            ("10.0.0.5=", "at least one character"),
            ("10.0.0.5=../x", "no /"),
            (&format!("10.0.0.5={}", "x".repeat(201)), "at most 200 bytes"),
            (&format!("10.0.0.0/8={}", "x".repeat(161)), "at most 160 bytes"),
        ] {
            let error = text.parse::<Name>().expect_err("no name").to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!("52-54-00-12-34-56=x".parse::<Name>().is_ok());
        for text in ["", "userdata", "userdata:", "host", "dhcp:x"] {
            assert!(text.parse::<Source>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_machine_says_its_name() {
        let mut record = Record {
            fields: vec![("host".into(), "board8".into()), ("bad".into(), "../x".into())],
            ..Record::of(
                Format::Extended,
                "     host=board7, domain=example.org, nis-domain=(none)".to_owned(),
            )
        };
        let source = |text: &str| text.parse::<Source>().expect("a source");
        assert_eq!(source("dhcp").name(&record), Some("board7"));
        assert_eq!(source("userdata:host").name(&record), Some("board8"));
        assert_eq!(source("userdata:bad").name(&record), None, "it can't be a file's");
        assert_eq!(source("syslog").name(&record), None);
        record.origin = Some(Box::new(Origin { host: Some("board9".to_owned()), ..Origin::default() }));
        assert_eq!(source("syslog").name(&record), Some("board9"));
        record.text = "     host=10.0.2.15, domain=, nis-domain=(none)".to_owned();
        assert_eq!(source("dhcp").name(&record), None, "the address is no name");
    }
}
