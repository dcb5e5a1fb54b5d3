//! All the kernel's parameters, read from the command line once, early in the boot.

#![forbid(unsafe_code)]

mod console;
mod crash;
mod linux;
mod value;
mod virtio_mmio;

pub use console::{Console, ConsoleError, Parity, SerialConsole};
pub use crash::{Crash, CrashError, CrashKind, CrashPlace};
pub use linux::Linux;
pub use value::ValueError;
pub use virtio_mmio::MmioDevices;

use core::ops::RangeInclusive;
use netconsole::cmdline;
use netconsole::settings::{Problem, Settings, number};

/// What the kernel does when the boot log has gone out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// It stays, answers, and takes commands.
    Serve,
    /// It powers the machine off.
    Poweroff,
    /// It starts the machine again.
    Reboot,
    /// It stops the CPU.
    Halt,
    /// It ends QEMU with a status.
    Exit,
}

/// Every parameter with a meaning here; where one is not given or not valid, its default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// What is about the log and the network.
    pub settings: Settings,
    /// Where the log is shown besides the network.
    pub console: Console,
    /// The log ring's size in bytes, a power of two in [`LOG_BUF_LEN`](Self::LOG_BUF_LEN).
    pub log_buf_len: usize,
    /// Seconds from the last words to a reboot, where it is said: 0 never, below 0 at once.
    pub panic: Option<i32>,
    /// After how many seconds without a sign of life the machine is reset; `None`: never.
    pub watchdog: Option<u16>,
    /// Where virtio devices over MMIO are.
    pub virtio_mmio: MmioDevices,
    /// Whether the firmware is to drive every card that it can (UEFI), or none (`netconsole.snp=`); where nothing is said, it
    /// drives those that there is no driver for, or none that was ever proven.
    pub firmware_cards: Option<bool>,
    /// What follows the boot log, where it is said.
    pub after: Option<After>,
    /// What is about the log of a Linux that crashed.
    pub linux: Linux,
    /// How many records to log as fast as possible.
    pub flood: u32,
    /// The length of their text in bytes, of which the flood's own text is repeated or cut.
    pub flood_length: u16,
    /// The crash to provoke.
    pub crash: Option<Crash>,
}

impl Parameters {
    /// The name of the parameter that says which cards the firmware drives.
    pub const FIRMWARE_CARDS: &str = "netconsole.snp";
    /// The sizes of the log ring, in bytes.
    pub const LOG_BUF_LEN: RangeInclusive<usize> = 64 << 10..=16 << 20;
    /// `flood.length` goes from its number's end to a datagram's longest text; the default is a line's.
    pub const MIN_FLOOD_LENGTH: u16 = 22;
    /// The longest text of a flood, in bytes.
    pub const MAX_FLOOD_LENGTH: u16 = 1000;
    /// The length of a flood's text, in bytes, where nothing is said.
    pub const FLOOD_LENGTH: u16 = 59;
    /// The longest `watchdog`, in seconds, that the chipsets' timers all reach.
    pub const MAX_WATCHDOG: u16 = 600;

    /// What an empty command line means.
    pub const DEFAULT: Self = Self {
        settings: Settings::DEFAULT,
        console: Console::Serial(SerialConsole::DEFAULT),
        log_buf_len: 256 << 10,
        panic: None,
        watchdog: None,
        virtio_mmio: MmioDevices::NONE,
        firmware_cards: None,
        after: None,
        linux: Linux::DEFAULT,
        flood: 0,
        flood_length: Self::FLOOD_LENGTH,
        crash: None,
    };

    /// Reads a command line as [`Settings::parse`] does.
    pub fn parse(command_line: &[u8], problem: &mut Problem<'_>) -> Self {
        let mut own = Self::DEFAULT;
        let settings =
            Settings::parse_with(command_line, problem, &mut |name, _, text| own.set_value(name, text));
        Self { settings, ..own }
    }

    /// What the command line says of the cards that the firmware is to drive, before there is memory for all parameters. It
    /// drives none where the log of another kernel is shipped, whose memory no device may write to any more.
    pub fn read_firmware_cards(command_line: &[u8]) -> Option<bool> {
        let mut wanted = None;
        for parameter in cmdline::parameters(command_line) {
            match (parameter.canonical_name(&mut [0; 32]), parameter.text()) {
                ("elfcorehdr", _) | ("linux", Some("scan" | "again")) => return Some(false),
                (Self::FIRMWARE_CARDS, Some("0")) => wanted = Some(false),
                (Self::FIRMWARE_CARDS, Some("1")) => wanted = Some(true),
                _ => {}
            }
        }
        wanted
    }

    /// False where there is no such parameter.
    fn set_value(&mut self, name: &str, text: &str) -> Result<bool, ValueError> {
        match name {
            // What only Linux has is left to it.
            "console" => self.console = Console::parse(text)?.unwrap_or(self.console),
            "log_buf_len" => {
                self.log_buf_len = value::size(text, *Self::LOG_BUF_LEN.start(), *Self::LOG_BUF_LEN.end())?;
            }
            "panic" => self.panic = Some(number(text, i32::MIN, i32::MAX)?),
            "watchdog" => {
                self.watchdog = Some(number(text, 0, Self::MAX_WATCHDOG)?).filter(|&s| s > 0);
            }
            "virtio_mmio.device" => self.virtio_mmio.add(text)?,
            Self::FIRMWARE_CARDS => self.firmware_cards = Some(number(text, 0_u8, 1)? == 1),
            "after" => self.after = Some(parse_after(text)?),
            "flood" => self.flood = number(text, 0, u32::MAX)?,
            "flood.length" => {
                self.flood_length = number(text, Self::MIN_FLOOD_LENGTH, Self::MAX_FLOOD_LENGTH)?;
            }
            "crash" => self.crash = Some(text.parse()?),
            _ => return self.linux.set(name, text),
        }
        Ok(true)
    }
}

fn parse_after(text: &str) -> Result<After, ValueError> {
    match text {
        "serve" => Ok(After::Serve),
        "poweroff" => Ok(After::Poweroff),
        "reboot" => Ok(After::Reboot),
        "halt" => Ok(After::Halt),
        "exit" => Ok(After::Exit),
        _ => Err(ValueError::After),
    }
}

#[cfg(test)]
mod tests;
