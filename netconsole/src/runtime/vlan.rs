//! A VLAN's interface, `eth0.100`: addresses and neighbours of its own on a card that it shares.

use crate::settings::DeviceName;
use crate::stack::Stack;
use core::mem::MaybeUninit;

/// How many VLANs there can be, on all cards together: none without the feature `vlan`.
pub const MAX_VLANS: usize = if cfg!(feature = "vlan") { 8 } else { 0 };

/// An interface in a VLAN.
pub struct Vlan {
    /// The card's name, a dot, and the VLAN's identifier.
    pub name: DeviceName,
    /// The VLAN's identifier, 1 to 4094.
    pub id: u16,
    /// Its addresses and neighbours.
    pub stack: Stack<'static>,
    /// Whether an IPv4 address may still come.
    pub ipv4_may_come: bool,
}

/// The memory of one.
pub struct VlanMemory {
    /// The interface.
    pub vlan: MaybeUninit<Vlan>,
}

impl VlanMemory {
    /// Not in use.
    pub const fn new() -> Self {
        Self { vlan: MaybeUninit::uninit() }
    }
}
