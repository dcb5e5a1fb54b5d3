//! The kernel while it runs: cards, targets and serial, each looked at in turn. Nothing here blocks,
//! and no driver uses interrupts.

use crate::card::{Card, LinkLook};
use crate::crash::{self, Armed};
use crate::machine::clock::{Clock, Deadline};
use crate::machine::paging::AddressSpace;
use crate::machine::pci::ConfigurationPorts;
use crate::machine::serial::SerialConsole;
use crate::machine::watchdog::Watchdog;
use crate::{memory, panic};
use netconsole::netconsole::snapshot::{MAX_NICS, Plan};
use netconsole::netconsole::target::{LogFilter, Shipped, Target, TargetName};
use netconsole::netconsole::{DeviceName, DeviceSelector, MAX_TARGETS};
use netconsole::nic::pci::{self, PciDevice};
use netconsole::nic::{Model, NetworkCard, Nic};
use netconsole::parameters::{Console, Parameters};
use netconsole::stack::Storage;
use netconsole::wire::MacAddr;

/// How long the end of the boot waits for the last frames to leave, in µs.
const DRAIN_PATIENCE: u64 = 5_000_000;

/// How often the watchdog is fed, in µs: each time is several accesses to a device.
const FEEDING_INTERVAL: u64 = 100_000;

/// Everything that runs.
pub struct Kernel {
    /// The time.
    pub clock: Clock,
    /// What the command line says.
    pub parameters: &'static Parameters,
    filter: LogFilter,
    cards: [Option<Card>; MAX_NICS],
    targets: [Option<Target>; MAX_TARGETS],
    serial: Option<SerialConsole>,
    watchdog: Option<Watchdog>,
    watchdog_fed_at: u64,
    /// What the panic path was told last, if anything.
    published: Option<Plan>,
}

impl Kernel {
    /// A kernel with a serial port at most.
    pub fn new(clock: Clock, parameters: &'static Parameters) -> Self {
        let limit = if parameters.ignore_loglevel { 8 } else { parameters.loglevel };
        let serial = match parameters.console {
            Console::Null => None,
            Console::Serial(port) => SerialConsole::open(&port),
        };
        panic::Policy::of(parameters).set();
        Self {
            clock,
            parameters,
            filter: LogFilter { limit, time: parameters.printk_time, oops_only: parameters.oops_only },
            cards: [const { None }; MAX_NICS],
            targets: [const { None }; MAX_TARGETS],
            serial,
            watchdog: None,
            watchdog_fed_at: 0,
            published: None,
        }
    }

    /// Makes the targets of the command line. They wait for their cards, but the panic path knows of
    /// them from here on.
    pub fn add_targets(&mut self) {
        let now = self.clock.now();
        for ((number, config), slot) in (0u8..).zip(self.parameters.targets.as_slice()).zip(&mut self.targets)
        {
            let mut target = Target::new(TargetName::of_command_line(number), *config);
            target.enable(now);
            *slot = Some(target);
        }
        self.publish();
    }

    /// Arms the watchdog that `watchdog=` asks for; [`poll`](Self::poll) feeds it from here on.
    pub fn start_watchdog(&mut self) {
        let Some(seconds) = self.parameters.watchdog else { return };
        self.watchdog = Watchdog::find();
        match self.watchdog {
            Some(watchdog) => {
                watchdog.arm(seconds);
                log::info!("watchdog: {watchdog}, {seconds} s");
            }
            None => log::error!("watchdog: this machine has none that is known"),
        }
    }

