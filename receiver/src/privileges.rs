//! Another user's rights in place of root's.

use std::ffi::CString;
use std::fmt;
use std::io;

use nix::unistd::{Uid, User, geteuid, initgroups, setgid, setuid};

/// Why the user can't be changed.
#[derive(Debug)]
pub enum Error {
    /// There is no such user.
    Unknown(String),
    /// The system refuses.
    Refused(String, io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Unknown(name) => write!(f, "--user: this host has no user {name}, see: getent passwd"),
            Error::Refused(name, error) => {
                write!(f, "--user: can't become {name}: {error}")?;
                if error.kind() == io::ErrorKind::PermissionDenied {
                    f.write_str("; it is for root")
                } else {
                    Ok(())
                }
            }
        }
    }
}

/// The user of this name.
fn find(name: &str) -> Result<User, Error> {
    let found = User::from_name(name).map_err(|error| Error::Refused(name.to_owned(), error.into()))?;
    found.ok_or_else(|| Error::Unknown(name.to_owned()))
}

/// Whether a run could become the user of this name.
pub fn check(name: &str) -> Result<(), Error> {
    let user = find(name)?;
    if is_own(&user) || geteuid().is_root() {
        Ok(())
    } else {
        Err(Error::Refused(name.to_owned(), io::ErrorKind::PermissionDenied.into()))
    }
}

fn is_own(user: &User) -> bool {
    geteuid() == user.uid && Uid::current() == user.uid
}

/// Takes on a user's rights, with its groups, for all threads; nothing where they are those that we have.
pub fn become_user(name: &str) -> Result<(), Error> {
    let refused = |error: nix::Error| Error::Refused(name.to_owned(), error.into());
    let user = find(name)?;
    if is_own(&user) {
        return Ok(());
    }
    let whose = CString::new(user.name).map_err(|_| Error::Unknown(name.to_owned()))?;
    initgroups(&whose, user.gid).map_err(refused)?;
    setgid(user.gid).map_err(refused)?;
    setuid(user.uid).map_err(refused)
}
