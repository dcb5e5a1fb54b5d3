//! What happened to an interface's addresses that a person should know.

use super::Routes;
use crate::wire::MacAddr;
use core::fmt;
use core::net::Ipv4Addr;

/// How much is kept until somebody asks for it; of more the oldest counts.
const KEPT: usize = 4;

/// What happened; as text it is a log line without the interface's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Another station uses our address too. We keep it.
    Shared(Ipv4Addr, MacAddr),
    /// Another station has the address that a DHCP server has just given, which is told so (DHCPDECLINE).
    Declined(Ipv4Addr, MacAddr),
    /// No DHCP server renewed the lease in time.
    LeaseExpired(Ipv4Addr),
    /// A DHCP server says that the address is not ours (DHCPNAK).
    LeaseRefused(Ipv4Addr),
    /// Another station has the address that the log still came from after its lease was over.
    Taken(Ipv4Addr, MacAddr),
    /// The DHCP server says that this is the longest IP packet in bytes, and it is less than the card's.
    Mtu(u16),
    /// The DHCP server names more routes than there is room for; that to everywhere else counts in any case.
    TooManyRoutes,
    /// The card or the DHCP server says so, which is less than IPv4 allows.
    MtuTooSmall(u16),
}

impl News {
    /// How important it is.
    pub fn level(&self) -> log::Level {
        if matches!(self, Self::Mtu(_)) { log::Level::Info } else { log::Level::Warn }
    }
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shared(address, mac) => write!(f, "{address} is also used by {mac}"),
            Self::Declined(address, mac) => {
                write!(f, "{address} is used by {mac}: it is declined, and DHCP asked for another one")
            }
            Self::LeaseExpired(address) => write!(
                f,
                "no DHCP server renewed the lease of {address}, which is over: \
                 the log alone goes on from it, until another station has it"
            ),
            Self::LeaseRefused(address) => write!(f, "the DHCP server refuses {address}: it is given up"),
            Self::Taken(address, mac) => write!(f, "{address} is used by {mac} now: it is given up"),
            Self::TooManyRoutes => {
                write!(f, "the DHCP server names more than {} routes: the others are ignored", Routes::MAX)
            }
            Self::Mtu(mtu) => write!(f, "MTU {mtu} by DHCP"),
            Self::MtuTooSmall(mtu) => write!(f, "an MTU of {mtu} is ignored: IPv4 needs at least 576"),
        }
    }
}

/// What was not asked for yet.
pub(super) struct Unread([Option<News>; KEPT]);

impl Unread {
    pub(super) const fn new() -> Self {
        Self([None; KEPT])
    }

    pub(super) fn add(&mut self, news: News) {
        if let Some(free) = self.0.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(news);
        }
    }

    pub(super) fn take(&mut self) -> Option<News> {
        let first = self.0[0].take();
        self.0.rotate_left(1);
        first
    }
}