    /// Looks through the PCI buses and brings up the network cards.
    pub fn find_cards(&mut self, mut address_space: AddressSpace) {
        let mut memory = memory::cards();
        let mut names = (0u8..).map_while(DeviceName::ethernet);
        let hostname = self.parameters.ip.hostname.as_ref().map(|hostname| hostname.as_str());
        let mut storages = memory::dhcp_storage();
        let mut slots = self.cards.iter_mut();
        let mut ports = ConfigurationPorts;
        pci::for_each_function(&ConfigurationPorts, |function| {
            // Each look lets the clock learn how fast it is, before the first record is shown.
            let now = self.clock.now();
            let Some(device) = PciDevice::read(&mut ports, function) else { return };
            log::info!("pci {device}");
            let Some(model) = Model::of((device.vendor_id, device.device_id)) else { return };
            for (address, length) in device.memory_ranges() {
                if let Err(error) = address_space.map_device(address, length) {
                    return log::error!(
                        "{}: can't map its registers at {address:#x}: {error}",
                        device.function
                    );
                }
            }
            let (Some(slot), Some(memory), Some(storage), Some(name)) =
                (slots.next(), memory.next(), storages.next(), names.next())
            else {
                return log::warn!("{}: more than {MAX_NICS} network cards, left alone", device.function);
            };
            log::info!("{name}: {model}");
            match NetworkCard::probe(&mut ports, &device, model, memory) {
                Ok(nic) => {
                    let storage = storage.write(Storage::new(hostname));
                    *slot = Some(Card::new(name, device.function, nic, storage, self.parameters, now));
                }
                Err(error) => log::error!("{name}: {}: can't be brought up: {error}", device.function),
            }
        });
        if self.cards.iter().all(Option::is_none) {
            log::error!("netconsole: no network card found");
        }
        self.publish();
    }

    /// Runs until every target has started or will not soon.
    pub fn start_targets(&mut self) {
        while self.targets.iter().flatten().any(|target| !target.is_running() && !target.is_given_up()) {
            self.poll();
        }
    }

    /// Whether any target has started.
    pub fn has_running_target(&self) -> bool {
        self.targets.iter().flatten().any(Target::is_running)
    }

    /// Runs until everything has gone out that can go out now, or for [`DRAIN_PATIENCE`].
    pub fn drain(&mut self) {
        let deadline = Deadline::after(DRAIN_PATIENCE);
        while !deadline.has_come() {
            let busy = self.poll();
            let end = memory::ring().end();
            let waits = |target: &Target| target.is_running() && target.taken() < end;
            let log_waits = self
                .cards
                .iter()
                .flatten()
                .filter(|card| card.link_is_up())
                .any(|card| targets_of(&mut self.targets, card).any(|target| waits(target)));
            if !busy && !log_waits {
                return;
            }
        }
    }

    /// One look at everything; false where nothing is left to do before something happens.
    pub fn poll(&mut self) -> bool {
        let now = self.clock.now();
        if let Some(watchdog) = self.watchdog
            && now.saturating_sub(self.watchdog_fed_at) >= FEEDING_INTERVAL
        {
            self.watchdog_fed_at = now;
            watchdog.feed();
        }
        for card in self.cards.iter_mut().flatten() {
            let look = card.look_at_link(now);
            for target in targets_of(&mut self.targets, card) {
                match look {
                    LinkLook::StillUp => target.confirm(),
                    LinkLook::Lost => target.rewind(),
                    LinkLook::OfNoMatter => {}
                }
            }
        }
        let carrier_timeout = u64::from(self.parameters.carrier_timeout) * 1_000_000;
        for target in self.targets.iter_mut().flatten() {
            let card = self
                .cards
                .iter_mut()
                .flatten()
                .find(|card| target.config.device.is(card.name.as_str(), card.mac()));
            let mut interface = card.map(|card| card.interface());
            target.advance(interface.as_mut(), now, carrier_timeout);
        }
        self.publish();
        // The log first: what the cards' own stacks have to say can wait.
        let shipping = self.ship(now);
        for card in self.cards.iter_mut().flatten() {
            card.poll(now);
        }
        let showing = self.show();
        shipping || showing
    }

