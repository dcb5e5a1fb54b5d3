//! The consoles, on serial and for targets.

use crate::console::{Ending, Remote, Terminal};
use crate::network::Conversation;
use crate::nic::pci::PciDevice;
use crate::targets::table::TargetTable;
use crate::wire::udp;

/// How many PCI functions `lspci` knows.
const MAX_FUNCTIONS: usize = 32;

/// What is typed and what targets send.
pub struct Consoles {
    /// The terminal at the serial port.
    pub terminal: Terminal,
    pub(super) remote: Remote,
    /// Whether targets may send commands (`netconsole.input`).
    input: bool,
    /// What was asked for and is to happen.
    pub(super) ending: Option<Ending>,
    /// What was found on the PCI buses.
    pub(super) functions: [Option<PciDevice>; MAX_FUNCTIONS],
}

impl Consoles {
    /// Consoles of which nothing has come yet.
    pub fn new(input: bool) -> Self {
        Self {
            terminal: Terminal::new(),
            remote: Remote::new(),
            input,
            ending: None,
            functions: [None; MAX_FUNCTIONS],
        }
    }

    /// Says whether targets may send commands.
    pub fn announce(&self) {
        if self.input {
            log::info!(
                "netconsole: input: commands are taken from the targets' addresses; 'help' lists them"
            );
        }
    }

    /// Keeps what was found on the PCI buses, for `lspci`, in place of what was found there before; false where it is the same.
    pub fn found(&mut self, device: PciDevice) -> bool {
        let is_its =
            |slot: &&mut Option<PciDevice>| slot.is_none_or(|known| known.function == device.function);
        let Some(slot) = self.functions.iter_mut().find(is_its) else { return true };
        slot.replace(device) != Some(device)
    }

    /// Counts a datagram that was refused before anybody looked at what it says.
    pub fn refuse(&mut self) {
        self.remote.refuse();
    }

    /// Takes a datagram that arrived at `card`, its number among the cards, at `now` µs.
    pub fn take(&mut self, targets: &TargetTable, card: usize, datagram: &udp::Received<'_>, now: u64) {
        // What ncrx's receivers send is no command.
        if !self.input || datagram.payload.starts_with(b"ncrx") {
            return;
        }
        if !targets.may_command(card, datagram) {
            return self.remote.refuse();
        }
        let conversation =
            Conversation { local: datagram.destination, remote: datagram.source, vlan: datagram.vlan, card };
        self.remote.take(conversation, datagram.payload, now);
    }

    /// How the machine is to end, if somebody asked for it.
    pub fn take_ending(&mut self) -> Option<Ending> {
        self.ending.take()
    }

    /// What became of the targets' datagrams, where they are taken.
    pub fn counters(&self) -> Option<crate::console::Counters> {
        self.input.then(|| self.remote.counters())
    }
}
