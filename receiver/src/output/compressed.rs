//! Rotated files, compressed with zstd by threads of their own: `x.log.1` becomes `x.log.1.zst`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{Mode, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use ruzstd::encoding::{CompressionLevel, compress};

use super::opened;
use super::permissions::OF_A_FILE;
use crate::complain::complain;
use crate::queue::{Next, Queue, Waiting};

/// What is behind the number of a compressed file.
pub const ENDING: &str = ".zst";
/// So it is called until it is whole.
const UNFINISHED: &str = ".zst.new";
/// Files that are compressed at once.
const MOST: usize = 2;

/// Those that are to be compressed, and the threads that do it: nothing waits for them.
#[derive(Debug, Default)]
pub struct Compressing {
    jobs: Arc<Jobs>,
    threads: Vec<JoinHandle<()>>,
    next: u64,
}

/// What is to be done.
#[derive(Debug)]
struct Jobs {
    queue: Queue<Job>,
    /// By path, the jobs that are not done yet, each with the number that its file has by now: while it is held, no file
    /// gets another.
    numbers: Mutex<HashMap<PathBuf, Vec<(u64, u32)>>>,
}

/// A rotated `x.log` is to be compressed, where `x.log` is this path below `dir`.
#[derive(Debug)]
struct Job {
    id: u64,
    dir: PathBuf,
    path: PathBuf,
}

impl Default for Jobs {
    fn default() -> Self {
        // There are no more of them than rotated files.
        Jobs { queue: Queue::new(usize::MAX), numbers: Mutex::default() }
    }
}

impl Jobs {
    fn numbers(&self) -> MutexGuard<'_, HashMap<PathBuf, Vec<(u64, u32)>>> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, thread: usize) {
        while let Next::Some(job) = self.queue.next(None) {
            if let Err(error) = self.compress(&job, thread) {
                complain(format_args!("{}: a rotated file can't be compressed: {error}", job.path.display()));
            }
            self.numbers().entry(job.path.clone()).and_modify(|jobs| jobs.retain(|(id, _)| *id != job.id));
            self.numbers().retain(|_, jobs| !jobs.is_empty());
        }
    }

    /// The plain file goes when the compressed one is whole and on the disk.
    fn compress(&self, job: &Job, thread: usize) -> io::Result<()> {
        let (at, name) = opened::directory(&job.dir, &job.path)?;
        let named = |number: u32, ending: &str| -> OsString {
            let mut named = name.to_owned();
            named.push(format!(".{number}{ending}"));
            named
        };
        let open = |name: &OsStr, how: OFlag| -> io::Result<File> {
            let how = how | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            Ok(openat(&at, name, how, Mode::from_bits_truncate(OF_A_FILE))?.into())
        };
        let plain = {
            let numbers = self.numbers();
            open(&named(number(&numbers, job), ""), OFlag::O_RDONLY)
        };
        let plain = match plain {
            // It was the oldest, and had to go.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            plain => plain?,
        };
        let own = plain.metadata()?.ino();
        let mut made = name.to_owned();
        made.push(format!(".{thread}{UNFINISHED}"));
        let file = open(&made, OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC)?;
        let failed = RefCell::new(None);
        let mut to = BufWriter::new(file);
        let from = Guarded { of: BufReader::new(plain), failed: &failed };
        compress(from, Guarded { of: &mut to, failed: &failed }, CompressionLevel::Fastest);
        let flushed = to.flush();
        failed.take().map_or(flushed, Err)?;
        to.get_ref().sync_all()?;
        let numbers = self.numbers();
        let number = number(&numbers, job);
        let is_there = fstatat(&at, &*named(number, ""), AtFlags::AT_SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| stat.st_ino == own);
        if !is_there {
            return Ok(unlinkat(&at, &*made, UnlinkatFlags::NoRemoveDir)?);
        }
        renameat(&at, &*made, &at, &*named(number, ENDING))?;
        Ok(unlinkat(&at, &*named(number, ""), UnlinkatFlags::NoRemoveDir)?)
    }
}

/// The number that a job's file has by now.
fn number(numbers: &HashMap<PathBuf, Vec<(u64, u32)>>, job: &Job) -> u32 {
    let jobs = numbers.get(&job.path).into_iter().flatten();
    jobs.copied().find(|(id, _)| *id == job.id).map_or(1, |(_, number)| number)
}

impl Compressing {
    /// Has `x.log.1` compressed, where `x.log` is this path below `dir`.
    pub fn start(&mut self, dir: &Path, path: &Path) {
        self.start_as(thread::Builder::new, dir, path);
    }

