//! How a record becomes the payloads of UDP datagrams: basic, extended and syslog.
//!
//! A datagram is written straight from the ring into the card's buffer. What does not fit goes into
//! further datagrams, and [`Piece::next`] says where to go on. Nothing here allocates, panics or keeps
//! state, so the panic path writes what normal running writes.
//!
//! It knows nothing of `stack`, `seal`, `ncrx` and `targets`.

mod basic;
#[cfg(feature = "stack")]
mod burst;
mod calendar;
mod datagram;
mod escape;
mod extended;
mod lines;
mod output;
mod style;
mod syslog;
mod threshold;

#[cfg(feature = "stack")]
pub(crate) use burst::Burst;
pub use datagram::{Piece, write_datagram, write_text};
pub(crate) use lines::Lines;
pub use lines::RecentLines;
pub use output::MAX_DATAGRAM;
pub use style::{Style, SystemData};
pub use threshold::Threshold;

#[cfg(all(test, not(loom)))]
mod tests;
