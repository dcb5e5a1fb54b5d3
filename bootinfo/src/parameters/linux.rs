//! What is about the log of a Linux that crashed: where it is, and how it goes out.

use super::value::{self, ValueError};
use netconsole::settings::number;

/// Parameters of the log of a Linux that crashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linux {
    /// The physical address of the ELF core header that describes that Linux's memory (`elfcorehdr=`, which kexec's loaders
    /// add).
    pub core_header: Option<u64>,
    /// Memory is searched for it, after a reset without kexec (`linux=scan`).
    pub scans: bool,
    /// What a boot before has sent is sent again (`linux=again`).
    pub again: bool,
    /// Whether its records say who logged them (`linux.caller=`).
    pub caller: bool,
    /// Its records with a lower level number go out (`linux.loglevel=`), 0 to 8.
    pub loglevel: u8,
    /// How long a machine stays where nothing shows that anybody heard the log, in seconds since the entry
    /// (`linux.patience=`).
    pub patience: u16,
}

impl Linux {
    /// The longest patience, in seconds.
    pub const MAX_PATIENCE: u16 = 3600;

    /// Where nothing is said.
    pub const DEFAULT: Self =
        Self { core_header: None, scans: false, again: false, caller: false, loglevel: 8, patience: 60 };

    /// False where there is no such parameter.
    pub(super) fn set(&mut self, name: &str, text: &str) -> Result<bool, ValueError> {
        match name {
            "elfcorehdr" => self.core_header = Some(value::address(text)?),
            "linux" if text == "scan" => self.scans = true,
            "linux" if text == "again" => (self.scans, self.again) = (true, true),
            // The library keeps to it.
            "linux.broadcast" => _ = number(text, 0_u8, 1)?,
            "linux" => return Err(ValueError::Scan),
            "linux.caller" => self.caller = number(text, 0_u8, 1)? == 1,
            "linux.loglevel" => self.loglevel = number(text, 0, 8)?,
            "linux.patience" => self.patience = number(text, 0, Self::MAX_PATIENCE)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}
