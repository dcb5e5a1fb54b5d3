//! What lies between the cards and memory, made ready before the log's ring and the cards need it: how PCI is reached, its
//! root buses, and what the firmware or a kernel before this one left running.

use crate::describe;
use crate::log::{RING_SIZE, last_place};
use crate::machine::access::ACCESS;
use crate::machine::clock;
use crate::machine::firmware;
use crate::machine::iommu::{kind, one_that_is_on};
use crate::machine::paging::{self, AddressSpace};
use crate::machine::pci::{ConfigurationSpace, Mechanism, root_buses, set_root_buses};
use crate::machine::physical::Physical;
use bootinfo::BootInfo;
use bootinfo::firmware::acpi::{Root, Table};
use bootinfo::firmware::iommu::{Iommu, iommus};
use bootinfo::firmware::pci::{HostBridges, MAX_WINDOWS, Segment, host_bridges, segments};
use bootinfo::parameters::Parameters;
use core::ops::RangeInclusive;
use netconsole::nic::iommu::{self, Found, Stuck, Unit};
use netconsole::nic::pci::{
    DeviceFunction, PciDevice, RootBuses, Space, Stopped, is_unnumbered, is_unplaced, number, place,
    search_roots, stop_bus_masters,
};
use netconsole::nic::{BusAddress, Waits};

/// How many IOMMUs the log names. A machine of eight sockets may have more: they are turned off all the same.
const MAX_NAMED: usize = 16;

/// How many ranges of buses are remembered.
const MAX_SEGMENTS: usize = 8;

/// How an IOMMU is waited for.
const WAITS: Waits = Waits::new(clock::micros);

/// What was done, for the log, which comes later.
pub struct Buses {
    mechanism: Mechanism,
    /// How many devices lost their right to reach memory and to interrupt; `None` where that was not necessary.
    stopped: Option<Stopped>,
    iommus: [Option<(Iommu, Result<Found, Stuck>)>; MAX_NAMED],
    /// One that is on, and stays so for the firmware.
    left_on: Option<Iommu>,
    iommu_count: usize,
    /// Addresses that bus 0's bridge has for devices, and configuration space may be among them.
    windows: [Option<(u64, u64)>; MAX_WINDOWS],
    /// What the MCFG names: where configuration space lies, and buses of segment groups in which no card is looked for.
    segments: [Option<Segment>; MAX_SEGMENTS],
}

/// Makes the buses ready, in this order:
/// 1. how configuration space is reached, and the root buses;
/// 2. where memory is read or taken that may be somebody's, or an IOMMU is on, which kept devices from what is not
///    theirs: no device reaches memory any more, but by a driver that is started later;
/// 3. the IOMMUs are turned off.
pub fn prepare(boot: &BootInfo, parameters: &Parameters, address_space: &mut AddressSpace) -> Buses {
    let memory = Physical::now();
    let acpi = describe::root(boot, &memory);
    let mut map = |address, length| address_space.map_device(address, length).is_ok();

    let bridges = acpi.map(|root| Bridges::look(boot, root, &memory)).unwrap_or_default();
    let mcfg = acpi.and_then(|root| root.table(&memory, b"MCFG"));
    // A microvm of QEMU has no MCFG.
    let first =
        bridges.found.configuration.map(|address| Segment { address, group: 0, first: 0, last: u8::MAX });
    let mechanism = Mechanism::choose(mcfg.iter().flat_map(segments).chain(first), &mut map);
    if mechanism != Mechanism::None {
        set_root_buses(bridges.roots(mechanism));
    }

    let mut buses = Buses {
        mechanism,
        stopped: None,
        iommus: [None; MAX_NAMED],
        left_on: None,
        iommu_count: 0,
        windows: bridges.found.windows,
        segments: [None; MAX_SEGMENTS],
    };
    for (place, segment) in buses.segments.iter_mut().zip(mcfg.iter().flat_map(segments).chain(first)) {
        *place = Some(segment);
    }
    if firmware::stays() {
        // Bus masters and IOMMUs are as the firmware needs them.
        buses.left_on = acpi.and_then(|root| one_that_is_on(root, &memory, &ACCESS.addresses, &mut map));
        return buses;
    }
    if uses_others_memory(boot, parameters) {
        buses.stop_bus_masters();
    }
    let tables = acpi.iter().flat_map(|root| root.tables(&memory)).flatten();
    for iommu in tables.flat_map(|table| iommus(&table)) {
        let result = buses.turn_off(iommu, &mut map);
        if let Some(named) = buses.iommus.get_mut(buses.iommu_count) {
            *named = Some((iommu, result));
        }
        buses.iommu_count = buses.iommu_count.saturating_add(1);
    }
    buses
}

