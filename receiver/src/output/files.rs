//! A file per sender, rotated by size.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::appended::Appended;
use super::buffered::Buffered;
use super::error::Error;
use super::places::{Place, Places};
use crate::limits;

/// How often it is looked whether a file is still where it was made.
const LOOK: Duration = Duration::from_secs(1);

/// The files of one directory.
pub struct Files {
    places: Places,
    size: u64,
    keep: u32,
    senders: HashMap<String, Sender>,
    open: usize,
}

/// One sender's file.
struct Sender {
    path: PathBuf,
    has_names: bool,
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
        Ok(Files { places: Places::new(dir, ending), size, keep, senders: HashMap::new(), open: 0 })
    }

    /// Whether the lines of a sender's file begin with its name.
    pub fn has_names(&mut self, name: &str) -> bool {
        if let Some(sender) = self.senders.get(name) {
            return sender.has_names;
        }
        self.close_surplus();
        let Place { path, has_names } = self.places.of(name);
        self.open += 1;
        self.senders.insert(name.to_owned(), Sender::new(path, has_names));
        has_names
    }

    /// Appends a record to a sender's file, after rotating it where it would grow too large.
    pub fn append(&mut self, name: &str, record: &[u8]) {
        self.has_names(name);
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
    fn new(path: PathBuf, has_names: bool) -> Self {
        // One that can't be opened is tried again when it is written.
        let file = open(&path).ok();
        let buffered = Buffered::new(path.display(), "records");
        Sender { path, has_names, buffered, file, looked_at: Instant::now(), since: 0 }
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

    /// Behind them come all others, each in its file, of which 256 directories have a part, with its name on each line.
    #[test]
    fn after_4096_files_there_are_256_directories() {
        let dir = std::env::temp_dir().join(format!("netconsole-files-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        let mut named = 0;
        // In the second run the files are there already.
        for run in 0..2 {
            let mut files = Files::open(&dir, "log", u64::MAX, 0).expect("a directory");
            for sender in 0..4099 {
                let name = format!("sender{sender}");
                named += usize::from(files.has_names(&name));
                files.append(&name, b"text\n");
            }
            files.flush();
            assert_eq!((files.losses().count(), named), (0, (run + 1) * 3));
        }
        let all: Vec<PathBuf> =
            fs::read_dir(&dir).expect("it is there").flatten().map(|entry| entry.path()).collect();
        let (below, flat): (Vec<_>, Vec<_>) = all.into_iter().partition(|path| path.is_dir());
        let below = below.iter().flat_map(|dir| fs::read_dir(dir).expect("it is there").flatten());
        let below: Vec<_> = below.map(|entry| entry.path()).collect();
        assert_eq!((flat.len(), below.len()), (4096, 3));
        let is_twice = |path: &PathBuf| fs::read_to_string(path).is_ok_and(|text| text == "text\ntext\n");
        assert!(flat.iter().chain(&below).all(is_twice));
        fs::remove_dir_all(&dir).expect("it is ours");
    }
}
