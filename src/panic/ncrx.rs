//! Getting lost records back after the last words, by the ncrx protocol, as long as the machine stays. Of the
//! conversations before the crash only the snapshot tells: whether a receiver had answered.

use super::report_begins;
use super::ship::{self, Cards};
use crate::machine::clock;
use crate::memory;
use netconsole::netconsole::MAX_TARGETS;
use netconsole::netconsole::ncrx::{Ncrx, Sender};
use netconsole::netconsole::secure::Sealing;
use netconsole::netconsole::snapshot::{Plan, TargetPlan};
use netconsole::nic::{Nic, TransmitError};
use netconsole::wire::{MacAddr, udp};

/// One with the receiver of each target, by the targets' numbers.
pub struct Conversations(&'static mut [Ncrx; MAX_TARGETS]);

impl Conversations {
    /// Begins them when the last words have been sent. Each start of the panic path may do so once.
    pub fn begin(plan: &Plan) -> Self {
        let conversations = memory::panic_conversations();
        for (conversation, target) in conversations.iter_mut().zip(&plan.targets) {
            *conversation = Ncrx::new();
            let (Some(target), Some(newest)) = (target, memory::ring().end().checked_sub(1)) else {
                continue;
            };
            conversation.sent(newest, now());
            if target.has_answered {
                conversation.resume(report_begins(), now());
            }
        }
        Self(conversations)
    }

    /// Takes in a datagram that came to the card of number `nic` and address `mac`.
    pub fn hear(&mut self, plan: &Plan, nic: usize, mac: MacAddr, received: &udp::Received<'_>) {
        for (_, conversation, target) in self.with(plan, nic) {
            if ship::route(target, mac).may_answer(received) {
                let first = if target.only_report { report_begins() } else { 0 };
                conversation.hear(received.payload, first..memory::ring().end(), now());
            }
        }
    }

    /// Sends again what is due now.
    pub fn ship(&mut self, cards: &mut Cards) {
        let plan = *cards.plan();
        let timebase = clock::published();
        let protection = memory::KEYS.protection();
        for (place, nic) in cards.nics() {
            let mut has_sent = false;
            for (number, conversation, target) in self.with(&plan, place) {
                let Some(envelope) = ship::envelope(nic, target) else { continue };
                let sender = Sender {
                    ring: memory::ring(),
                    timebase: &timebase,
                    style: ship::style(&plan, nic, number, target),
                    limit: target.limit,
                    envelope: &envelope,
                    sealing: Sealing { protection: &protection, numbers: super::numbers() },
                };
                let before = conversation.counters().datagrams;
                if conversation.ship(&sender, nic, now()) == Err(TransmitError::Broken) {
                    // Where that fails too, the next turn tries again.
                    _ = nic.restart();
                }
                has_sent |= conversation.counters().datagrams != before;
            }
            if has_sent {
                nic.kick();
            }
        }
    }

    /// Those of the targets that use the card of number `nic` and may be asked, each with its number.
    fn with<'c>(
        &'c mut self,
        plan: &'c Plan,
        nic: usize,
    ) -> impl Iterator<Item = (usize, &'c mut Ncrx, &'c TargetPlan)> {
        let targets = self.0.iter_mut().zip(&plan.targets).enumerate();
        let targets = targets
            .filter_map(|(number, (conversation, target))| Some((number, conversation, target.as_ref()?)));
        targets.filter(move |(_, _, target)| target.may_ask && target.uses(nic))
    }
}

fn now() -> u64 {
    clock::published().micros(clock::ticks())
}
