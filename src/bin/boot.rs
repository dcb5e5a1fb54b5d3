//! What a plain `cargo run` starts: scripts/run, with the same arguments.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/run");
    // It comes back only where it fails.
    let error = Command::new(script).args(std::env::args_os().skip(1)).exec();
    eprintln!("{script}: {error}");
    ExitCode::FAILURE
}
