//! The grammar of `netconsole=`:
//! `[+[r] | s][source port]@[source address]/[interface],[target port]@[target address]/[target MAC]`,
//! several targets with `;` between them, and the short form that is the part after the comma alone.
//! It is Linux's (Documentation/networking/netconsole.rst), with every part optional. Where Linux's own parser
//! (`netpoll_parse_options`) refuses what can mean one thing only, that is taken, with a warning.

mod address;
mod error;
mod mac;
mod port;

pub use error::{Expected, ParameterError, Part, Place, Remark, Warning, Warnings};

use super::{DeviceName, DeviceSelector, Format, TargetConfig};
use crate::cmdline::Piece;
use address::Address;
use core::net::IpAddr;
pub(crate) use port::port_number;

/// What one target's text gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed<'a> {
    /// The target, or why it is refused.
    pub target: Result<TargetConfig, ParameterError<'a>>,
    /// What there is to say about a target that runs; of one that is refused, what was seen before.
    pub warnings: Warnings<'a>,
}

/// The targets of one `netconsole=`, in order; at least one, since an empty value is an error too.
pub fn targets(value: &[u8]) -> impl Iterator<Item = Parsed<'_>> {
    let is_blank = |config: &[u8]| config.trim_ascii().is_empty();
    let nothing = value.split(is_separator).all(is_blank);
    let configs = value.split(is_separator).enumerate();
    // A separator too many is no target.
    configs
        .filter(move |(number, config)| if nothing { *number == 0 } else { !is_blank(config) })
        .map(|(_, config)| Reader::parse(config))
}

fn is_separator(byte: &u8) -> bool {
    *byte == b';'
}

/// Reads one target's text.
struct Reader<'a> {
    text: &'a [u8],
    target: TargetConfig,
    warnings: Warnings<'a>,
}

impl<'a> Reader<'a> {
    fn parse(text: &'a [u8]) -> Parsed<'a> {
        let mut reader = Self { text, target: TargetConfig::DEFAULT, warnings: Warnings::default() };
        let target = reader.read().map(|()| reader.target);
        Parsed { target, warnings: reader.warnings }
    }

    fn read(&mut self) -> Result<(), ParameterError<'a>> {
        let text = core::str::from_utf8(self.text).map_err(|error| self.not_text(error.valid_up_to()))?;
        let config = self.trim(Part::Target, Piece { text, before: 0 });
        let parts = self.read_format(config)?;
        match parts.split_once(',') {
            Some((local, remote)) => {
                let local = self.trim(Part::LocalPort, local);
                self.read_local(local)?;
                let remote = self.trim(Part::RemotePort, remote);
                self.read_remote(remote, false)
            }
            None => self.read_remote(parts, true),
        }
    }

