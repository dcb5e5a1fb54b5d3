//! Whether and how datagrams are sealed: with a key, nothing else is taken in or sent out.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::sealed::{Refusal, Sealing};

/// What is between the sockets and everything that understands a message.
pub struct Protection {
    sealing: Option<Sealing>,
    /// How many datagrams were refused, by why.
    refused: BTreeMap<Refusal, u64>,
}

impl Protection {
    /// With a key, or none.
    pub fn new(sealing: Option<Sealing>) -> Self {
        Protection { sealing, refused: BTreeMap::new() }
    }

    /// The message in a datagram, or why it is refused.
    pub fn open<'d>(&mut self, from: SocketAddr, datagram: &'d [u8]) -> Result<Cow<'d, [u8]>, Refusal> {
        let Some(sealing) = &mut self.sealing else { return Ok(Cow::Borrowed(datagram)) };
        let opened = sealing.open(from, datagram);
        if let Err(refusal) = opened {
            let count = self.refused.entry(refusal).or_default();
            *count = count.saturating_add(1);
        }
        opened.map(Cow::Owned)
    }

    /// A datagram of input to a machine; `None` where there is a key, and the machine has not been heard.
    pub fn seal(&mut self, to: SocketAddr, text: &[u8], now: Duration) -> Option<Vec<u8>> {
        match &mut self.sealing {
            Some(sealing) => sealing.seal(to, text, now),
            None => Some(text.to_vec()),
        }
    }

    /// What makes a machine that has not been heard say something, where that is needed and it is time to.
    pub fn greeting(&mut self, now: Duration) -> Option<Vec<u8>> {
        self.sealing.as_mut()?.greeting(now)
    }

    /// How many datagrams were refused, by why.
    pub fn refused(&self) -> &BTreeMap<Refusal, u64> {
        &self.refused
    }
}
