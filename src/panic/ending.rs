//! The last words go out, then what `panic=` and `after=` say. While the machine stays it still answers ARP and NDP,
//! sends again what a receiver misses, and at a `dmesg` from a target the whole ring; and a link that comes up gets
//! its log.

use super::line::Line;
use super::report;
use crate::log::has_begun;
use crate::machine::clock::Deadline;
use crate::machine::power::{self, Order};
use crate::machine::watchdog::{self, FirmwareGuard};
use crate::platform::ThisKernel;
use crate::serial_console::LastWords;
use bootinfo::parameters::{After, Parameters};
use netconsole::guarded::Word;
use netconsole::last_words::{Load, Report};

/// How long serial goes before the network, in µs: time for a report at 115,200 baud.
const SERIAL_FIRST: u64 = 300_000;
/// How long a machine that ends by itself waits for a link, in µs.
const LINK_PATIENCE: u64 = 10_000_000;
/// When the seconds of `panic=` begin at the latest, in µs; less than the watchdog's time.
const LOG_PATIENCE: u64 = 60_000_000;

/// How long a crash kernel that panics itself stays where nothing is said, in seconds: nobody is there to reset it.
const CRASH_KERNEL_STAYS: i32 = 10;

/// What to do after a panic, from the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// `panic=`: 0 stay, below 0 reboot at once, above 0 reboot that many seconds after the log has gone out.
    pub seconds: i16,
    /// `netconsole.panic_repeat=`: how often the report is sent again.
    pub repeat: u8,
    /// `after=exit`: end QEMU with the status for a panic, whatever `panic=` says.
    pub exit: bool,
}

/// The policy in force.
static POLICY: Word = Word::unset();

impl Policy {
    /// What the command line says. `panic=` beyond nine hours is nine hours.
    pub fn of(parameters: &Parameters) -> Self {
        let unsaid = if parameters.linux.core_header.is_some() { CRASH_KERNEL_STAYS } else { 0 };
        let seconds = parameters.panic.unwrap_or(unsaid).clamp(i16::MIN.into(), i16::MAX.into());
        Self {
            seconds: i16::try_from(seconds).unwrap_or(0),
            repeat: parameters.settings.panic_repeat,
            exit: parameters.after == Some(After::Exit),
        }
    }

    /// For a policy that was never set or is damaged: stay, so that nothing is lost by it.
    const DEFAULT: Self = Self { seconds: 0, repeat: 1, exit: false };

    /// Sets the policy for a panic from now on.
    pub fn set(self) {
        let [low, high] = self.seconds.to_le_bytes();
        let word = u32::from_le_bytes([low, high, self.repeat, u8::from(self.exit)]);
        POLICY.set(word.into());
    }

    fn get() -> Self {
        let Some(word) = POLICY.get() else { return Self::DEFAULT };
        let [low, high, repeat, exit, ..] = word.to_le_bytes();
        Self { seconds: i16::from_le_bytes([low, high]), repeat, exit: exit != 0 }
    }

    fn repeats(self) -> u8 {
        if self.exit { 0 } else { self.repeat.min(10) }
    }

    /// How long it waits for a link.
    fn link_patience(self) -> u64 {
        if self.exit || self.seconds < 0 { LINK_PATIENCE } else { LOG_PATIENCE }
    }
}

/// Sends the log to whom it is for, shows it on serial, and ends or stays. Before this boot's log has begun, what the ring has
/// is an earlier boot's, whose it is not known to be yet: then `what_happened` goes out alone.
pub fn last_words(what_happened: &Line) -> ! {
    let mut serial = LastWords::begin();
    // Serial first, for it is there even where a card makes trouble; but it may be slow.
    let head_start = Deadline::after(SERIAL_FIRST);
    while !serial.are_over() && !head_start.has_come() {
        serial.poll();
        core::hint::spin_loop();
    }
    let policy = Policy::get();
    let mut guard = FirmwareGuard::arm();
    let load = if has_begun() { Load::Log } else { Load::Fixed(what_happened.as_str()) };
    let mut shipment = begin(load, policy.repeats());
    loop {
        serial.poll();
        feed(&mut guard);
        shipment.poll();
        if serial.are_over() && shipment.has_ended(policy.link_patience()) {
            break;
        }
        core::hint::spin_loop();
    }
    if let Some(guard) = guard {
        guard.disarm();
    }
    if !has_begun() {
        // Under the number that it was sent with.
        report::emergency(what_happened);
    }
    if !policy.exit {
        // What is left may take as long as it likes.
        watchdog::stop();
        if let Ok(seconds) = u64::try_from(policy.seconds) {
            // But where the machine is to start again, a call of the firmware may not keep it from that.
            let mut guard = if seconds > 0 { FirmwareGuard::arm() } else { None };
            let deadline = Deadline::after(seconds.saturating_mul(1_000_000));
            while seconds == 0 || !deadline.has_come() {
                feed(&mut guard);
                shipment.poll();
                core::hint::spin_loop();
            }
        }
    }
    end()
}

/// Sends a fixed text alone.
pub fn fixed_text(text: &Line) {
    let mut guard = FirmwareGuard::arm();
    let mut shipment = begin(Load::Fixed(text.as_str()), 0);
    loop {
        feed(&mut guard);
        shipment.poll();
        if shipment.has_ended(Policy::get().link_patience()) {
            return;
        }
        core::hint::spin_loop();
    }
}

fn feed(guard: &mut Option<FirmwareGuard>) {
    if let Some(guard) = guard {
        guard.feed();
    }
}

type Shipment<'l> = netconsole::last_words::Shipment<'l, ThisKernel>;

fn begin(load: Load<'_>, repeats: u8) -> Shipment<'_> {
    // SAFETY: this is the panic path, on the only CPU and with interrupts off: what it interrupted never runs again, nor
    // does an earlier start of it.
    unsafe { Shipment::begin(load, Report::under_way::<ThisKernel>(), repeats) }
}

/// Ends the machine as the command line says.
pub fn end() -> ! {
    let policy = Policy::get();
    if policy.exit {
        power::exit(power::ExitCode::Panic)
    }
    if policy.seconds != 0 {
        power::reboot(if watchdog::guard_reset() { Order::FirmwareFirst } else { Order::FirmwareLast })
    }
    watchdog::stop();
    power::halt()
}
