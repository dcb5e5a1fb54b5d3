//! The commands. Each is a job that goes on step by step, so that none holds up the log: a step writes
//! at most one chunk and never waits.

use super::host::{Ending, Host};
use super::path::Path;
use super::probe::{Arping, Ping};
use super::tree::{self, Done, TreeError};
use super::words::Words;
use crate::log::Read;
use crate::netconsole::format::{self, Style};
use crate::netconsole::{Format, parameter};
use crate::parameters::{Crash, CrashError};
use crate::text::Text;
use core::fmt::{self, Write};

/// What a step may write at most, in bytes: a datagram of the log.
pub(super) const CHUNK: usize = format::MAX_DATAGRAM;
/// What one step writes.
pub(super) type Chunk = Text<CHUNK>;

/// A command under way.
pub(super) enum Job {
    /// The log from a record on, up to where it ended when the command began.
    Dmesg {
        sequence: u64,
        offset: usize,
        end: u64,
    },
    /// The log's limit of levels.
    SetLevel(u8),
    Lines {
        lines: &'static [&'static str],
        next: usize,
    },
    /// The words behind the command.
    Echo,
    ChangeDirectory,
    List {
        path: Path,
        next: usize,
    },
    /// Files, by their place among the words.
    Show {
        word: usize,
    },
    Make {
        word: usize,
    },
    Remove {
        word: usize,
    },
    /// Targets of `netconsole=`, by the word and their place in it.
    Add {
        word: usize,
        target: usize,
    },
    Arping(Arping),
    Ping(Ping),
    Interfaces {
        next: usize,
    },
    PciFunctions {
        next: usize,
    },
    Uptime,
    End(Ending),
    Nothing,
}

/// How far a step came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// There is more to do at once.
    More,
    /// There is more to do later.
    Waits,
    Done,
    /// It failed and said so.
    Failed,
}

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
            Self::Crash(error) => write!(f, "crash: expected {error}"),
        }
    }
}

const HELP: &[&str] = &[
    "dmesg [-n LEVEL] [-h]        the log; with -n, shows records below LEVEL from now on",
    "cd ls cat mkdir rmdir        in /sys/kernel/config/netconsole: targets, their attributes and items",
    "echo VALUE > ATTRIBUTE       changes an attribute of a target; 'echo 1 > enabled' starts it",
    "netconsole=PARAMETER         adds targets, as on the kernel's command line",
    "arping [-f] [-I DEVICE] ADDRESS   asks for an ethernet address",
    "ping [-c N] ADDRESS          sends echo requests",
    "ip                           interfaces and their addresses",
    "lspci                        PCI functions",
    "uptime                       time since the boot",
    "crash KIND                   brings the kernel down",
    "reboot, poweroff             ends it",
    "... | head | tail | grep     the first lines, the last lines, matching lines; -n N, -o, -v, -i",
    "`COMMAND`                    what COMMAND shows becomes part of the line",
];

const DMESG_HELP: &[&str] = &[
    "Usage: dmesg [options]",
    "Shows the log.",
    "Options:",
    " -n, --console-level LEVEL  shows records below LEVEL (0 to 8) from now on",
    " -h, --help                 shows this",
];

const ARPING: &str = "arping [-f] [-I DEVICE] ADDRESS";
const PING: &str = "ping [-c NUMBER] ADDRESS";
const DMESG: &str = "dmesg, dmesg -n LEVEL with a LEVEL from 0 to 8, or dmesg -h";

