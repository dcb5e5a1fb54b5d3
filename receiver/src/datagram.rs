//! Which format is it? Each datagram says so itself; a sender may change between them.

use crate::event::Record;
use crate::extended::{self, Header};
use crate::syslog;

/// A datagram, understood.
#[derive(Debug, PartialEq, Eq)]
pub enum Datagram<'a> {
    /// A record or a fragment of one, and its body.
    Extended(Header, &'a [u8]),
    /// A record.
    Syslog(Record),
    /// Console text. Everything that is nothing else: nothing that came is thrown away.
    Basic(&'a [u8]),
}

/// Understands a datagram.
pub fn parse(datagram: &[u8]) -> Datagram<'_> {
    if let Some((header, body)) = extended::parse(datagram) {
        return Datagram::Extended(header, body);
    }
    match syslog::parse(datagram) {
        Some(record) => Datagram::Syslog(record),
        None => Datagram::Basic(datagram),
    }
}
