//! One line after the other: backquotes, commands, filters and files, step by step.

use super::error::{CommandError, TreeError};
use super::filter::{Filter, FilterError};
use super::glob;
use super::host::Host;
use super::job::Job;
use super::path::Path;
use super::step::{CHUNK, Chunk, Step};
use super::tree::{self, Done};
use super::words::{MAX_LINE, Words, without_comment};
use crate::targets::table::TargetTable;
use crate::text::Text;
use core::fmt::{self, Write};

/// How many filters a line may have.
const MAX_FILTERS: usize = 4;
/// What `>` and backquotes take at most, in bytes: whatever a line can say.
const CAPTURE: usize = MAX_LINE;
/// How many steps are taken in one turn while they give no output.
const SILENT_STEPS: usize = 32;
/// What a step and its problem write at most; an output with less room is to be emptied first.
pub(super) const STEP_OUTPUT: usize = CHUNK + PROBLEM + "\n".len();
/// The longest problem in bytes, with the line's words in it.
const PROBLEM: usize = 400;

/// Somebody's place in the tree, and the command under way.
pub struct Session {
    directory: Path,
    /// The line under way; what is before `expanded` is free of backquotes.
    line: Text<MAX_LINE>,
    expanded: usize,
    words: Words,
    job: Option<Job>,
    /// Where the output goes.
    goal: Goal,
    captured: Text<CAPTURE>,
    /// What each filter has seen of its lines.
    counts: [usize; MAX_FILTERS],
    pass: Pass,
}

/// What becomes of a command's output.
enum Goal {
    Output,
    File(Path),
    /// It replaces what is in these backquotes of the line, from the first to after the second.
    Line(usize, usize),
    /// It is in `captured` and waits for the file's target.
    Stored(Path),
}

/// `tail` takes two passes: only after the last line is known which lines are the last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// There is no `tail`, or it knows how many lines to leave out: this many.
    Show { skip: usize },
    /// The lines that come to it are counted.
    Count { lines: usize },
}

/// What a turn did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is no command.
    Idle,
    /// The command goes on at once.
    Working,
    /// It waits for something.
    Waiting,
    /// It has ended.
    Done,
}

impl Default for Session {
    fn default() -> Self {
        Self::new()
    }
}

impl Session {
    /// In the directory of the targets.
    pub fn new() -> Self {
        Self {
            directory: Path::top(),
            line: Text::new(),
            expanded: 0,
            words: Words::new(),
            job: None,
            goal: Goal::Output,
            captured: Text::new(),
            counts: [0; MAX_FILTERS],
            pass: Pass::Show { skip: 0 },
        }
    }

    /// The directory's name, for the prompt.
    pub fn directory(&self) -> &str {
        self.directory.name()
    }

    /// Whether no command is under way.
    pub const fn is_idle(&self) -> bool {
        self.job.is_none() && !matches!(self.goal, Goal::Stored(_))
    }

    /// The record that comes next, where the command under way shows the log as it comes: it ends with the next line.
    pub fn followed(&self) -> Option<u64> {
        self.job.as_ref()?.followed()
    }

    /// Stops the command under way.
    pub fn cancel(&mut self) {
        self.job = None;
        self.goal = Goal::Output;
    }

    /// Begins a line; problems go to `out`. An empty line does nothing, nor does a comment.
    pub fn begin(&mut self, line: &str, host: &mut dyn Host, out: &mut dyn Write) {
        self.cancel();
        self.line.clear();
        self.line.extend(without_comment(line).trim().as_bytes());
        self.expanded = 0;
        self.go_on(host, out);
    }

    /// Begins the next part of the line: what is in its first backquotes, or all.
    fn go_on(&mut self, host: &mut dyn Host, out: &mut dyn Write) {
        let line = self.line.as_str();
        let (text, goal) = match backquotes(line, self.expanded) {
            Some((start, end)) => {
                (line.get(start.saturating_add(1)..end.saturating_sub(1)), Goal::Line(start, end))
            }
            None => (Some(line), Goal::Output),
        };
        let directory = &self.directory;
        let table: &TargetTable = host.targets();
        let read = self.words.read(text.unwrap_or("")).and_then(|()| {
            // What is echoed is a value, in which a `*` has a meaning of its own.
            if !matches!(self.words.command(0).next(), Some("cat" | "ls" | "rmdir")) {
                return Ok(());
            }
            self.words.expand(|word, found| glob::expand(word, directory, table, found))
        });
        if let Err(error) = read {
            return tell(out, error);
        }
        if self.words.is_empty() {
            return;
        }
        let file = match self.words.file().map(|file| (file, self.directory.join(file))) {
            None => None,
            Some((_, Some(path))) => Some(path),
            Some((file, None)) => return tell(out, CommandError::Path(file)),
        };
        self.goal = match (goal, file) {
            (Goal::Output, Some(path)) => Goal::File(path),
            (goal, _) => goal,
        };
        self.captured.clear();
        match self.filters_are_sound(out) {
            Some(has_tail) => {
                self.pass = if has_tail { Pass::Count { lines: 0 } } else { Pass::Show { skip: 0 } };
            }
            None => return,
        }
        self.start(host, out);
    }

