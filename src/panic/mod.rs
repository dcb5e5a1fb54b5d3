//! The last words: one path for `panic!`, every exception, NMI and stack overflow.
//!
//! It runs on stacks of its own with interrupts off and with exception entries of its own. It takes no
//! lock, allocates nothing, waits for nothing without a deadline, and trusts nothing that the
//! interrupted code may have left half-written: the log ring checks each record, the targets come from
//! a checksummed snapshot, and the network card is reset and driven through memory kept for this alone.
//!
//! When something here fails in turn, the path starts again with a shorter report; the fourth start
//! sends one fixed frame, and a fifth only ends the machine.
//!
//! Nothing here can panic (tests/panic_path.rs shows it by the machine code) but the message of a
//! `panic!`, which is formatted by whoever wrote it.

#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::todo,
    clippy::unimplemented,
    clippy::unreachable,
    clippy::unwrap_used
)]

mod cause;
mod ending;
mod entries;
pub mod line;
mod report;

pub use ending::Policy;
