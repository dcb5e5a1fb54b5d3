//! A hardware watchdog: without a sign of life for a number of seconds it resets the machine, and the next boot
//! ships the log that the hang left behind. Two are known: Intel's 6300ESB on the PCI bus (datasheet
//! 300641, chapter 15), and the TCO timer of the ICH9 (datasheet 316972, section 13.9), which the ICH10 and the
//! chipsets of series 5 to 9 have at the same place (their datasheets, the same section). In QEMU the first two
//! are tested; the others are untested.
//!
//! Both count down twice and reset at the second end. Neither gives an NMI at the first one (the 6300ESB
//! has an interrupt there, which nothing here waits for); where a board, or QEMU's
//! `-action watchdog=inject-nmi`, gives an NMI in the reset's stead, that goes through the panic path.

use super::clock::Deadline;
use super::firmware;
use super::pci::ConfigurationSpace;
use core::fmt;
use netconsole::guarded::Word;
use netconsole::nic::pci::{self, ConfigurationAccess, DeviceFunction, RootBuses};
use x86_64::instructions::port::Port;

/// How long the last words may take, in seconds: more than their deadlines add up to with every card at its
/// worst, and what a machine may hang where even those do not help.
const LAST_WORDS: u16 = 120;

/// The seconds that were asked for, for the panic path, which looks for the device again. 0 is no watchdog, and so is
/// what is damaged.
static SECONDS: Word = Word::new(0);

/// A watchdog that this machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watchdog {
    /// The 6300ESB: its function and the address of its registers.
    Esb(DeviceFunction, u32),
    /// A TCO timer: the first of its ports.
    Tco(u16),
}

impl fmt::Display for Watchdog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Esb(function, _) => write!(f, "i6300esb at {function}"),
            Self::Tco(port) => write!(f, "TCO timer at I/O {port:#x}"),
        }
    }
}

/// Why a watchdog would not reset the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unarmed {
    /// The chipset's registers, where resets are allowed, are turned off.
    OutOfReach,
    /// The board has NO_REBOOT set for good.
    NoReboot,
}

impl fmt::Display for Unarmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfReach => {
                "the chipset's registers (RCBA) are turned off, so that NO_REBOOT can't be cleared"
            }
            Self::NoReboot => "NO_REBOOT can't be cleared on this board",
        })
    }
}

impl core::error::Error for Unarmed {}

/// The 6300ESB.
mod esb {
    pub const ID: u32 = 0x25ab_8086;
    /// Configuration space, 16 bits: bits 0 and 1 what stage 1 gives (3: nothing), bit 2 the counting clock (0: 1 kHz),
    /// bit 5 no reset at the end of stage 2.
    pub const CONFIGURATION: u8 = 0x60;
    pub const NOTHING_AT_STAGE_1: u16 = 0b11;
    /// 8 bits; bit 1: it counts.
    pub const LOCK: u8 = 0x68;
    pub const ENABLE: u8 = 1 << 1;
    /// Registers: what both stages start from, and the reload.
    pub const STAGES: [u32; 2] = [0x00, 0x04];
    pub const RELOAD: u32 = 0x0c;
    /// Bit 8 of the reload register.
    pub const RELOAD_NOW: u16 = 1 << 8;
    /// What must be written to the reload register before each other write.
    pub const UNLOCK: [u16; 2] = [0x80, 0x86];
    /// Half of 1024 counts of about 1 ms.
    pub const COUNTS_PER_HALF_SECOND: u32 = 512;
}

/// The TCO timer. Its ports are relative to PMBASE + 0x60.
mod tco {
    use netconsole::nic::pci::DeviceFunction;

    /// Whether a function with these ids is the LPC bridge of such a chipset.
    pub fn is_bridge((vendor, device): (u16, u16)) -> bool {
        vendor == 0x8086
            && matches!(
                device,
                // ICH9 and ICH10.
                0x2910..=0x2919 | 0x3a14..=0x3a1a
                // Series 5, 6, 7, 8 and 9.
                | 0x3b00..=0x3b1f | 0x1c40..=0x1c5f | 0x1e40..=0x1e5f | 0x8c40..=0x8c5f | 0x8cc0..=0x8cdf
            )
    }

    pub const BRIDGE: DeviceFunction = DeviceFunction { bus: 0, device: 31, function: 0 };
    /// Configuration space: where the ACPI ports lie (bits 7 to 15), and the chipset's registers (bits 14
    /// to 31, bit 0: they are enabled).
    pub const PMBASE: u8 = 0x40;
    pub const RCBA: u8 = 0xf0;
    /// GCS, relative to RCBA; bit 5: no reset.
    pub const GCS: u32 = 0x3410;
    pub const NO_REBOOT: u32 = 1 << 5;
    pub const OFFSET: u16 = 0x60;
    pub const RELOAD: u16 = 0x00;
    /// Bit 3: the timer has ended once.
    pub const STATUS_1: u16 = 0x04;
    pub const TIMEOUT: u16 = 1 << 3;
    /// Bit 1: the timer has ended a second time; bit 2: and the boot after that has not begun. The second is cleared after
    /// the first.
    pub const STATUS_2: u16 = 0x06;
    pub const SECOND_TIMEOUT: u16 = 1 << 1;
    pub const BOOT: u16 = 1 << 2;
    /// Bit 11: the timer is halted.
    pub const CONTROL_1: u16 = 0x08;
    pub const HALT: u16 = 1 << 11;
    /// Ten bits of 0.6 s.
    pub const TIMER: u16 = 0x12;
    pub const TIMER_RANGE: core::ops::RangeInclusive<u16> = 4..=0x3ff;
}

