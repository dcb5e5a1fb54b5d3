//! The log's beginning, and records without the `log` facade.

use crate::platform::Platform;
use crate::ring::{Level, Logger, Machine, Recovery, Ring, Timebase};
use crate::seal::BootId;
use crate::settings::Settings;
use core::marker::PhantomData;

/// A platform as its logger sees it.
struct OfPlatform<P>(PhantomData<fn() -> P>);

impl<P: Platform> Machine for OfPlatform<P> {
    #[inline]
    fn ring() -> &'static Ring<'static> {
        P::ring()
    }

    #[inline]
    fn ticks() -> u64 {
        P::ticks()
    }
}

/// Begins the log: from here on what is logged by `log::info!` and its kin is in the ring. To be called once, early; the
/// settings' [`Secrecy`](crate::seal::Secrecy) is decided by it. Time 0 is now.
///
/// `ticks_per_second` is the frequency of [`Platform::ticks`] in Hz. `boot_id` is asked where there is a key, and must give
/// an id that no boot with that key ever had: random numbers. Returns what the boot before left in the ring, where its
/// memory survived.
pub fn begin_log<P: Platform>(
    settings: &Settings,
    ticks_per_second: u64,
    boot_id: impl FnOnce() -> BootId,
) -> Recovery {
    let (memory, start) = (P::memory(), P::ticks());
    memory.keys.decide(&settings.secrecy, boot_id);
    let mut timebase = Timebase::new(start);
    timebase.calibrate(start, ticks_per_second);
    memory.timebase.publish(&timebase);
    let recovery = P::ring().recover(start, memory.keys.audience());
    P::ring().set_frequency(ticks_per_second);
    set_logger::<P>();
    recovery
}

/// Has `log::info!` and its kin write to the platform's ring: a part of [`begin_log`], for kernels that choose the ring or
/// the clock in steps of their own.
pub fn set_logger<P: Platform>() {
    // It fails where a logger was set before: that one stays.
    let _ = log::set_logger(const { &Logger::<OfPlatform<P>>::new() });
    log::set_max_level(log::LevelFilter::Trace);
}

/// Appends a record without the `log` facade; `module` is who says it. From any context, panic and NMI included.
pub fn append<P: Platform>(level: Level, module: &str, text: &str) {
    P::ring().append_str(level, module, P::ticks(), text);
}
