//! The kernel while it runs: the netconsole, the serial console and the watchdog, each looked at in turn. Nothing here
//! blocks.

use crate::buses::Buses;
use crate::describe;
use crate::find_cards::find_cards;
use crate::linux::Before;
use crate::log::ring;
use crate::machine::clock::{Clock, Deadline};
use crate::machine::paging::AddressSpace;
use crate::machine::watchdog::Watchdog;
use crate::machine::{entropy, rtc, timer};
use crate::platform::{self, ThisKernel};
use crate::serial_console::SerialConsole;
use bootinfo::BootInfo;
use bootinfo::parameters::{Console, Parameters};
use netconsole::Netconsole;
use netconsole::targets::Reception;

/// How long the end of the boot waits for the last frames to leave, in µs.
const DRAIN_PATIENCE: u64 = 5_000_000;

/// How long the log of a Linux that crashed goes before everything else, in µs.
const SHIPPING: u64 = 1_000_000;

/// How long those behind other cards are told that a card hangs, in µs.
const TELLING: u64 = 1_000_000;

/// How long a receiver that has acknowledged the log of a Linux may still ask for something, in µs.
const AFTER_ACKNOWLEDGEMENT: u64 = 1_000_000;

/// The same of one that does not answer, in µs.
const AFTER_SHIPPING: u64 = 5_000_000;

/// How often serial and the watchdog are looked at while there is more of the log to ship, in µs, for each target that
/// ships: such a look costs as much as many records.
const LOOK_INTERVAL: u64 = 100;

/// How often the watchdog is fed, in µs: each time is several accesses to a device.
const FEEDING_INTERVAL: u64 = 100_000;

/// Everything that runs.
pub struct Kernel {
    /// The time.
    pub clock: Clock,
    /// What the command line says.
    pub parameters: &'static Parameters,
    /// The network cards, the targets, and what is on its way to them.
    pub netconsole: Netconsole<ThisKernel>,
    serial: Option<SerialConsole>,
    watchdog: Option<Watchdog>,
    watchdog_fed_at: u64,
    /// When serial and the watchdog are to be looked at again.
    look_at: u64,
}

impl Kernel {
    /// The kernel, with a serial port at most; `None` the second time.
    pub fn new(clock: Clock, parameters: &'static Parameters) -> Option<Self> {
        let serial = match parameters.console {
            Console::Null => None,
            Console::Serial(port) => SerialConsole::open(&port),
        };
        Some(Self {
            clock,
            parameters,
            netconsole: Netconsole::new(&parameters.settings)?,
            serial,
            watchdog: None,
            watchdog_fed_at: 0,
            look_at: 0,
        })
    }

    /// Makes the targets of the command line, which is `boot`'s. They wait for their cards.
    pub fn add_targets(&mut self, boot: &'static BootInfo, before: Before) {
        self.clock.now();
        self.netconsole.broadcast_problems_of(boot.command_line.as_bytes());
        if let Some(seconds) = before.crash_time() {
            self.netconsole.set_unix_time_of_past(seconds);
        } else if let Some(seconds) = rtc::unix_seconds(None) {
            log::debug!("clock: {seconds} seconds since 1970 by the real-time clock");
            self.netconsole.set_unix_time(seconds);
        }
        self.netconsole.add_targets();
    }

    /// Reads the century, too, from where ACPI says that it is; to be called once the first frame is out, as ACPI's tables
    /// take long to be found. A Linux that crashed has known the time better.
    pub fn know_century(&mut self, boot: &BootInfo, before: Before) {
        if before.crash_time().is_some() {
            return;
        }
        let Some(century) = describe::century(boot) else { return };
        let without = rtc::unix_seconds(None);
        let Some(seconds) = rtc::unix_seconds(Some(century)) else { return };
        if without.is_none_or(|without| seconds.abs_diff(without) > 3600) {
            log::info!("clock: {seconds} seconds since 1970, with the century that the clock keeps");
            self.netconsole.set_unix_time(seconds);
        }
    }

    /// Arms the watchdog that `watchdog=` asks for; [`poll`](Self::poll) feeds it from here on.
    pub fn start_watchdog(&mut self) {
        let Some(seconds) = self.parameters.watchdog else { return };
        let Some(watchdog) = Watchdog::find() else {
            return log::error!("watchdog: this machine has none that is known");
        };
        match watchdog.arm(seconds) {
            Ok(()) => {
                self.watchdog = Some(watchdog);
                log::info!("watchdog: {watchdog}, {seconds} s");
            }
            Err(error) => log::error!("watchdog: {watchdog} is not armed: {error}"),
        }
    }

    /// Goes on feeding a watchdog that a Linux, whose crash kernel this is, has left running: it is not to end the machine
    /// before the log has gone out.
    pub fn adopt_watchdog(&mut self) {
        if self.parameters.linux.core_header.is_none() || self.watchdog.is_some() {
            return;
        }
        if let Some(watchdog) = Watchdog::find().filter(|watchdog| watchdog.is_running()) {
            watchdog.adopt();
            self.watchdog = Some(watchdog);
            log::info!("watchdog: {watchdog} was left running, and is fed until the reboot");
        }
    }

    /// Finds the network cards and brings them up.
    pub fn find_cards(&mut self, boot: &BootInfo, buses: &Buses, address_space: AddressSpace) {
        let Self { netconsole, clock, parameters, .. } = self;
        let settings = &parameters.settings;
        if settings.ships_another_log && !settings.asks_for_target {
            // The log of a Linux that died goes to whom the command line names, and to nobody else.
            return log::error!(
                "netconsole: no target was given, so that no card is touched: netconsole=@/,@ADDRESS/ names one"
            );
        }
        platform::identify(entropy::number());
        find_cards(netconsole, clock, parameters, boot, buses, address_space);
    }