    /// Ships what there is to every target whose link is up; true where there is more to do at once.
    pub fn ship(&mut self, now: u64) -> bool {
        let ring = memory::ring();
        let mut busy = false;
        for card in self.cards.iter_mut().flatten().filter(|card| card.link_is_up()) {
            let (mut broken, mut progress) = (false, false);
            for target in targets_of(&mut self.targets, card) {
                let before = target.queued();
                let shipped =
                    target.ship(ring, self.clock.timebase(), &self.filter, &memory::KEYS, &mut card.nic);
                progress |= target.queued() != before;
                match shipped {
                    Shipped::Everything => {}
                    Shipped::More => busy = true,
                    Shipped::Broken => broken = true,
                }
            }
            crash::here(Armed::Transmit);
            card.nic.kick();
            if broken || card.is_stuck(now, progress) {
                log::error!("{}: the card does not answer, restarting it", card.name);
                if let Err(error) = card.restart() {
                    log::error!("{}: can't be restarted: {error}", card.name);
                }
                targets_of(&mut self.targets, card).for_each(Target::rewind);
            } else if card.nic.is_drained() {
                targets_of(&mut self.targets, card).for_each(Target::was_taken);
            }
        }
        for (target, position) in self.targets.iter().zip(&memory::POSITIONS) {
            if let Some(target) = target {
                position.set(target.taken());
            }
        }
        busy
    }

    /// Shows on serial what the port takes now; true where there is more.
    fn show(&mut self) -> bool {
        let Some(serial) = &mut self.serial else { return false };
        let filter = LogFilter { oops_only: false, ..self.filter };
        serial.poll(memory::ring(), self.clock.timebase(), filter)
    }

    /// Whether a target that could ship has more to ship.
    pub fn is_behind(&self) -> bool {
        let end = memory::ring().end();
        self.targets.iter().flatten().any(|target| target.is_running() && target.queued() < end)
    }

    /// Stops every card behind its driver's back, for provoking that crash: without the right to
    /// reach memory its queues stand still.
    pub fn hang_cards(&mut self) {
        for card in self.cards.iter().flatten() {
            pci::disable(&mut ConfigurationPorts, card.function);
        }
    }

    /// Overwrites all that the drivers know, for provoking that crash.
    pub fn overwrite_cards(&mut self, pattern: u8) {
        overwrite(&mut self.cards, pattern);
        memory::overwrite_cards(pattern);
    }

    /// Overwrites all that the sender knows of its targets, for provoking that crash.
    pub fn overwrite_targets(&mut self, pattern: u8) {
        overwrite(&mut self.targets, pattern);
    }

    /// Tells the panic path of the targets, where anything has changed.
    fn publish(&mut self) {
        let mut plan = Plan::default();
        for (slot, card) in plan.nics.iter_mut().zip(&self.cards) {
            *slot = card.as_ref().map(|card| panic::pack(card.function));
        }
        for (slot, target) in plan.targets.iter_mut().zip(&self.targets) {
            let Some(target) = target else { continue };
            *slot = target.plan(place_of(&target.config.device, &self.cards), &self.filter);
        }
        if self.published != Some(plan) {
            memory::SNAPSHOT.publish(&plan);
            self.published = Some(plan);
        }
    }
}

/// The place among the cards of the one that `device` means. Before they were looked for, what its name
/// says; 255 where that is not known, or there is none.
fn place_of(device: &DeviceSelector, cards: &[Option<Card>; MAX_NICS]) -> u8 {
    let is_here = |(place, card): &(u8, &Option<Card>)| match card {
        Some(card) => device.is(card.name.as_str(), card.mac()),
        None => DeviceName::ethernet(*place).is_some_and(|name| device.is(name.as_str(), MacAddr([0; 6]))),
    };
    (0..).zip(cards).find(is_here).map_or(u8::MAX, |(place, _)| place)
}

/// The targets that use a card.
fn targets_of<'t>(
    targets: &'t mut [Option<Target>; MAX_TARGETS],
    card: &Card,
) -> impl Iterator<Item = &'t mut Target> + use<'t> {
    let (name, mac) = (card.name, card.mac());
    targets.iter_mut().flatten().filter(move |target| target.config.device.is(name.as_str(), mac))
}

/// Fills a value with a pattern, as a stray pointer would.
fn overwrite<T>(value: &mut T, pattern: u8) {
    // SAFETY: the bytes lie in the value, and nothing looks at it any more: the caller panics at once.
    unsafe { core::ptr::from_mut(value).cast::<u8>().write_bytes(pattern, size_of::<T>()) }
}
