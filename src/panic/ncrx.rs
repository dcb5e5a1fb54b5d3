//! Getting lost records back after the last words, by the ncrx protocol, as long as the machine stays. Of the
//! conversations before the crash only the snapshot tells: whether a receiver had answered.

use super::card::Card;
use super::load::threshold;
use super::starts::{numbers, report_begins};
use crate::log::ring;
use crate::machine::clock;
use crate::memory;
use netconsole::format::Style;
use netconsole::ncrx::{Ncrx, Sender};
use netconsole::plan::TargetPlan;
use netconsole::seal::Sealing;
use netconsole::settings::MAX_TARGETS;
use netconsole::wire::Envelope;

/// One with the receiver of each target, by the targets' numbers.
pub struct Conversations(&'static mut [Ncrx; MAX_TARGETS]);

impl Conversations {
    /// None has begun. Each start of the panic path may do so once.
    pub fn new() -> Self {
        // SAFETY: what had it before was interrupted for good, an earlier start of the panic path included.
        let conversations = unsafe { memory::PANIC_CONVERSATIONS.take_back() };
        conversations.iter_mut().for_each(|conversation| *conversation = Ncrx::new());
        Self(conversations)
    }

    /// Begins one when the last words have been sent to the target.
    pub fn begin(&mut self, number: usize, target: &TargetPlan) {
        let ring = ring();
        let end = ring.end();
        let held = threshold(target, report_begins()).held_before(ring, end, u64::MAX);
        let next = end.saturating_sub(held);
        if let Some(conversation) = self.0.get_mut(number)
            && let Some(newest) = next.checked_sub(1)
        {
            let now = clock::micros();
            conversation.sent(newest, now);
            (next..end).for_each(|sequence| conversation.held_back(sequence, now));
            if target.has_answered {
                conversation.resume(report_begins(), now);
            }
        }
    }

    /// Takes in what the target's receiver has sent.
    pub fn hear(&mut self, number: usize, payload: &[u8]) {
        if let Some(conversation) = self.0.get_mut(number) {
            conversation.hear(payload, 0..ring().end(), clock::micros());
        }
    }

    /// Sends the target by `card` again what is due at `now` µs.
    #[inline(never)]
    pub fn ship(
        &mut self,
        number: usize,
        target: &TargetPlan,
        style: Style<'_>,
        envelope: &Envelope,
        card: &mut Card,
        now: u64,
    ) {
        let Some(conversation) = self.0.get_mut(number) else { return };
        let timebase = clock::published();
        let protection = memory::KEYS.protection();
        let sender = Sender {
            ring: ring(),
            timebase: &timebase,
            style,
            threshold: threshold(target, report_begins()),
            envelope,
            sealing: Sealing { protection: &protection, numbers: numbers() },
        };
        // Where the card fails or has no room, the next turn tries again.
        _ = card.with_nic(now, |nic| {
            let before = conversation.counters().datagrams;
            let sent = conversation.ship(&sender, nic, now);
            (sent, conversation.counters().datagrams != before)
        });
    }
}
