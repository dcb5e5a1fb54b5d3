//! All the kernel's parameters, read from the command line once, early in the boot.

#![forbid(unsafe_code)]

mod console;
mod crash;
mod fallback;
mod key;
mod unknown;
mod value;
mod virtio_mmio;

pub use console::{Console, ConsoleError, Parity, SerialConsole};
pub use crash::{Crash, CrashError, CrashKind, CrashPlace};
pub use fallback::{Fallback, FallbackError};
pub use key::{may_hold_key, wipe_keys};
pub use value::ValueError;
pub use virtio_mmio::MmioDevices;

use core::fmt;
use core::net::IpAddr;
use core::ops::RangeInclusive;
use key::Likeness;
use log::Level;
use netconsole::cmdline;
use netconsole::marked::Head;
use netconsole::seal::{Key, KeyStore, Secrecy};
use netconsole::settings::IpParameter;
use netconsole::settings::{DeviceName, DeviceSelector, MAX_TARGETS, TargetConfig, parameter};
use netconsole::wire::MacAddr;
use unknown::Meant;

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

/// The targets of all `netconsole=`, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Targets {
    targets: [TargetConfig; MAX_TARGETS],
    len: usize,
}

impl Targets {
    const NONE: Self = Self { targets: [TargetConfig::DEFAULT; MAX_TARGETS], len: 0 };

    /// The targets.
    fn as_slice(&self) -> &[TargetConfig] {
        self.targets.get(..self.len).unwrap_or_default()
    }

    /// False where there is no room.
    fn push(&mut self, target: TargetConfig) -> bool {
        match self.targets.get_mut(self.len) {
            None => false,
            Some(slot) => {
                *slot = target;
                self.len = self.len.saturating_add(1);
                true
            }
        }
    }
}

/// Why the targets of a command line are not handed out: the key store was not told of that command line's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecrecyUndecided;

impl fmt::Display for SecrecyUndecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "no target is started: expected KeyStore::decide with the secrecy of the same command line before",
        )
    }
}

impl core::error::Error for SecrecyUndecided {}

/// Every parameter with a meaning here; where one is not given or not valid, its default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// A record goes to the console and the targets when its level is lower (`loglevel`, `quiet`,
    /// `debug`), 0 to 8.
    pub loglevel: u8,
    /// All records go there.
    pub ignore_loglevel: bool,
    /// Whether basic messages begin with the time.
    pub printk_time: bool,
    /// Where the log is shown besides the network.
    pub console: Console,
    /// The log ring's size in bytes, a power of two in [`LOG_BUF_LEN`](Self::LOG_BUF_LEN).
    pub log_buf_len: usize,
    /// Seconds from the last words to a reboot: 0 never, below 0 at once.
    pub panic: i32,
    /// After how many seconds without a sign of life the machine is reset; `None`: never.
    pub watchdog: Option<u16>,
    /// The machine's own address.
    pub ip: IpParameter,
    /// Where virtio devices over MMIO are.
    pub virtio_mmio: MmioDevices,
    /// The targets. They are not to be had without a decision about secrecy ([`targets`](Self::targets)).
    targets: Targets,
    /// Whether this is the crash kernel of a Linux: kexec says where that one's memory is described
    /// (`elfcorehdr=`).
    pub is_crash_kernel: bool,
    /// How many seconds the boot waits for a link.
    pub carrier_timeout: u16,
    /// Whether only what is logged in a panic goes to the targets.
    pub oops_only: bool,
    /// Whether targets may send commands.
    pub input: bool,
    /// Whether receivers may ask for lost records again.
    pub ncrx: bool,
    /// How often the crash report is sent again, 0 to 10.
    pub panic_repeat: u8,
    /// Whether ping is answered.
    pub echo: bool,
    /// Whether targets ship in the clear (`netconsole.key=`).
    pub secrecy: Secrecy,
    /// Whether a key may be anywhere in the command line.
    pub may_hold_key: bool,
    /// Whether the command line asks for a target, rightly or not.
    pub asks_for_target: bool,
    /// What is broadcast where it does and none could be taken.
    pub fallback: Fallback,
    /// What follows the boot log.
    pub after: After,
    /// How many records to log as fast as possible.
    pub flood: u32,
    /// The length of their text in bytes, of which the flood's own text is repeated or cut.
    pub flood_length: u16,
    /// The crash to provoke.
    pub crash: Option<Crash>,
}

