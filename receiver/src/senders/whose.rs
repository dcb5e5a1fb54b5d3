//! Whose a datagram is, and what its sender is called.
//!
//! A stream is what comes from one port of one address, and one machine's. A machine is at one port of one address at
//! a time, too, but it may go on elsewhere: a NAT gave out another port, or the ports of two of its machines in
//! exchange, or DHCP another address. It is known again by its numbers and its clock, and keeps its name.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use super::Senders;
use crate::basic;
use crate::datagram::Datagram;
use crate::event::{Event, Heard, Identity};
use crate::limits;
use crate::names::Given;
use crate::sender::{CLOCKS_ELSEWHERE, CLOCKS_HERE, start_of};

/// By how much the start of a machine may differ that is looked for at other addresses, in µs.
const REACH: u64 = 1_000_000;
/// A record whose time contradicts by no more than this, in µs, is certainly of the machine that has its port; and by
/// so much less it must contradict another one's to be of that one.
const SURE: u64 = 100_000;

/// A sender that goes on from another port or address.
struct Known {
    number: u32,
    /// Whether that is to be said.
    is_said: bool,
}

impl Senders {
    /// Whose a datagram is. `None`: of a new one, for which there is no room.
    pub(super) fn whose(
        &mut self,
        from: SocketAddr,
        message: &Datagram<'_>,
        now: Duration,
        out: &mut Vec<Heard>,
    ) -> Option<u32> {
        if let Some(number) = self.find(from) {
            // A NAT may give a port to another machine, where there are several.
            let has_neighbours = self.all.get(number as usize).is_some_and(|sender| sender.has_neighbours);
            let other = if has_neighbours { self.other(number, message, now) } else { None };
            if let Some(other) = other {
                self.exchange(number, other, now, out);
                return Some(other);
            }
            if let Some(sender) = self.all.get_mut(number as usize) {
                sender.stays();
            }
            return Some(number);
        }
        if let Some(number) = self.copies.way(from) {
            return Some(number);
        }
        match self.known(from, message, now) {
            Some(Known { number, is_said }) => {
                self.move_to(number, from, is_said.then_some(now), out);
                Some(number)
            }
            None => self.admit(from, message, now, out),
        }
    }

    /// The other machine of the address of this one that a datagram from its port is of.
    fn other(&self, number: u32, message: &Datagram<'_>, now: Duration) -> Option<u32> {
        let sender = self.all.get(number as usize)?;
        let others = self.machines.at(sender.identity.address.ip()).filter(|other| *other != number);
        let others = others.filter_map(|other| Some((other, self.all.get(other as usize)?)));
        let (doubt, best) = match message {
            Datagram::Extended(header, body) => {
                let doubt = sender.doubt(header, body, now);
                if doubt <= SURE {
                    return None;
                }
                let others = others.filter_map(|(other, sender)| {
                    Some((sender.goes_on_with(header, body, CLOCKS_HERE, now)?, other))
                });
                (doubt, others.min())
            }
            Datagram::Text(text) => {
                let timestamp = basic::timestamp(text)?;
                let doubt = sender.doubt_text(timestamp, now);
                if doubt <= SURE {
                    return None;
                }
                let others = others
                    .filter_map(|(other, sender)| Some((sender.goes_on_with_text(timestamp, now)?, other)));
                (doubt, others.min())
            }
        };
        let best = best.filter(|(contradiction, _)| contradiction.saturating_add(SURE) < doubt);
        best.map(|(_, other)| other)
    }

    /// The sender that a datagram from an address not known is of, where it goes on from there.
    fn known(&mut self, from: SocketAddr, message: &Datagram<'_>, now: Duration) -> Option<Known> {
        if is_single(message) {
            return self.single(from);
        }
        let here =
            self.machines.at(from.ip()).filter_map(|number| Some((number, self.all.get(number as usize)?)));
        let best = match message {
            Datagram::Extended(header, body) => {
                let start = start_of(header.timestamp, now);
                let elsewhere = self.machines.started_at(start, REACH);
                let elsewhere = elsewhere.filter_map(|number| Some((number, self.all.get(number as usize)?)));
                let elsewhere = elsewhere.filter(|(_, sender)| {
                    sender.is_known() && sender.identity.address.is_ipv4() == from.is_ipv4()
                });
                let here = here.map(|found| (found, CLOCKS_HERE));
                let all = here.chain(elsewhere.map(|found| (found, CLOCKS_ELSEWHERE)));
                all.filter_map(|((number, sender), most)| {
                    Some((sender.goes_on_with(header, body, most, now)?, number))
                })
                .min()
            }
            Datagram::Text(text) => {
                let timestamp = basic::timestamp(text)?;
                here.filter_map(|(number, sender)| Some((sender.goes_on_with_text(timestamp, now)?, number)))
                    .min()
            }
        };
        best.map(|(_, number)| Known { number, is_said: true })
    }

    /// The sender of an address that sends each message from another port.
    fn single(&mut self, from: SocketAddr) -> Option<Known> {
        let all = &mut self.all;
        let number = self.machines.at(from.ip()).find(|number| {
            all.get_mut(*number as usize).is_some_and(|sender| sender.takes_single(from.port()))
        })?;
        Some(Known { number, is_said: false })
    }

