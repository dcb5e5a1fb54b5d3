//! One turn of shipping: each card takes what its targets have for it.

use super::card::Card;
use super::state::State;
use crate::format::RingLog;
use crate::nic::Nic;
use crate::platform::{Platform, Probe, probe};
use crate::ring::Timebase;
use crate::seal::{Numbers, Sealing};
use crate::settings::MAX_TARGETS;
use crate::targets::table::TargetTable;
use crate::targets::{Shipped, Target, Turn};

/// How many frames the targets of a card queue in one turn, as many as it has buffers for.
const FRAMES_PER_TURN: u64 = 64;

/// How many of them each target may queue at least. Where there are many targets, each has its share in some turns only:
/// a share costs as much as several frames, however small it is.
const LEAST_SHARE: u64 = 16;

/// What a card's targets did in its turn.
#[derive(Clone, Copy, Default)]
struct Done {
    /// A target has more to ship.
    busy: bool,
    /// The card broke the rules.
    broken: bool,
    /// A target queued a frame.
    progress: bool,
}

impl State {
    /// Ships what there is to every target whose link is up; true where there is more to do at once.
    pub fn ship<P: Platform>(&mut self, timebase: &Timebase, now: u64) -> bool {
        let memory = P::memory();
        let protection = memory.keys.protection();
        let sealing = Sealing { protection: &protection, numbers: Numbers::Counted(&memory.keys) };
        let running = self.running_targets();
        // A single target has no share limit.
        let share = match FRAMES_PER_TURN.checked_div(running) {
            Some(share) if running > 1 => share.max(LEAST_SHARE),
            _ => u64::MAX,
        };
        let mut turn = Turn {
            log: RingLog::new(P::ring(), timebase),
            common: &self.common,
            sealing,
            now,
            frames: 0,
            recent: (self.targets.iter().map(Target::ways).fold(0, usize::saturating_add) > 1)
                .then_some(&mut self.recent),
        };
        let mut busy = false;
        for (place, card) in self.cards.iter_mut().enumerate() {
            let Some(card) = card.as_mut().filter(|card| card.link_is_up()) else { continue };
            let done = ship_by(place, card, &mut self.targets, &mut turn, share);
            busy |= done.busy;
            probe::<P>(Probe::Transmit);
            card.nic.kick();
            if (done.broken || card.is_stuck(now, done.progress)) && card.may_restart(now) {
                log::error!("{}: the card does not answer, restarting it", card.name);
                if let Err(error) = card.restart(now) {
                    log::error!("{}: can't be restarted: {error}", card.name);
                }
                self.targets.iter_mut().for_each(|target| target.rewind(place));
            } else if card.nic.is_drained() {
                self.targets.iter_mut().for_each(|target| target.was_taken(place));
            }
        }
        for (number, target) in self.targets.numbered() {
            if let Some(position) = memory.positions.get(number) {
                position.set(target.taken());
            }
        }
        busy
    }
}

/// Has the targets of the card at `place` queue their frames, each its `share`, beginning with the one whose turn it is.
#[inline(always)]
fn ship_by(
    place: usize,
    card: &mut Card,
    targets: &mut TargetTable,
    turn: &mut Turn<'_, '_>,
    share: u64,
) -> Done {
    let mut done = Done::default();
    let mut left = FRAMES_PER_TURN;
    let first = card.next_target;
    let mut used = core::mem::take(&mut card.share_used);
    for number in (first..MAX_TARGETS).chain(0..first) {
        let Some((target, user_data)) = targets.with_user_data(number) else { continue };
        if !target.uses(place) {
            continue;
        }
        let before = target.datagrams();
        let most = share.saturating_sub(used).min(left);
        turn.frames = most;
        let shipped = target.ship(place, turn, user_data, &mut card.nic);
        let queued = most.saturating_sub(turn.frames);
        (left, used) = (left.saturating_sub(queued), used.saturating_add(queued));
        done.progress |= target.datagrams() != before;
        match shipped {
            Shipped::Everything => {}
            Shipped::More | Shipped::Full => done.busy = true,
            Shipped::Broken => done.broken = true,
        }
        if left == 0 || shipped == Shipped::Full {
            // Each has its whole share before the next one has any, however little room the card has at once.
            let goes_on = used < share;
            (card.next_target, card.share_used) =
                if goes_on { (number, used) } else { (number.saturating_add(1), 0) };
            break;
        }
        used = 0;
    }
    done
}
