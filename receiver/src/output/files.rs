//! A file per sender, rotated by size.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::Error;
use crate::limits;

/// The file of the senders that come after too many.
const OTHERS: &str = "others";

/// The files of one directory.
pub struct Files {
    dir: PathBuf,
    ending: &'static str,
    size: u64,
    keep: u32,
    open: HashMap<String, Open>,
    /// Files that did not exist before.
    made: usize,
}

struct Open {
    path: PathBuf,
    file: BufWriter<File>,
    written: u64,
    dirty: bool,
}

impl Files {
    /// Makes the directory if need be.
    pub fn open(dir: &Path, ending: &'static str, size: u64, keep: u32) -> Result<Self, Error> {
        fs::create_dir_all(dir).map_err(|error| Error::File(dir.to_owned(), error))?;
        Ok(Files { dir: dir.to_owned(), ending, size, keep, open: HashMap::new(), made: 0 })
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

    /// Appends to a sender's file, after rotating it where it would grow too large.
    pub fn append(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let may_open = self.open.contains_key(name) || self.made < limits::FILES || self.path(name).exists();
        let name = if may_open { name } else { OTHERS };
        let path = self.path(name);
        let failed = |error| Error::File(path.clone(), error);
        if !self.open.contains_key(name) {
            self.close_surplus()?;
            self.made += usize::from(!path.exists());
            self.open.insert(name.to_owned(), Open::at(path.clone()).map_err(failed)?);
        }
        let Some(open_file) = self.open.get_mut(name) else { return Ok(()) };
        if open_file.written > 0 && open_file.written.saturating_add(length) > self.size {
            open_file.file.flush().map_err(failed)?;
            rotate(&path, self.keep).map_err(failed)?;
            *open_file = Open::at(path.clone()).map_err(failed)?;
        }
        open_file.file.write_all(bytes).map_err(failed)?;
        open_file.written = open_file.written.saturating_add(length);
        open_file.dirty = true;
        Ok(())
    }

    /// Hands everything to the system.
    pub fn flush(&mut self) -> Result<(), Error> {
        for open in self.open.values_mut().filter(|open| open.dirty) {
            open.file.flush().map_err(|error| Error::File(open.path.clone(), error))?;
            open.dirty = false;
        }
        Ok(())
    }

    /// Keeps the number of open files within the number of senders.
    fn close_surplus(&mut self) -> Result<(), Error> {
        if self.open.len() >= limits::SENDERS {
            self.flush()?;
            self.open.clear();
        }
        Ok(())
    }
}

impl Open {
    fn at(path: PathBuf) -> std::io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let written = file.metadata()?.len();
        Ok(Open { path, file: BufWriter::new(file), written, dirty: false })
    }
}

/// `x.log` becomes `x.log.1`, that `x.log.2`, and so on; the oldest goes.
fn rotate(path: &Path, keep: u32) -> std::io::Result<()> {
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
            files.append(&format!("sender{sender}"), b"text\n").expect("a file");
        }
        files.append("sender0", b"text\n").expect("a file");
        files.flush().expect("the disk has room");
        let lines =
            |name: &str| fs::read_to_string(files.path(name)).map(|text| text.lines().count()).unwrap_or(0);
        assert_eq!(["sender0", "sender4095", "sender4096", OTHERS].map(lines), [2, 1, 0, 2]);
        fs::remove_dir_all(&dir).expect("it is ours");
    }
}
