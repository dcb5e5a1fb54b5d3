//! A file per sender, rotated by size.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::appended::Appended;
use super::buffered::Buffered;
use super::error::Error;
use crate::limits;

/// The file of the senders that come after too many.
const OTHERS: &str = "others";
/// How often it is looked whether a file is still where it was made.
const LOOK: Duration = Duration::from_secs(1);

/// The files of one directory.
pub struct Files {
    dir: PathBuf,
    ending: &'static str,
    size: u64,
    keep: u32,
    senders: HashMap<String, Sender>,
    open: usize,
    /// Files that did not exist before.
    made: usize,
}

/// One sender's file.
struct Sender {
    path: PathBuf,
    buffered: Buffered,
    file: Option<Appended>,
    looked_at: Instant,
    /// Records written since then.
    since: u64,
}

impl Files {
    /// Makes the directory if need be.
    pub fn open(dir: &Path, ending: &'static str, size: u64, keep: u32) -> Result<Self, Error> {
        fs::create_dir_all(dir).map_err(|error| Error::File(dir.to_owned(), error))?;
        Ok(Files { dir: dir.to_owned(), ending, size, keep, senders: HashMap::new(), open: 0, made: 0 })
    }

    /// The file of a sender.
    pub fn path(&self, name: &str) -> PathBuf {
        // No name leaves the directory or hides in it.
        let allowed = |character: char| character.is_alphanumeric() || "-_.:@+ ".contains(character);
        let safe: String =
            name.chars().map(|character| if allowed(character) { character } else { '_' }).collect();
        let safe = if safe.starts_with('.') { format!("_{safe}") } else { safe };
        self.dir.join(format!("{safe}.{}", self.ending))
    }

    /// Appends a record to a sender's file, after rotating it where it would grow too large.
    pub fn append(&mut self, name: &str, record: &[u8]) {
        let may_open = self.senders.contains_key(name)
            || self.made < limits::FILES && self.senders.len() < limits::FILES
            || self.path(name).exists();
        let name = if may_open { name } else { OTHERS };
        if !self.senders.contains_key(name) {
            self.close_surplus();
            let path = self.path(name);
            self.made += usize::from(!path.exists());
            self.open += 1;
            self.senders.insert(name.to_owned(), Sender::new(path));
        }
        let Some(sender) = self.senders.get_mut(name) else { return };
        let length = u64::try_from(record.len()).unwrap_or(u64::MAX);
        if sender.length() > 0 && sender.length().saturating_add(length) > self.size {
            sender.flush();
            sender.rotate(self.keep);
        }
        sender.buffered.next_record().extend_from_slice(record);
        sender.since = sender.since.saturating_add(1);
        if sender.buffered.is_full() {
            sender.flush();
        }
    }

    /// Hands everything to the system.
    pub fn flush(&mut self) {
        self.senders.values_mut().for_each(Sender::flush);
    }

    /// What was lost.
    pub fn losses(&self) -> impl Iterator<Item = String> {
        self.senders.values().filter_map(|sender| sender.buffered.loss())
    }

    /// Keeps the number of open files within the number of senders.
    fn close_surplus(&mut self) {
        if self.open < limits::OPEN_FILES {
            return;
        }
        self.flush();
        self.senders.retain(|_, sender| sender.buffered.loss().is_some());
        self.senders.values_mut().for_each(|sender| sender.file = None);
        self.open = 0;
    }
}

impl Sender {
    fn new(path: PathBuf) -> Self {
        // One that can't be opened is tried again when it is written.
        let file = open(&path).ok();
        let buffered = Buffered::new(path.display(), "records");
        Sender { path, buffered, file, looked_at: Instant::now(), since: 0 }
    }

    /// The file's length when everything is written.
    fn length(&self) -> u64 {
        let written = self.file.as_ref().map_or(0, Appended::length);
        written.saturating_add(u64::try_from(self.buffered.waiting()).unwrap_or(u64::MAX))
    }

    fn flush(&mut self) {
        if self.buffered.waiting() == 0 {
            return;
        }
        if self.looked_at.elapsed() >= LOOK {
            self.look();
        }
        let (file, path) = (&mut self.file, &self.path);
        self.buffered.write(|bytes| {
            let written = match file {
                Some(file) => file.write(bytes),
                None => open(path).and_then(|opened| file.insert(opened).write(bytes)),
            };
            if written.is_err() {
                *file = None;
            }
            written
        });
    }

    /// Leaves a file that was deleted or renamed, for a new one.
    fn look(&mut self) {
        self.looked_at = Instant::now();
        let waiting = self.buffered.records();
        let written = std::mem::replace(&mut self.since, waiting).saturating_sub(waiting);
        if let Some(file) = self.file.take_if(|file| file.has_left(&self.path))
            && file.is_deleted()
        {
            self.buffered.lose(written);
            self.buffered.because("the file was deleted, with its newest records; it is made again");
        }
    }

    /// `x.log` becomes `x.log.1`, that `x.log.2`, and so on; the oldest goes. Where that fails the file grows on.
    fn rotate(&mut self, keep: u32) {
        match rotate(&self.path, keep) {
            Ok(()) => self.file = open(&self.path).ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.look(),
            Err(error) => self.buffered.because(&format!("it can't be rotated: {error}")),
        }
    }
}

/// Opens a file, in a directory that may have vanished.
fn open(path: &Path) -> io::Result<Appended> {
    let open = || OpenOptions::new().create(true).append(true).open(path);
    let file = open().or_else(|error| match (error.kind(), path.parent()) {
        (io::ErrorKind::NotFound, Some(dir)) => fs::create_dir_all(dir).and_then(|()| open()),
        _ => Err(error),
    })?;
    Appended::new(file)
}

fn rotate(path: &Path, keep: u32) -> io::Result<()> {
    let numbered = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    if keep == 0 {
        return fs::remove_file(path);
    }
    for number in (1..keep).rev() {
        if numbered(number).exists() {
            fs::rename(numbered(number), numbered(number + 1))?;
        }
    }
    fs::rename(path, numbered(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Behind them come all others, together.
    #[test]
    fn there_are_at_most_4096_files() {
        let dir = std::env::temp_dir().join(format!("netconsole-files-{}", std::process::id()));
        let mut files = Files::open(&dir, "log", u64::MAX, 0).expect("a directory");
        for sender in 0..4098 {
            files.append(&format!("sender{sender}"), b"text\n");
        }
        files.append("sender0", b"text\n");
        files.flush();
        assert_eq!(files.losses().count(), 0);
        let lines =
            |name: &str| fs::read_to_string(files.path(name)).map(|text| text.lines().count()).unwrap_or(0);
        assert_eq!(["sender0", "sender4095", "sender4096", OTHERS].map(lines), [2, 1, 0, 2]);
        fs::remove_dir_all(&dir).expect("it is ours");
    }
}
