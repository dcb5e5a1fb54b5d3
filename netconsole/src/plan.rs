//! What the panic path must know of the targets, kept apart from their working state: complete, and in a [`Snapshot`].
//!
//! Positions in the log change with every frame, so they are not in it but in [`Word`](crate::guarded::Word)s, each with
//! a checksum of its own.

mod snapshot;
#[cfg(test)]
mod tests;

pub use snapshot::Snapshot;

use crate::format::SystemData;
use crate::host_name::HostName;
use crate::nic::BusAddress;
use crate::settings::{Format, MAX_TARGETS};
use crate::wire::Endpoint;
use core::net::{IpAddr, Ipv4Addr};

/// The most network cards that are used, in normal running and in a panic: 1 without the feature `many-cards`.
pub const MAX_NICS: usize = if cfg!(feature = "many-cards") { 4 } else { 1 };

/// By which cards a target is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetCards {
    /// By this one of [`Plan::nics`]; a number that none has: by any that has link.
    One(u8),
    /// By every card with link: a broadcast target for which no device was named.
    EveryWithLink,
}

/// A set of cards, by their places in [`Plan::nics`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CardSet(u16);

impl CardSet {
    /// No card.
    pub const NONE: Self = Self(0);
    /// Every card.
    pub const ALL: Self = Self(u16::MAX);

    /// Whether the card of this place is in it. Panic-safe.
    pub const fn contains(self, place: usize) -> bool {
        self.0 & Self::of(place).0 != 0
    }

    /// Adds the card of this place. Panic-safe.
    pub const fn insert(&mut self, place: usize) {
        self.0 |= Self::of(place).0;
    }

    /// Takes the card of this place away. Panic-safe.
    pub const fn remove(&mut self, place: usize) {
        self.0 &= !Self::of(place).0;
    }

    /// The card of this place alone; none where there can't be a card.
    const fn of(place: usize) -> Self {
        if place < MAX_NICS { Self(1 << place) } else { Self::NONE }
    }
}

const _: () = assert!(MAX_NICS <= u16::BITS as usize);

/// Where one target's frames go and how they look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetPlan {
    /// By which cards.
    pub cards: TargetCards,
    /// The frame's sender. The card's own address replaces an all-zero one, and the card's own IP address
    /// ([`Plan::addresses`]) an unspecified one.
    pub source: Endpoint,
    /// Until when the source address is this machine's, in µs of the published clock: 0 where it never was, `u64::MAX`
    /// where that has no end. From then on it is the log's source alone: nobody is told that it is ours, and nothing
    /// that is sent to it counts. Of an unspecified source, the card's own address has its own.
    pub owned_until: u64,
    /// The frame's receiver. A broadcast Ethernet address of a target that has a next hop is not known yet.
    pub destination: Endpoint,
    /// Whose Ethernet address the receiver's is, to be asked for: the receiver or the gateway to it. `None` where
    /// nobody is to be asked: the Ethernet address was configured, or is that of a group or of all.
    pub next_hop: Option<IpAddr>,
    /// The cards on which nobody has shown yet that this target's log could be heard, from its first datagram on
    /// (or on which nothing went out yet). There the panic path sends the log from record 0 once more as soon as
    /// somebody shows it.
    pub unheard: CardSet,
    /// When the first datagram went out, in µs of the published clock; `None` where none did.
    pub first_sent: Option<u64>,
    /// How many bytes an IP packet to it may have.
    pub mtu: u16,
    /// The VLAN, if any.
    pub vlan: Option<u16>,
    /// The message format.
    pub format: Format,
    /// Only records with a lower level number go out.
    pub limit: u8,
    /// Whether the basic format shows the time.
    pub time: bool,
    /// Only the crash report goes out (`netconsole.oops_only`).
    pub only_report: bool,
    /// Whether the receiver may ask for records again (the ncrx protocol).
    pub may_ask: bool,
    /// Whether it has answered by that protocol.
    pub has_answered: bool,
    /// What the kernel adds to extended messages; never a message id, which nobody counts in a panic.
    pub system_data: SystemData,
}

impl Plan {
    /// The targets, each with its number. Panic-safe.
    pub fn targets(&self) -> impl Iterator<Item = (usize, &TargetPlan)> {
        self.targets.iter().enumerate().filter_map(|(number, target)| Some((number, target.as_ref()?)))
    }
}

impl TargetPlan {
    /// Whether it is sent by the card of this place. Panic-safe.
    pub fn uses(&self, place: usize) -> bool {
        match self.cards {
            TargetCards::One(number) => usize::from(number) == place,
            TargetCards::EveryWithLink => true,
        }
    }
}

/// The IPv4 address that the log comes from by a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CardAddress {
    /// The address.
    pub ip: Ipv4Addr,
    /// As [`TargetPlan::owned_until`].
    pub owned_until: u64,
}

/// Everything the panic path must know to send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Where the cards are.
    pub nics: [Option<BusAddress>; MAX_NICS],
    /// Their own IPv4 addresses, where they have one or had one until its lease was over.
    pub addresses: [Option<CardAddress>; MAX_NICS],
    /// The targets, by their place in the kernel's table.
    pub targets: [Option<TargetPlan>; MAX_TARGETS],
    /// The sender's name in syslog messages; without one they have its address.
    pub host_name: Option<HostName>,
    /// The time at which this boot's clock was 0, in µs since 1970 (UTC), where it is known.
    pub epoch: Option<u64>,
}

impl Plan {
    /// Another station was heard by the card at `place`, in a VLAN or not, that has this address. Where its lease is over
    /// at `now` µs it is the log's source no more. Panic-safe.
    pub fn give_up(&mut self, address: Ipv4Addr, place: usize, vlan: Option<u16>, now: u64) {
        let is_over = |owned_until| (1..=now).contains(&owned_until);
        if let Some(slot) = self.addresses.get_mut(place)
            && vlan.is_none()
            && slot.is_some_and(|own| own.ip == address && is_over(own.owned_until))
        {
            *slot = None;
        }
        let targets = self.targets.iter_mut().flatten();
        for target in targets.filter(|target| target.uses(place) && target.vlan == vlan) {
            if target.source.ip == address && is_over(target.owned_until) {
                target.source.ip = Ipv4Addr::UNSPECIFIED.into();
            }
        }
    }
}
