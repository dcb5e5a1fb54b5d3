//! Loading and unloading: by kexec_file_load(2) the kernel reads the image itself and checks its signature, by
//! kexec_load(2) it is given what lies where. Either way the command line with its key is in no argument list.

use crate::command_line::CommandLine;
use crate::error::ArmError;
use crate::image;
use crate::options::{Options, SystemCall};
use crate::readiness;
use crate::segments::Segments;
use crate::system::System;
use std::ffi::{CString, c_void};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

/// Flags of kexec_file_load(2) (include/uapi/linux/kexec.h).
const UNLOAD: libc::c_ulong = 1;
const ON_CRASH: libc::c_ulong = 2;
const NO_INITRAMFS: libc::c_ulong = 4;
/// Of kexec_load(2): for a crash, for x86-64 (its number in ELF, in the upper half).
const LOAD_ON_CRASH: libc::c_ulong = 1;
const X86_64: libc::c_ulong = 62 << 16;

/// A segment as kexec_load(2) takes it (`struct kexec_segment`).
#[repr(C)]
struct KexecSegment {
    content: *const c_void,
    content_len: usize,
    at: usize,
    len: usize,
}

/// The image with its kernel stored, while Linux reads it.
const STORED: &str = "run/netconsole-arm.bzimage";

/// Loads the image as the crash kernel, with its kernel stored unless Linux wants the signature.
///
/// What is stored has a checksum of its own. So kexec_load(2) comes first where it is allowed: by kexec_file_load(2) a
/// crash waits for Linux to hash all of the memory.
pub fn load(system: &System, options: &Options, line: &CommandLine) -> Result<(), ArmError> {
    let kernel = &options.kernel;
    let original = fs::read(kernel).map_err(|error| ArmError::File(kernel.clone(), error))?;
    let is_locked = readiness::lockdown(system).is_some();
    let stored = if is_locked { None } else { image::stored(&original) };
    let by_file = || by_file(system, kernel, stored.as_deref(), line);
    let by_segments = || by_segments(system, kernel, stored.as_ref().unwrap_or(&original), line);
    let is_no_kexec = |error: &ArmError| matches!(error, ArmError::NoKexec | ArmError::NoLoader);
    match options.system_call() {
        Some(SystemCall::FileLoad) => by_file(),
        Some(SystemCall::Load) => by_segments(),
        None if is_locked => match by_file() {
            Err(error) if is_no_kexec(&error) => by_segments(),
            result => result,
        },
        None => by_segments().or_else(|problem| match by_file() {
            Err(error) if is_no_kexec(&error) => Err(problem),
            result => result,
        }),
    }
}

/// The stored kernel if that is taken, else the file itself: its signature may be wanted without a lockdown, too.
fn by_file(
    system: &System,
    kernel: &Path,
    stored: Option<&[u8]>,
    line: &CommandLine,
) -> Result<(), ArmError> {
    let refused = match stored.map(|stored| stored_by_file(system, stored, line)) {
        Some(Ok(())) => return Ok(()),
        Some(Err(error)) => Some(error),
        None => None,
    };
    let file = File::open(kernel).map_err(|error| ArmError::File(kernel.to_path_buf(), error))?;
    load_file(system, &file, line)?;
    if let Some(error) = refused {
        eprintln!("netconsole-arm: {error}; so it is loaded as it is, and unpacked after a crash");
    }
    Ok(())
}

fn stored_by_file(system: &System, stored: &[u8], line: &CommandLine) -> Result<(), ArmError> {
    let path = system.path(STORED);
    // Linux takes no file that somebody can write to.
    let file = fs::write(&path, stored).and_then(|()| File::open(&path));
    system.remove(STORED);
    load_file(system, &file.map_err(|error| ArmError::File(path, error))?, line)
}

fn load_file(system: &System, file: &File, line: &CommandLine) -> Result<(), ArmError> {
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

fn by_segments(system: &System, kernel: &Path, image: &[u8], line: &CommandLine) -> Result<(), ArmError> {
    let Segments { segments, entry } = Segments::make(system, kernel, image, &line.whole())?;
    let told = segments.iter().map(|segment| KexecSegment {
        content: segment.content.as_ptr().cast(),
        content_len: segment.content.len(),
        at: segment.at as usize,
        len: segment.len as usize,
    });
    let told: Vec<KexecSegment> = told.collect();
    // SAFETY: there are as many segments as it is told, and each has its content, which is as long as it says; all outlive
    // the call.
    let result = unsafe {
        libc::syscall(libc::SYS_kexec_load, entry, told.len(), told.as_ptr(), LOAD_ON_CRASH | X86_64)
    };
    judge(system, result)
}

/// Takes the crash kernel out, however it was loaded.
pub fn unload(system: &System) -> Result<(), ArmError> {
    // SAFETY: with this flag no other argument is looked at.
    let result = unsafe {
        libc::syscall(libc::SYS_kexec_file_load, -1, -1, 0, std::ptr::null::<u8>(), UNLOAD | ON_CRASH)
    };
    match judge(system, result) {
        Err(ArmError::NoKexec) => {}
        result => return result,
    }
    // SAFETY: no segments are told, so that none is looked at.
    let result = unsafe {
        libc::syscall(libc::SYS_kexec_load, 0, 0, std::ptr::null::<KexecSegment>(), LOAD_ON_CRASH | X86_64)
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
        Some(libc::ENOEXEC) => ArmError::NoLoader,
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
