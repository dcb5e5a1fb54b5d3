//! Why a command was refused.

use super::tree::TreeError;
use crate::parameters::CrashError;
use core::fmt;

/// Why a command was refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CommandError<'w> {
    Unknown(&'w str),
    /// Its arguments should have been these.
    Usage(&'static str),
    /// The path is longer than any that exists.
    Path(&'w str),
    Tree(&'w str, TreeError<'static>),
    NoModule(&'w str),
    /// A module that can't be removed.
    BuiltIn(&'w str),
    Crash(CrashError),
}

impl fmt::Display for CommandError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => {
                write!(f, "{}: command not found; 'help' lists all", name.escape_default())
            }
            Self::Usage(usage) => write!(f, "expected {usage}"),
            Self::Path(path) => write!(f, "{}: File name too long", path.escape_default()),
            Self::Tree(path, error) => write!(f, "{}: {error}", path.escape_default()),
            Self::NoModule(name) => write!(
                f,
                "modprobe: FATAL: Module {} not found: netconsole and configfs are built in",
                name.escape_default()
            ),
            Self::BuiltIn(name) => {
                write!(f, "modprobe: FATAL: Module {} is builtin: only netconsole can be removed", name)
            }
            Self::Crash(error) => write!(f, "crash: expected {error}"),
        }
    }
}
