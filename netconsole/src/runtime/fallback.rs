//! What is broadcast where the command line asks for targets and none of them could be taken: what is wrong with it, and
//! the network cards. Who waits with `nc` sees why no log comes. Of the log itself nothing goes out.

use super::card::Card;
use crate::format::MAX_DATAGRAM;
use crate::network::Conversation;
use crate::nic::Nic;
use crate::plan::MAX_NICS;
use crate::seal::{KeyStore, Numbers, Sealing};
use crate::settings::{Settings, TargetConfig};
use crate::stack::link_local_ipv4;
use crate::text::Text;
use crate::wire::{Endpoint, MacAddr};
use core::fmt::Display;
use core::net::{IpAddr, Ipv4Addr};

/// When it is broadcast, in µs after the link of a card came up: a switch's port may need half a minute until it
/// forwards, and who looks at the screen for the first time may have been late.
const TIMES: [u64; 3] = [1_000_000, 15_000_000, 45_000_000];

/// The broadcasts of what is wrong.
pub struct Fallback {
    command_line: &'static [u8],
    cards: [Rounds; MAX_NICS],
}

/// What a card has sent.
#[derive(Clone, Copy, Default)]
struct Rounds {
    /// Since when the link has been up.
    link_since: Option<u64>,
    /// How many of [`TIMES`] are over.
    done: usize,
    /// How many lines of the one under way.
    lines: usize,
}

impl Fallback {
    /// The broadcasts, where the settings of this command line want them.
    pub fn of(settings: &Settings, command_line: &'static [u8]) -> Option<Self> {
        settings.broadcasts_errors().then_some(Self { command_line, cards: [Rounds::default(); MAX_NICS] })
    }

    /// Sends what is due at `now` µs.
    pub fn poll(&mut self, cards: &mut [Option<Card>; MAX_NICS], keys: &KeyStore, now: u64) {
        for number in 0..MAX_NICS {
            let Some(rounds) = self.cards.get_mut(number) else { return };
            let link_is_up =
                cards.get(number).is_some_and(|card| card.as_ref().is_some_and(Card::link_is_up));
            if !link_is_up {
                *rounds = Rounds::default();
                continue;
            }
            let since = *rounds.link_since.get_or_insert(now);
            if TIMES.get(rounds.done).is_some_and(|&time| now.saturating_sub(since) >= time) {
                send_round(self.command_line, rounds, cards, number, keys);
            }
        }
    }

    /// Whether it has been broadcast on every card that has a link, and one has, and the cards are done with it; or there is no card.
    pub fn was_sent(&self, cards: &mut [Option<Card>; MAX_NICS]) -> bool {
        let has_card = cards.iter().any(Option::is_some);
        let mut up = self.cards.iter().zip(cards).filter_map(|(rounds, card)| {
            let card = card.as_mut().filter(|card| card.link_is_up())?;
            Some(rounds.done > 0 && card.nic.is_drained())
        });
        match up.next() {
            Some(first) => first && up.all(|sent| sent),
            None => !has_card,
        }
    }
}

/// Sends by the card `number` the lines that are still to be sent, as many as it has room for.
fn send_round(
    command_line: &[u8],
    rounds: &mut Rounds,
    cards: &mut [Option<Card>; MAX_NICS],
    number: usize,
    keys: &KeyStore,
) {
    let mut descriptions = [const { Text::<128>::new() }; MAX_NICS];
    for (description, card) in descriptions.iter_mut().zip(cards.iter_mut()) {
        if let Some(card) = card {
            *description = Text::of(card.summary());
        }
    }
    let Some(card) = cards.get_mut(number).and_then(Option::as_mut) else { return };
    let (mut line, mut has_room) = (0_usize, true);
    let mut send = |text: &dyn Display| {
        if has_room && line >= rounds.lines {
            has_room = broadcast(card, text, keys);
            rounds.lines = rounds.lines.saturating_add(usize::from(has_room));
        }
        line = line.saturating_add(1);
    };
    Settings::parse(command_line, &mut |_, problem| {
        if Text::<10>::of(problem).as_str() == "netconsole" {
            send(&problem);
        }
    });
    for description in descriptions.iter().filter(|description| !description.is_empty()) {
        send(&description.as_str());
    }
    if has_room {
        rounds.done = rounds.done.saturating_add(1);
        rounds.lines = 0;
    }
}

/// Broadcasts a line; false where the card has no room now.
fn broadcast(card: &mut Card, text: &dyn Display, keys: &KeyStore) -> bool {
    let mut message = Text::<MAX_DATAGRAM>::of(text);
    message.truncate(MAX_DATAGRAM.saturating_sub(1));
    message.push(b'\n');
    let mac = card.mac();
    let endpoint = |mac, ip, port| Endpoint { mac, ip, port };
    let conversation = Conversation {
        local: endpoint(mac, IpAddr::V4(link_local_ipv4(mac)), TargetConfig::LOCAL_PORT),
        remote: endpoint(MacAddr::BROADCAST, IpAddr::V4(Ipv4Addr::BROADCAST), TargetConfig::REMOTE_PORT),
        vlan: None,
        card: 0,
    };
    // With a key nothing comes here; if it did, it would go out sealed or not at all.
    let protection = keys.protection();
    let sealing = Sealing { protection: &protection, numbers: Numbers::Counted(keys) };
    card.send(&conversation, message.as_bytes(), Some(sealing))
}
