//! The back end of the `log` facade.

use super::Ring;
use ::log::{Log, Metadata, Record};

/// Brings what is logged by `log::info!` and its kin into a ring, with the time stamp counter.
///
/// Every level is recorded: what a target is sent is decided when it is sent.
pub struct Logger {
    ring: fn() -> &'static Ring<'static>,
    ticks: fn() -> u64,
}

impl Logger {
    /// A logger that asks for the ring and the time at every record. Both functions are called in every
    /// context that logs, panic and NMI included.
    pub const fn new(ring: fn() -> &'static Ring<'static>, ticks: fn() -> u64) -> Self {
        Self { ring, ticks }
    }
}

impl Log for Logger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        (self.ring)().append(record.level().into(), record.target(), (self.ticks)(), *record.args());
    }

    fn flush(&self) {}
}
