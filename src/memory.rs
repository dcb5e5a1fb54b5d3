//! What lies in static memory beside the log ring (log.rs): the cards' queues and buffers, the key, and what the panic
//! path knows. There is no heap.

use crate::log::RING_SIZE;
use crate::machine::{paging, stacks};
use crate::vlan::{MAX_VLANS, VlanMemory};
use bootinfo::parameters::MmioDevices;
use netconsole::guarded::Word;
use netconsole::last_words::leg::Leg;
use netconsole::ncrx::Ncrx;
use netconsole::nic::pci::Sizing;
use netconsole::nic::{CardMemory, PanicMemory};
use netconsole::plan::{MAX_NICS, Snapshot};
use netconsole::seal::KeyStore;
use netconsole::settings::MAX_TARGETS;
use netconsole::take_once::TakeOnce;
use netconsole::targets::user_data::UserData;

/// The queues and buffers of all cards.
pub static CARD_MEMORY: TakeOnce<[CardMemory; MAX_NICS]> =
    TakeOnce::new([const { CardMemory::new() }; MAX_NICS]);
/// The queues and buffers that only the panic path uses.
pub static PANIC_MEMORY: TakeOnce<[PanicMemory; MAX_NICS]> =
    TakeOnce::new([const { PanicMemory::new() }; MAX_NICS]);
/// The pool of the targets' items.
pub static USER_DATA: TakeOnce<UserData> = TakeOnce::new(UserData::new());
/// The memory of the VLANs' interfaces.
pub static VLANS: TakeOnce<[VlanMemory; MAX_VLANS]> = TakeOnce::new([const { VlanMemory::new() }; MAX_VLANS]);
/// How far the panic path has come with each target, by each card.
pub static PANIC_LEGS: TakeOnce<[[Leg; MAX_TARGETS]; MAX_NICS]> =
    TakeOnce::new([const { [const { Leg::NONE }; _] }; _]);
/// The panic path's conversations with the targets' receivers.
pub static PANIC_CONVERSATIONS: TakeOnce<[Ncrx; MAX_TARGETS]> =
    TakeOnce::new([const { Ncrx::new() }; MAX_TARGETS]);

/// The key that the log is sealed with, if any.
pub static KEYS: KeyStore = KeyStore::new();
/// What the panic path knows of the targets.
pub static SNAPSHOT: Snapshot = Snapshot::new();
/// 1 where the log is meant for anybody; without a target the panic path sends it to nobody, whatever is damaged.
pub static HAS_TARGETS: Word = Word::new(0);
/// Up to where each target's card has taken the log.
pub static POSITIONS: [Word; MAX_TARGETS] = [const { Word::new(0) }; MAX_TARGETS];
/// Where the network cards that are not on the PCI bus may be, physical addresses; 0 is no place.
pub static MMIO_CARDS: [Word; MmioDevices::MAX] = [const { Word::new(0) }; MmioDevices::MAX];
/// The PCI function whose BARs are being sized.
pub static SIZING: Sizing = Sizing::new();

/// Has the panic path look for a network card there, which is not on the PCI bus. Others beyond the first
/// eight places it does not find.
pub fn remember_mmio_card(address: u64) {
    let is_free = |place: &&Word| place.get().is_none_or(|known| known == 0 || known == address);
    if let Some(place) = MMIO_CARDS.iter().find(is_free) {
        place.set(address);
    }
}

/// Logs what the memory is for, in KiB.
pub fn report(ring_size: usize) {
    let kib = |bytes: usize| bytes / 1024;
    log::info!(
        "memory: {} KiB in all: log ring {}, {MAX_NICS} network cards {}, the same in a panic {}, stacks {}",
        kib(paging::image_size() + if ring_size == RING_SIZE { 0 } else { ring_size }),
        kib(ring_size),
        kib(size_of::<[CardMemory; MAX_NICS]>()),
        kib(size_of::<[PanicMemory; MAX_NICS]>()),
        kib(stacks::total_size()),
    );
}
