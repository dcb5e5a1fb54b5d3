//! Where each sender's file is: in the directory itself, and of very many in 256 directories of it.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use ahash::RandomState;

use crate::limits;

/// The file of the senders that come after too many.
const OTHERS: &str = "others";
/// A sender's file, where each has a directory.
const FILE: &str = "netconsole";

/// Where in the directory a sender's file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In it.
    Flat,
    /// One of very many, in one of 256 directories.
    Below,
    /// One for all that come after too many.
    Others,
}

impl Place {
    /// Whether each line begins with the sender's name.
    pub fn has_names(self) -> bool {
        self != Place::Flat
    }
}

/// How the files are called.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// The ending of their names.
    pub ending: &'static str,
    /// Each is in a directory with the sender's name.
    pub has_directories: bool,
}

impl Layout {
    /// The path of a sender's file, below `dir`.
    pub fn path(self, dir: &Path, name: &str, place: Place) -> PathBuf {
        let name = if place == Place::Others { OTHERS.to_owned() } else { safe(name) };
        let dir = match place {
            Place::Below => dir.join(format!("{:02x}", hash(&name))),
            Place::Flat | Place::Others => dir.to_owned(),
        };
        let ending = self.ending;
        if self.has_directories {
            dir.join(name).join(format!("{FILE}.{ending}"))
        } else {
            dir.join(format!("{name}.{ending}"))
        }
    }

    /// The name whose file is this.
    fn name(self, path: &Path) -> Option<String> {
        let named = if self.has_directories {
            path.join(format!("{FILE}.{}", self.ending)).is_file().then(|| path.file_name())
        } else {
            path.extension().is_some_and(|ending| ending == self.ending).then(|| path.file_stem())
        };
        named.flatten()?.to_str().map(str::to_owned)
    }
}

/// Who has which place. Only at the start this looks into the directory: a disk that is slow holds up no record.
#[derive(Debug)]
pub struct Places {
    /// Hashes of the names of the files in the directory itself, and of those made below it in this run.
    flat: HashSet<u64, RandomState>,
    below: HashSet<u64, RandomState>,
    hasher: RandomState,
}

impl Places {
    /// With the files that are there already.
    pub fn new(dir: &Path, layout: Layout) -> Self {
        let hasher = RandomState::new();
        let paths = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
        let names = paths.filter_map(|path| layout.name(&path));
        let flat = names.map(|name| hasher.hash_one(name.as_str())).collect();
        Places { flat, below: HashSet::default(), hasher }
    }

    /// A sender's place: that of the file which is there, or one that is to be made.
    pub fn of(&mut self, name: &str) -> Place {
        let hash = self.hasher.hash_one(name);
        if self.flat.contains(&hash) {
            return Place::Flat;
        }
        if self.below.contains(&hash) {
            return Place::Below;
        }
        // What is in the directory is called as the file is.
        let safe = safe(name);
        let safe_hash = if safe == name { hash } else { self.hasher.hash_one(safe.as_str()) };
        let is_flat = self.flat.contains(&safe_hash);
        if is_flat || self.flat.len() < limits::FILES {
            self.flat.insert(safe_hash);
            return Place::Flat;
        }
        if self.below.len() < limits::FILES_BELOW {
            self.below.insert(safe_hash);
            return Place::Below;
        }
        if self.below.contains(&safe_hash) { Place::Below } else { Place::Others }
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

    #[test]
    fn a_sender_may_have_a_directory() {
        let path = |has_directories, place| {
            Layout { ending: "log", has_directories }.path(Path::new("logs"), "../board", place)
        };
        assert_eq!(path(false, Place::Flat), Path::new("logs/_.._board.log"));
        assert_eq!(path(true, Place::Flat), Path::new("logs/_.._board/netconsole.log"));
        assert_eq!(path(true, Place::Others), Path::new("logs/others/netconsole.log"));
        assert!(path(true, Place::Below).ends_with("_.._board/netconsole.log"));
        // Those that are there keep their place.
        let dir = tempfile::tempdir().expect("a directory");
        for has_directories in [false, true] {
            let layout = Layout { ending: "log", has_directories };
            let file = layout.path(dir.path(), "board", Place::Flat);
            fs::create_dir_all(file.parent().expect("it has one")).expect("a directory");
            fs::write(&file, "text").expect("a file");
            assert_eq!(Places::new(dir.path(), layout).flat.len(), 1);
        }
    }
}
