//! The example program, on a dump of raw memory.

mod image;

use image::kallsyms::{Layout, symbols};
use image::{Image, text};
use linuxlog::Crash;
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

/// With the core header's address, what the CPUs were doing follows.
#[test]
fn vmcore_dmesg_prints_where_each_cpu_came_from() {
    let (name, folder) = ("6.12", tempfile::tempdir().expect("a folder"));
    let core_header = Image::core_header(name);
    let image = Image::load(name);
    let crash = Crash::open(&image, core_header).expect("it is whole");
    let stext = crash.info().stext.expect("it is exported");
    let image = image.clone().with_stack(core_header, &[1, stext + 3 * 64 + 9, stext + 8 * 64 + 17]);
    let mut image = image.with_symbols(core_header, Layout::PerCpu, &symbols(stext, Layout::PerCpu));
    let path = folder.path().join("memory");
    let file = File::create(&path).expect("a file");
    for address in image.addresses() {
        file.write_all_at(image.page_mut(address), address).expect("it has room");
    }
    let output = Command::new(program()).arg(&path).arg(format!("{core_header:#x}")).output();
    let output = output.expect("cargo has built it");
    let printed = String::from_utf8_lossy(&output.stdout);
    let cpus = printed.strip_prefix(text("6.12.basic.txt").as_str()).expect("the log comes first");
    let lines: Vec<&str> = cpus.lines().collect();
    assert!(lines[0].starts_with("CPU 0: process ") && lines[0].contains(", RIP 0xffffffff"), "{cpus}");
    assert_eq!(lines[1..3], [" ? sys_3+0x9/0x40", " ? sys_8+0x11/0x40"]);
}

#[test]
fn vmcore_dmesg_says_that_nothing_is_there() {
    let output = Command::new(program()).arg("/dev/null").output().expect("cargo has built it");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "/dev/null: no crashed Linux is in it\n");
}
