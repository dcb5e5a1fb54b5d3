//! Whether this system takes a crash kernel, and what is missing.

use crate::error::ArmError;
use crate::system::System;

/// What the kernel needs, in bytes (doc/linux.md).
const NEEDED: u64 = 4 << 20;

/// Checks what can be known before the kernel is asked.
pub fn check(system: &System) -> Result<(), ArmError> {
    if system.is_set("proc/sys/kernel/kexec_load_disabled") {
        return Err(ArmError::Disabled);
    }
    let reserved = system.read("sys/kernel/kexec_crash_size").and_then(|text| text.parse::<u64>().ok());
    match reserved {
        Some(0) => Err(ArmError::NotReserved(cure(system))),
        Some(bytes) if bytes < NEEDED => Err(ArmError::ReservedTooLittle(bytes / 1024)),
        Some(_) => Ok(()),
        None => Err(ArmError::NoKexec),
    }
}

/// How memory is set aside in this distribution.
fn cure(system: &System) -> String {
    let release = system.read("etc/os-release").unwrap_or_default();
    let ids: Vec<&str> = release
        .lines()
        .filter_map(|line| line.strip_prefix("ID=").or_else(|| line.strip_prefix("ID_LIKE=")))
        .flat_map(|value| value.trim_matches('"').split(' '))
        .collect();
    let is = |names: &[&str]| ids.iter().any(|id| names.contains(id));
    if is(&["debian", "ubuntu"]) {
        "add crashkernel=4M to GRUB_CMDLINE_LINUX_DEFAULT in /etc/default/grub, then run update-grub and reboot".into()
    } else if is(&["fedora", "rhel", "centos"]) {
        "run grubby --update-kernel=ALL --args=crashkernel=4M and reboot".into()
    } else if is(&["suse", "opensuse"]) {
        "add crashkernel=4M to GRUB_CMDLINE_LINUX_DEFAULT in /etc/default/grub, then run grub2-mkconfig -o \
         /boot/grub2/grub.cfg and reboot"
            .into()
    } else {
        "add crashkernel=4M to the kernel's command line in the boot loader's configuration, and reboot"
            .into()
    }
}

/// How the kernel is locked down, if it is (`none [integrity] confidentiality`).
pub fn lockdown(system: &System) -> Option<String> {
    let text = system.read("sys/kernel/security/lockdown")?;
    let mode = text.split_once('[')?.1.split_once(']')?.0.to_string();
    (mode != "none").then_some(mode)
}
