//! Where the log goes: as it was said, else as Linux's own netconsole sends it, so that a receiver knows the stream again.

use crate::error::ArmError;
use crate::options::Options;
use crate::system::System;
use netconsole::seal::{BootId, KeyStore, Secrecy};
use netconsole::settings::{Format, Settings, TargetConfig, may_hold_key};
use std::net::IpAddr;

/// A target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub ip: IpAddr,
    pub port: u16,
    pub local_port: u16,
    /// The address that Linux sends from, where it was told.
    pub local_ip: Option<IpAddr>,
    /// `+`, `r`, or nothing, as before the `@` of `netconsole=`.
    pub format: &'static str,
    /// Who gets the frames, where Linux was told.
    pub mac: Option<String>,
    /// The device that Linux uses.
    pub device: Option<String>,
    /// Keys and values that Linux ends each message with.
    pub user_data: Vec<(String, String)>,
}

/// The port that Linux's netconsole sends from where nothing is said.
const LOCAL_PORT: u16 = 6665;

/// The targets: the one of the options, else those of configfs and of the module's options or the command line.
pub fn find(system: &System, options: &Options) -> Result<Vec<Target>, ArmError> {
    let lines = Lines::read(system);
    // A log that was to be sealed does not go out in the clear.
    if options.key_file.is_none() && lines.have_key() {
        return Err(ArmError::KeyOfLinux);
    }
    let mut known = of_configfs(system);
    // Linux calls those `cmdline0` and so on, and one that configfs has is as it is there.
    let of_lines = lines.targets()?.into_iter().enumerate();
    let of_lines = of_lines.filter(|(number, target)| {
        let is_same = |other: &Target| (other.ip, other.port) == (target.ip, target.port);
        !system.exists(format!("{TREE}/cmdline{number}")) && !known.iter().any(is_same)
    });
    let of_lines: Vec<Target> = of_lines.map(|(_, target)| target).collect();
    known.extend(of_lines);
    let Some(to) = options.to else {
        return if known.is_empty() { Err(ArmError::NoTarget) } else { Ok(known) };
    };
    // What Linux's netconsole sends there already, it goes on with.
    let same = known.into_iter().find(|target| (target.ip, target.port) == (to.ip(), to.port()));
    let new = Target {
        ip: to.ip(),
        port: to.port(),
        local_port: LOCAL_PORT,
        local_ip: None,
        format: "+r",
        mac: None,
        device: None,
        user_data: Vec::new(),
    };
    Ok(vec![same.unwrap_or(new)])
}

const TREE: &str = "sys/kernel/config/netconsole";

/// The targets that are enabled in configfs.
fn of_configfs(system: &System) -> Vec<Target> {
    let target = |name: String| {
        let read = |attribute: &str| system.read(format!("{TREE}/{name}/{attribute}"));
        if read("enabled")? != "1" {
            return None;
        }
        let is_set = |attribute: &str| read(attribute).is_some_and(|text| text == "1");
        let ip: IpAddr = read("remote_ip")?.parse().ok()?;
        let is_like = |own: &IpAddr| own.is_ipv4() == ip.is_ipv4() && !own.is_unspecified();
        Some(Target {
            ip,
            port: read("remote_port")?.parse().ok()?,
            local_port: read("local_port")?.parse().ok()?,
            local_ip: read("local_ip").and_then(|own| own.parse().ok()).filter(is_like),
            format: match (is_set("extended"), is_set("release")) {
                (true, true) => "+r",
                (true, false) => "+",
                (false, _) => "",
            },
            mac: read("remote_mac").filter(|mac| mac != "ff:ff:ff:ff:ff:ff"),
            device: read("dev_name").filter(|name| !name.is_empty()),
            user_data: user_data(system, &format!("{TREE}/{name}/userdata")),
        })
    };
    system.list(TREE).into_iter().filter_map(target).collect()
}

/// The items in this directory that have a value: Linux sends no others.
fn user_data(system: &System, directory: &str) -> Vec<(String, String)> {
    let item = |key: String| {
        let value = system.read(format!("{directory}/{key}/value"))?;
        (!value.is_empty()).then_some((key, value))
    };
    system.list(directory).into_iter().filter_map(item).collect()
}

/// Where Linux was told of its netconsole, besides configfs.
struct Lines {
    /// The options of the module, in sysfs and modprobe.d.
    module: Vec<String>,
    command_line: Option<String>,
}

impl Lines {
    fn read(system: &System) -> Self {
        let mut module = Vec::new();
        if system.exists("sys/module/netconsole") {
            let parameter = system.read("sys/module/netconsole/parameters/netconsole");
            module.extend(parameter.map(|value| format!("netconsole=\"{}\"", value.trim_matches('"'))));
            for name in system.list("etc/modprobe.d") {
                let text = system.read(format!("etc/modprobe.d/{name}")).unwrap_or_default();
                let options = text.lines().filter_map(|line| line.trim().strip_prefix("options netconsole "));
                module.extend(options.map(str::to_string));
            }
        }
        Self { module, command_line: system.read("proc/cmdline") }
    }

    fn all(&self) -> impl Iterator<Item = &String> {
        self.module.iter().chain(&self.command_line)
    }

    /// Whether one of them asks for a sealed log, or has what may be a key of netconsole's. Other parameters of Linux's have
    /// as many digits (`roothash=`).
    fn have_key(&self) -> bool {
        let mut words = self.command_line.iter().flat_map(|line| line.split_whitespace());
        self.all().any(|line| Settings::parse(line.as_bytes(), &mut |_, _| {}).secrecy != Secrecy::Clear)
            || self.module.iter().any(|line| may_hold_key(line.as_bytes()))
            || words
                .any(|word| word.to_ascii_lowercase().contains("netconsole") && may_hold_key(word.as_bytes()))
    }

    /// The targets of the first line that has any.
    fn targets(&self) -> Result<Vec<Target>, ArmError> {
        for line in self.all() {
            let targets = parse(line)?;
            if !targets.is_empty() {
                return Ok(targets);
            }
        }
        Ok(Vec::new())
    }
}

/// The targets of all `netconsole=` in a line, by the kernel's own parser.
fn parse(line: &str) -> Result<Vec<Target>, ArmError> {
    let mut problem = None;
    let settings = Settings::parse(line.as_bytes(), &mut |level, text| {
        if level == log::Level::Error && problem.is_none() {
            problem = Some(text.to_string());
        }
    });
    let keys = KeyStore::new();
    keys.decide(&settings.secrecy, || BootId([0; 16]));
    let targets = settings.targets(&keys).unwrap_or_default();
    if targets.is_empty()
        && settings.asks_for_target
        && let Some(problem) = problem
    {
        return Err(ArmError::BadTarget(problem));
    }
    Ok(targets.iter().map(of_config).collect())
}

fn of_config(config: &TargetConfig) -> Target {
    Target {
        ip: config.remote_ip,
        port: config.remote_port,
        local_port: config.local_port,
        local_ip: config.local_ip,
        format: match config.format {
            Format::Basic => "",
            Format::Extended { release: true } => "+r",
            Format::Extended { release: false } => "+",
            Format::Syslog => "s",
        },
        mac: config.remote_mac.map(|mac| mac.to_string()).filter(|mac| mac != "ff:ff:ff:ff:ff:ff"),
        device: Some(config.device.to_string()).filter(|name| name != "*"),
        user_data: Vec::new(),
    }
}
