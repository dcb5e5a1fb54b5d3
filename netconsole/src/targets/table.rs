//! The table of targets, those of the command line and those made since.

use super::user_data::UserData;
use crate::settings::{Format, MAX_TARGETS, TargetConfig};
use crate::targets::{Common, Target, TargetName};
use crate::wire::udp;
use core::fmt;

/// All targets. Each keeps its number from when it is made to when it is removed: positions in the log
/// and items are kept by it.
pub struct TargetTable {
    targets: [Option<Target>; MAX_TARGETS],
    user_data: &'static mut UserData,
}

/// Why a target can't be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableError {
    /// There is one of this name.
    Exists,
    /// The name is empty, too long, or has a character that a path can't have.
    Name,
    /// There are [`MAX_TARGETS`].
    Full,
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists => f.write_str("File exists"),
            Self::Name => write!(
                f,
                "expected a name of 1 to {} printable ASCII characters without blanks and '/'",
                TargetName::MAX
            ),
            Self::Full => write!(f, "No space left: there can be {MAX_TARGETS} targets"),
        }
    }
}

impl core::error::Error for TableError {}

impl TargetTable {
    /// No targets; `user_data` is for their items.
    pub const fn new(user_data: &'static mut UserData) -> Self {
        Self { targets: [const { None }; MAX_TARGETS], user_data }
    }

    /// All targets, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &Target> {
        self.targets.iter().flatten()
    }

    /// All targets, in the order of their numbers.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Target> {
        self.targets.iter_mut().flatten()
    }

    /// All targets, each with its number.
    pub fn numbered(&self) -> impl Iterator<Item = (usize, &Target)> {
        self.targets.iter().enumerate().filter_map(|(number, target)| Some((number, target.as_ref()?)))
    }

    /// The target of a number, with what its messages end with: nothing but in the extended format.
    pub fn with_user_data(&mut self, number: usize) -> Option<(&mut Target, &[u8])> {
        let target = self.targets.get_mut(number)?.as_mut()?;
        let is_extended = matches!(target.config.format, Format::Extended { .. });
        Some((target, if is_extended { self.user_data.lines(number) } else { &[] }))
    }

    /// The target of a number.
    pub fn get(&self, number: usize) -> Option<&Target> {
        self.targets.get(number)?.as_ref()
    }

    /// The target of a number.
    pub fn get_mut(&mut self, number: usize) -> Option<&mut Target> {
        self.targets.get_mut(number)?.as_mut()
    }

    /// Whether a datagram that arrived at the card of this place may be a command of a target that runs on it.
    pub fn may_command(&self, card: usize, datagram: &udp::Received<'_>) -> bool {
        self.iter().any(|target| target.may_command(card, datagram))
    }

    /// Gives a datagram that arrived at `now` µs, at the card of this place, to the targets that use it:
    /// it may be a receiver's answer by the ncrx protocol.
    pub fn hear(&mut self, card: usize, datagram: &udp::Received<'_>, common: &Common, now: u64) {
        for target in self.iter_mut() {
            target.hear(card, datagram, common, now);
        }
    }

    /// The number of the target of a name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.numbered().find(|(_, target)| target.name() == name).map(|(number, _)| number)
    }

    /// The items of all targets.
    pub fn user_data(&self) -> &UserData {
        self.user_data
    }

    /// The items of all targets.
    pub fn user_data_mut(&mut self) -> &mut UserData {
        self.user_data
    }

    /// Makes a disabled target with the defaults, under `name`.
    pub fn create(&mut self, name: &str) -> Result<&mut Target, TableError> {
        let is_foreign = |byte: u8| !byte.is_ascii_graphic() || byte == b'/';
        let valid =
            TargetName::new(name).filter(|_| !name.bytes().any(is_foreign) && name != "." && name != "..");
        let name = valid.ok_or(TableError::Name)?;
        if self.find(name.as_str()).is_some() {
            return Err(TableError::Exists);
        }
        self.insert(name, TargetConfig::DEFAULT)
    }

    /// Makes a target as `netconsole=` does, under the first free name of `cmdline0`, `cmdline1`, ….
    pub fn add(&mut self, config: TargetConfig) -> Result<&mut Target, TableError> {
        let mut names = (0..=99).map(TargetName::of_command_line);
        let name = names.find(|name| self.find(name.as_str()).is_none()).ok_or(TableError::Full)?;
        self.insert(name, config)
    }

    fn insert(&mut self, name: TargetName, config: TargetConfig) -> Result<&mut Target, TableError> {
        let free = self.targets.iter_mut().find(|slot| slot.is_none());
        Ok(free.ok_or(TableError::Full)?.insert(Target::new(name, config)))
    }

    /// Stops and removes a target, and its items.
    pub fn remove(&mut self, number: usize) {
        if let Some(mut target) = self.targets.get_mut(number).and_then(Option::take) {
            target.disable();
            self.user_data.clear(number);
        }
    }
}
