//! What a target is told to do: the parts of `netconsole=`, parsed, with the defaults filled in.

use crate::text::Text;
use crate::wire::MacAddr;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr};

/// How a record becomes a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The text as the console shows it.
    Basic,
    /// `level,sequence,microseconds,flag;text`; `release` prepends the kernel's release (`r`).
    Extended {
        /// Whether the release comes first.
        release: bool,
    },
    /// RFC 5424 syslog (`s`).
    Syslog,
}

/// A network device's name, as in `eth0`: 1 to 15 bytes, like Linux's, without blanks, control
/// characters, or what has a meaning in `netconsole=` and `ip=` (`/ : , ; " [ ]`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceName(Text<{ Self::MAX }>);

impl DeviceName {
    /// The longest name in bytes (Linux's IFNAMSIZ without the terminator).
    pub const MAX: usize = 15;
    /// The first device.
    pub const ETH0: Self = Self(Text::literal("eth0"));

    /// The name, or `None` where it is none.
    pub fn new(name: &str) -> Option<Self> {
        let foreign = |c: char| c.is_whitespace() || c.is_control() || "/:,;\"[]".contains(c);
        let is_name = (1..=Self::MAX).contains(&name.len()) && !name.contains(foreign);
        is_name.then(|| Self(Text::of_bytes(name.as_bytes())))
    }

    /// The device `number` of those called `eth`; `None` from 10 on.
    pub fn ethernet(number: u8) -> Option<Self> {
        let mut name = Self::ETH0;
        *name.0.as_bytes_mut().last_mut()? = b'0'.checked_add(number).filter(u8::is_ascii_digit)?;
        Some(name)
    }

    /// The name's text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which network device a target uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceSelector {
    /// None is named: those that reach the target.
    Any,
    /// By name: `eth0`.
    Name(DeviceName),
    /// By its own Ethernet address.
    Mac(MacAddr),
}

/// As [`ANY`](Self::ANY), a name, or an Ethernet address.
impl fmt::Display for DeviceSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str(Self::ANY),
            Self::Name(name) => name.fmt(f),
            Self::Mac(mac) => mac.fmt(f),
        }
    }
}

impl DeviceSelector {
    /// How [`Any`](Self::Any) is written where something must be.
    pub const ANY: &str = "*";

    /// The device of a name; nothing or [`ANY`](Self::ANY) names none. `None` where it is no name.
    pub fn by_name(name: &str) -> Option<Self> {
        match name {
            "" | Self::ANY => Some(Self::Any),
            _ => DeviceName::new(name).map(Self::Name),
        }
    }

    /// Whether it names the device of this name and Ethernet address.
    pub fn is(&self, name: DeviceName, mac: MacAddr) -> bool {
        match self {
            Self::Any => false,
            Self::Name(wanted) => *wanted == name,
            Self::Mac(wanted) => *wanted == mac,
        }
    }

    /// For a VLAN's device (`eth0.100`) the device below it and the VLAN's identifier, 1 to 4094
    /// (IEEE 802.1Q, section 9.6).
    pub fn vlan(&self) -> Option<(DeviceName, u16)> {
        let Self::Name(name) = self else { return None };
        // Every target is asked in every turn, and few have one.
        if !name.0.as_bytes().contains(&b'.') {
            return None;
        }
        let (base, id) = name.as_str().rsplit_once('.')?;
        if !id.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let id = id.parse().ok().filter(|id| (1..=4094).contains(id))?;
        Some((DeviceName::new(base)?, id))
    }
}

/// One target of `netconsole=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetConfig {
    /// The message format (`+`, `r`).
    pub format: Format,
    /// Source UDP port, default 6665.
    pub local_port: u16,
    /// Source address; `None`: the interface's own.
    pub local_ip: Option<IpAddr>,
    /// The interface.
    pub device: DeviceSelector,
    /// Destination UDP port, default 6666.
    pub remote_port: u16,
    /// Destination address, default 255.255.255.255.
    pub remote_ip: IpAddr,
    /// Destination Ethernet address; `None`: to be resolved.
    pub remote_mac: Option<MacAddr>,
}

impl TargetConfig {
    /// Source port where none is given.
    pub const LOCAL_PORT: u16 = 6665;
    /// Destination port where none is given.
    pub const REMOTE_PORT: u16 = 6666;
    /// Destination address where none is given.
    pub const REMOTE_IP: IpAddr = IpAddr::V4(Ipv4Addr::BROADCAST);
    /// A target of which nothing is given.
    pub const DEFAULT: Self = Self {
        format: Format::Basic,
        local_port: Self::LOCAL_PORT,
        local_ip: None,
        device: DeviceSelector::Any,
        remote_port: Self::REMOTE_PORT,
        remote_ip: Self::REMOTE_IP,
        remote_mac: None,
    };
}

impl TargetConfig {
    /// Whether it goes out by every card: no device is named, and all stations of a network hear it, or a group.
    pub fn goes_everywhere(&self) -> bool {
        self.device == DeviceSelector::Any
            && (self.remote_ip == Self::REMOTE_IP || self.remote_ip.is_multicast())
    }
}

/// In the parameter's own syntax, nothing left out that has a value: parsing it gives the same.
impl fmt::Display for TargetConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.format {
            Format::Basic => "",
            Format::Extended { release: false } => "+",
            Format::Extended { release: true } => "+r",
            Format::Syslog => "s",
        })?;
        write!(f, "{}@", self.local_port)?;
        if let Some(ip) = self.local_ip {
            ip.fmt(f)?;
        }
        f.write_str("/")?;
        if self.device != DeviceSelector::Any {
            self.device.fmt(f)?;
        }
        write!(f, ",{}@{}/", self.remote_port, self.remote_ip)?;
        match self.remote_mac {
            None => Ok(()),
            Some(mac) => mac.fmt(f),
        }
    }
}
