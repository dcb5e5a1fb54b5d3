//! Levels, records, the lock-free ring, and the back end of the [`log`](::log) facade.

mod level;

pub use level::Level;
