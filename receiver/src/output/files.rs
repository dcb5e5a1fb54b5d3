//! The thread that writes a file per sender, rotated by size and age.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ahash::RandomState;
use compact_str::CompactString;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, renameat};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{SFlag, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use slab::Slab;

use super::appended::Appended;
use super::buffered::{Buffered, Lost, Written};
use super::compressed::{self, Compressing};
use super::counts::Counts;
use super::error::Error;
use super::form::{Form, Stamp};
use super::lane::{Batch, Work};
use super::opened;
use super::places::{Layout, Place};
use crate::limits;
use crate::options::Sync;
use crate::queue::{Next, Queue};

/// Files that are open at once, where the system allows it.
const OPEN_MOST: u64 = 1 << 14;
/// Files, sockets and pipes that are open besides.
const OTHER_FILES: usize = 64;
/// How often it is looked whether a file is still where it was made.
const LOOK: Duration = Duration::from_secs(1);
/// The time until a rotation that failed is tried again.
const ROTATE_AGAIN: Duration = Duration::from_secs(60);
/// Closed files of which it is remembered what they lost; of further ones the sum is.
const LOST_FILES: usize = 4096;
/// What the file of the senders that come after too many is found by.
const OTHERS: CompactString = CompactString::const_new("\0");

/// How the files of one directory are kept.
#[derive(Clone, Debug)]
pub struct Keeping {
    /// The directory.
    pub dir: PathBuf,
    /// How the files are called.
    pub layout: Layout,
    /// A file is rotated before it grows beyond this.
    pub size: u64,
    /// A file is rotated when it is that old and something is to be written.
    pub age: Option<Duration>,
    /// Rotated files that are kept.
    pub keep: u32,
    /// Rotated files are compressed.
    pub compress: bool,
    /// When what was written is brought to the disk.
    pub sync: Sync,
    /// How a loss is written.
    pub form: Form,
}

/// The files of one directory.
pub struct Files {
    keeping: Arc<Keeping>,
    counts: Arc<Counts>,
    by_name: HashMap<CompactString, usize, RandomState>,
    senders: Slab<Sender>,
    /// Those of which a file was opened, the one that was opened first in front.
    opened: VecDeque<usize>,
    most_open: usize,
    /// Those of which records wait.
    waiting: Vec<usize>,
    /// Bytes that wait for all of them.
    kept: usize,
    /// What was lost of senders of which nothing else is known any longer.
    lost: BTreeMap<CompactString, Lost>,
    /// Those of which something is to be brought to the disk, and when that is due.
    unsynced: Vec<usize>,
    sync_at: Option<Instant>,
    compressing: Compressing,
    told: Told,
}

/// How it is told what was lost.
struct Told {
    stamp: Stamp,
    /// When the last record was received, as it is shown.
    at: Duration,
}

/// One sender's file.
struct Sender {
    name: CompactString,
    keeping: Arc<Keeping>,
    path: PathBuf,
    buffered: Buffered,
    file: Option<Appended>,
    /// When the file was made.
    made_at: SystemTime,
    /// Something was written since it was considered last for being closed.
    is_used: bool,
    /// It is one of those of which a file was opened.
    is_listed: bool,
    is_waiting: bool,
    is_unsynced: bool,
    rotation_failed_at: Option<Instant>,
    looked_at: Instant,
    /// Records written since then.
    since: u64,
}

impl Files {
    /// Makes the directory if need be.
    pub fn open(keeping: Keeping) -> Result<Self, Error> {
        let dir = &keeping.dir;
        fs::create_dir_all(dir).map_err(|error| Error::File(dir.clone(), error))?;
        let told = Told { stamp: Stamp::of(keeping.form), at: Duration::ZERO };
        Ok(Files {
            keeping: Arc::new(keeping),
            counts: Arc::default(),
            by_name: HashMap::default(),
            senders: Slab::new(),
            opened: VecDeque::new(),
            most_open: most_open(),
            waiting: Vec::new(),
            kept: 0,
            lost: BTreeMap::new(),
            unsynced: Vec::new(),
            sync_at: None,
            compressing: Compressing::default(),
            told,
        })
    }

    /// Writes what comes until the end. Returns what was lost.
    pub fn write(mut self, queue: &Queue<Work>, counts: &Arc<Counts>) -> Vec<String> {
        self.counts = Arc::clone(counts);
        loop {
            match queue.next(self.rest()) {
                Next::Some(Work::Batch(batch)) => {
                    self.take(&batch);
                    self.counts.give_back(batch.bytes);
                }
                Next::Some(Work::Reopen) => self.reopen(),
                Next::Nothing => {}
                Next::End => break,
            }
            self.flush();
            self.counts.keep(!self.waiting.is_empty());
            self.sync();
        }
        self.finish();
        self.losses().collect()
    }

    /// How long there is nothing to do.
    fn rest(&self) -> Option<Duration> {
        let again = self.waiting.iter().filter_map(|&number| self.senders.get(number)?.buffered.rest());
        let sync = self.sync_at.map(|at| at.saturating_duration_since(Instant::now()));
        again.chain(sync).min()
    }

    /// Appends a batch's records, each to its sender's file.
    fn take(&mut self, batch: &Batch) {
        let now = SystemTime::now();
        self.told.at = batch.at;
        self.told.stamp.begin(batch.first);
        let (mut rest, mut lengths) = (&batch.bytes[..], batch.lengths.iter());
        for run in &batch.runs {
            let number = self.of(&run.name, run.place);
            for &length in lengths.by_ref().take(run.records) {
                let Some((record, tail)) = rest.split_at_checked(length) else { return };
                rest = tail;
                self.append(number, record, u64::from(batch.records > 0), now);
            }
        }
    }

    /// The number of a sender's file.
    fn of(&mut self, name: &CompactString, place: Place) -> usize {
        let name = if place == Place::Others { &OTHERS } else { name };
        if let Some(&number) = self.by_name.get(name) {
            return number;
        }
        while self.opened.len() >= self.most_open {
            self.close_one();
        }
        let mut sender = Sender::new(name, place, &self.keeping, &self.counts);
        if let Some(lost) = self.lost.remove(name) {
            sender.buffered.resume(lost);
        }
        let number = self.senders.insert(sender);
        self.by_name.insert(name.clone(), number);
        self.opened.push_back(number);
        number
    }

    /// Appends a record to a file, after rotating it where it would grow too large, or is too old. What only tells of
    /// records counts for none.
    fn append(&mut self, number: usize, record: &[u8], count: u64, now: SystemTime) {
        let Some(sender) = self.senders.get_mut(number) else { return };
        let length = u64::try_from(record.len()).unwrap_or(u64::MAX);
        if sender.is_to_rotate(length, now) {
            sender.flush(&mut self.told);
            sender.rotate(&mut self.compressing, now);
        }
        if sender.buffered.rest().is_some() && self.kept.saturating_add(record.len()) > limits::OUTPUT_BYTES {
            return sender.buffered.lose(count);
        }
        self.kept = self.kept.saturating_add(record.len());
        sender.buffered.append(record, count);
        sender.is_used = true;
        sender.since = sender.since.saturating_add(count);
        if !std::mem::replace(&mut sender.is_waiting, true) {
            self.waiting.push(number);
        }
        if self.keeping.sync != Sync::Never && !std::mem::replace(&mut sender.is_unsynced, true) {
            self.unsynced.push(number);
        }
        if sender.buffered.is_full() {
            sender.flush(&mut self.told);
        }
    }

    /// Hands everything to the system that it takes.
    fn flush(&mut self) {
        self.kept = 0;
        for number in std::mem::take(&mut self.waiting) {
            let Some(sender) = self.senders.get_mut(number) else { continue };
            sender.flush(&mut self.told);
            // Of files that fail only now there may be more than all may keep together.
            let kept = self.kept.saturating_add(sender.buffered.waiting());
            if kept > limits::OUTPUT_BYTES {
                sender.buffered.give_up();
            } else {
                self.kept = kept;
            }
            sender.buffered.give_back();
            sender.is_waiting = sender.buffered.waiting() > 0;
            if sender.is_waiting {
                self.waiting.push(number);
            }
            // One that failed while others had its place among the open files.
            if !sender.is_listed && sender.file.is_some() {
                sender.is_listed = true;
                self.opened.push_back(number);
            } else if !sender.is_listed && !sender.is_waiting {
                self.forget(number);
            }
            while self.opened.len() > self.most_open {
                self.close_one();
            }
        }
    }

    /// Forgets a sender of which nothing waits, but for what it lost.
    fn forget(&mut self, number: usize) {
        let Some(mut sender) = self.senders.try_remove(number) else { return };
        self.by_name.remove(&sender.name);
        self.waiting.retain(|&waiting| waiting != number);
        self.unsynced.retain(|&unsynced| unsynced != number);
        if let Some(lost) = sender.buffered.take_lost() {
            let is_room = self.lost.len() < LOST_FILES;
            let name = if is_room { sender.name } else { OTHERS };
            self.lost.entry(name).and_modify(|sum| sum.add(&lost)).or_insert(lost);
        }
    }

    /// Brings what was written to the disk, where that is due.
    fn sync(&mut self) {
        let interval = match self.keeping.sync {
            Sync::Never => return,
            Sync::Always => Duration::ZERO,
            Sync::Every(interval) => interval,
        };
        if self.unsynced.is_empty() {
            return;
        }
        let at = *self.sync_at.get_or_insert_with(|| Instant::now() + interval);
        if at <= Instant::now() {
            self.sync_at = None;
            self.sync_all();
        }
    }

    fn sync_all(&mut self) {
        for number in self.unsynced.drain(..) {
            if let Some(sender) = self.senders.get_mut(number) {
                sender.sync();
            }
        }
    }

    /// Opens all files again: what was moved or removed is made again.
    fn reopen(&mut self) {
        self.flush();
        for (_, sender) in &mut self.senders {
            sender.look();
            sender.file = None;
        }
    }

    /// What is not written by now is lost.
    fn finish(&mut self) {
        for (_, sender) in &mut self.senders {
            let Sender { buffered, file, keeping, path, .. } = sender;
            buffered.write_last(|bytes| put(file, &keeping.dir, path, bytes));
            if let Some(told) = sender.loss(&mut self.told) {
                sender.buffered.append(&told, 0);
                sender.write();
            }
        }
        if self.keeping.sync != Sync::Never {
            self.sync_all();
        }
        self.compressing.wait_all();
    }

    /// What was lost.
    fn losses(&self) -> impl Iterator<Item = String> {
        let closed = self.lost.values().map(Lost::to_string);
        self.senders.iter().filter_map(|(_, sender)| sender.buffered.loss()).chain(closed)
    }

    /// Closes the file that was opened first, of those that were not written lately.
    fn close_one(&mut self) {
        while let Some(number) = self.opened.pop_front() {
            let Some(sender) = self.senders.get_mut(number) else { return };
            if std::mem::take(&mut sender.is_used) {
                self.opened.push_back(number);
                continue;
            }
            sender.flush(&mut self.told);
            if sender.is_unsynced {
                sender.sync();
            }
            sender.file = None;
            sender.is_listed = false;
            if sender.buffered.waiting() == 0 {
                self.forget(number);
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
    fn new(name: &CompactString, place: Place, keeping: &Arc<Keeping>, counts: &Arc<Counts>) -> Self {
        let path = keeping.layout.path(&keeping.dir, name, place);
        let buffered = Buffered::new(path.display(), "records", Arc::clone(counts));
        let mut sender = Sender {
            name: name.clone(),
            keeping: Arc::clone(keeping),
            path,
            buffered,
            file: None,
            made_at: SystemTime::now(),
            is_used: true,
            is_listed: true,
            is_waiting: false,
            is_unsynced: false,
            rotation_failed_at: None,
            looked_at: Instant::now(),
            since: 0,
        };
        // One that can't be opened is tried again when it is written.
        sender.file = open(&keeping.dir, &sender.path).ok();
        if let Some(made_at) =
            sender.file.as_ref().filter(|file| file.length() > 0).and_then(Appended::made_at)
        {
            sender.made_at = made_at;
        }
        sender
    }

    /// The file's length when everything is written.
    fn length(&self) -> u64 {
        let written = self.file.as_ref().map_or(0, Appended::length);
        written.saturating_add(u64::try_from(self.buffered.waiting()).unwrap_or(u64::MAX))
    }

    /// Whether it is too old, or would be too large with this much more.
    fn is_to_rotate(&self, more: u64, now: SystemTime) -> bool {
        let Keeping { size, age, .. } = *self.keeping;
        let old =
            || age.is_some_and(|age| now.duration_since(self.made_at).is_ok_and(|passed| passed >= age));
        let is_due = self.rotation_failed_at.is_none_or(|at| at.elapsed() >= ROTATE_AGAIN);
        is_due && self.length() > 0 && (self.length().saturating_add(more) > size || old())
    }

    fn flush(&mut self, how: &mut Told) {
        if self.buffered.waiting() == 0 {
            return;
        }
        if self.looked_at.elapsed() >= LOOK {
            self.look();
        }
        // What was lost with a deleted file is in front of what waits; what there was no room for is behind it.
        if let Some(told) = self.loss(how) {
            self.buffered.precede(&told);
        }
        self.write();
        if let Some(told) = self.loss(how) {
            self.buffered.append(&told, 0);
            self.write();
        }
    }

    fn write(&mut self) {
        let Sender { buffered, file, keeping, path, .. } = self;
        buffered.write(|bytes| put(file, &keeping.dir, path, bytes));
    }

    /// The line that tells what was lost, if it is not told yet.
    fn loss(&mut self, how: &mut Told) -> Option<Vec<u8>> {
        let (count, reason) = self.buffered.take_untold()?;
        let mut told = Vec::new();
        self.keeping.form.write_lost(&mut told, &mut how.stamp, how.at, count, reason);
        Some(told)
    }

    fn sync(&mut self) {
        self.is_unsynced = false;
        if let Some(Err(error)) = self.file.as_ref().map(Appended::sync) {
            self.buffered.because(&format!("it can't be brought to the disk: {error}"));
        }
    }

    /// Leaves a file that was deleted or renamed, for a new one.
    fn look(&mut self) {
        self.looked_at = Instant::now();
        let waiting = self.buffered.records();
        let written = std::mem::replace(&mut self.since, waiting).saturating_sub(waiting);
        if let Some(file) = self.file.take_if(|file| file.has_left(&self.path)) {
            self.made_at = SystemTime::now();
            // Who deletes the file of a quiet machine means what is in it.
            if file.is_deleted_within(LOOK) {
                self.buffered.lose(written);
                self.buffered.because("the file was deleted, with its newest records; it is made again");
            }
        }
    }

    /// `x.log` becomes `x.log.1`, that `x.log.2`, and so on; the oldest goes. Where that fails the file grows on.
    fn rotate(&mut self, compressing: &mut Compressing, now: SystemTime) {
        // What could not be opened is another's, and so is what is there in its stead.
        if self.file.as_ref().is_none_or(|file| file.has_left(&self.path)) {
            return self.look();
        }
        let Keeping { ref dir, keep, compress, sync, .. } = *self.keeping;
        match compressing.rotate(&self.path, || rotate(dir, &self.path, keep)) {
            Ok(()) => {
                self.rotation_failed_at = None;
                let rotated = self.file.take();
                if sync != Sync::Never && rotated.is_some_and(|file| file.sync().is_err()) {
                    self.buffered.because("a rotated file can't be brought to the disk");
                }
                self.file = open(dir, &self.path).ok();
                self.made_at = now;
                if compress && keep > 0 {
                    compressing.start(dir, &self.path);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.look(),
            Err(error) => {
                if self.rotation_failed_at.replace(Instant::now()).is_none() {
                    self.buffered.because(&format!("it can't be rotated: {error}"));
                }
            }
        }
    }
}

/// Writes to a file, which is opened if it is not.
fn put(file: &mut Option<Appended>, dir: &Path, path: &Path, bytes: &[u8]) -> Written {
    let written = match file {
        Some(file) => file.write(bytes),
        None => match open(dir, path) {
            Ok(opened) => file.insert(opened).write(bytes),
            Err(error) => Err((0, error)),
        },
    };
    if written.is_err() {
        *file = None;
    }
    written
}

fn open(dir: &Path, path: &Path) -> io::Result<Appended> {
    opened::below(dir, path).and_then(Appended::after_last_line)
}

/// In the file's directory, to which no link leads.
fn rotate(dir: &Path, path: &Path, keep: u32) -> io::Result<()> {
    let (at, name) = opened::directory(dir, path)?;
    let numbered = |number: u32, ending: &str| -> OsString {
        let mut name = name.to_owned();
        name.push(format!(".{number}{ending}"));
        name
    };
    if keep == 0 {
        return Ok(unlinkat(&at, name, UnlinkatFlags::NoRemoveDir)?);
    }
    // It leaves its name first: where it can't, the others stay where they are.
    let own = numbered(0, "");
    let is_left_over = fstatat(&at, &*own, AtFlags::AT_SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG);
    if is_left_over {
        // A run was killed right here.
        shift(&at, keep, &numbered)?;
    }
    renameat(&at, name, &at, &*own)?;
    shift(&at, keep, &numbered).inspect_err(|_| {
        // What can't be undone the next rotation does.
        let _ = renameat(&at, &*own, &at, name);
    })
}

/// Each gets the next number, from 0 on.
fn shift(at: impl AsFd, keep: u32, numbered: &impl Fn(u32, &str) -> OsString) -> io::Result<()> {
    for number in (1..keep).rev() {
        for (ending, other) in [("", compressed::ENDING), (compressed::ENDING, "")] {
            match renameat(&at, &*numbered(number, ending), &at, &*numbered(number + 1, ending)) {
                // What was last before may have had the other ending.
                Ok(()) if number + 1 == keep => {
                    let _ = unlinkat(&at, &*numbered(keep, other), UnlinkatFlags::NoRemoveDir);
                }
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(renameat(&at, &*numbered(0, ""), &at, &*numbered(1, ""))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Time;
    use crate::output::places::Places;
    use crate::output::text::Style;

    fn keeping(dir: &Path, keep: u32) -> Keeping {
        Keeping {
            dir: dir.to_owned(),
            layout: Layout { ending: "log", has_directories: false },
            size: u64::MAX,
            age: None,
            keep,
            compress: false,
            sync: Sync::Never,
            form: Form::Text(Style { color: false, time: Time::None, prefix: false, fields: false }),
        }
    }

    /// More senders than files that may be open: those that are not written are closed, and each has all its records.
    #[test]
    fn files_are_closed_and_opened_again() {
        let dir = std::env::temp_dir().join(format!("netconsole-open-{}", std::process::id()));
        let mut files = Files::open(keeping(&dir, 0)).expect("a directory");
        files.most_open = 8;
        for round in 0..3 {
            for sender in 0..20 {
                // The first is written all the time.
                for name in ["first".to_owned(), format!("sender{sender}")] {
                    let number = files.of(&name.into(), Place::Flat);
                    files.append(number, format!("{round}\n").as_bytes(), 1, SystemTime::now());
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
        let sender = |keep| {
            let keeping = Arc::new(keeping(&logs, keep));
            let mut sender = Sender::new(&"a".into(), Place::Flat, &keeping, &Arc::default());
            sender.path = path.clone();
            sender.file = open(&keeping.dir, &sender.path).ok();
            sender
        };
        let mut opened = [sender(0), sender(2)];
        fs::rename(logs.join("40"), &elsewhere).expect("it was made");
        std::os::unix::fs::symlink(&elsewhere, logs.join("40")).expect("a link");
        let mut refused = [sender(0), sender(2)];
        assert!(opened.iter().all(|sender| sender.file.is_some()));
        assert!(refused.iter().all(|sender| sender.file.is_none()));
        for sender in opened.iter_mut().chain(&mut refused) {
            sender.rotate(&mut Compressing::default(), SystemTime::now());
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

    /// What was written is brought to the disk at once, or when it is due, and at the end.
    #[test]
    fn files_are_brought_to_the_disk() {
        let dir = tempfile::tempdir().expect("a directory");
        let hour = Duration::from_secs(3600);
        for (sync, left) in [(Sync::Never, 0), (Sync::Always, 0), (Sync::Every(hour), 1)] {
            let mut files = Files::open(Keeping { sync, ..keeping(dir.path(), 0) }).expect("a directory");
            let number = files.of(&"a".into(), Place::Flat);
            files.append(number, b"text\n", 1, SystemTime::now());
            let unsynced = files.unsynced.len();
            files.flush();
            files.sync();
            assert_eq!(
                (unsynced, files.unsynced.len()),
                (usize::from(sync != Sync::Never), left),
                "{sync:?}"
            );
            assert_eq!(files.rest().is_some_and(|rest| rest <= hour), left > 0);
            files.finish();
            assert_eq!(files.unsynced.len(), 0);
        }
    }

    /// While a file can't be written its newest records wait, and what there was no room for is told in their place.
    #[test]
    fn what_a_file_lost_is_told_in_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut files = Files::open(keeping(dir.path(), 0)).expect("a directory");
        fs::create_dir(dir.path().join("a.log")).expect("it is in the way");
        let number = files.of(&"a".into(), Place::Flat);
        let put = |files: &mut Files, record: &[u8]| {
            files.append(number, record, 1, SystemTime::now());
            files.flush();
        };
        put(&mut files, b"first\n");
        put(&mut files, &[&[b'x'; 1 << 20][..], b"\n"].concat());
        fs::remove_dir(dir.path().join("a.log")).expect("it is empty");
        std::thread::sleep(files.rest().expect("it fails"));
        put(&mut files, b"second\n");
        let log = fs::read_to_string(dir.path().join("a.log")).expect("a file");
        let lines: Vec<_> = log.lines().collect();
        assert!(
            matches!(&lines[..], ["first", "second", lost] if lost.starts_with("… 1 record lost here: ")),
            "{log}"
        );
    }

    /// A loss has the time of the record that was received last, told as the records' times are.
    #[test]
    fn a_loss_has_the_records_time() {
        let dir = tempfile::tempdir().expect("a directory");
        let style = Style { color: false, time: Time::Relative, prefix: false, fields: false };
        let relative = Keeping { form: Form::Text(style), ..keeping(dir.path(), 0) };
        let mut files = Files::open(relative).expect("a directory");
        fs::create_dir(dir.path().join("a.log")).expect("it is in the way");
        let (first, at) = (Duration::from_secs(100), Duration::from_secs(107));
        for length in [1, 1 << 20] {
            let mut batch = Batch { bytes: vec![b'x'; length], records: 1, ..Batch::default() };
            (batch.at, batch.first) = (at, Some(first));
            batch.belongs(&"a".into(), Place::Flat, length);
            files.take(&batch);
            files.flush();
        }
        fs::remove_dir(dir.path().join("a.log")).expect("it is empty");
        files.finish();
        let log = fs::read_to_string(dir.path().join("a.log")).expect("a file");
        assert!(log.starts_with("x     7.000000 … 1 record lost here: "), "{log}");
    }

    /// What all of them keep while they can't be written is no more than one output may keep.
    #[test]
    fn files_that_fail_keep_32_mib_together() {
        let dir = tempfile::tempdir().expect("a directory");
        let logs = dir.path().join("logs");
        let mut files = Files::open(keeping(&logs, 0)).expect("a directory");
        fs::remove_dir(&logs).expect("it is empty");
        fs::write(&logs, "in the way").expect("a file");
        let record = vec![b'x'; 1 << 20];
        for round in 0..2 {
            for sender in 0..40 {
                let number = files.of(&format!("sender{sender}").into(), Place::Flat);
                files.append(number, &record[..record.len() / 2], 1, SystemTime::now());
                if round == 1 || sender % 2 == 0 {
                    files.append(number, &record[..record.len() / 2], 1, SystemTime::now());
                }
                files.flush();
                let kept: usize = files.senders.iter().map(|(_, sender)| sender.buffered.waiting()).sum();
                assert!(kept <= limits::OUTPUT_BYTES && kept == files.kept, "{round} {sender}: {kept}");
            }
        }
        assert!(files.kept > limits::OUTPUT_BYTES - (1 << 20) && files.losses().count() > 0);
    }

    /// Whatever a sender lost, its file is closed for another's, and its loss is told at the end.
    #[test]
    fn files_that_failed_are_closed_too() {
        let dir = tempfile::tempdir().expect("a directory");
        let logs = dir.path().join("logs");
        let mut files = Files::open(keeping(&logs, 0)).expect("a directory");
        files.most_open = 4;
        fs::remove_dir(&logs).expect("it is empty");
        fs::write(&logs, "in the way").expect("a file");
        let put = |files: &mut Files, is_lost: bool| {
            for sender in 0..12 {
                let number = files.of(&format!("sender{sender}").into(), Place::Flat);
                files.append(number, b"text\n", 1, SystemTime::now());
                if is_lost {
                    files.senders[number].buffered.lose(1);
                }
                files.flush();
            }
        };
        put(&mut files, true);
        fs::remove_file(&logs).expect("it is ours");
        fs::create_dir(&logs).expect("a directory");
        std::thread::sleep(Duration::from_secs(1));
        files.flush();
        for _ in 0..3 {
            put(&mut files, false);
            assert!(files.senders.len() <= 4 && files.opened.len() <= 4, "{}", files.senders.len());
        }
        assert_eq!(files.losses().filter(|loss| loss.contains(": 1 records lost: ")).count(), 12);
        let log = fs::read_to_string(logs.join("sender3.log")).expect("a file");
        assert_eq!(log.matches("text\n").count(), 4, "{log}");
    }

    /// No file is lost by it, and it is not tried for each record.
    #[test]
    fn a_rotation_that_fails_moves_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let (own, older) = (dir.path().join("a.log.0"), dir.path().join("a.log.1"));
        fs::create_dir(&own).expect("it is in the way");
        fs::write(&older, "older\n").expect("a file");
        let mut files = Files::open(Keeping { size: 1, ..keeping(dir.path(), 3) }).expect("a directory");
        let number = files.of(&"a".into(), Place::Flat);
        let put = |files: &mut Files| {
            files.append(number, b"text\n", 1, SystemTime::now());
            files.flush();
        };
        (0..3).for_each(|_| put(&mut files));
        fs::remove_dir(&own).expect("it is empty");
        put(&mut files);
        let read = |number: &str| fs::read_to_string(dir.path().join(format!("a.log{number}"))).ok();
        assert_eq!(
            [read(""), read(".1"), read(".2")],
            [Some("text\n".repeat(4)), Some("older\n".into()), None]
        );
        files.senders[number].rotation_failed_at = Instant::now().checked_sub(ROTATE_AGAIN);
        put(&mut files);
        assert_eq!([read(".1"), read(".2")], [Some("text\n".repeat(4)), Some("older\n".into())]);
    }

    /// What was written long before somebody deleted the file is no loss.
    #[test]
    fn old_records_are_deleted_on_purpose() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.log");
        for (age, losses) in [(Duration::from_secs(7 * 86_400), 0), (Duration::ZERO, 1)] {
            let mut files = Files::open(keeping(dir.path(), 0)).expect("a directory");
            let number = files.of(&"a".into(), Place::Flat);
            files.append(number, b"text\n", 1, SystemTime::now());
            files.flush();
            let file = fs::File::options().append(true).open(&path).expect("it was made");
            file.set_modified(SystemTime::now() - age).expect("it is ours");
            fs::remove_file(&path).expect("it is ours");
            files.senders[number].look();
            assert_eq!(files.losses().count(), losses, "{age:?}");
        }
    }

    /// Behind them come all others, each in its file, of which 256 directories have a part, with its name on each line.
    #[test]
    fn after_4096_files_there_are_256_directories() {
        let dir = std::env::temp_dir().join(format!("netconsole-files-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        let mut named = 0;
        // In the second run the files are there already.
        for run in 0..2 {
            let keeping = keeping(&dir, 0);
            let mut places = Places::new(&dir, keeping.layout);
            let mut files = Files::open(keeping).expect("a directory");
            for sender in 0..4099 {
                let name = CompactString::from(format!("sender{sender}"));
                let place = places.of(&name);
                named += usize::from(place.has_names());
                let number = files.of(&name, place);
                files.append(number, b"text\n", 1, SystemTime::now());
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
