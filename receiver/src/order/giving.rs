//! What is given out of a boot, in order, and what is given up.

use std::time::Duration;

use super::behind::Waiting;
use super::{Stream, message_id};
use crate::event::Event;
use crate::fragments::Reassembly;
use crate::holes::Hole;
use crate::number::Number;

/// How far the time must go back from one number to the next, in µs, for a reset in between.
const RESET: u64 = 1_000_000;

impl Stream {
    /// Gives out the records up to the next gap.
    pub(super) fn give(&mut self, out: &mut Vec<(Duration, Event)>) {
        while !self.behind.is_none() {
            let held = self.behind.get_mut();
            let Some(waiting) = held.waiting.remove(&self.next) else { return };
            held.bytes = held.bytes.saturating_sub(waiting.size());
            self.give_record(waiting, out);
        }
    }

    pub(super) fn give_record(&mut self, waiting: Waiting, out: &mut Vec<(Duration, Event)>) {
        let Waiting { record, timestamp, id, digest, at } = waiting;
        self.tell_lost(id, at, out);
        let is_of_boot_before = record.as_ref().is_some_and(|record| record.field("boot").is_some());
        let slack = if self.behind.get().survived.is_some() { 0 } else { RESET };
        if !is_of_boot_before && timestamp.saturating_add(slack) < self.timestamp {
            // The log survived a reset and its numbers go on.
            out.push((at, Event::Rebooted));
        }
        if is_of_boot_before || !self.behind.is_none() {
            let held = self.behind.get_mut();
            (held.survived, held.resumed) = (is_of_boot_before.then_some(self.next), None);
        }
        self.timestamp = timestamp;
        self.given_id = id.into();
        self.given_number = Number::new(self.next);
        self.boot.had(timestamp, digest);
        self.next = self.next.saturating_add(1);
        out.extend(
            record.map(|record| (at, Event::Record { record, crash: false, late: false, beside: false })),
        );
    }

    /// Gives up the first gap, which starts at `next`; of a record in part, the part is given out.
    pub(super) fn give_up(&mut self, now: Duration, out: &mut Vec<(Duration, Event)>) {
        if !self.is_certain() {
            return self.begin(now, out);
        }
        let Some((_, hole)) = self.behind.get_mut().holes.pop_first() else { return };
        if hole.asked > 0 && !hole.unsent {
            self.asked_in_vain = self.asked_in_vain.saturating_add(1);
        }
        while let Some((sequence, partial)) = self.first_partial(hole.last) {
            self.lose(sequence, hole);
            let record = partial.record();
            let (timestamp, id) = (partial.timestamp(), message_id(&record));
            let digest = partial.digest();
            self.give_record(Waiting { record: Some(record), timestamp, id, digest, at: now }, out);
        }
        self.lose(hole.last.saturating_add(1), hole);
    }

    fn first_partial(&mut self, last: u64) -> Option<(u64, Box<Reassembly>)> {
        let held = self.behind.get_mut();
        let (&sequence, _) = held.partial.first_key_value().filter(|(sequence, _)| **sequence <= last)?;
        Some((sequence, held.take_partial(sequence)?))
    }

    /// The numbers from `next` up to `end`, of this gap, are lost.
    fn lose(&mut self, end: u64, hole: Hole) {
        if end <= self.next {
            return;
        }
        let count = end - self.next;
        if hole.held {
            let held = self.behind.get_mut();
            held.held_back = held.held_back.saturating_add(count);
        } else if !hole.unsent {
            let lost = &mut self.behind.get_mut().lost;
            let (first, _, before) = lost.unwrap_or((self.next, self.next, 0));
            *lost = Some((first, end - 1, before.saturating_add(count)));
        }
        self.boot.lost(end);
        self.next = end;
    }

    /// Names what was given up, before something else is said. `id` is the message id of the record after it.
    pub(super) fn tell_lost(&mut self, id: Option<u32>, at: Duration, out: &mut Vec<(Duration, Event)>) {
        if self.behind.is_none() {
            return;
        }
        let Some((first, last, lost)) = self.behind.get_mut().lost.take() else { return };
        let sent = self
            .given_id
            .get()
            .zip(id)
            .map(|(before, after)| u64::from(after.wrapping_sub(before).wrapping_sub(1)));
        match sent {
            Some(0) => {}
            // The message ids decide.
            Some(sent) => out.push((at, Event::Missing { first, last, count: sent.min(lost) })),
            // It was sent while nobody listened.
            None if self.behind.get().resumed == Some(first) => {
                out.push((at, Event::Missing { first, last, count: lost }));
            }
            None => out.push((at, self.lack(first, last, lost))),
        }
    }
}
