//! The kernel while it runs: cards, targets and serial, each looked at in turn. Nothing here blocks,
//! and no driver uses interrupts.

use crate::card::{Card, LinkLook};
use crate::consoles::{Consoles, KernelView};
use crate::fallback::Fallback;
use crate::find_cards::find_cards;
use crate::log::ring;
use crate::machine::access::ACCESS;
use crate::machine::clock::{Clock, Deadline};
use crate::machine::paging::AddressSpace;
use crate::machine::pci::ConfigurationPorts;
use crate::machine::trap::{self, Place};
use crate::machine::watchdog::Watchdog;
use crate::serial_console::SerialConsole;
use crate::statistics::Statistics;
use crate::vlan::VlanMemory;
use crate::wall_clock::WallClock;
use crate::{choose, describe, memory, panic};
use bootinfo::BootInfo;
use bootinfo::parameters::{Console, Parameters};
use core::mem::MaybeUninit;
use netconsole::console::Ending;
use netconsole::format::RecentLines;
use netconsole::nic::{self, Nic};
use netconsole::plan::{MAX_NICS, Plan};
use netconsole::seal::{Inputs, MAX_INPUT, Numbers, Sealing};
use netconsole::settings::{DeviceName, DeviceSelector, MAX_TARGETS};
use netconsole::take_once::TakeOnce;
use netconsole::targets::table::TargetTable;
use netconsole::targets::user_data::UserData;
use netconsole::targets::{LogFilter, Moment, Shipped, Target, Turn};
use netconsole::wire::{MacAddr, udp};

/// How long the end of the boot waits for the last frames to leave, in µs.
const DRAIN_PATIENCE: u64 = 5_000_000;

/// How many frames the targets of a card queue in one turn, as many as it has buffers for.
const FRAMES_PER_TURN: u64 = 64;

/// How many of them each target may queue at least. Where there are many targets, each has its share in some turns only:
/// a share costs as much as several frames, however small it is.
const LEAST_SHARE: u64 = 16;

/// How often the kernel looks at what was received while there is more of the log to ship, in µs; at everything so
/// often for each target that ships, since such a look costs as much as many records, for each of them.
const LOOK_INTERVAL: u64 = 100;

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
    targets: TargetTable,
    serial: Option<SerialConsole>,
    watchdog: Option<Watchdog>,
    watchdog_fed_at: u64,
    /// When everything is to be looked at again, and when what the cards have received.
    look_at: u64,
    receive_at: u64,
    consoles: &'static mut Consoles,
    /// What is broadcast while there is no target, if anything.
    fallback: Option<Fallback>,
    statistics: Statistics,
    wall_clock: WallClock,
    /// What was taken of sealed input.
    inputs: Inputs,
    /// Memory for VLANs that are not there yet.
    vlans: core::slice::IterMut<'static, VlanMemory>,
    /// What the panic path was told last, if anything.
    published: Option<Plan>,
    recent: RecentLines<'static>,
}

