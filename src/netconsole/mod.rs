//! netconsole itself: what a target is, the parameter that names it, the message formats, and the
//! sender that brings every record of the ring to every target.

#![forbid(unsafe_code)]

pub mod asker;
pub mod attribute;
mod burst;
pub mod choice;
mod config;
pub mod format;
pub mod leg;
pub mod life;
pub mod ncrx;
pub mod parameter;
pub mod path_name;
pub mod secure;
pub mod snapshot;
pub mod table;
pub mod target;
mod threshold;
pub mod user_data;

pub use config::{DeviceName, DeviceSelector, Format, TargetConfig};
pub use threshold::Threshold;

/// The most targets that there can be.
pub const MAX_TARGETS: usize = 16;

/// The release that extended messages name, and the boot log.
pub const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// The CPU that everything runs on (` cpu=0`).
const CPU: u32 = 0;
