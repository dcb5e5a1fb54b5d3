//! Ethernet addresses as people write them: with hyphens as Windows shows them, and with something behind them.

use super::Expected;
use crate::cmdline::Piece;
use crate::wire::{MacAddr, MacAddrError};

/// How long an Ethernet address is.
const LEN: usize = "00:00:00:00:00:00".len();

/// An Ethernet address.
pub(super) struct Mac<'a> {
    pub mac: MacAddr,
    /// The first hyphen, where there are any.
    pub hyphen: Option<Piece<'a>>,
    /// What follows it, which Linux's `mac_pton` does not look at.
    pub rest: Option<Piece<'a>>,
}

/// The Ethernet address that `text` begins with, or what was expected and where.
pub(super) fn parse(text: Piece<'_>) -> Result<Mac<'_>, (Expected, Piece<'_>)> {
    let mut bytes = [0; LEN];
    let head = text.head(LEN);
    for (to, from) in bytes.iter_mut().zip(head.text.bytes()) {
        *to = if from == b'-' { b':' } else { from };
    }
    let written = bytes.get(..head.text.len()).and_then(|bytes| core::str::from_utf8(bytes).ok());
    let mac = written.unwrap_or(text.text).parse().map_err(|error| explain(text, error))?;
    let hyphen = head.text.find('-').map(|at| head.skip(at).first());
    let rest = Some(text.skip(LEN)).filter(|rest| !rest.text.is_empty());
    Ok(Mac { mac, hyphen, rest })
}

/// Whether it is meant for an Ethernet address and not for an interface's name.
pub(super) fn is_meant(text: &str) -> bool {
    text.contains(':') || (text.len() >= LEN && parse(Piece { text, before: 0 }).is_ok())
}

/// What should be where an Ethernet address is wrong, and what is there.
fn explain(text: Piece<'_>, error: MacAddrError) -> (Expected, Piece<'_>) {
    let at = match error {
        MacAddrError::Ended => text.text.len(),
        MacAddrError::Unexpected { at, .. } => at,
    };
    let expected = match at {
        LEN.. => Expected::End,
        _ if at % 3 == 2 => Expected::Colon,
        _ => Expected::HexDigit,
    };
    (expected, text.skip(at).first())
}
