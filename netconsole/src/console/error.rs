//! Why a command was refused, or could not be carried out.

use crate::targets::attribute::AttributeError;
use crate::targets::table::TableError;
use crate::targets::user_data::UserDataError;
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
    /// The crash should have been one of these.
    Crash(&'static [&'static str]),
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
            Self::Crash(names) => {
                f.write_str("crash: expected one of")?;
                names.iter().try_for_each(|name| write!(f, " {name}"))
            }
        }
    }
}

/// Why something can't be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TreeError<'a> {
    /// Nothing is there.
    Missing,
    NotDirectory,
    IsDirectory,
    /// Directories are made and removed only for targets and items.
    NotPermitted,
    /// The target has items.
    NotEmpty,
    ReadOnly,
    WriteOnly,
    /// What is written to `printk` is not what it takes.
    Printk,
    Target(TableError),
    Item(UserDataError),
    Attribute(AttributeError<'a>),
}

impl fmt::Display for TreeError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("No such file or directory"),
            Self::NotDirectory => f.write_str("Not a directory"),
            Self::IsDirectory => f.write_str("Is a directory"),
            Self::NotPermitted => f.write_str(
                "Operation not permitted: directories are targets in /sys/kernel/config/netconsole and items in their userdata",
            ),
            Self::NotEmpty => f.write_str("Directory not empty: remove the items in its userdata first"),
            Self::ReadOnly => f.write_str("Permission denied: it can only be read"),
            Self::WriteOnly => {
                f.write_str("Permission denied: it can only be written to; 'dmesg -w' shows the log")
            }
            Self::Printk => {
                f.write_str("Invalid argument: expected a number from 0 to 8, records of lower levels being shown")
            }
            Self::Target(error) => error.fmt(f),
            Self::Item(error) => error.fmt(f),
            Self::Attribute(error) => error.fmt(f),
        }
    }
}
