//! `netconsole.fallback=`: what goes out where targets are asked for and none of them could be taken.

use core::str::FromStr;

/// What is broadcast where no target could be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// What is wrong with the parameters, and the network cards: nothing of the log.
    Errors,
    /// The log, as with `netconsole=@/,@/`.
    Log,
    /// Nothing.
    Off,
}

/// The text is none of the three words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FallbackError;

impl FromStr for Fallback {
    type Err = FallbackError;

    fn from_str(text: &str) -> Result<Self, FallbackError> {
        match text {
            "errors" => Ok(Self::Errors),
            "log" => Ok(Self::Log),
            "off" => Ok(Self::Off),
            _ => Err(FallbackError),
        }
    }
}
