//! The QEMUs: the machine's own, and a newer one for what that may not have.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The QEMU that is in the path.
pub fn own() -> PathBuf {
    "qemu-system-x86_64".into()
}

/// Debian 13's QEMU 10, which scripts/qemu10 brings the first time.
pub fn ten() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    let bring = || {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/qemu10");
        let output = Command::new(script).output().expect("scripts/qemu10 can be run");
        assert!(output.status.success(), "scripts/qemu10: {}", String::from_utf8_lossy(&output.stderr));
        let folder = String::from_utf8(output.stdout).expect("a path");
        PathBuf::from(folder.trim_end()).join("qemu-system-x86_64")
    };
    PATH.get_or_init(bring).clone()
}
