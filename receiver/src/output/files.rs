//! A file per sender, rotated by size.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use ahash::RandomState;
use nix::errno::Errno;
use nix::fcntl::renameat;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{UnlinkatFlags, unlinkat};
use slab::Slab;

use super::appended::Appended;
use super::buffered::Buffered;
use super::error::Error;
use super::opened;
use super::places::{Place, Places};

/// Files that are open at once, where the system allows it.
const OPEN_MOST: u64 = 1 << 14;
/// Files, sockets and pipes that are open besides.
const OTHER_FILES: usize = 64;
/// How often it is looked whether a file is still where it was made.
const LOOK: Duration = Duration::from_secs(1);

/// The files of one directory.
pub struct Files {
    dir: Rc<Path>,
    places: Places,
    size: u64,
    keep: u32,
    by_name: HashMap<String, usize, RandomState>,
    senders: Slab<Sender>,
    /// Those of which a file was opened, the one that was opened first in front.
    opened: VecDeque<usize>,
    most_open: usize,
    /// Those of which records wait.
    waiting: Vec<usize>,
}

/// One sender's file.
struct Sender {
    name: String,
    /// The directory that the user said, and the file below it.
    dir: Rc<Path>,
    path: PathBuf,
    has_names: bool,
    buffered: Buffered,
    file: Option<Appended>,
    /// Something was written since it was considered last for being closed.
    is_used: bool,
    looked_at: Instant,
    /// Records written since then.
    since: u64,
}

impl Files {
    /// Makes the directory if need be.
    pub fn open(dir: &Path, ending: &'static str, size: u64, keep: u32) -> Result<Self, Error> {
        fs::create_dir_all(dir).map_err(|error| Error::File(dir.to_owned(), error))?;
        Ok(Files {
            dir: dir.into(),
            places: Places::new(dir, ending),
            size,
            keep,
            by_name: HashMap::default(),
            senders: Slab::new(),
            opened: VecDeque::new(),
            most_open: most_open(),
            waiting: Vec::new(),
        })
    }

    /// The number of a sender's file, and whether its lines begin with the sender's name.
    pub fn of(&mut self, name: &str) -> (usize, bool) {
        if let Some(&number) = self.by_name.get(name) {
            return (number, self.senders.get(number).is_some_and(|sender| sender.has_names));
        }
        while self.opened.len() >= self.most_open {
            self.close_one();
        }
        let Place { path, has_names } = self.places.of(name);
        let number = self.senders.insert(Sender::new(name, Rc::clone(&self.dir), path, has_names));
        self.by_name.insert(name.to_owned(), number);
        self.opened.push_back(number);
        (number, has_names)
    }

    /// Appends a record to a file, after rotating it where it would grow too large.
    pub fn append(&mut self, number: usize, record: &[u8]) {
        let Some(sender) = self.senders.get_mut(number) else { return };
        let length = u64::try_from(record.len()).unwrap_or(u64::MAX);
        if sender.length() > 0 && sender.length().saturating_add(length) > self.size {
            sender.flush();
            sender.rotate(self.keep);
        }
        if sender.buffered.waiting() == 0 {
            self.waiting.push(number);
        }
        sender.buffered.next_record().extend_from_slice(record);
        sender.is_used = true;
        sender.since = sender.since.saturating_add(1);
        if sender.buffered.is_full() {
            sender.flush();
        }
    }

    /// Hands everything to the system.
    pub fn flush(&mut self) {
        for number in self.waiting.drain(..) {
            if let Some(sender) = self.senders.get_mut(number) {
                sender.flush();
                sender.buffered.give_back();
            }
        }
    }

    /// What was lost.
    pub fn losses(&self) -> impl Iterator<Item = String> {
        self.senders.iter().filter_map(|(_, sender)| sender.buffered.loss())
    }

    /// Closes the file that was opened first, of those that were not written lately.
    fn close_one(&mut self) {
        while let Some(number) = self.opened.pop_front() {
            let Some(sender) = self.senders.get_mut(number) else { return };
            if std::mem::take(&mut sender.is_used) {
                self.opened.push_back(number);
                continue;
            }
            sender.flush();
            sender.file = None;
            // What was lost is told at the end.
            if sender.buffered.loss().is_none()
                && let Some(sender) = self.senders.try_remove(number)
            {
                self.by_name.remove(&sender.name);
            }
            return;
        }
    }
}

/// How many files may be open at once: all but a few of those that this process may have, which are as many as the
/// system lets it have.
fn most_open() -> usize {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or_default();
    let wanted = hard.min(OPEN_MOST);
    let may =
        if wanted > soft && setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_ok() { wanted } else { soft };
    usize::try_from(may.min(OPEN_MOST)).unwrap_or_default().saturating_sub(OTHER_FILES).max(1)
}

