//! How a record becomes the payloads of UDP datagrams: basic, extended and syslog.
//!
//! A [`Cursor`] walks over a [`Log`], of which the ring is one, and writes each datagram straight from there into the card's
//! buffer. What does not fit goes into further datagrams, and the cursor knows where to go on. Nothing here allocates or
//! panics, so the panic path writes what normal running writes.
//!
//! It knows nothing of `stack`, `seal`, `ncrx` and `targets`.

mod basic;
#[cfg(feature = "stack")]
mod burst;
mod calendar;
mod cursor;
mod datagram;
mod escape;
mod extended;
mod lines;
mod log;
mod output;
mod style;
mod syslog;
mod threshold;

#[cfg(feature = "stack")]
pub(crate) use burst::Burst;
pub use cursor::{Cursor, Datagram, Next, Unfinished};
pub use datagram::write_text;
pub(crate) use lines::Lines;
pub use lines::RecentLines;
pub use log::{Log, LogRecord, RingLog};
pub use output::MAX_DATAGRAM;
pub use style::{SharedStyle, Style, SystemData};
pub use threshold::Threshold;

#[cfg(all(test, not(loom)))]
mod tests;
