//! The consoles, on serial and for targets, and the kernel as their commands see it.

use crate::card::Card;
use crate::log::ring;
use crate::machine::build;
use crate::machine::clock::{self, Clock};
use crate::machine::trap::{self, Place};
use crate::{memory, start};
use bootinfo::parameters::CrashKind;
use core::fmt;
use core::mem::MaybeUninit;
use core::net::IpAddr;
use netconsole::console::{Conversation, Ending, Host, Neighbor, NetworkError, Remote, Sent, Terminal};
use netconsole::nic::pci::PciDevice;
use netconsole::ring::{Level, Ring, Timebase};
use netconsole::seal::{Numbers, Sealing};
use netconsole::settings::DeviceName;
use netconsole::take_once::TakeOnce;
use netconsole::targets::LogFilter;
use netconsole::targets::table::TargetTable;
use netconsole::wire::udp;

/// How many PCI functions `lspci` knows.
const MAX_FUNCTIONS: usize = 32;

/// What is typed and what targets send.
pub struct Consoles {
    /// The terminal at the serial port.
    pub terminal: Terminal,
    remote: Remote,
    /// Whether targets may send commands (`netconsole.input`).
    input: bool,
    /// What was asked for and is to happen.
    ending: Option<Ending>,
    /// What was found on the PCI buses.
    functions: [Option<PciDevice>; MAX_FUNCTIONS],
}

/// What the consoles' commands work on, lent for one turn.
pub struct KernelView<'k> {
    /// The time.
    pub clock: &'k mut Clock,
    /// What of the log is shown.
    pub filter: &'k mut LogFilter,
    /// The network cards.
    pub cards: &'k mut [Option<Card>],
    /// The targets.
    pub targets: &'k mut TargetTable,
}

impl Consoles {
    /// Consoles of which nothing has come yet, in memory of their own; `None` the second time.
    #[inline(never)]
    pub fn make(input: bool) -> Option<&'static mut Self> {
        static CONSOLES: TakeOnce<MaybeUninit<Consoles>> = TakeOnce::new(MaybeUninit::uninit());
        Some(CONSOLES.take()?.write(Self {
            terminal: Terminal::new(),
            remote: Remote::new(),
            input,
            ending: None,
            functions: [None; MAX_FUNCTIONS],
        }))
    }

    /// Says whether targets may send commands.
    pub fn announce(&self) {
        if self.input {
            log::info!(
                "netconsole: input: commands are taken from the targets' addresses; 'help' lists them"
            );
        }
    }

    /// Keeps what was found on the PCI buses, for `lspci`.
    pub fn found(&mut self, function: PciDevice) {
        if let Some(slot) = self.functions.iter_mut().find(|slot| slot.is_none()) {
            *slot = Some(function);
        }
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

    /// Goes on with the commands under way; true where there is more to do at once.
    pub fn poll(&mut self, mut view: KernelView<'_>) -> bool {
        let mut host = KernelHost { view: &mut view, ending: &mut self.ending, functions: &self.functions };
        let typed = self.terminal.poll(&mut host);
        let mut busy = self.remote.poll(&mut host) | typed;
        if let Some(card) = self.remote.conversation().map(|conversation| conversation.card)
            && let Some(card) = view.cards.get_mut(card).and_then(Option::as_mut)
            && let Some(longest) = self.remote.conversation().map(|with| card.longest_message(with))
            && let Some((conversation, payload)) = self.remote.datagram(longest)
        {
            let length = payload.len();
            let protection = memory::KEYS.protection();
            let sealing = Sealing { protection: &protection, numbers: Numbers::Counted(&memory::KEYS) };
            if card.send(conversation, payload, Some(sealing)) {
                self.remote.sent(length);
            }
            busy = true;
        }
        busy
    }

    /// How the machine is to end, if somebody asked for it.
    pub fn take_ending(&mut self) -> Option<Ending> {
        self.ending.take()
    }

    /// What became of the targets' datagrams, where they are taken.
    pub fn counters(&self) -> Option<netconsole::console::Counters> {
        self.input.then(|| self.remote.counters())
    }
}

struct KernelHost<'h, 'k> {
    view: &'h mut KernelView<'k>,
    ending: &'h mut Option<Ending>,
    functions: &'h [Option<PciDevice>],
}

impl KernelHost<'_, '_> {
    /// The card that reaches an address: the named one, the one on whose subnet it is, or the first.
    fn card_for(&mut self, address: IpAddr, device: Option<DeviceName>) -> Result<&mut Card, NetworkError> {
        let cards =
            || self.view.cards.iter().enumerate().filter_map(|(place, card)| Some((place, card.as_ref()?)));
        let place = match device {
            Some(name) => cards().find(|(_, card)| card.name == name).ok_or(NetworkError::NoInterface)?.0,
            None => {
                let mut up = cards().filter(|(_, card)| card.link_is_up());
                let on_link =
                    cards().filter(|(_, card)| card.link_is_up()).find(|(_, card)| card.reaches(address));
                on_link.or_else(|| up.next()).ok_or(NetworkError::NoLink)?.0
            }
        };
        let card =
            self.view.cards.get_mut(place).and_then(Option::as_mut).ok_or(NetworkError::NoInterface)?;
        if card.link_is_up() { Ok(card) } else { Err(NetworkError::NoLink) }
    }
}

impl Host for KernelHost<'_, '_> {
    fn now(&mut self) -> u64 {
        self.view.clock.now()
    }

    fn ring(&self) -> &'static Ring<'static> {
        trap::probe(Place::Console);
        ring()
    }

    fn timebase(&mut self) -> Timebase {
        *self.view.clock.timebase()
    }

    fn targets(&mut self) -> &mut TargetTable {
        self.view.targets
    }

    fn filter(&mut self) -> &mut LogFilter {
        self.view.filter
    }

    fn neighbor(
        &mut self,
        address: IpAddr,
        device: Option<DeviceName>,
        begin: bool,
    ) -> Result<Neighbor, NetworkError> {
        let now = self.view.clock.now();
        self.card_for(address, device)?.neighbor(address, begin, now)
    }

    fn ping(&mut self, address: IpAddr, sequence: u16) -> Result<Sent, NetworkError> {
        let now = self.view.clock.now();
        self.card_for(address, None)?.ping(address, sequence, now)
    }

    fn pong(&mut self, address: IpAddr, sequence: u16) -> Option<u64> {
        self.view.cards.iter().flatten().find_map(|card| card.pong(address, sequence))
    }

    fn show_interface(&mut self, number: usize, out: &mut dyn fmt::Write) -> bool {
        let mut rest = number;
        for card in self.view.cards.iter_mut().flatten() {
            match rest.checked_sub(card.interfaces()) {
                Some(further) => rest = further,
                None => return card.show(rest, out).is_ok(),
            }
        }
        false
    }

    fn show_pci_function(&mut self, number: usize, out: &mut dyn fmt::Write) -> bool {
        match self.functions.iter().flatten().nth(number) {
            None => false,
            Some(function) => writeln!(out, "{function}").is_ok(),
        }
    }

    fn log(&mut self, level: Level, text: &str) {
        ring().append_str(level, "console", clock::ticks(), text);
    }

    fn command_line(&self) -> &dyn fmt::Display {
        start::command_line()
    }

    fn show_build_id(&mut self, out: &mut dyn fmt::Write) -> fmt::Result {
        out.write_str(build::id().as_str())
    }

    fn crashes(&self) -> &'static [&'static str] {
        CrashKind::NAMES
    }

    fn end(&mut self, ending: Ending) {
        *self.ending = Some(ending);
    }
}
