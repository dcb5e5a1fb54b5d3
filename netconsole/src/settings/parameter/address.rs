//! IP addresses as people write them: `[fd00::1]`, `fe80::1%eth0`, `010.0.0.2`; and what is wrong with the others.

use super::error::{Expected, Remark};
use super::port::port_number;
use crate::cmdline::Piece;
use core::net::{IpAddr, Ipv4Addr};

/// An address, its zone (RFC 4007, section 11), and what there is to say about it.
pub(super) struct Address<'a> {
    pub ip: IpAddr,
    pub zone: Option<Piece<'a>>,
    pub remark: Option<(Remark, Piece<'a>)>,
}

/// The address, or what was expected and where.
pub(super) fn parse(text: Piece<'_>) -> Result<Address<'_>, (Expected, Piece<'_>)> {
    let inner = match text.strip_prefix('[') {
        None => text,
        Some(inside) => {
            let end = inside.text.find(']').ok_or((Expected::Bracket, text.end()))?;
            let behind = inside.skip(end).strip_prefix(']').unwrap_or(inside.end());
            if !behind.text.is_empty() {
                let expected = if is_port(behind) { Expected::PortBefore } else { Expected::End };
                return Err((expected, behind));
            }
            inside.head(end)
        }
    };
    let (address, zone) = match inner.split_once('%') {
        None => (inner, None),
        Some((address, zone)) => (address, Some(zone)),
    };
    if let Ok(ip) = address.text.parse() {
        return Ok(Address { ip, zone, remark: None });
    }
    if address.text.bytes().all(|byte| byte == b'.' || byte.is_ascii_digit()) && !address.text.is_empty() {
        let ip = IpAddr::V4(decimal(address)?);
        return Ok(Address { ip, zone, remark: Some((Remark::LeadingZeros(ip), address)) });
    }
    Err(explain(address))
}

/// An IPv4 address whose numbers are decimal whatever zeros come first, as Linux's `in4_pton` reads it.
fn decimal(text: Piece<'_>) -> Result<Ipv4Addr, (Expected, Piece<'_>)> {
    let mut octets = [0; 4];
    let mut rest = Some(text);
    for octet in &mut octets {
        let piece = rest.ok_or((Expected::FourNumbers, text))?;
        let (number, behind) = match piece.split_once('.') {
            None => (piece, None),
            Some((number, behind)) => (number, Some(behind)),
        };
        if number.text.is_empty() {
            return Err((Expected::FourNumbers, text));
        }
        *octet = number.text.parse().map_err(|_| (Expected::Octet, number))?;
        rest = behind;
    }
    if rest.is_some() { Err((Expected::FourNumbers, text)) } else { Ok(octets.into()) }
}

/// `:` and a number.
fn is_port(text: Piece<'_>) -> bool {
    text.strip_prefix(':').is_some_and(|port| port_number(port.text).is_some())
}

/// What is wrong with a text that is no address.
fn explain(text: Piece<'_>) -> (Expected, Piece<'_>) {
    if let Some((address, _)) = text.split_once(':')
        && address.text.parse::<Ipv4Addr>().is_ok()
    {
        let behind = text.skip(address.text.len());
        return (if is_port(behind) { Expected::PortBefore } else { Expected::End }, behind);
    }
    if !text.text.contains(':') {
        let is_name = text.text.starts_with(|c: char| c.is_ascii_alphanumeric());
        return (if is_name { Expected::AddressNoName } else { Expected::Address }, text);
    }
    let foreign = text.text.find(|c: char| !c.is_ascii_hexdigit() && c != ':' && c != '.');
    if let Some(at) = foreign {
        return (Expected::Address, text.skip(at).first());
    }
    if let Some(at) = text.text.find(":::") {
        return (Expected::Group, text.skip(at).head(3));
    }
    let mut rest = Some(text);
    while let Some(piece) = rest {
        let (group, behind) = match piece.split_once(':') {
            None => (piece, None),
            Some((group, behind)) => (group, Some(behind)),
        };
        if group.text.len() > 4 && !group.text.contains('.') {
            return (Expected::Group, group);
        }
        rest = behind;
    }
    (Expected::Address, text)
}
