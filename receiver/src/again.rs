//! Another run in the place of this one, with its sockets: for other options after SIGHUP, and for another version of
//! the program after SIGUSR2. What comes meanwhile waits in the sockets, so that no datagram is lost; the process stays
//! the same one, so that a service manager sees no end. What was known of the senders goes along in memory.

use std::convert::Infallible;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::net::UdpSocket;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::SigSet;
use nix::unistd::close;

use crate::options::Options;
use crate::state::{self, Kept};

/// The descriptor with what the run before knew of the senders.
const KNOWN: &str = "NETCONSOLE_RECEIVER_STATE";
/// Where descriptors for the next run are looked for: above those that are open.
const FIRST: i32 = 64;
const TRIES: usize = 100;

/// The next run.
#[derive(Debug)]
pub struct Again {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Again {
    /// Whether another run could begin: the program, as it is now, takes the options, as they are now. Its words where
    /// not.
    pub fn check() -> Result<(Self, Options), String> {
        let program = program().map_err(|error| format!("the program can't be found: {error}"))?;
        let arguments: Vec<OsString> = env::args_os().collect();
        let mut check = Command::new(&program);
        let output = check.args(arguments.iter().skip(1)).arg("--check").output();
        let output = output.map_err(|error| format!("{}: {error}", program.display()))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        let options = Options::from_arguments(&arguments).map_err(|error| error.to_string())?;
        Ok((Again { program, arguments }, options))
    }

    /// Puts it in the place of this one. Returns only where that failed.
    pub fn start(
        self,
        sockets: &[UdpSocket],
        about: (&str, String),
        known: &[u8],
    ) -> Result<Infallible, io::Error> {
        let mut file = File::from(memfd_create(c"netconsole-receiver", MFdFlags::MFD_CLOEXEC)?);
        file.write_all(known)?;
        file.rewind()?;
        let all = sockets.iter().map(AsFd::as_fd).chain([file.as_fd()]);
        let first = in_a_row(&all.collect::<Vec<_>>())?;
        let state = first + i32::try_from(sockets.len()).map_err(io::Error::other)?;
        // Until it takes them itself: by default they would end it.
        SigSet::all().thread_block()?;
        let mut next = Command::new(&self.program);
        next.args(self.arguments.iter().skip(1))
            .env("LISTEN_PID", std::process::id().to_string())
            .env("LISTEN_FDS", sockets.len().to_string())
            .env("LISTEN_FDS_FIRST_FD", first.to_string())
            .env(about.0, about.1)
            .env(KNOWN, state.to_string());
        Err(next.exec())
    }
}

/// What the run before this one knew of the senders; only where it passed its sockets, and once.
pub fn known() -> Result<Vec<Kept>, state::Error> {
    let Some(descriptor) = env::var(KNOWN).ok().and_then(|text| text.parse::<i32>().ok()) else {
        return Ok(Vec::new());
    };
    let known = state::load(format!("/proc/self/fd/{descriptor}").as_ref());
    let _ = close(descriptor);
    known
}

/// Where the program is: what has taken its place, where it was replaced since it was started.
fn program() -> io::Result<PathBuf> {
    let mut path = fs::read_link("/proc/self/exe")?.into_os_string().into_vec();
    if let Some(length) = path.strip_suffix(b" (deleted)").map(<[u8]>::len) {
        path.truncate(length);
    }
    Ok(OsStr::from_bytes(&path).into())
}

/// Descriptors of these files, one after the other, which stay open in the next program: the first of them.
fn in_a_row(files: &[BorrowedFd<'_>]) -> io::Result<RawFd> {
    let mut from = FIRST;
    for _ in 0..TRIES {
        let mut row: Vec<RawFd> = Vec::with_capacity(files.len());
        for file in files {
            let next = row.last().map_or(from, |last| last.saturating_add(1));
            let got = fcntl(file, FcntlArg::F_DUPFD(next))?;
            row.push(got);
            if got != next && row.len() > 1 {
                break;
            }
        }
        let is_row =
            row.windows(2).all(|pair| matches!(pair, [one, two] if one.checked_add(1) == Some(*two)));
        if row.len() == files.len() && is_row {
            return row.first().copied().ok_or_else(|| Errno::EINVAL.into());
        }
        from = row.last().copied().unwrap_or(from);
        for descriptor in row {
            let _ = close(descriptor);
        }
    }
    Err(Errno::EMFILE.into())
}
