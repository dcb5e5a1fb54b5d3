//! The files of a target's directory, as Linux's configfs has them: what they show, what may be
//! written to them, and when.

use crate::format::SystemData;
use crate::settings::parameter::{self, Expected};
use crate::settings::{CPU, DeviceSelector, Format, truth};
use crate::targets::Target;
use crate::wire::MacAddr;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A file in a target's own directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// Whether it is to run.
    Enabled,
    /// Whether messages are extended.
    Extended,
    /// Whether these begin with the kernel's release.
    Release,
    /// Whether messages are RFC 5424 syslog; not on Linux.
    Syslog,
    /// The interface.
    DevName,
    /// The source port.
    LocalPort,
    /// The target port.
    RemotePort,
    /// The source address.
    LocalIp,
    /// The target address.
    RemoteIp,
    /// The interface's Ethernet address.
    LocalMac,
    /// The target's Ethernet address.
    RemoteMac,
    /// How often sending failed.
    TransmitErrors,
    /// The target's own limit of levels; not on Linux.
    LogLevel,
    /// All counters; not on Linux.
    Stats,
}

impl Attribute {
    /// All of them, in the order of `ls`.
    pub const ALL: [Self; 14] = [
        Self::DevName,
        Self::Enabled,
        Self::Extended,
        Self::LocalIp,
        Self::LocalMac,
        Self::LocalPort,
        Self::LogLevel,
        Self::Release,
        Self::RemoteIp,
        Self::RemoteMac,
        Self::RemotePort,
        Self::Stats,
        Self::Syslog,
        Self::TransmitErrors,
    ];

