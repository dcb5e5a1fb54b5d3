//! The loop that ships: cards, targets and consoles, each looked at in turn. Nothing here blocks, and no driver uses
//! interrupts.
//!
//! It knows nothing of `last_words`.

mod announce;
mod card;
mod choose;
#[cfg_attr(not(feature = "console"), path = "no_consoles.rs")]
pub(crate) mod consoles;
mod fallback;
mod find;
#[cfg(feature = "test-hooks")]
mod hooks;
#[cfg_attr(not(feature = "console"), path = "no_host.rs")]
mod host;
mod ship;
pub(crate) mod state;
mod statistics;
#[cfg(all(test, not(loom)))]
mod tests;
mod turn;
pub(crate) mod vlan;
mod wall_clock;

#[cfg(feature = "console")]
use crate::console::{Ending, Terminal};
use crate::memory::Memory;
use crate::nic::Model;
use crate::nic::pci::{self, Class, DeviceFunction, PciDevice};
use crate::platform::{Platform, now};
use crate::settings::Settings;
use crate::targets::{Common, Reception, Target};
use consoles::Consoles;
use core::cell::Cell;
use core::marker::PhantomData;
use fallback::Fallback;
use state::State;

/// A netconsole: network cards that were claimed, targets, and what is on its way to them.
///
/// Its [`poll`](Self::poll) does all the work. It may move to another CPU, but not be shared: it is [`Send`] and not
/// [`Sync`].
///
/// ```
/// fn may_move<T: Send>() {}
/// fn check<P>() { may_move::<netconsole::Netconsole<P>>() }
/// ```
/// ```compile_fail
/// fn may_be_shared<T: Sync>() {}
/// fn check<P>() { may_be_shared::<netconsole::Netconsole<P>>() }
/// ```
pub struct Netconsole<P> {
    state: &'static mut State,
    platform: PhantomData<fn() -> P>,
    /// Not for two CPUs at once.
    alone: PhantomData<Cell<()>>,
}

impl<P: Platform> Netconsole<P> {
    /// The netconsole of this platform, with neither cards nor targets; `None` the second time.
    ///
    /// [`begin_log`](crate::begin_log) comes before: until it is decided whether there is a key no target is made.
    pub fn new(settings: &Settings) -> Option<Self> {
        let Memory { state, user_data, vlans, .. } = P::memory();
        let (state, user_data) = (state.take()?, user_data.take()?);
        let settings = keep::<P>(settings)?;
        let (vlans, consoles) = (vlans.take()?, consoles::<P>(settings.input)?);
        let state = State::begin(state, settings, P::release(), consoles, user_data, vlans);
        Some(Self { state, platform: PhantomData, alone: PhantomData })
    }

    /// Has the panic path know of the targets that the settings name, before there is a netconsole: for a kernel that has much
    /// to do until then. Logs nothing. The key must be decided ([`Memory::keys`]).
    pub fn announce(settings: &Settings) {
        announce::announce::<P>(settings);
    }

    /// Says that it is `seconds` since 1970 (UTC), for messages in the syslog format; an NTP server that `ip=` or DHCP
    /// names is asked anyway.
    pub fn set_unix_time(&mut self, seconds: u64) {
        let now = now::<P>();
        let now = now.saturating_add(P::ring().origin());
        self.state.common.style.epoch =
            seconds.checked_mul(1_000_000).and_then(|micros| micros.checked_sub(now));
    }

    /// Says that the log before this one ended `seconds` after the begin of 1970 (UTC), by the clock of the kernel that logged
    /// it, which knows better than this one's.
    pub fn set_unix_time_of_past(&mut self, seconds: u64) {
        self.state.common.style.epoch =
            seconds.checked_mul(1_000_000).and_then(|micros| micros.checked_sub(P::ring().origin()));
    }

    /// Makes the targets that the settings name. They wait for their cards, but the panic path knows of them from here
    /// on: to be called before anything that may panic.
    pub fn add_targets(&mut self) {
        let now = now::<P>();
        self.state.consoles.announce();
        let targets = self.state.settings.targets(&P::memory().keys).unwrap_or_else(|undecided| {
            log::error!("netconsole: {undecided}");
            &[]
        });
        for (place, config) in targets.iter().enumerate() {
            if let Some(everybody) = self.state.settings.refuses(config) {
                log::error!(
                    "netconsole: {everybody} is everybody or a group, who are not to have the log of a Linux (linux.broadcast=0)"
                );
                continue;
            }
            // The settings hold no more than the table does.
            if let Ok(target) = self.state.targets.add(*config) {
                target.enable_at_boot(now);
            }
            // The newest: none was removed before.
            let number = self.state.targets.numbered().last().map_or(0, |(number, _)| number);
            for (key, value) in self.state.settings.user_data(place) {
                let items = self.state.targets.user_data_mut();
                let is_new = items.value(number, key).is_none();
                let made = if is_new { items.create(number, key) } else { Ok(()) };
                if let Err(error) = made.and_then(|()| items.set(number, key, value)) {
                    log::error!("netconsole.userdata: '{key}={value}': {error}; ignored");
                }
            }
        }
        // What they name may be known by what the firmware calls the cards' places.
        self.state.are_cards_known = false;
        self.state.publish::<P>();
    }

    /// Has what is wrong with the `command_line` that the settings were read from broadcast, where it asks for targets
    /// and none of them could be taken, as `netconsole.fallback=` says.
    pub fn broadcast_problems_of(&mut self, command_line: &'static [u8]) {
        self.state.fallback = Fallback::of(self.state.settings, command_line);
    }

