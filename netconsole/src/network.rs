//! What others ask of the network beside the log: a conversation with somebody, a neighbour's address, an echo.

use crate::settings::DeviceName;
use crate::wire::{Endpoint, MacAddr};
use core::fmt;
use core::net::IpAddr;

/// Two ends of a conversation, as this machine sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// This machine's end.
    pub local: Endpoint,
    /// The other.
    pub remote: Endpoint,
    /// The VLAN, if any.
    pub vlan: Option<u16>,
    /// The number of the card.
    pub card: usize,
}

/// What is known of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbor {
    /// The interface that asks.
    pub interface: DeviceName,
    /// The address that it asks from.
    pub source: IpAddr,
    /// The answer, if there is one.
    pub mac: Option<MacAddr>,
}

/// Whether an echo request is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It has been sent.
    Now,
    /// The Ethernet address is asked for: try again.
    Later,
}

/// Why something can't be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkError {
    /// There is no such interface.
    NoInterface,
    /// No interface has a link.
    NoLink,
    /// No interface has an address to send from.
    NoSource,
    /// Nobody answers for the Ethernet address.
    Unreachable,
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoInterface => "there is no such interface; 'ip' lists them",
            Self::NoLink => "Network is down: no interface has a link",
            Self::NoSource => "Network is unreachable: no interface has an address to send from",
            Self::Unreachable => "Destination Host Unreachable",
        })
    }
}

impl core::error::Error for NetworkError {}
