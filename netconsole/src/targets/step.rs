//! What a target is lent for one step.

use super::life::Life;
use crate::nic::Nic;
use crate::ring::Ring;
use crate::seal::KeyStore;
use crate::stack::Stack;

/// The interface that a target uses, lent for one step.
pub struct Interface<'i, 's> {
    /// `eth0`, `eth1`, …
    pub name: &'i str,
    /// The card.
    pub nic: &'i mut dyn Nic,
    /// Its addresses and neighbours.
    pub stack: &'i mut Stack<'s>,
    /// What the card has heard.
    pub life: &'i mut Life,
    /// Whether the cable is connected.
    pub link_is_up: bool,
    /// Whether an IPv4 address may still come (`ip=off` and nothing static: it never does).
    pub ipv4_may_come: bool,
}

/// The circumstances of one step. Times are in µs.
pub struct Moment<'m> {
    /// Whether targets may ship.
    pub keys: &'m KeyStore,
    /// The log.
    pub ring: &'m Ring<'m>,
    /// The time.
    pub now: u64,
    /// How long the boot waits for a target.
    pub carrier_timeout: u64,
    /// Whether a receiver's Ethernet address that was given is asked for all the same, while it is used: the machine that
    /// knew it has died, and nobody could say when it changed.
    pub asks_for_given: bool,
    /// Whether no frame may go to everybody or to a group: who does not answer is waited for, or has the Ethernet address
    /// that was given.
    pub spares_everybody: bool,
}