impl Watchdog {
    /// The one that this machine has. Panic-safe.
    pub fn find() -> Option<Self> {
        let ports = ConfigurationSpace;
        let mut found = None;
        pci::for_each_function(&ports, RootBuses::FIRST, |function| {
            if ports.read_word(function, 0) == esb::ID {
                let registers = ports.read_word(function, 0x10) & !0xf;
                found = Some(Self::Esb(function, registers)).filter(|_| registers != 0).or(found);
            }
        });
        found.or_else(|| {
            let base = u16::try_from(ports.read_word(tco::BRIDGE, tco::PMBASE) & 0xff80).ok()?;
            let is_there = tco::is_bridge(pci::ids(&ports, tco::BRIDGE)) && base != 0;
            is_there.then(|| Self::Tco(base.wrapping_add(tco::OFFSET)))
        })
    }

    /// Whether it may reset the machine: somebody before this kernel has set it going, or it has counted since the reset and is
    /// not kept from it.
    pub fn is_running(self) -> bool {
        match self {
            Self::Esb(function, _) => {
                let [lock, ..] = ConfigurationSpace.read_word(function, esb::LOCK).to_le_bytes();
                lock & esb::ENABLE != 0
            }
            Self::Tco(base) => {
                let may_reset = chipset().is_ok_and(|chipset| read(chipset, tco::GCS) & tco::NO_REBOOT == 0);
                may_reset && input(base, tco::CONTROL_1) & tco::HALT == 0
            }
        }
    }

    /// Goes on feeding one that runs, with the time that the last words need, and tells the panic path of it.
    pub fn adopt(self) {
        self.count_from(LAST_WORDS);
        SECONDS.set(LAST_WORDS.into());
    }

    /// Has it reset the machine once `seconds` have passed without [`feed`](Self::feed), and tells the panic
    /// path of it. Refuses where the machine would not be reset. Panic-safe.
    pub fn arm(self, seconds: u16) -> Result<(), Unarmed> {
        if matches!(self, Self::Tco(_)) {
            allow_reboot()?;
        }
        self.count_from(seconds);
        SECONDS.set(seconds.into());
        Ok(())
    }

    fn count_from(self, seconds: u16) {
        match self {
            Self::Esb(function, registers) => {
                // PCI: it answers at its memory BAR.
                ConfigurationSpace::write_narrow(function, 0x04, 1u16 << 1);
                ConfigurationSpace::write_narrow(function, esb::LOCK, 0u8);
                ConfigurationSpace::write_narrow(function, esb::CONFIGURATION, esb::NOTHING_AT_STAGE_1);
                for stage in esb::STAGES {
                    unlock(registers);
                    write(registers, stage, u32::from(seconds).saturating_mul(esb::COUNTS_PER_HALF_SECOND));
                }
                self.feed();
                ConfigurationSpace::write_narrow(function, esb::LOCK, esb::ENABLE);
            }
            Self::Tco(base) => {
                // Half of the time, in units of 0.6 s, rounded up.
                let units = seconds.saturating_mul(5).div_ceil(6);
                let (first, last) = (*tco::TIMER_RANGE.start(), *tco::TIMER_RANGE.end());
                output(base, tco::TIMER, units.max(first).min(last));
                // Written as 1, these are cleared.
                output(base, tco::STATUS_1, tco::TIMEOUT);
                output(base, tco::STATUS_2, tco::SECOND_TIMEOUT);
                output(base, tco::STATUS_2, tco::BOOT);
                output(base, tco::CONTROL_1, input(base, tco::CONTROL_1) & !tco::HALT);
                self.feed();
            }
        }
    }

    /// A sign of life. Panic-safe.
    pub fn feed(self) {
        match self {
            Self::Esb(_, registers) => {
                unlock(registers);
                write(registers, esb::RELOAD, esb::RELOAD_NOW);
            }
            Self::Tco(base) => {
                output(base, tco::STATUS_1, tco::TIMEOUT);
                output(base, tco::RELOAD, 1);
            }
        }
    }

    fn halt(self) {
        match self {
            Self::Esb(function, _) => ConfigurationSpace::write_narrow(function, esb::LOCK, 0u8),
            Self::Tco(base) => output(base, tco::CONTROL_1, input(base, tco::CONTROL_1) | tco::HALT),
        }
    }
}