    /// A sender goes on from an address that no other has. It is said where that is not the usual thing.
    fn move_to(&mut self, number: u32, to: SocketAddr, said: Option<Duration>, out: &mut Vec<Heard>) {
        let Some(sender) = self.all.get(number as usize) else { return };
        let identity = Rc::clone(&sender.identity);
        let before = identity.address;
        self.leave(number, before);
        let mut given = None;
        if before.ip() != to.ip() {
            given = self.names.of(to);
            // Its name is no longer free for others of that address.
            self.named.insert(identity.name.to_string(), number);
        }
        let Some(sender) = self.all.get_mut(number as usize) else { return };
        sender.move_to(to);
        if let Some(given) = given {
            sender.rename(&given.name, true);
        }
        if let Some(at) = said {
            let sender = Rc::clone(&sender.identity);
            out.push(Heard { sender, at, event: Event::Moved { before } });
        }
        self.enter(number, to);
    }

    /// Two senders of one address have exchanged their ports.
    fn exchange(&mut self, one: u32, other: u32, now: Duration, out: &mut Vec<Heard>) {
        let address = |number: u32| self.all.get(number as usize).map(|sender| sender.identity.address);
        let Some((first, second)) = address(one).zip(address(other)) else { return };
        for (number, from) in [(one, first), (other, second)] {
            self.leave(number, from);
        }
        for (number, from, to) in [(one, first, second), (other, second, first)] {
            if let Some(sender) = self.all.get_mut(number as usize) {
                sender.move_to(to);
                if number == other {
                    let sender = Rc::clone(&sender.identity);
                    out.push(Heard { sender, at: now, event: Event::Moved { before: from } });
                }
            }
            self.enter(number, to);
        }
    }

    /// A sender can be found at its address.
    pub(super) fn enter(&mut self, number: u32, address: SocketAddr) {
        let hash_of = |&number: &u32| {
            let address = self.all.get(number as usize).map(|sender| sender.identity.address);
            address.map_or(0, |address| self.hashes.hash_one(address))
        };
        self.by_address.insert_unique(self.hashes.hash_one(address), number, hash_of);
        // Where there are more than two, the others are noted already.
        let neighbours = match self.machines.add(address.ip(), number) {
            [.., before, own] => [Some(*before), Some(*own)],
            _ => [None; 2],
        };
        for neighbour in neighbours.into_iter().flatten() {
            if let Some(sender) = self.all.get_mut(neighbour as usize) {
                sender.has_neighbours = true;
            }
        }
    }

    /// It can't be any longer.
    pub(super) fn leave(&mut self, number: u32, address: SocketAddr) {
        let hash = self.hashes.hash_one(address);
        if let Ok(entry) = self.by_address.find_entry(hash, |&other| other == number) {
            entry.remove();
        }
        self.machines.remove(address.ip(), number);
    }

    /// Gives a sender the name that its records say.
    pub(super) fn name_as_said(&mut self, number: u32, heard: &mut [Heard]) {
        for heard in heard {
            let Event::Record { record, .. } = &heard.event else { continue };
            let Some(said) = self.said.iter().find_map(|source| source.name(record)) else { continue };
            let Some(sender) = self.all.get_mut(number as usize) else { return };
            let address = sender.identity.address;
            if self.names.of(address).is_some() {
                return;
            }
            let is_others = self.named.get(said).is_some_and(|other| *other != number);
            let name = if is_others { format!("{said}-{}", address.ip()) } else { said.to_owned() };
            if sender.identity.name != name {
                sender.rename(&name, true);
                self.named.entry(name).or_insert(number);
            }
            heard.sender = Rc::clone(&sender.identity);
        }
    }

    /// Who a new sender is. Its address's name is that of the first one there, until that has been silent for long.
    pub(super) fn identify(&mut self, address: SocketAddr, now: Duration) -> Identity {
        let given = self.names.of(address);
        let named = given.is_some();
        let (name, is_streams) = match given {
            Some(Given { name, is_streams }) => (name, is_streams),
            None => (address.ip().to_string(), false),
        };
        if is_streams {
            return Identity { address, name: name.into(), named };
        }
        let with_port = format!("{name}:{}", address.port());
        if self.named.get(&name).is_some_and(|number| self.all.contains(*number as usize)) {
            return Identity { address, name: with_port.into(), named };
        }
        let all = &mut self.all;
        let has_it =
            |number: &u32| all.get(*number as usize).is_some_and(|sender| sender.identity.name == name);
        let holder = self.machines.first_at(address.ip()).find(has_it);
        match holder.and_then(|number| self.all.get_mut(number as usize)) {
            Some(holder) if now < holder.heard_at.after(limits::SILENT) => {
                Identity { address, name: with_port.into(), named }
            }
            Some(holder) => {
                holder.rename(&format!("{name}:{}", holder.identity.address.port()), named);
                Identity { address, name: name.into(), named }
            }
            None => Identity { address, name: name.into(), named },
        }
    }
}

/// Whether it is a message that may be the only one of its port, as `logger` sends them. A kernel's, which tells the
/// time since its start, is not.
pub(super) fn is_single(message: &Datagram<'_>) -> bool {
    match message {
        Datagram::Extended(..) => false,
        Datagram::Text(text) => basic::timestamp(text).is_none(),
    }
}
