//! What a netconsole keeps from turn to turn. It lies in [`Memory`](crate::memory::Memory): it is larger than a stack
//! should carry.

use super::card::Card;
use super::consoles::Consoles;
use super::fallback::Fallback;
use super::statistics::Statistics;
use super::vlan::{MAX_VLANS, VlanMemory};
use super::wall_clock::WallClock;
use crate::format::{RecentLines, SharedStyle};
use crate::nic::CardMemory;
use crate::plan::{MAX_NICS, Plan};
use crate::seal::Inputs;
use crate::settings::Settings;
use crate::targets::table::TargetTable;
use crate::targets::user_data::UserData;
use crate::targets::{Common, LogFilter};
use core::mem::MaybeUninit;
use core::slice::IterMut;

/// Everything that runs.
pub struct State {
    pub settings: &'static Settings,
    pub common: Common,
    pub cards: [Option<Card>; MAX_NICS],
    pub targets: TargetTable,
    pub consoles: &'static mut Consoles,
    /// How many cards were claimed, and how many rooms for cards were taken.
    pub claimed: u8,
    pub rooms: u8,
    /// The memory of a card that failed.
    pub spare_memory: Option<&'static mut CardMemory>,
    /// The cards have been claimed, and what depends on all of them is settled.
    pub are_cards_known: bool,
    /// When everything is to be looked at again, and when what the cards have received.
    pub look_at: u64,
    pub receive_at: u64,
    /// What is broadcast while there is no target, if anything.
    pub fallback: Option<Fallback>,
    pub statistics: Statistics,
    pub wall_clock: WallClock,
    /// What was taken of sealed input.
    pub inputs: Inputs,
    /// Memory for VLANs that are not there yet.
    pub vlans: IterMut<'static, VlanMemory>,
    /// What the panic path was told last, if anything.
    pub published: Option<Plan>,
    pub recent: RecentLines<'static>,
}

impl State {
    /// Without cards and targets, in `memory`. Each part is written where it stays: all together are larger than a stack
    /// should carry.
    #[inline(never)]
    pub fn begin(
        memory: &'static mut MaybeUninit<Self>,
        settings: &'static Settings,
        release: &'static str,
        consoles: &'static mut Consoles,
        user_data: &'static mut UserData,
        vlan_memory: &'static mut [VlanMemory; MAX_VLANS],
    ) -> &'static mut Self {
        let state = memory.as_mut_ptr();
        // SAFETY: the pointer is to memory for a State, whose parts are written here and not read before; the pattern at
        // the end names every one.
        unsafe {
            (&raw mut (*state).settings).write(settings);
            (&raw mut (*state).common).write(common(settings, release));
            for place in 0..MAX_NICS {
                (&raw mut (*state).cards).cast::<Option<Card>>().add(place).write(None);
            }
            (&raw mut (*state).targets).write(TargetTable::new(user_data));
            (&raw mut (*state).consoles).write(consoles);
            (&raw mut (*state).claimed).write(0);
            (&raw mut (*state).rooms).write(0);
            (&raw mut (*state).spare_memory).write(None);
            (&raw mut (*state).are_cards_known).write(false);
            (&raw mut (*state).look_at).write(0);
            (&raw mut (*state).receive_at).write(0);
            (&raw mut (*state).fallback).write(None);
            (&raw mut (*state).statistics).write(Statistics::new());
            (&raw mut (*state).wall_clock).write(WallClock::new());
            (&raw mut (*state).inputs).write(Inputs::new());
            (&raw mut (*state).vlans).write(vlan_memory.iter_mut());
            (&raw mut (*state).published).write(None);
            (&raw mut (*state).recent).write(RecentLines::new());
        }
        // SAFETY: every part was written above.
        let state = unsafe { memory.assume_init_mut() };
        let Self {
            settings: _,
            common: _,
            cards: _,
            targets: _,
            consoles: _,
            claimed: _,
            rooms: _,
            spare_memory: _,
            are_cards_known: _,
            look_at: _,
            receive_at: _,
            fallback: _,
            statistics: _,
            wall_clock: _,
            inputs: _,
            vlans: _,
            published: _,
            recent: _,
        } = state;
        state
    }

    /// How many targets have started.
    pub fn running_targets(&self) -> u64 {
        self.targets.iter().filter(|target| target.is_running()).count() as u64
    }

    /// Waits for the carrier so long, in µs.
    pub fn carrier_timeout(&self) -> u64 {
        u64::from(self.settings.carrier_timeout).saturating_mul(1_000_000)
    }
}

/// What holds for all targets, as the settings have it.
pub fn common(settings: &Settings, release: &'static str) -> Common {
    Common {
        filter: LogFilter {
            limit: settings.loglevel,
            ignore_limits: settings.ignore_loglevel,
            oops_only: settings.oops_only,
        },
        style: SharedStyle {
            time: settings.printk_time,
            release,
            host_name: settings.ip.hostname,
            epoch: None,
        },
        ncrx: settings.ncrx,
        spares_everybody: settings.spares_everybody(),
    }
}
