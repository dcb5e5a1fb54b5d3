//! The hand-built path: Ethernet II, IPv4, IPv6 and UDP headers, written in place into a NIC's
//! buffer, and the ARP and NDP messages that find a target's address.

mod mac;

pub use mac::{MacAddr, MacAddrError};
