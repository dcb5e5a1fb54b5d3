//! The UEFI firmware that goes on beside this kernel, where a card needs its driver: its boot services have not ended then.
//!
//! The firmware keeps what it has: the timer, the interrupt controllers, bus masters, bridges, and all memory that it has not
//! given to this kernel. It runs in calls through the [`gate`] alone, on the CPU that it started this kernel on and outside
//! of its own event handlers (TPL_APPLICATION), and has its interrupts for a moment at least every 10 ms.

pub mod cards;
pub mod gate;
pub mod network;
pub mod services;
pub mod structure;

pub use gate::stays;

/// How late the firmware's timer may be, in µs: the period of its own ticks.
pub const TICK_INTERVAL: u64 = 10_000;
