//! The commands. Each is a job that goes on step by step, so that none holds up the log: a step writes
//! at most one chunk and never waits.

use super::dmesg::{self, Asked, Dmesg};
use super::error::CommandError;
use super::files::{self, Paths};
use super::help::HELP;
use super::host::{Ending, Host};
use super::modules::{self, Adding, Change};
use super::path::Path;
use super::probe::{Arping, Ping};
use super::step::{Chunk, Step, next_of, step_if};
use super::system;
use super::tree::{self, Done};
use super::words::Words;
use core::fmt::Write;

/// A command under way.
pub(super) enum Job {
    /// The log.
    Dmesg(Dmesg),
    /// The log's limit of levels.
    SetLevel(u8),
    Lines {
        lines: &'static [&'static str],
        next: usize,
    },
    /// The words after the command.
    Echo,
    ChangeDirectory,
    List(Paths),
    Show(Paths),
    Make(Paths),
    Remove(Paths),
    Add(Adding),
    /// All targets go.
    RemoveTargets,
    Arping(Arping),
    Ping(Ping),
    Interfaces {
        next: usize,
    },
    PciFunctions {
        next: usize,
    },
    Uptime,
    Uname,
    End(Ending),
    Nothing,
}

const ARPING: &str = "arping [-f] [-I DEVICE] ADDRESS";
const PING: &str = "ping [-c NUMBER] ADDRESS";

impl Job {
    /// Begins the first command of `words`. `is_brief` says that its output goes straight to a file.
    pub(super) fn begin<'w>(
        words: &'w Words,
        is_brief: bool,
        host: &mut dyn Host,
    ) -> Result<Self, CommandError<'w>> {
        let mut arguments = words.command(0);
        let name = arguments.next().unwrap_or("");
        let usage = |usage| Err(CommandError::Usage(usage));
        if name.starts_with("netconsole=") {
            return Ok(Self::Add(Adding::command()));
        }
        let has_arguments = arguments.clone().next().is_some();
        match name {
            "dmesg" => Ok(match dmesg::read(arguments, host)? {
                Asked::Log(dmesg) => Self::Dmesg(dmesg),
                Asked::Limit(limit) => Self::SetLevel(limit),
                Asked::Help(lines) => Self::Lines { lines, next: 0 },
            }),
            "help" | "?" if !has_arguments => Ok(Self::Lines { lines: HELP, next: 0 }),
            "echo" => Ok(Self::Echo),
            "cd" if arguments.clone().count() <= 1 => Ok(Self::ChangeDirectory),
            "cd" => usage("cd DIRECTORY"),
            "ls" => Ok(Self::List(Paths::new())),
            "cat" if has_arguments => Ok(Self::Show(Paths::new())),
            "cat" => usage("cat FILE"),
            "mkdir" if has_arguments => Ok(Self::Make(Paths::new())),
            "mkdir" => usage("mkdir DIRECTORY"),
            "rmdir" if has_arguments => Ok(Self::Remove(Paths::new())),
            "rmdir" => usage("rmdir DIRECTORY"),
            "modprobe" => modules::modprobe(arguments).map(Self::of),
            "rmmod" => modules::remove(arguments).map(Self::of),
            "mount" if arguments.any(|word| word == "configfs") => Ok(Self::Nothing),
            "mount" => usage("mount none -t configfs /sys/kernel/config, which is there already"),
            "arping" => {
                Arping::read(arguments, is_brief).map(Self::Arping).ok_or(CommandError::Usage(ARPING))
            }
            "ping" => Ping::read(arguments).map(Self::Ping).ok_or(CommandError::Usage(PING)),
            "ip" => Ok(Self::Interfaces { next: 0 }),
            "lspci" => Ok(Self::PciFunctions { next: 0 }),
            "uname" => system::check_names(arguments).map(|()| Self::Uname),
            "uptime" if !has_arguments => Ok(Self::Uptime),
            "crash" if !host.crashes().is_empty() => {
                let (wanted, crashes) = (arguments.next().unwrap_or(""), host.crashes());
                let name = crashes.iter().find(|name| name.eq_ignore_ascii_case(wanted));
                name.map(|name| Self::End(Ending::Crash(name))).ok_or(CommandError::Crash(crashes))
            }
            "reboot" if !has_arguments => Ok(Self::End(Ending::Reboot)),
            "poweroff" if !has_arguments => Ok(Self::End(Ending::Poweroff)),
            "help" | "?" | "uptime" | "reboot" | "poweroff" => usage("no arguments"),
            _ => Err(CommandError::Unknown(name)),
        }
    }

    const fn of(change: Change) -> Self {
        match change {
            Change::Nothing => Self::Nothing,
            Change::Add(adding) => Self::Add(adding),
            Change::RemoveTargets => Self::RemoveTargets,
        }
    }

    /// Whether it has output, which can go through filters and into files.
    pub(super) const fn has_output(&self) -> bool {
        !matches!(
            self,
            Self::SetLevel(_)
                | Self::ChangeDirectory
                | Self::Make(_)
                | Self::Remove(_)
                | Self::Add(_)
                | Self::RemoveTargets
                | Self::End(_)
                | Self::Nothing
        )
    }

    /// The record that comes next, where it shows the log as it comes and does not end by itself.
    pub(super) fn followed(&self) -> Option<u64> {
        match self {
            Self::Dmesg(dmesg) => dmesg.followed(),
            _ => None,
        }
    }

    /// Goes on: output to `out`, what went wrong to `problem`.
    pub(super) fn step(
        &mut self,
        words: &Words,
        directory: &mut Path,
        host: &mut dyn Host,
        out: &mut Chunk,
        problem: &mut dyn Write,
    ) -> Step {
        let result = match self {
            Self::Nothing => Ok(Step::Done),
            Self::Dmesg(dmesg) => Ok(dmesg.step(host, out, problem)),
            Self::SetLevel(level) => {
                host.common().filter.limit = *level;
                Ok(Step::Done)
            }
            Self::Lines { lines, next } => match lines.get(*next) {
                None => Ok(Step::Done),
                Some(line) => {
                    *next = next.saturating_add(1);
                    writeln!(out, "{line}").map(|()| Step::More)
                }
            },
            Self::Echo => files::echo(words, out),
            Self::ChangeDirectory => files::change_directory(words, directory, host, problem),
            Self::List(paths) => paths.list(words, directory, host, out, problem),
            Self::Show(paths) => Ok(paths.show(words, directory, host, out, problem)),
            Self::Make(paths) => Ok(paths.each(words, directory, problem, |path| {
                tree::make(&path, host.targets()).map(|()| Done::Yes)
            })),
            Self::Remove(paths) => {
                Ok(paths.each(words, directory, problem, |path| tree::remove(&path, host.targets())))
            }
            Self::Add(adding) => adding.step(words, host, out, problem),
            Self::RemoveTargets => Ok(modules::remove_step(host)),
            Self::Arping(arping) => arping.step(host, out, problem),
            Self::Ping(ping) => ping.step(host, out, problem),
            Self::Interfaces { next } => Ok(step_if(host.show_interface(next_of(next), out))),
            Self::PciFunctions { next } => Ok(step_if(host.show_pci_function(next_of(next), out))),
            Self::Uptime => system::show_uptime(host, out),
            Self::Uname => system::show_names(words, host, out),
            Self::End(ending) => {
                host.end(*ending);
                Ok(Step::Done)
            }
        };
        // A chunk that is full lost the end of a line, which is there to see. Whoever writes has stepped on.
        result.unwrap_or(Step::More)
    }
}
