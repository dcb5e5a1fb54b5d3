//! Who takes part in a conversation.

use super::MacAddr;
use core::net::IpAddr;

/// One end of a UDP conversation on an Ethernet segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The Ethernet address; a router's where the other end is behind one.
    pub mac: MacAddr,
    /// The IP address.
    pub ip: IpAddr,
    /// The UDP port.
    pub port: u16,
}
