//! What the machine and the kernel are: `uname` and `uptime`.

use super::error::CommandError;
use super::host::Host;
use super::step::{Chunk, Step};
use super::words::Words;
use core::fmt::{self, Write};

/// What `uname` can show, in the order in which it does, each with its option.
const PARTS: [(char, Part); 5] =
    [('s', Part::Name), ('n', Part::Host), ('r', Part::Release), ('v', Part::Build), ('m', Part::Machine)];

#[derive(Clone, Copy)]
enum Part {
    Name,
    Host,
    Release,
    Build,
    Machine,
}

/// Looks at the options of `uname`.
pub(super) fn check_names<'w>(mut arguments: impl Iterator<Item = &'w str>) -> Result<(), CommandError<'w>> {
    let is_known = |option: char| option == 'a' || PARTS.iter().any(|(known, _)| *known == option);
    let is_valid = |word: &str| {
        let options = word.strip_prefix('-').unwrap_or("");
        word == "--all" || !options.is_empty() && options.chars().all(is_known)
    };
    if arguments.all(is_valid) { Ok(()) } else { Err(CommandError::Usage("uname [-asnrvm]")) }
}

/// Shows what the options ask for.
pub(super) fn show_names(words: &Words, host: &mut dyn Host, out: &mut Chunk) -> Result<Step, fmt::Error> {
    let wants = |option: char| {
        let mut given = words.command(0).skip(1);
        given.any(|word| word == "--all" || word.contains('a') || word.contains(option))
    };
    let is_bare = words.command(0).nth(1).is_none();
    let mut is_first = true;
    for (_, part) in PARTS.into_iter().filter(|&(option, _)| wants(option) || is_bare && option == 's') {
        if !core::mem::take(&mut is_first) {
            out.write_str(" ")?;
        }
        match part {
            Part::Name => out.write_str("netconsole")?,
            Part::Host => match host.common().style.host_name {
                Some(name) => write!(out, "{name}")?,
                None => out.write_str("(none)")?,
            },
            Part::Release => out.write_str(host.common().style.release)?,
            Part::Build => host.show_build_id(out)?,
            Part::Machine => out.write_str("x86_64")?,
        }
    }
    writeln!(out).map(|()| Step::Done)
}

/// Shows how long the kernel has run.
pub(super) fn show_uptime(host: &mut dyn Host, out: &mut Chunk) -> Result<Step, fmt::Error> {
    let seconds = host.now() / 1_000_000;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    writeln!(out, "up {hours}:{minutes:02}:{:02}", seconds % 60).map(|()| Step::Done)
}
