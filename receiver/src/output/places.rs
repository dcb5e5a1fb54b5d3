//! Where each sender's file is: in the directory itself, and of very many in 256 directories of it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::limits;

/// The file of the senders that come after too many.
const OTHERS: &str = "others";

/// The files of one directory.
#[derive(Debug)]
pub struct Places {
    dir: PathBuf,
    ending: &'static str,
    /// Files in the directory itself, and files made below it in this run.
    flat: usize,
    below: usize,
}

/// A sender's file.
#[derive(Debug, PartialEq, Eq)]
pub struct Place {
    /// Its path.
    pub path: PathBuf,
    /// One of very many: each line begins with the sender's name.
    pub has_names: bool,
}

impl Places {
    /// With the files that are there already.
    pub fn new(dir: &Path, ending: &'static str) -> Self {
        let is_ours = |entry: &fs::DirEntry| entry.path().extension().is_some_and(|other| other == ending);
        let flat = fs::read_dir(dir).map_or(0, |entries| entries.flatten().filter(is_ours).count());
        Places { dir: dir.to_owned(), ending, flat, below: 0 }
    }

    /// The file of a sender: the one that is there, or one that is to be made.
    pub fn of(&mut self, name: &str) -> Place {
        let (flat, below) = (self.flat(name), self.below(name));
        if flat.exists() {
            return Place { path: flat, has_names: false };
        }
        if below.exists() {
            return Place { path: below, has_names: true };
        }
        if self.flat < limits::FILES {
            self.flat = self.flat.saturating_add(1);
            return Place { path: flat, has_names: false };
        }
        if self.below < limits::FILES_BELOW {
            self.below = self.below.saturating_add(1);
            return Place { path: below, has_names: true };
        }
        Place { path: self.flat(OTHERS), has_names: true }
    }

    fn flat(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{}.{}", safe(name), self.ending))
    }

    fn below(&self, name: &str) -> PathBuf {
        let name = safe(name);
        self.dir.join(format!("{:02x}", hash(&name))).join(format!("{name}.{}", self.ending))
    }
}

/// No name leaves the directory or hides in it.
fn safe(name: &str) -> String {
    let allowed = |character: char| character.is_alphanumeric() || "-_.:@+ ".contains(character);
    let safe: String =
        name.chars().map(|character| if allowed(character) { character } else { '_' }).collect();
    if safe.starts_with('.') { format!("_{safe}") } else { safe }
}

/// FNV-1a, of which the bytes are folded into one: a name's directory is the same in each run.
fn hash(name: &str) -> u8 {
    let hash =
        name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash.to_le_bytes().into_iter().fold(0, |all, byte| all ^ byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spread_over_256_directories() {
        let mut counts = [0usize; 256];
        for number in 0..25_600u32 {
            counts[usize::from(hash(&format!("10.0.{}.{}", number / 256, number % 256)))] += 1;
        }
        assert!(counts.iter().all(|count| (40..200).contains(count)), "{counts:?}");
    }

    #[test]
    fn no_name_leaves_the_directory() {
        assert_eq!(
            ["..", "../x", ".hidden", "a/b", "10.0.0.5:7000"].map(safe),
            ["_..", "_.._x", "_.hidden", "a_b", "10.0.0.5:7000"]
        );
    }
}
