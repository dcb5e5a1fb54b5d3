//! What the console is there to show and change.

use crate::network::{Neighbor, NetworkError, Sent};
use crate::ring::{Level, Ring, Timebase};
use crate::settings::DeviceName;
use crate::targets::Common;
use crate::targets::table::TargetTable;
use core::fmt;
use core::net::IpAddr;

/// The kernel, as the console's commands see it. No call blocks.
pub trait Host {
    /// µs since boot.
    fn now(&mut self) -> u64;
    /// The log.
    fn ring(&self) -> &'static Ring<'static>;
    /// What makes times of the log's ticks.
    fn timebase(&mut self) -> Timebase;
    /// The targets.
    fn targets(&mut self) -> &mut TargetTable;
    /// What of the log is shown, and how.
    fn common(&mut self) -> &mut Common;
    /// Resolves `address`. `begin` forgets the old answer. Without `device`, routing chooses the interface.
    fn neighbor(
        &mut self,
        address: IpAddr,
        device: Option<DeviceName>,
        begin: bool,
    ) -> Result<Neighbor, NetworkError>;
    /// Sends an echo request.
    fn ping(&mut self, address: IpAddr, sequence: u16) -> Result<Sent, NetworkError>;
    /// When the answer to an echo request came, in µs since boot.
    fn pong(&mut self, address: IpAddr, sequence: u16) -> Option<u64>;
    /// Writes the lines about the interface `number`; false where there is none.
    fn show_interface(&mut self, number: usize, out: &mut dyn fmt::Write) -> bool;
    /// Writes the lines about the PCI function `number`; false where there is none.
    fn show_pci_function(&mut self, number: usize, out: &mut dyn fmt::Write) -> bool;
    /// Logs a record, which somebody wrote.
    fn log(&mut self, level: Level, text: &str);
    /// The kernel's command line, keys wiped.
    fn command_line(&self) -> &dyn fmt::Display;
    /// Writes the kernel's build id.
    fn show_build_id(&mut self, out: &mut dyn fmt::Write) -> fmt::Result;
    /// The names of the crashes that can be provoked. Where there are none, `crash` is no command.
    fn crashes(&self) -> &'static [&'static str];
    /// Has this happen once the log and the answers have gone out.
    fn end(&mut self, ending: Ending);
}

/// How the machine ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It starts again.
    Reboot,
    /// It goes off.
    Poweroff,
    /// It crashes in this way, one of [`Host::crashes`].
    Crash(&'static str),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reboot => f.write_str("rebooting"),
            Self::Poweroff => f.write_str("powering off"),
            Self::Crash(name) => write!(f, "provoking {name}"),
        }
    }
}
