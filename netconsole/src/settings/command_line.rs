//! Everything of a command line that is about the log and the network, whatever kernel it is.

use super::fallback::Fallback;
use super::key::{self, Likeness, may_hold_key};
use super::unknown::Meant;
use super::user_data::UserDataItems;
use super::value::{self, ValueError};
use super::{DeviceName, DeviceSelector, IpParameter, MAX_TARGETS, TargetConfig, parameter};
use crate::cmdline;
use crate::marked::Head;
use crate::seal::{Key, KeyStore, Secrecy};
use crate::wire::MacAddr;
use ::log::Level;
use core::fmt;
use core::net::IpAddr;

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

/// What a user sets of the log and the network; where something is not given or not valid, its default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A record goes to the targets when its level is lower (`loglevel`, `quiet`, `debug`), 0 to 8.
    pub loglevel: u8,
    /// All records go there.
    pub ignore_loglevel: bool,
    /// Whether basic messages begin with the time.
    pub printk_time: bool,
    /// The machine's own address.
    pub ip: IpParameter,
    /// The targets. They are not to be had without a decision about secrecy ([`targets`](Self::targets)).
    targets: Targets,
    user_data: UserDataItems,
    /// Whether the log of a Linux that died is sent, which may be found by what kexec says to its crash kernel
    /// (`elfcorehdr=`) or by a search of memory (`linux=scan`). It goes to whom the command line names, by the card that
    /// it names, and nowhere else.
    pub ships_another_log: bool,
    /// Whether that log may go to everybody in the network, where a target says so (`linux.broadcast=`).
    pub broadcasts_another_log: bool,
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
}

/// An address that is everybody's, or a group's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Everybody {
    /// The target's own.
    Ip(IpAddr),
    /// The Ethernet address that its frames would go to.
    Ethernet(MacAddr),
}

impl fmt::Display for Everybody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Ethernet(mac) => mac.fmt(f),
        }
    }
}

impl Settings {
    /// The longest `netconsole.carrier_timeout`, in seconds.
    pub const MAX_CARRIER_TIMEOUT: u16 = 3600;
    /// The highest `netconsole.panic_repeat`.
    pub const MAX_PANIC_REPEAT: u8 = 10;

    /// What an empty command line means.
    pub const DEFAULT: Self = Self {
        loglevel: 7,
        ignore_loglevel: false,
        printk_time: true,
        ip: IpParameter::DEFAULT,
        targets: Targets::NONE,
        user_data: UserDataItems::NONE,
        ships_another_log: false,
        broadcasts_another_log: true,
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
    };

    /// Reads a command line of parameters separated by blanks, `netconsole=@/,@10.0.2.2/ loglevel=8`. Of a parameter that
    /// is given several times the last valid one counts, but `netconsole=` adds up, and with a key that is not valid
    /// nothing goes out. Names that are unknown here are left alone, unless one of ours was probably meant. Each problem is
    /// one line for the log, without a line end, and its level; the parameter is then as if it had not been given.
    pub fn parse(command_line: &[u8], problem: &mut Problem<'_>) -> Self {
        Self::parse_with(command_line, problem, &mut |_, _, _| Ok::<_, ValueError>(false))
    }

