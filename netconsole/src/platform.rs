//! What a kernel gives to the library: time, memory, and the ways to its cards.

use crate::memory::{CardRoom, Memory};
use crate::nic::pci::{ConfigurationAccess, DeviceFunction, RootBuses};
use crate::nic::{Access, BusAddress, FirmwareCard, Waits};
use crate::ring::Ring;
use crate::targets::path_name::Labels;
use core::fmt;

#[cfg(feature = "test-hooks")]
pub use crate::probe::Probe;
#[cfg(not(feature = "test-hooks"))]
pub(crate) use crate::probe::Probe;

/// The kernel around the library.
///
/// Every function may be called in any context, panic and NMI included, and from every CPU: none may panic, block or
/// take a lock.
///
/// # Safety
///
/// [`memory`](Self::memory) and [`ring`](Self::ring) give the same value at each call, so does [`card_room`](Self::card_room)
/// for a number, and another one for another; no two platforms in one kernel share a [`Memory`] or a [`CardRoom`].
/// [`pci`](Self::pci) reaches the configuration space of this machine's own PCI buses and nothing else.
pub unsafe trait Platform: Sized + 'static {
    /// How PCI configuration space is reached.
    type Pci: ConfigurationAccess;

    /// The time stamp counter: it counts up at one frequency that all CPUs share.
    fn ticks() -> u64;

    /// The library's memory.
    fn memory() -> &'static Memory;

    /// The memory of one more card: the library asks for number 0 when it takes in the first card, for 1 at the second one, and
    /// for no more than [`MAX_NICS`](crate::plan::MAX_NICS). `None` where there is none; that card is then named and not
    /// used. A panic may ask for any number, also where no card was taken in yet.
    ///
    /// Of a static `[CardRoom; MAX_NICS]` this is `CARDS.get(number)`.
    fn card_room(number: usize) -> Option<&'static CardRoom>;

    /// The log ring.
    fn ring() -> &'static Ring<'static>;

    /// PCI configuration space.
    fn pci() -> Self::Pci;

    /// The PCI buses that no bridge leads to.
    fn root_buses() -> RootBuses {
        RootBuses::FIRST
    }

    /// How drivers reach the cards' registers, and the cards the drivers' memory.
    fn access() -> Access;

    /// The card at this place, where the machine's firmware drives it for this kernel. No driver of this library touches it
    /// then.
    fn firmware_card(_function: DeviceFunction) -> Option<&'static dyn FirmwareCard> {
        None
    }

    /// The firmware is to let go of the card at this place, which it could not start: the library's own driver takes over.
    /// [`firmware_card`](Self::firmware_card) gives it no more.
    fn take_from_firmware(_function: DeviceFunction) {}

    /// Is called again and again while a driver waits on its device, which may take longer than 20 ms: for what must go on
    /// meanwhile. Called by polling alone.
    fn meanwhile() {}

    /// The kernel's release, as `+r`, `release_enabled` and `uname -r` show it: `6.12.1`. Printable ASCII without `,` and `;`,
    /// which end it in a message; of a longer one the first 64 bytes are sent.
    fn release() -> &'static str;

    /// What the firmware calls the place of a card, where the kernel knows. Called by polling alone.
    fn labels(_place: BusAddress) -> Labels {
        Labels::default()
    }

    /// The kernel's command line, keys wiped ([`wipe_keys`](crate::settings::wipe_keys)), for the console. Called by
    /// polling alone.
    fn command_line() -> &'static dyn fmt::Display {
        &""
    }

    /// Writes the kernel's build id, for the console. Called by polling alone.
    fn show_build_id(_out: &mut dyn fmt::Write) -> fmt::Result {
        Ok(())
    }

    /// The names of the crashes that the kernel can provoke; where there are none, the console has no `crash`.
    fn crashes() -> &'static [&'static str] {
        &[]
    }

    /// Is called where a crash is hardest to survive: for tests that provoke one there (feature `test-hooks`).
    #[cfg(feature = "test-hooks")]
    #[inline(always)]
    fn probe(_place: Probe) {}
}

/// The time in µs, as well as it is known. Panic-safe.
pub(crate) fn now<P: Platform>() -> u64 {
    P::memory().timebase.read().micros(P::ticks())
}

/// How drivers wait on this platform.
pub(crate) fn waits<P: Platform>() -> Waits {
    panic_waits::<P>().with(P::meanwhile)
}

/// How they wait in a panic. Panic-safe.
pub(crate) fn panic_waits<P: Platform>() -> Waits {
    Waits::new(now::<P>)
}

/// The code is at `place`.
#[cfg_attr(
    not(feature = "test-hooks"),
    expect(clippy::extra_unused_type_parameters, reason = "nobody is told without the hooks")
)]
#[inline(always)]
pub(crate) fn probe<P: Platform>(place: Probe) {
    #[cfg(feature = "test-hooks")]
    P::probe(place);
    #[cfg(not(feature = "test-hooks"))]
    let _ = place;
}
