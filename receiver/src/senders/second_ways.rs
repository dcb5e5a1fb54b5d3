//! The same machine by two ways: two of its targets, or cards, lead to this receiver, and each record comes twice, from
//! two addresses or ports. It is shown once.
//!
//! A new sender whose first record another one had is suspected, and what it tells is held for a second at most. It is
//! the other's second way where both go on with the same records, or where it repeated all of them up to the last.
//! Where a third one sends the same, they are many senders of one text, and none is suspected any more.

use std::net::SocketAddr;
use std::time::Duration;

use super::Senders;
use super::copies::{HELD, Suspected};
use crate::boot;
use crate::datagram::Datagram;
use crate::event::Heard;
use crate::sender::{Copy, start_of};

/// This many records must have come of the other one since it was suspected, unless all came by both.
const TOGETHER: u32 = 2;
/// How late a second way may begin, in µs.
const REACH: u64 = 10_000_000;

impl Senders {
    /// Suspects a new sender where another one had its first record.
    pub(super) fn suspect(
        &mut self,
        number: u32,
        address: SocketAddr,
        message: &Datagram<'_>,
        now: Duration,
        out: &mut Vec<Heard>,
    ) {
        if self.copies.is_full() {
            return;
        }
        let Datagram::Extended(header, body) = message else { return };
        let here = self.machines.at(address.ip());
        let elsewhere = self.machines.started_at(start_of(header.timestamp, now), REACH);
        let is_copy = |other: &u32| {
            let sender = self.all.get(*other as usize).filter(|_| *other != number);
            sender.is_some_and(|sender| sender.copy(header, body, now) == Copy::Same)
        };
        let Some(of) = here.chain(elsewhere).find(is_copy) else { return };
        let is_common = self.all.get(of as usize).is_some_and(|sender| sender.is_common);
        let has_way = self.copies.of.get(&of).copied();
        let has_one = has_way.is_some() || self.copies.ways.values().any(|other| *other == of);
        if is_common || has_one || self.copies.suspected.contains_key(&of) {
            for common in [Some(of), has_way, Some(number)].into_iter().flatten() {
                if let Some(sender) = self.all.get_mut(common as usize) {
                    sender.is_common = true;
                }
                self.copies.clear(common, out);
            }
            return;
        }
        self.copies.of.insert(of, number);
        self.copies.suspected.insert(number, Suspected::new(of, now));
    }

    /// Compares a datagram that is about to be taken with what the other one had.
    pub(super) fn compare(&mut self, number: u32, message: &Datagram<'_>, now: Duration) {
        if self.copies.suspected.is_empty() {
            return;
        }
        let Datagram::Extended(header, body) = message else { return };
        let text = (header.timestamp > 0).then(|| text_of(body));
        if let Some(suspected) = self.copies.suspected.get_mut(&number) {
            let other = self.all.get(suspected.of as usize);
            match other.map_or(Copy::Other, |other| other.copy(header, body, now)) {
                Copy::Same => suspected.had_both(text),
                Copy::Perhaps => {}
                Copy::Ahead => suspected.ahead = suspected.ahead.saturating_add(1),
                Copy::Other => suspected.differs = true,
            }
        } else if let Some(copy) = self.copies.of.get(&number)
            && let Some(suspected) = self.copies.suspected.get_mut(copy)
        {
            suspected.together = suspected.together.saturating_add(1);
            // Else its copy may come next.
            let had = self.all.get(*copy as usize).map(|sender| sender.copy(header, body, now));
            if had == Some(Copy::Same) {
                suspected.had_both(text);
                suspected.ahead = suspected.ahead.saturating_sub(1);
            }
        }
    }

    /// Decides where it can be decided: of one sender, or of all of which the time is over.
    pub(super) fn decide(&mut self, one: Option<u32>, now: Duration, out: &mut Vec<Heard>) {
        if self.copies.suspected.is_empty() {
            return;
        }
        let mut numbers: Vec<u32> = match one {
            Some(number) => vec![number],
            None => self.copies.suspected.keys().copied().collect(),
        };
        numbers.sort_unstable();
        for number in numbers {
            let Some(suspected) = self.copies.suspected.get(&number) else { continue };
            let is_over = now >= suspected.since.saturating_add(HELD) || self.copies.is_full();
            let end = |number: u32| self.all.get(number as usize).map(|sender| sender.end());
            let is_second = suspected.is_same()
                && (suspected.together >= TOGETHER || is_over && end(number) == end(suspected.of));
            if is_second {
                self.join(number);
            } else if is_over || suspected.differs {
                self.copies.clear(number, out);
            }
        }
    }

    /// A sender is another's second way: what it told was told by that one.
    fn join(&mut self, number: u32) {
        let Some(Suspected { of, .. }) = self.copies.suspected.remove(&number) else { return };
        self.copies.of.remove(&of);
        let Some(copy) = self.remove(number) else { return };
        if let Some(sender) = self.all.get_mut(of as usize) {
            sender.has_copies = true;
        }
        self.copies.ways.insert(copy.identity.address, of);
    }
}

/// What tells one text from another.
fn text_of(body: &[u8]) -> u16 {
    boot::digest(0, 0, body.split(|&byte| byte == b'\n').next().unwrap_or_default())
}
