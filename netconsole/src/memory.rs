//! All static memory of the library, in one value that is made `const` and is all zero, so that it takes no place in a
//! kernel's image, and beside it one for each card, which a kernel may give from elsewhere. There is no heap.
//!
//! Memory that a card reads and writes is lent once, by [`TakeOnce`]. What a panic must know of is atomic, and each part
//! has a checksum: the panic path trusts nothing that the code it interrupted may have left half-written.

use crate::guarded::Word;
use crate::nic::CardMemory;
#[cfg(feature = "last-words")]
use crate::nic::PanicCardMemory;
use crate::nic::pci::Sizing;
use crate::plan::Snapshot;
use crate::ring::PublishedTimebase;
use crate::runtime::consoles::Consoles;
use crate::runtime::state::State;
use crate::runtime::vlan::{MAX_VLANS, VlanMemory};
use crate::seal::KeyStore;
use crate::settings::{MAX_TARGETS, Settings};
use crate::take_once::TakeOnce;
use crate::targets::user_data::UserData;
use core::mem::MaybeUninit;

#[cfg(feature = "last-words")]
use crate::last_words::memory::PanicMemory;

/// How many places of cards that are not on the PCI bus the panic path knows.
pub const MAX_MMIO_CARDS: usize = 8;

/// The queues and buffers of one card. A kernel has up to [`MAX_NICS`](crate::plan::MAX_NICS) of them, as statics or
/// anywhere else where cards can read and write: see [`Platform::card_room`](crate::platform::Platform::card_room).
///
/// Memory of zeros is one that nothing was done with, as [`new`](Self::new) makes it. It is aligned to less than a page.
pub struct CardRoom {
    /// What the card has in normal running.
    pub(crate) normal: TakeOnce<CardMemory>,
    /// What it has in a panic: each start of the panic path takes it over.
    #[cfg(feature = "last-words")]
    pub(crate) panic: TakeOnce<PanicCardMemory>,
}

impl CardRoom {
    /// Memory that nothing was done with.
    #[expect(clippy::new_without_default, reason = "it is for statics, and too large to be moved")]
    pub const fn new() -> Self {
        Self {
            normal: TakeOnce::new(CardMemory::new()),
            #[cfg(feature = "last-words")]
            panic: TakeOnce::new(PanicCardMemory::new()),
        }
    }
}

/// The library's memory: one static value for each kernel, which its [`Platform`](crate::platform::Platform) names.
pub struct Memory {
    /// What the user has set.
    pub(crate) settings: TakeOnce<MaybeUninit<Settings>>,
    /// What runs.
    pub(crate) state: TakeOnce<MaybeUninit<State>>,
    /// The consoles.
    pub(crate) consoles: TakeOnce<MaybeUninit<Consoles>>,
    /// The memory of the VLANs' interfaces.
    pub(crate) vlans: TakeOnce<[VlanMemory; MAX_VLANS]>,
    /// The pool of the targets' items.
    pub(crate) user_data: TakeOnce<UserData>,
    /// The key that the log is sealed with, if any.
    pub(crate) keys: KeyStore,
    /// What converts ticks to microseconds.
    pub(crate) timebase: PublishedTimebase,
    /// The PCI function whose BARs are being sized.
    pub(crate) sizing: Sizing,
    /// What the panic path knows of the targets.
    pub(crate) snapshot: Snapshot,
    /// 1 where the log is meant for anybody; without a target the panic path sends it to nobody, whatever is damaged.
    pub(crate) has_targets: Word,
    /// Up to where each target's card has taken the log.
    pub(crate) positions: [Word; MAX_TARGETS],
    /// Where the network cards that are not on the PCI bus may be, physical addresses; 0 is no place.
    pub(crate) mmio_cards: [Word; MAX_MMIO_CARDS],
    /// What the panic path alone uses; each of its starts takes it over.
    #[cfg(feature = "last-words")]
    pub(crate) panic: PanicMemory,
}

impl Memory {
    /// Memory that nothing was done with.
    #[expect(clippy::new_without_default, reason = "it is for statics, and too large to be moved")]
    pub const fn new() -> Self {
        Self {
            settings: TakeOnce::new(MaybeUninit::uninit()),
            state: TakeOnce::new(MaybeUninit::uninit()),
            consoles: TakeOnce::new(MaybeUninit::uninit()),
            vlans: TakeOnce::new([const { VlanMemory::new() }; _]),
            user_data: TakeOnce::new(UserData::new()),
            keys: KeyStore::new(),
            timebase: PublishedTimebase::new(),
            sizing: Sizing::new(),
            snapshot: Snapshot::new(),
            has_targets: Word::unset(),
            positions: [const { Word::unset() }; _],
            mmio_cards: [const { Word::unset() }; _],
            #[cfg(feature = "last-words")]
            panic: PanicMemory::new(),
        }
    }

    /// The key that the log is sealed with, if any. Nothing goes out before [`KeyStore::decide`]. Panic-safe.
    pub const fn keys(&self) -> &KeyStore {
        &self.keys
    }

    /// The timebase in force. A kernel whose time stamp counter turns out to run faster or slower than it said publishes
    /// here. Panic-safe.
    pub const fn timebase(&self) -> &PublishedTimebase {
        &self.timebase
    }

    /// Has the panic path look for a network card at the physical address, which is not on the PCI bus. Others beyond the
    /// first [`MAX_MMIO_CARDS`] places it does not find.
    pub fn remember_mmio_card(&self, address: u64) {
        let is_free = |place: &&Word| place.get().is_none_or(|known| known == 0 || known == address);
        if let Some(place) = self.mmio_cards.iter().find(is_free) {
            place.set(address);
        }
    }

    /// Overwrites what the panic path knows of the targets, as a stray pointer would: for provoking that crash.
    #[cfg(feature = "test-hooks")]
    pub fn overwrite_plan(&self, pattern: u64) {
        self.snapshot.overwrite(pattern);
    }

    /// Overwrites up to where the log has gone out, as a stray pointer would: for provoking that crash.
    #[cfg(feature = "test-hooks")]
    pub fn overwrite_positions(&self, pattern: u64) {
        self.positions.iter().for_each(|position| position.overwrite(pattern));
    }
}
