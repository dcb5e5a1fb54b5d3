//! The back end of the `log` facade.

use super::Ring;
use ::log::{Log, Metadata, Record};
use core::marker::PhantomData;

/// What a logger asks for at every record. Both are called in every context that logs, panic and NMI included.
pub trait Machine {
    /// The ring that records go to.
    fn ring() -> &'static Ring<'static>;
    /// The time stamp counter.
    fn ticks() -> u64;
}

/// Brings what is logged by `log::info!` and its kin into a machine's ring, with the time stamp counter.
///
/// Every level is recorded: what a target is sent is decided when it is sent.
pub struct Logger<M>(PhantomData<fn() -> M>);

impl<M: Machine> Logger<M> {
    /// The machine's logger.
    #[expect(clippy::new_without_default, reason = "it is for statics")]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<M: Machine> Log for Logger<M> {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        M::ring().append(record.level().into(), record.target(), M::ticks(), *record.args());
    }

    fn flush(&self) {}
}
