//! The last words of a kernel that has no panic path of its own.

use super::load::Load;
use super::report::Report;
use super::ship::Shipment;
use crate::platform::Platform;
use crate::ring::Level;
use core::fmt;
use core::sync::atomic::Ordering;

/// How long a link that is down is waited for, in µs.
const LINK_PATIENCE: u64 = 60_000_000;

impl Report {
    /// The report that begins with the next record, the first time; afterwards the same again, by the next start.
    /// Panic-safe.
    pub fn begin<P: Platform>() -> Self {
        let memory = &P::memory().panic;
        // Counted first: if what follows fails in turn, that is another start.
        memory.starts.fetch_add(1, Ordering::Relaxed);
        let next = P::ring().end().wrapping_add(1);
        // It fails where an earlier start has kept its own.
        _ = memory.report.compare_exchange(0, next, Ordering::Relaxed, Ordering::Relaxed);
        Self::under_way::<P>()
    }

    /// What the last [`begin`](Self::begin) gave. Panic-safe.
    pub fn under_way<P: Platform>() -> Self {
        let memory = &P::memory().panic;
        Self {
            first: memory.report.load(Ordering::Relaxed).saturating_sub(1),
            start: u8::try_from(memory.starts.load(Ordering::Relaxed)).unwrap_or(u8::MAX),
        }
    }
}

/// Logs `what` happened, a `PanicInfo` say, and sends the log to all targets: what they have not got, and the report twice.
/// Returns when it has gone out, or a minute is over. As long as the machine stays, the caller may go on calling
/// [`Shipment::poll`]: it answers ARP and NDP, sends again what a receiver misses, and the log to a link that comes up.
///
/// A kernel whose panic handler can fail in turn, by an exception in a `Display`, calls this again from there: the next start
/// has numbers of its own for what it seals.
///
/// # Safety
///
/// Whoever was polling the [`Netconsole`](crate::Netconsole) of this platform, on whichever CPU, never does so again, nor does
/// an earlier call of this. Other CPUs may go on logging; what they log after the call goes out as well.
pub unsafe fn last_words<P: Platform>(what: impl fmt::Display) -> Shipment<'static, P> {
    let report = Report::begin::<P>();
    P::ring().append(
        Level::Emergency,
        "panic",
        P::ticks(),
        format_args!("Kernel panic - not syncing: {what}"),
    );
    // SAFETY: as the caller promises.
    let mut shipment = unsafe { Shipment::begin(Load::Log, report, 1) };
    while !shipment.has_ended(LINK_PATIENCE) {
        shipment.poll();
        core::hint::spin_loop();
    }
    shipment
}
