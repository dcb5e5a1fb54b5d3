//! What scripts/flash writes to, and what it leaves alone. The device is a node that nothing is behind; what
//! lsblk, sysfs and the kernel say of it, and dd, which would write to it, are the test's own.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A removable stick of 8 GB, not mounted, as lsblk's columns say it.
const STICK: [(&str, &str); 8] = [
    // Of all that is on it.
    ("raw --output TYPE", "disk part"),
    ("FSTYPE", "vfat"),
    ("TYPE", "disk"),
    ("RM", "1"),
    ("HOTPLUG", "1"),
    ("RO", "0"),
    ("MOUNTPOINTS", ""),
    ("SIZE", "8000000000"),
];

/// A checkout that has only the script and an image, and the device.
struct Bench {
    directory: PathBuf,
    device: PathBuf,
}

impl Bench {
    fn new(name: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let directory = root.join("target/tests/flash").join(name);
        let _ = fs::remove_dir_all(&directory);
        for part in ["scripts", "target", "bin"] {
            fs::create_dir_all(directory.join(part)).expect("target/tests is writable");
        }
        fs::copy(root.join("scripts/flash"), directory.join("scripts/flash")).expect("a copy of the script");
        fs::write(directory.join("target/netconsole.img"), "image").expect("an image");
        // Loop device 255: as good as never there. The node's place may not allow devices; a test does not open it.
        let device = directory.join("stick");
        let mknod = |command: &mut Command| command.arg(&device).args(["b", "7", "255"]).status();
        let made = mknod(&mut Command::new("mknod")).expect("mknod runs").success()
            || mknod(Command::new("sudo").arg("mknod")).is_ok_and(|status| status.success());
        assert!(made, "making a device needs root");
        Self { directory, device }
    }

    fn program(&self, name: &str, text: &str) {
        let path = self.directory.join("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}")).expect("a program");
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("an executable");
    }

    /// Runs the script on a stick that differs by `changes`, with `answer` typed.
    fn flash(&self, changes: &[(&str, &str)], answer: &str) -> Output {
        let cases = STICK.iter().map(|&(column, value)| {
            let change = changes.iter().find(|(changed, _)| *changed == column);
            let option = if column.contains(' ') { "" } else { "output " };
            format!("*'--{option}{column} '*) echo '{}' ;;\n", change.map_or(value, |(_, value)| value))
        });
        let cases: String = cases.collect();
        self.program("lsblk", &format!("case \"$*\" in\n{cases}*) echo ACME Stick 8G ;;\nesac\n"));
        self.program("dd", "echo \"$@\" >written\n");
        let said = |what: &str| changes.iter().find(|(said, _)| *said == what).map_or("", |(_, value)| value);
        self.program("cat", &format!("echo '{}'\n", said("device/type")));
        self.program("blockdev", &format!("[ \"$1\" = --rereadpt ] && [ -z '{}' ]\n", said("busy")));
        let path =
            format!("{}:{}", self.directory.join("bin").display(), std::env::var("PATH").expect("a path"));
        let mut script = Command::new(self.directory.join("scripts/flash"))
            .arg(&self.device)
            .env("PATH", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("scripts/flash runs");
        // It may have ended without asking.
        let _ = script.stdin.take().expect("it is piped").write_all(answer.as_bytes());
        script.wait_with_output().expect("scripts/flash ends")
    }

    /// What dd was asked to write.
    fn written(&self) -> Option<String> {
        fs::read_to_string(self.directory.join("written")).ok()
    }
}

#[test]
fn what_is_no_device_is_refused() {
    let bench = Bench::new("no-device");
    for other in ["target/netconsole.img", "/dev/null"] {
        let device = bench.directory.join(other);
        let output = Bench { device, ..Bench::new("no-device") }.flash(&[], "yes\n");
        assert_eq!(output.status.code(), Some(1), "{other}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("is not a block device"), "{other}");
        assert_eq!(bench.written(), None, "{other}");
    }
}

#[test]
fn what_is_no_removable_disk_is_refused_without_a_question() {
    let bench = Bench::new("refused");
    for (changes, reason) in [
        (&[("RM", "0"), ("HOTPLUG", "0")][..], "is not removable; it is left alone"),
        (&[("TYPE", "part")], "is no whole disk but a part"),
        (&[("TYPE", "loop")], "is no whole disk but a loop"),
        (&[("RO", "1")], "is write-protected"),
        (&[("MOUNTPOINTS", "/home")], "is in use, mounted at /home"),
        (&[("SIZE", "4")], "is too small"),
        // lsblk knows nothing of it.
        (&[("TYPE", ""), ("RM", ""), ("HOTPLUG", "")], "is no whole disk"),
    ] {
        let output = bench.flash(changes, "yes\n");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{changes:?}");
        assert!(said.contains(reason), "{changes:?}: {said}");
        assert!(!String::from_utf8_lossy(&output.stdout).contains("will be lost"), "{changes:?}: it asked");
        assert_eq!(bench.written(), None, "{changes:?}");
    }
}

/// Each of these is in use without being mounted.
#[test]
fn what_is_in_use_is_refused() {
    let bench = Bench::new("in-use");
    for (changes, reason) in [
        (&[("raw --output TYPE", "disk part crypt")][..], "is in use: there is a crypt on it"),
        (&[("raw --output TYPE", "disk lvm")], "is in use: there is a lvm on it"),
        (&[("raw --output TYPE", "disk part raid1")], "is in use: there is a raid1 on it"),
        (&[("FSTYPE", "zfs_member zfs_member")], "is part of a ZFS pool"),
        (&[("busy", "yes")], "is in use, says the kernel; nothing was written"),
    ] {
        let output = bench.flash(changes, "yes\n");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{changes:?}");
        assert!(said.contains(reason), "{changes:?}: {said}");
        assert_eq!(bench.written(), None, "{changes:?}");
    }
}

/// To lsblk memory that is soldered in can be plugged in, too.
#[test]
fn a_card_is_written_and_internal_memory_is_not() {
    let mut bench = Bench::new("mmc");
    let device = bench.directory.join("mmcblk0");
    fs::rename(&bench.device, &device).expect("the device has another name");
    bench.device = device;
    for kind in ["MMC", ""] {
        let output = bench.flash(&[("RM", "0"), ("device/type", kind)], "yes\n");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{kind}");
        assert!(said.contains("is internal memory (eMMC), no card"), "{kind}: {said}");
        assert_eq!(bench.written(), None, "{kind}");
    }
    let output = bench.flash(&[("RM", "0"), ("device/type", "SD")], "yes\n");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(bench.written().is_some());
}

#[test]
fn a_stick_is_shown_and_written_after_a_yes_alone() {
    let bench = Bench::new("asked");
    for answer in ["", "\n", "no\n", "y\n", "YES\n"] {
        let output = bench.flash(&[], answer);
        let shown = String::from_utf8_lossy(&output.stdout);
        assert!(shown.contains("All data on this device will be lost:\nACME Stick 8G"), "{shown}");
        assert_ne!(output.status.code(), Some(0), "{answer:?}");
        assert_eq!(bench.written(), None, "{answer:?}");
    }
    // A disk that is plugged in while the machine runs counts, too: many say that they are not removable.
    let output = bench.flash(&[("RM", "0")], "yes\n");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let written = bench.written().expect("dd was run");
    let device = bench.device.display();
    assert!(written.starts_with(&format!("if=target/netconsole.img of={device} ")), "{written}");
}
