//! A file per sender.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::run::{capture, run, status};

#[test]
fn files_are_rotated_by_size_and_hold_everything() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().to_str().expect("a plain path");
    let arguments = ["--dir", path, "--rotate", "8K", "--keep", "20", "--quiet"];
    run(&[&["--read", &capture("linux-6.12-basic.pcap")], &arguments[..]].concat());
    let mut files: Vec<PathBuf> =
        fs::read_dir(dir.path()).expect("a directory").flatten().map(|file| file.path()).collect();
    // The oldest has the highest number; the current one has none.
    files.sort_by_key(|path| {
        let number = path.extension().and_then(|number| number.to_str()?.parse::<u32>().ok()).unwrap_or(0);
        std::cmp::Reverse(number)
    });
    assert!(files.len() > 3);
    let mut all = String::new();
    for file in &files {
        let part = fs::read_to_string(file).expect("a file");
        assert!(part.len() <= 8 << 10);
        all.push_str(&part);
    }
    assert_eq!(all, fs::read_to_string(capture("linux-6.12-basic.txt")).expect("the golden text"));
}

#[test]
fn the_oldest_files_go() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().to_str().expect("a plain path");
    let arguments = ["--dir", path, "--rotate", "2K", "--keep", "2", "--quiet"];
    run(&[&["--read", &capture("linux-6.12-basic.pcap")], &arguments[..]].concat());
    let names: BTreeSet<_> =
        fs::read_dir(dir.path()).expect("a directory").flatten().map(|file| file.file_name()).collect();
    assert_eq!(names, ["10.0.2.15.log", "10.0.2.15.log.1", "10.0.2.15.log.2"].map(Into::into).into());
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).expect("a file");
    let all = fs::read_to_string(capture("linux-6.12-basic.txt")).expect("the golden text");
    assert!(all.ends_with(&["10.0.2.15.log.2", "10.0.2.15.log.1", "10.0.2.15.log"].map(read).concat()));
}

#[test]
fn a_senders_name_does_not_leave_the_directory() {
    assert_eq!(
        status(&["--read", &capture("linux-6.12-basic.pcap"), "--name", "10.0.2.15=../../x"]),
        Some(1)
    );
}