    /// Reads `+`, `r`, `s`, and gives the parts after them.
    fn read_format(&mut self, config: Piece<'a>) -> Result<Piece<'a>, ParameterError<'a>> {
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
            return Err(self.error(Part::Format, config, Expected::Extended, rest.first()));
        }
        self.target.format = format;
        Ok(rest)
    }

    /// Reads `[src-port]@[src-ip]/[<dev>]`.
    fn read_local(&mut self, local: Piece<'a>) -> Result<(), ParameterError<'a>> {
        let (port, rest) = self.split_port(Part::LocalPort, local)?;
        self.target.local_port = self.port(Part::LocalPort, port, TargetConfig::LOCAL_PORT)?;
        let (ip, device) = self.split_address(Part::LocalIp, rest)?;
        let address = self.address(Part::LocalIp, ip)?;
        if let Some(address) = &address {
            if let Some(expected) = Expected::of_source(address.ip) {
                return Err(self.error(Part::LocalIp, ip, expected, ip));
            }
            // Linux takes 0.0.0.0 and :: for "not given".
            self.target.local_ip = Some(address.ip).filter(|ip| !ip.is_unspecified());
        }
        self.read_device(device)?;
        self.take_zone(Part::LocalIp, ip, address.and_then(|address| address.zone));
        Ok(())
    }

    fn read_device(&mut self, device: Piece<'a>) -> Result<(), ParameterError<'a>> {
        if device.text.is_empty() {
            return Ok(());
        }
        self.target.device = if mac::is_meant(device.text) {
            let mac = mac::parse(device)
                .map_err(|(expected, found)| self.error(Part::Device, device, expected, found))?;
            self.remark_on_mac(Part::Device, device, &mac);
            DeviceSelector::Mac(mac.mac)
        } else {
            let selector = DeviceSelector::by_name(device.text);
            selector.ok_or_else(|| self.error(Part::Device, device, Expected::Device, device))?
        };
        Ok(())
    }

    /// Reads `[tgt-port]@<tgt-ip>/[tgt-macaddr]`, which is all that there is in the short form.
    fn read_remote(&mut self, remote: Piece<'a>, is_short: bool) -> Result<(), ParameterError<'a>> {
        let (port, rest) = self.split_port(Part::RemotePort, remote)?;
        self.target.remote_port = self.port(Part::RemotePort, port, TargetConfig::REMOTE_PORT)?;
        let (ip, mac) = self.split_address(Part::RemoteIp, rest)?;
        if let Some(address) = self.address(Part::RemoteIp, ip)? {
            self.target.remote_ip = address.ip;
            self.take_zone(Part::RemoteIp, ip, address.zone);
        }
        let remote_ip = self.target.remote_ip;
        let families = self.target.local_ip.and_then(|local| match (local, remote_ip) {
            (IpAddr::V4(_), IpAddr::V6(_)) => Some(Expected::Ipv4),
            (IpAddr::V6(_), IpAddr::V4(_)) => Some(Expected::Ipv6),
            _ => None,
        });
        if let Some(expected) = Expected::of_destination(remote_ip).or(families) {
            return Err(self.error(Part::RemoteIp, ip, expected, ip));
        }
        // In the short form a word there is an interface's name: the target was forgotten.
        if is_short && !mac.text.is_empty() && !mac::is_meant(mac.text) {
            return Err(self.error(Part::Target, mac.end(), Expected::TargetPart, mac.end()));
        }
        self.read_mac(mac)
    }

    fn read_mac(&mut self, text: Piece<'a>) -> Result<(), ParameterError<'a>> {
        if text.text.is_empty() {
            return Ok(());
        }
        let (expected, found) = match mac::parse(text) {
            Ok(mac) => {
                self.target.remote_mac = Some(mac.mac);
                self.remark_on_mac(Part::RemoteMac, text, &mac);
                return Ok(());
            }
            Err(_) if port_number(text.text).is_some() => (Expected::Mac, text),
            Err(error) => error,
        };
        // A character of the grammar's own is no typing error in an address: something is there that belongs elsewhere.
        if let Some(at) = text.text.find(|c: char| c.is_whitespace() || "/,@".contains(c)) {
            let found = text.skip(at);
            let is_target = found.text.starts_with(',') && found.text.contains('@');
            let expected = if is_target { Expected::Semicolon } else { Expected::End };
            return Err(self.error(Part::RemoteMac, text, expected, found.first()));
        }
        self.warn(Part::RemoteMac, text, Remark::Resolved(expected), found);
        Ok(())
    }

    /// Splits a port from what follows its `@`.
    fn split_port(&self, part: Part, text: Piece<'a>) -> Result<(Piece<'a>, Piece<'a>), ParameterError<'a>> {
        if let Some(parts) = text.split_once('@') {
            return Ok(parts);
        }
        let end = text.text.find('/').unwrap_or(text.text.len());
        let (head, behind) = (text.head(end), text.skip(end));
        let address = if part == Part::LocalPort { Part::LocalIp } else { Part::RemoteIp };
        Err(if address::parse(head).is_ok() {
            self.error(address, head, Expected::AtBefore, head)
        } else if port_number(head.text).is_some() {
            self.error(part, text, Expected::At, self.next(behind))
        } else {
            let found = if head.text.is_empty() { self.next(behind) } else { head };
            self.error(part, text, Expected::PortAndAt, found)
        })
    }

    /// Splits an address from what follows its `/`.
    fn split_address(
        &self,
        part: Part,
        text: Piece<'a>,
    ) -> Result<(Piece<'a>, Piece<'a>), ParameterError<'a>> {
        text.split_once('/').ok_or_else(|| self.error(part, text, Expected::Slash, self.next(text.end())))
    }

    /// The character at the beginning of `piece`, also where the piece ends before it.
    fn next(&self, piece: Piece<'a>) -> Piece<'a> {
        let rest = self.text.get(piece.before..).and_then(|rest| core::str::from_utf8(rest).ok());
        Piece { text: rest.unwrap_or(""), ..piece }.first()
    }

    /// The port of decimal digits, 1 to 65535; `default` where there are none.
    fn port(&self, part: Part, text: Piece<'a>, default: u16) -> Result<u16, ParameterError<'a>> {
        if text.text.is_empty() {
            return Ok(default);
        }
        port_number(text.text).ok_or_else(|| self.error(part, text, Expected::Port, text))
    }

    /// The address, if one is given.
    fn address(&mut self, part: Part, text: Piece<'a>) -> Result<Option<Address<'a>>, ParameterError<'a>> {
        if text.text.is_empty() {
            return Ok(None);
        }
        let address =
            address::parse(text).map_err(|(expected, found)| self.error(part, text, expected, found))?;
        if let Some((remark, at)) = address.remark {
            self.warn(part, text, remark, at);
        }
        Ok(Some(address))
    }

    /// Takes an address' zone for the interface where nothing else names one.
    fn take_zone(&mut self, part: Part, of: Piece<'a>, zone: Option<Piece<'a>>) {
        let Some(zone) = zone else { return };
        // A number is what the interface has on another machine.
        let is_number = zone.text.bytes().all(|byte| byte.is_ascii_digit());
        let device = DeviceName::new(zone.text).filter(|_| !is_number).map(DeviceSelector::Name);
        match device {
            Some(device) if self.target.device == DeviceSelector::Any => self.target.device = device,
            Some(device) if device == self.target.device => {}
            _ => self.warn(part, of, Remark::Zone, zone),
        }
    }

    /// The text without white space at its ends, of which there is a warning.
    fn trim(&mut self, part: Part, text: Piece<'a>) -> Piece<'a> {
        let trimmed = text.trim();
        let before = text.head(trimmed.before.saturating_sub(text.before));
        let after = text.skip(trimmed.after().saturating_sub(text.before));
        if let Some(blank) = [before, after].into_iter().find(|blank| !blank.text.is_empty()) {
            self.warn(part, text, Remark::WhiteSpace, blank);
        }
        trimmed
    }

    fn remark_on_mac(&mut self, part: Part, of: Piece<'a>, mac: &mac::Mac<'a>) {
        if let Some(hyphen) = mac.hyphen {
            self.warn(part, of, Remark::Hyphens, hyphen);
        }
        if let Some(rest) = mac.rest {
            self.warn(part, of, Remark::Rest, rest);
        }
    }

    fn warn(&mut self, part: Part, of: Piece<'a>, remark: Remark, at: Piece<'a>) {
        let place = Place::new(self.text, part, of, at);
        self.warnings.add(Warning { remark, place });
    }

    fn error(&self, part: Part, of: Piece<'a>, expected: Expected, at: Piece<'a>) -> ParameterError<'a> {
        ParameterError { expected, place: Place::new(self.text, part, of, at) }
    }

    /// The text ends in valid UTF-8 at `end`.
    fn not_text(&self, end: usize) -> ParameterError<'a> {
        let whole = Piece { text: "", before: 0 };
        // Whatever the byte is, it is one.
        let byte = Piece { text: "\0", before: end };
        self.error(Part::Target, whole, Expected::Utf8, byte)
    }
}

#[cfg(test)]
mod tests;
