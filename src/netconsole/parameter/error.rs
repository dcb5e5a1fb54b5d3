//! What is wrong with a `netconsole=`, in words that a person can act on.

use crate::cmdline::Piece;
use core::fmt;

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
    pub(super) fn new(
        config: Piece<'a>,
        part: Part,
        of: Piece<'a>,
        expected: Expected,
        found: Piece<'a>,
    ) -> Self {
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