impl Job {
    /// Begins the first command of `words`. `is_brief` says that its output goes straight to a file.
    pub(super) fn begin<'w>(
        words: &'w Words,
        directory: &Path,
        is_brief: bool,
        host: &mut dyn Host,
    ) -> Result<Self, CommandError<'w>> {
        let mut arguments = words.command(0);
        let name = arguments.next().unwrap_or("");
        let usage = |usage| Err(CommandError::Usage(usage));
        if name.starts_with("netconsole=") {
            return Ok(Self::Add { word: 0, target: 0 });
        }
        let has_arguments = arguments.clone().next().is_some();
        match name {
            "dmesg" => dmesg(arguments, host),
            "help" | "?" if !has_arguments => Ok(Self::Lines { lines: HELP, next: 0 }),
            "echo" => Ok(Self::Echo),
            "cd" if arguments.clone().count() <= 1 => Ok(Self::ChangeDirectory),
            "cd" => usage("cd DIRECTORY"),
            "ls" => {
                // Options of other systems' `ls` change nothing here.
                let mut paths = arguments.filter(|word| !word.starts_with('-'));
                let path = paths.next().unwrap_or("");
                match paths.next() {
                    Some(_) => usage("ls [DIRECTORY]"),
                    None => {
                        let path = directory.join(path).ok_or(CommandError::Path(path))?;
                        Ok(Self::List { path, next: 0 })
                    }
                }
            }
            "cat" if has_arguments => Ok(Self::Show { word: 1 }),
            "cat" => usage("cat FILE"),
            "mkdir" if has_arguments => Ok(Self::Make { word: 1 }),
            "mkdir" => usage("mkdir DIRECTORY"),
            "rmdir" if has_arguments => Ok(Self::Remove { word: 1 }),
            "rmdir" => usage("rmdir DIRECTORY"),
            "modprobe" => match arguments.next() {
                Some("configfs") => Ok(Self::Nothing),
                // Its parameters may follow.
                Some("netconsole") => Ok(Self::Add { word: 2, target: 0 }),
                Some(module) => Err(CommandError::NoModule(module)),
                None => usage("modprobe MODULE"),
            },
            "mount" if arguments.any(|word| word == "configfs") => Ok(Self::Nothing),
            "mount" => usage("mount none -t configfs /sys/kernel/config, which is there already"),
            "arping" => {
                Arping::read(arguments, is_brief).map(Self::Arping).ok_or(CommandError::Usage(ARPING))
            }
            "ping" => Ping::read(arguments).map(Self::Ping).ok_or(CommandError::Usage(PING)),
            "ip" => Ok(Self::Interfaces { next: 0 }),
            "lspci" => Ok(Self::PciFunctions { next: 0 }),
            "uptime" if !has_arguments => Ok(Self::Uptime),
            "crash" => match arguments.next().unwrap_or("").parse() {
                Ok(Crash { kind, place: None }) => Ok(Self::End(Ending::Crash(kind))),
                Ok(_) => Err(CommandError::Crash(CrashError::Kind)),
                Err(error) => Err(CommandError::Crash(error)),
            },
            "reboot" if !has_arguments => Ok(Self::End(Ending::Reboot)),
            "poweroff" if !has_arguments => Ok(Self::End(Ending::Poweroff)),
            "help" | "?" | "uptime" | "reboot" | "poweroff" => usage("no arguments"),
            _ => Err(CommandError::Unknown(name)),
        }
    }

    /// Whether it has output, which can go through filters and into files.
    pub(super) const fn has_output(&self) -> bool {
        !matches!(
            self,
            Self::SetLevel(_)
                | Self::ChangeDirectory
                | Self::Make { .. }
                | Self::Remove { .. }
                | Self::Add { .. }
                | Self::End(_)
                | Self::Nothing
        )
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
            Self::Dmesg { sequence, offset, end } => {
                return dmesg_step(host, sequence, offset, *end, out);
            }
            Self::SetLevel(level) => {
                host.filter().limit = *level;
                Ok(Step::Done)
            }
            Self::Lines { lines, next } => match lines.get(*next) {
                None => Ok(Step::Done),
                Some(line) => {
                    *next = next.saturating_add(1);
                    writeln!(out, "{line}").map(|()| Step::More)
                }
            },
            Self::Echo => echo(words, out),
            Self::ChangeDirectory => change_directory(words, directory, host, problem),
            Self::List { path, next } => list_step(path, next, host, out, problem),
            Self::Show { word } => each_path(words, word, directory, problem, |path| {
                let node = path.find(host.targets()).ok_or(TreeError::Missing)?;
                tree::show(&node, host, out).map(|()| Done::Yes)
            }),
            Self::Make { word } => each_path(words, word, directory, problem, |path| {
                tree::make(&path, host.targets()).map(|()| Done::Yes)
            }),
            Self::Remove { word } => {
                each_path(words, word, directory, problem, |path| tree::remove(&path, host.targets()))
            }
            Self::Add { word, target } => add_step(words, word, target, host, out, problem),
            Self::Arping(arping) => arping.step(host, out, problem),
            Self::Ping(ping) => ping.step(host, out, problem),
            Self::Interfaces { next } => Ok(step_if(host.show_interface(advance(next), out))),
            Self::PciFunctions { next } => Ok(step_if(host.show_pci_function(advance(next), out))),
            Self::Uptime => {
                let seconds = host.now() / 1_000_000;
                let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
                writeln!(out, "up {hours}:{minutes:02}:{:02}", seconds % 60).map(|()| Step::Done)
            }
            Self::End(ending) => {
                host.end(*ending);
                Ok(Step::Done)
            }
        };
        // A chunk that is full lost the end of a line, which is there to see. Whoever writes has stepped on.
        result.unwrap_or(Step::More)
    }
}

fn dmesg<'w>(
    mut arguments: impl Iterator<Item = &'w str>,
    host: &mut dyn Host,
) -> Result<Job, CommandError<'w>> {
    let job = match (arguments.next(), arguments.next()) {
        (None, _) => {
            let ring = host.ring();
            Job::Dmesg { sequence: ring.first(), offset: 0, end: ring.end() }
        }
        (Some("-h" | "--help"), None) => Job::Lines { lines: DMESG_HELP, next: 0 },
        (Some("-n" | "--console-level"), Some(level)) => match *level.as_bytes() {
            [digit @ b'0'..=b'8'] => Job::SetLevel(digit.wrapping_sub(b'0')),
            _ => return Err(CommandError::Usage(DMESG)),
        },
        _ => return Err(CommandError::Usage(DMESG)),
    };
    if arguments.next().is_some() { Err(CommandError::Usage(DMESG)) } else { Ok(job) }
}

