//! Taking cards in: those that the kernel claims, and what depends on all of them.

use super::card::{Card, Moment};
use super::choose;
use super::state::State;
use crate::nic::pci::{self, PciDevice};
use crate::nic::{BusAddress, CardDriver, CardMemory, Failure, Model, is_mmio_card};
use crate::plan::MAX_NICS;
use crate::platform::{Platform, Probe, probe, waits};
use crate::settings::{DeviceName, DeviceSelector};
use crate::targets::path_name::PathName;
use core::fmt::Display;

/// The circumstances of a stack that begins now.
pub fn moment<P: Platform>(now: u64) -> Moment {
    Moment { now, seed: P::ticks(), probe: || probe::<P>(Probe::Smoltcp) }
}

impl State {
    /// Reads a PCI function and keeps it for `lspci`; `None` where there is none. A card that there is a driver for is
    /// woken, let through by the bridges above it, and its BARs are sized; what else there is stays as it is.
    pub fn look_at<P: Platform>(&mut self, function: pci::DeviceFunction) -> Option<PciDevice> {
        let mut config = P::pci();
        let mut device = PciDevice::identify(&config, function)?;
        if let Some(model) = Model::of((device.vendor_id, device.device_id)) {
            probe::<P>(Probe::Card);
            // What the firmware drives is awake, and reached through the bridges that it has opened.
            let is_ours = P::firmware_card(function).is_none();
            if is_ours && pci::wake(&mut config, function, waits::<P>()) {
                log::info!("pci {function}: it slept, and was woken");
            }
            if is_ours && let opened @ 1.. = pci::open_bridges(&mut config, P::root_buses(), function) {
                log::info!(
                    "pci {function}: bridges above it that did not let it through: {opened}, they do now"
                );
            }
            if is_ours
                && model.needs_link_awake()
                && pci::keep_link_awake(&mut config, P::root_buses(), function)
            {
                log::info!("pci {function}: its link saved power (ASPM), it does not now");
            }
            device = P::memory().sizing.size(&mut config, device);
        }
        if self.consoles.found(device) {
            log::info!("pci {device}");
        }
        Some(device)
    }

    /// Brings up a card on the PCI bus, by the firmware where that drives it and succeeds; false where that does not do.
    pub fn claim<P: Platform>(&mut self, device: &PciDevice, now: u64) -> bool {
        let function = device.function;
        let model = Model::of((device.vendor_id, device.device_id));
        if let Some(card) = P::firmware_card(function) {
            let probe = |memory| CardDriver::by_firmware(card, waits::<P>(), memory);
            let is_up =
                self.take_in::<P>(BusAddress::Pci(function), "card that the firmware drives", probe, now);
            if is_up || model.is_none() || usize::from(self.claimed) == MAX_NICS {
                return is_up;
            }
            P::take_from_firmware(function);
        }
        let Some(model) = model else {
            if device.class.is_network() {
                log::warn!("pci {function}: there is no driver for this network card");
            }
            return false;
        };
        let probe =
            |memory| CardDriver::probe(&mut P::pci(), &P::access(), waits::<P>(), device, model, memory);
        self.take_in::<P>(BusAddress::Pci(function), model, probe, now)
    }

    /// Brings up the virtio card whose registers are at the physical `address`; false where there is none.
    pub fn claim_mmio<P: Platform>(&mut self, address: u64, now: u64) -> bool {
        let access = P::access();
        match is_mmio_card(address, &access.addresses) {
            Ok(true) => {
                P::memory().remember_mmio_card(address);
                let probe = |memory| CardDriver::probe_mmio(address, &access, waits::<P>(), memory);
                self.take_in::<P>(BusAddress::Mmio(address), "virtio network card", probe, now)
            }
            Ok(false) => false,
            Err(error) => {
                log::error!("{}: {error}", BusAddress::Mmio(address));
                false
            }
        }
    }

    /// Brings up the card at `place` by `probe`; false where that does not do.
    fn take_in<P: Platform>(
        &mut self,
        place: BusAddress,
        model: impl Display,
        probe: impl FnOnce(&'static mut CardMemory) -> Result<CardDriver, Failure>,
        now: u64,
    ) -> bool {
        let Some(card) = self.cards.get_mut(usize::from(self.claimed)) else {
            log::warn!("{place}: more than {MAX_NICS} network cards, not used");
            return false;
        };
        let take_room = || {
            let memory = P::card_room(self.rooms.into())?.normal.take();
            self.rooms = self.rooms.saturating_add(1);
            memory
        };
        let Some(memory) = self.spare_memory.take().or_else(take_room) else {
            log::error!("{model} at {place}: there is no memory for one more network card, not used");
            return false;
        };
        let Some(name) = DeviceName::ethernet(self.claimed) else { return false };
        match probe(memory) {
            Ok(nic) => {
                self.claimed = self.claimed.saturating_add(1);
                self.are_cards_known = false;
                log::info!("{name}: {model} at {place}");
                *card = Some(Card::new(name, place, nic, self.settings, moment::<P>(now)));
                true
            }
            Err(Failure { error, memory }) => {
                // The next card has its memory and its name.
                self.spare_memory = memory;
                log::error!("{model} at {place}: can't be brought up: {error}");
                false
            }
        }
    }

    /// Settles what depends on all cards, once they have been claimed.
    pub fn know_cards<P: Platform>(&mut self, now: u64) {
        self.are_cards_known = true;
        if self.cards.iter().all(Option::is_none) {
            log::error!("netconsole: no network card found");
        }
        self.stand_in::<P>(now);
        self.cards.iter().flatten().for_each(Card::tell_of_waiting);
        let macs = core::array::from_fn(|place| self.cards.get(place)?.as_ref().map(Card::mac));
        let needs_labels = choose::needs_labels(&self.targets);
        for card in self.cards.iter_mut().flatten() {
            card.life.know_siblings(macs);
            if needs_labels {
                card.labels = P::labels(card.place);
            }
        }
    }

    /// Where `ip=` is for a device that has another name here, that card has what it says; where it is for one that is
    /// not here, the likely one or the first.
    fn stand_in<P: Platform>(&mut self, now: u64) {
        let Some(device) = self.settings.ip.device else { return };
        let base = DeviceSelector::Name(device).vlan().map_or(device, |(base, _)| base);
        if self.cards.iter().flatten().any(|card| card.name == base) {
            return;
        }
        let path = PathName::parse(base.as_str());
        let is_meant = |path: PathName, card: &Card| path.is(card.place, card.mac(), P::labels(card.place));
        let find = |is_it: &dyn Fn(PathName, &Card) -> bool| {
            self.cards
                .iter()
                .position(|card| path.zip(card.as_ref()).is_some_and(|(path, card)| is_it(path, card)))
        };
        let meant = find(&is_meant);
        let likely = || find(&|path, card| path.is_likely(card.place));
        let chosen = meant.or_else(likely).or_else(|| self.cards.iter().position(Option::is_some));
        let Some(card) = chosen.and_then(|place| self.cards.get_mut(place)).and_then(Option::as_mut) else {
            return;
        };
        match meant {
            Some(_) => log::info!("ip: {device} is {}", card.name),
            None => log::warn!("ip: {device} doesn't exist: using {}", card.name),
        }
        card.stand_in(self.settings, moment::<P>(now));
    }
}
