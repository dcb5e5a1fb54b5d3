//! In place of the consoles where the crate was built without `console`: nothing is a command.

use crate::nic::pci::PciDevice;
use crate::targets::table::TargetTable;
use crate::wire::udp;

/// Nothing is typed, and what targets send is no command.
pub struct Consoles {
    input: bool,
}

impl Consoles {
    /// Consoles to which nothing comes.
    pub fn new(input: bool) -> Self {
        Self { input }
    }

    /// Says that commands are asked for in vain.
    pub fn announce(&self) {
        if self.input {
            log::warn!("netconsole: input: this kernel was built without commands");
        }
    }

    /// There is no `lspci`.
    pub fn found(&mut self, _device: PciDevice) -> bool {
        true
    }

    /// There is nothing to count.
    pub fn refuse(&mut self) {}

    /// No datagram is a command.
    pub fn take(&mut self, _targets: &TargetTable, _card: usize, _datagram: &udp::Received<'_>, _now: u64) {}
}