    /// Runs until every target has started or will not soon.
    pub fn start_targets(&mut self) {
        while self.netconsole.has_waiting_targets() {
            self.poll();
        }
    }

    /// Ships the log of a Linux that crashed, as far as it goes out at once, but for [`SHIPPING`] at most: what serial is to
    /// show, and what this machine is, can wait for that.
    pub fn ship_crash(&mut self) {
        if self.parameters.linux.core_header.is_none() {
            return;
        }
        let deadline = Deadline::after(SHIPPING);
        while self.netconsole.is_behind()
            && (self.netconsole.poll() || self.netconsole.is_sending())
            && !deadline.has_come()
        {
            let now = self.clock.now();
            self.feed_watchdog(now);
        }
    }

    /// Runs until everything has gone out that can go out now, or for [`DRAIN_PATIENCE`]; false where something has not.
    pub fn drain(&mut self) -> bool {
        let deadline = Deadline::after(DRAIN_PATIENCE);
        while !deadline.has_come() && (self.poll() || self.netconsole.is_sending()) {}
        !self.netconsole.is_sending()
    }

    /// Runs for [`TELLING`] where [`drain`](Self::drain) has failed: those behind the cards that do take something hear why.
    pub fn tell_others(&mut self) {
        let deadline = Deadline::after(TELLING);
        while !deadline.has_come() {
            self.poll();
        }
    }

    /// Shows on serial what is left, for as long as [`drain`](Self::drain) may take.
    pub fn show_all(&mut self) {
        let deadline = Deadline::after(DRAIN_PATIENCE);
        while self.show() && !deadline.has_come() {
            if let Some(watchdog) = self.watchdog {
                watchdog.feed();
            }
        }
    }

    /// Runs until what is wrong with the parameters was broadcast, where it is to be, or for as long as the link is waited
    /// for and a second for the first broadcast.
    pub fn await_fallback(&mut self) {
        let patience = u64::from(self.parameters.settings.carrier_timeout) * 1_000_000;
        let deadline = Deadline::after(patience + 2_000_000);
        while self.netconsole.is_broadcasting_problems() && !deadline.has_come() {
            self.poll();
        }
    }

    /// Runs until the receivers that answer have acknowledged everything, or for [`DRAIN_PATIENCE`].
    pub fn await_acknowledgements(&mut self) {
        let deadline = Deadline::after(DRAIN_PATIENCE);
        while self.netconsole.is_unacknowledged() && !deadline.has_come() {
            self.poll();
        }
    }

    /// Runs until the log was received: so long after a receiver has acknowledged all of it, or after all has gone out and
    /// something shows that it can be heard, or until `linux.patience=` is over. Whether it was.
    pub fn await_reception(&mut self) -> bool {
        let patience = u64::from(self.parameters.linux.patience) * 1_000_000;
        let mut since = None;
        while self.netconsole.has_enabled_targets() {
            let busy = self.poll();
            let now = self.clock.now();
            let reception = match self.netconsole.reception() {
                _ if self.netconsole.is_behind() || self.netconsole.is_sending() || busy => {
                    Reception::Unheard
                }
                reception => reception,
            };
            let wait = match reception {
                Reception::Acknowledged => AFTER_ACKNOWLEDGEMENT,
                Reception::Heard => AFTER_SHIPPING,
                Reception::Unheard => u64::MAX,
            };
            let (known, begin) = *since.get_or_insert((reception, now));
            if known != reception {
                since = Some((reception, now));
            } else if now.saturating_sub(begin) >= wait {
                let waited = now.saturating_sub(begin) / 1000;
                log::info!("linux: {reception}, {waited} ms ago");
                return true;
            }
            if now >= patience {
                let seconds = self.parameters.linux.patience;
                log::warn!(
                    "linux: nothing shows that anybody heard the log: it ends after {seconds} s (linux.patience=)"
                );
                return false;
            }
        }
        false
    }

    /// Whether all of the log has gone out and something shows that it was heard.
    pub fn is_received(&self) -> bool {
        !self.netconsole.is_behind()
            && !self.netconsole.is_sending()
            && self.netconsole.reception() != Reception::Unheard
    }

    /// One look at everything; false where nothing is left to do before something happens.
    pub fn poll(&mut self) -> bool {
        let now = self.clock.now();
        let is_due = now >= self.look_at;
        if is_due {
            self.look_at = now + LOOK_INTERVAL * self.netconsole.running_targets();
            self.feed_watchdog(now);
            timer::let_firmware_tick();
            if let Some(serial) = &mut self.serial {
                serial.read(self.netconsole.terminal(), now);
            }
        }
        let busy = self.netconsole.poll();
        // The log first: serial is slow.
        if busy && !is_due {
            return true;
        }
        let showing = self.show();
        busy || showing
    }

    fn feed_watchdog(&mut self, now: u64) {
        if let Some(watchdog) = self.watchdog
            && now.saturating_sub(self.watchdog_fed_at) >= FEEDING_INTERVAL
        {
            self.watchdog_fed_at = now;
            watchdog.feed();
        }
    }

    /// Shows on serial what the port takes now; true where there is more.
    fn show(&mut self) -> bool {
        let Some(serial) = &mut self.serial else { return false };
        let common = self.netconsole.common();
        serial.poll(ring(), self.clock.timebase(), &common, self.netconsole.terminal())
    }
}
