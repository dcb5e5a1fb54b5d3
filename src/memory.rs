//! Everything static that is large, in one place: the log ring and the cards' queues and buffers.
//! There is no heap.

use crate::consoles::Consoles;
use crate::kernel::Kernel;
use crate::machine::clock::{self, Clock};
use crate::machine::{paging, stacks};
use crate::panic::Card as PanicCard;
use crate::vlan::{MAX_VLANS, VlanMemory};
use bootinfo::MemoryMap;
use bootinfo::parameters::{MmioDevices, Parameters};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use netconsole::last_words::leg::Leg;
use netconsole::ncrx::Ncrx;
use netconsole::nic::pci::Sizing;
use netconsole::nic::{CardMemory, PanicMemory};
use netconsole::plan::{Checked, MAX_NICS, Snapshot};
use netconsole::ring::{Logger, Machine, Recovery, Ring, RingHeader};
use netconsole::seal::KeyStore;
use netconsole::settings::MAX_TARGETS;
use netconsole::targets::user_data::UserData;

/// The log ring's size in bytes where `log_buf_len=` does not say another, a power of two.
pub const RING_SIZE: usize = 256 << 10;

const fn data_words(size: usize) -> usize {
    size / size_of::<u64>()
}

/// One word of index for eight of data, as the ring's docs advise.
const fn index_words(size: usize) -> usize {
    data_words(size) / 8
}

// linker.ld puts these where neither a loader nor a reset clears them, for `Ring::recover`.
#[unsafe(link_section = ".persistent")]
static HEADER: RingHeader = RingHeader::new();
#[unsafe(link_section = ".persistent")]
static INDEX: [AtomicU64; index_words(RING_SIZE)] = [const { AtomicU64::new(0) }; _];
#[unsafe(link_section = ".persistent")]
static DATA: [AtomicU64; data_words(RING_SIZE)] = [const { AtomicU64::new(0) }; _];

static STATIC_RING: Ring<'static> = Ring::new(&HEADER, &INDEX, &DATA);

/// The ring that `log_buf_len=` asked for; null while [`STATIC_RING`] is in use.
static CHOSEN_RING: AtomicPtr<Ring<'static>> = AtomicPtr::new(core::ptr::null_mut());
static mut LARGE_RING: MaybeUninit<Ring<'static>> = MaybeUninit::uninit();

/// The log ring, usable from the first instruction on. Panic-safe.
#[inline]
pub fn ring() -> &'static Ring<'static> {
    let chosen = CHOSEN_RING.load(Ordering::Acquire);
    // SAFETY: it is null or points to LARGE_RING, which was complete before and does not change.
    unsafe { chosen.as_ref() }.unwrap_or(&STATIC_RING)
}

/// This machine, for its logger.
struct ThisMachine;

impl Machine for ThisMachine {
    fn ring() -> &'static Ring<'static> {
        ring()
    }

    fn ticks() -> u64 {
        clock::ticks()
    }
}

static LOGGER: Logger<ThisMachine> = Logger::new();

/// Chooses the log's ring, of `size` bytes, finds what the boot before left in it, and has
/// `log::info!` and its kin write to it from here on. `start` is the boot's first tick. To be called
/// once. `None` where there is no room for a ring of that size: then it has [`RING_SIZE`].
pub fn start_log(size: usize, map: &MemoryMap, start: u64) -> (Recovery, Option<usize>) {
    let chosen = if size == RING_SIZE { Some(RING_SIZE) } else { large_ring(size, map) };
    let recovery = ring().recover(start, KEYS.audience());
    // It fails where a logger was set before, which only this function does.
    let _ = log::set_logger(&LOGGER);
    log::set_max_level(log::LevelFilter::Trace);
    (recovery, chosen)
}