    /// As [`parse`](Self::parse), with parameters of the kernel's own: `other` gets the name of each that is unknown here,
    /// whether it has no value, and the value. It returns false where it does not know the name, and what it expected
    /// where the value is not valid.
    pub fn parse_with<E: fmt::Display>(
        command_line: &[u8],
        problem: &mut Problem<'_>,
        other: &mut dyn FnMut(&str, bool, &str) -> Result<bool, E>,
    ) -> Self {
        let mut settings = Self { may_hold_key: may_hold_key(command_line), ..Self::DEFAULT };
        let mut is_misspelt = false;
        for parameter in cmdline::parameters(command_line) {
            match Likeness::of(&parameter) {
                Likeness::Key => {
                    let key = key::parse(&parameter);
                    settings.secrecy = key.map_or(Secrecy::Silent, |key| Secrecy::Sealed(Key(key)));
                }
                Likeness::Swallowed => {
                    settings.secrecy = Secrecy::Silent;
                    break;
                }
                Likeness::Misspelt => is_misspelt = true,
                // Its value is not shown, whatever is wrong with it.
                Likeness::Digits => settings.set(&parameter, &mut |_, _| {}, other),
                Likeness::None => settings.set(&parameter, problem, other),
            }
        }
        if is_misspelt && settings.secrecy == Secrecy::Clear {
            problem(Level::Error, format_args!("{}: a parameter has nearly this name", key::NAME));
            settings.secrecy = Secrecy::Silent;
        }
        if settings.secrecy == Secrecy::Silent {
            settings.silence();
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
        if !cfg!(feature = "seal") && matches!(settings.secrecy, Secrecy::Sealed(_)) {
            settings.silence();
            problem(
                Level::Error,
                format_args!(
                    "{}: this kernel was built without sealing; no target is started, so that nothing goes out in the clear",
                    key::NAME
                ),
            );
        }
        settings.fall_back(problem);
        settings
    }

    /// Has nothing go out: there may be a key, and it can't be read.
    pub fn silence(&mut self) {
        self.secrecy = Secrecy::Silent;
        self.targets = Targets::NONE;
        self.user_data = UserDataItems::NONE;
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
    /// use netconsole::settings::{SecrecyUndecided, Settings};
    ///
    /// static KEYS: KeyStore = KeyStore::new();
    ///
    /// # fn random_boot_id() -> BootId { BootId([7; 16]) }
    /// # fn main() -> Result<(), SecrecyUndecided> {
    /// let settings = Settings::parse(b"netconsole=@/,@10.0.2.2/", &mut |_, problem| println!("{problem}"));
    /// // With or without a key: before this there are no targets.
    /// assert!(settings.targets(&KEYS).is_err());
    /// KEYS.decide(&settings.secrecy, random_boot_id);
    /// for target in settings.targets(&KEYS)? {
    ///     println!("to {}", target.remote_ip);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn targets(&self, keys: &KeyStore) -> Result<&[TargetConfig], SecrecyUndecided> {
        if keys.keeps(&self.secrecy) { Ok(self.targets.as_slice()) } else { Err(SecrecyUndecided) }
    }

    /// Keys and values that the messages of the target of this place in [`targets`](Self::targets) end with
    /// (`netconsole.userdata=`), in order; of a key that comes twice the last one counts.
    pub fn user_data(&self, place: usize) -> impl Iterator<Item = (&str, &str)> {
        self.user_data.of(place)
    }

    /// Whether no frame may go to everybody or to a group, as all in a network would have the log of a Linux.
    pub fn spares_everybody(&self) -> bool {
        self.ships_another_log && !self.broadcasts_another_log
    }

    /// The address for which a target is not to be had, as it is [everybody's](Self::spares_everybody). A network's own is
    /// known only once the card's address is.
    pub fn refuses(&self, target: &TargetConfig) -> Option<Everybody> {
        let is_for_all = target.remote_ip == TargetConfig::REMOTE_IP || target.remote_ip.is_multicast();
        let ip = is_for_all.then_some(Everybody::Ip(target.remote_ip));
        let mac = target.remote_mac.filter(|mac| mac.is_multicast()).map(Everybody::Ethernet);
        ip.or(mac).filter(|_| self.spares_everybody())
    }

    /// The addresses that targets by this card are to be sent from, where they name one. A target that names no device is
    /// the first card's.
    pub fn source_addresses(&self, name: DeviceName, mac: MacAddr) -> impl Iterator<Item = IpAddr> {
        let is_its = move |target: &&TargetConfig| {
            target.device.is(name, mac) || target.device == DeviceSelector::Any && name == DeviceName::ETH0
        };
        self.targets.as_slice().iter().filter(is_its).filter_map(|target| target.local_ip)
    }

    fn set<E: fmt::Display>(
        &mut self,
        parameter: &cmdline::Parameter<'_>,
        problem: &mut Problem<'_>,
        other: &mut dyn FnMut(&str, bool, &str) -> Result<bool, E>,
    ) {
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
        let expected = &mut |what: &dyn fmt::Display| {
            problem(Level::Error, format_args!("{parameter}: expected {what}; ignored"));
        };
        match self.set_value(name, bare, text) {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => return expected(&error),
        }
        match other(name, bare, text) {
            Ok(true) => {}
            Ok(false) => self.name_what_was_meant(parameter, problem),
            Err(error) => expected(&error),
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
            "netconsole.userdata" if !self.asks_for_target || !self.user_data.add(text) => {
                return Err(ValueError::UserData);
            }
            "netconsole.userdata" => {}
            // Where that log lies is for the kernel to read.
            "elfcorehdr" => {
                self.ships_another_log = true;
                return Ok(false);
            }
            "linux.broadcast" => {
                self.broadcasts_another_log = text != "0";
                return Ok(false);
            }
            "linux" => {
                self.ships_another_log |= matches!(text, "scan" | "again");
                return Ok(false);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn add_targets(&mut self, value: &[u8], problem: &mut Problem<'_>) {
        let first = self.targets.len;
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
        self.user_data.are_for(first..self.targets.len);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Each item is for the targets of the parameter before it.
    #[cfg(feature = "user-data")]
    #[test]
    fn items_are_for_the_targets_before_them() {
        let line = br#"netconsole=+@/,@10.0.0.1/;+@/,@10.0.0.2/ netconsole.userdata=rack=b7 netconsole.userdata="site=a b"
            netconsole=+@/,@10.0.0.3/ netconsole.userdata=say=\x22x\x20y\x22\x5c=\xc3\xa4 netconsole.userdata=empty="#;
        let settings = Settings::parse(line, &mut |_, problem| panic!("{problem}"));
        let items = |place| settings.user_data(place).collect::<Vec<_>>();
        for place in [0, 1] {
            assert_eq!(items(place), [("rack", "b7"), ("site", "a b")]);
        }
        assert_eq!(items(2), [("say", "\"x y\"\\=\u{e4}"), ("empty", "")]);
        assert!(items(3).is_empty());
    }

    #[test]
    fn an_item_that_is_none_is_told() {
        let long = format!("k={}", "v".repeat(254));
        let many = "netconsole.userdata=k=v ".repeat(1024);
        for (line, is_told) in [
            ("netconsole.userdata=k=v netconsole=@/,@10.0.0.1/", true),
            ("netconsole=@/,@10.0.0.1/ netconsole.userdata=k", true),
            ("netconsole=@/,@10.0.0.1/ netconsole.userdata=k=\\xff", true),
            (&format!("netconsole=@/,@10.0.0.1/ netconsole.userdata={long}"), true),
            (&format!("netconsole=@/,@10.0.0.1/ {many}"), true),
            (&format!("netconsole=@/,@10.0.0.1/ netconsole.userdata={}", &long[1..]), false),
        ] {
            let mut problems = Vec::new();
            Settings::parse(line.as_bytes(), &mut |_, problem| problems.push(problem.to_string()));
            let expected = "expected KEY=VALUE behind the netconsole= that it is for";
            let told = problems.first().is_some_and(|problem| problem.contains(expected));
            assert_eq!(told, is_told || cfg!(not(feature = "user-data")), "{line}: {problems:?}");
        }
    }

    /// Of no device: the first card. Else the card of that name, or of that Ethernet address, and no other.
    #[test]
    fn a_target_s_source_address_is_its_own_card_s() {
        let line = b"netconsole=\"@10.0.0.1/,@10.0.0.9/;@10.0.1.1/eth1,@10.0.1.9/;@10.0.2.1/52:54:00:12:34:58,@10.0.2.9/\"";
        let settings = Settings::parse(line, &mut |_, problem| panic!("{problem}"));
        let addresses = |name: &str, last: u8| {
            let name = DeviceName::new(name).expect("a name");
            let mac = MacAddr([0x52, 0x54, 0, 0x12, 0x34, last]);
            settings.source_addresses(name, mac).map(|address| address.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(addresses("eth0", 0x56), ["10.0.0.1"]);
        assert_eq!(addresses("eth1", 0x57), ["10.0.1.1"]);
        assert_eq!(addresses("eth2", 0x58), ["10.0.2.1"]);
        assert_eq!(addresses("eth0", 0x58), ["10.0.0.1", "10.0.2.1"]);
        assert!(addresses("eth3", 0x59).is_empty());
    }
}
