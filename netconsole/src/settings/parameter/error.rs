//! What is wrong with a `netconsole=`, in words that a person can act on, with the place marked.

use crate::cmdline::Piece;
use crate::marked::{Head, Marked};
use crate::settings::TargetConfig;
use core::fmt;
use core::net::IpAddr;

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
    /// All that is after the comma.
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

/// What should be at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// `+` before `r`.
    Extended,
    /// A port, which may be left out, and `@`.
    PortAndAt,
    /// The `@` after a port.
    At,
    /// The `@` before an address.
    AtBefore,
    /// A number from 1 to 65535.
    Port,
    /// The `/` after an address.
    Slash,
    /// An IP address.
    Address,
    /// An IP address, where a host's name is.
    AddressNoName,
    /// Four decimal numbers.
    FourNumbers,
    /// A number of an IPv4 address.
    Octet,
    /// One of the groups of an IPv6 address.
    Group,
    /// The `]` after an IPv6 address.
    Bracket,
    /// The end of the address, where a port follows it.
    PortBefore,
    /// An IPv4 address, since the source's is one.
    Ipv4,
    /// An IPv6 address, since the source's is one.
    Ipv6,
    /// An address of one station.
    Station,
    /// An address that can be sent to.
    Destination,
    /// An address of another machine.
    NotLoopback,
    /// An interface's name or Ethernet address.
    Device,
    /// The comma and what follows it.
    TargetPart,
    /// An Ethernet address, where a number is.
    Mac,
    /// Half of an octet of an Ethernet address.
    HexDigit,
    /// The separator of an Ethernet address.
    Colon,
    /// The separator of two targets.
    Semicolon,
    /// Nothing more.
    End,
    /// Text, not other bytes.
    Utf8,
}

impl Expected {
    /// What is wrong with `ip` as an address to send to, if anything.
    pub(crate) fn of_destination(ip: IpAddr) -> Option<Self> {
        match ip {
            _ if ip.is_unspecified() => Some(Self::Destination),
            _ if ip.is_loopback() => Some(Self::NotLoopback),
            _ => None,
        }
    }

    /// What is wrong with `ip` as an address to send from, if anything. The unspecified address means none.
    pub(crate) fn of_source(ip: IpAddr) -> Option<Self> {
        let is_station = !ip.is_multicast() && !ip.is_loopback() && ip != TargetConfig::REMOTE_IP;
        (!is_station).then_some(Self::Station)
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Extended => "'+' before it",
            Self::PortAndAt => "a port and '@', or '@' alone",
            Self::At => "'@' behind it",
            Self::AtBefore => "'@' before it",
            Self::Port => "a number from 1 to 65535",
            Self::Slash => "'/' behind it",
            Self::Address => "an IPv4 or IPv6 address",
            Self::AddressNoName => "an IPv4 or IPv6 address (names are not looked up)",
            Self::FourNumbers => "four numbers with '.' between them",
            Self::Octet => "a number from 0 to 255",
            Self::Group => "at most four hexadecimal digits and ':', and '::' once",
            Self::Bracket => "']' behind it",
            Self::PortBefore => "nothing more (the port goes before '@')",
            Self::Ipv4 => "an IPv4 address like the source's",
            Self::Ipv6 => "an IPv6 address like the source's",
            Self::Station => "the address of one of this machine's interfaces",
            Self::Destination => "an address that can be sent to",
            Self::NotLoopback => "another machine's address (this one never leaves the machine)",
            Self::Device => "an interface's name (at most 15 characters) or ethernet address",
            Self::TargetPart => "',' and the target, [port]@[address]/[ethernet address]",
            Self::Mac => "an ethernet address (the port goes before '@')",
            Self::HexDigit => "a hexadecimal digit",
            Self::Colon => "':'",
            Self::Semicolon => "';' between two targets",
            Self::End => "nothing more",
            Self::Utf8 => "UTF-8 text",
        })
    }
}

/// A place in a target's text, and the part that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The part.
    pub part: Part,
    /// Where it begins in the text, in bytes.
    start: usize,
    /// The target's text and the place.
    pub marked: Marked<'a>,
}

