//! This kernel, as the library sees it.

use crate::log::ring;
use crate::machine::access::ACCESS;
use crate::machine::build;
use crate::machine::clock;
use crate::machine::firmware;
use crate::machine::pci::{self, ConfigurationSpace};
use crate::machine::timer;
use crate::machine::trap::{self, Place};
use crate::memory;
use crate::{describe, start};
use bootinfo::parameters::CrashKind;
use core::fmt;
use netconsole::guarded::Word;
use netconsole::memory::{CardRoom, Memory};
use netconsole::nic::pci::{DeviceFunction, RootBuses};
use netconsole::nic::{Access, BusAddress, FirmwareCard};
use netconsole::platform::{Platform, Probe};
use netconsole::ring::Ring;
use netconsole::targets::path_name::Labels;

/// This kernel.
pub struct ThisKernel;

/// What tells this machine from others.
static IDENTITY: Word = Word::new(0);

/// Takes what tells this machine from others, before the first card is looked for.
pub fn identify(identity: u64) {
    IDENTITY.set(identity);
}

// SAFETY: there is one memory in use, which no other platform has. The log's ring is chosen before anything uses it.
// ConfigurationSpace is what the host bridge, or ACPI, gives.
unsafe impl Platform for ThisKernel {
    type Pci = ConfigurationSpace;

    #[inline]
    fn ticks() -> u64 {
        clock::ticks()
    }

    #[inline]
    fn memory() -> &'static Memory {
        memory::memory()
    }

    fn card_room(number: usize) -> Option<&'static CardRoom> {
        memory::card_room(number)
    }

    #[inline]
    fn ring() -> &'static Ring<'static> {
        ring()
    }

    fn meanwhile() {
        timer::let_firmware_tick();
    }

    fn release() -> &'static str {
        build::RELEASE
    }

    fn pci() -> ConfigurationSpace {
        ConfigurationSpace
    }

    fn root_buses() -> RootBuses {
        pci::root_buses()
    }

    fn access() -> Access {
        Access { identity: IDENTITY.get().unwrap_or(0), ..ACCESS }
    }

    fn firmware_card(function: DeviceFunction) -> Option<&'static dyn FirmwareCard> {
        if firmware::stays() { firmware::network::find(function) } else { None }
    }

    fn take_from_firmware(function: DeviceFunction) {
        firmware::network::release(function);
    }

    fn labels(place: BusAddress) -> Labels {
        start::boot_info().map_or_else(Labels::default, |boot| describe::labels(boot, place))
    }

    fn command_line() -> &'static dyn fmt::Display {
        start::command_line()
    }

    fn show_build_id(out: &mut dyn fmt::Write) -> fmt::Result {
        out.write_str(build::id().as_str())
    }

    fn crashes() -> &'static [&'static str] {
        CrashKind::NAMES
    }

    #[inline(always)]
    fn probe(place: Probe) {
        match place {
            Probe::Transmit => trap::probe(Place::Transmit),
            Probe::Receive => trap::probe(Place::Receive),
            Probe::Smoltcp => trap::probe(Place::Smoltcp),
            Probe::Console => trap::probe(Place::Console),
            Probe::Card => trap::await_sizing(),
            Probe::PanicCard => trap::probe(Place::PanicCard),
        }
    }
}