/// Lays a ring of `size` bytes of data at the end of the highest usable memory below 4 GiB that has
/// room: the next boot with the same memory and parameter finds it there again.
fn large_ring(size: usize, map: &MemoryMap) -> Option<usize> {
    let words = data_words(size) + index_words(size);
    let length = (size_of::<RingHeader>() + words * size_of::<u64>()).next_multiple_of(4096) as u64;
    let lowest = paging::persistent_end();
    let address = map.regions().iter().filter_map(|region| {
        let end = region.end().min(paging::MAPPED_AT_BOOT) & !0xfff;
        let start = end.checked_sub(length)?;
        (start >= region.start.max(lowest)).then_some(start)
    });
    let address = address.max()? as usize;
    // SAFETY: the loader says that this memory is usable; it lies above the image, is mapped and
    // page-aligned, and nothing else takes memory from the map. Any content is valid for the atomics
    // that a ring consists of.
    unsafe {
        let header = &*core::ptr::with_exposed_provenance::<RingHeader>(address);
        let words_at = address + size_of::<RingHeader>();
        let words =
            core::slice::from_raw_parts(core::ptr::with_exposed_provenance::<AtomicU64>(words_at), words);
        let (index, data) = words.split_at(index_words(size));
        let ring: *mut MaybeUninit<Ring<'static>> = &raw mut LARGE_RING;
        (*ring).write(Ring::new(header, index, data));
        CHOSEN_RING.store(ring.cast(), Ordering::Release);
    }
    Some(size)
}

static mut CARD_MEMORY: [CardMemory; MAX_NICS] = [const { CardMemory::new() }; MAX_NICS];
static mut PANIC_MEMORY: [PanicMemory; MAX_NICS] = [const { PanicMemory::new() }; MAX_NICS];

/// The queues and buffers of all cards. To be called once.
pub fn cards() -> core::slice::IterMut<'static, CardMemory> {
    // SAFETY: called once, by the boot; nothing else names the static, so the reference is exclusive.
    unsafe { (&raw mut CARD_MEMORY).as_mut_unchecked() }.iter_mut()
}

static mut USER_DATA: UserData = UserData::new();

/// The pool of the targets' items. To be called once.
pub fn user_data() -> &'static mut UserData {
    // SAFETY: called once, by the boot; nothing else names the static, so the reference is exclusive.
    unsafe { (&raw mut USER_DATA).as_mut_unchecked() }
}

/// What the messages to the target `number` end with, where that is undamaged. Panic-safe; for the panic path alone.
pub fn panic_user_data(number: usize) -> &'static [u8] {
    // SAFETY: the only caller is the panic path: what it interrupted, and with it the pool's one borrower, never
    // runs again. Any content is valid for the type.
    unsafe { (&raw const USER_DATA).as_ref_unchecked() }.whole_lines(number)
}

static mut VLANS: [VlanMemory; MAX_VLANS] = [const { VlanMemory::new() }; MAX_VLANS];

/// The memory of the VLANs' interfaces. To be called once.
pub fn vlans() -> core::slice::IterMut<'static, VlanMemory> {
    // SAFETY: called once, by the boot; nothing else names the static, so the reference is exclusive.
    unsafe { (&raw mut VLANS).as_mut_unchecked() }.iter_mut()
}

static mut KERNEL: MaybeUninit<Kernel> = MaybeUninit::uninit();

/// The kernel where it lies while it runs: it is larger than a stack should carry. To be called once.
// A function of its own, so that what is built on the stack before it lies there is gone afterwards.
#[inline(never)]
pub fn kernel(
    clock: Clock,
    parameters: &'static Parameters,
    consoles: &'static mut Consoles,
) -> &'static mut Kernel {
    // SAFETY: called once, by the boot; nothing else names the static, so the reference is exclusive.
    unsafe { (&raw mut KERNEL).as_mut_unchecked() }.write(Kernel::new(clock, parameters, consoles))
}

static mut CONSOLES: MaybeUninit<Consoles> = MaybeUninit::uninit();