    /// Starts the line's first command.
    fn start(&mut self, host: &mut dyn Host, out: &mut dyn Write) {
        self.counts = [0; MAX_FILTERS];
        let is_brief = matches!(self.goal, Goal::File(_)) && self.words.commands() == 1;
        let ends_elsewhere = !matches!(self.goal, Goal::Output) || matches!(self.pass, Pass::Count { .. });
        self.job = match Job::begin(&self.words, is_brief, host) {
            Ok(job) if job.followed().is_some() && ends_elsewhere => {
                tell(out, "dmesg: -w does not end, so expected neither tail nor '>' nor backquotes");
                None
            }
            Ok(job) if self.words.commands() > 1 && !job.has_output() => {
                let name = self.words.command(0).next().unwrap_or("");
                tell(out, format_args!("{name}: it shows nothing that could go through '|'"));
                None
            }
            Ok(job) => Some(job),
            Err(error) => {
                tell(out, error);
                None
            }
        };
    }

    /// Whether one of the filters is `tail`; `None` where one is wrong, which `out` is told.
    fn filters_are_sound(&self, out: &mut dyn Write) -> Option<bool> {
        let filters = self.words.commands().saturating_sub(1);
        if filters > MAX_FILTERS {
            tell(out, format_args!("expected at most {MAX_FILTERS} times '|'"));
            return None;
        }
        let mut has_tail = false;
        for number in 1..=filters {
            let error = match Filter::read(self.words.command(number)) {
                Ok(Filter::Tail(_)) if has_tail => FilterError::Tails,
                Ok(filter) => {
                    has_tail |= matches!(filter, Filter::Tail(_));
                    continue;
                }
                Err(error) => error,
            };
            tell(out, error);
            return None;
        }
        Some(has_tail)
    }

    /// Goes on with the command under way. `out` must have room for `STEP_OUTPUT` bytes, else nothing
    /// is done.
    pub fn poll<const N: usize>(&mut self, host: &mut dyn Host, out: &mut Text<N>) -> Progress {
        if out.room() < STEP_OUTPUT {
            return if self.is_idle() { Progress::Idle } else { Progress::Working };
        }
        if let Goal::Stored(path) = &self.goal {
            return match store(path, self.captured.as_str(), host, out) {
                Done::NotYet => Progress::Waiting,
                Done::Yes => {
                    self.cancel();
                    Progress::Done
                }
            };
        }
        let before = out.len();
        for _ in 0..SILENT_STEPS {
            let Some(mut job) = self.job.take() else { return Progress::Idle };
            let mut chunk = Chunk::new();
            let mut problem = Text::<PROBLEM>::new();
            let step = job.step(&self.words, &mut self.directory, host, &mut chunk, &mut problem);
            let wants_more = self.pass_on(chunk.as_bytes(), out);
            out.extend(problem.as_bytes());
            if problem.is_cut() {
                out.extend(b"\n");
            }
            match step {
                Step::More if wants_more => self.job = Some(job),
                Step::Waits if wants_more => {
                    self.job = Some(job);
                    return Progress::Waiting;
                }
                Step::Failed => {
                    self.cancel();
                    return Progress::Done;
                }
                Step::More | Step::Waits | Step::Done => return self.end_of_job(job, host, out),
            }
            if out.len() != before {
                break;
            }
        }
        Progress::Working
    }

