//! The systemd journal: entries for a journald on this host, by its native protocol, or for a systemd-journal-remote,
//! in the Journal Export Format. Only there the sender can be `_HOSTNAME`: from a program journald takes no field that
//! begins with an underscore.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};

use super::delivery::{Delivery, Failure};
use super::entry::{Encode, Entry, Key, Value};
use crate::output::lane::Batch;

/// A field's name has at most so many characters.
const NAME_BYTES: usize = 64;
/// The socket's buffer, as systemd's own programs have it.
const BUFFER_BYTES: usize = 8 << 20;
/// How long one entry may take.
const WRITE_MOST: Duration = Duration::from_secs(5);

/// Writes entries.
#[derive(Debug)]
pub struct Entries {
    /// They are for systemd-journal-remote.
    export: bool,
    /// Boots are told apart by sender, and by run.
    run: [RandomState; 2],
}

impl Entries {
    /// For systemd-journal-remote, or for journald.
    pub fn new(export: bool) -> Self {
        Entries { export, run: [RandomState::new(), RandomState::new()] }
    }

    /// What only a journal's own fields may begin with.
    fn mark(&self) -> &'static str {
        if self.export { "_" } else { "" }
    }
}

impl Encode for Entries {
    fn encode(&mut self, to: &mut Vec<u8>, entry: &Entry<'_>) {
        let sender = &entry.heard.sender;
        let record = entry.record();
        let origin = record.and_then(|record| record.origin.as_deref());
        let micros = entry.at.as_micros().to_string();
        if self.export {
            field(to, "__REALTIME_TIMESTAMP", &micros);
            let since_boot = record.and_then(|record| record.timestamp).unwrap_or_default();
            field(to, "__MONOTONIC_TIMESTAMP", &since_boot.to_string());
            let [high, low] = [0, 1].map(|half| self.run.get(half).map(|run| run.hash_one(&sender.name)));
            field(to, "_BOOT_ID", &format!("{:016x}{:016x}", high.unwrap_or(1), low.unwrap_or(1)));
            field(to, "_HOSTNAME", &sender.name);
            let is_kernel = record.is_some() && origin.is_none();
            field(to, "_TRANSPORT", if is_kernel { "kernel" } else { "syslog" });
        } else {
            field(to, "NETCONSOLE_RECEIVED", &micros);
        }
        field(to, "NETCONSOLE_SENDER", &sender.name);
        field(to, "NETCONSOLE_ADDRESS", &sender.address.ip().to_string());
        field(to, "MESSAGE", &entry.text());
        field(to, "PRIORITY", &entry.priority().to_string());
        field(to, "SYSLOG_FACILITY", &entry.facility().to_string());
        let application = origin.and_then(|origin| origin.application.as_deref());
        field(to, "SYSLOG_IDENTIFIER", application.unwrap_or(entry.speaker()));
        if let Some(process) = origin.and_then(|origin| origin.process.as_deref()) {
            field(to, "SYSLOG_PID", process);
        }
        entry.each(|key, value| {
            let name = match key {
                Key::Own("application" | "process") => return,
                Key::Own(key) => name("NETCONSOLE_", key),
                // As journald calls what it reads of the kernel's log: _KERNEL_SUBSYSTEM, _KERNEL_DEVICE.
                Key::Field(key) => name(&format!("{}KERNEL_", self.mark()), key),
            };
            match value {
                Value::Text(text) => field(to, &name, text),
                Value::Number(number) => field(to, &name, &number.to_string()),
                Value::Yes => field(to, &name, "1"),
            }
        });
        if self.export {
            to.push(b'\n');
        }
    }
}

/// `NAME=value`; where the value has several lines, its length in front of it.
fn field(to: &mut Vec<u8>, name: &str, value: &str) {
    to.extend_from_slice(name.as_bytes());
    if value.contains(|character: char| character.is_control()) {
        to.push(b'\n');
        to.extend_from_slice(&u64::try_from(value.len()).unwrap_or_default().to_le_bytes());
    } else {
        to.push(b'=');
    }
    to.extend_from_slice(value.as_bytes());
    to.push(b'\n');
}

/// Capital letters, digits and underscores.
fn name(prefix: &str, key: &str) -> String {
    let mut name = prefix.to_owned();
    name.extend(key.chars().map(|character| match character.to_ascii_uppercase() {
        capital @ ('A'..='Z' | '0'..='9') => capital,
        _ => '_',
    }));
    name.truncate(NAME_BYTES);
    name
}

/// The way to the journald of this host.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
    socket: Option<UnixDatagram>,
    /// Entries of the present batch that were taken.
    sent: usize,
    /// Entries of it that are longer than the journal takes.
    too_long: u64,
}

impl Socket {
    /// To the socket at this path.
    pub fn new(path: PathBuf) -> Self {
        Socket { path, socket: None, sent: 0, too_long: 0 }
    }

    fn open(&self) -> io::Result<UnixDatagram> {
        let socket = UnixDatagram::unbound()?;
        // With a smaller one the longest reports are refused.
        let _ = setsockopt(&socket, sockopt::SndBuf, &BUFFER_BYTES);
        socket.set_write_timeout(Some(WRITE_MOST))?;
        socket.connect(&self.path)?;
        Ok(socket)
    }

    fn put(&mut self, batch: &Batch) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => self.open()?,
        };
        for (_, entry) in batch.records().skip(self.sent) {
            match socket.send(entry) {
                // It never fits.
                Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => {
                    self.too_long = self.too_long.saturating_add(1);
                }
                sent => drop(sent?),
            }
            self.sent = self.sent.saturating_add(1);
        }
        self.sent = 0;
        self.socket = Some(socket);
        Ok(())
    }
}

impl Delivery for Socket {
    const LINGER: Duration = Duration::ZERO;

    fn deliver(&mut self, batch: &Batch) -> Result<(), Failure> {
        self.put(batch).map_err(|error| Failure::again(format!("{}: {error}", self.path.display())))?;
        match std::mem::take(&mut self.too_long) {
            0 => Ok(()),
            count => Err(Failure::Refused(count, "longer than the journal takes".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_as_the_journal_wants_them() {
        assert_eq!(name("_KERNEL_", "a-key.1"), "_KERNEL_A_KEY_1");
        assert_eq!(name("N_", &"x".repeat(99)).len(), NAME_BYTES);
        let mut bytes = Vec::new();
        field(&mut bytes, "A", "b=c");
        field(&mut bytes, "D", "e\nf");
        assert_eq!(bytes, b"A=b=c\nD\n\x03\0\0\0\0\0\0\0e\nf\n");
    }
}