    /// The file's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Extended => "extended",
            Self::Release => "release",
            Self::Syslog => "syslog",
            Self::DevName => "dev_name",
            Self::LocalPort => "local_port",
            Self::RemotePort => "remote_port",
            Self::LocalIp => "local_ip",
            Self::RemoteIp => "remote_ip",
            Self::LocalMac => "local_mac",
            Self::RemoteMac => "remote_mac",
            Self::TransmitErrors => "transmit_errors",
            Self::LogLevel => "loglevel",
            Self::Stats => "stats",
        }
    }

    /// The file of a name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|attribute| attribute.name() == name)
    }

    /// Whether writing it changes what an enabled target sends, so that the target must have
    /// [settled](Target::settle).
    pub const fn needs_settled(self) -> bool {
        matches!(self, Self::Enabled)
    }

    /// Writes what the file shows of `target`, line by line.
    pub fn show(self, target: &Target, out: &mut dyn fmt::Write) -> fmt::Result {
        let config = &target.config;
        let (local, remote) = target.endpoints().unzip();
        match self {
            Self::Enabled => show_switch(target.is_enabled(), out),
            Self::Extended => show_switch(matches!(config.format, Format::Extended { .. }), out),
            Self::Release => show_switch(wants_release(target), out),
            Self::Syslog => show_switch(config.format == Format::Syslog, out),
            Self::DevName => writeln!(out, "{}", target.device()),
            Self::LocalPort => writeln!(out, "{}", config.local_port),
            Self::RemotePort => writeln!(out, "{}", config.remote_port),
            Self::LocalIp => {
                let unspecified = match config.remote_ip {
                    IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                    IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
                };
                let known = config.local_ip.or(local.map(|local| local.ip));
                writeln!(out, "{}", known.unwrap_or(unspecified))
            }
            Self::RemoteIp => writeln!(out, "{}", config.remote_ip),
            // Linux shows the broadcast address where it knows none.
            Self::LocalMac => writeln!(out, "{}", local.map_or(MacAddr::BROADCAST, |local| local.mac)),
            Self::RemoteMac => {
                let known = config.remote_mac.or(remote.map(|remote| remote.mac));
                writeln!(out, "{}", known.unwrap_or(MacAddr::BROADCAST))
            }
            Self::TransmitErrors => writeln!(out, "{}", target.counters().errors),
            Self::LogLevel => match target.loglevel {
                Some(limit) => writeln!(out, "{limit}"),
                None => writeln!(out, "default"),
            },
            Self::Stats => show_stats(target, out),
        }
    }

    /// Takes what was written to the file at `now` µs; blanks around it do not count.
    pub fn store<'a>(
        self,
        target: &'a mut Target,
        value: &'a str,
        now: u64,
    ) -> Result<(), AttributeError<'a>> {
        let value = value.trim();
        match self {
            Self::Enabled => return self.enable(target, value, now),
            Self::LocalMac | Self::TransmitErrors | Self::Stats => {
                return Err(AttributeError::ReadOnly(self));
            }
            Self::LogLevel => {
                target.loglevel = match value {
                    "default" => None,
                    _ => Some(level(value).ok_or(self.expected(Wanted::Level, value))?),
                };
                return Ok(());
            }
            _ if target.is_enabled() => return Err(AttributeError::Enabled(target.name())),
            _ => {}
        }
        let is_new = self.set(target, value)?;
        if is_new {
            target.begin_anew();
        }
        Ok(())
    }

    /// Changes a disabled target; true where its receiver is another one afterwards.
    fn set<'a>(self, target: &mut Target, value: &'a str) -> Result<bool, AttributeError<'a>> {
        let config = &mut target.config;
        let before = (config.remote_ip, config.remote_port);
        match self {
            Self::Extended => {
                let release = wants_release(target);
                target.config.format = match self.switch(value)? {
                    true => Format::Extended { release },
                    false if target.config.format == Format::Syslog => Format::Syslog,
                    false => Format::Basic,
                };
                target.release_alone = release && !matches!(target.config.format, Format::Extended { .. });
            }
            Self::Release => match (self.switch(value)?, &mut target.config.format) {
                (wanted, Format::Extended { release }) => *release = wanted,
                (wanted, _) => target.release_alone = wanted,
            },
            Self::Syslog => {
                let wanted = self.switch(value)?;
                if wanted != (config.format == Format::Syslog) {
                    config.format = if wanted { Format::Syslog } else { Format::Basic };
                }
            }
            Self::DevName => {
                config.device = device(value).ok_or(self.grammar(Expected::Device, value))?;
                target.serving = None;
            }
            Self::LocalPort => {
                config.local_port =
                    parameter::port_number(value).ok_or(self.grammar(Expected::Port, value))?;
            }
            Self::RemotePort => {
                config.remote_port =
                    parameter::port_number(value).ok_or(self.grammar(Expected::Port, value))?;
            }
            Self::LocalIp => config.local_ip = self.local_ip(value)?,
            Self::RemoteIp => {
                let ip: IpAddr = value.parse().map_err(|_| self.grammar(Expected::Address, value))?;
                if let Some(expected) = Expected::of_destination(ip) {
                    return Err(self.grammar(expected, value));
                }
                config.remote_ip = ip;
            }
            // Nothing, or a blank: resolved again.
            Self::RemoteMac if value.is_empty() => config.remote_mac = None,
            Self::RemoteMac => {
                config.remote_mac = Some(value.parse().map_err(|_| self.expected(Wanted::Mac, value))?);
            }
            Self::Enabled | Self::LocalMac | Self::TransmitErrors | Self::LogLevel | Self::Stats => {}
        }
        Ok(before != (target.config.remote_ip, target.config.remote_port))
    }

    fn enable<'a>(self, target: &'a mut Target, value: &'a str, now: u64) -> Result<(), AttributeError<'a>> {
        let wanted = self.switch(value)?;
        if wanted == target.is_enabled() {
            return Err(AttributeError::Already(wanted));
        }
        if !wanted {
            target.disable();
            return Ok(());
        }
        if target.release_alone {
            return Err(AttributeError::ReleaseAlone(target.name()));
        }
        if let Some(local) = target.config.local_ip
            && local.is_ipv4() != target.config.remote_ip.is_ipv4()
        {
            return Err(AttributeError::Families(target.name()));
        }
        target.enable(now);
        Ok(())
    }

    fn switch(self, value: &str) -> Result<bool, AttributeError<'_>> {
        truth(value).ok_or(self.expected(Wanted::Switch, value))
    }

    fn local_ip(self, value: &str) -> Result<Option<IpAddr>, AttributeError<'_>> {
        if value.is_empty() {
            return Ok(None);
        }
        let ip: IpAddr = value.parse().map_err(|_| self.grammar(Expected::Address, value))?;
        if let Some(expected) = Expected::of_source(ip) {
            return Err(self.grammar(expected, value));
        }
        Ok(Some(ip).filter(|ip| !ip.is_unspecified()))
    }

    const fn grammar(self, expected: Expected, found: &str) -> AttributeError<'_> {
        self.expected(Wanted::Grammar(expected), found)
    }

    const fn expected(self, wanted: Wanted, found: &str) -> AttributeError<'_> {
        AttributeError::Value { file: self.name(), wanted, found }
    }
}

/// A file that switches one of the items that the kernel fills in, in a target's `userdata`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemSwitch {
    /// ` cpu=N`
    Cpu,
    /// ` taskname=NAME`
    TaskName,
    /// ` release=R`
    Release,
    /// ` msgid=N`
    MessageId,
}

impl SystemSwitch {
    /// All of them, in the order of `ls`.
    pub const ALL: [Self; 4] = [Self::Cpu, Self::MessageId, Self::Release, Self::TaskName];