    /// What follows a command's end.
    fn end_of_job(&mut self, job: Job, host: &mut dyn Host, out: &mut dyn Write) -> Progress {
        if let Pass::Count { lines } = self.pass {
            let shown = (1..self.words.commands()).find_map(|number| {
                match Filter::read(self.words.command(number)) {
                    Ok(Filter::Tail(shown)) => Some(shown),
                    _ => None,
                }
            });
            self.pass = Pass::Show { skip: lines.saturating_sub(shown.unwrap_or(lines)) };
            self.start(host, out);
            // Both passes are to end at the same record.
            if let (Job::Dmesg(before), Some(Job::Dmesg(now))) = (&job, &mut self.job) {
                now.end_with(before);
            }
            return if self.job.is_some() { Progress::Working } else { Progress::Done };
        }
        match core::mem::replace(&mut self.goal, Goal::Output) {
            Goal::Output => Progress::Done,
            Goal::File(_) | Goal::Stored(_) if self.captured.is_cut() => {
                tell(out, format_args!("expected at most {CAPTURE} bytes for a file"));
                Progress::Done
            }
            Goal::File(path) | Goal::Stored(path) => {
                self.goal = Goal::Stored(path);
                Progress::Working
            }
            Goal::Line(start, end) => {
                let words = self.captured.as_str().trim();
                if words.contains(['`', '|', '>', '"', '\'']) || self.captured.is_cut() {
                    tell(out, "expected a word or two from the command in backquotes");
                    return Progress::Done;
                }
                self.line.replace(start, end, words.as_bytes());
                if self.line.is_cut() {
                    tell(out, "expected a shorter line");
                    return Progress::Done;
                }
                self.expanded = start.saturating_add(words.len());
                self.go_on(host, out);
                if self.is_idle() { Progress::Done } else { Progress::Working }
            }
        }
    }

    /// Hands a chunk of output through the filters to where it goes; whether more is of use.
    fn pass_on<const N: usize>(&mut self, chunk: &[u8], out: &mut Text<N>) -> bool {
        let Self { words, counts, pass, goal, captured, .. } = self;
        let filters = words.commands().saturating_sub(1);
        let mut put = |bytes: &[u8]| match goal {
            Goal::Output => out.extend(bytes),
            _ => captured.extend(bytes),
        };
        if filters == 0 {
            put(chunk);
            return true;
        }
        let mut is_over = false;
        for line in chunk.split_inclusive(|&byte| byte == b'\n') {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            filter_line(words, 1, line, counts, pass, &mut is_over, &mut |line| {
                put(line);
                put(b"\n");
            });
        }
        !is_over
    }
}

/// Says what went wrong, in one line.
fn tell(out: &mut dyn Write, problem: impl fmt::Display) {
    // The outputs have room for it.
    let _ = writeln!(out, "{}", Text::<PROBLEM>::of(problem).as_str());
}

/// Hands a line through the filter `number` and those after it.
fn filter_line(
    words: &Words,
    number: usize,
    line: &[u8],
    counts: &mut [usize; MAX_FILTERS],
    pass: &mut Pass,
    is_over: &mut bool,
    put: &mut dyn FnMut(&[u8]),
) {
    if number >= words.commands() {
        return put(line);
    }
    let mut on = |line: &[u8], counts: &mut [usize; MAX_FILTERS], pass: &mut Pass, is_over: &mut bool| {
        filter_line(words, number.saturating_add(1), line, counts, pass, is_over, put);
    };
    let Some(seen) = counts.get_mut(number.saturating_sub(1)) else { return };
    match Filter::read(words.command(number)) {
        Ok(Filter::Head(shown)) => {
            *seen = seen.saturating_add(1);
            *is_over |= *seen >= shown;
            if *seen <= shown {
                on(line, counts, pass, is_over);
            }
        }
        Ok(Filter::Tail(_)) => match pass {
            Pass::Count { lines } => *lines = lines.saturating_add(1),
            Pass::Show { skip: 0 } => on(line, counts, pass, is_over),
            Pass::Show { skip } => *skip = skip.saturating_sub(1),
        },
        Ok(Filter::Grep(grep)) => {
            grep.pass(line, &mut |line| on(line, counts, pass, is_over));
        }
        // They were read before.
        Err(_) => {}
    }
}

/// Writes what a command showed to a file.
fn store(path: &Path, value: &str, host: &mut dyn Host, out: &mut dyn Write) -> Done {
    let Some(node) = path.find(host.targets()) else {
        tell(out, CommandError::Tree(path.name(), TreeError::Missing));
        return Done::Yes;
    };
    match tree::store(&node, host, value) {
        Ok(done) => done,
        Err(error @ TreeError::Attribute(_)) => {
            tell(out, format_args!("netconsole: {error}"));
            Done::Yes
        }
        Err(error) => {
            tell(out, format_args!("{}: {error}", path.name().escape_default()));
            Done::Yes
        }
    }
}

/// The first pair of backquotes from byte `from` on, outside of single quotes: where it begins and
/// behind which byte it ends.
fn backquotes(line: &str, from: usize) -> Option<(usize, usize)> {
    let mut quoted = false;
    let mut start = None;
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            b'\'' => quoted = !quoted,
            b'`' if !quoted && at >= from => match start {
                None => start = Some(at),
                Some(start) => return Some((start, at.saturating_add(1))),
            },
            _ => {}
        }
    }
    None
}
