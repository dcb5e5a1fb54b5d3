//! The static memory that the panic path alone uses, all zero.

use super::card::PanicCard;
use super::leg::Leg;
use super::skip::DeadlyCards;
use crate::ncrx::Ncrx;
use crate::plan::MAX_NICS;
use crate::settings::MAX_TARGETS;
use crate::take_once::TakeOnce;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU32, AtomicU64};

/// What only the panic path uses; each of its starts takes it over.
pub struct PanicMemory {
    /// How often it was started.
    pub starts: AtomicU32,
    /// The sequence number of the report's first record, plus 1; 0 before there is one.
    pub report: AtomicU64,
    /// At which card it is, and those at which an earlier start has died.
    pub deadly_cards: DeadlyCards,
    /// The drivers, which its stack has no room for.
    pub drivers: TakeOnce<MaybeUninit<[Option<PanicCard>; MAX_NICS]>>,
    /// How far it has come with each target, by each card.
    pub legs: TakeOnce<[[Leg; MAX_TARGETS]; MAX_NICS]>,
    /// The conversations with the targets' receivers.
    pub conversations: TakeOnce<[MaybeUninit<Ncrx>; MAX_TARGETS]>,
}

impl PanicMemory {
    /// Memory that nothing was done with.
    pub const fn new() -> Self {
        Self {
            starts: AtomicU32::new(0),
            report: AtomicU64::new(0),
            deadly_cards: DeadlyCards::new(),
            drivers: TakeOnce::new(MaybeUninit::uninit()),
            legs: TakeOnce::new([const { [const { Leg::NONE }; _] }; _]),
            conversations: TakeOnce::new([const { MaybeUninit::uninit() }; _]),
        }
    }
}
