//! The example program, on a dump of raw memory.

mod image;

use image::{Image, text};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;

/// Beside this test's own program.
fn program() -> PathBuf {
    let me = std::env::current_exe().expect("a test has a path");
    me.parent().and_then(|deps| deps.parent()).expect("target/PROFILE/deps").join("examples/vmcore_dmesg")
}

#[test]
fn vmcore_dmesg_prints_the_log_from_raw_memory() {
    let mut image = Image::load("6.1");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("memory");
    let file = File::create(&path).expect("a file");
    // What is not written is a hole.
    for address in image.addresses() {
        file.write_all_at(image.page_mut(address), address).expect("it has room");
    }
    let output = Command::new(program()).arg(&path).output().expect("cargo has built it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), text("6.1.basic.txt"));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("Linux 6.1."));
}

#[test]
fn vmcore_dmesg_says_that_nothing_is_there() {
    let output = Command::new(program()).arg("/dev/null").output().expect("cargo has built it");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "/dev/null: no crashed Linux is in it\n");
}