    /// The first message's ` msgid`, as on Linux.
    const FIRST_MESSAGE_ID: u32 = 1;

    /// The file's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu_nr_enabled",
            Self::TaskName => "taskname_enabled",
            Self::Release => "release_enabled",
            Self::MessageId => "msgid_enabled",
        }
    }

    /// The file of a name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|switch| switch.name() == name)
    }

    /// Writes what the file shows.
    pub fn show(self, target: &Target, out: &mut dyn fmt::Write) -> fmt::Result {
        show_switch(self.is_on(&target.system_data), out)
    }

    /// Takes what was written to the file; the target must have [settled](Target::settle).
    pub fn store<'a>(self, target: &mut Target, value: &'a str) -> Result<(), AttributeError<'a>> {
        let value = value.trim();
        let wanted = Wanted::Switch;
        let on = truth(value).ok_or(AttributeError::Value { file: self.name(), wanted, found: value })?;
        let data = &mut target.system_data;
        if on != self.is_on(data) {
            match self {
                Self::Cpu => data.cpu = on.then_some(CPU),
                Self::TaskName => data.task_name = on,
                Self::Release => data.release = on,
                Self::MessageId => {
                    data.message_id = on.then_some(Self::FIRST_MESSAGE_ID);
                    target.restart_message_ids();
                }
            }
        }
        Ok(())
    }

    const fn is_on(self, data: &SystemData) -> bool {
        match self {
            Self::Cpu => data.cpu.is_some(),
            Self::TaskName => data.task_name,
            Self::Release => data.release,
            Self::MessageId => data.message_id.is_some(),
        }
    }
}

/// What a file takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// On or off.
    Switch,
    /// A limit of levels.
    Level,
    /// An Ethernet address.
    Mac,
    /// What `netconsole=` has in that place.
    Grammar(Expected),
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Switch => f.write_str("0 or 1"),
            Self::Level => f.write_str("a number from 0 to 8, or 'default'"),
            Self::Mac => {
                f.write_str("an ethernet address as in 00:13:32:20:a9:a5, or nothing to have it resolved")
            }
            Self::Grammar(expected) => expected.fmt(f),
        }
    }
}

/// Why a file was not written, in Linux's words where it has some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributeError<'a> {
    /// The target of this name runs.
    Enabled(&'a str),
    /// The file can only be read.
    ReadOnly(Attribute),
    /// The target is on, or off, already.
    Already(bool),
    /// `release` is on and `extended` is not, for the target of this name.
    ReleaseAlone(&'a str),
    /// One of both addresses is IPv4 and the other IPv6.
    Families(&'a str),
    /// The value is none.
    Value {
        /// The file's name.
        file: &'static str,
        /// What it takes.
        wanted: Wanted,
        /// What was written.
        found: &'a str,
    },
}

impl fmt::Display for AttributeError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enabled(name) => write!(f, "target ({name}) is enabled, disable to update parameters"),
            Self::ReadOnly(file) => write!(f, "{}: Permission denied: it can only be read", file.name()),
            Self::Already(true) => f.write_str("network logging has already started"),
            Self::Already(false) => f.write_str("network logging has already stopped"),
            Self::ReleaseAlone(name) => {
                write!(f, "Not enabling netconsole for {name}. Release feature requires extended log message")
            }
            Self::Families(name) => write!(
                f,
                "Not enabling netconsole for {name}. local_ip and remote_ip must both be IPv4 or both IPv6"
            ),
            Self::Value { file, wanted, found: "" } => write!(f, "{file}: expected {wanted}, found nothing"),
            Self::Value { file, wanted, found } => {
                write!(f, "{file}: expected {wanted}, found '{}'", found.escape_default())
            }
        }
    }
}

impl core::error::Error for AttributeError<'_> {}

fn show_switch(on: bool, out: &mut dyn fmt::Write) -> fmt::Result {
    writeln!(out, "{}", u8::from(on))
}

fn show_stats(target: &Target, out: &mut dyn fmt::Write) -> fmt::Result {
    writeln!(out, "state: {}", target.state())?;
    writeln!(out, "{}; ncrx: {}", target.counters(), target.ncrx_counters())
}

fn wants_release(target: &Target) -> bool {
    match target.config.format {
        Format::Extended { release } => release,
        Format::Basic | Format::Syslog => target.release_alone,
    }
}

fn level(value: &str) -> Option<u8> {
    let [digit @ b'0'..=b'8'] = *value.as_bytes() else { return None };
    Some(digit.wrapping_sub(b'0'))
}

fn device(value: &str) -> Option<DeviceSelector> {
    match value.parse() {
        Ok(mac) => Some(DeviceSelector::Mac(mac)),
        Err(_) => DeviceSelector::by_name(value),
    }
}
