//! What a user sets: the targets of `netconsole=`, the addresses of `ip=`, and what they are made of.
//!
//! It knows nothing of `ring`, `nic`, `stack` and `targets`.

#![forbid(unsafe_code)]

mod command_line;
mod fallback;
mod ip;
mod key;
pub mod parameter;
mod target;
mod unknown;
mod user_data;
mod value;

pub use command_line::{Everybody, Problem, SecrecyUndecided, Settings};
pub use fallback::{Fallback, FallbackError};
pub use ip::{Autoconf, IpError, IpParameter, Part as IpPart};
pub use key::{may_hold_key, wipe_keys};
pub use target::{DeviceName, DeviceSelector, Format, TargetConfig};
pub use unknown::OF_NETCONSOLE;
pub use value::{ValueError, number, truth};

/// The most targets that there can be: 4 without the feature `many-targets`.
pub const MAX_TARGETS: usize = if cfg!(feature = "many-targets") { 16 } else { 4 };

/// The CPU that everything runs on (` cpu=0`).
pub(crate) const CPU: u32 = 0;