/// Where the chipset's registers lie.
fn chipset() -> Result<u32, Unarmed> {
    let rcba = ConfigurationSpace.read_word(tco::BRIDGE, tco::RCBA);
    let chipset = rcba & !0x3fff;
    let is_there = rcba & 1 != 0 && chipset != 0 && rcba != u32::MAX;
    is_there.then_some(chipset).ok_or(Unarmed::OutOfReach)
}

/// Clears the bit that keeps the TCO timer from resetting the machine, and looks whether it stays so.
fn allow_reboot() -> Result<(), Unarmed> {
    let chipset = chipset()?;
    write(chipset, tco::GCS, read(chipset, tco::GCS) & !tco::NO_REBOOT);
    if read(chipset, tco::GCS) & tco::NO_REBOOT != 0 { Err(Unarmed::NoReboot) } else { Ok(()) }
}

/// The watchdog that was armed, looked for again.
fn armed() -> Option<Watchdog> {
    SECONDS.get().filter(|&seconds| seconds > 0).and_then(|_| Watchdog::find())
}

/// Gives the last words two minutes, where a watchdog was armed: they are bounded, and where they hang all the
/// same the machine starts again. Panic-safe.
pub fn give_time() {
    if let Some(watchdog) = armed() {
        watchdog.count_from(LAST_WORDS);
    }
}

/// How long one of the firmware's calls may take in a panic, in seconds.
const FIRMWARE_CALL: u16 = 30;
/// How often the watchdog is fed that looks after them, in µs.
const FEEDING_INTERVAL: u64 = 1_000_000;

/// What starts the machine again where a call of the firmware does not come back. The firmware's own watchdog counts in its
/// timer's interrupts: it does not end a call that hangs with interrupts off.
pub struct FirmwareGuard {
    /// The chipset's watchdog, or none, but the firmware's own.
    watchdog: Option<Watchdog>,
    feed_at: Deadline,
}

impl FirmwareGuard {
    /// Where the firmware goes on beside this kernel: the chipset's watchdog, unless it was armed before, which counts on
    /// then, else the firmware's own. Panic-safe.
    pub fn arm() -> Option<Self> {
        if !firmware::stays() || armed().is_some() {
            return None;
        }
        let watchdog = guard_by_chipset();
        if watchdog.is_none() {
            firmware::services::set_watchdog(FIRMWARE_CALL);
        }
        Some(Self { watchdog, feed_at: Deadline::after(FEEDING_INTERVAL) })
    }

    /// The firmware has come back. Panic-safe.
    pub fn feed(&mut self) {
        if self.feed_at.has_come() {
            self.feed_at = Deadline::after(FEEDING_INTERVAL);
            match self.watchdog {
                Some(watchdog) => watchdog.feed(),
                None => firmware::services::set_watchdog(FIRMWARE_CALL),
            }
        }
    }

    /// The machine stays as it is from here on. Panic-safe.
    pub fn disarm(self) {
        match self.watchdog {
            Some(_) => stop(),
            None => firmware::services::set_watchdog(0),
        }
    }
}

/// Has the chipset's watchdog look after the firmware's reset, where the firmware goes on; whether it does. Panic-safe.
pub fn guard_reset() -> bool {
    firmware::stays() && guard_by_chipset().is_some()
}

/// Arms the chipset's watchdog for one call of the firmware, or leaves it as it was armed before; `None` where there is
/// none that resets this machine. Panic-safe.
fn guard_by_chipset() -> Option<Watchdog> {
    armed().or_else(|| Watchdog::find().filter(|watchdog| watchdog.arm(FIRMWARE_CALL).is_ok()))
}

/// Stops the watchdog, where one was armed: the machine stays as it is from here on. Panic-safe.
pub fn stop() {
    if let Some(watchdog) = armed() {
        watchdog.halt();
        SECONDS.set(0);
    }
}

fn unlock(registers: u32) {
    for word in esb::UNLOCK {
        write(registers, esb::RELOAD, word);
    }
}

fn write<T>(registers: u32, offset: u32, value: T) {
    let register = core::ptr::with_exposed_provenance_mut::<T>(registers.wrapping_add(offset) as usize);
    // SAFETY: a register of the chipset, whose address configuration space gave: below 4 GiB all is mapped, and
    // no Rust object lies there. The value only changes when the machine is reset.
    unsafe { register.write_volatile(value) }
}

fn read(registers: u32, offset: u32) -> u32 {
    let register = core::ptr::with_exposed_provenance::<u32>(registers.wrapping_add(offset) as usize);
    // SAFETY: as for writing.
    unsafe { register.read_volatile() }
}

fn output(base: u16, offset: u16, value: u16) {
    // SAFETY: a port of the TCO timer, which nothing else here uses; no memory is involved.
    unsafe { Port::new(base.wrapping_add(offset)).write(value) }
}

fn input(base: u16, offset: u16) -> u16 {
    // SAFETY: as for output.
    unsafe { Port::new(base.wrapping_add(offset)).read() }
}