impl Parameters {
    /// The sizes of the log ring, in bytes.
    pub const LOG_BUF_LEN: RangeInclusive<usize> = 64 << 10..=16 << 20;
    /// The longest `netconsole.carrier_timeout`, in seconds.
    pub const MAX_CARRIER_TIMEOUT: u16 = 3600;
    /// `flood.length` goes from its number's end to a datagram's longest text; the default is a line's.
    pub const MIN_FLOOD_LENGTH: u16 = 22;
    /// The longest text of a flood, in bytes.
    pub const MAX_FLOOD_LENGTH: u16 = 1000;
    /// The length of a flood's text, in bytes, where nothing is said.
    pub const FLOOD_LENGTH: u16 = 59;
    /// The longest `watchdog`, in seconds, that the chipsets' timers all reach.
    pub const MAX_WATCHDOG: u16 = 600;
    /// The highest `netconsole.panic_repeat`.
    pub const MAX_PANIC_REPEAT: u8 = 10;

    /// What an empty command line means.
    pub const DEFAULT: Self = Self {
        loglevel: 7,
        ignore_loglevel: false,
        printk_time: true,
        console: Console::Serial(SerialConsole::DEFAULT),
        log_buf_len: 256 << 10,
        panic: 0,
        watchdog: None,
        ip: IpParameter::DEFAULT,
        virtio_mmio: MmioDevices::NONE,
        targets: Targets::NONE,
        is_crash_kernel: false,
        carrier_timeout: 4,
        oops_only: false,
        input: false,
        ncrx: true,
        panic_repeat: 1,
        echo: true,
        secrecy: Secrecy::Clear,
        may_hold_key: false,
        asks_for_target: false,
        fallback: Fallback::Errors,
        after: After::Serve,
        flood: 0,
        flood_length: Self::FLOOD_LENGTH,
        crash: None,
    };

    /// Reads a command line. Of a parameter that is given several times the last valid one counts, but
    /// `netconsole=` adds up, and with a key that is not valid nothing goes out. Names that are unknown
    /// here are left alone, unless one of ours was probably meant. Each problem is one line for the log, without a line
    /// end, and its level; the parameter is then as if it had not been given.
    pub fn parse(command_line: &[u8], problem: &mut Problem<'_>) -> Self {
        let mut parameters = Self { may_hold_key: may_hold_key(command_line), ..Self::DEFAULT };
        let mut is_misspelt = false;
        for parameter in cmdline::parameters(command_line) {
            match Likeness::of(&parameter) {
                Likeness::Key => {
                    let key = key::parse(&parameter);
                    parameters.secrecy = key.map_or(Secrecy::Silent, |key| Secrecy::Sealed(Key(key)));
                }
                Likeness::Swallowed => {
                    parameters.secrecy = Secrecy::Silent;
                    break;
                }
                Likeness::Misspelt => is_misspelt = true,
                // Its value is not shown, whatever is wrong with it.
                Likeness::Digits => parameters.set(&parameter, &mut |_, _| {}),
                Likeness::None => parameters.set(&parameter, problem),
            }
        }
        if is_misspelt && parameters.secrecy == Secrecy::Clear {
            problem(Level::Error, format_args!("{}: a parameter has nearly this name", key::NAME));
            parameters.secrecy = Secrecy::Silent;
        }
        if parameters.secrecy == Secrecy::Silent {
            parameters.silence();
            // The value itself is not shown.
            problem(
                Level::Error,
                format_args!(
                    "{}: expected 64 hexadecimal digits, and no open quotes before it; no target is started, \
                     so that nothing goes out in the clear",
                    key::NAME
                ),
            );
        }
        parameters.fall_back(problem);
        parameters
    }

    /// Has nothing go out: there may be a key, and it can't be read.
    pub fn silence(&mut self) {
        self.secrecy = Secrecy::Silent;
        self.targets = Targets::NONE;
        self.input = false;
    }

