//! The command that is run for each report, in a thread of its own: no record waits for it.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::child;
use crate::complain::complain;
use crate::escape::harmless;
use crate::event::{Event, Heard};
use crate::queue::{Next, Queue, Refused, Waiting};
use crate::report::Report;

/// Bytes of reports that wait for the command.
const MOST: usize = 4 << 20;
/// How long the end waits for it.
const PATIENCE: Duration = Duration::from_secs(10);
/// A command that takes longer is killed, with what it has started: further reports wait for it.
const COMMAND_MOST: Duration = Duration::from_secs(60);

/// The thread's queue.
#[derive(Debug)]
pub struct OnCrash {
    queue: Arc<Queue<Job>>,
    lost: u64,
}

#[derive(Debug)]
struct Job {
    sender: String,
    address: SocketAddr,
    report: Report,
}

impl OnCrash {
    /// Starts the thread.
    pub fn start(command: &str) -> Self {
        let queue = Arc::new(Queue::<Job>::new(MOST));
        let (jobs, command) = (Arc::clone(&queue), command.to_owned());
        let work = move || {
            while let Next::Some(job) = jobs.next(None) {
                if let Err(error) = run(&command, &job, COMMAND_MOST) {
                    complain(format_args!("--on-crash, for a report of {}: {error}", job.sender));
                }
            }
            jobs.leave();
        };
        if let Err(error) = thread::Builder::new().spawn(work) {
            complain(format_args!("--on-crash is not run: no thread for it: {error}"));
            queue.leave();
        }
        OnCrash { queue, lost: 0 }
    }

    /// Has the command run, where this is a report.
    pub fn event(&mut self, heard: &Heard) {
        let Event::Report(report) = &heard.event else { return };
        let size = Waiting { bytes: report.text.len(), records: 1 };
        let (sender, address) = (heard.sender.name.to_string(), heard.sender.address);
        let job = Job { sender, address, report: (**report).clone() };
        if let Err((refused, job)) = self.queue.offer(job, size, false) {
            if self.lost == 0 && refused == Refused::Full {
                let sender = &job.sender;
                complain(format_args!(
                    "--on-crash is too slow: it is not run for a report of {sender}, and further ones"
                ));
            }
            self.lost = self.lost.saturating_add(1);
        }
    }

    /// Waits a while for what is to be run; says what was not.
    pub fn finish(&self) {
        self.queue.end();
        let left = if self.queue.wait_gone(PATIENCE) { 0 } else { self.queue.waiting().records };
        let lost = self.lost.saturating_add(left);
        if lost > 0 {
            complain(format_args!("--on-crash: of {lost} reports it was not run to its end: it is too slow"));
        }
    }
}

/// What it says goes to standard error: standard output has the records.
fn run(command: &str, job: &Job, most: Duration) -> io::Result<()> {
    let Job { sender, address, report } = job;
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .env("NETCONSOLE_SENDER", sender)
        .env("NETCONSOLE_ADDRESS", address.ip().to_string())
        .env("NETCONSOLE_KIND", report.kind.to_string())
        .env("NETCONSOLE_TITLE", safe(&report.title))
        .env("NETCONSOLE_ID", report.id())
        .env("NETCONSOLE_REPEATED", report.repeated.to_string())
        .stdin(Stdio::piped())
        .stdout(io::stderr())
        // What the terminal's Ctrl-C ends is the receiver, not what it runs.
        .process_group(0)
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        let text = safe(&report.text);
        // A command may do without it, and may be killed before it has read it.
        let writing = thread::Builder::new().spawn(move || input.write_all(text.as_bytes()));
        writing.map(drop).or_else(|error| kill_all(&mut child).and(Err(error)))?;
    }
    let Some(status) = child::wait(&mut child, most)? else {
        kill_all(&mut child)?;
        let seconds = most.as_secs();
        return Err(io::Error::other(format!("the command did not end within {seconds} s, and was killed")));
    };
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("the command ended with {status}"))) }
}

/// Kills a command and what it has started, which are a group of processes.
fn kill_all(child: &mut Child) -> io::Result<()> {
    if let Ok(group) = i32::try_from(child.id()) {
        killpg(Pid::from_raw(group), Signal::SIGKILL)?;
    }
    child.wait().map(drop)
}

/// Lines that no terminal acts on.
fn safe(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        harmless(&mut bytes, line.trim_end_matches('\n'));
        if line.ends_with('\n') {
            bytes.push(b'\n');
        }
    }
    String::from_utf8_lossy(&bytes).replace('\0', "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Kind;
    use std::time::Instant;

    /// It reads nothing of a report that is longer than a pipe, and its child has its standard error.
    #[test]
    fn a_command_that_hangs_is_killed_with_its_children() {
        let report = Report {
            kind: Kind::Oops,
            title: String::new(),
            text: "line\n".repeat(40_000),
            id: 0,
            frames: Vec::new(),
            repeated: 0,
            records: 1,
            at: Duration::ZERO,
        };
        let address = SocketAddr::from(([10, 0, 0, 1], 6666));
        let job = Job { sender: "board7".to_owned(), address, report };
        let dir = tempfile::tempdir().expect("a directory");
        let pid = dir.path().join("pid");
        let command = format!("sleep 600 & echo $! >{}; wait", pid.display());
        let error = run(&command, &job, Duration::from_secs(1)).expect_err("it hangs");
        assert_eq!(error.to_string(), "the command did not end within 1 s, and was killed");
        let child = std::fs::read_to_string(pid).expect("it was started");
        let state = || std::fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
        // It is killed, and its end comes when it is its turn; nobody may have waited for it.
        let until = Instant::now() + Duration::from_secs(120);
        while !(state().is_empty() || state().contains(") Z ")) {
            assert!(Instant::now() < until, "{}", state());
            thread::sleep(Duration::from_millis(20));
        }
        assert!(run("true", &job, Duration::from_secs(600)).is_ok());
    }
}