    /// Looks for network cards on all PCI buses and claims those that there is a driver for and `filter` wants. Any other
    /// function is not touched.
    pub fn find_pci_cards(&mut self, mut filter: impl FnMut(DeviceFunction) -> bool) {
        let config = P::pci();
        pci::for_each_function(&config, P::root_buses(), |function| {
            let is_card = P::firmware_card(function).is_some()
                || Model::of(pci::ids(&config, function)).is_some()
                || Class::read(&config, function).is_network();
            if is_card
                && filter(function)
                && let Some(device) = self.look_at(function)
            {
                self.claim(&device);
            }
        });
    }

    /// Reads what a PCI function is and where its registers are, for [`claim`](Self::claim) and the console's `lspci`;
    /// `None` where there is none. Its decoding is off for a moment meanwhile; a panic in that moment puts it back.
    pub fn look_at(&mut self, function: DeviceFunction) -> Option<PciDevice> {
        self.state.look_at::<P>(function)
    }

    /// Brings up a network card on the PCI bus, which belongs to this netconsole from here on. False where there is no
    /// driver for it or it does not come up, which the log says why.
    pub fn claim(&mut self, device: &PciDevice) -> bool {
        self.state.claim::<P>(device, now::<P>())
    }

    /// Brings up the virtio network card whose MMIO registers are at the physical `address`, as [`claim`](Self::claim)
    /// does. False where there is none.
    pub fn claim_mmio(&mut self, address: u64) -> bool {
        self.state.claim_mmio::<P>(address, now::<P>())
    }

    /// How many cards were claimed, those that did not come up included.
    pub fn claimed_cards(&self) -> usize {
        self.state.claimed.into()
    }

    /// Settles what depends on all cards once they have been claimed: whose `ip=` is, and what the panic path is told.
    /// The first [`poll`](Self::poll) does it, too.
    pub fn know_cards(&mut self) {
        self.state.know_cards::<P>(now::<P>());
        self.state.publish::<P>();
    }

    /// One look at everything: ships, receives, answers. False where nothing is left to do before something happens:
    /// then the CPU may sleep for some milliseconds, which is how late records leave and cards are answered. Never
    /// blocks.
    #[inline]
    pub fn poll(&mut self) -> bool {
        let timebase = P::memory().timebase.read();
        let now = timebase.micros(P::ticks());
        self.state.turn::<P>(&timebase, now)
    }

    /// Polls until every target has started or will not soon: as long as DHCP and `netconsole.carrier_timeout` take.
    pub fn await_targets(&mut self) {
        while self.has_waiting_targets() {
            self.poll();
        }
    }

    /// Polls until everything has gone out that can go out now, and the receivers that answer have acknowledged it, or
    /// for `patience` µs.
    pub fn await_log(&mut self, patience: u64) {
        let end = now::<P>().saturating_add(patience);
        while (self.poll() || self.is_sending() || self.is_unacknowledged()) && now::<P>() < end {}
    }

    /// Whether a target has not started yet and may soon.
    pub fn has_waiting_targets(&self) -> bool {
        self.state.targets.iter().any(|target| !target.is_running() && !target.is_given_up())
    }

    /// How many targets have started.
    pub fn running_targets(&self) -> u64 {
        self.state.running_targets()
    }

    /// Whether a target that could ship has more to ship. Of targets that differ in the card alone one that could is enough.
    pub fn is_behind(&self) -> bool {
        self.state.targets.is_behind(P::ring().end())
    }

    /// Whether some of the log is on its way by a card that has a link.
    pub fn is_sending(&self) -> bool {
        let end = P::ring().end();
        let cards = self.state.cards.iter().enumerate();
        cards.filter_map(|(place, card)| Some((place, card.as_ref()?))).any(|(place, card)| {
            card.link_is_up() && self.state.targets.iter().any(|target| target.is_sending(place, end))
        })
    }

    /// Whether a receiver that answers has not acknowledged everything.
    pub fn is_unacknowledged(&self) -> bool {
        self.state.targets.iter().any(Target::is_unacknowledged)
    }

    /// Whether there is a target that ships or waits for what it needs to.
    pub fn has_enabled_targets(&self) -> bool {
        self.state.targets.iter().any(Target::is_enabled)
    }

    /// What shows that the log was heard by every target; by none where there is none. Of targets that differ in the card
    /// alone one is enough.
    pub fn reception(&self) -> Reception {
        self.state.targets.reception()
    }

    /// Whether what is wrong with the settings is still to be broadcast.
    pub fn is_broadcasting_problems(&mut self) -> bool {
        let State { fallback, cards, .. } = &mut self.state;
        fallback.as_ref().is_some_and(|fallback| !fallback.was_sent(cards))
    }

    /// What of the log is shown, and how.
    pub fn common(&self) -> Common {
        self.state.common
    }

    /// The terminal, for a kernel with a serial port: it takes keys and has bytes to show.
    #[cfg(feature = "console")]
    pub fn terminal(&mut self) -> &mut Terminal {
        &mut self.state.consoles.terminal
    }

    /// How the machine is to end, if somebody asked for it at a console.
    #[cfg(feature = "console")]
    pub fn take_ending(&mut self) -> Option<Ending> {
        self.state.consoles.take_ending()
    }
}

/// A copy of the settings that stays.
#[inline(never)]
fn keep<P: Platform>(settings: &Settings) -> Option<&'static Settings> {
    Some(P::memory().settings.take()?.write(settings.clone()))
}

/// The consoles in their memory.
// A function of its own, so that what is built on the stack before it lies there is gone afterwards.
#[inline(never)]
fn consoles<P: Platform>(input: bool) -> Option<&'static mut Consoles> {
    Some(P::memory().consoles.take()?.write(Consoles::new(input)))
}
