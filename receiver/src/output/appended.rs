//! A file that holds whole records only: what was written of one in part is cut off again.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A file that is written at its end.
#[derive(Debug)]
pub struct Appended {
    file: File,
    length: u64,
}

impl Appended {
    /// Goes on at the end of the file.
    pub fn new(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Appended { file, length })
    }

    /// Its length.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Writes all, or nothing.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(bytes);
        if written.is_ok() {
            self.length = self.length.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        } else {
            // Of what is no plain file nothing can be cut off.
            let _ = self.file.set_len(self.length);
            let _ = self.file.seek(SeekFrom::Start(self.length));
        }
        written
    }

    /// Whether this path no longer leads to it: deleted, or renamed.
    pub fn has_left(&self, path: &Path) -> bool {
        let here = self.file.metadata().map(|file| (file.dev(), file.ino())).ok();
        fs::metadata(path).map(|file| (file.dev(), file.ino())).ok() != here
    }

    /// Whether no path leads to it any longer.
    pub fn is_deleted(&self) -> bool {
        self.file.metadata().is_ok_and(|file| file.nlink() == 0)
    }
}
