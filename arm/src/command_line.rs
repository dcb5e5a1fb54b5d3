//! The crash kernel's command line: with all that it needs to send, so that it need not ask anybody.

use crate::card::{self, Card};
use crate::error::ArmError;
use crate::network::{self, Way};
use crate::options::Options;
use crate::system::System;
use crate::target::{self, Target};
use log::Level;
use netconsole::host_name::HostName;
use netconsole::settings::{Settings, may_hold_key};
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// A command line.
#[derive(Debug)]
pub struct CommandLine {
    shown: String,
    key: Option<String>,
    warnings: Vec<String>,
}

impl CommandLine {
    /// As this system and the options have it.
    pub fn compose(system: &System, options: &Options) -> Result<Self, ArmError> {
        if may_hold_key(options.append.as_bytes()) {
            return Err(ArmError::KeyAppended);
        }
        let (mut words, mut warnings, mut address) = (Vec::new(), Vec::new(), None);
        for target in target::find(system, options)? {
            let way = network::way(system, &target)?;
            let cards = card::below(system, &way.device)?;
            warnings.extend(cards.warnings);
            if target.mac.is_none() && way.mac.is_none() {
                let hop = way.gateway.unwrap_or(target.ip);
                warnings.push(format!(
                    "{hop} does not answer for its Ethernet address: the crash kernel will ask again"
                ));
            }
            for card in &cards.cards {
                words.push(netconsole(&target, &way, card)?);
                add_user_data(&target, &mut words, &mut warnings);
            }
            address.get_or_insert(way);
        }
        words.extend(address.map(|way| ip(system, &way)));
        if system.read("sys/module/printk/parameters/time").is_some_and(|time| time == "N") {
            words.push("printk.time=0".to_string());
        }
        if shows_caller(system) {
            words.push("linux.caller=1".to_string());
        }
        if system.is_set("sys/module/netconsole/parameters/oops_only") {
            words.push("netconsole.oops_only=1".to_string());
        }
        words.extend(options.append.split_whitespace().map(str::to_string));
        let key = options.key_file.as_deref().map(read_key).transpose()?;
        warnings.dedup();
        let line = Self { shown: words.join(" "), key, warnings };
        line.check()?;
        Ok(line)
    }

    /// Reads the line as the kernel will: what that would ignore is refused while somebody can mend it.
    fn check(&self) -> Result<(), ArmError> {
        let mut first = None;
        Settings::parse(self.whole().as_bytes(), &mut |level, problem| {
            if level == Level::Error {
                first.get_or_insert_with(|| problem.to_string());
            }
        });
        first.map_or(Ok(()), |problem| Err(ArmError::BadLine(problem)))
    }

    /// The line without the key.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The whole line; it goes to the kernel and to nobody else.
    pub fn whole(&self) -> String {
        match &self.key {
            None => self.shown.clone(),
            Some(key) => format!("{} netconsole.key={key}", self.shown),
        }
    }

    /// What a person should know.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// One `netconsole=`: from this card to that target.
fn netconsole(target: &Target, way: &Way, card: &Card) -> Result<String, ArmError> {
    let device = match (card.vlan, card.place) {
        (None, _) => card.mac.clone(),
        // A VLAN has no Ethernet address of its own to name it by.
        (Some(vlan), Some(place)) => format!("eth{place}.{vlan}"),
        (Some(_), None) => return Err(ArmError::VlanPlace(way.device.clone())),
    };
    let Target { ip, port, local_port, format, mac, .. } = target;
    let mac = mac.as_ref().or(way.mac.as_ref()).map_or("", String::as_str);
    Ok(format!("netconsole={format}{local_port}@{}/{device},{port}@{ip}/{mac}", way.source))
}

/// Adds what ends the target's messages, for the `netconsole=` that was added last, as far as the kernel takes it.
fn add_user_data(target: &Target, words: &mut Vec<String>, warnings: &mut Vec<String>) {
    // As on Linux messages in another format have none.
    let items = target.user_data.iter().filter(|_| target.format.starts_with('+'));
    for (key, value) in items {
        let word = format!("netconsole.userdata={}={}", escape(key), escape(value));
        let line = format!("{} {word}", words.join(" "));
        let mut is_taken = key.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'=')
            && !value.contains(char::is_control)
            // Digits that look like a key would have it send nothing at all.
            && !may_hold_key(line.as_bytes());
        Settings::parse(line.as_bytes(), &mut |level, _| is_taken &= level != Level::Error);
        if is_taken {
            words.push(word);
        } else {
            warnings.push(format!(
                "{}: the kernel does not take the userdata '{key}', which is left out",
                target.ip
            ));
        }
    }
}

/// Bytes that would end a word, or are no ASCII, as `\x20`.
fn escape(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'"' | b'\\' => format!("\\x{byte:02x}"),
        byte if byte.is_ascii_graphic() => char::from(byte).to_string(),
        byte => format!("\\x{byte:02x}"),
    };
    text.bytes().map(escape).collect()
}

/// The machine's own address and name.
fn ip(system: &System, way: &Way) -> String {
    let mask =
        |prefix: u8| Ipv4Addr::from_bits(u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0));
    let (client, mask) = match way.source {
        IpAddr::V4(ip) => (ip.to_string(), mask(way.prefix).to_string()),
        IpAddr::V6(ip) => (format!("[{ip}]"), way.prefix.to_string()),
    };
    let gateway = match way.gateway {
        Some(IpAddr::V4(ip)) => ip.to_string(),
        Some(IpAddr::V6(ip)) => format!("[{ip}]"),
        None => String::new(),
    };
    // A name that the kernel does not take is left out: with it the kernel would ignore all of ip=. So is `(none)`, which
    // Linux says where nobody has given it a name.
    let name = system.read("proc/sys/kernel/hostname").and_then(|name| HostName::new(name.as_bytes()));
    let name = name.as_ref().map_or("", HostName::as_str);
    format!("ip={client}::{gateway}:{mask}:{name}::off")
}

/// Whether this Linux says who logged a record (CONFIG_PRINTK_CALLER): `6,416,5206736,-,caller=T1;text`.
fn shows_caller(system: &System) -> bool {
    let mut record = [0; 8192];
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(system.path("dev/kmsg"));
    let len = file.and_then(|mut file| file.read(&mut record)).unwrap_or(0);
    let text = String::from_utf8_lossy(record.get(..len).unwrap_or_default());
    text.split(';').next().is_some_and(|head| head.contains(",caller="))
}

/// The key of a file that nobody else may read.
fn read_key(path: &Path) -> Result<String, ArmError> {
    let bad = |what| ArmError::Key(path.to_path_buf(), what);
    let unread = |error| ArmError::File(path.to_path_buf(), error);
    let mut file = File::open(path).map_err(unread)?;
    let mode = file.metadata().map_err(unread)?.mode();
    if mode & 0o077 != 0 {
        return Err(bad("others may read the key: chmod 600"));
    }
    // Of the file that was looked at: at its path there may be another by now.
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(unread)?;
    let key = text.trim();
    if key.len() != 64 || !key.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(bad("expected 64 hexadecimal digits"));
    }
    Ok(key.to_string())
}
