//! The hand-built path: Ethernet II, IPv4, IPv6 and UDP headers, written in place into a NIC's
//! buffer, and the ARP and NDP messages that find a target's address.
//!
//! Everything here works on whole Ethernet frames without the frame check sequence, takes foreign
//! bytes as they come, and may be called in panic context: no allocation, no lock, no index that can
//! panic. A message that can't be read or does not fit is `None`.
//!
//! It knows nothing of `ring`, `format`, `nic`, `stack`, `settings` and `targets`.

#![forbid(unsafe_code)]

pub mod arp;
pub mod checksum;
pub mod echo;
mod endpoint;
mod envelope;
pub mod ethernet;
mod field;
pub mod ipv4;
pub mod ipv6;
mod mac;
pub mod multicast;
pub mod ndp;
pub mod sntp;
pub mod udp;

pub use endpoint::Endpoint;
pub use envelope::Envelope;
pub use mac::{MacAddr, MacAddrError};

#[cfg(test)]
mod tests;
