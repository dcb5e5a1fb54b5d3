//! What is remembered of the senders beyond the receiver's own end: a file with a line for each, so that another run
//! goes on with their numbers, clocks and names, and can name what came meanwhile.
//!
//! The file is replaced as a whole: written beside, brought to the disk, renamed. So there is always one that is whole.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::libc;
use serde::{Deserialize, Serialize};

use crate::complain::complain;

/// The time between two files, at least.
const INTERVAL: Duration = Duration::from_secs(1);
/// The same, as a multiple of what it takes to gather one.
const SHARE: u32 = 20;
/// Only the owner reads it: it names machines.
const MODE: u32 = 0o600;

/// The first line: what the file is, and of which form.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Head {
    netconsole_receiver_state: u32,
}

const HEAD: Head = Head { netconsole_receiver_state: 1 };

/// What is kept of one sender.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Kept {
    /// Its address and port.
    pub address: SocketAddr,
    /// What it was called.
    pub name: String,
    /// Whether that was given or said.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub named: bool,
    /// It sends each message from another port.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub single: bool,
    /// When it was started, in µs since the Unix epoch, where it tells its time; 0: not known.
    #[serde(default)]
    pub boot_us: u64,
    /// When it was last heard, in µs since the Unix epoch.
    pub received_us: u64,
    /// Where its records are numbered.
    #[serde(flatten)]
    pub numbered: Option<Numbered>,
}

/// How far a sender's numbered records have come.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Numbered {
    /// The number after the last one that was given out or given up.
    pub next: u64,
    /// The time of that one since the sender's start, in µs.
    pub timestamp_us: u64,
    /// The target's message counter, where the sender adds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<u32>,
    /// What does not come of it is lost, and not held back by its level.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tells: bool,
}

/// Why there is no state to go on with.
#[derive(Debug)]
pub enum Error {
    /// The file can't be read.
    Io(io::Error),
    /// It is another file: it is left alone.
    Foreign,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io(error) => error.fmt(f),
            Error::Foreign => {
                f.write_str("this is no state file of netconsole-receiver: give another --state")
            }
        }
    }
}

/// What the file tells; nothing where there is none yet.
pub fn load(path: &Path) -> Result<Vec<Kept>, Error> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::Io(error)),
    };
    let mut lines = BufReader::new(file).lines();
    let head = match lines.next() {
        Some(line) => line.map_err(Error::Io)?,
        // A file that was made for it beforehand.
        None => return Ok(Vec::new()),
    };
    if serde_json::from_str::<Head>(&head).ok() != Some(HEAD) {
        return Err(Error::Foreign);
    }
    let mut kept = Vec::new();
    let mut unread = 0u64;
    for line in lines {
        match line.map(|line| serde_json::from_str(&line)) {
            Ok(Ok(sender)) => kept.push(sender),
            Ok(Err(_)) => unread = unread.saturating_add(1),
            Err(error) => return Err(Error::Io(error)),
        }
    }
    if unread > 0 {
        complain(format_args!(
            "{}: {unread} lines are damaged: their senders are not remembered",
            path.display()
        ));
    }
    Ok(kept)
}

/// The file, which a thread of its own writes: no record waits for the disk.
#[derive(Debug)]
pub struct Saver {
    path: PathBuf,
    work: Option<(SyncSender<Vec<u8>>, JoinHandle<()>)>,
    tried_at: Duration,
    interval: Duration,
    /// How many events had been told when the last file was gathered.
    saved: u64,
    /// The next file, which waits for the outputs, and how many events had been told.
    gathered: Option<(Vec<u8>, u64)>,
}

