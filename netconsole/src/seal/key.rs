//! The key of `netconsole.key=`, and what was asked for with it.

use core::fmt;

/// The key of `netconsole.key=`. It is never shown, not by `Debug` either.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(pub [u8; 32]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(hidden)")
    }
}

/// What `netconsole.key=` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secrecy {
    /// Without it: everything goes out in the clear.
    Clear,
    /// Everything is sealed with the key.
    Sealed(Key),
    /// The key can't be read: nothing goes out.
    Silent,
}
