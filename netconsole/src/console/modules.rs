//! `modprobe` and `netconsole=`: targets come and go as with Linux's module.

use super::error::CommandError;
use super::host::Host;
use super::module_parameter::ModuleParameter;
use super::step::{Chunk, Step, failed};
use super::tree::{self, Done};
use super::words::Words;
use crate::settings::parameter;
use core::fmt::{self, Write};

/// Targets of `netconsole=`, by the word and their place in it.
pub(super) struct Adding {
    word: usize,
    target: usize,
}

/// What is asked for.
pub(super) enum Change {
    /// It is there already.
    Nothing,
    Add(Adding),
    /// All targets go.
    RemoveTargets,
}

/// Reads what `modprobe` is to do.
pub(super) fn modprobe<'w>(mut arguments: impl Iterator<Item = &'w str>) -> Result<Change, CommandError<'w>> {
    match arguments.next() {
        Some("-r" | "--remove") => remove(arguments),
        Some("configfs") => Ok(Change::Nothing),
        // Its parameters may follow.
        Some("netconsole") => Ok(Change::Add(Adding { word: 2, target: 0 })),
        Some(module) if !module.starts_with('-') => Err(CommandError::NoModule(module)),
        _ => {
            Err(CommandError::Usage("modprobe netconsole [netconsole=PARAMETER], or modprobe -r netconsole"))
        }
    }
}

/// Reads which module is to go.
pub(super) fn remove<'w>(mut arguments: impl Iterator<Item = &'w str>) -> Result<Change, CommandError<'w>> {
    match (arguments.next(), arguments.next()) {
        (Some("netconsole"), None) => Ok(Change::RemoveTargets),
        (Some("configfs"), None) => Err(CommandError::BuiltIn("configfs")),
        (Some(module), None) => Err(CommandError::NoModule(module)),
        _ => Err(CommandError::Usage("modprobe -r netconsole, or rmmod netconsole")),
    }
}

/// Stops and removes one target after the other.
pub(super) fn remove_step(host: &mut dyn Host) -> Step {
    match tree::remove_first(host.targets()) {
        None => Step::Done,
        Some(Done::Yes) => Step::More,
        Some(Done::NotYet) => Step::Waits,
    }
}

impl Adding {
    /// The targets of a `netconsole=` that is the whole command.
    pub(super) const fn command() -> Self {
        Self { word: 0, target: 0 }
    }

    /// Adds one target, and starts it.
    pub(super) fn step(
        &mut self,
        words: &Words,
        host: &mut dyn Host,
        out: &mut Chunk,
        problem: &mut dyn Write,
    ) -> Result<Step, fmt::Error> {
        let Some(text) = words.command(0).nth(self.word) else { return Ok(Step::Done) };
        if let Some(value) = text.strip_prefix("oops_only=") {
            self.word = self.word.saturating_add(1);
            return match ModuleParameter::OopsOnly.store(host.common(), value) {
                Ok(()) => Ok(Step::More),
                Err(error) => failed(problem, format_args!("netconsole: {error}")),
            };
        }
        let Some(value) = text.strip_prefix("netconsole=") else {
            let usage = CommandError::Usage(
                "netconsole=[SOURCE PORT]@[SOURCE ADDRESS]/[DEVICE],[PORT]@ADDRESS/[MAC]",
            );
            return failed(problem, usage);
        };
        let Some(parsed) = parameter::targets(value.as_bytes()).nth(self.target) else {
            (self.word, self.target) = (self.word.saturating_add(1), 0);
            return Ok(Step::More);
        };
        self.target = self.target.saturating_add(1);
        match parsed.target {
            Err(error) => writeln!(problem, "netconsole: {error}")?,
            Ok(config) => {
                let now = host.now();
                match host.targets().add(config) {
                    Err(error) => writeln!(problem, "netconsole: '{config}': {error}")?,
                    Ok(target) => {
                        target.enable(now);
                        writeln!(out, "{}: {config}", target.name())?;
                    }
                }
            }
        }
        for warning in parsed.warnings.iter() {
            writeln!(problem, "netconsole: {warning}")?;
        }
        Ok(Step::More)
    }
}