/// Whether memory outside of the image is read as a dead kernel left it, or taken, which a device may still write to. The cards'
/// rooms always are. What a BIOS calls usable its own devices do not write to; of UEFI's drivers, the memory is free once their
/// services have ended.
fn uses_others_memory(boot: &BootInfo, parameters: &Parameters) -> bool {
    let last = last_place(&boot.memory);
    parameters.settings.ships_another_log
        || parameters.log_buf_len != RING_SIZE
        || boot.uefi.is_some()
        || paging::image_start() >= paging::MAPPED_AT_BOOT
        || (!last.is_empty() && !paging::is_own(last.start))
}

/// What ACPI says of the host bridges.
struct Bridges {
    found: HostBridges,
    numbers: RootBuses,
}

impl Default for Bridges {
    fn default() -> Self {
        Self { found: HostBridges::default(), numbers: RootBuses::FIRST }
    }
}

impl Bridges {
    fn look(boot: &BootInfo, root: Root, memory: &Physical) -> Self {
        let mut bridges = Self::default();
        let Self { found, numbers } = &mut bridges;
        let mut look = |table: Table<'_>| {
            let more = host_bridges(&table, |bus| numbers.add(bus));
            found.count = found.count.saturating_add(more.count);
            found.numbered = found.numbered.saturating_add(more.numbered);
            found.configuration = found.configuration.or(more.configuration);
            more.windows.into_iter().flatten().for_each(|window| found.add_window(window));
        };
        describe::dsdt(boot, memory).into_iter().for_each(&mut look);
        root.tables(memory).flatten().filter(|table| table.signature.0 == *b"SSDT").for_each(&mut look);
        bridges
    }

    /// The root buses that have a number, and where more than bus 0's bridge has none that is written down, those that
    /// are found.
    fn roots(&self, mechanism: Mechanism) -> RootBuses {
        let HostBridges { count, numbered, .. } = self.found;
        if count.saturating_sub(numbered) > 1 {
            search_roots(&ConfigurationSpace, self.numbers, mechanism.last_bus())
        } else {
            self.numbers
        }
    }
}

impl Buses {
    fn stop_bus_masters(&mut self) {
        if self.stopped.is_none() {
            self.stopped = Some(stop_bus_masters(&mut ConfigurationSpace, root_buses()));
        }
    }

    /// Turns an IOMMU off if it is on, devices first.
    fn turn_off(&mut self, iommu: Iommu, map: &mut impl FnMut(u64, u64) -> bool) -> Result<Found, Stuck> {
        match iommu {
            Iommu::IntelVtd(_) | Iommu::AmdVi(_) => {}
            Iommu::VirtioPci(place) => {
                let Some(BusAddress::Pci(function)) = BusAddress::from_word(place.into()) else {
                    return Err(Stuck::Absent);
                };
                self.stop_bus_masters();
                let device = PciDevice::read(&mut ConfigurationSpace, function).ok_or(Stuck::Absent)?;
                if !iommu::is_virtio_iommu((device.vendor_id, device.device_id))
                    || !device.memory_ranges().all(|(address, length)| map(address, length))
                {
                    return Err(Stuck::Absent);
                }
                return iommu::bypass_pci(&mut ConfigurationSpace, &ACCESS, WAITS, &device);
            }
            Iommu::VirtioMmio(address) => {
                self.stop_bus_masters();
                return iommu::bypass_mmio(address, &ACCESS.addresses, WAITS);
            }
        }
        let (kind, address) =
            kind(iommu).filter(|&(kind, address)| map(address, kind.length())).ok_or(Stuck::Absent)?;
        let mut unit = Unit::at(kind, address, &ACCESS.addresses)?;
        if unit.is_on() {
            self.stop_bus_masters();
        }
        unit.turn_off(WAITS)
    }

    /// Says of the card at `function`, which a driver here has, that an IOMMU may cut it off, where one is on.
    pub fn tell_of_iommu(&self, function: DeviceFunction) {
        if self.left_on.is_some() {
            log::error!(
                "pci {function}: an IOMMU is on, and the firmware does not drive this card: it may not reach memory"
            );
        }
    }

    /// Whether nothing says where devices are.
    pub fn are_unknown(&self, boot: &BootInfo) -> bool {
        self.mechanism == Mechanism::None && describe::root(boot, &Physical::now()).is_none()
    }

