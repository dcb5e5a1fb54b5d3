//! The command that is run for each report, in a thread of its own: no record waits for it.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::complain::complain;
use crate::escape::harmless;
use crate::event::{Event, Heard};
use crate::queue::{Next, Queue, Waiting};
use crate::report::Report;

/// Bytes of reports that wait for the command.
const MOST: usize = 4 << 20;
/// How long the end waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

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
                if let Err(error) = run(&command, &job) {
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
        if self.queue.offer(job, size, false).is_err() {
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
fn run(command: &str, job: &Job) -> io::Result<()> {
    let Job { sender, address, report } = job;
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .env("NETCONSOLE_SENDER", sender)
        .env("NETCONSOLE_ADDRESS", address.ip().to_string())
        .env("NETCONSOLE_KIND", report.kind.to_string())
        .env("NETCONSOLE_TITLE", safe(&report.title))
        .stdin(Stdio::piped())
        .stdout(io::stderr())
        // What the terminal's Ctrl-C ends is the receiver, not what it runs.
        .process_group(0)
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // A command may do without it.
        let _ = input.write_all(safe(&report.text).as_bytes());
    }
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("the command ended with {status}"))) }
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
