//! The running system: its files, and what `ip` says of its network.

use crate::error::ArmError;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// A system, whose files are below a directory.
pub struct System {
    root: PathBuf,
}

impl System {
    /// The system below `root`.
    pub const fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The path of a file that is named without the leading slash.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.join(name)
    }

    /// A file's text without the line's end; `None` where there is none that can be read.
    pub fn read(&self, name: impl AsRef<Path>) -> Option<String> {
        let bytes = fs::read(self.path(name)).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim_end().to_string())
    }

    /// Whether a file of the kernel's says yes.
    pub fn is_set(&self, name: &str) -> bool {
        self.read(name).is_some_and(|text| ["1", "Y"].contains(&text.as_str()))
    }

    /// When a file, or the link of that name itself, was last written.
    pub fn modified(&self, name: impl AsRef<Path>) -> Option<SystemTime> {
        fs::symlink_metadata(self.path(name)).ok()?.modified().ok()
    }

    /// Whether there is such a file or directory.
    pub fn exists(&self, name: impl AsRef<Path>) -> bool {
        self.path(name).exists()
    }

    /// The names in a directory, in order; none where there is no directory.
    pub fn list(&self, name: impl AsRef<Path>) -> Vec<String> {
        let entries = fs::read_dir(self.path(name)).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Writes a file of the program's own.
    pub fn write(&self, name: &str, text: &str) -> Result<(), ArmError> {
        let path = self.path(name);
        fs::write(&path, format!("{text}\n")).map_err(|error| ArmError::File(path, error))
    }

    /// Removes it, if it is there.
    pub fn remove(&self, name: &str) {
        let _ = fs::remove_file(self.path(name));
    }

    /// What `ip -j` answers to these words; nothing where it fails.
    pub fn ip(&self, words: &[&str]) -> Result<Value, ArmError> {
        let output = Command::new("ip").arg("-j").args(words).output().map_err(ArmError::NoIp)?;
        Ok(serde_json::from_slice(&output.stdout).unwrap_or(Value::Null))
    }
}
