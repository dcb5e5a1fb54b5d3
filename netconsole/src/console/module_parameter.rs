//! What holds for all targets, where Linux has it: parameters of its modules in `/sys/module`.

use crate::settings::truth;
use crate::targets::Common;
use crate::targets::attribute::{AttributeError, Wanted};

/// A switch, on or off from the next record on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ModuleParameter {
    /// `netconsole.oops_only`
    OopsOnly,
    /// `ignore_loglevel`
    IgnoreLoglevel,
    /// `printk.time`
    Time,
}

impl ModuleParameter {
    const fn name(self) -> &'static str {
        match self {
            Self::OopsOnly => "oops_only",
            Self::IgnoreLoglevel => "ignore_loglevel",
            Self::Time => "time",
        }
    }

    const fn of(self, common: &mut Common) -> &mut bool {
        match self {
            Self::OopsOnly => &mut common.filter.oops_only,
            Self::IgnoreLoglevel => &mut common.filter.ignore_limits,
            Self::Time => &mut common.style.time,
        }
    }

    /// What the file shows.
    pub const fn as_str(self, mut common: Common) -> &'static str {
        if *self.of(&mut common) { "Y" } else { "N" }
    }

    /// Takes what was written to the file.
    pub fn store<'a>(self, common: &mut Common, value: &'a str) -> Result<(), AttributeError<'a>> {
        let value = value.trim();
        let error = AttributeError::Value { file: self.name(), wanted: Wanted::Switch, found: value };
        *self.of(common) = truth(value).ok_or(error)?;
        Ok(())
    }
}
