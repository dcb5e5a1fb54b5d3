//! The last words: what a panic sends when nothing else works any more, on any platform.
//!
//! It takes no lock, allocates nothing, waits for nothing without a deadline, and trusts nothing that the interrupted
//! code may have left half-written: the log ring checks each record, the targets come from a checksummed snapshot, and
//! the network cards are reset and driven through memory kept for this alone. Nothing here can panic
//! (tests/panic_path.rs shows it by the kernel's machine code).
//!
//! It knows nothing of `console` and `runtime`: what these have may be half-written.

mod card;
mod conversations;
mod hear;
mod leg;
mod load;
mod marked;
pub(crate) mod memory;
mod of_panic;
mod plan;
mod report;
mod ship;
mod skip;

pub use load::Load;
pub use of_panic::last_words;
pub use report::Report;
pub use ship::{Progress, Shipment};