impl<'a> Place<'a> {
    /// The place `wrong` in the piece `of` of `text`, which is `part`.
    pub(super) fn new(text: &'a [u8], part: Part, of: Piece<'_>, wrong: Piece<'_>) -> Self {
        Self { part, start: of.before, marked: Marked::new(text, wrong.before, wrong.after()) }
    }

    /// What is there, as a message says it.
    fn found(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.marked.place() {
            [] if self.marked.is_at_end() => f.write_str("the end"),
            [] => f.write_str("nothing"),
            found => write!(f, "'{}'", Head::<48>(found)),
        }
    }

    /// Linux's words, and what was expected and found.
    fn explain(&self, f: &mut fmt::Formatter<'_>, expected: Expected) -> fmt::Result {
        // Escaped, since foreign text must not bring line ends or control characters into the log.
        write!(f, "couldn't parse config at '{}'! ", Head::<64>(self.marked.rest(self.start)))?;
        write!(f, "{}: expected {expected}, found ", self.part)?;
        self.found(f)
    }
}

/// Why a target's text is refused: `couldn't parse config at '…'!` in Linux's words, with the text from the wrong
/// part on, then the part, what was expected there, what was found, and the text with that marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParameterError<'a> {
    /// What should have been there.
    pub expected: Expected,
    /// Where.
    pub place: Place<'a>,
}

impl fmt::Display for ParameterError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.expected == Expected::Extended {
            f.write_str("Release feature requires extended log message: ")?;
        }
        self.place.explain(f, self.expected)?;
        write!(f, ": {}", self.place.marked)
    }
}

impl core::error::Error for ParameterError<'_> {}

/// What is done with something in a target's text that Linux would refuse, or ignores without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remark {
    /// The target's Ethernet address has a typing error: it is resolved as if it had been left out.
    Resolved(Expected),
    /// White space around a part is ignored.
    WhiteSpace,
    /// The hyphens in an Ethernet address are taken for colons.
    Hyphens,
    /// What follows an Ethernet address is ignored.
    Rest,
    /// Zeros before a number of an IPv4 address are ignored; elsewhere they can mean that it is octal.
    LeadingZeros(IpAddr),
    /// The zone of an address is ignored: it names no interface, or another one than the target's.
    Zone,
}

/// A remark about a target that runs all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warning<'a> {
    /// What is done.
    pub remark: Remark,
    /// With what.
    pub place: Place<'a>,
}

impl Warning<'_> {
    /// The level to log it with: what is not as it was meant is an error.
    pub const fn level(&self) -> log::Level {
        match self.remark {
            Remark::Resolved(_) => log::Level::Error,
            _ => log::Level::Warn,
        }
    }
}

impl fmt::Display for Warning<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = self.place.part;
        match self.remark {
            Remark::Resolved(expected) => {
                self.place.explain(f, expected)?;
                f.write_str("; it is resolved instead")?;
            }
            Remark::WhiteSpace => f.write_str("warning: whitespace is not allowed, it is ignored")?,
            Remark::Hyphens => write!(f, "{part}: '-' is taken for ':'")?,
            Remark::Rest => write!(f, "{part}: what follows it is ignored")?,
            Remark::LeadingZeros(ip) => write!(f, "{part}: taken for {ip}")?,
            Remark::Zone => write!(f, "{part}: its zone is ignored")?,
        }
        write!(f, ": {}", self.place.marked)
    }
}

/// The warnings about one target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Warnings<'a>([Option<Warning<'a>>; MAX_WARNINGS]);

/// How many warnings about a target are kept.
const MAX_WARNINGS: usize = 6;

impl<'a> Warnings<'a> {
    /// The warnings, in the order of the text.
    pub fn iter(&self) -> impl Iterator<Item = Warning<'a>> + use<'a> {
        self.0.into_iter().flatten()
    }

    /// Adds one, where there is room. Of white space one is enough.
    pub(super) fn add(&mut self, warning: Warning<'a>) {
        if warning.remark == Remark::WhiteSpace && self.iter().any(|known| known.remark == warning.remark) {
            return;
        }
        if let Some(slot) = self.0.iter_mut().find(|slot| slot.is_none()) {
            *slot = Some(warning);
        }
    }
}