    /// Whether what is wrong with the parameters is to be broadcast: no target could be taken though one was asked for,
    /// and nothing looks like a key.
    pub fn broadcasts_errors(&self) -> bool {
        self.has_mistaken_targets() && self.fallback == Fallback::Errors
    }

    fn has_mistaken_targets(&self) -> bool {
        self.asks_for_target && self.targets.len == 0 && self.secrecy == Secrecy::Clear && !self.may_hold_key
    }

    /// Says what is done where no target could be taken.
    fn fall_back(&mut self, problem: &mut Problem<'_>) {
        if !self.has_mistaken_targets() {
            return;
        }
        let what = match self.fallback {
            Fallback::Errors => "this and what is wrong is broadcast to port 6666, not the log",
            Fallback::Log => {
                self.targets.push(TargetConfig::DEFAULT);
                "the log is broadcast to port 6666, by netconsole.fallback=log"
            }
            Fallback::Off => "nothing is sent, by netconsole.fallback=off",
        };
        problem(Level::Error, format_args!("netconsole: no target could be taken: {what}"));
    }

    /// The targets of all `netconsole=`, in order: for a key store that has decided as the same command line asks, so
    /// that nobody ships in the clear what was to be sealed. Targets are started with that store.
    ///
    /// ```
    /// use netconsole::seal::{BootId, KeyStore};
    /// use bootinfo::parameters::{Parameters, SecrecyUndecided};
    ///
    /// static KEYS: KeyStore = KeyStore::new();
    ///
    /// # fn random_boot_id() -> BootId { BootId([7; 16]) }
    /// # fn main() -> Result<(), SecrecyUndecided> {
    /// let parameters = Parameters::parse(b"netconsole=@/,@10.0.2.2/", &mut |_, problem| println!("{problem}"));
    /// // With or without a key: before this there are no targets.
    /// assert!(parameters.targets(&KEYS).is_err());
    /// KEYS.decide(&parameters.secrecy, random_boot_id);
    /// for target in parameters.targets(&KEYS)? {
    ///     println!("to {}", target.remote_ip);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn targets(&self, keys: &KeyStore) -> Result<&[TargetConfig], SecrecyUndecided> {
        if keys.keeps(&self.secrecy) { Ok(self.targets.as_slice()) } else { Err(SecrecyUndecided) }
    }

    /// The addresses that targets by this card are to be sent from, where they name one. A target that names no device is
    /// the first card's.
    pub fn source_addresses(&self, name: DeviceName, mac: MacAddr) -> impl Iterator<Item = IpAddr> {
        let is_its = move |target: &&TargetConfig| {
            target.device.is(name, mac) || target.device == DeviceSelector::Any && name == DeviceName::ETH0
        };
        self.targets.as_slice().iter().filter(is_its).filter_map(|target| target.local_ip)
    }

    fn set(&mut self, parameter: &cmdline::Parameter<'_>, problem: &mut Problem<'_>) {
        let mut buffer = [0; 32];
        let name = parameter.canonical_name(&mut buffer);
        // The second is what Linux calls it where netconsole is a module.
        if matches!(name, "netconsole" | "netconsole.netconsole") {
            if name != "netconsole" {
                problem(Level::Warn, format_args!("netconsole: {name}= is taken for netconsole="));
            }
            self.asks_for_target = true;
            return self.add_targets(parameter.value.unwrap_or_default(), problem);
        }
        // No value of ours has other bytes than these in it, so U+FFFD stands for any other.
        let text = parameter.text().unwrap_or("\u{fffd}");
        let bare = parameter.value.is_none();
        if name == "ip" {
            match IpParameter::parse(text) {
                Ok(ip) => self.ip = ip,
                Err(error) => problem(Level::Error, format_args!("ip: {error}; ignored")),
            }
            return;
        }
        match self.set_value(name, bare, text) {
            Ok(true) => {}
            Ok(false) => self.name_what_was_meant(parameter, problem),
            Err(error) => problem(Level::Error, format_args!("{parameter}: expected {error}; ignored")),
        }
    }

    fn name_what_was_meant(&mut self, parameter: &cmdline::Parameter<'_>, problem: &mut Problem<'_>) {
        if self.asks_for_target && is_rest_of_target(parameter) {
            let hint = "a blank ends netconsole=; leave it out, or put quotes around the whole";
            return problem(
                Level::Error,
                format_args!("netconsole: '{}' is ignored: {hint}", Head::<64>(parameter.name)),
            );
        }
        let Some(meant) = Meant::of(parameter) else { return };
        self.asks_for_target |= meant == Meant::Targets;
        problem(Level::Error, format_args!("netconsole: '{parameter}' is not known and ignored: {meant}"));
    }

    /// False where there is no such parameter.
    fn set_value(&mut self, name: &str, bare: bool, text: &str) -> Result<bool, ValueError> {
        let switch = || value::switch(bare, text);
        match name {
            "loglevel" => self.loglevel = value::log_level(text)?,
            "quiet" if bare => self.loglevel = 4,
            "debug" if bare => self.loglevel = 8,
            "ignore_loglevel" => self.ignore_loglevel = switch()?,
            "printk.time" => self.printk_time = switch()?,
            // What only Linux has is left to it.
            "console" => self.console = Console::parse(text)?.unwrap_or(self.console),
            "log_buf_len" => {
                self.log_buf_len = value::size(text, *Self::LOG_BUF_LEN.start(), *Self::LOG_BUF_LEN.end())?;
            }
            "panic" => self.panic = value::number(text, i32::MIN, i32::MAX)?,
            "watchdog" => {
                self.watchdog = Some(value::number(text, 0, Self::MAX_WATCHDOG)?).filter(|&s| s > 0);
            }
            "virtio_mmio.device" => self.virtio_mmio.add(text)?,
            "netconsole.carrier_timeout" => {
                self.carrier_timeout = value::number(text, 0, Self::MAX_CARRIER_TIMEOUT)?;
            }
            "netconsole.oops_only" => self.oops_only = switch()?,
            "netconsole.input" => self.input = switch()?,
            "netconsole.ncrx" => self.ncrx = switch()?,
            "netconsole.panic_repeat" => {
                self.panic_repeat = value::number(text, 0, Self::MAX_PANIC_REPEAT)?;
            }
            "netconsole.echo" => self.echo = switch()?,
            "netconsole.fallback" => self.fallback = text.parse()?,
            "after" => self.after = parse_after(text)?,
            "flood" => self.flood = value::number(text, 0, u32::MAX)?,
            "flood.length" => {
                self.flood_length = value::number(text, Self::MIN_FLOOD_LENGTH, Self::MAX_FLOOD_LENGTH)?;
            }
            "elfcorehdr" => self.is_crash_kernel = true,
            "crash" => self.crash = Some(text.parse()?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn add_targets(&mut self, value: &[u8], problem: &mut Problem<'_>) {
        for parsed in parameter::targets(value) {
            match parsed.target {
                Err(error) => problem(Level::Error, format_args!("netconsole: {error}")),
                Ok(target) => {
                    if !self.targets.push(target) {
                        problem(
                            Level::Error,
                            format_args!(
                                "netconsole: '{target}' is one more than {MAX_TARGETS} targets, aborting"
                            ),
                        );
                    }
                }
            }
            for warning in parsed.warnings.iter() {
                problem(warning.level(), format_args!("netconsole: {warning}"));
            }
        }
    }
}

/// Takes a line about a problem, and its level.
pub type Problem<'p> = dyn FnMut(Level, fmt::Arguments<'_>) + 'p;

/// Whether it looks like the end of a `netconsole=` that has a blank in it: `@10.0.0.2/`.
fn is_rest_of_target(parameter: &cmdline::Parameter<'_>) -> bool {
    let mut parts = parameter.name.splitn(2, |&byte| byte == b'@');
    let (port, rest) = (parts.next().unwrap_or_default(), parts.next());
    parameter.value.is_none()
        && port.iter().all(u8::is_ascii_digit)
        && rest.is_some_and(|rest| rest.contains(&b'/'))
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
