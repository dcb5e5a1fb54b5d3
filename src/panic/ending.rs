//! After the last words: the report once more, then what `panic=` and `after=` say. While the machine
//! stays it still answers ARP and NDP, sends again what a receiver misses, and at a `dmesg` from a
//! target's address the whole ring.

use super::ncrx::Conversations;
use super::ship::{self, Cards};
use crate::machine::clock::Deadline;
use crate::machine::{power, serial, watchdog};
use crate::memory;
use core::net::IpAddr;
use core::sync::atomic::{AtomicU64, Ordering};
use netconsole::netconsole::secure::{Inputs, MAX_INPUT};
use netconsole::netconsole::snapshot::{Plan, TargetPlan};
use netconsole::nic::{Nic, PanicCard, TransmitError};
use netconsole::parameters::{After, Parameters};
use netconsole::wire::{MacAddr, arp, ndp, udp};

/// What to do after a panic, from the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// `panic=`: 0 stay, below 0 reboot at once, above 0 reboot after so many seconds.
    pub seconds: i16,
    /// `netconsole.panic_repeat=`: how often the report is sent again.
    pub repeat: u8,
    /// `after=exit`: end QEMU with the status for a panic, whatever `panic=` says.
    pub exit: bool,
}

/// The policy in the lower half, its complement in the upper, so that damage is found.
static POLICY: AtomicU64 = AtomicU64::new(0);

impl Policy {
    /// What the command line says. `panic=` beyond nine hours is nine hours.
    pub fn of(parameters: &Parameters) -> Self {
        let seconds = parameters.panic.clamp(i16::MIN.into(), i16::MAX.into());
        Self {
            seconds: i16::try_from(seconds).unwrap_or(0),
            repeat: parameters.panic_repeat,
            exit: parameters.after == After::Exit,
        }
    }

    /// For a policy that was never set or is damaged: stay, so that nothing is lost by it.
    const DEFAULT: Self = Self { seconds: 0, repeat: 1, exit: false };

    /// Sets the policy for a panic from now on.
    pub fn set(self) {
        let [low, high] = self.seconds.to_le_bytes();
        let word = u32::from_le_bytes([low, high, self.repeat, u8::from(self.exit)]);
        POLICY.store(u64::from(word) | u64::from(!word) << 32, Ordering::Relaxed);
    }

    fn get() -> Self {
        let [low, high, repeat, exit, a, b, c, d] = POLICY.load(Ordering::Relaxed).to_le_bytes();
        if [!a, !b, !c, !d] != [low, high, repeat, exit] {
            return Self::DEFAULT;
        }
        Self { seconds: i16::from_le_bytes([low, high]), repeat, exit: exit != 0 }
    }
}

/// Shows the log on serial, repeats the report, and ends or stays.
pub fn after_the_last_words(mut cards: Cards) -> ! {
    serial::last_words();
    let policy = Policy::get();
    if !policy.exit {
        let mut conversations = Conversations::begin(cards.plan());
        for _ in 0..policy.repeat.min(10) {
            serve(&mut cards, &mut conversations, Some(&Deadline::after(1_000_000)));
            cards.repeat_report();
        }
        // What is left may take as long as it likes.
        watchdog::stop();
        match u64::try_from(policy.seconds) {
            Ok(0) => serve(&mut cards, &mut conversations, None),
            Ok(seconds) => {
                let deadline = Deadline::after(seconds.saturating_mul(1_000_000));
                serve(&mut cards, &mut conversations, Some(&deadline));
            }
            Err(_) => {}
        }
    }
    end()
}

/// Ends the machine as the command line says.
pub fn end() -> ! {
    let policy = Policy::get();
    if policy.exit {
        power::exit(power::ExitCode::Panic)
    }
    if policy.seconds != 0 {
        power::reboot()
    }
    watchdog::stop();
    power::halt()
}

/// Answers on all cards until the deadline.
fn serve(cards: &mut Cards, conversations: &mut Conversations, deadline: Option<&Deadline>) {
    let mut inputs = Inputs::new();
    let protection = memory::KEYS.protection();
    while !deadline.is_some_and(Deadline::has_come) {
        let mut dmesg_to = None;
        let plan = *cards.plan();
        for (place, nic) in cards.nics() {
            let mac = nic.mac();
            let (mut question, mut asks_for_log) = (None, None);
            nic.receive(&mut |frame| {
                let mut buffer = [0; MAX_INPUT];
                if let Some(received) = udp::parse(frame)
                    && let Some(payload) = protection.input(received.payload, &mut inputs, &mut buffer)
                {
                    let received = udp::Received { payload, ..received };
                    conversations.hear(&plan, place, mac, &received);
                    asks_for_log = (payload.trim_ascii() == b"dmesg")
                        .then_some((received.source.ip, received.destination.port));
                }
                // A longer frame is no other question that is answered here.
                let mut copy = [0; 256];
                let len = frame.len().min(copy.len());
                for (to, from) in copy.iter_mut().zip(frame) {
                    *to = *from;
                }
                question = Some((copy, len));
            });
            let Some((frame, len)) = question else { continue };
            answer(nic, &plan, place, frame.get(..len).unwrap_or_default());
            if let Some(asking) = asks_for_log {
                dmesg_to = dmesg_to.or_else(|| {
                    targets_on(&plan, place)
                        .find(|(_, target)| (target.destination.ip, target.source.port) == asking)
                        .map(|(number, _)| number)
                });
            }
        }
        if let Some(wanted) = dmesg_to {
            let end = memory::ring().end();
            cards.send(|number, _| if number == wanted { 0 } else { end });
        }
        conversations.ship(cards);
        core::hint::spin_loop();
    }
}

/// The targets on the card of number `place`, with their own numbers.
fn targets_on(plan: &Plan, place: usize) -> impl Iterator<Item = (usize, &TargetPlan)> {
    let targets = plan.targets.iter().enumerate();
    let targets = targets.filter_map(|(number, target)| Some((number, target.as_ref()?)));
    targets.filter(move |(_, target)| target.uses(place))
}

/// Answers a frame that asks for the address of a target's source on this card, of number `place`.
fn answer(nic: &mut PanicCard, plan: &Plan, place: usize, frame: &[u8]) {
    let mac = nic.mac();
    let own_ips = targets_on(plan, place).map(|(_, target)| ship::source_ip(target, mac));
    // The first one that is asked for: several targets may have the same source.
    let mut own_ips = own_ips.filter(|ip| !ip.is_unspecified());
    let sent = nic.transmit(&mut |to| own_ips.find_map(|ip| reply(frame, mac, ip, to)).unwrap_or(0));
    match sent {
        Ok(()) => nic.kick(),
        // What asked will ask again.
        Err(TransmitError::Full) => {}
        Err(TransmitError::Broken) => _ = nic.restart(),
    }
}

/// The answer to an ARP request or a neighbour solicitation for `ip`, if `frame` is one.
fn reply(frame: &[u8], mac: MacAddr, ip: IpAddr, to: &mut [u8]) -> Option<usize> {
    match ip {
        IpAddr::V4(ip) => {
            arp::parse(frame).filter(|packet| packet.target_ip == ip)?.answer(mac)?.write(None, to)
        }
        IpAddr::V6(ip) => match ndp::parse(frame)? {
            ndp::Message::Solicitation(question) if question.target == ip => question.answer(mac, None, to),
            _ => None,
        },
    }
}