/// One datagram's worth of the log, as the basic format has it.
fn dmesg_step(
    host: &mut dyn Host,
    sequence: &mut u64,
    offset: &mut usize,
    end: u64,
    out: &mut Chunk,
) -> Step {
    if *sequence >= end {
        return Step::Done;
    }
    let timebase = host.timebase();
    let style = Style::new(Format::Basic, host.filter().time);
    let ring = host.ring();
    match ring.read(*sequence) {
        Read::Record(record) | Read::Unfinished(record) => {
            let mut text = [0; CHUNK];
            let micros = ring.micros(&record, &timebase);
            let piece = format::write_datagram(&style, &record, micros, *offset, &mut text);
            // What was overwritten meanwhile is found lost at the next step.
            if record.is_intact() {
                out.extend(text.get(..piece.len).unwrap_or_default());
                (*sequence, *offset) = match piece.next {
                    Some(offset) => (*sequence, offset),
                    None => (sequence.saturating_add(1), 0),
                };
            }
            Step::More
        }
        Read::Lost { resume } => {
            (*sequence, *offset) = (resume.max(sequence.saturating_add(1)), 0);
            Step::More
        }
        Read::End => Step::Done,
    }
}

/// Says why a command failed. It has, whether or not all of that fits.
pub(super) fn failed(problem: &mut dyn Write, error: impl fmt::Display) -> Result<Step, fmt::Error> {
    let _ = writeln!(problem, "{error}");
    Ok(Step::Failed)
}

/// Counts to the next, and gives the one before.
fn advance(next: &mut usize) -> usize {
    core::mem::replace(next, next.saturating_add(1))
}

const fn step_if(more: bool) -> Step {
    if more { Step::More } else { Step::Done }
}

fn echo(words: &Words, out: &mut Chunk) -> Result<Step, fmt::Error> {
    let mut arguments = words.command(0).skip(1).peekable();
    let has_end = arguments.next_if_eq(&"-n").is_none();
    let mut is_first = true;
    for word in arguments {
        if !core::mem::take(&mut is_first) {
            out.write_str(" ")?;
        }
        out.write_str(word)?;
    }
    if has_end {
        out.write_str("\n")?;
    }
    Ok(Step::Done)
}

fn change_directory(
    words: &Words,
    directory: &mut Path,
    host: &mut dyn Host,
    problem: &mut dyn Write,
) -> Result<Step, fmt::Error> {
    let name = words.command(0).nth(1).unwrap_or("/sys/kernel/config/netconsole");
    let path = directory.join(name);
    let error = match path.as_ref().and_then(|path| path.find(host.targets())) {
        Some(node) if node.is_directory() => {
            if let Some(path) = path {
                *directory = path;
            }
            return Ok(Step::Done);
        }
        Some(_) => TreeError::NotDirectory,
        None => TreeError::Missing,
    };
    failed(problem, format_args!("cd: {}", CommandError::Tree(name, error)))
}

fn list_step(
    path: &Path,
    next: &mut usize,
    host: &mut dyn Host,
    out: &mut Chunk,
    problem: &mut dyn Write,
) -> Result<Step, fmt::Error> {
    let table = host.targets();
    let Some(node) = path.find(table) else {
        let error = CommandError::Tree(path.as_str(), TreeError::Missing);
        return failed(problem, format_args!("ls: {error}"));
    };
    if !node.is_directory() {
        return writeln!(out, "{}", path.name()).map(|()| Step::Done);
    }
    tree::list(&node, advance(next), table, out).map(step_if)
}

/// Does something with the path in the words' place `word`, and steps to the next.
fn each_path(
    words: &Words,
    word: &mut usize,
    directory: &Path,
    problem: &mut dyn Write,
    act: impl FnOnce(Path) -> Result<Done, TreeError<'static>>,
) -> Result<Step, fmt::Error> {
    let command = words.command(0).next().unwrap_or("");
    let Some(name) = words.command(0).nth(*word) else { return Ok(Step::Done) };
    let error = match directory.join(name).map(act) {
        Some(Ok(Done::NotYet)) => return Ok(Step::Waits),
        Some(Ok(Done::Yes)) => {
            *word = word.saturating_add(1);
            return Ok(Step::More);
        }
        Some(Err(error)) => CommandError::Tree(name, error),
        None => CommandError::Path(name),
    };
    failed(problem, format_args!("{command}: {error}"))
}

/// Adds one target of `netconsole=`, and starts it.
fn add_step(
    words: &Words,
    word: &mut usize,
    target: &mut usize,
    host: &mut dyn Host,
    out: &mut Chunk,
    problem: &mut dyn Write,
) -> Result<Step, fmt::Error> {
    let Some(text) = words.command(0).nth(*word) else { return Ok(Step::Done) };
    let Some(value) = text.strip_prefix("netconsole=") else {
        let usage =
            CommandError::Usage("netconsole=[SOURCE PORT]@[SOURCE ADDRESS]/[DEVICE],[PORT]@ADDRESS/[MAC]");
        return failed(problem, usage);
    };
    let Some(parsed) = parameter::targets(value.as_bytes()).nth(*target) else {
        (*word, *target) = (word.saturating_add(1), 0);
        return Ok(Step::More);
    };
    *target = target.saturating_add(1);
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