/// The consoles, with nothing typed yet. To be called once.
#[inline(never)]
pub fn consoles(input: bool) -> &'static mut Consoles {
    // SAFETY: called once, by the boot; nothing else names the static, so the reference is exclusive.
    unsafe { (&raw mut CONSOLES).as_mut_unchecked() }.write(Consoles::new(input))
}

/// Overwrites the queues and buffers of all cards, for provoking that crash.
pub fn overwrite_cards(pattern: u8) {
    // SAFETY: the bytes lie in the static, and the drivers that borrow it don't run again: the caller
    // panics at once.
    unsafe { (&raw mut CARD_MEMORY).write_bytes(pattern, 1) }
}

/// The queues and buffers that only the panic path uses. Panic-safe; each start of the panic path
/// calls it once, and none comes back to an earlier one.
pub fn panic_cards() -> core::slice::IterMut<'static, PanicMemory> {
    // SAFETY: the only caller is the panic path, which has left every earlier borrower for good.
    unsafe { (&raw mut PANIC_MEMORY).as_mut_unchecked() }.iter_mut()
}

static mut PANIC_DRIVERS: MaybeUninit<[Option<PanicCard>; MAX_NICS]> = MaybeUninit::uninit();
static mut PANIC_LEGS: [[Leg; MAX_TARGETS]; MAX_NICS] = [const { [const { Leg::NONE }; _] }; _];

/// How far the panic path has come with each target, by each card. Panic-safe; to be called as [`panic_cards`] is.
pub fn panic_legs() -> &'static mut [[Leg; MAX_TARGETS]; MAX_NICS] {
    // SAFETY: the only caller is the panic path, which has left every earlier borrower for good.
    unsafe { (&raw mut PANIC_LEGS).as_mut_unchecked() }
}

/// Room for the panic path's drivers, which its stack has none for; empty. Panic-safe; to be called as
/// [`panic_cards`] is.
pub fn panic_drivers() -> &'static mut [Option<PanicCard>; MAX_NICS] {
    // SAFETY: the only caller is the panic path, which has left every earlier borrower for good.
    unsafe { (&raw mut PANIC_DRIVERS).as_mut_unchecked() }.write([const { None }; MAX_NICS])
}

/// The key that the log is sealed with, if any.
pub static KEYS: KeyStore = KeyStore::new();
static mut PANIC_CONVERSATIONS: [Ncrx; MAX_TARGETS] = [const { Ncrx::new() }; MAX_TARGETS];

/// The panic path's conversations with the targets' receivers. Panic-safe; to be called as
/// [`panic_cards`] is.
pub fn panic_conversations() -> &'static mut [Ncrx; MAX_TARGETS] {
    // SAFETY: the only caller is the panic path, which has left every earlier borrower for good.
    unsafe { (&raw mut PANIC_CONVERSATIONS).as_mut_unchecked() }
}

/// What the panic path knows of the targets.
pub static SNAPSHOT: Snapshot = Snapshot::new();
/// 1 where the log is meant for anybody; without a target the panic path sends it to nobody, whatever is damaged.
pub static HAS_TARGETS: Checked = Checked::new();
/// Up to where each target's card has taken the log.
pub static POSITIONS: [Checked; MAX_TARGETS] = [const { Checked::new() }; MAX_TARGETS];
/// Where the network cards that are not on the PCI bus may be, physical addresses; 0 is no place.
pub static MMIO_CARDS: [Checked; MmioDevices::MAX] = [const { Checked::new() }; MmioDevices::MAX];
/// The PCI function whose BARs are being sized.
pub static SIZING: Sizing = Sizing::new();
/// Up to where serial has shown the log.
pub static SERIAL_POSITION: Checked = Checked::new();

/// Has the panic path look for a network card there, which is not on the PCI bus. Others beyond the first
/// eight places it does not find.
pub fn remember_mmio_card(address: u64) {
    let is_free = |place: &&Checked| place.get().is_none_or(|known| known == 0 || known == address);
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
