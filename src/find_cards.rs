//! Finding the network cards, and bringing each up.

use crate::card::Card;
use crate::consoles::Consoles;
use crate::machine::access::ACCESS;
use crate::machine::clock::Clock;
use crate::machine::paging::AddressSpace;
use crate::machine::pci::ConfigurationPorts;
use crate::machine::trap;
use crate::{describe, memory};
use bootinfo::BootInfo;
use bootinfo::parameters::Parameters;
use core::fmt::Display;
use core::slice::IterMut;
use netconsole::nic::pci::{self, PciDevice};
use netconsole::nic::virtio::MmioTransport;
use netconsole::nic::{BusAddress, CardMemory, Model, NetworkCard, NicError};
use netconsole::plan::MAX_NICS;
use netconsole::settings::{DeviceName, DeviceSelector};
use netconsole::targets::path_name::PathName;

/// Brings up the network cards: those on the PCI buses, those of `virtio_mmio.device=`, and
/// where there are none of these, what ACPI says is virtio over MMIO.
pub fn find_cards(
    cards: &mut [Option<Card>; MAX_NICS],
    clock: &mut Clock,
    consoles: &mut Consoles,
    parameters: &'static Parameters,
    boot: &BootInfo,
    address_space: AddressSpace,
) {
    let mut bays = Bays {
        cards: cards.iter_mut(),
        memory: memory::CARD_MEMORY.take().map(|memory| memory.iter_mut()).unwrap_or_default(),
        taken: 0,
        clock,
        parameters,
    };
    on_pci(&mut bays, consoles, address_space);
    for address in parameters.virtio_mmio.as_slice() {
        at(&mut bays, *address);
    }
    if bays.taken == 0 {
        describe::virtio_mmio(boot, |address| at(&mut bays, address));
    }
    if cards.iter().all(Option::is_none) {
        log::error!("netconsole: no network card found");
    }
    stand_in(cards, parameters, boot, clock.now());
    cards.iter().flatten().for_each(Card::tell_of_waiting);
}

/// Where `ip=` is for a device that has another name here, that card has what it says; where it is for one that is not
/// here, the likely one or the first.
fn stand_in(
    cards: &mut [Option<Card>; MAX_NICS],
    parameters: &'static Parameters,
    boot: &BootInfo,
    now: u64,
) {
    let Some(device) = parameters.ip.device else { return };
    let base = DeviceSelector::Name(device).vlan().map_or(device, |(base, _)| base);
    if cards.iter().flatten().any(|card| card.name == base) {
        return;
    }
    let path = PathName::parse(base.as_str());
    let is_meant =
        |path: PathName, card: &Card| path.is(card.place, card.mac(), describe::labels(boot, card.place));
    let find = |is_it: &dyn Fn(PathName, &Card) -> bool| {
        cards.iter().position(|card| path.zip(card.as_ref()).is_some_and(|(path, card)| is_it(path, card)))
    };
    let meant = find(&is_meant);
    let likely = || find(&|path, card| path.is_likely(card.place));
    let chosen = meant.or_else(likely).or_else(|| cards.iter().position(Option::is_some));
    let Some(card) = chosen.and_then(|place| cards.get_mut(place)).and_then(Option::as_mut) else { return };
    match meant {
        Some(_) => log::info!("ip: {device} is {}", card.name),
        None => log::warn!("ip: {device} doesn't exist: using {}", card.name),
    }
    card.stand_in(parameters, now);
}

/// What each card takes one of.
struct Bays<'k> {
    cards: IterMut<'k, Option<Card>>,
    memory: IterMut<'static, CardMemory>,
    taken: u8,
    clock: &'k mut Clock,
    parameters: &'static Parameters,
}

impl Bays<'_> {
    /// Brings up the card at `place` by `probe`; false where that does not do.
    fn take_in(
        &mut self,
        place: BusAddress,
        model: impl Display,
        probe: impl FnOnce(&'static mut CardMemory) -> Result<NetworkCard, NicError>,
    ) -> bool {
        let (Some(card), Some(memory)) = (self.cards.next(), self.memory.next()) else {
            log::warn!("{place}: more than {MAX_NICS} network cards, not used");
            return false;
        };
        let Some(name) = DeviceName::ethernet(self.taken) else { return false };
        self.taken = self.taken.saturating_add(1);
        log::info!("{name}: {model} at {place}");
        match probe(memory) {
            Ok(nic) => {
                *card = Some(Card::new(name, place, nic, self.parameters, self.clock.now()));
                true
            }
            Err(error) => {
                log::error!("{name}: {place}: can't be brought up: {error}");
                false
            }
        }
    }

    /// Brings up the card `device`, if it is one; false where that does not do.
    fn take_in_pci(
        &mut self,
        device: &PciDevice,
        model: Option<Model>,
        address_space: &mut AddressSpace,
    ) -> bool {
        let function = device.function;
        let Some(model) = model else {
            if device.class.is_network() {
                log::warn!("pci {function}: there is no driver for this network card");
            }
            return false;
        };
        for (address, length) in device.memory_ranges() {
            if let Err(error) = address_space.map_device(address, length) {
                log::error!("{function}: can't map its registers at {address:#x}: {error}");
                return false;
            }
        }
        let probe = |memory| NetworkCard::probe(&mut ConfigurationPorts, &ACCESS, device, model, memory);
        self.take_in(BusAddress::Pci(function), model, probe)
    }
}

fn on_pci(bays: &mut Bays<'_>, consoles: &mut Consoles, mut address_space: AddressSpace) {
    let mut ports = ConfigurationPorts;
    pci::for_each_function(&ConfigurationPorts, |function| {
        // Each look lets the clock learn how fast it is, before the first record is shown.
        bays.clock.now();
        let model = Model::of(pci::ids(&ports, function));
        if model.is_some() {
            trap::await_sizing();
        }
        let Some(device) = memory::SIZING.read(&mut ports, function) else { return };
        log::info!("pci {device}");
        consoles.found(device);
        if !bays.take_in_pci(&device, model, &mut address_space) && device.class.is_network() {
            // The firmware may have left it running, and writing what it receives to memory.
            pci::disable(&mut ports, function);
        }
    });
}

/// Brings up the card whose registers are at `address`, which is below 4 GiB, if there is one.
fn at(bays: &mut Bays<'_>, address: u64) {
    match MmioTransport::find(address, &ACCESS.addresses) {
        Ok(Some(transport)) => {
            memory::remember_mmio_card(address);
            let probe = |memory| NetworkCard::probe_mmio(transport, &ACCESS.addresses, memory);
            _ = bays.take_in(BusAddress::Mmio(address), Model::Virtio, probe);
        }
        Ok(None) => {}
        Err(error) => log::error!("{}: {error}", BusAddress::Mmio(address)),
    }
}
