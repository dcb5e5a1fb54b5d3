//! The library's own card in memory.

pub use netconsole::nic::{Nic, NicError, TransmitError};
pub use netconsole::wire::MacAddr;

#[path = "../../netconsole/src/nic/fake.rs"]
mod fake;
pub use fake::{Card, MAC};
