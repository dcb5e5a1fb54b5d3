//! Which format is it? Each datagram says so itself; a sender may change between them.

use crate::extended::{self, Header};

/// A datagram, understood.
#[derive(Debug, PartialEq, Eq)]
pub enum Datagram<'a> {
    /// A record or a fragment of one, and its body.
    Extended(Header, &'a [u8]),
    /// Messages of text, or pieces of them: everything else. Nothing that came is thrown away.
    Text(&'a [u8]),
}

/// Understands a datagram.
pub fn parse(datagram: &[u8]) -> Datagram<'_> {
    match extended::parse(datagram) {
        Some((header, body)) => Datagram::Extended(header, body),
        None => Datagram::Text(datagram),
    }
}