    fn start_as(&mut self, builder: impl Fn() -> thread::Builder, dir: &Path, path: &Path) {
        let open = self.jobs.numbers().values().map(Vec::len).sum::<usize>();
        if self.threads.len() < MOST.min(open.saturating_add(1)) {
            let (jobs, thread) = (Arc::clone(&self.jobs), self.threads.len().saturating_add(1));
            match builder().spawn(move || jobs.work(thread)) {
                Ok(thread) => self.threads.push(thread),
                Err(error) if self.threads.is_empty() => {
                    let path = path.display();
                    complain(format_args!("{path}.1 stays as it is: no thread to compress it: {error}"));
                    return;
                }
                // Another one does it.
                Err(_) => {}
            }
        }
        let job = Job { id: self.next, dir: dir.to_owned(), path: path.to_owned() };
        self.next = self.next.wrapping_add(1);
        self.jobs.numbers().entry(path.to_owned()).or_default().push((job.id, 1));
        // It is ended only behind the last one.
        let _ = self.jobs.queue.offer(job, Waiting::default(), false);
    }

    /// Rotates the files of this path: those that are not compressed yet get other numbers with it.
    pub fn rotate(&self, path: &Path, rotate: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut numbers = self.jobs.numbers();
        rotate()?;
        let jobs = numbers.get_mut(path).into_iter().flatten();
        jobs.for_each(|(_, number)| *number = number.saturating_add(1));
        Ok(())
    }

    /// Waits for all.
    pub fn wait_all(&mut self) {
        self.jobs.queue.end();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// The compressor takes no error: the first one is kept until the end.
struct Guarded<'e, T> {
    of: T,
    failed: &'e RefCell<Option<io::Error>>,
}

impl<T: Read> Read for Guarded<'_, T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        Ok(self.of.read(bytes).unwrap_or_else(|error| {
            self.failed.borrow_mut().get_or_insert(error);
            0
        }))
    }
}

impl<T: Write> Write for Guarded<'_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let has_failed = self.failed.borrow().is_some();
        if !has_failed && let Err(error) = self.of.write_all(bytes) {
            self.failed.replace(Some(error));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stack of all the address space is more than the system gives.
    #[test]
    fn without_a_thread_the_file_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let rotated = dir.path().join("a.log.1");
        std::fs::write(&rotated, "text\n").expect("a file");
        let mut compressing = Compressing::default();
        let none = || thread::Builder::new().stack_size(1 << 47);
        compressing.start_as(none, dir.path(), &dir.path().join("a.log"));
        compressing.wait_all();
        assert_eq!(std::fs::read_to_string(&rotated).expect("it is there"), "text\n");
    }

    /// What is compressed is a pipe into which nobody writes yet; meanwhile its file is rotated further.
    #[test]
    fn nothing_waits_for_what_is_compressed() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        let mut compressing = Compressing::default();
        // A pipe is opened while no file may be rotated: only once both ends are there.
        let pipes = ["a.log.1", "b.log.1"].map(|name| {
            let made = std::process::Command::new("mkfifo").arg(at(name)).status().expect("mkfifo");
            assert!(made.success());
            File::options().read(true).write(true).open(at(name)).expect("a pipe")
        });
        for name in ["c.log.1", "d.log.1"] {
            std::fs::write(at(name), "text\n").expect("a file");
        }
        for name in ["a.log", "b.log", "c.log", "d.log"] {
            compressing.start(dir.path(), &at(name));
        }
        let is_unfinished = |name: &OsStr| name.to_string_lossy().ends_with(UNFINISHED);
        let files = || std::fs::read_dir(dir.path()).expect("a directory").flatten();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(240);
        while files().filter(|file| is_unfinished(&file.file_name())).count() < 2 {
            assert!(std::time::Instant::now() < deadline, "neither is begun");
            thread::sleep(std::time::Duration::from_millis(5));
        }
        for name in ["a.log", "c.log"] {
            let rename = || std::fs::rename(at(&format!("{name}.1")), at(&format!("{name}.2")));
            compressing.rotate(&at(name), rename).expect("it can be renamed");
        }
        std::fs::write(at("c.log.1"), "newer\n").expect("a file");
        for mut pipe in pipes {
            pipe.write_all(b"text\n").expect("a pipe");
        }
        compressing.wait_all();
        for name in ["a.log.2", "b.log.1", "c.log.2", "d.log.1"] {
            let file = File::open(at(&format!("{name}.zst"))).expect("it was made");
            let mut text = String::new();
            let mut from = ruzstd::decoding::StreamingDecoder::new(file).expect("zstd");
            from.read_to_string(&mut text).expect("it is whole");
            assert_eq!((text.as_str(), at(name).exists()), ("text\n", false), "{name}");
        }
        assert_eq!(std::fs::read_to_string(at("c.log.1")).expect("it is there"), "newer\n");
        assert_eq!(files().count(), 5);
    }
}
