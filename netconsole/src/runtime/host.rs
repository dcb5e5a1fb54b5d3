//! The consoles' commands at work: the netconsole as they see it.

use super::card::Card;
use super::consoles::Consoles;
use crate::console::{Ending, Host};
use crate::network::{Neighbor, NetworkError, Sent};
use crate::nic::pci::PciDevice;
use crate::platform::{Platform, Probe, probe};
use crate::ring::{Level, Ring, Timebase};
use crate::seal::{Numbers, Sealing};
use crate::settings::DeviceName;
use crate::targets::Common;
use crate::targets::table::TargetTable;
use core::fmt;
use core::marker::PhantomData;
use core::net::IpAddr;

/// What the consoles' commands work on, lent for one turn.
pub struct View<'k> {
    /// The time in µs.
    pub now: u64,
    /// What of the log is shown, and how.
    pub common: &'k mut Common,
    /// The network cards.
    pub cards: &'k mut [Option<Card>],
    /// The targets.
    pub targets: &'k mut TargetTable,
}

impl Consoles {
    /// Goes on with the commands under way; true where there is more to do at once.
    pub fn poll<P: Platform>(&mut self, mut view: View<'_>) -> bool {
        let mut host = PlatformHost {
            view: &mut view,
            ending: &mut self.ending,
            functions: &self.functions,
            platform: PhantomData::<fn() -> P>,
        };
        let typed = self.terminal.poll(&mut host);
        let mut busy = self.remote.poll(&mut host) | typed;
        let keys = &P::memory().keys;
        let protection = keys.protection();
        if let Some(card) = self.remote.conversation().map(|conversation| conversation.card)
            && let Some(card) = view.cards.get_mut(card).and_then(Option::as_mut)
            && let Some(longest) =
                self.remote.conversation().map(|with| card.longest_message(with, &protection))
            && let Some((conversation, payload)) = self.remote.datagram(longest)
        {
            let length = payload.len();
            let sealing = Sealing { protection: &protection, numbers: Numbers::Counted(keys) };
            if card.send(conversation, payload, Some(sealing)) {
                self.remote.sent(length);
            }
            busy = true;
        }
        busy
    }
}

struct PlatformHost<'h, 'k, P> {
    view: &'h mut View<'k>,
    ending: &'h mut Option<Ending>,
    functions: &'h [Option<PciDevice>],
    platform: PhantomData<fn() -> P>,
}

impl<P: Platform> PlatformHost<'_, '_, P> {
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

impl<P: Platform> Host for PlatformHost<'_, '_, P> {
    fn now(&mut self) -> u64 {
        self.view.now
    }

    fn ring(&self) -> &'static Ring<'static> {
        probe::<P>(Probe::Console);
        P::ring()
    }

    fn timebase(&mut self) -> Timebase {
        P::memory().timebase.read()
    }

    fn targets(&mut self) -> &mut TargetTable {
        self.view.targets
    }

    fn common(&mut self) -> &mut Common {
        self.view.common
    }

    fn neighbor(
        &mut self,
        address: IpAddr,
        device: Option<DeviceName>,
        begin: bool,
    ) -> Result<Neighbor, NetworkError> {
        let now = self.view.now;
        self.card_for(address, device)?.neighbor(address, begin, now)
    }

    fn ping(&mut self, address: IpAddr, sequence: u16) -> Result<Sent, NetworkError> {
        let now = self.view.now;
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
        P::ring().append_str(level, "console", P::ticks(), text);
    }

    fn command_line(&self) -> &dyn fmt::Display {
        P::command_line()
    }

    fn show_build_id(&mut self, out: &mut dyn fmt::Write) -> fmt::Result {
        P::show_build_id(out)
    }

    fn crashes(&self) -> &'static [&'static str] {
        P::crashes()
    }

    fn end(&mut self, ending: Ending) {
        *self.ending = Some(ending);
    }
}
