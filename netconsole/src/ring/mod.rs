//! Levels, records, the lock-free ring, and the back end of the `log` facade.
//!
//! The ring is memory that any context writes to without waiting: normal running, exceptions, NMIs, other
//! CPUs, the panic path. It needs no start, and it survives a reset where the memory does.
//!
//! It knows nothing of `format`, `wire`, `nic`, `stack`, `settings` and `targets`: a log needs no network.

#![forbid(unsafe_code)]

mod audience;
mod copy;
mod layout;
mod level;
mod log_ring;
mod logger;
#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(not(loom))]
mod memory;
mod past;
mod published;
mod read;
mod record;
mod recovery;
mod sync;
#[cfg(all(test, not(loom)))]
mod tests;
mod timebase;
mod writer;

pub use audience::{Audience, KeyId};
pub(crate) use copy::Found;
pub use level::Level;
pub use log_ring::{Ring, RingHeader, WriteBack};
pub use logger::{Logger, Machine};
#[cfg(not(loom))]
pub use memory::RingMemory;
pub use past::{Past, PastRecord};
pub use published::PublishedTimebase;
pub use read::Read;
pub use record::{Module, Record};
pub use recovery::Recovery;
pub use timebase::Timebase;

/// What to log with, `log::info!(target: ALWAYS, …)`, where every netconsole target is to have the record, whatever
/// its level and whatever else is held back: a receiver that hears nothing at all would take that for a healthy machine.
pub const ALWAYS: &str = "netconsole::always";
