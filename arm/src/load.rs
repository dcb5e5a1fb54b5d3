//! Loading and unloading by kexec_file_load(2): the kernel reads the image itself and checks its signature, and the command
//! line with its key is in no argument list.

use crate::command_line::CommandLine;
use crate::error::ArmError;
use crate::readiness;
use crate::system::System;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

/// Flags of kexec_file_load(2) (include/uapi/linux/kexec.h).
const UNLOAD: libc::c_ulong = 1;
const ON_CRASH: libc::c_ulong = 2;
const NO_INITRAMFS: libc::c_ulong = 4;

/// Loads the image as the crash kernel.
pub fn load(system: &System, kernel: &Path, line: &CommandLine) -> Result<(), ArmError> {
    let file = File::open(kernel).map_err(|error| ArmError::File(kernel.to_path_buf(), error))?;
    let line = CString::new(line.whole()).map_err(|error| ArmError::Refused(error.into()))?;
    let len = line.as_bytes_with_nul().len();
    // SAFETY: the file is open and the line ends in a zero byte, which `len` counts; both outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_kexec_file_load,
            file.as_raw_fd(),
            -1,
            len,
            line.as_ptr(),
            ON_CRASH | NO_INITRAMFS,
        )
    };
    judge(system, result)
}

/// Takes the crash kernel out.
pub fn unload(system: &System) -> Result<(), ArmError> {
    // SAFETY: with this flag no other argument is looked at.
    let result = unsafe {
        libc::syscall(libc::SYS_kexec_file_load, -1, -1, 0, std::ptr::null::<u8>(), UNLOAD | ON_CRASH)
    };
    judge(system, result)
}

fn judge(system: &System, result: libc::c_long) -> Result<(), ArmError> {
    if result == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    // SAFETY: it has no arguments and can't fail.
    let is_root = unsafe { libc::geteuid() } == 0;
    Err(match error.raw_os_error() {
        Some(libc::ENOSYS) => ArmError::NoKexec,
        Some(libc::EPERM) if !is_root => ArmError::NotRoot,
        Some(libc::EPERM | libc::EKEYREJECTED | libc::ENODATA | libc::ENOKEY) => {
            match readiness::lockdown(system) {
                Some(mode) => ArmError::LockedDown(mode),
                None => ArmError::Refused(error),
            }
        }
        _ => ArmError::Refused(error),
    })
}
