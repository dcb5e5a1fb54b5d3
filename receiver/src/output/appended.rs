//! A file that holds whole records only: what was written of one in part is cut off again.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::buffered::Written;

/// The longest that the beginning of a record can be.
const RECORD: u64 = 1 << 20;

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

    /// The same of a file of lines. A run that was killed while it wrote may have left the beginning of one: that is cut
    /// off. What has no line in its last MiB is none of ours, and stays.
    pub fn after_last_line(mut file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let tail = length.min(RECORD);
        let mut last = [b'\n'];
        if length > 0 && file.metadata()?.is_file() {
            file.seek(SeekFrom::Start(length - 1))?;
            file.read_exact(&mut last)?;
        }
        if last != [b'\n'] {
            let mut bytes = Vec::new();
            file.seek(SeekFrom::Start(length - tail))?;
            (&file).take(tail).read_to_end(&mut bytes)?;
            let whole = memchr::memrchr(b'\n', &bytes).map(|at| at.saturating_add(1));
            let whole = whole.or((tail == length && length < RECORD).then_some(0));
            if let Some(rest) = whole.and_then(|whole| bytes.get(whole..)) {
                file.set_len(length - u64::try_from(rest.len()).unwrap_or(0))?;
            }
        }
        Appended::new(file)
    }

    /// Its length.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Writes all, or nothing; of what is no plain file nothing can be cut off again.
    pub fn write(&mut self, bytes: &[u8]) -> Written {
        let result = write_all(&mut self.file, bytes);
        let written = match &result {
            Ok(()) => bytes.len(),
            Err((0, _)) => 0,
            Err((_, _)) if self.cut().is_ok() => 0,
            Err((written, _)) => *written,
        };
        self.length = self.length.saturating_add(u64::try_from(written).unwrap_or(u64::MAX));
        result.map_err(|(_, error)| (written, error))
    }

    fn cut(&mut self) -> io::Result<()> {
        self.file.set_len(self.length)?;
        self.file.seek(SeekFrom::Start(self.length)).map(|_| ())
    }

    /// Brings what was written to the disk.
    pub fn sync(&self) -> io::Result<()> {
        match self.file.sync_data() {
            // What is no file has no disk.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            synced => synced,
        }
    }

    /// When it was made, as far as the file system tells.
    pub fn made_at(&self) -> Option<SystemTime> {
        let metadata = self.file.metadata().ok()?;
        metadata.created().or_else(|_| metadata.modified()).ok()
    }

    /// Whether this path no longer leads to it: deleted, or renamed.
    pub fn has_left(&self, path: &Path) -> bool {
        let here = self.file.metadata().map(|file| (file.dev(), file.ino())).ok();
        fs::metadata(path).map(|file| (file.dev(), file.ino())).ok() != here
    }

    /// Whether no path leads to it any longer, and it was deleted before its last bytes were that old.
    pub fn is_deleted_within(&self, age: Duration) -> bool {
        let of = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        self.file.metadata().is_ok_and(|file| {
            // To delete it changed it, and nothing has since but what was written.
            let passed = of(file.ctime(), file.ctime_nsec()) - of(file.mtime(), file.mtime_nsec());
            file.nlink() == 0 && passed < i128::try_from(age.as_nanos()).unwrap_or(i128::MAX)
        })
    }
}

/// Writes all, or tells how far it came.
pub fn write_all(to: &mut impl Write, bytes: &[u8]) -> Written {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match to.write(rest) {
            Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
            Ok(length) => written = written.saturating_add(length),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((written, error)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a file has after a run was killed in the middle of a line, and another one wrote a line.
    #[test]
    fn half_a_line_is_cut_off() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.log");
        for (before, after) in
            [("", "new\n"), ("whole\n", "whole\nnew\n"), ("whole\nhal", "whole\nnew\n"), ("hal", "new\n")]
        {
            fs::write(&path, before).expect("a file");
            let file = File::options().read(true).append(true).open(&path).expect("a file");
            let mut file = Appended::after_last_line(file).expect("a file");
            file.write(b"new\n").expect("it is written");
            assert_eq!(fs::read_to_string(&path).expect("a file"), after);
            assert_eq!(file.length(), u64::try_from(after.len()).expect("few"));
        }
        fs::write(&path, vec![0; 2 << 20]).expect("a file");
        let file = File::options().read(true).append(true).open(&path).expect("a file");
        assert_eq!(Appended::after_last_line(file).expect("a file").length(), 2 << 20);
    }
}