impl Saver {
    /// To this file.
    pub fn start(path: &Path) -> Self {
        // One waits at most, while another is written.
        let (sender, files) = mpsc::sync_channel::<Vec<u8>>(1);
        let to = path.to_owned();
        let thread = thread::Builder::new().spawn(move || {
            let mut has_failed = false;
            for bytes in files {
                let written = replace(&to, &bytes);
                if let Err(error) = &written
                    && !has_failed
                {
                    complain(format_args!(
                        "{}: {error}; another run could not go on from here",
                        to.display()
                    ));
                }
                has_failed = written.is_err();
            }
        });
        if let Err(error) = &thread {
            complain(format_args!("{}: written at the end only: no thread for it: {error}", path.display()));
        }
        Saver {
            path: path.to_owned(),
            work: thread.ok().map(|thread| (sender, thread)),
            tried_at: Duration::ZERO,
            interval: INTERVAL,
            saved: 0,
            gathered: None,
        }
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// When it is time for another file, if `told` events were told by now; `None`: there is nothing new.
    pub fn due(&self, told: u64) -> Option<Duration> {
        match self.gathered {
            Some(_) => Some(Duration::ZERO),
            None => (told != self.saved).then(|| self.tried_at.saturating_add(self.interval)),
        }
    }

    /// Takes all that is known, after `told` events; `took` is how long it took to gather it. It is saved once the outputs
    /// have written those events: what they do not write another run is to name as missing.
    pub fn gather(&mut self, kept: &[Kept], told: u64, now: Duration, took: Duration) {
        (self.tried_at, self.interval) = (now, INTERVAL.max(took * SHARE));
        self.gathered = Some((bytes(kept), told));
    }

    /// Whether what was gathered is not saved yet.
    pub fn is_waiting(&self) -> bool {
        self.gathered.is_some()
    }

    /// Has the file written that was gathered.
    pub fn save(&mut self) {
        if let Some((bytes, told)) = self.gathered.take()
            && let Some((work, _)) = &self.work
            && work.try_send(bytes).is_ok()
        {
            self.saved = told;
        }
    }

    /// Writes what is known at the end; `None`: the outputs have not written all of it, and the last file stays.
    pub fn finish(mut self, kept: Option<&[Kept]>) -> io::Result<()> {
        if let Some((work, thread)) = self.work.take() {
            drop(work);
            // It has said what went wrong.
            let _ = thread.join();
        }
        kept.map_or(Ok(()), |kept| replace(&self.path, &bytes(kept)))
    }
}

/// The file of what is known of these senders.
pub fn bytes(kept: &[Kept]) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(&mut bytes, &HEAD);
    bytes.push(b'\n');
    for sender in kept {
        let _ = serde_json::to_writer(&mut bytes, sender);
        bytes.push(b'\n');
    }
    bytes
}

/// Puts a file in another's place: at any moment there is one of both, whole.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let open = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(MODE)
        .custom_flags(libc::O_NOFOLLOW)
        .open(&beside);
    let mut file = open?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn kept(port: u16, numbered: Option<Numbered>) -> Kept {
        Kept {
            address: SocketAddr::from(([10, 0, 0, 5], port)),
            name: format!("board{port}"),
            named: port == 2,
            single: port == 3,
            boot_us: 5,
            received_us: 9,
            numbered,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("state");
        assert_eq!(load(&path).expect("none yet"), []);
        let numbered = Numbered { next: 7, timestamp_us: 3, message_id: Some(2), tells: true };
        let all = [
            kept(1, None),
            kept(2, Some(numbered)),
            kept(3, Some(Numbered { message_id: None, ..numbered })),
        ];
        let mut saver = Saver::start(&path);
        let second = Duration::from_secs(1);
        saver.gather(&all[..1], 5, second, second);
        assert_eq!((saver.is_waiting(), saver.due(5)), (true, Some(Duration::ZERO)));
        saver.save();
        assert_eq!((saver.due(5), saver.due(6)), (None, Some(second * 21)));
        saver.finish(None).expect("no other file");
        assert_eq!(load(&path).expect("what was saved"), all[..1]);
        Saver::start(&path).finish(Some(&all)).expect("a file");
        assert_eq!(load(&path).expect("what was written"), all);
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 1, "nothing is left beside it");
    }

    #[test]
    fn another_file_is_left_alone_and_damage_is_borne() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("state");
        fs::write(&path, "root:x:0:0\n").expect("a file");
        assert!(matches!(load(&path), Err(Error::Foreign)));
        let mut written = bytes(&[kept(1, None), kept(2, None)]);
        written.truncate(written.len() - 9);
        fs::write(&path, written).expect("a file");
        assert_eq!(load(&path).expect("the rest"), [kept(1, None)]);
        fs::write(&path, "").expect("a file");
        assert_eq!(load(&path).expect("an empty one"), []);
    }

    /// A link beside it is not followed: whoever may write the directory does not get another file overwritten.
    #[test]
    fn no_link_is_followed() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, other) = (dir.path().join("state"), dir.path().join("other"));
        fs::write(&other, "precious").expect("a file");
        std::os::unix::fs::symlink(&other, dir.path().join("state.new")).expect("a link");
        assert!(replace(&path, b"text").is_err());
        assert_eq!(fs::read_to_string(&other).expect("a file"), "precious");
    }
}
