//! Getting lost records back after the last words, by the ncrx protocol, as long as the machine stays. Of the
//! conversations before the crash only the snapshot tells: whether a receiver had answered.

use super::card::PanicCard;
use super::load::{numbers, threshold};
use super::report::Report;
use crate::format::{Cursor, RingLog, Style};
use crate::ncrx::Ncrx;
use crate::plan::TargetPlan;
use crate::platform::Platform;
use crate::seal::Sealing;
use crate::sender::Sender;
use crate::settings::MAX_TARGETS;
use crate::wire::Envelope;
use core::mem::MaybeUninit;

/// One with the receiver of each target, by the targets' numbers.
pub struct Conversations(&'static mut [Ncrx]);

impl Conversations {
    /// None has begun.
    pub fn new(memory: &'static mut [MaybeUninit<Ncrx>; MAX_TARGETS]) -> Self {
        // One by one: all together are larger than the panic path's stack.
        for slot in memory.iter_mut() {
            slot.write(Ncrx::new());
        }
        // SAFETY: each was written just now.
        Self(unsafe { memory.assume_init_mut() })
    }

    /// Begins one when the last words have been sent to the target.
    pub fn begin<P: Platform>(&mut self, report: &Report, number: usize, target: &TargetPlan, now: u64) {
        let (ring, timebase) = (P::ring(), P::memory().timebase.read());
        let end = ring.end();
        let threshold = threshold(report, target, report.first);
        let mut behind_all = Cursor::at(end);
        behind_all.count_held(&RingLog::new(ring, &timebase), u64::MAX, |record| threshold.passes(record));
        let next = end.saturating_sub(behind_all.held());
        if let Some(conversation) = self.0.get_mut(number)
            && let Some(newest) = next.checked_sub(1)
        {
            conversation.sent(newest, now);
            (next..end).for_each(|sequence| conversation.held_back(sequence, now));
            if target.has_answered {
                conversation.resume(report.first, now);
            }
        }
    }

    /// Takes in what the target's receiver has sent.
    pub fn hear<P: Platform>(&mut self, number: usize, payload: &[u8], now: u64) {
        if let Some(conversation) = self.0.get_mut(number) {
            conversation.hear(payload, 0..P::ring().end(), now);
        }
    }

    /// Sends the target by `card` again what is due at `now` µs.
    #[inline(never)]
    #[expect(clippy::too_many_arguments, reason = "the parts of a shipment, which lends its card meanwhile")]
    pub fn ship<P: Platform>(
        &mut self,
        report: &Report,
        number: usize,
        target: &TargetPlan,
        style: Style<'_>,
        envelope: &Envelope,
        card: &mut PanicCard,
        now: u64,
    ) {
        let Some(conversation) = self.0.get_mut(number) else { return };
        let timebase = P::memory().timebase.read();
        let protection = P::memory().keys.protection();
        let sender = Sender {
            log: &RingLog::new(P::ring(), &timebase),
            style,
            threshold: threshold(report, target, report.first),
            envelope,
            sealing: Sealing { protection: &protection, numbers: numbers::<P>(report) },
        };
        // Where the card fails or has no room, the next turn tries again.
        _ = card.with_nic(now, |nic| {
            let before = conversation.counters().datagrams;
            let sent = conversation.ship(&sender, nic, now);
            (sent, conversation.counters().datagrams != before)
        });
    }
}
