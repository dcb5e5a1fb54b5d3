//! Opens a file below a directory without following a symbolic link: whoever may write in there would have another
//! file written. The directory itself is the user's word, and may be one.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};

use super::permissions::{OF_A_DIRECTORY, OF_A_FILE};

/// Opens a file to append to, and to look at its end. What is missing of its directories is made.
pub fn below(dir: &Path, path: &Path) -> io::Result<File> {
    let (at, name) = directory(dir, path)?;
    Ok(open(&at, name, OFlag::O_RDWR | OFlag::O_APPEND | OFlag::O_CREAT)?.into())
}

/// The directory that a file is in, and the file's name. What is missing is made.
pub fn directory<'p>(dir: &Path, path: &'p Path) -> io::Result<(OwnedFd, &'p OsStr)> {
    let mut at: OwnedFd = match File::open(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(dir).and_then(|()| File::open(dir))
        }
        opened => opened,
    }?
    .into();
    let names = path.strip_prefix(dir).unwrap_or(path).components();
    let mut names = names.filter_map(|component| match component {
        Component::Normal(name) => Some(name),
        _ => None,
    });
    let mut name = names.next().unwrap_or_default();
    for next in names {
        match mkdirat(&at, name, Mode::from_bits_truncate(OF_A_DIRECTORY)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(error.into()),
        }
        at = open(&at, name, OFlag::O_DIRECTORY | OFlag::O_RDONLY)?;
        name = next;
    }
    Ok((at, name))
}

fn open(at: &OwnedFd, name: &OsStr, how: OFlag) -> io::Result<OwnedFd> {
    let how = how | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(at, name, how, Mode::from_bits_truncate(OF_A_FILE)).map_err(|error| {
        // Of a link to a directory Linux says that it is none.
        let is_link = error == Errno::ELOOP || error == Errno::ENOTDIR;
        if is_link && nix::fcntl::readlinkat(at, name).is_ok() {
            io::Error::other("it is a symbolic link, and none is followed here")
        } else {
            error.into()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn no_link_below_the_directory_is_followed() {
        let dir = tempfile::tempdir().expect("a directory");
        let (logs, elsewhere) = (dir.path().join("logs"), dir.path().join("elsewhere"));
        fs::create_dir(&elsewhere).expect("a directory");
        // All of its directories are made.
        below(&logs, &logs.join("3f/a.log")).expect("a file");
        assert!(logs.join("3f/a.log").is_file());
        symlink(&elsewhere, logs.join("40")).expect("a link");
        symlink(elsewhere.join("b.log"), logs.join("3f/b.log")).expect("a link");
        for path in ["40/a.log", "3f/b.log"] {
            let error = below(&logs, &logs.join(path)).expect_err("a link is in the way");
            assert!(error.to_string().contains("a symbolic link"), "{error}");
        }
        assert_eq!(fs::read_dir(&elsewhere).expect("it is there").count(), 0);
        // The user may say a link.
        symlink(&logs, dir.path().join("link")).expect("a link");
        below(&dir.path().join("link"), &dir.path().join("link/41/c.log")).expect("a file");
        assert!(logs.join("41/c.log").is_file());
    }
}