impl Sender {
    fn new(name: &str, dir: Rc<Path>, path: PathBuf, has_names: bool) -> Self {
        // One that can't be opened is tried again when it is written.
        let file = open(&dir, &path).ok();
        let buffered = Buffered::new(path.display(), "records");
        let (name, looked_at) = (name.to_owned(), Instant::now());
        Sender { name, dir, path, has_names, buffered, file, is_used: true, looked_at, since: 0 }
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
        let (file, dir, path) = (&mut self.file, &self.dir, &self.path);
        self.buffered.write(|bytes| {
            let written = match file {
                Some(file) => file.write(bytes),
                None => open(dir, path).and_then(|opened| file.insert(opened).write(bytes)),
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
        // What could not be opened is another's, and so is what is there in its stead.
        if self.file.as_ref().is_none_or(|file| file.has_left(&self.path)) {
            return self.look();
        }
        match rotate(&self.dir, &self.path, keep) {
            Ok(()) => self.file = open(&self.dir, &self.path).ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.look(),
            Err(error) => self.buffered.because(&format!("it can't be rotated: {error}")),
        }
    }
}

fn open(dir: &Path, path: &Path) -> io::Result<Appended> {
    opened::below(dir, path).and_then(Appended::new)
}

/// In the file's directory, to which no link leads.
fn rotate(dir: &Path, path: &Path, keep: u32) -> io::Result<()> {
    let (at, name) = opened::directory(dir, path)?;
    let numbered = |number: u32| {
        let mut name = name.to_owned();
        name.push(format!(".{number}"));
        name
    };
    if keep == 0 {
        return Ok(unlinkat(&at, name, UnlinkatFlags::NoRemoveDir)?);
    }
    for number in (1..keep).rev() {
        match renameat(&at, &*numbered(number), &at, &*numbered(number + 1)) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(renameat(&at, name, &at, &*numbered(1))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More senders than files that may be open: those that are not written are closed, and each has all its records.
    #[test]
    fn files_are_closed_and_opened_again() {
        let dir = std::env::temp_dir().join(format!("netconsole-open-{}", std::process::id()));
        let mut files = Files::open(&dir, "log", u64::MAX, 0).expect("a directory");
        files.most_open = 8;
        for round in 0..3 {
            for sender in 0..20 {
                // The first is written all the time.
                for name in ["first".to_owned(), format!("sender{sender}")] {
                    let (number, _) = files.of(&name);
                    files.append(number, format!("{round}\n").as_bytes());
                }
                files.flush();
                assert!(files.opened.len() <= 8 && files.senders.len() <= 8);
            }
        }
        let read = |name: &str| fs::read_to_string(dir.join(format!("{name}.log"))).expect("a file");
        assert!((0..20).all(|sender| read(&format!("sender{sender}")) == "0\n1\n2\n"));
        assert_eq!(read("first").lines().count(), 60);
        fs::remove_dir_all(&dir).expect("it is ours");
    }

    /// A directory was replaced by a link: what is there is another's, whether or not the file was opened before.
    #[test]
    fn nothing_is_rotated_through_a_link() {
        let dir = tempfile::tempdir().expect("a directory");
        let (logs, elsewhere) = (dir.path().join("logs"), dir.path().join("elsewhere"));
        let path = logs.join("40/a.log");
        let sender = || Sender::new("a", logs.as_path().into(), path.clone(), true);
        let mut opened = sender();
        fs::rename(logs.join("40"), &elsewhere).expect("it was made");
        std::os::unix::fs::symlink(&elsewhere, logs.join("40")).expect("a link");
        let mut refused = sender();
        assert!(opened.file.is_some() && refused.file.is_none());
        for keep in [0, 2] {
            opened.rotate(keep);
            refused.rotate(keep);
            let there: Vec<_> = fs::read_dir(&elsewhere).expect("it is there").flatten().collect();
            assert!(matches!(&there[..], [file] if file.file_name() == "a.log"), "{there:?}");
        }
    }

    /// The oldest goes, and one that is missing in between does not matter.
    #[test]
    fn the_newest_files_are_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.log");
        let numbered = |number: u32| dir.path().join(format!("a.log.{number}"));
        for keep in [3, 3, 3, 3, 3] {
            fs::write(&path, "text").expect("a file");
            rotate(dir.path(), &path, keep).expect("it is rotated");
            assert!(!path.exists() && numbered(1).exists() && !numbered(4).exists());
        }
        assert!(numbered(2).exists() && numbered(3).exists());
        fs::remove_file(numbered(2)).expect("it is there");
        fs::write(&path, "new").expect("a file");
        rotate(dir.path(), &path, 3).expect("it is rotated");
        let read = |number: u32| fs::read_to_string(numbered(number)).expect("a file");
        assert_eq!([1, 2, 3].map(read), ["new", "text", "text"]);
        fs::write(&path, "new").expect("a file");
        rotate(dir.path(), &path, 0).expect("it is removed");
        assert!(!path.exists());
    }

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
                let (number, has_names) = files.of(&name);
                named += usize::from(has_names);
                files.append(number, b"text\n");
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
