//! What a target is told to do: the parts of `netconsole=`, parsed, with the defaults filled in.

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
}

/// A network device's name, as in `eth0`: at most 15 bytes, like Linux's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DeviceName {
    bytes: [u8; Self::MAX],
    len: u8,
}

impl DeviceName {
    /// The longest name in bytes (Linux's IFNAMSIZ without the terminator).
    pub const MAX: usize = 15;

    /// The name, or `None` where it is empty or too long.
    pub fn new(name: &str) -> Option<Self> {
        let len = u8::try_from(name.len()).ok().filter(|&len| len > 0)?;
        let mut bytes = [0; Self::MAX];
        bytes.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
        Some(Self { bytes, len })
    }

    /// The name's text.
    pub fn as_str(&self) -> &str {
        self.bytes.get(..usize::from(self.len)).and_then(|name| core::str::from_utf8(name).ok()).unwrap_or("")
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Which network device a target uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceSelector {
    /// By name: `eth0`.
    Name(DeviceName),
    /// By its own Ethernet address.
    Mac(MacAddr),
}

impl fmt::Display for DeviceSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Mac(mac) => mac.fmt(f),
        }
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
    /// The interface, default `eth0`.
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
}
