//! Everything static that is large, in one place: the log ring and the NICs' queues and buffers.
//! There is no heap.

use crate::machine::{clock, paging, stacks};
use core::sync::atomic::AtomicU64;
use netconsole::log::{Logger, Ring, RingState};
use netconsole::nic::virtio::VirtioNetMemory;

/// The log ring's size in bytes, a power of two.
pub const RING_SIZE: usize = 256 << 10;
/// How many NICs are brought up; more are named in the log and left alone.
pub const MAX_NICS: usize = 4;

static RING_STATE: RingState = RingState::new();
static RING_WORDS: [AtomicU64; RING_SIZE / size_of::<u64>()] = [const { AtomicU64::new(0) }; _];

/// The log ring, usable from the first instruction on, in every context.
pub static RING: Ring<'static> = Ring::new(&RING_STATE, &RING_WORDS);

static LOGGER: Logger<'static> = Logger::new(&RING, clock::ticks);

/// From here on `log::info!` and its kin write to [`RING`].
pub fn start_log() {
    // It fails where a logger was set before, which only this function does.
    let _ = log::set_logger(&LOGGER);
    log::set_max_level(log::LevelFilter::Trace);
}

static mut NIC_MEMORY: [VirtioNetMemory; MAX_NICS] = [const { VirtioNetMemory::new() }; MAX_NICS];

/// The queues and buffers of all NICs. To be called once.
pub fn nic_memory() -> core::slice::IterMut<'static, VirtioNetMemory> {
    // SAFETY: called once, by the boot; nothing else names the static, so the reference is exclusive.
    unsafe { &mut *&raw mut NIC_MEMORY }.iter_mut()
}

/// Logs what the memory is for, in KiB.
pub fn report() {
    let image = paging::image_size() / 1024;
    let nics = size_of::<[VirtioNetMemory; MAX_NICS]>() / 1024;
    let stacks = stacks::total_size() / 1024;
    log::info!(
        "memory: {image} KiB in all: log ring {}, queues and buffers of {MAX_NICS} NICs {nics}, stacks {stacks}",
        RING_SIZE / 1024
    );
}
