//! Rotated files, compressed with zstd by threads of their own: `x.log.1` becomes `x.log.1.zst`.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};
use ruzstd::encoding::{CompressionLevel, compress};

use super::opened;
use super::permissions::OF_A_FILE;
use crate::complain::complain;

/// What is behind the number of a compressed file.
pub const ENDING: &str = ".zst";
/// So it is called until it is whole.
const UNFINISHED: &str = ".zst.new";
/// Files that are compressed at once.
const MOST: usize = 2;

/// Those that are being compressed.
#[derive(Debug, Default)]
pub struct Compressing(Vec<(PathBuf, JoinHandle<()>)>);

impl Compressing {
    /// Starts with `x.log.1`, where `x.log` is this path below `dir`.
    pub fn start(&mut self, dir: &Path, path: &Path) {
        self.start_as(thread::Builder::new(), dir, path);
    }

    fn start_as(&mut self, builder: thread::Builder, dir: &Path, path: &Path) {
        self.0.retain(|(_, thread)| !thread.is_finished());
        if self.0.len() >= MOST {
            let _ = self.0.remove(0).1.join();
        }
        let (dir, path) = (dir.to_owned(), path.to_owned());
        let of = path.clone();
        let work = move || {
            if let Err(error) = compress_newest(&dir, &path) {
                complain(format_args!("{}.1: it can't be compressed: {error}", path.display()));
            }
        };
        match builder.spawn(work) {
            Ok(thread) => self.0.push((of, thread)),
            Err(error) => {
                complain(format_args!("{}.1 stays as it is: no thread to compress it: {error}", of.display()))
            }
        }
    }

    /// Waits for that of this path, which is to be renamed.
    pub fn wait(&mut self, path: &Path) {
        for (_, thread) in self.0.extract_if(.., |(other, _)| other == path) {
            let _ = thread.join();
        }
    }

    /// Waits for all.
    pub fn wait_all(&mut self) {
        for (_, thread) in self.0.drain(..) {
            let _ = thread.join();
        }
    }
}

/// The plain file goes when the compressed one is whole and on the disk.
fn compress_newest(dir: &Path, path: &Path) -> io::Result<()> {
    let (at, name) = opened::directory(dir, path)?;
    let newest = |ending: &str| -> OsString {
        let mut newest = name.to_owned();
        newest.push(".1");
        newest.push(ending);
        newest
    };
    let open = |name: OsString, how: OFlag| -> io::Result<File> {
        let how = how | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(openat(&at, &*name, how, Mode::from_bits_truncate(OF_A_FILE))?.into())
    };
    let plain = open(newest(""), OFlag::O_RDONLY)?;
    let made = open(newest(UNFINISHED), OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC)?;
    let failed = RefCell::new(None);
    let mut to = BufWriter::new(made);
    let from = Guarded { of: BufReader::new(plain), failed: &failed };
    compress(from, Guarded { of: &mut to, failed: &failed }, CompressionLevel::Fastest);
    let flushed = to.flush();
    failed.take().map_or(flushed, Err)?;
    to.get_ref().sync_all()?;
    renameat(&at, &*newest(UNFINISHED), &at, &*newest(ENDING))?;
    Ok(unlinkat(&at, &*newest(""), UnlinkatFlags::NoRemoveDir)?)
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
        let none = thread::Builder::new().stack_size(1 << 47);
        compressing.start_as(none, dir.path(), &dir.path().join("a.log"));
        compressing.wait_all();
        assert_eq!(std::fs::read_to_string(&rotated).expect("it is there"), "text\n");
    }
}
