//! How a target wants its records.

use crate::host_name::HostName;
use crate::settings::Format;
use core::net::IpAddr;

/// What the styles of all targets have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedStyle {
    /// Whether basic messages show the time (`printk.time`).
    pub time: bool,
    /// The kernel's release, for extended messages.
    pub release: &'static str,
    /// The sender's name, for syslog messages; without one they have its address.
    pub host_name: Option<HostName>,
    /// The time at which this boot's clock was 0, in microseconds since 1970 (UTC), where it is known.
    pub epoch: Option<u64>,
}

impl SharedStyle {
    /// A style of this format, with nothing else added to it.
    pub const fn with(&self, format: Format) -> Style<'_> {
        let Self { time, release, host_name, epoch } = self;
        Style { release, host_name: host_name.as_ref(), epoch: *epoch, ..Style::new(format, *time) }
    }
}

/// How a target wants its records. It must stay the same from a record's first piece to its last.
#[derive(Clone, Copy, Debug)]
pub struct Style<'t> {
    /// The format.
    pub format: Format,
    /// Whether basic messages show the time (`printk.time`).
    pub time: bool,
    /// The kernel's release ([`Platform::release`](crate::platform::Platform::release)), for extended messages; of a longer
    /// one the first 64 bytes are sent.
    pub release: &'t str,
    /// The target's own items, for extended messages: whole lines, each ` KEY=VALUE\n`.
    pub user_data: &'t [u8],
    /// Items that the kernel fills in, for extended messages.
    pub system_data: SystemData,
    /// Whether this is one of ncrx's emergency transmissions, for extended messages.
    pub emergency: bool,
    /// How many records directly before this one the target's level holds back, for extended and syslog messages.
    pub held: u64,
    /// How many records directly after this one it holds back, where this is an announcement of the newest record that
    /// was sent, for extended messages.
    pub behind: u64,
    /// The sender's name, for syslog messages.
    pub host_name: Option<&'t HostName>,
    /// The sender's address, which syslog messages have in place of a name.
    pub address: Option<IpAddr>,
    /// The time at which this boot's clock was 0, in microseconds since 1970 (UTC), for syslog
    /// messages. `None`: they carry no time.
    pub epoch: Option<u64>,
    /// Whether basic messages show the date and the time of day (UTC) in place of the time since the boot, where
    /// `epoch` tells it (`dmesg -T`).
    pub calendar: bool,
}

impl Style<'_> {
    /// A format with nothing added to it, and no release.
    pub const fn new(format: Format, time: bool) -> Self {
        Self {
            format,
            time,
            release: "",
            user_data: &[],
            system_data: SystemData::NONE,
            emergency: false,
            held: 0,
            behind: 0,
            host_name: None,
            address: None,
            epoch: None,
            calendar: false,
        }
    }
}

/// What Linux calls sysdata: items that the kernel adds to extended messages, each a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemData {
    /// ` cpu=N`
    pub cpu: Option<u32>,
    /// ` taskname=NAME`: the module that logged.
    pub task_name: bool,
    /// ` release=R`
    pub release: bool,
    /// ` msgid=N`: the target's own count of messages.
    pub message_id: Option<u32>,
}

impl SystemData {
    /// No items.
    pub const NONE: Self = Self { cpu: None, task_name: false, release: false, message_id: None };
}
