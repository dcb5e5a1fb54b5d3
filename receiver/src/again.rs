//! Another run in the place of this one, with its sockets: for other options after SIGHUP, and for another version of
//! the program after SIGUSR2. What comes meanwhile waits in the sockets, so that no datagram is lost; the process stays
//! the same one, so that a service manager sees no end. What was known of the senders goes along in memory.

use std::convert::Infallible;
use std::env;
use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::net::UdpSocket;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::{close, execve};

use crate::child;
use crate::options::Options;
use crate::state::{self, Kept};

/// The descriptor with what the run before knew of the senders.
const KNOWN: &str = "NETCONSOLE_RECEIVER_STATE";
/// Where descriptors for the next run are looked for: above those that are open.
const FIRST: i32 = 64;
const TRIES: usize = 100;
/// How long the options may be checked: meanwhile what comes waits. A service manager is patient for longer.
const CHECK_MOST: Duration = Duration::from_secs(8);

/// The next run.
#[derive(Debug)]
pub struct Again {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Again {
    /// Whether another run could begin: the program, as it is now, takes the options, as they are now. Its words where
    /// not. The options are `None` where this program does not understand them.
    pub fn check() -> Result<(Self, Option<Options>), String> {
        let program = program().map_err(|error| format!("the program can't be found: {error}"))?;
        let arguments: Vec<OsString> = env::args_os().collect();
        let failed = |error: io::Error| format!("{}: {error}", program.display());
        let mut check = Command::new(&program);
        check.args(arguments.iter().skip(1)).arg("--check");
        let mut check = check
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let Some(status) = child::wait(&mut check, CHECK_MOST).map_err(failed)? else {
            let _ = check.kill();
            let _ = check.wait();
            return Err(format!("to check the options took more than {} s", CHECK_MOST.as_secs()));
        };
        if !status.success() {
            let mut words = String::new();
            let _ = check.stderr.take().map(|mut said| said.read_to_string(&mut words));
            return Err(words.trim().to_owned());
        }
        let options = Options::from_arguments(&arguments).ok();
        Ok((Again { program, arguments }, options))
    }

    /// Puts it in the place of this one. Returns only where that failed.
    pub fn start(
        self,
        sockets: &[UdpSocket],
        about: (&'static str, String),
        known: &[u8],
    ) -> Result<Infallible, io::Error> {
        let mut file = File::from(memfd_create(c"netconsole-receiver", MFdFlags::MFD_CLOEXEC)?);
        file.write_all(known)?;
        file.rewind()?;
        let all = sockets.iter().map(AsFd::as_fd).chain([file.as_fd()]);
        let first = in_a_row(&all.collect::<Vec<_>>())?;
        let state = first + i32::try_from(sockets.len()).map_err(io::Error::other)?;
        let text = |text: &OsStr| CString::new(text.as_bytes()).map_err(io::Error::from);
        let own = [
            ("LISTEN_PID", std::process::id().to_string()),
            ("LISTEN_FDS", sockets.len().to_string()),
            ("LISTEN_FDS_FIRST_FD", first.to_string()),
            about,
            (KNOWN, state.to_string()),
        ];
        let is_own = |name: &OsStr| own.iter().any(|(own, _)| name == *own);
        let others = env::vars_os().filter(|(name, _)| !is_own(name));
        let all = others.chain(own.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))));
        let variable = |(name, value): (OsString, OsString)| {
            text(&[name.as_os_str(), OsStr::new("="), value.as_os_str()].into_iter().collect::<OsString>())
        };
        let environment = all.map(variable).collect::<io::Result<Vec<_>>>()?;
        let arguments =
            self.arguments.iter().map(|argument| text(argument)).collect::<io::Result<Vec<_>>>()?;
        // Not by the standard library, which would no longer hold signals back: they wait for the next run.
        Ok(execve(&text(self.program.as_os_str())?, &arguments, &environment)?)
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