    /// Gives a card's registers an address where they have none and one is certainly free, else says why not.
    pub fn place(&self, function: DeviceFunction, boot: &BootInfo) {
        let mut config = ConfigurationSpace;
        if !is_unplaced(&config, function) {
            return;
        }
        // What a root bridge has for devices, says ACPI, may include memory and configuration space, 1 MiB a bus.
        let bus = |segment: &Segment, bus: u64| segment.address.saturating_add(bus << 20);
        let segments = || {
            let segments = self.segments.iter().flatten();
            segments.map(|it| (bus(it, it.first.into()), bus(it, u64::from(it.last) + 1)))
        };
        let first_of = |all: &mut dyn Iterator<Item = (u64, u64)>, range: &RangeInclusive<u64>| {
            let touches = |&(start, end): &(u64, u64)| start <= *range.end() && end > *range.start();
            all.filter(touches).map(|(start, _)| start).next()
        };
        let taken = |range: &RangeInclusive<u64>| {
            let memory = boot.memory.regions().iter().map(|region| (region.start, region.end()));
            first_of(&mut memory.chain(segments()), range)
        };
        // The windows are the first bridge's, which is bus 0's.
        let window = |root: u8| {
            let mut windows = self.windows.iter().flatten().map(|&(first, last)| first..=last);
            windows.find(|window| root == 0 && first_of(&mut segments(), window).is_none())
        };
        let space = Space { roots: root_buses(), window: &window, taken: &taken };
        match place(&mut config, &space, function) {
            Ok(()) => {
                log::info!("pci {function}: the firmware gave its registers no address, they have one now")
            }
            Err(reason) => {
                log::error!("pci {function}: the firmware gave its registers no address, and {reason}")
            }
        }
    }

    /// Gives the buses behind a bridge numbers where they have none and some are certainly free, else says why not.
    pub fn number(&self, bridge: DeviceFunction) {
        let mut config = ConfigurationSpace;
        if !is_unnumbered(&config, bridge) {
            return;
        }
        match number(&mut config, root_buses(), bridge, self.mechanism.last_bus()) {
            Ok(buses) => log::info!(
                "pci {bridge}: the firmware gave the buses behind this bridge no numbers, they are {:02x} to {:02x} now",
                buses.start(),
                buses.end()
            ),
            Err(reason) => log::error!(
                "pci {bridge}: the firmware gave the bus behind this bridge no number, and {reason}: no card is found there"
            ),
        }
    }

    /// Logs what was found and done.
    pub fn tell(&self) {
        match self.mechanism {
            Mechanism::Ports => {}
            Mechanism::Memory(address, first, last) | Mechanism::Both(address, first, last) => {
                log::info!(
                    "pci: configuration space is in memory at {address:#x}, buses {first:02x} to {last:02x}"
                );
            }
            Mechanism::None => log::info!("pci: none here: neither ports 0xcf8 and 0xcfc nor ACPI's MCFG"),
        }
        let others = self.segments.iter().flatten().filter(|segment| segment.group != 0);
        for Segment { address, group, first, last } in others {
            log::warn!(
                "pci: segment group {group}, at {address:#x}, buses {first:02x} to {last:02x}: cards are not looked for there"
            );
        }
        if root_buses() != RootBuses::FIRST {
            log::info!("pci: root buses {}", root_buses());
        }
        let Stopped { bus_masters, messages } = self.stopped.unwrap_or_default();
        let plural = |count| if count == 1 { "" } else { "s" };
        if bus_masters > 0 {
            log::info!(
                "pci: {bus_masters} device{} could reach memory, and can't any more",
                plural(bus_masters)
            );
        }
        if messages > 0 {
            log::info!(
                "pci: {messages} device{} interrupted by messages (MSI), and can't any more",
                plural(messages)
            );
        }
        for (iommu, result) in self.iommus.iter().flatten() {
            match result {
                Ok(Found::Off) => log::debug!("iommu: {iommu} lets all devices through"),
                Ok(Found::TurnedOff) => log::info!("iommu: {iommu} was left on, and is off now"),
                Err(stuck) => log::error!("iommu: {iommu}: {stuck}: the cards may not reach memory"),
            }
        }
        if let Some(iommu) = self.left_on {
            log::warn!(
                "iommu: {iommu} is on, and stays so, as the firmware goes on: it lets through what the firmware drives"
            );
        }
        if let Some(more @ 1..) = self.iommu_count.checked_sub(MAX_NAMED) {
            log::info!("iommu: {more} more, not named here");
        }
    }
}
