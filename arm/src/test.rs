//! `--test`: crashes the machine, once the person at it has said so twice.

use crate::error::ArmError;
use crate::system::System;
use std::io::{self, BufRead, Write};

/// Asks twice, then crashes.
pub fn crash(system: &System) -> Result<(), ArmError> {
    if !system.is_set("sys/kernel/kexec_crash_loaded") {
        return Err(ArmError::NotArmed);
    }
    let name = system.read("proc/sys/kernel/hostname").unwrap_or_default();
    ask(&format!("This crashes {name} now: what is not saved is lost. Type its name to go on: "), &name)?;
    ask("Type crash: ", "crash")?;
    system.write("proc/sys/kernel/sysrq", "1")?;
    system.write("proc/sysrq-trigger", "c")
}

fn ask(question: &str, answer: &str) -> Result<(), ArmError> {
    print!("{question}");
    let _ = io::stdout().flush();
    let mut line = String::new();
    let _ = io::stdin().lock().read_line(&mut line);
    if line.trim() == answer && !answer.is_empty() { Ok(()) } else { Err(ArmError::NotConfirmed) }
}
