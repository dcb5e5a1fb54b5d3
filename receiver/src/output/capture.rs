//! The thread that writes the datagrams as a capture.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Begins;
use super::appended::Appended;
use super::buffered::{Buffered, Written};
use super::counts::Counts;
use super::lane::Work;
use super::permissions::options_of_a_file;
use super::screen::wait_until_written;
use crate::pcap;
use crate::queue::{Next, Queue};

/// How often it is looked whether the file is still where it was made.
const LOOK: Duration = Duration::from_secs(1);

/// A capture's file, which is made again when it was moved or removed.
pub struct File {
    path: PathBuf,
    file: Appended,
    looked_at: Instant,
}

impl File {
    /// Makes it; what was there goes, unless this run goes on from another one.
    pub fn create(path: &Path, begins: Begins) -> io::Result<Self> {
        let file = match begins {
            Begins::New => create(path)?,
            Begins::GoesOn => options_of_a_file().append(true).open(path).and_then(Appended::new)?,
        };
        Ok(File { path: path.to_owned(), file, looked_at: Instant::now() })
    }

    /// Writes what comes until the end. Returns what was lost.
    pub fn write(mut self, queue: &Queue<Work>, counts: &Arc<Counts>) -> Vec<String> {
        let mut packets = Buffered::new(self.path.display(), "datagrams", Arc::clone(counts));
        while let Next::Some(work) = queue.next(None) {
            match work {
                Work::Batch(batch) => packets.append_all(batch.bytes, batch.records),
                Work::Reopen => self.follow(),
            }
            if self.looked_at.elapsed() >= LOOK {
                self.follow();
            }
            packets.write(|bytes| self.put(bytes));
            wait_until_written(queue, &mut packets, |bytes| self.put(bytes));
        }
        packets.write_last(|bytes| self.put(bytes));
        packets.loss().into_iter().collect()
    }

    fn put(&mut self, packets: &[u8]) -> Written {
        if self.file.length() == 0 {
            self.file.write(&pcap::header()).map_err(|(_, error)| (0, error))?;
        }
        self.file.write(packets)
    }

    /// Leaves a file that was moved or removed, for a new one.
    fn follow(&mut self) {
        self.looked_at = Instant::now();
        if self.file.has_left(&self.path)
            && let Ok(file) = create(&self.path)
        {
            self.file = file;
        }
    }
}

fn create(path: &Path) -> io::Result<Appended> {
    options_of_a_file().write(true).truncate(true).open(path).and_then(Appended::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::lane::Batch;
    use crate::queue::Waiting;

    #[test]
    fn a_capture_that_was_removed_is_made_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.pcap");
        let file = File::create(&path, Begins::New).expect("a file");
        std::fs::remove_file(&path).expect("it was made");
        std::thread::sleep(LOOK);
        let queue = Queue::new(1 << 20);
        let batch = Batch { bytes: b"packet".to_vec(), records: 1, ..Batch::default() };
        assert!(queue.offer(Work::Batch(batch), Waiting { bytes: 6, records: 1 }, false).is_ok());
        queue.end();
        assert!(file.write(&queue, &Arc::default()).is_empty());
        assert!(std::fs::read(&path).expect("it was made again").ends_with(b"packet"));
    }
}
