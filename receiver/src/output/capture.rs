//! The thread that writes the datagrams as a capture.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::appended::Appended;
use super::buffered::{Buffered, Written};
use super::counts::Counts;
use super::lane::Work;
use super::permissions::options_of_a_file;
use super::screen::wait_until_written;
use crate::pcap;
use crate::queue::{Next, Queue};

/// A capture's file, which is made again when it was moved or removed.
pub struct File {
    path: PathBuf,
    file: Appended,
}

impl File {
    /// Makes it; what was there goes.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = create(path)?;
        Ok(File { path: path.to_owned(), file })
    }

    /// Writes what comes until the end. Returns what was lost.
    pub fn write(mut self, queue: &Queue<Work>, counts: &Arc<Counts>) -> Vec<String> {
        let mut packets = Buffered::new(self.path.display(), "datagrams", Arc::clone(counts));
        while let Next::Some(work) = queue.next(None) {
            match work {
                Work::Batch(batch) => packets.append(&batch.bytes, batch.records),
                Work::Reopen => self.follow(),
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