impl Kernel {
    /// The kernel, with a serial port at most, where it lies while it runs: it is larger than a stack should carry.
    /// `None` the second time.
    // A function of its own, so that what is built on the stack before it lies there is gone afterwards.
    #[inline(never)]
    pub fn make(
        clock: Clock,
        parameters: &'static Parameters,
        consoles: &'static mut Consoles,
    ) -> Option<&'static mut Self> {
        static KERNEL: TakeOnce<MaybeUninit<Kernel>> = TakeOnce::new(MaybeUninit::uninit());
        let (place, user_data) = (KERNEL.take()?, memory::USER_DATA.take()?);
        Some(place.write(Self::new(clock, parameters, consoles, user_data)))
    }

    #[inline(always)]
    fn new(
        clock: Clock,
        parameters: &'static Parameters,
        consoles: &'static mut Consoles,
        user_data: &'static mut UserData,
    ) -> Self {
        let filter = LogFilter {
            limit: parameters.loglevel,
            ignore_limits: parameters.ignore_loglevel,
            oops_only: parameters.oops_only,
            time: parameters.printk_time,
            host_name: parameters.ip.hostname,
            epoch: None,
            ncrx: parameters.ncrx,
        };
        let serial = match parameters.console {
            Console::Null => None,
            Console::Serial(port) => SerialConsole::open(&port),
        };
        panic::Policy::of(parameters).set();
        Self {
            clock,
            parameters,
            filter,
            cards: [const { None }; MAX_NICS],
            targets: TargetTable::new(user_data),
            serial,
            watchdog: None,
            watchdog_fed_at: 0,
            look_at: 0,
            receive_at: 0,
            consoles,
            fallback: None,
            statistics: Statistics::new(),
            wall_clock: WallClock::new(),
            inputs: Inputs::new(),
            vlans: memory::VLANS.take().map(|vlans| vlans.iter_mut()).unwrap_or_default(),
            published: None,
            recent: RecentLines::new(),
        }
    }

    /// Makes the targets of the command line, which is `boot`'s. They wait for their cards, but the panic path knows of
    /// them from here on.
    pub fn add_targets(&mut self, boot: &'static BootInfo) {
        self.fallback = Fallback::of(self.parameters, boot);
        let now = self.clock.now();
        self.filter.epoch = WallClock::by_rtc(now);
        self.consoles.announce();
        let targets = self.parameters.targets(&memory::KEYS).unwrap_or_else(|undecided| {
            log::error!("netconsole: {undecided}");
            &[]
        });
        for config in targets {
            // The parameters hold no more than the table does.
            if let Ok(target) = self.targets.add(*config) {
                target.enable_at_boot(now);
            }
        }
        self.parameters.virtio_mmio.as_slice().iter().copied().for_each(memory::remember_mmio_card);
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

    /// Finds the network cards and brings them up.
    pub fn find_cards(&mut self, boot: &BootInfo, address_space: AddressSpace) {
        let Self { cards, clock, consoles, parameters, .. } = self;
        find_cards(cards, clock, consoles, parameters, boot, address_space);
        let macs = core::array::from_fn(|place| cards.get(place)?.as_ref().map(Card::mac));
        let needs_labels = choose::needs_labels(parameters.targets(&memory::KEYS).unwrap_or_default());
        for card in cards.iter_mut().flatten() {
            card.life.know_siblings(macs);
            if needs_labels {
                card.labels = describe::labels(boot, card.place);
            }
        }
        self.publish();
    }

    /// Runs until every target has started or will not soon.
    pub fn start_targets(&mut self) {
        while self.targets.iter().any(|target| !target.is_running() && !target.is_given_up()) {
            self.poll();
        }
    }

    /// How many targets have started.
    pub fn running_targets(&self) -> u64 {
        self.targets.iter().filter(|target| target.is_running()).count() as u64
    }

    /// Runs until everything has gone out that can go out now, or for [`DRAIN_PATIENCE`].
    pub fn drain(&mut self) {
        let deadline = Deadline::after(DRAIN_PATIENCE);
        while !deadline.has_come() {
            let busy = self.poll();
            let end = ring().end();
            let mut cards = (0..).zip(&self.cards).filter_map(|(place, card)| Some((place, card.as_ref()?)));
            let log_waits = cards.any(|(place, card)| {
                card.link_is_up() && self.targets.iter().any(|target| target.is_sending(place, end))
            });
            if !busy && !log_waits {
                return;
            }
        }
    }

    /// Runs until what is wrong with the parameters was broadcast, where it is to be, or for as long as the link is waited
    /// for and a second for the first broadcast.
    pub fn await_fallback(&mut self) {
        let patience = u64::from(self.parameters.carrier_timeout) * 1_000_000;
        let deadline = Deadline::after(patience + 2_000_000);
        let waits = |kernel: &Self| {
            kernel.fallback.as_ref().is_some_and(|fallback| !fallback.was_sent(&kernel.cards))
        };
        while waits(self) && !deadline.has_come() {
            self.poll();
        }
    }

    /// Runs until the receivers that answer have acknowledged everything, or for [`DRAIN_PATIENCE`].
    pub fn await_acknowledgements(&mut self) {
        let deadline = Deadline::after(DRAIN_PATIENCE);
        while self.targets.iter().any(Target::is_unacknowledged) && !deadline.has_come() {
            self.poll();
        }
    }

    /// One look at everything; false where nothing is left to do before something happens.
    pub fn poll(&mut self) -> bool {
        let now = self.clock.now();
        // A command that waits for a target must see each of its turns.
        if now < self.look_at && !self.targets.iter().any(Target::is_settling) && self.ship(now) {
            if now >= self.receive_at {
                self.receive(now);
            }
            return true;
        }
        self.look_at = now + LOOK_INTERVAL * self.running_targets();
        self.feed_watchdog(now);
        self.look_at_links(now);
        self.advance_targets(now);
        self.take_host_name();
        self.publish();
        self.fall_back(now);
        // The log first: what the cards' own stacks have to say can wait.
        let shipping = self.ship(now);
        self.receive(now);
        self.wall_clock.poll(&mut self.cards, now);
        let commanding = self.command(now);
        self.statistics.poll(&self.targets, self.consoles, now);
        let showing = self.show();
        shipping || commanding || showing
    }

    fn feed_watchdog(&mut self, now: u64) {
        if let Some(watchdog) = self.watchdog
            && now.saturating_sub(self.watchdog_fed_at) >= FEEDING_INTERVAL
        {
            self.watchdog_fed_at = now;
            watchdog.feed();
        }
    }

    /// Tells the targets what their cards' links have done.
    fn look_at_links(&mut self, now: u64) {
        for place in 0..MAX_NICS {
            let Some(card) = self.cards.get_mut(place).and_then(Option::as_mut) else { continue };
            let look = card.look_at_link(now);
            for target in self.targets.iter_mut() {
                match look {
                    LinkLook::StillUp => target.confirm(place),
                    LinkLook::Lost => target.lose_link(place),
                    LinkLook::OfNoMatter => {}
                }
            }
            if look == LinkLook::Lost {
                self.cards.iter_mut().flatten().for_each(|card| card.life.forget_sibling(place));
            }
        }
    }

    /// Brings each target a step nearer to its start, on a VLAN that is made where it wants one.
    fn advance_targets(&mut self, now: u64) {
        let moment = Moment {
            keys: &memory::KEYS,
            ring: ring(),
            now,
            carrier_timeout: u64::from(self.parameters.carrier_timeout) * 1_000_000,
        };
        choose::cards(&mut self.targets, &mut self.cards, self.parameters, &moment);
        for target in self.targets.iter_mut().filter(|target| target.is_enabled()) {
            for (place, card) in self.cards.iter_mut().enumerate() {
                let Some(card) = card.as_mut().filter(|_| target.uses(place)) else { continue };
                let vlan = target.vlan();
                if let Some(id) = vlan
                    && !target.is_running()
                    && !card.has_vlan(id)
                    && let Some(memory) = self.vlans.next()
                {
                    card.add_vlan(id, &target.config, memory, self.parameters, now);
                }
                target.advance(place, card.interface(vlan).as_mut(), &moment);
            }
        }
        let cards = &self.cards;
        if cards.iter().flatten().nth(1).is_some() {
            let hears = |listener: usize, speaker| cards.get(listener)?.as_ref()?.life.hears(speaker);
            let hearing =
                core::array::from_fn(|listener| core::array::from_fn(|speaker| hears(listener, speaker)));
            self.targets.iter_mut().for_each(|target| target.settle_voices(&hearing, now));
        }
    }

    /// Broadcasts what is wrong with the parameters, until somebody makes a target.
    fn fall_back(&mut self, now: u64) {
        if self.targets.iter().next().is_some() {
            self.fallback = None;
        }
        if let Some(fallback) = &mut self.fallback {
            fallback.poll(&mut self.cards, now);
        }
    }

    /// Has each card's stack look at what was received, and hands datagrams to whom they are for.
    fn receive(&mut self, now: u64) {
        self.receive_at = now + LOOK_INTERVAL;
        for (number, card) in self.cards.iter_mut().enumerate() {
            let Some(card) = card else { continue };
            let (consoles, targets) = (&mut *self.consoles, &mut self.targets);
            card.poll(now, &mut |datagram| {
                if let Some(epoch) = self.wall_clock.take(datagram, now) {
                    self.filter.epoch = Some(epoch);
                    return;
                }
                let mut buffer = [0; MAX_INPUT];
                let input = memory::KEYS.protection().input(datagram.payload, &mut self.inputs, &mut buffer);
                let Some(payload) = input else { return consoles.refuse() };
                let datagram = &udp::Received { payload, ..*datagram };
                targets.hear(number, datagram, &self.filter, now);
                consoles.take(targets, number, datagram, now);
            });
        }
    }

    /// Goes on with what was typed and what targets sent; true where there is more to do at once.
    fn command(&mut self, now: u64) -> bool {
        if let Some(serial) = &mut self.serial {
            serial.read(&mut self.consoles.terminal, now);
        }
        self.consoles.poll(KernelView {
            clock: &mut self.clock,
            filter: &mut self.filter,
            cards: &mut self.cards,
            targets: &mut self.targets,
        })
    }

    /// Has the prompt shown on serial: the boot log is over.
    pub fn greet(&mut self) {
        self.consoles.terminal.greet();
    }

    /// How the machine is to end, if somebody asked for it.
    pub fn take_ending(&mut self) -> Option<Ending> {
        self.consoles.take_ending()
    }

    /// Ships what there is to every target whose link is up; true where there is more to do at once.
    pub fn ship(&mut self, now: u64) -> bool {
        let ring = ring();
        let protection = memory::KEYS.protection();
        let sealing = Sealing { protection: &protection, numbers: Numbers::Counted(&memory::KEYS) };
        let running = self.running_targets();
        // One that is alone need not keep to any.
        let share = if running > 1 { (FRAMES_PER_TURN / running).max(LEAST_SHARE) } else { u64::MAX };
        let mut turn = Turn {
            ring,
            timebase: self.clock.timebase(),
            filter: &self.filter,
            sealing,
            now,
            frames: 0,
            recent: (self.targets.iter().map(Target::ways).sum::<usize>() > 1).then_some(&mut self.recent),
        };
        let mut busy = false;
        for (place, card) in self.cards.iter_mut().enumerate() {
            let Some(card) = card.as_mut().filter(|card| card.link_is_up()) else { continue };
            let (mut broken, mut progress) = (false, false);
            let mut left = FRAMES_PER_TURN;
            let first = card.next_target;
            let mut used = core::mem::take(&mut card.share_used);
            for number in (first..MAX_TARGETS).chain(0..first) {
                let Some((target, user_data)) = self.targets.with_user_data(number) else { continue };
                if !target.uses(place) {
                    continue;
                }
                let before = target.datagrams();
                let most = share.saturating_sub(used).min(left);
                turn.frames = most;
                let shipped = target.ship(place, &mut turn, user_data, &mut card.nic);
                let queued = most - turn.frames;
                (left, used) = (left - queued, used + queued);
                progress |= target.datagrams() != before;
                match shipped {
                    Shipped::Everything => {}
                    Shipped::More | Shipped::Full => busy = true,
                    Shipped::Broken => broken = true,
                }
                if left == 0 || shipped == Shipped::Full {
                    // Each has its whole share before the next one has any, however little room the card has at once.
                    let goes_on = used < share;
                    (card.next_target, card.share_used) =
                        if goes_on { (number, used) } else { (number + 1, 0) };
                    break;
                }
                used = 0;
            }
            trap::probe(Place::Transmit);
            card.nic.kick();
            if (broken || card.is_stuck(now, progress)) && card.may_restart(now) {
                log::error!("{}: the card does not answer, restarting it", card.name);
                if let Err(error) = card.restart(now) {
                    log::error!("{}: can't be restarted: {error}", card.name);
                }
                self.targets.iter_mut().for_each(|target| target.rewind(place));
            } else if card.nic.is_drained() {
                self.targets.iter_mut().for_each(|target| target.was_taken(place));
            }
        }
        for (number, target) in self.targets.numbered() {
            if let Some(position) = memory::POSITIONS.get(number) {
                position.set(target.taken());
            }
        }
        busy
    }

    /// Shows on serial what the port takes now; true where there is more.
    fn show(&mut self) -> bool {
        let Some(serial) = &mut self.serial else { return false };
        let filter = LogFilter { oops_only: false, ..self.filter };
        serial.poll(ring(), self.clock.timebase(), filter, &mut self.consoles.terminal)
    }

    /// Whether a target that could ship has more to ship.
    pub fn is_behind(&self) -> bool {
        let end = ring().end();
        self.targets.iter().any(|target| target.is_behind(end))
    }

    /// Stops every card behind its driver's back, for provoking that crash.
    pub fn hang_cards(&mut self) {
        for card in self.cards.iter().flatten() {
            nic::hang(&mut ConfigurationPorts, &ACCESS.addresses, card.place);
        }
    }

    /// Overwrites all that the drivers know, for provoking that crash.
    pub fn overwrite_cards(&mut self, pattern: u8) {
        overwrite(&mut self.cards, pattern);
        // SAFETY: the drivers that borrow it don't run again: the caller panics at once.
        overwrite(unsafe { memory::CARD_MEMORY.take_back() }, pattern);
    }

    /// Overwrites all that the sender knows of its targets, for provoking that crash.
    pub fn overwrite_targets(&mut self, pattern: u8) {
        overwrite(&mut self.targets, pattern);
    }

    /// Goes by the name that DHCP gave, where the command line gives none.
    fn take_host_name(&mut self) {
        if self.filter.host_name.is_none()
            && let Some(name) = self.cards.iter().flatten().find_map(Card::host_name)
        {
            log::info!("dhcp: host name {name}");
            self.filter.host_name = Some(name);
        }
    }

    /// Tells the panic path of the targets, where anything has changed.
    fn publish(&mut self) {
        let mut plan = Plan { host_name: self.filter.host_name, epoch: self.filter.epoch, ..Plan::default() };
        for ((nic, address), card) in plan.nics.iter_mut().zip(&mut plan.addresses).zip(&self.cards) {
            *nic = card.as_ref().map(|card| card.place);
            *address = card.as_ref().and_then(Card::address);
        }
        for (number, target) in self.targets.numbered() {
            let Some(slot) = plan.targets.get_mut(number) else { continue };
            let stack = |place: u8| self.cards.get(usize::from(place))?.as_ref()?.stack(target.vlan());
            *slot = target.plan(place_of(&target.config.device, &self.cards), stack, &self.filter);
        }
        if self.published != Some(plan) {
            memory::SNAPSHOT.publish(&plan);
            memory::HAS_TARGETS.set(plan.targets.iter().any(Option::is_some).into());
            self.published = Some(plan);
        }
    }
}

/// The place among the cards of the one that `device` means. Before they were looked for, what its name
/// says; 255 where that is not known, or there is none.
fn place_of(device: &DeviceSelector, cards: &[Option<Card>; MAX_NICS]) -> u8 {
    let means = |name: DeviceName, mac: MacAddr| {
        device.is(name, mac) || device.vlan().is_some_and(|(card, _)| card == name)
    };
    let is_here = |(place, card): &(u8, &Option<Card>)| match card {
        Some(card) => means(card.name, card.mac()),
        None => DeviceName::ethernet(*place).is_some_and(|name| means(name, MacAddr([0; 6]))),
    };
    (0..).zip(cards).find(is_here).map_or(u8::MAX, |(place, _)| place)
}

/// Fills a value with a pattern, as a stray pointer would.
fn overwrite<T>(value: &mut T, pattern: u8) {
    // SAFETY: the bytes lie in the value, and nothing looks at it any more: the caller panics at once.
    unsafe { core::ptr::from_mut(value).cast::<u8>().write_bytes(pattern, size_of::<T>()) }
}
