//! The commands that work on files and directories: `cd ls cat mkdir rmdir`, and `echo`.

use super::error::{CommandError, TreeError};
use super::host::Host;
use super::path::Path;
use super::step::{Chunk, Step, failed, next_of};
use super::tree::{self, Done};
use super::words::Words;
use core::fmt::{self, Write};

/// Paths that are gone through, one after the other.
pub(super) struct Paths {
    /// The place of the one under way among the command's words.
    word: usize,
    /// How much of it is done.
    done: usize,
    /// Something went wrong.
    has_failed: bool,
}

impl Paths {
    /// From the first word after the command's name on.
    pub(super) const fn new() -> Self {
        Self { word: 1, done: 0, has_failed: false }
    }

    /// Goes on to the next.
    const fn advance(&mut self) {
        (self.word, self.done) = (self.word.saturating_add(1), 0);
    }

    /// What follows the last.
    const fn end(&self) -> Step {
        if self.has_failed { Step::Failed } else { Step::Done }
    }

    /// Does something with the path under way, and steps to the next, also where it can't be done.
    pub(super) fn each(
        &mut self,
        words: &Words,
        directory: &Path,
        problem: &mut dyn Write,
        act: impl FnOnce(Path) -> Result<Done, TreeError<'static>>,
    ) -> Step {
        let Some(name) = words.command(0).nth(self.word) else { return self.end() };
        let error = match directory.join(name).map(act) {
            Some(Ok(Done::NotYet)) => return Step::Waits,
            Some(Ok(Done::Yes)) => {
                self.advance();
                return Step::More;
            }
            Some(Err(error)) => CommandError::Tree(name, error),
            None => CommandError::Path(name),
        };
        self.fail(words, problem, &error)
    }

    fn fail(&mut self, words: &Words, problem: &mut dyn Write, error: &CommandError<'_>) -> Step {
        let command = words.command(0).next().unwrap_or("");
        let _ = writeln!(problem, "{command}: {error}");
        self.has_failed = true;
        self.advance();
        Step::More
    }

    /// Shows a chunk of the file under way.
    pub(super) fn show(
        &mut self,
        words: &Words,
        directory: &Path,
        host: &mut dyn Host,
        out: &mut Chunk,
        problem: &mut dyn Write,
    ) -> Step {
        let (skip, mut shown) = (self.done, None);
        let step = self.each(words, directory, problem, |path| {
            let node = path.find(host.targets()).ok_or(TreeError::Missing)?;
            tree::show(&node, host, &mut Window { skip, out })?;
            if out.is_cut() && !out.is_empty() {
                shown = Some(skip.saturating_add(out.len()));
                return Ok(Done::NotYet);
            }
            Ok(Done::Yes)
        });
        match shown {
            None => step,
            Some(shown) => {
                self.done = shown;
                Step::More
            }
        }
    }

    /// Shows an entry of the directory under way.
    pub(super) fn list(
        &mut self,
        words: &Words,
        directory: &Path,
        host: &mut dyn Host,
        out: &mut Chunk,
        problem: &mut dyn Write,
    ) -> Result<Step, fmt::Error> {
        // Options of other systems' `ls` change nothing here.
        let mut paths = words.command(0).skip(1).filter(|word| !word.starts_with('-'));
        let several = paths.clone().nth(1).is_some();
        let place = self.word.saturating_sub(1);
        let name = match paths.nth(place) {
            Some(name) => name,
            None if place == 0 => "",
            None => return Ok(self.end()),
        };
        let Some(path) = directory.join(name) else {
            return Ok(self.fail(words, problem, &CommandError::Path(name)));
        };
        let table = host.targets();
        let Some(node) = path.find(table) else {
            return Ok(self.fail(words, problem, &CommandError::Tree(path.as_str(), TreeError::Missing)));
        };
        if !node.is_directory() {
            self.advance();
            let name = if several { name } else { path.name() };
            return writeln!(out, "{name}").map(|()| Step::More);
        }
        let number = next_of(&mut self.done);
        if number == 0 && several {
            writeln!(out, "{name}:")?;
        }
        if !tree::list(&node, number, table, out)? {
            self.advance();
        }
        Ok(Step::More)
    }
}

/// Passes on what comes after the first `skip` bytes.
struct Window<'o> {
    skip: usize,
    out: &'o mut Chunk,
}

impl Write for Window<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let skipped = self.skip.min(text.len());
        self.skip = self.skip.saturating_sub(skipped);
        // What was shown before ended with a character.
        self.out.write_str(text.get(skipped..).unwrap_or(""))
    }
}

/// Shows the words after the command.
pub(super) fn echo(words: &Words, out: &mut Chunk) -> Result<Step, fmt::Error> {
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

/// Goes to the directory that the command names.
pub(super) fn change_directory(
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
