//! `--watch`: stays, and arms again when what the command line was made of has changed, or memory or CPUs were added.

use crate::command_line::CommandLine;
use crate::error::ArmError;
use crate::options::Options;
use crate::system::System;
use crate::{STATE, arm, replacer};
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// How long it waits for the next change of several.
const SETTLE: Duration = Duration::from_secs(2);

/// Arms, and again after each change; ends only with an error of `ip monitor`.
pub fn watch(system: &System, options: &Options) -> Result<(), ArmError> {
    let mut monitor = Monitor::start()?;
    let mut output = monitor.0.stdout.take();
    let (tell, changes) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Some(Ok(1..)) = output.as_mut().map(|output| output.read(&mut buffer)) {
            if tell.send(()).is_err() {
                return;
            }
        }
    });
    let (mut armed, mut machine, mut said) = (String::new(), String::new(), String::new());
    loop {
        let now = machine_of(system);
        match CommandLine::compose(system, options) {
            Ok(line)
                if line.whole() == armed
                    && now == machine
                    && system.read(STATE).is_some()
                    && system.is_set("sys/kernel/kexec_crash_loaded")
                    && replacer(system).is_none() => {}
            Ok(line) => match arm(system, options, &line) {
                Ok(()) => {
                    (armed, machine) = (line.whole(), now);
                    // The same error, if it comes again, is news.
                    said.clear();
                }
                Err(error) => said = tell_once(said, &error),
            },
            Err(error) => said = tell_once(said, &error),
        }
        match changes.recv_timeout(Duration::from_secs(options.look)) {
            Ok(()) => while changes.recv_timeout(SETTLE).is_ok() {},
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(ArmError::NoIp(std::io::Error::other("ip monitor has ended")));
            }
        }
    }
}

/// Shows an error, unless it was the one before.
fn tell_once(said: String, error: &ArmError) -> String {
    let text = error.to_string();
    if text != said {
        eprintln!("netconsole-arm: {text}");
    }
    text
}

/// What the loader has described to the crash kernel: CPUs and memory.
fn machine_of(system: &System) -> String {
    let cpus = system.read("sys/devices/system/cpu/online").unwrap_or_default();
    let memory = system.read("proc/meminfo").unwrap_or_default();
    let total = memory.lines().next().unwrap_or_default();
    format!("{cpus} {total}")
}

/// `ip monitor`, which ends with this program.
struct Monitor(Child);

impl Monitor {
    fn start() -> Result<Self, ArmError> {
        let mut command = Command::new("ip");
        command.args(["monitor", "link", "address", "route"]).stdout(Stdio::piped()).stdin(Stdio::null());
        command.spawn().map(Self).map_err(ArmError::NoIp)
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
